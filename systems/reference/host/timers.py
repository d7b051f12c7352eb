"""Named timers on a clock: which is due next, cheaply re-armed.

Re-arming to a later time (an election timer at each heartbeat) only writes the new deadline; the
heap keeps its old entry and is corrected when that comes up. So the heap holds at most one current
entry per name, and a replaced or cancelled timer is never delivered.
"""

from __future__ import annotations

from heapq import heappop, heappush

NEVER_NS = 1 << 62


class Timers:
    """Deadlines in ns of the node's monotonic clock."""

    __slots__ = ("_deadlines", "_entries", "_heap", "_seq", "next_ns")

    def __init__(self) -> None:
        self._deadlines: dict[str, int] = {}
        self._entries: dict[str, int] = {}
        """Time of the current heap entry of a name; other entries are stale."""
        self._heap: list[tuple[int, int, str]] = []
        self._seq = 0
        self.next_ns = NEVER_NS
        """No timer is due before this; nothing need be due at it."""

    def set(self, name: str, deadline_ns: int) -> None:
        """Arm or re-arm."""
        self._deadlines[name] = deadline_ns
        entry = self._entries.get(name)
        if entry is None or deadline_ns < entry:
            self._push(name, deadline_ns)

    def cancel(self, name: str) -> None:
        """Disarm; no effect when it is not armed."""
        self._deadlines.pop(name, None)

    def pop(self, now_ns: int) -> str | None:
        """Disarm and return a timer that is due at `now_ns`, the earliest first; None when there is
        none.
        """
        heap = self._heap
        while heap and heap[0][0] <= now_ns:
            at, _, name = heappop(heap)
            if self._entries.get(name) != at:
                continue
            del self._entries[name]
            deadline = self._deadlines.get(name)
            if deadline is None:
                continue
            if deadline > now_ns:
                self._push(name, deadline)
                continue
            del self._deadlines[name]
            self.next_ns = heap[0][0] if heap else NEVER_NS
            return name
        self.next_ns = heap[0][0] if heap else NEVER_NS
        return None

    def _push(self, name: str, deadline_ns: int) -> None:
        self._seq += 1
        self._entries[name] = deadline_ns
        heappush(self._heap, (deadline_ns, self._seq, name))
        self.next_ns = self._heap[0][0]

    def __len__(self) -> int:
        return len(self._deadlines)
