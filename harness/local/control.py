"""The relay's commands: JSON objects, a line each, over a connection that begins with the token.

    {"id": 1, "do": "cut", "fault": 3, "pairs": [["n1", "n2"]]}  ->  {"id": 1, "result": null}
    {"id": 2, "do": "wat"}                                       ->  {"id": 2, "error": "..."}

Answers may come in another order. The token of the run is what entitles to command its relay; it
stands in the run's journal and in the environment of its processes, which others cannot read.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import msgspec

from dissensus.harness.errors import EnvironmentFault, InternalError
from dissensus.harness.local.addresses import Address

LINE_BYTES_MAX = 4 << 20
"""Every pair of 250 hosts in one command."""
ANSWER_S_MAX = 10.0
"""The relay answers within milliseconds; a stopped one not at all."""


def line(message: dict[str, Any]) -> bytes:
    """A message as it travels."""
    return msgspec.json.encode(message) + b"\n"


def parse(text: bytes) -> dict[str, Any]:
    """A message that came. Raises ValueError (msgspec.DecodeError is one)."""
    return msgspec.json.decode(text, type=dict[str, Any])


class RelayClient(asyncio.Protocol):
    """The harness's connection to the relay: `call` from any task."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._rest = b""
        self._id = 0
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self.lost = False

    @classmethod
    async def open(cls, address: Address, token: str) -> RelayClient:
        """Connect as the run's owner: while this connection lives, the relay is no orphan."""
        loop = asyncio.get_running_loop()
        try:
            _, client = await loop.create_connection(cls, *address)
        except OSError as error:
            raise InternalError(f"the relay is gone: {error}") from error
        await client.call("hello", token=token, owner=True)
        return client

    async def call(self, do: str, **arguments: Any) -> Any:
        """The result of a command. Raises InternalError for what the relay refuses."""
        future = self.begin(do, **arguments)
        try:
            async with asyncio.timeout(ANSWER_S_MAX):
                return await future
        except TimeoutError:
            raise EnvironmentFault(
                f"the relay did not answer {do!r} in {ANSWER_S_MAX:g} s"
            ) from None

    def begin(self, do: str, **arguments: Any) -> asyncio.Future[Any]:
        """Send a command; the future of its result, that may be long in coming."""
        if self._transport is None or self.lost:
            raise InternalError("the relay is gone; relay.log in the run's folder may say why")
        self._id += 1
        number = self._id
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        future.add_done_callback(lambda _: self._waiting.pop(number, None))
        self._transport.write(line({"id": number, "do": do, **arguments}))
        return future

    def close(self) -> None:
        """Close; the relay notices that its owner is gone."""
        self.lost = True
        if self._transport is not None:
            self._transport.abort()

    # -- asyncio.Protocol -----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for text in lines:
            answer = parse(text)
            future = self._waiting.get(answer["id"])
            if future is None or future.done():
                continue
            if "error" in answer:
                future.set_exception(failure(answer))
            else:
                future.set_result(answer["result"])

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        for future in list(self._waiting.values()):
            if not future.done():
                future.set_exception(InternalError("the relay is gone"))


def failure(answer: dict[str, Any]) -> Exception:
    """The error that an answer stands for."""
    kind = EnvironmentFault if answer.get("environment") else InternalError
    return kind(f"relay: {answer['error']}")


def ask(address: Address, token: str, *commands: dict[str, Any]) -> list[Any]:
    """Results of commands, given by a process without a loop (`dissensus heal`).

    Raises OSError where nobody listens, InternalError for what the relay refuses.
    """
    results = []
    with socket.create_connection(address, timeout=ANSWER_S_MAX) as sock:
        stream = sock.makefile("rwb")
        for number, command in enumerate(({"do": "hello", "token": token}, *commands)):
            stream.write(line({"id": number, **command}))
            stream.flush()
            text = stream.readline()
            if not text:
                raise ConnectionError("the relay closed the connection")
            answer = parse(text)
            if "error" in answer:
                raise failure(answer)
            results.append(answer["result"])
    return results[1:]
