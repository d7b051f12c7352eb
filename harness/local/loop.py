"""The relay's event loop: readiness callbacks and timers in one thread, nothing else.

asyncio's protocols carry a third to a half of what this loop does, and add four times the latency
(beside each other under the load of benchmarks/relay.py): here a round is one system call, and a
ready socket one Python call. A callback gets the mask of what is ready; after an
error or a hang-up both bits are set, and the next read or write says which it was. Calls may be
spurious (the descriptor was used again within a round): sockets must not block.
"""

from __future__ import annotations

import heapq
import select
import time
from collections.abc import Callable

READ, WRITE = select.POLLIN, select.POLLOUT
_TROUBLE = select.POLLERR | select.POLLHUP | select.POLLNVAL

Ready = Callable[[int], object]

TICK_NS = 250_000_000
"""What is checked now and then (lifetime, long cuts) is checked this often."""


class Timer:
    """A call at a time; `cancel` it while it is pending."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[[], object]) -> None:
        self.call: Callable[[], object] | None = call

    def cancel(self) -> None:
        self.call = None


class Loop:
    """Runs until `stop`. Times are monotonic nanoseconds."""

    def __init__(self) -> None:
        self._ready: dict[int, Ready] = {}
        self._timers: list[tuple[int, int, Timer]] = []
        self._seq = 0
        self._running = False
        self._poller, self._unit_ns = _poller()
        self.now = time.monotonic_ns
        self.tick: Callable[[], object] = lambda: None
        """Called about every `TICK_NS`."""

    def watch(self, fd: int, mask: int, ready: Ready) -> None:
        """Call `ready(mask)` whenever `fd` is ready; replaces what was asked for it before."""
        if fd in self._ready:
            self._poller.modify(fd, mask)
        else:
            self._poller.register(fd, mask)
        self._ready[fd] = ready

    def forget(self, fd: int) -> None:
        """Stop watching: before the descriptor is closed. Twice is no error."""
        if self._ready.pop(fd, None) is not None:
            self._poller.unregister(fd)

    def at(self, due_ns: int, call: Callable[[], object]) -> Timer:
        """Call once at `due_ns` or soon after."""
        timer = Timer(call)
        self._seq += 1
        heapq.heappush(self._timers, (due_ns, self._seq, timer))
        return timer

    def run(self) -> None:
        """Until `stop` is called."""
        self._running = True
        poll = self._poller.poll
        ready = self._ready
        timers = self._timers
        tick_ns = self.now()
        while self._running:
            for fd, mask in poll(self._patience(tick_ns)):
                call = ready.get(fd)
                if call is not None:
                    call(READ | WRITE if mask & _TROUBLE else mask)
            now = self.now()
            while timers and timers[0][0] <= now:
                due = heapq.heappop(timers)[2].call
                if due is not None:
                    due()
            if now >= tick_ns:
                tick_ns = now + TICK_NS
                self.tick()

    def stop(self) -> None:
        """Leave `run` after this round."""
        self._running = False

    def _patience(self, tick_ns: int) -> float:
        """How long to sleep, in the poller's unit."""
        due_ns = min(tick_ns, self._timers[0][0]) if self._timers else tick_ns
        return max(0, due_ns - self.now()) / self._unit_ns


def _poller() -> tuple[select.epoll, int]:
    """The kernel's best poller, and the nanoseconds in its unit of time."""
    if hasattr(select, "epoll"):
        return select.epoll(), 1_000_000_000
    return select.poll(), 1_000_000  # type: ignore[return-value]  # the same methods
