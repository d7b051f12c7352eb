"""Cluster `sim`: life cycle of nodes, pauses, disks, oracles, and the interface it promises."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dissensus.harness.cluster import CAPABILITIES, Cluster, Node
from dissensus.harness.clusters.sim import OracleAlarm, SimCluster
from dissensus.harness.env import Env, NotSent
from dissensus.harness.errors import EnvironmentFault, SystemFault, UserError
from dissensus.harness.sim.machine import Machine

MS = 1_000_000
Toy = Callable[..., SimCluster]
OpenClient = Callable[..., Any]


def machine_of(cluster: SimCluster, name: str) -> Machine:
    machine = cluster.nodes[name].machine  # type: ignore[attr-defined]
    assert isinstance(machine, Machine)
    return machine


def test_it_is_a_cluster_that_says_what_it_cannot_do(toy: Toy) -> None:
    cluster: Cluster = toy()
    env: Env = cluster.env
    node: Node = cluster.nodes["n1"]
    assert env.now() == 0
    assert node.data_dir is None
    assert cluster.capabilities | set(cluster.refusals) == set(CAPABILITIES)
    assert not cluster.capabilities & set(cluster.refusals)
    assert "env" in cluster.refusals["foreign-clients"]
    assert cluster.provenance()["cluster"] == "sim"


def test_a_system_without_a_simulated_node_is_refused(toy: Toy) -> None:
    cluster = toy()
    cluster.system.capabilities = frozenset()
    with pytest.raises(EnvironmentFault, match="'toy' has no simulated node"):
        SimCluster(cluster.spec, cluster.system)


def test_a_wiped_node_is_blank_and_its_name_is_gone(toy: Toy, toy_client: OpenClient) -> None:
    cluster = toy()
    node = cluster.nodes["n1"]

    async def main() -> None:
        await cluster.setup()
        client = await toy_client(cluster)
        await client.write(0, 1)
        with pytest.raises(UserError, match="n1 is up: only a dead node can be wiped"):
            await node.wipe()
        await node.kill()
        disk = machine_of(cluster, "n1").disk
        assert disk.names
        await node.wipe()
        assert not disk.names
        assert not disk.durable
        with pytest.raises(UserError, match="n1 was wiped: a blank node comes back under a new"):
            await node.start()

    cluster.run(main())


def test_kill_keeps_what_was_written_and_lose_unsynced_takes_it(
    toy: Toy, toy_client: OpenClient
) -> None:
    cluster = toy(bug="ack-before-fsync", fsync_ns=(50 * MS, 50 * MS))
    node = cluster.nodes["n1"]

    async def main() -> list[Any]:
        await cluster.setup()
        client = await toy_client(cluster)
        await client.write(0, 1)
        await node.kill()
        assert await node.state() == "down"
        assert await node.info() is None
        await node.start()
        await cluster.env.sleep(200 * MS)
        client = await toy_client(cluster)
        got = [await client.read(0, None)]
        await client.write(0, 2)
        got.append(await client.read(0, None))
        await node.kill()
        assert await node.lose_unsynced() == {"log": 7}
        await node.start()
        await cluster.env.sleep(200 * MS)
        client = await toy_client(cluster)
        got.append(await client.read(0, None))
        return got

    assert cluster.run(main()) == [1, 2, 1]


def test_what_was_acknowledged_after_the_fsync_survives(toy: Toy, toy_client: OpenClient) -> None:
    cluster = toy()
    node = cluster.nodes["n1"]

    async def main() -> Any:
        await cluster.setup()
        client = await toy_client(cluster)
        for value in range(5):
            await client.write(0, value)
        await node.kill()
        assert await node.lose_unsynced() == {"log": 0}
        await node.start()
        await cluster.env.sleep(10 * MS)
        return await (await toy_client(cluster)).read(0, None)

    assert cluster.run(main()) == 4


def test_life_cycle_mistakes_are_named(toy: Toy) -> None:
    cluster = toy()
    node = cluster.nodes["n1"]

    async def main() -> None:
        with pytest.raises(SystemFault, match="n1 is down"):
            await node.admin("campaign", {})
        await cluster.setup()
        for action, words in (
            (node.start, "only a node that is down can be started"),
            (node.resume, "only a paused node can be resumed"),
            (node.lose_unsynced, "only a dead node loses data"),
        ):
            with pytest.raises(UserError, match=words):
                await action()
        await node.pause()
        with pytest.raises(UserError, match="n1 is paused: only a node that is up can be paused"):
            await node.pause()

    cluster.run(main())


def test_after_a_pause_late_timers_come_before_everything_else(
    toy: Toy, toy_client: OpenClient
) -> None:
    cluster = toy()
    node = cluster.nodes["n1"]

    async def main() -> list[Any]:
        await cluster.setup()
        client = await toy_client(cluster)
        await client.write(0, 1)
        machine = machine_of(cluster, "n1")
        toy_node: Any = machine.node
        request = toy_node.request
        toy_node.request = lambda *args: (toy_node.seen.append("request"), request(*args))
        await node.pause()
        assert await node.state() == "paused"
        toy_node.seen.clear()
        write = cluster.env.spawn(client.write(0, 2), "write")
        await cluster.env.sleep(300 * MS)
        assert not write.done()
        assert toy_node.seen == []
        await node.resume()
        assert await write.join() == 2
        return list(toy_node.seen)[:2]

    assert cluster.run(main()) == [("timer", "beat"), "request"]


def test_a_timer_that_is_cancelled_by_another_late_one_is_not_delivered(toy: Toy) -> None:
    cluster = toy()
    node = cluster.nodes["n2"]

    async def main() -> list[Any]:
        await cluster.setup()
        machine = machine_of(cluster, "n2")
        toy_node: Any = machine.node
        toy_node.seen.clear()
        host = toy_node.host

        def timer(name: str) -> None:
            toy_node.seen.append(name)
            if name == "first":
                host.cancel_timer("second")
                host.set_timer("third", 5)

        toy_node.timer = timer
        host.cancel_timer("beat")
        for delay, name in enumerate(("first", "second", "third"), 1):
            host.set_timer(name, delay)
        await node.pause()
        await cluster.env.sleep(MS)
        await node.resume()
        await cluster.env.sleep(1)
        assert toy_node.seen == ["first"]
        await cluster.env.sleep(MS)
        return list(toy_node.seen)

    assert cluster.run(main()) == ["first", "third"]


def test_a_paused_node_that_is_killed_forgets_what_waited(toy: Toy) -> None:
    cluster = toy()
    node = cluster.nodes["n2"]

    async def main() -> None:
        await cluster.setup()
        await cluster.env.sleep(50 * MS)
        await node.pause()
        waiting = cluster.env.spawn(
            cluster.env.connect("c1", "n2", None),  # type: ignore[arg-type]
            "connect",
        )
        await cluster.env.sleep(50 * MS)
        await node.kill()
        with pytest.raises(NotSent, match="n2 died"):
            await waiting.join()
        toy_node: Any = machine_of(cluster, "n2").node
        toy_node.seen.clear()
        await cluster.env.sleep(50 * MS)
        assert toy_node.seen == []
        await node.start()
        await cluster.env.sleep(50 * MS)
        assert ("timer", "beat") in toy_node.seen

    cluster.run(main())


def test_info_and_admin_go_past_the_links(toy: Toy) -> None:
    cluster = toy()

    async def main() -> None:
        await cluster.setup()
        await cluster.links.cut(1, [(a, "n1") for a in ("n2", "n3", "c1", "c2", "c3")])
        info = await cluster.nodes["n1"].info()
        assert info is not None
        assert (info.up, info.role, info.term, info.extra) == (True, "leader", 1, {"size": 7})
        answer = await cluster.nodes["n1"].admin("campaign", {"now": True})
        assert answer == {"command": "campaign", "now": True}
        with pytest.raises(SystemFault, match="n1 died before it answered 'die'"):
            await cluster.nodes["n1"].admin("die", {})

    cluster.run(main())


def test_a_new_node_takes_part(toy: Toy) -> None:
    cluster = toy()

    async def main() -> None:
        await cluster.setup()
        node = await cluster.add_node("n4")
        assert machine_of(cluster, "n4").node.spec.join  # type: ignore[attr-defined]
        assert await node.state() == "up"
        assert all(r.open for r in await cluster.links.probe([("n1", "n4"), ("n4", "c1")]))
        with pytest.raises(UserError, match="host 'n4' exists already"):
            await cluster.add_node("n4")
        assert await cluster.teardown() == []

    cluster.run(main())


def test_a_panic_is_logged_and_the_node_is_down(
    toy: Toy, toy_client: OpenClient, tmp_path: Path
) -> None:
    cluster = toy(bug="panics")
    lines: list[tuple[str, dict[str, Any]]] = []
    cluster.observe = lambda kind, fields: lines.append((kind, fields))

    async def main() -> None:
        await cluster.setup()
        client = await toy_client(cluster)
        await client.write(0, 1)
        with pytest.raises(Exception, match="disconnected"):
            await client._ask(("panic", 0, None))
        assert await cluster.nodes["n1"].state() == "down"

    cluster.run(main())
    text = "AssertionError: the register is upside down in request (toy.py:"
    log = tmp_path / "nodes" / "n1" / "node.log"
    assert list(cluster.nodes["n1"].logs()) == [log]
    assert "PANIC " + text in log.read_text()
    assert cluster.nodes["n2"].logs() == []
    assert [v["name"] for v in cluster.violations] == ["panic"]
    assert lines[0][0] == "mark"
    assert text in lines[0][1]["text"]
    assert lines[1] == ("node", {"node": "n1", "up": False})


@pytest.mark.parametrize("bug", ["", "forked-digest"])
def test_the_oracle_sees_a_split_and_only_a_split(
    toy: Toy, toy_client: OpenClient, bug: str
) -> None:
    cluster = toy(bug=bug)
    lines: list[tuple[str, dict[str, Any]]] = []
    cluster.observe = lambda kind, fields: lines.append((kind, fields))

    async def main() -> None:
        await cluster.setup()
        await (await toy_client(cluster)).write(0, 1)
        await cluster.env.sleep(50 * MS)

    cluster.run(main())
    if not bug:
        assert cluster.violations == []
        assert lines == []
        return
    assert cluster.violations[0]["name"] == "state-machine-safety"
    assert cluster.violations[0]["index"] > 0
    assert [kind for kind, _ in lines[:3]] == ["node", "node", "mark"]
    assert lines[0][1]["digest"] != lines[1][1]["digest"]


def test_a_violation_can_stop_the_run(toy: Toy, toy_client: OpenClient) -> None:
    cluster = toy(bug="forked-digest", stop_on_violation=True)

    async def main() -> None:
        await cluster.setup()
        await (await toy_client(cluster)).write(0, 1)
        await cluster.env.sleep(10**15)

    with pytest.raises(OracleAlarm, match=r"state machine safety is broken at index \d+: n1"):
        cluster.run(main())
    assert cluster.env.now() < 10**9


@pytest.mark.parametrize("promised", [True, False])
def test_two_leaders_of_a_term_are_a_violation_where_the_system_promises_one(
    toy: Toy, promised: bool
) -> None:
    cluster = toy()
    if promised:
        cluster.system.capabilities |= {"election-safety"}
        cluster = SimCluster(cluster.spec, cluster.system)

    async def main() -> None:
        await cluster.setup()
        for name, role, term in (
            ("n1", "leader", 3),
            ("n1", "leader", 3),
            ("n2", "follower", 3),
            ("n2", "leader", 4),
            ("n3", "leader", 4),
        ):
            toy_node: Any = machine_of(cluster, name).node
            toy_node.host.report({"role": role, "term": term})

    cluster.run(main())
    texts = [v["text"] for v in cluster.violations]
    lines = ["election safety is broken: n2 and n3 both lead term 4"]
    assert texts == (lines if promised else [])


@pytest.mark.parametrize("changes", [True, False])
def test_a_message_that_changes_after_it_was_sent_is_a_panic(toy: Toy, changes: bool) -> None:
    cluster = toy(frozen_messages=True)

    async def main() -> None:
        await cluster.setup()
        sender: Any = machine_of(cluster, "n1").node
        message: list[Any] = ["beat", 1]
        sender.host.send("n2", message)
        if changes:
            message[1] = 2
        await cluster.env.sleep(50 * MS)

    cluster.run(main())
    texts = [v["text"] for v in cluster.violations]
    changed = "n2 panicked: n1 changed a message after sending it: ['beat', 1] became ['beat', 2]"
    assert texts == ([changed] if changes else [])
