"""The simulator runs the same core, driver and store as the asyncio host, here with the toy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dissensus.harness.cluster import ClusterSpec
from dissensus.harness.clusters.sim import SimCluster
from dissensus.harness.env import Disconnected
from dissensus.harness.errors import UserError
from dissensus.harness.system import System
from dissensus.systems.reference.core.client_messages import ClientRequest
from dissensus.systems.reference.core.effects import Persist, Reply
from dissensus.systems.reference.host.sim import CoreNode
from dissensus.systems.reference.wire.frames import ClientHello, ServerHello, client_codec

MS = 1_000_000


class ToySystem(System):
    """Nodes of the toy protocol; `early` makes it acknowledge before its fsync."""

    name = "toy"
    capabilities = frozenset({"sim", "status"})

    def __init__(self, toys: Any, early: bool) -> None:
        self.toys = toys
        self.core = toys.Toy if not early else early_toy(toys.Toy)

    def argv(self, spec: Any) -> Any:
        raise AssertionError("no process is started")

    def client(self, workload: str) -> Any:
        raise AssertionError("the test has a client of its own")

    def sim_node(self, spec: Any) -> Any:
        return CoreNode(
            spec.name,
            lambda: self.core(spec.name),
            self.toys.ToyFormat(),
            self.toys.kit.admin_op,
            segment_bytes=200,
        )


def early_toy(toy: Any) -> Any:
    class Early(toy):  # type: ignore[misc]
        def step(self, event: Any) -> Any:
            effects = super().step(event)
            if any(type(effect) is Persist for effect in effects):
                for effect in effects:
                    if type(effect) is Reply:
                        effect.early = True
            return effects

    return Early


class SimTalker:
    """A client's connection in virtual time."""

    def __init__(self, conn: Any) -> None:
        self.conn = conn
        self.seq = 0

    async def ask(self, *op: Any) -> Any:
        self.seq += 1
        await self.conn.send(ClientRequest(0, self.seq, 0, op))
        return (await self.conn.recv()).result


async def talk(cluster: Any, node: str) -> tuple[SimTalker, Any]:
    conn = await cluster.env.connect("c1", node, client_codec())
    hello = await conn.recv()
    await conn.send(ClientHello("test"))
    return SimTalker(conn), hello


@pytest.fixture
def world(toys: Any, tmp_path: Path) -> Any:
    def make(early: bool = False) -> SimCluster:
        spec = ClusterSpec(nodes=("n1", "n2"), client_hosts=("c1",), seed=3, run_dir=tmp_path)
        return SimCluster(spec, ToySystem(toys, early))

    return make


async def write_and_lose(cluster: Any) -> list[Any]:
    """30 acknowledged writes, then power fails at once; what is read after."""
    await cluster.setup()
    node = cluster.nodes["n1"]
    talker, hello = await talk(cluster, "n1")
    assert hello == ServerHello("n1", 1, "")
    for i in range(30):
        assert await talker.ask("put", f"k{i}", i) is True
    await node.kill()
    await node.lose_unsynced()
    with pytest.raises(Disconnected):
        await talker.ask("get", "k0")
    await node.start()
    await cluster.env.sleep(50 * MS)
    talker, hello = await talk(cluster, "n1")
    assert hello.incarnation == 2
    return [await talker.ask("get", f"k{i}") for i in range(30)]


def test_what_is_acknowledged_survives_power_failure(world: Any) -> None:
    cluster = world()
    assert cluster.run(write_and_lose(cluster)) == list(range(30))
    assert not cluster.violations


def test_acknowledging_before_the_fsync_loses_it(world: Any) -> None:
    cluster = world(early=True)
    values = cluster.run(write_and_lose(cluster))
    assert None in values


def test_messages_timers_commands_and_panics(world: Any, toys: Any) -> None:
    cluster = world()

    async def main() -> None:
        await cluster.setup()
        one, _ = await talk(cluster, "n1")
        two, _ = await talk(cluster, "n2")
        await one.ask("tell", "n2", "hello")
        await one.ask("tell", "n2", "bad")  # a PeerError: counted, and n2 lives
        await one.ask("lease", 100)
        assert await one.ask("leased") is True
        await cluster.env.sleep(150 * MS)
        assert await one.ask("leased") is False
        assert await two.ask("notes") == ("n1:hello",)
        assert await two.ask("beats") > 5
        answer = await cluster.nodes["n1"].admin("dance", {"steps": 2})
        assert answer == {"ok": True, "echo": ("dance", {"steps": 2})}
        assert (await cluster.nodes["n1"].info()).role == "toy"
        await one.ask("tell", "n2", "crash")
        await cluster.env.sleep(10 * MS)
        assert await cluster.nodes["n2"].state() == "down"

    cluster.run(main())
    log = cluster.nodes["n2"].machine
    assert log.node.peer_errors == 1
    assert any("a note said so" in path.read_text() for path in cluster.nodes["n2"].logs())


@pytest.mark.parametrize("early", [False, True])
def test_a_held_fsync_holds_what_waits_for_it(world: Any, early: bool) -> None:
    cluster = world(early)
    node = cluster.nodes["n1"]

    async def main() -> bool:
        await cluster.setup()
        await cluster.env.sleep(10 * MS)
        talker, _ = await talk(cluster, "n1")
        with pytest.raises(UserError, match="on=true or on=false, not None"):
            await node.admin("hold-fsync", {})
        assert await node.admin("hold-fsync", {"on": True}) == {"held": True}
        task = cluster.env.spawn(talker.ask("put", "k", 1), "put")
        await cluster.env.sleep(100 * MS)
        answered = task.done()
        await node.admin("hold-fsync", {"on": False})
        assert await task.join() is True
        return answered

    assert cluster.run(main()) is early
