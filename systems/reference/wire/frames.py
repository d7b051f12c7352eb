"""Frames on a connection, the hello that binds it, and the codecs that speak them.

    length u32 | version u8 | kind u8 | Lamport counter u64 | body        (big endian)

`length` counts what follows it. The body is a msgpack array of the message's fields. The server
speaks first: `ServerHello`, so that a client knows its request reached a node; the dialler answers
with the hello of what it is (a peer, a client, an operator), and whatever comes before that closes
the connection. The Lamport counter (Lamport 1978) orders the nodes' logs after the fact; nothing
depends on it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from struct import Struct
from typing import Any

from dissensus.systems.reference.core.client_messages import (
    ClientReply,
    ClientRequest,
    OpenSession,
)
from dissensus.systems.reference.wire.schema import Schema

VERSION = 1
HEAD = Struct(">IBBQ")
HEAD_BYTES = HEAD.size
_LENGTH_BYTES = 4
FRAME_MAX = 16 << 20
"""Longest frame accepted: a full Append of large values fits; snapshots travel in chunks."""
LAMPORT_MAX = 1 << 63
"""A counter from here on is no counter: a peer that sent it could make ours overflow."""


class FrameError(ValueError):
    """What arrived is no frame of ours. The connection must be closed; nothing else is harmed."""


@dataclass
class ServerHello:
    """First frame of every connection, from the side that accepted it.

    `cluster` is the run token: nodes of another run are refused.
    """

    __slots__ = ("cluster", "incarnation", "node")
    KIND = 64
    node: str
    incarnation: int
    cluster: str


@dataclass
class PeerHello:
    """The dialler is a node: from here on it is the `src` of everything that it sends.

    `to` is whom it wanted to reach; `address` where it is reached itself, for nodes that were
    started before it was added.
    """

    __slots__ = ("address", "cluster", "incarnation", "node", "to")
    KIND = 65
    node: str
    incarnation: int
    to: str
    cluster: str
    address: tuple[str, int]


@dataclass
class ClientHello:
    """The dialler is a client."""

    __slots__ = ("name",)
    KIND = 66
    name: str


@dataclass
class AdminHello:
    """The dialler is an operator, or the harness asking for the status; `cluster` as above."""

    __slots__ = ("cluster",)
    KIND = 67
    cluster: str


@dataclass
class AdminRequest:
    """An operator's command; `args` is a JSON object."""

    __slots__ = ("args", "command", "id")
    KIND = 68
    id: int
    command: str
    args: str


@dataclass
class AdminReply:
    """`result` is JSON; with `ok` false a JSON string that says why."""

    __slots__ = ("id", "ok", "result")
    KIND = 69
    id: int
    ok: bool
    result: str


HELLOS = (ServerHello, PeerHello, ClientHello, AdminHello)
ADMIN = (AdminRequest, AdminReply)
CLIENT = (OpenSession, ClientRequest, ClientReply)


class Codec:
    """Frames in both directions of one connection; keeps what is incomplete. A
    `harness.env.Codec`.
    """

    __slots__ = ("_chunks", "_decoders", "_encoders", "_have", "_need", "frame_max", "lamport")

    def __init__(self, schema: Schema, frame_max: int = FRAME_MAX) -> None:
        self._encoders = schema.encoders
        self._decoders = schema.decoders
        self._chunks: list[bytes] = []
        self._have = 0
        self._need = HEAD_BYTES
        """Bytes without which no frame can be complete: chunks are not joined before."""
        self.frame_max = frame_max
        self.lamport = 0
        """At least every counter seen or sent on this connection."""

    def encode(self, msg: Any) -> bytes:
        """One message as a frame. Raises ValueError for a value that msgpack cannot carry."""
        self.lamport += 1
        return self.frame(msg, self.lamport)

    def frame(self, msg: Any, lamport: int) -> bytes:
        """As `encode`, with a counter of the caller's."""
        kind, encode = self._encoders[type(msg)]
        try:
            body = encode(msg)
        except (TypeError, OverflowError) as error:
            raise ValueError(f"{type(msg).__name__}: {error}") from error
        length = len(body) + HEAD_BYTES - _LENGTH_BYTES
        if length > self.frame_max:
            raise ValueError(
                f"a {type(msg).__name__} of {length} bytes exceeds the frame limit {self.frame_max}"
            )
        return HEAD.pack(length, VERSION, kind, lamport) + body

    def feed(self, data: bytes) -> list[Any]:
        """Messages completed by `data`. Raises FrameError; then the connection is of no use."""
        self._have += len(data)
        if self._chunks:
            self._chunks.append(data)
            if self._have < self._need:
                return []
            data = b"".join(self._chunks)
        messages: list[Any] = []
        offset = 0
        size = len(data)
        unpack = HEAD.unpack_from
        need = HEAD_BYTES
        while size - offset >= HEAD_BYTES:
            length, version, kind, lamport = unpack(data, offset)
            if version != VERSION:
                raise FrameError(f"version {version}; this node speaks {VERSION}")
            if not HEAD_BYTES - _LENGTH_BYTES <= length <= self.frame_max:
                raise FrameError(f"a frame of {length} bytes; the limit is {self.frame_max}")
            end = offset + _LENGTH_BYTES + length
            if end > size:
                need = end - offset
                break
            decode = self._decoders.get(kind)
            if decode is None:
                raise FrameError(f"unknown kind {kind}")
            try:
                messages.append(decode(data[offset + HEAD_BYTES : end]))
            except ValueError as error:
                raise FrameError(f"kind {kind}: {error}") from error
            if lamport > self.lamport:
                if lamport >= LAMPORT_MAX:
                    raise FrameError(f"Lamport counter {lamport}")
                self.lamport = lamport
            offset = end
        self._need = need
        self._have = size - offset
        self._chunks = [data[offset:]] if self._have else []
        return messages


def node_schema(messages: Iterable[type]) -> Schema:
    """Everything that a node may receive or send: its protocol's messages and the common ones."""
    return Schema((*messages, *HELLOS, *CLIENT, *ADMIN))


CLIENT_SCHEMA = Schema((*HELLOS, *CLIENT))
ADMIN_SCHEMA = Schema((*HELLOS, *ADMIN))


def client_codec() -> Codec:
    """The codec of a client's connection."""
    return Codec(CLIENT_SCHEMA)


def admin_codec() -> Codec:
    """The codec of an operator's connection."""
    return Codec(ADMIN_SCHEMA)
