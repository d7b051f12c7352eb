"""The one heap of a simulation: entries ordered by (time_ns, seq), integers and nothing else.

An entry is a list `[time_ns, seq, callback, argument]` and is its own handle: `cancel` blanks the
callback, and the loop skips blank entries. `seq` is unique, so callbacks are never compared. Timers
of nodes take their `seq` from a range below everything else: at one instant all due timers come
before any other event (CONTRACTS 1, "Timers"), also those that are armed with no delay during it.

This module is Python-3.9-clean and imports no third party.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Any, Callable, List, Optional

from dissensus.harness.errors import InternalError

Entry = List[Any]
"""`[time_ns, seq, callback, argument]`; a blank callback (None) marks it as cancelled."""

_TIMERS_FIRST = -(1 << 60)
"""Added to the `seq` of node timers: below every other `seq` that a run can reach."""

EVENTS_PER_INSTANT_MAX = 5_000_000
"""More events than this without virtual time passing is a loop, not a run: 10-20 s of CPU."""


class Kernel:
    """Virtual time and what happens in it. Times are integer nanoseconds since the start."""

    __slots__ = ("_error", "_halted", "_heap", "_seq", "current", "events", "now")

    def __init__(self) -> None:
        self.now = 0
        self.events = 0
        """Entries executed so far."""
        self.current: Any = None
        """The task that runs now (`env.SimTask`), None between tasks."""
        self._heap: List[Entry] = []
        self._seq = 0
        self._halted = False
        self._error: Optional[BaseException] = None

    def at(self, time_ns: int, callback: Callable[[Any], object], argument: Any = None) -> Entry:
        """Call `callback(argument)` at `time_ns`, which must not be past."""
        if time_ns < self.now:
            raise InternalError(f"an event for {time_ns} ns was scheduled at {self.now} ns")
        self._seq = seq = self._seq + 1
        entry = [time_ns, seq, callback, argument]
        heappush(self._heap, entry)
        return entry

    def soon(self, callback: Callable[[Any], object], argument: Any = None) -> Entry:
        """Call `callback(argument)` at this instant, after what is already due."""
        self._seq = seq = self._seq + 1
        entry = [self.now, seq, callback, argument]
        heappush(self._heap, entry)
        return entry

    def timer(self, time_ns: int, callback: Callable[[Any], object], argument: Any) -> Entry:
        """As `at`, for a node's timer: before every other kind of event at the same instant."""
        if time_ns < self.now:
            raise InternalError(f"a timer for {time_ns} ns was armed at {self.now} ns")
        self._seq = seq = self._seq + 1
        entry = [time_ns, seq + _TIMERS_FIRST, callback, argument]
        heappush(self._heap, entry)
        return entry

    @staticmethod
    def cancel(entry: Entry) -> None:
        """Make sure that `entry` never happens. No effect on one that has happened."""
        entry[2] = entry[3] = None

    def halt(self, error: Optional[BaseException] = None) -> None:
        """End `run` after the event that is executed now, with `error` if given; the first wins."""
        self._halted = True
        if self._error is None:
            self._error = error

    def run(self) -> bool:
        """Execute events in order until `halt`; False when nothing is left to happen before that.

        Raises what `halt` was given, and InternalError when time stands still for ever. Can be
        called again: it goes on where it ended.
        """
        heap = self._heap
        events = burst = 0
        try:
            while not self._halted:
                if not heap:
                    return False
                entry = heappop(heap)
                callback = entry[2]
                if callback is None:
                    continue
                entry[2] = None
                events += 1
                if entry[0] != self.now:
                    self.now = entry[0]
                    burst = events
                elif events - burst > EVENTS_PER_INSTANT_MAX:
                    raise InternalError(
                        f"{EVENTS_PER_INSTANT_MAX} events at {self.now} ns and time does not move; "
                        f"the last one calls {callback!r}"
                    )
                callback(entry[3])
        finally:
            self.events += events
            self._halted = False
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        return True

    def discard(self, unwanted: Callable[[Callable[[Any], object], Any], bool]) -> int:
        """Cancel every entry for which `unwanted(callback, argument)`; returns how many.

        Looks at the whole heap: for rare events, such as packets lost because a cable is pulled.
        """
        found = [e for e in self._heap if e[2] is not None and unwanted(e[2], e[3])]
        for entry in found:
            self.cancel(entry)
        return len(found)

    def pending(self) -> int:
        """Entries on the heap, cancelled ones included."""
        return len(self._heap)
