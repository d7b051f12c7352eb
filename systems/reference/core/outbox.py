"""Holds what a core sends until what it persisted is durable: the one implementation of that rule, for every driver.

A driver feeds each effect list through `push`, which returns the effects to execute now, in order; when the disk
reports that Persists up to n are durable it calls `durable(n)`, executes what comes back, and only then steps
`Persisted(n)`. A crash is simply a new Outbox: held effects are gone.
"""

from __future__ import annotations

from collections import deque
from typing import Deque, Iterable, List, Set, Tuple

from .effects import Effect, Persist, Reply, Send


class Outbox:
    """Order is kept per destination: an early effect overtakes only effects to other destinations."""

    __slots__ = ("_busy", "_held", "durable_up_to", "persisted")

    def __init__(self) -> None:
        self.persisted = 0
        """Number of the latest Persist that the core issued."""
        self.durable_up_to = 0
        """Number of the latest Persist known to be on disk."""
        self._held: "Deque[Tuple[int, Effect]]" = deque()
        self._busy: "Set[str]" = set()

    def push(self, effects: "Iterable[Effect]") -> "List[Effect]":
        """Return the effects to execute now; hold the Sends and Replies that must wait."""
        ready: "List[Effect]" = []
        for effect in effects:
            kind = type(effect)
            if kind is Persist:
                self.persisted += 1
            elif kind is Send or kind is Reply:
                if self._must_wait(effect):
                    continue
            ready.append(effect)
        return ready

    def _must_wait(self, effect: "Effect") -> bool:
        if self.durable_up_to >= self.persisted:
            return False
        key = _destination(effect)
        if effect.early and key not in self._busy:  # type: ignore[union-attr]
            return False
        self._busy.add(key)
        self._held.append((self.persisted, effect))
        return True

    def durable(self, up_to: int) -> "List[Effect]":
        """Persists up to `up_to` are on disk: return what that frees, in order."""
        self.durable_up_to = max(self.durable_up_to, up_to)
        freed: "List[Effect]" = []
        held = self._held
        while held and held[0][0] <= self.durable_up_to:
            freed.append(held.popleft()[1])
        if freed:
            self._busy = {_destination(effect) for _, effect in held}
        return freed

    @property
    def held(self) -> "List[Effect]":
        """What waits now, oldest first (for fingerprints of whole systems)."""
        return [effect for _, effect in self._held]


def _destination(effect: "Effect") -> str:
    # Replies share one destination per client handle; the prefix keeps node ids and handles apart.
    if type(effect) is Send:
        return "n:" + effect.dst
    return "c:" + repr(effect.client)  # type: ignore[union-attr]
