"""Holds what a core sends until what it persisted is durable: the one implementation of that rule,
for every driver.

A driver feeds each effect list through `push`, which returns the effects to execute now, in order;
when the disk reports that Persists up to n are durable it calls `durable(n)`, executes what comes
back, and only then steps `Persisted(n)`. A crash is simply a new Outbox: held effects are gone.
Order is kept among held effects; an `early` effect passes them.
"""

from __future__ import annotations

from collections import deque
from typing import Deque, Iterable, List, Tuple

from dissensus.systems.reference.core.effects import Effect, Persist, Reply, Send


class Outbox:
    """One per incarnation of a node."""

    __slots__ = ("_held", "durable_up_to", "persisted")

    def __init__(self) -> None:
        self.persisted = 0
        """Number of the latest Persist that the core issued."""
        self.durable_up_to = 0
        """Number of the latest Persist known to be on disk."""
        self._held: "Deque[Tuple[int, Effect]]" = deque()

    def push(self, effects: "Iterable[Effect]") -> "List[Effect]":
        """Return the effects to execute now; hold the Sends and Replies that must wait."""
        ready: "List[Effect]" = []
        for effect in effects:
            kind = type(effect)
            if kind is Persist:
                self.persisted += 1
            elif (
                self.durable_up_to < self.persisted
                and (kind is Send or kind is Reply)
                and not effect.early  # type: ignore[union-attr]
            ):
                self._held.append((self.persisted, effect))
                continue
            ready.append(effect)
        return ready

    def durable(self, up_to: int) -> "List[Effect]":
        """Persists up to `up_to` are on disk: return what that frees, in order."""
        self.durable_up_to = max(self.durable_up_to, up_to)
        freed: "List[Effect]" = []
        while self._held and self._held[0][0] <= self.durable_up_to:
            freed.append(self._held.popleft()[1])
        return freed

    @property
    def held(self) -> "List[Effect]":
        """What waits now, oldest first (for fingerprints of whole systems)."""
        return [effect for _, effect in self._held]
