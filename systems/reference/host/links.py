"""Connections of a node over asyncio: links to peers, which it dials, and what others dial.

Each pair of nodes has two connections, one per direction of sending, so that nobody must decide who
dials. A link redials with backoff for ever. While it is down or its peer does not read, messages
wait in a bounded queue and the oldest are dropped: protocols here survive loss, and old news is the
least useful. Everything queued in one batch leaves in one write.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dissensus.harness.randomness import Rng
from dissensus.systems.reference.host.config import Address
from dissensus.systems.reference.wire.frames import (
    AdminHello,
    ClientHello,
    Codec,
    FrameError,
    PeerHello,
    ServerHello,
)

if TYPE_CHECKING:
    from dissensus.systems.reference.host.node import NodeHost

PEER_QUEUE_MAX = 4096  # messages for a peer that is away; beyond, retransmission is cheaper
CLIENT_BUFFER_MAX = 16 << 20  # bytes a client may leave unread before it is cut off
CONNECTIONS_MAX = 4096  # accepted at a time; a laptop's default limit of files is not far above
BACKOFF_MIN_MS = 20
BACKOFF_MAX_MS = 500  # below an election timeout: a healed link must be noticed in time
DIAL_TIMEOUT_S = 2.0


class Link(asyncio.Protocol):
    """The way to one peer: dialled again and again, carrying what this node sends."""

    def __init__(self, host: NodeHost, peer: str, address: Address, rng: Rng) -> None:
        self.peer = peer
        self.address = address
        self.dropped = 0
        self.dials = 0
        self.ready = False
        """Hellos are exchanged and the peer reads."""
        self._host = host
        self._rng = rng
        self._codec = Codec(host.schema)
        self._queue: deque[Any] = deque()
        self._transport: asyncio.Transport | None = None
        self._greeted = False
        self._lost = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to dial."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    def stop(self) -> None:
        """Close and stop dialling."""
        if self._task is not None:
            self._task.cancel()
        if self._transport is not None:
            self._transport.abort()

    def push(self, msg: Any) -> None:
        """Queue `msg`; `flush` sends it."""
        if len(self._queue) >= PEER_QUEUE_MAX:
            self._queue.popleft()
            self.dropped += 1
        self._queue.append(msg)

    def flush(self) -> None:
        """Write what is queued, if the peer takes it."""
        if self.ready and self._queue and self._transport is not None:
            host = self._host
            frame = self._codec.frame
            lamport = host.lamport
            frames = []
            for msg in self._queue:
                lamport += 1
                frames.append(frame(msg, lamport))
            host.lamport = lamport
            self._queue.clear()
            host.counters["messages_sent"] += len(frames)
            self._transport.write(b"".join(frames))

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        backoff_ms = BACKOFF_MIN_MS
        while True:
            self._lost.clear()
            self._codec = Codec(self._host.schema)
            self.dials += 1
            try:
                async with asyncio.timeout(DIAL_TIMEOUT_S):
                    await loop.create_connection(lambda: self, *self.address)
            except (OSError, TimeoutError):
                self._transport = None
            else:
                await self._lost.wait()
            if self._greeted:
                backoff_ms = BACKOFF_MIN_MS
            self._greeted = False
            # Jitter: the nodes of a cluster that starts together would dial in step.
            await asyncio.sleep(self._rng.between(backoff_ms // 2, backoff_ms) / 1000)
            backoff_ms = min(2 * backoff_ms, BACKOFF_MAX_MS)

    # -- asyncio.Protocol -----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """The peer says its hello and nothing else on this connection."""
        host = self._host
        try:
            messages = self._codec.feed(data)
            for msg in messages:
                if type(msg) is not ServerHello or self._greeted:
                    raise FrameError(f"{type(msg).__name__} where a ServerHello was expected")
                if msg.node != self.peer or msg.cluster != host.config.run_token:
                    raise FrameError(f"this is {msg.node!r} of run {msg.cluster!r}")
                self._greet()
        except FrameError as error:
            host.count_error("link", self.peer, error)
            if self._transport is not None:
                self._transport.abort()

    def _greet(self) -> None:
        host = self._host
        config = host.config
        hello = PeerHello(
            config.node,
            host.incarnation,
            self.peer,
            config.run_token,
            config.members[config.node],
        )
        assert self._transport is not None
        self._transport.write(self._codec.frame(hello, host.lamport))
        self._greeted = True
        self.ready = True
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.ready = False
        self._lost.set()

    def pause_writing(self) -> None:
        self.ready = False

    def resume_writing(self) -> None:
        self.ready = self._greeted
        self.flush()


class Accepted(asyncio.Protocol):
    """A connection that somebody dialled: bound to a peer, a client or an operator by its hello.

    For clients it is the reply handle of their requests.
    """

    __slots__ = ("_codec", "_host", "_out", "_receive", "_transport", "incarnation", "src")

    def __init__(self, host: NodeHost) -> None:
        self.src: str | None = None
        """The peer that it is bound to."""
        self.incarnation = 0
        self._host = host
        self._codec = Codec(host.schema)
        self._out: list[Any] = []
        self._transport: asyncio.Transport | None = None
        self._receive: Callable[[Accepted, Any], None] = Accepted._hello

    def deliver(self, result: Any) -> None:
        """Queue a reply; the end of the batch sends it."""
        if not self._out:
            self._host.dirty.append(self)
        self._out.append(result)

    def flush(self) -> None:
        """Write the queued replies."""
        transport = self._transport
        out, self._out = self._out, []
        if transport is None or transport.is_closing():
            self._host.counters["replies_dropped"] += len(out)
            return
        host = self._host
        frame = self._codec.frame
        frames = []
        for msg in out:
            host.lamport += 1
            try:
                frames.append(frame(msg, host.lamport))
            except ValueError as error:
                self.close(error)
                return
        transport.write(b"".join(frames))
        if transport.get_write_buffer_size() > CLIENT_BUFFER_MAX:
            self.close(FrameError(f"{CLIENT_BUFFER_MAX} bytes are unread"))

    def close(self, error: Exception) -> None:
        """Close for this reason: the node itself is not harmed."""
        self._host.count_error("connection", self.src or "client", error)
        self.abort()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    # -- asyncio.Protocol -----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        host = self._host
        host.accepted[self] = None
        if len(host.accepted) > CONNECTIONS_MAX:
            self.close(FrameError(f"more than {CONNECTIONS_MAX} connections"))
            return
        hello = ServerHello(host.config.node, host.incarnation, host.config.run_token)
        transport.write(self._codec.frame(hello, host.lamport))

    def data_received(self, data: bytes) -> None:
        codec = self._codec
        transport = self._transport
        try:
            messages = codec.feed(data)
            for msg in messages:
                if transport is None or transport.is_closing():
                    return  # an earlier message made this connection invalid
                self._receive(self, msg)
        except FrameError as error:
            self.close(error)
            return
        self._host.lamport = max(self._host.lamport, codec.lamport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._host.accepted.pop(self, None)
        self._host.unbind(self)

    # -- what may come --------------------------------------------------------------------------

    def _hello(self, msg: Any) -> None:
        host = self._host
        kind = type(msg)
        if kind is PeerHello:
            host.bind_peer(self, msg)
            self._receive = Accepted._from_peer
        elif kind is ClientHello:
            self._receive = Accepted._from_client
        elif kind is AdminHello:
            if msg.cluster != host.config.run_token:
                raise FrameError(f"an operator of run {msg.cluster!r}")
            self._receive = Accepted._from_operator
        else:
            raise FrameError(f"{kind.__name__} where a hello was expected")

    def _from_peer(self, msg: Any) -> None:
        if type(msg) not in self._host.peer_messages:
            raise FrameError(f"{type(msg).__name__} from a peer")
        self._host.received(self, msg)

    def _from_client(self, msg: Any) -> None:
        if type(msg) not in self._host.client_requests:
            raise FrameError(f"{type(msg).__name__} from a client")
        self._host.requested(self, msg)

    def _from_operator(self, msg: Any) -> None:
        self._host.operated(self, msg)
