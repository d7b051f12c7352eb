"""Clusters of parrots (`parrot.py`): every test ends with a look for what it left behind."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dissensus.harness.cluster import ClusterSpec
from dissensus.harness.clusters.local import LocalCluster
from dissensus.harness.env import Conn
from dissensus.harness.local import processes
from dissensus.harness.local.addresses import AnyBlock
from dissensus.harness.system import Client, NodeSpec, System

STORY_NS_MAX = 60_000_000_000
"""A story that takes so long waits for something that does not happen."""
PARROT = Path(__file__).with_name("parrot.py")


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("parrot", PARROT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


parrot = _load()


class ParrotSystem(System):
    """Nodes that repeat what they are told."""

    name = "parrot"

    def __init__(self, modes: Mapping[str, str] | None = None) -> None:
        self.modes = dict(modes or {})

    def argv(self, spec: NodeSpec) -> Sequence[str]:
        config = {
            "name": spec.name,
            "listen": spec.listen["client"],
            "peers": {peer: ports["client"] for peer, ports in spec.peers.items()},
            "mode": self.modes.get(spec.name, ""),
        }
        return [sys.executable, "-S", str(PARROT), json.dumps(config)]

    def frame_kinds(self) -> Mapping[str, int]:
        return parrot.KINDS

    def client(self, workload: str) -> Client:
        return Client()


class Talk:
    """A client's connection to a parrot."""

    def __init__(self, conn: Conn) -> None:
        self.conn = conn

    async def say(self, *words: Any) -> Any:
        """Its answer to a command."""
        await self.conn.send((parrot.REQUEST, words))
        kind, answer = await self.conn.recv()
        assert kind == parrot.REPLY
        return answer


class Aviary:
    """A cluster of parrots and what tests do with it."""

    def __init__(self, run_dir: Path, nodes: int = 3, **options: Any) -> None:
        self.system = ParrotSystem(options.pop("modes", None))
        spec = ClusterSpec(
            nodes=tuple(f"n{i}" for i in range(1, nodes + 1)),
            client_hosts=("c1", "c2"),
            seed=7,
            run_dir=run_dir,
            keep=options.pop("keep", False),
            plan_ns=options.pop("plan_ns", 0),
        )
        self.cluster = LocalCluster(spec, self.system, **options)

    async def talk(self, node: str, host: str = "c1") -> Talk:
        """Connect, and hear the hello."""
        conn = await self.cluster.env.connect(host, node, parrot.Codec())
        assert await conn.recv() == (parrot.HELLO, node)
        return Talk(conn)

    async def meet(self) -> dict[str, Talk]:
        """Talk to each node, once all have found each other."""
        talks = {name: await self.talk(name) for name in self.cluster.nodes}
        for name, talk in talks.items():
            others = sorted(set(talks) - {name})
            while await talk.say("ways") != others:
                await self.cluster.env.sleep(5_000_000)
        return talks

    def run(self, story: Callable[[Aviary], Coroutine[Any, Any, Any]]) -> Any:
        """Set up, run `story(aviary)`, tear down, whatever happens."""

        async def whole() -> Any:
            try:
                await self.cluster.setup()
                return await self.cluster.env.timeout(STORY_NS_MAX, story(self))
            finally:
                left = await self.cluster.teardown()
                assert left == []

        return self.cluster.run(whole())


def listeners(block: AnyBlock) -> list[str]:
    """Addresses of a block that somebody listens on, as /proc/net/tcp has them."""
    found = []
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        fields = line.split()
        host, _, port = fields[1].partition(":")
        ip = ".".join(str(octet) for octet in reversed(bytes.fromhex(host)))
        if fields[3] == "0A" and block.holds((ip, int(port, 16))):
            found.append(f"{ip}:{int(port, 16)}")
    return found


def assert_nothing_left(cluster: LocalCluster) -> None:
    """No process with the run's token, no listener in its block."""
    assert processes.with_token(cluster.token) == []
    if cluster._block is not None:
        assert listeners(cluster._block) == []


@pytest.fixture
def aviary(tmp_path: Path) -> Iterator[Callable[..., Aviary]]:
    """Makes clusters: aviary(nodes=3, modes={"n1": "dies"}, **options of LocalCluster)."""
    made: list[Aviary] = []
    before = len(os.listdir("/proc/self/fd"))

    def make(**options: Any) -> Aviary:
        one = Aviary(tmp_path / f"run{len(made)}", **options)
        made.append(one)
        return one

    yield make
    for one in made:
        assert_nothing_left(one.cluster)
    assert len(os.listdir("/proc/self/fd")) <= before, "descriptors are left open"
