"""What a leader knows of one follower, and how it may send to it.

A follower is *probed* (one Append at a time, until one fits its log), then *replicated* to (a
pipeline of Appends, sent before earlier ones are acknowledged), or sent a *snapshot* when the log
no longer reaches back to where it is (etcd's tracker has the same three states).
"""

from __future__ import annotations

from collections import deque
from typing import Any, Deque, Optional, Tuple

from dissensus.systems.reference.core.durable import Snapshot

PROBE = "probe"
REPLICATE = "replicate"
SNAPSHOT = "snapshot"


class Progress:
    """One follower in one leader's term."""

    __slots__ = (
        "acked",
        "inflight",
        "match",
        "moved",
        "next",
        "offset",
        "paused",
        "snapshot",
        "state",
    )

    def __init__(self, following: int) -> None:
        """`following`: index of the first entry to try."""
        self.match = 0
        """Highest index known to be in its log, durably (Fig. 2: matchIndex)."""
        self.next = following
        """Index of the next entry to send (Fig. 2: nextIndex)."""
        self.state = PROBE
        self.paused = False
        """A probe is under way."""
        self.inflight: Deque[int] = deque()
        """Last index of each Append under way, oldest first."""
        self.acked = 0
        """Latest round that it answered."""
        self.snapshot: Optional[Snapshot] = None
        self.offset = 0
        """First byte of the chunk under way."""
        self.moved = False
        """The offset has moved since the last heartbeat."""

    def probe(self, following: int) -> None:
        """Go back to probing from `following`."""
        self.state = PROBE
        self.paused = False
        self.next = max(following, self.match + 1)
        self.inflight.clear()
        self.snapshot = None

    def acknowledged(self, index: int) -> bool:
        """Its log reaches `index`, and is replicated to from now on. True if that is news."""
        inflight = self.inflight
        while inflight and inflight[0] <= index:
            inflight.popleft()
        news = index > self.match
        if news:
            self.match = index
        if self.state == PROBE:
            self.state = REPLICATE
            self.paused = False
            self.next = self.match + 1
        elif self.next <= self.match:
            self.next = self.match + 1
        return news

    def key(self) -> Tuple[Any, ...]:
        """Everything, as a tuple."""
        at = None if self.snapshot is None else self.snapshot.last_index
        flags = (self.paused, self.moved)
        inflight = tuple(self.inflight)
        return (self.match, self.next, self.state, inflight, self.acked, at, self.offset, flags)

    def clone(self) -> Progress:
        """An independent copy."""
        other = Progress(self.next)
        for name in self.__slots__:
            setattr(other, name, getattr(self, name))
        other.inflight = deque(self.inflight)
        return other
