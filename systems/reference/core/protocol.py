"""The interface between a protocol core and the drivers that run it.

Five drivers run the same core: the untimed one (`untimed.py`, golden scripts), the asyncio host,
the simulator, the explorers, and trace validation. A driver delivers events one at a time, executes
the returned effects in order, and obeys three rules that cores rely on:
  * a replaced or cancelled timer is never delivered;
  * all due timers are delivered before any other event, with the clock read again for each event
    (else a correct core serves an expired lease after a pause);
  * effects that are held until a Persist is durable are dropped by a crash.
"""

from __future__ import annotations

from typing import Any
from typing import Protocol as TypingProtocol

from dissensus.systems.reference.core.effects import Effect
from dissensus.systems.reference.core.events import Event


class Protocol(TypingProtocol):
    """A protocol core. Constructor arguments carry identity, members and timeouts (ns); everything
    else is events.
    """

    node_id: str
    armed: "dict[str, tuple[int, int]]"
    """Timers that are armed now: name -> (lo_ns, hi_ns)."""

    def step(self, event: Event) -> "list[Effect]":
        """Take one event, return the effects in the order in which they must happen."""
        ...

    def abstract(self) -> Any:
        """The spec-level state (term, vote, log, commit index ...) as plain nested tuples."""
        ...

    def fingerprint(self) -> int:
        """A 64-bit digest of the whole state and `armed`: no remaining times, ids relative, never
        `hash()`.
        """
        ...

    def clone(self) -> "Protocol":
        """An independent copy, written by hand (deepcopy is a hundred times slower)."""
        ...

    def status(self) -> "dict[str, Any]":
        """Plain values for people and status files: role, term, leader, commit, applied, digest
        ...
        """
        ...
