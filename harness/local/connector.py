"""`env.connect` on cluster `local`: a TCP connection from a client host's address to the relay's.

The relay accepts for every node, so what the kernel says of a connect means nothing. The connector
asks the relay how the call came out: refused is NotSent, and across a cut it waits. As long as a
client has sent nothing, a broken connection is NotSent too (a server that speaks first says so
before its hello); later it is Disconnected.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from typing import Any

from dissensus.harness.aio import foreign
from dissensus.harness.env import Codec, Conn, Disconnected, NotSent
from dissensus.harness.errors import DissensusError
from dissensus.harness.local.addresses import Address
from dissensus.harness.local.control import RelayClient
from dissensus.harness.local.dialling import OPEN

INBOX_MAX = 1 << 16
"""Messages that a client may leave unread: then its socket is not read until it has caught up."""


class TcpConn(asyncio.Protocol):
    """A client's end of a connection (`harness.env.Conn`)."""

    def __init__(self, codec: Codec, what: str, open_ones: set[TcpConn]) -> None:
        self._codec = codec
        self._what = what
        self._open_ones = open_ones
        self._inbox: deque[Any] = deque()
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._transport: asyncio.Transport | None = None
        self._sent = False
        self._full = False
        self._stuffed = False
        self._why: str | None = None
        """Why nothing more can be sent or come; None while all is well."""

    async def send(self, msg: Any) -> None:
        data = self._codec.encode(msg)
        while self._full and self._why is None:
            self._writer = asyncio.get_running_loop().create_future()
            await foreign(self._writer)
        if self._why is not None:
            raise self._broken()
        assert self._transport is not None
        self._sent = True
        self._transport.write(data)

    async def recv(self) -> Any:
        while not self._inbox:
            if self._why is not None:
                raise self._broken()
            self._reader = asyncio.get_running_loop().create_future()
            await foreign(self._reader)
        msg = self._inbox.popleft()
        if self._stuffed and not self._inbox and self._transport is not None:
            self._stuffed = False
            self._transport.resume_reading()
        return msg

    def close(self) -> None:
        self._end("closed by this side")
        if self._transport is not None:
            self._transport.abort()

    # -- asyncio.Protocol -----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._open_ones.add(self)

    def data_received(self, data: bytes) -> None:
        try:
            self._inbox.extend(self._codec.feed(data))
        except ValueError as error:
            self._end(f"what came is no message: {error}")
            if self._transport is not None:
                self._transport.abort()
            return
        if self._inbox:
            _wake(self._reader)
        if len(self._inbox) >= INBOX_MAX and self._transport is not None:
            self._stuffed = True
            self._transport.pause_reading()

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        _wake(self._writer)

    def connection_lost(self, exc: Exception | None) -> None:
        self._open_ones.discard(self)
        self._end("closed by the node" if exc is None else str(exc))

    def _end(self, why: str) -> None:
        if self._why is None:
            self._why = why
        _wake(self._reader)
        _wake(self._writer)

    def _broken(self) -> DissensusError:
        return (Disconnected if self._sent else NotSent)(f"{self._what}: {self._why}")


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)


class RelayConnector:
    """The way of all clients (`harness.aio.Connector`)."""

    def __init__(
        self,
        relay: Callable[[], RelayClient],
        way: Callable[[str, str, str], tuple[str, Address]],
    ) -> None:
        """`way(host, node, port)`: the IP address to call from, and the address to call."""
        self._relay = relay
        self._way = way
        self._open: set[TcpConn] = set()

    def close(self) -> None:
        """Close what clients have left open: the run is over."""
        for conn in list(self._open):
            conn.close()

    async def connect(self, host: str, node: str, codec: Codec, port: str) -> Conn:
        """See `Env.connect`. Raises UserError for a host, node or port that there is not."""
        source, target = self._way(host, node, port)
        return await foreign(self._connect(f"{host} to {node}", source, target, codec))

    async def _connect(self, what: str, source: str, target: Address, codec: Codec) -> Conn:
        relay = self._relay()
        loop = asyncio.get_running_loop()
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.bind((source, 0))
            await loop.sock_connect(sock, target)
            outcome = await relay.begin("outcome", caller=sock.getsockname())
            if outcome != OPEN:
                raise NotSent(f"{what}: the connection was {outcome}")
            _, conn = await loop.create_connection(
                lambda: TcpConn(codec, what, self._open), sock=sock
            )
        except OSError as error:
            sock.close()
            raise NotSent(f"{what}: {error}") from error
        except BaseException:
            sock.close()
            raise
        return conn
