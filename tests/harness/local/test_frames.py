"""The relay's frame finder: however a stream is cut into pieces, nothing is lost, and what is held
is whole frames of the kinds asked for.
"""

from __future__ import annotations

from collections.abc import Collection
from struct import Struct

from hypothesis import given
from hypothesis import strategies as st

from dissensus.harness.local import frames
from dissensus.harness.local.frames import Framer

HEAD = Struct(">IBB")
Frame = tuple[int, bytes]


def encoded(found: Collection[Frame]) -> bytes:
    return b"".join(HEAD.pack(len(body) + 2, 1, kind) + body for kind, body in found)


streams = st.lists(st.tuples(st.integers(0, 3), st.binary(max_size=20)), max_size=12)
cuts = st.lists(st.integers(1, 30), min_size=1, max_size=40)


def pieces(data: bytes, sizes: list[int]) -> list[bytes]:
    found = []
    for size in sizes * (len(data) + 1):
        if not data:
            break
        found.append(data[:size])
        data = data[size:]
    return found


@given(streams, cuts)
def test_all_passes_while_nothing_is_held(stream: list[Frame], sizes: list[int]) -> None:
    framer = Framer()
    data = encoded(stream)
    passed = b"".join(framer.feed(piece, ()) for piece in pieces(data, sizes))
    assert passed + framer.rest() == data
    assert framer.between
    assert not framer.broken


@given(streams, cuts, st.sets(st.integers(0, 3)))
def test_held_kinds_wait_and_keep_their_order(
    stream: list[Frame], sizes: list[int], kinds: set[int]
) -> None:
    framer = Framer()
    passed = b"".join(framer.feed(piece, kinds) for piece in pieces(encoded(stream), sizes))
    held = [frame for frame in stream if frame[0] in kinds]
    assert passed == encoded([frame for frame in stream if frame[0] not in kinds])
    assert framer.held == len(held)
    one = {kind for kind, _ in held[:1]}
    assert framer.release(kinds - one) == encoded([f for f in held if f[0] in one])
    assert framer.release(()) == encoded([f for f in held if f[0] not in one])
    assert framer.held == 0


@given(streams, cuts, st.integers(0, 40), st.integers(0, 40))
def test_a_hold_that_comes_and_goes_never_breaks_a_frame(
    stream: list[Frame], sizes: list[int], begin: int, end: int
) -> None:
    framer = Framer()
    passed = b""
    for number, piece in enumerate(pieces(encoded(stream), sizes)):
        kinds = {1} if begin <= number < end else set()
        passed += framer.feed(piece, kinds)
        if not kinds and framer.held and framer.between:
            passed += framer.release(())
    passed += framer.release(())
    check = Framer()
    assert check.feed(passed, {0, 1, 2, 3}) == b""
    assert sorted(check.release(())) == sorted(encoded(stream))
    assert check.held == 0


def test_a_stream_that_speaks_something_else_passes_whole() -> None:
    for kinds in (set[int](), {1}):
        framer = Framer()
        assert framer.feed(encoded([(2, b"ok")]) + b"\xff\xff\xff\xff GET /", kinds)[8:] == (
            b"\xff\xff\xff\xff GET /"
        )
        assert framer.broken
        assert framer.feed(encoded([(1, b"")]), kinds) == encoded([(1, b"")])


def test_what_is_held_is_bounded(monkeypatch: object) -> None:
    framer = Framer()
    size = frames.HELD_BYTES_MAX // 2
    big = encoded([(1, b"x" * size)])
    assert framer.feed(big + big + big, {1}) == big
    assert framer.held == 2
