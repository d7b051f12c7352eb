"""Nodes of cluster `local`: processes that start, die, stand still, lose data, and say how."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dissensus.harness.env import DeadlineExceeded, Disconnected, NotSent
from dissensus.harness.errors import EnvironmentFault, SystemFault, UserError
from dissensus.harness.local import addresses, node, processes
from dissensus.harness.local.addresses import listener
from dissensus.harness.local.processes import TOKEN_VARIABLE, environment_of, stat_of

pytestmark = pytest.mark.cluster

Make = Callable[..., Any]

MS = 1_000_000


def test_a_killed_node_is_gone_and_comes_back(aviary: Make) -> None:
    async def story(a: Any) -> None:
        one = a.cluster.nodes["n1"]
        silent, talk = await a.talk("n1"), await a.talk("n1")
        assert await talk.say("echo", 0) == [0]
        pid = one.pid
        assert (await one.state(), one.exit_code()) == ("up", None)
        assert environment_of(pid)[TOKEN_VARIABLE] == a.cluster.token
        assert stat_of(pid)[1] == pid, "a process group of its own"
        await one.kill()
        await one.kill()
        assert (await one.state(), one.exit_code()) == ("down", -9)
        assert stat_of(pid) is None
        with pytest.raises(Disconnected):
            await talk.say("echo", 1)
        with pytest.raises(NotSent):
            await silent.say("echo", 1)
        with pytest.raises(NotSent):
            await a.talk("n1")
        await one.start()
        assert (await one.state(), one.exit_code()) == ("up", None)
        assert await (await a.talk("n1")).say("echo", 2) == [2]
        with pytest.raises(UserError, match="n1 is up: only a node that is down"):
            await one.start()

    aviary().run(story)


def test_a_paused_node_stands_still_with_its_sockets_open(aviary: Make) -> None:
    async def story(a: Any) -> None:
        env, one = a.cluster.env, a.cluster.nodes["n1"]
        talk = await a.talk("n1")
        await one.pause()
        assert await one.state() == "paused"
        assert stat_of(one.pid)[0] == "T"
        asked = env.spawn(talk.say("echo", "later"), "ask")
        with pytest.raises(DeadlineExceeded):
            await env.timeout(50 * MS, a.talk("n1"))
        assert not asked.done()
        with pytest.raises(UserError, match="n1 is paused: only a node that is up"):
            await one.pause()
        await one.resume()
        assert await one.state() == "up"
        assert await asked.join() == ["later"]
        with pytest.raises(UserError, match="n1 is up: only a paused node"):
            await one.resume()
        await one.pause()
        await one.kill()
        assert await one.state() == "down"

    aviary().run(story)


def test_what_was_not_synced_is_lost(aviary: Make) -> None:
    async def story(a: Any) -> None:
        one = a.cluster.nodes["n1"]
        talk = await a.talk("n1")
        await talk.say("write", "durable, not so", 7)
        with pytest.raises(UserError, match="n1 is up: only a dead node"):
            await one.lose_unsynced()
        await one.kill()
        assert await one.unsynced() == {"store/log": 8}
        assert await one.lose_unsynced() == {"store/log": 8}
        assert (one.data_dir / "store/log").read_text() == "durable"
        assert await one.unsynced() == {}
        await a.cluster.nodes["n2"].kill()
        with pytest.raises(SystemFault, match="no such file"):
            await a.cluster.nodes["n2"].lose_unsynced()

    aviary().run(story)


def test_a_blank_node_joins_under_a_new_name(aviary: Make) -> None:
    async def story(a: Any) -> None:
        with pytest.raises(UserError, match="host 'n3' exists already"):
            await a.cluster.add_node("n3")
        await a.cluster.nodes["n3"].kill()
        four = await a.cluster.add_node("n4")
        assert four.spec.join
        assert list(four.spec.peers) == ["n1", "n2", "n3", "n4"]
        assert four.spec.initial == ("n1", "n2", "n3")
        talk = await a.talk("n4")
        while await talk.say("ways") != ["n1", "n2"]:
            await a.cluster.env.sleep(5 * MS)
        await a.cluster.links.cut(1, [("n4", "n1")])
        reaches = await a.cluster.links.probe([("n4", "n1"), ("n1", "n4"), ("c1", "n4")])
        assert [reach.open for reach in reaches] == [False, True, True]
        assert list(a.cluster.provenance()["addresses"]["nodes"]) == ["n1", "n2", "n3", "n4"]

    aviary().run(story)


def test_an_end_that_nobody_asked_for_is_told(aviary: Make) -> None:
    seen: list[Any] = []

    async def story(a: Any) -> None:
        a.cluster.observe = lambda kind, fields: seen.append((kind, fields))
        await a.cluster.nodes["n3"].kill()
        talk = await a.talk("n2")
        with pytest.raises(Disconnected):
            await talk.say("exit", 5)
        while not seen:
            await a.cluster.env.sleep(MS)
        assert a.cluster.nodes["n2"].exit_code() == 5

    aviary().run(story)
    log = ["up n2", "my last words"]
    assert seen == [("node", {"node": "n2", "up": False, "exit_code": 5, "log": log})]


def test_a_node_that_dies_at_once_is_the_systems_fault(aviary: Make) -> None:
    async def story(a: Any) -> None:
        raise AssertionError("it is up")

    words = r"n2 ended with exit code 7 before it was ready; the end of .*node\.log:\n +no such th"
    with pytest.raises(SystemFault, match=words):
        aviary(modes={"n2": "dies"}).run(story)


def test_a_node_that_never_becomes_ready(aviary: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(a: Any) -> None:
        raise AssertionError("it is up")

    # Long enough for a process to begin on a busy machine.
    monkeypatch.setattr(node, "READY_NS_MAX", 1500 * MS)
    with pytest.raises(SystemFault, match=r"(?s)n1 was not ready after 1\.5 s.*thinking"):
        aviary(modes={"n1": "deaf"}).run(story)


def test_a_program_that_is_not_there(aviary: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(a: Any) -> None:
        raise AssertionError("it is up")

    one = aviary()
    monkeypatch.setattr(type(one.system), "argv", lambda *_: ["no-such-program"])
    with pytest.raises(SystemFault, match="cannot run 'no-such-program': No such file"):
        one.run(story)


def test_children_of_a_node_die_with_it_wherever_they_went(aviary: Make) -> None:
    async def story(a: Any) -> None:
        mine = [w.pid for w in processes.with_token(a.cluster.token) if w.node == "n1"]
        assert len(mine) == 2
        await a.cluster.nodes["n1"].kill()
        assert [w for w in processes.with_token(a.cluster.token) if w.node == "n1"] == []

    aviary(modes={"n1": "forks"}).run(story)


def test_a_busy_address_is_named(aviary: Make) -> None:
    async def story(a: Any) -> None:
        one = a.cluster.nodes["n1"]
        await one.kill()
        ip, port = one.spec.listen["client"]
        with listener((ip, port)), pytest.raises(EnvironmentFault, match=f"{ip}:{port} is in use"):
            await one.start()
        await one.start()

    aviary().run(story)


def test_blocks_that_are_taken_are_passed_over(
    aviary: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(a: Any) -> None:
        taken = a.cluster.block
        free = addresses.Block(a=taken.a, b=(taken.b + 4) % 256, ports=1)
        blocks = [taken, free]
        monkeypatch.setattr("dissensus.harness.clusters.local.candidates", lambda *_: blocks)

        other = aviary()

        async def inner() -> None:
            try:
                await other.cluster.setup()
                assert other.cluster.block == free
                talks = await other.meet(), await a.meet()
                await a.cluster.links.cut(1, [("n1", "n2")])
                assert await other.cluster.links.faults() == []
                assert await talks[0]["n1"].say("echo", 1) == [1]
            finally:
                assert await other.cluster.teardown() == []

        await inner()
        blocks.pop()
        third = aviary()
        with pytest.raises(EnvironmentFault, match=f"{taken.control[0]}:7400 in use"):
            await third.cluster.setup()
        assert await third.cluster.teardown() == []

    aviary().run(story)


def test_provenance_says_what_the_network_is(aviary: Make) -> None:
    async def story(a: Any) -> None:
        said = a.cluster.provenance()
        block = str(a.cluster.block)
        assert (said["cluster"], said["network"]) == ("local", "tcp-relay")
        assert said["addresses"]["block"] == block
        assert set(said["addresses"]["clients"]) == {"c1", "c2"}
        known = a.cluster.capabilities | set(a.cluster.refusals)
        from dissensus.harness.cluster import CAPABILITIES

        assert known == set(CAPABILITIES)

    aviary().run(story)


def test_strangers_are_not_let_in(aviary: Make) -> None:
    async def story(a: Any) -> None:
        import asyncio

        ip, port = a.cluster.nodes["n1"].spec.peers["n1"]["client"]

        async def call() -> None:
            reader, writer = await asyncio.open_connection(ip, port)
            try:
                await reader.read(1)
            finally:
                writer.close()

        with pytest.raises(ConnectionResetError):
            await call()
        log = (a.cluster.spec.run_dir / "relay.log").read_text()
        assert "reset a call to n1 from 127.0.0.1:" in log
        status = await a.cluster._client().call("status")
        assert status["strangers"] == 1

    aviary().run(story)


def test_a_relay_that_dies_is_an_error_and_nothing_stays(aviary: Make) -> None:
    async def story(a: Any) -> None:
        from dissensus.harness.errors import InternalError

        await a.meet()
        relay = [w for w in processes.with_token(a.cluster.token) if not w.node]
        os.kill(relay[0].pid, signal.SIGKILL)
        for i in range(2):  # at the first the connection may not know yet
            with pytest.raises(InternalError, match="the relay is gone"):
                await a.cluster.links.heal(i)

    aviary().run(story)


def test_clusters_come_and_go_without_leaving_descriptors(aviary: Make, tmp_path: Path) -> None:
    async def story(a: Any) -> None:
        await a.cluster.links.probe([("n1", "n2"), ("c1", "n1")])
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(3):
            talk = await a.talk("n1")
            talk.conn.close()
            await a.cluster.links.probe([("n1", "n2"), ("c1", "n1")])
            await a.cluster.nodes["n2"].kill()
            await a.cluster.nodes["n2"].start()
        await a.cluster.env.sleep(10 * MS)
        assert len(os.listdir("/proc/self/fd")) <= before

    aviary().run(story)


def test_a_relay_without_descriptors_serves_again_when_it_has_some(aviary: Make) -> None:
    async def story(a: Any) -> None:
        import resource

        env = a.cluster.env
        await a.meet()
        [relay] = [w.pid for w in processes.with_token(a.cluster.token) if not w.node]
        used = len(os.listdir(f"/proc/{relay}/fd"))
        limits = resource.prlimit(relay, resource.RLIMIT_NOFILE)
        resource.prlimit(relay, resource.RLIMIT_NOFILE, (used + 1, limits[1]))
        with pytest.raises(NotSent):  # accepted, and not dialled
            await a.talk("n1")
        resource.prlimit(relay, resource.RLIMIT_NOFILE, (used, limits[1]))
        waiting = [env.spawn(a.talk("n1"), f"talk {i}") for i in range(3)]
        with pytest.raises(EnvironmentFault, match=r"relay: .*Too many open files"):
            await a.cluster.links.probe([("n1", "n2")])
        log = a.cluster.spec.run_dir / "relay.log"
        for _ in range(1000):
            if "cannot accept for n1: [Errno 24]" in log.read_text():
                break
            await env.sleep(5 * MS)
        assert not any(task.done() for task in waiting)
        resource.prlimit(relay, resource.RLIMIT_NOFILE, limits)
        for task in waiting:
            assert await (await task.join()).say("echo", 1) == [1]

    aviary().run(story)


def test_a_node_that_calls_over_ipv6_sockets_is_known(aviary: Make) -> None:
    """As a JVM does: an IPv4 address, called from a socket of IPv6."""

    async def story(a: Any) -> None:
        await a.meet()
        await a.cluster.links.cut(1, [("n1", "n2")])
        assert await (await a.talk("n1")).say("ways") == ["n2"]

    if not Path("/proc/net/tcp6").exists():
        pytest.skip("this kernel has no IPv6")
    aviary(nodes=2, modes={"n1": "ipv6", "n2": "ipv6"}).run(story)


def test_a_cluster_lives_through_several_runs_of_its_loop(aviary: Make) -> None:
    one = aviary()
    seen: list[Any] = []
    one.cluster.observe = lambda kind, fields: seen.append(fields["node"])

    async def talk(words: list[Any]) -> Any:
        return await (await one.talk("n1")).say(*words)

    async def wait() -> None:
        with pytest.raises(Disconnected):
            await talk(["exit", 3])
        while not seen:
            await one.cluster.env.sleep(MS)

    one.cluster.run(one.cluster.setup())
    assert one.cluster.run(talk(["echo", 1])) == [1]
    one.cluster.run(wait())
    assert seen == ["n1"]
    assert one.cluster.run(one.cluster.teardown()) == []


def test_a_program_beside_the_user_is_found(aviary: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path in argv is one of the harness, though nodes run in their data directory."""

    async def story(a: Any) -> None:
        assert await (await a.talk("n1")).say("echo", 1) == [1]

    one = aviary()
    whole = one.system.argv
    program = os.path.relpath(sys.executable)
    monkeypatch.setattr(one.system, "argv", lambda spec: [program, *whole(spec)[1:]])
    one.run(story)
