"""Frames: what goes in comes out, in pieces of any size; anything else is a FrameError."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dissensus.systems.reference.core.client_messages import (
    ClientRequest,
    OpenSession,
)
from dissensus.systems.reference.core.durable import Append, Entry, Hard, Snapshot
from dissensus.systems.reference.raft.messages import MESSAGES
from dissensus.systems.reference.wire.frames import (
    HEAD,
    Codec,
    FrameError,
    client_codec,
    node_schema,
)
from dissensus.systems.reference.wire.patches import LogFormat
from dissensus.systems.reference.wire.schema import Schema

SCHEMA = node_schema(MESSAGES)
U63 = st.integers(0, 2**63 - 1)
SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=9)
OPS = st.lists(SCALARS | st.lists(st.text(max_size=3), max_size=3).map(tuple), max_size=4)
ENTRIES = st.builds(
    Entry,
    term=U63,
    kind=st.integers(0, 3),
    session=U63,
    seq=U63,
    acked=U63,
    op=OPS.map(tuple),
)
BY_TYPE = {
    "int": U63,
    "bool": st.booleans(),
    "str": st.text(max_size=9),
    "bytes": st.binary(max_size=20),
    "Optional[str]": st.none() | st.text(max_size=9),
    "List[Entry]": st.lists(ENTRIES, max_size=4),
    "OpFields": OPS.map(tuple),
    "Result": SCALARS | st.lists(SCALARS, max_size=3).map(tuple),
    "tuple[str, int]": st.tuples(st.text(max_size=9), U63),
    "Tuple[Tuple[str, ...], ...]": st.lists(
        st.lists(st.text(max_size=3), max_size=3).map(tuple), max_size=4
    ).map(tuple),
}
"""Annotation, as it is written, -> its values."""


def instances(cls: Any) -> st.SearchStrategy[Any]:
    """Any message of this class whose field types are in the table above."""
    return st.builds(cls, *(BY_TYPE[str(field.type)] for field in fields(cls)))


ALL = st.one_of([instances(cls) for cls in SCHEMA.encoders])


@given(messages=st.lists(ALL, max_size=6), cuts=st.lists(st.integers(0, 2000), max_size=6))
def test_messages_survive_the_wire_in_pieces_of_any_size(
    messages: list[Any], cuts: list[int]
) -> None:
    out, back = Codec(SCHEMA), Codec(SCHEMA)
    stream = b"".join(out.encode(msg) for msg in messages)
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    got: list[Any] = []
    for start, end in pairwise(edges):
        got += back.feed(stream[start:end])
    assert got == messages
    # Equal is not enough: state machines tell True from 1, and digests a list from a tuple.
    assert [repr(msg) for msg in got] == [repr(msg) for msg in messages]
    assert back.lamport == len(messages)


@given(patch=instances(Append) | instances(Hard) | instances(Snapshot))
def test_patches_survive_the_disk(patch: Any) -> None:
    form = LogFormat()
    assert repr(form.decode(*form.encode(patch))) == repr(patch)


@given(junk=st.lists(st.binary(max_size=64), max_size=10))
def test_junk_is_a_frame_error_or_an_incomplete_frame(junk: list[bytes]) -> None:
    codec = Codec(SCHEMA)
    with suppress(FrameError):
        for piece in junk:
            for msg in codec.feed(piece):
                assert type(msg) in SCHEMA.encoders


@given(message=ALL, data=st.data())
def test_a_damaged_frame_never_raises_anything_else(message: Any, data: st.DataObject) -> None:
    frame = bytearray(Codec(SCHEMA).encode(message))
    frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    with suppress(FrameError):
        Codec(SCHEMA).feed(bytes(frame))


def test_errors_say_what_is_wrong() -> None:
    def error(raw: bytes, codec: Codec | None = None) -> str:
        with pytest.raises(FrameError) as caught:
            (codec or Codec(SCHEMA)).feed(raw)
        return str(caught.value)

    assert error(HEAD.pack(10, 2, 1, 0)) == "version 2; this node speaks 1"
    assert error(HEAD.pack(9, 1, 1, 0)).startswith("a frame of 9 bytes")
    assert error(HEAD.pack(1 << 31, 1, 1, 0)).startswith("a frame of 2147483648 bytes")
    assert error(HEAD.pack(10, 1, 99, 0)) == "unknown kind 99"
    assert error(HEAD.pack(11, 1, 33, 0) + b"\xc0").startswith("kind 33: Expected `array`")
    assert "Lamport" in error(Codec(SCHEMA).frame(OpenSession(1), 1 << 63))
    assert "unknown kind 5" in error(
        Codec(SCHEMA).encode(MESSAGES[4](1, 1, 1, 1, 1, [])), client_codec()
    )


def test_a_frame_is_bounded_on_the_way_out_too() -> None:
    codec = Codec(SCHEMA, frame_max=1000)
    with pytest.raises(ValueError, match=r"a ClientRequest of 2.* exceeds the frame limit 1000"):
        codec.encode(ClientRequest(1, 1, 0, ("put", "k", "v" * 2000)))
    with pytest.raises(ValueError, match="ClientRequest"):
        codec.encode(ClientRequest(1, 1, 0, ("put", "k", 1 << 80)))


def test_a_large_frame_is_joined_once() -> None:
    """A frame in many pieces costs linear time: pieces are only joined when it is complete."""
    out, back = Codec(SCHEMA), Codec(SCHEMA)
    message = ClientRequest(1, 1, 0, ("put", "k", "v" * (4 << 20)))
    frame = out.encode(message)
    pieces = [frame[i : i + 4096] for i in range(0, len(frame), 4096)]
    for piece in pieces[:-1]:
        assert back.feed(piece) == []
    assert len(back._chunks) == len(pieces) - 1
    assert back.feed(pieces[-1]) == [message]


def test_kinds_are_unique() -> None:
    @dataclass
    class Double:
        __slots__ = ("text",)
        KIND = 1
        text: str

    with pytest.raises(ValueError, match="Double and PreVote share the kind 1"):
        Schema((*MESSAGES, Double))
