"""Clusters with an injector, for tests of faults in every world: the bundled Raft on the simulator
and as processes, the toy system where a test needs to know its inside.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from dissensus.harness.cluster import ClusterSpec
from dissensus.harness.fault import Fault, FaultContext
from dissensus.harness.injector import Injector
from dissensus.harness.local import processes
from dissensus.harness.registry import load_system, make_cluster
from dissensus.nemeses.table import NEMESES

TOY = f"{Path(__file__).parents[1] / 'harness' / 'toy.py'}:ToySystem"
LEADER_NS_MAX = 10 * 10**9
"""How long a test waits for a leader."""
POLL_NS = 20_000_000


class World:
    """A cluster, its injector, and what both wrote, in order."""

    def __init__(self, cluster: Any, leader: str | None) -> None:
        self.cluster = cluster
        self.leader = leader
        self.lines: list[tuple[str, Any]] = []
        """("journal-begin", id), ("fault-begin", event) ... as they were written."""
        self.nemeses = dict(NEMESES)
        self.injector = Injector(
            cluster,
            self.nemeses,
            self,
            lambda event: self.lines.append((event["ev"], event)),
            leader=lambda: self.leader,
            client_hosts=cluster.spec.client_hosts,
            clients_of={"c1": "n1"},
        )

    def begin(self, id: int, kind: str, undo: dict[str, Any]) -> None:
        """As `Journal.begin`."""
        self.lines.append(("journal-begin", (id, kind, undo)))

    def end(self, id: int) -> None:
        """As `Journal.end`."""
        self.lines.append(("journal-end", id))

    def names(self) -> list[str]:
        return [name for name, _ in self.lines]

    def last(self, name: str) -> Any:
        return [line for found, line in self.lines if found == name][-1]

    def run(self, scene: Callable[[World], Coroutine[Any, Any, Any]]) -> Any:
        """Set the cluster up, play the scene, undo everything, tear down."""

        async def play() -> Any:
            try:
                await self.cluster.setup()
                return await scene(self)
            finally:
                await self.injector.undo_all()
                assert await self.cluster.teardown() == []

        return self.cluster.run(play())

    async def find_leader(self) -> str:
        """Wait until a node says that it leads, and take it for the leader."""
        env = self.cluster.env
        give_up = env.now() + LEADER_NS_MAX
        while env.now() < give_up:
            for name, node in self.cluster.nodes.items():
                info = await node.info()
                if info is not None and info.role == "leader":
                    self.leader = name
                    return str(name)
            await env.sleep(POLL_NS)
        raise AssertionError("nobody leads")

    async def fault(self, kind: str) -> Fault:
        fault = await self.injector.draw(kind)
        assert fault is not None
        return fault


def make_world(
    on: str, system: str, place: Path, *, nodes: int = 3, leader: str | None = "n1"
) -> World:
    spec = ClusterSpec(
        nodes=tuple(f"n{i + 1}" for i in range(nodes)),
        client_hosts=tuple(f"c{i + 1}" for i in range(nodes)),
        seed=7,
        run_dir=place,
    )
    return World(make_cluster(on, spec, load_system(system, {})), leader)


@pytest.fixture
def sim(tmp_path: Path) -> Callable[..., World]:
    """sim(nodes=3, leader="n1"): the bundled Raft on the simulator."""
    return lambda **options: make_world("sim", "raft", tmp_path, **options)


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Callable[..., World]]:
    """local(nodes=3, leader="n1"): the bundled Raft as processes; nothing may be left of them."""
    made: list[World] = []

    def make(**options: Any) -> World:
        made.append(make_world("local", "raft", tmp_path / f"run{len(made)}", **options))
        return made[-1]

    yield make
    for world in made:
        assert processes.with_token(world.cluster.token) == []


@pytest.fixture
def toy(tmp_path: Path) -> Callable[..., World]:
    """toy(nodes=3): the toy system on the simulator; n1 leads for ever."""
    return lambda **options: make_world("sim", TOY, tmp_path, **options)


@pytest.fixture
def context() -> Callable[..., FaultContext]:
    """context(nodes=5, down=(), leader="n1")."""

    def make(nodes: int = 5, down: tuple[str, ...] = (), leader: str | None = "n1") -> FaultContext:
        return FaultContext(
            nodes=tuple(f"n{i + 1}" for i in range(nodes)),
            client_hosts=tuple(f"c{i + 1}" for i in range(nodes)),
            leader=leader,
            down=frozenset(down),
            clients_of={f"c{i + 1}": f"n{i + 1}" for i in range(0, nodes, 2)},
        )

    return make
