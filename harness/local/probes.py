"""Probes of `local`'s links: bytes of the harness's own through the relay's flows.

For each direction the relay opens two sockets to a listener here and joins them as if the one
belonged to the source and the other to the destination. What is written to the one end travels as
everything else does between these hosts. Both ends are in this process, so one clock measures.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from dissensus.harness.cluster import Pair, Reach
from dissensus.harness.local.control import RelayClient

BOUND_NS = 1_000_000_000
"""A direction through which nothing came in this time, on top of its delays, is not open."""
BATCH_MAX = 200
"""Directions probed at once: 400 connections, below every usual limit of descriptors."""
PING = b"\0\0\0\2\1\0"
"""A frame without a body, of kind 0, which nobody holds: it passes the relay's frame parser."""


class _End:
    """One end of a probe's connection, known by the port that the relay called from."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[asyncio.Transport] = loop.create_future()
        self.arrived: asyncio.Future[int] = loop.create_future()
        """The monotonic time in ns at which something came."""


class _Ends(dict[int, _End]):
    def __missing__(self, port: int) -> _End:
        self[port] = _End()
        return self[port]


class _Side(asyncio.Protocol):
    """Fills in an end."""

    def __init__(self, ends: _Ends) -> None:
        self._ends = ends

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._end = self._ends[transport.get_extra_info("peername")[1]]
        self._end.opened.set_result(transport)

    def data_received(self, data: bytes) -> None:
        if not self._end.arrived.done():
            self._end.arrived.set_result(time.monotonic_ns())


async def probe(
    relay: RelayClient, ip: str, pairs: Sequence[Pair], bound_ns: int = BOUND_NS
) -> list[Reach]:
    """Measure each direction; all at once, in batches. `ip`: a loopback address of the run."""
    found: list[Reach] = []
    ends = _Ends()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Side(ends), ip, 0, backlog=2 * BATCH_MAX)
    try:
        at = server.sockets[0].getsockname()
        for begin in range(0, len(pairs), BATCH_MAX):
            batch = pairs[begin : begin + BATCH_MAX]
            ports = await relay.call("probe", pairs=batch, at=at)
            found += await asyncio.gather(
                *(
                    _measure(pair, ends[near], ends[far], bound_ns)
                    for pair, (near, far) in zip(batch, ports, strict=True)
                )
            )
            _close(ends)
    finally:
        server.close()
        _close(ends)
    return found


def _close(ends: _Ends) -> None:
    for end in ends.values():
        if end.opened.done() and not end.opened.cancelled():
            end.opened.result().abort()
    ends.clear()


async def _measure(pair: Pair, near: _End, far: _End, bound_ns: int) -> Reach:
    """One direction: from the one end to the other."""
    src, dst = pair
    try:
        async with asyncio.timeout(bound_ns / 1e9):
            transport = await near.opened
            await far.opened
            began = time.monotonic_ns()
            transport.write(PING)
            arrived = await far.arrived
    except TimeoutError:
        return Reach(src=src, dst=dst, open=False)
    return Reach(src=src, dst=dst, open=True, rtt_ns=arrived - began)
