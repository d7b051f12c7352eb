"""A cluster of the toy system with an injector, for tests of faults in every world."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from dissensus.harness.cluster import ClusterSpec
from dissensus.harness.clusters.sim import SimCluster
from dissensus.harness.fault import Fault, FaultContext
from dissensus.harness.injector import Injector
from dissensus.harness.registry import load_system
from dissensus.nemeses.table import NEMESES

TOY = f"{Path(__file__).parents[1] / 'harness' / 'toy.py'}:ToySystem"


class World:
    """A cluster, its injector, and what both wrote, in order."""

    def __init__(self, cluster: Any, leader: str | None = "n1") -> None:
        self.cluster = cluster
        self.lines: list[tuple[str, Any]] = []
        """("journal-begin", id), ("fault-begin", event) ... as they were written."""
        self.nemeses = dict(NEMESES)
        self.injector = Injector(
            cluster,
            self.nemeses,
            self,
            lambda event: self.lines.append((event["ev"], event)),
            leader=lambda: leader,
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
            await self.cluster.setup()
            try:
                return await scene(self)
            finally:
                await self.injector.undo_all()
                assert await self.cluster.teardown() == []

        return self.cluster.run(play())

    async def fault(self, kind: str) -> Fault:
        fault = await self.injector.draw(kind)
        assert fault is not None
        return fault


def on_sim(place: Path, nodes: int, leader: str | None, options: dict[str, Any]) -> World:
    """The toy system on the simulator."""
    spec = ClusterSpec(
        nodes=tuple(f"n{i + 1}" for i in range(nodes)),
        client_hosts=tuple(f"c{i + 1}" for i in range(nodes)),
        seed=7,
        run_dir=place,
    )
    return World(SimCluster(spec, load_system(TOY, {}), **options), leader)


@pytest.fixture(params=["sim"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., World]:
    """world(nodes=3, leader="n1", **options of the cluster)."""

    def make(nodes: int = 3, leader: str | None = "n1", **options: Any) -> World:
        return on_sim(tmp_path, nodes, leader, options)

    return make


@pytest.fixture
def toy_world(tmp_path: Path) -> Callable[..., World]:
    """The same, always with the toy system on the simulator."""
    return lambda **options: on_sim(tmp_path, 3, "n1", options)


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
