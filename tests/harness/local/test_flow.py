"""Flows of the relay in this process: a loop of its own, socket pairs, and hands on both ends."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from dissensus.harness.cluster import Shape
from dissensus.harness.local import flow
from dissensus.harness.local.addresses import listener
from dissensus.harness.local.flow import Connection, prepare
from dissensus.harness.local.links import Link
from dissensus.harness.local.loop import Loop
from dissensus.harness.randomness import Rng

MS = 1_000_000


class Bench:
    """One connection between `a` and `b`: what `a` sends goes over `there`."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.there = Link(Rng(1, "there"))
        self.back = Link(Rng(1, "back"))
        self.closed = 0
        self.a, near = tcp_pair()
        self.b, far = tcp_pair()
        for sock in (near, far):
            prepare(sock)
        self.connection = Connection(
            self.loop, near, far, self.there, self.back, framed=False, on_close=self._close
        )

    def _close(self, _: Connection) -> None:
        self.closed += 1

    def turn(self, ms: int = 20) -> None:
        """Let the relay work for a while."""
        self.loop.at(self.loop.now() + ms * MS, self.loop.stop)
        self.loop.run()

    def until(self, done: Callable[[], bool]) -> None:
        for _ in range(500):
            if done():
                return
            self.turn(10)
        raise AssertionError("it did not happen")

    def heard(self, sock: socket.socket) -> bytes:
        """What has arrived: bytes, b"" for an end, and an error for a reset."""
        with suppress(BlockingIOError):
            return sock.recv(1 << 20)
        return b"(nothing)"

    def end(self) -> None:
        self.connection.abort()
        self.a.close()
        self.b.close()


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with listener(("127.0.0.1", 0)) as server:
        one = socket.create_connection(server.getsockname())
        other, _ = server.accept()
    one.setblocking(False)
    return one, other


@pytest.fixture
def bench() -> Iterator[Bench]:
    one = Bench()
    yield one
    one.end()
    assert one.closed == 1
    assert not one.there.travellers
    assert not one.back.travellers


def test_bytes_and_ends_travel_both_ways(bench: Bench) -> None:
    bench.a.send(b"to b")
    bench.b.send(b"to a")
    bench.turn()
    assert (bench.heard(bench.a), bench.heard(bench.b)) == (b"to a", b"to b")
    bench.a.shutdown(socket.SHUT_WR)
    bench.turn()
    assert bench.heard(bench.b) == b""
    bench.b.send(b"still")
    bench.turn()
    assert bench.heard(bench.a) == b"still"
    assert bench.closed == 0
    bench.b.close()
    bench.turn()
    assert bench.heard(bench.a) == b""
    assert bench.closed == 1


def test_a_reset_travels(bench: Bench) -> None:
    flow.reset(bench.a)
    bench.turn()
    with pytest.raises(ConnectionResetError):
        bench.heard(bench.b)


def test_a_write_to_the_dead_comes_back_as_a_reset(bench: Bench) -> None:
    bench.b.shutdown(socket.SHUT_WR)
    bench.turn()
    assert bench.heard(bench.a) == b""
    bench.b.close()
    bench.a.send(b"anybody there?")
    bench.turn()
    bench.a.send(b"hello?")
    bench.turn()
    assert bench.closed == 1
    with pytest.raises(ConnectionError):
        bench.a.send(b"nobody")


def test_an_end_behind_a_cut_waits(bench: Bench) -> None:
    bench.there.cut(1, 0)
    bench.a.send(b"last words")
    bench.a.close()
    bench.turn()
    assert bench.heard(bench.b) == b"(nothing)"
    bench.b.send(b"are you there?")  # this direction is open, and meets nobody
    bench.turn()
    bench.b.send(b"are you?")
    bench.turn()
    assert bench.heard(bench.b) == b"(nothing)"
    assert bench.closed == 0
    bench.there.heal(1)
    bench.turn()
    # The dead do not take what was sent to them: reset, and the last words may go with that.
    assert bench.closed == 1
    with pytest.raises(ConnectionResetError):
        bench.heard(bench.b)


def test_what_is_under_way_at_a_cut_is_held_too(bench: Bench) -> None:
    bench.there.shape(1, Shape(delay_ns=50 * MS))
    bench.a.send(b"slow")
    bench.turn(10)
    bench.there.cut(2, bench.loop.now())
    bench.turn(80)
    assert bench.heard(bench.b) == b"(nothing)"
    bench.there.heal(2)
    bench.turn()
    assert bench.heard(bench.b) == b"slow"


def test_jitter_keeps_the_order_and_a_healed_shape_lets_go(bench: Bench) -> None:
    bench.there.shape(1, Shape(delay_ns=20 * MS, jitter_ns=20 * MS))
    for i in range(50):
        bench.a.send(bytes([i]))
        bench.turn(1)
    heard = b""

    def all_heard() -> bool:
        nonlocal heard
        got = bench.heard(bench.b)
        heard += b"" if got == b"(nothing)" else got
        return len(heard) == 50

    bench.until(all_heard)
    assert heard == bytes(range(50))
    bench.there.shape(2, Shape(delay_ns=60_000 * MS))
    bench.a.send(b"years away")
    bench.turn()
    bench.there.heal(2)
    bench.there.heal(1)
    bench.turn()
    assert bench.heard(bench.b) == b"years away"


def test_backpressure_reaches_the_sender_and_nothing_is_lost(bench: Bench) -> None:
    bench.there.shape(1, Shape(delay_ns=5 * MS))
    sent = 0
    block = bytes(range(256)) * 256
    full = 0
    while full < 3:  # until neither the relay nor a kernel takes any more
        try:
            sent += bench.a.send(block[sent % 256 :])
            full = 0
        except BlockingIOError:
            full += 1
            bench.turn(20)
    assert sent < 64 << 20
    received = bytearray()

    def drained() -> bool:
        got = bench.heard(bench.b)
        received.extend(b"" if got == b"(nothing)" else got)
        return len(received) == sent

    bench.until(drained)
    pattern = bytes(range(256)) * (sent // 256 + 1)
    assert received == pattern[:sent]


def test_total_loss_ends_in_a_reset(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow, "GIVE_UP_NS", 30 * MS)
    bench.there.shape(1, Shape(loss_ppm=1_000_000))
    bench.a.send(b"lost")
    bench.turn(10)
    assert bench.closed == 0
    bench.turn(60)
    assert bench.closed == 1
    with pytest.raises(ConnectionResetError):
        bench.heard(bench.a)


def test_shapes_add_up() -> None:
    link = Link(Rng(1, "x"))
    link.shape(1, Shape(delay_ns=5, loss_ppm=600_000, rate_bps=1000))
    link.shape(2, Shape(delay_ns=7, jitter_ns=3, loss_ppm=600_000, rate_bps=300))
    link.cut(3, 0)
    link.hold(4, 9)
    assert (link.delay_ns, link.jitter_ns, link.loss_ppm, link.rate_bps) == (12, 3, 1_000_000, 300)
    assert (link.is_cut, link.kinds, link.plain) == (True, {9}, False)
    assert link.faults() == {1, 2, 3, 4}
    for fault in (4, 3, 2, 2, 1):
        link.heal(fault)
    assert (link.delay_ns, link.rate_bps, link.plain, link.faults()) == (0, 0, True, set())


def test_jitter_spreads_what_arrives_on_both_sides_of_the_delay() -> None:
    link = Link(Rng(1, "x"))
    link.shape(1, Shape(delay_ns=20 * MS, jitter_ns=10 * MS))
    arrivals = [link.release_ns(10, 0) for _ in range(1000)]
    assert 10 * MS <= min(arrivals) < 12 * MS
    assert 28 * MS < max(arrivals) <= 30 * MS


def test_a_rate_counts_every_stream_and_loss_every_packet() -> None:
    link = Link(Rng(1, "x"))
    link.shape(1, Shape(rate_bps=1000))
    assert link.release_ns(500, 0) == 500 * MS
    assert link.release_ns(500, 0) == 1000 * MS
    assert link.release_ns(0, 5000 * MS) == 5000 * MS
    link.heal(1)
    link.shape(2, Shape(loss_ppm=100_000))
    small = sum(link.release_ns(10, 0) > 0 for _ in range(1000))
    large = sum(link.release_ns(14_480, 0) > 0 for _ in range(1000))
    assert 50 <= small <= 150
    assert 550 <= large <= 750
