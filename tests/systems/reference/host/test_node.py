"""The asyncio host, with a toy protocol: hellos, durability, timers, peers, operators, errors."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dissensus.harness.synced import read_synced
from dissensus.systems.reference.core.client_messages import ClientReply, ClientRequest
from dissensus.systems.reference.host.node import ENVIRONMENT_EXIT, PANIC_EXIT
from dissensus.systems.reference.wire.frames import (
    HEAD,
    AdminHello,
    AdminReply,
    AdminRequest,
    ClientHello,
    PeerHello,
    ServerHello,
)

CLIENT = ClientHello("test")
OPERATOR = AdminHello("run")


async def command(talker: Any, name: str, **args: Any) -> Any:
    """The operator's answer, or the text of its error."""
    talker.say(AdminRequest(1, name, json.dumps(args)))
    reply = await talker.hear()
    assert type(reply) is AdminReply
    return json.loads(reply.result)


async def until(talker: Any, op: tuple[Any, ...], wanted: Any) -> None:
    for _ in range(500):
        if wanted(await talker.ask(*op)):
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{op} never came to what was wanted")


def test_the_server_speaks_first_and_what_is_acknowledged_survives(toys: Any) -> None:
    async def story(cluster: Any) -> None:
        await cluster.start("n1")
        talker = await cluster.talk("n1", CLIENT)
        assert talker.hello == ServerHello("n1", 1, "run")
        for i in range(20):
            assert await talker.ask("put", f"k{i}", i) is True
        cluster.hosts["n1"].stop()
        assert await talker.closed()
        await cluster.start("n1")
        again = await cluster.talk("n1", CLIENT)
        assert again.hello.incarnation == 2
        assert [await again.ask("get", f"k{i}") for i in range(20)] == list(range(20))

    toys.run(story)


def test_a_held_fsync_holds_the_replies_that_wait_for_it(toys: Any) -> None:
    async def story(cluster: Any) -> None:
        host = await cluster.start("n1")
        operator = await cluster.talk("n1", OPERATOR)
        talker = await cluster.talk("n1", CLIENT)
        assert await command(operator, "hold-fsync", on=True) == {"held": True}
        before = read_synced(toys.folder / "n1")[1]
        talker.say(ClientRequest(0, 1, 0, ("put", "a", 1)), ClientRequest(0, 2, 0, ("get", "a")))
        assert (await talker.hear()).seq == 2  # early: it does not wait
        await asyncio.sleep(0.05)
        assert not talker.heard
        assert len(host.driver.outbox.held) == 1
        assert read_synced(toys.folder / "n1")[1] == before
        await command(operator, "hold-fsync", on=False)
        assert (await talker.hear()).seq == 1
        assert sum(read_synced(toys.folder / "n1")[1].values()) > sum(before.values())
        assert "true or on=false" in await command(operator, "hold-fsync", on="yes")

    toys.run(story)


def test_one_fsync_covers_a_batch(toys: Any) -> None:
    async def story(cluster: Any) -> None:
        host = await cluster.start("n1")
        talker = await cluster.talk("n1", CLIENT)
        before = host.store.counters["syncs"]
        talker.say(*(ClientRequest(0, i, 0, ("put", "a", i)) for i in range(500)))
        assert [(await talker.hear()).seq for _ in range(500)] == list(range(500))
        assert host.store.counters["syncs"] - before <= 5

    toys.run(story)


def test_expired_timers_come_before_queued_requests_after_a_pause(toys: Any) -> None:
    """A clock that jumps stands for SIGSTOP: the request is already in the inbox when it does."""

    async def story(cluster: Any) -> None:
        import time

        jump = 0
        host = await cluster.start("n1", clock=lambda: time.monotonic_ns() + jump)
        talker = await cluster.talk("n1", CLIENT)
        await talker.ask("lease", 60_000)
        assert await talker.ask("leased") is True
        answers: list[ClientReply] = []
        host.submit(Sink(answers), ClientRequest(0, 1, 0, ("leased",)))
        jump = 61_000_000_000
        host.submit(Sink(answers), ClientRequest(0, 2, 0, ("leased",)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert [reply.result for reply in answers] == [False, False]

    toys.run(story)


def test_the_clock_is_read_again_for_each_event(toys: Any) -> None:
    """The process stops in the middle of a batch: what is stepped after that sees no lease."""

    async def story(cluster: Any) -> None:
        import time

        jump = 0

        class Stopper(Sink):
            def deliver(self, result: Any) -> None:
                nonlocal jump
                jump = 61_000_000_000
                super().deliver(result)

        host = await cluster.start("n1", clock=lambda: time.monotonic_ns() + jump)
        talker = await cluster.talk("n1", CLIENT)
        await talker.ask("lease", 60_000)
        answers: list[ClientReply] = []
        host.submit(Stopper(answers), ClientRequest(0, 1, 0, ("leased",)))
        host.submit(Sink(answers), ClientRequest(0, 2, 0, ("leased",)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert [reply.result for reply in answers] == [True, False]

    toys.run(story)


class Sink:
    """A reply handle in this process."""

    def __init__(self, into: list[ClientReply]) -> None:
        self.into = into

    def deliver(self, result: Any) -> None:
        self.into.append(result)

    def flush(self) -> None:
        raise AssertionError("only connections are flushed")


def test_cancelled_timers_and_answers(toys: Any) -> None:
    async def story(cluster: Any) -> None:
        await cluster.start("n1")
        talker = await cluster.talk("n1", CLIENT)
        await talker.ask("lease", 20)
        await talker.ask("unlease")
        await until(talker, ("beats",), lambda beats: beats >= 5)
        assert await talker.ask("leased") is True
        await talker.ask("lease", 20)
        await until(talker, ("leased",), lambda leased: leased is False)
        assert await talker.ask("ask", "clock") > 0
        assert await talker.ask("ask", "entropy") != await talker.ask("ask", "entropy")

    toys.run(story)


def test_peers_find_each_other_in_any_order_and_after_a_restart(toys: Any) -> None:
    async def story(cluster: Any) -> None:
        await cluster.start("n1")
        one = await cluster.talk("n1", CLIENT)
        for i in range(3):
            await one.ask("tell", "n2", f"early{i}")  # waits in the queue: n2 is not there yet
        await cluster.start("n2")
        two = await cluster.talk("n2", CLIENT)
        early = ("n1:early0", "n1:early1", "n1:early2")
        await until(two, ("notes",), lambda notes: notes == early)
        cluster.hosts["n2"].stop()
        await cluster.start("n2")
        two = await cluster.talk("n2", CLIENT)
        await one.ask("tell", "n2", "again")
        await until(two, ("notes",), lambda notes: notes[-1:] == ("n1:again",))

    toys.run(story)


def test_queues_to_absent_peers_are_bounded(toys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from dissensus.systems.reference.host import links

    monkeypatch.setattr(links, "PEER_QUEUE_MAX", 10)

    async def story(cluster: Any) -> None:
        host = await cluster.start("n1")
        talker = await cluster.talk("n1", CLIENT)
        for i in range(25):
            await talker.ask("tell", "n2", str(i))
        assert host.links["n2"].dropped == 15
        operator = await cluster.talk("n1", OPERATOR)
        assert 'messages_dropped_total{node="n1"} 15.0' in await command(operator, "metrics")
        await talker.ask("tell", "n9", "nobody")
        assert host.counters["unroutable"] == 1

    toys.run(story)


def test_a_node_added_later_makes_itself_known(toys: Any) -> None:
    async def story(cluster: Any) -> None:
        await cluster.start("n1")
        cluster.members["n4"] = toys.free_ports(1)[0]
        await cluster.start("n4")
        one, four = await cluster.talk("n1", CLIENT), await cluster.talk("n4", CLIENT)
        await four.ask("tell", "n1", "hello")
        await until(one, ("notes",), lambda notes: notes == ("n4:hello",))
        await one.ask("tell", "n4", "welcome")
        await until(four, ("notes",), lambda notes: notes == ("n1:welcome",))

    toys.run(story)


@pytest.mark.parametrize(
    "hello",
    [
        PeerHello("n2", 1, "n3", "run", ("127.0.0.1", 1)),
        PeerHello("n1", 1, "n1", "run", ("127.0.0.1", 1)),
        PeerHello("n2", 1, "n1", "another run", ("127.0.0.1", 1)),
        AdminHello("another run"),
        ServerHello("n2", 1, "run"),
        ClientRequest(0, 1, 0, ("get", "a")),
    ],
    ids=lambda hello: type(hello).__name__,
)
def test_a_hello_that_does_not_fit_closes_the_connection(toys: Any, hello: Any) -> None:
    async def story(cluster: Any) -> None:
        host = await cluster.start("n1")
        assert await (await cluster.talk("n1", hello)).closed()
        assert host.counters["connection_errors"] >= 1
        assert await (await cluster.talk("n1", CLIENT)).ask("beats") >= 0

    toys.run(story)


def test_an_older_incarnation_is_refused_and_a_newer_takes_over(toys: Any) -> None:
    async def story(cluster: Any) -> None:
        await cluster.start("n1")
        address = ("127.0.0.1", 1)
        old = await cluster.talk("n1", PeerHello("n2", 5, "n1", "run", address))
        old.say(toys.Note("first"))
        new = await cluster.talk("n1", PeerHello("n2", 6, "n1", "run", address))
        assert await old.closed()
        late = await cluster.talk("n1", PeerHello("n2", 5, "n1", "run", address))
        assert await late.closed()
        new.say(toys.Note("second"))
        client = await cluster.talk("n1", CLIENT)
        await until(client, ("notes",), lambda notes: notes == ("n2:first", "n2:second"))

    toys.run(story)


def test_roles_keep_to_their_messages(toys: Any) -> None:
    async def story(cluster: Any) -> None:
        await cluster.start("n1")
        peer = PeerHello("n2", 1, "n1", "run", ("127.0.0.1", 1))
        wrong = [
            (CLIENT, toys.Note("spoof")),
            (CLIENT, AdminRequest(1, "status", "{}")),
            (CLIENT, ClientReply(0, 1, True, None, "", None)),
            (peer, ClientRequest(0, 1, 0, ("put", "a", 1))),
            (OPERATOR, toys.Note("spoof")),
        ]
        for hello, msg in wrong:
            talker = await cluster.talk("n1", hello)
            talker.say(msg)
            assert await talker.closed(), msg
        client = await cluster.talk("n1", CLIENT)
        assert await client.ask("notes") == ()
        assert await client.ask("get", "a") is None

    toys.run(story)


def test_a_peer_that_breaks_the_protocol_is_cut_off_and_counted(toys: Any) -> None:
    async def story(cluster: Any) -> None:
        host = await cluster.start("n1")
        peer = await cluster.talk("n1", PeerHello("n2", 1, "n1", "run", ("127.0.0.1", 1)))
        peer.say(toys.Note("bad"))
        assert await peer.closed()
        assert host.counters["peer_errors"] == 1
        assert "n2 sent a bad note" in cluster.logs["n1"].getvalue()

    toys.run(story)


def test_a_broken_invariant_is_a_panic(toys: Any) -> None:
    async def story(cluster: Any) -> None:
        host = await cluster.start("n1")
        peer = await cluster.talk("n1", PeerHello("n2", 1, "n1", "run", ("127.0.0.1", 1)))
        peer.say(toys.Note("crash"))
        assert await host.stopped == PANIC_EXIT
        assert await peer.closed()
        lines = cluster.logs["n1"].getvalue().splitlines()
        assert [line for line in lines if line.startswith("PANIC ")] == [
            "PANIC n1: InvariantError: a note said so"
        ]

    toys.run(story)


def test_a_full_disk_is_the_machines_fault(toys: Any) -> None:
    async def story(cluster: Any) -> None:
        host = await cluster.start("n1")
        talker = await cluster.talk("n1", CLIENT)

        def full(name: str, data: bytes) -> None:
            raise OSError(28, "No space left on device")

        host.files.append = full  # type: ignore[method-assign]
        talker.say(ClientRequest(0, 1, 0, ("put", "a", 1)))
        assert await host.stopped == ENVIRONMENT_EXIT
        text = cluster.logs["n1"].getvalue()
        assert "No space left on device" in text
        assert "PANIC" not in text

    toys.run(story)


def test_status_and_commands_of_the_core(toys: Any) -> None:
    async def story(cluster: Any) -> None:
        await cluster.start("n1")
        client = await cluster.talk("n1", CLIENT)
        for i in range(130):
            await client.ask("put", "a", i)
        operator = await cluster.talk("n1", OPERATOR)
        status = await command(operator, "status")
        assert status["role"] == "toy"
        assert status["digests"] == [[64, 64 * 7], [128, 128 * 7], [130, 130 * 7]]
        assert await command(operator, "dance", steps=3) == {
            "ok": True,
            "echo": ["dance", {"steps": 3}],
        }
        operator.say(AdminRequest(7, "status", "[1]"))
        reply = await operator.hear()
        assert (reply.id, reply.ok) == (7, False)

    toys.run(story)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(junk=st.lists(st.binary(min_size=1, max_size=200), min_size=1, max_size=20))
def test_random_bytes_close_their_connection_and_nothing_else(toys: Any, junk: list[bytes]) -> None:
    async def story(cluster: Any) -> None:
        await cluster.start("n1")
        good = await cluster.talk("n1", CLIENT)
        for number, piece in enumerate(junk):
            hello = (None, CLIENT, OPERATOR)[number % 3]
            bad = await cluster.talk("n1", hello)
            # A head that fits, then junk: gets past the length check half of the time.
            head = HEAD.pack(len(piece) + 10, 1, piece[0], 1) if number % 2 else b""
            bad.writer.write(head + piece)
            bad.writer.write_eof()
            while await bad.hear() is not None:
                pass
        assert await good.ask("put", "a", 1) is True

    toys.run(story)
