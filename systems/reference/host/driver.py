"""Runs one core on one store for one incarnation: events in, effects carried out, durability kept.

Both worlds use it: `node.py` (asyncio, sockets, real files) and `sim.py` (the simulator). They give
it a `World` for what leaves the node, call `step` for each event of a batch, and `flush` at the end
of the batch: so one fsync covers all that the batch persisted. Timers come first: that rule needs a
clock and is kept by the world.
"""

from __future__ import annotations

from typing import Any, Protocol

from dissensus.systems.reference.core.effects import (
    Applied,
    Ask,
    CancelTimer,
    Effect,
    Evidence,
    Mark,
    Persist,
    Reply,
    Send,
    SetTimer,
)
from dissensus.systems.reference.core.events import Answer, Event, Persisted, Start
from dissensus.systems.reference.core.outbox import Outbox
from dissensus.systems.reference.core.protocol import Protocol as Core
from dissensus.systems.reference.store.log import Store


class World(Protocol):
    """What a driver needs of the place that it runs in."""

    def send(self, dst: str, msg: Any) -> None: ...
    def reply(self, client: Any, result: Any) -> None: ...
    def set_timer(self, name: str, lo_ns: int, hi_ns: int) -> None:
        """Arm or re-arm, with a delay drawn from [lo_ns, hi_ns]."""
        ...

    def cancel_timer(self, name: str) -> None: ...

    def ask(self, kind: str) -> int:
        """Entropy below 2**64, or a clock reading in ns."""
        ...

    def applied(self, index: int, digest: int, entry: Any) -> None: ...
    def mark(self, name: str, fields: dict[str, Any]) -> None: ...
    def evidence(self, culprit: str, proof: Any) -> None: ...


class Driver:
    """One incarnation. Exceptions of the core and the store pass through: the world ends the node
    for all of them but PeerError.
    """

    __slots__ = (
        "_answers",
        "_carry",
        "_start_with",
        "_turns",
        "_world",
        "core",
        "outbox",
        "started",
        "store",
    )

    def __init__(self, core: Core, store: Store, world: World) -> None:
        self.core = core
        self.store = store
        self.outbox = Outbox()
        self.started = False
        self._world = world
        self._start_with: Any = None
        self._answers: list[Answer] = []
        self._turns: list[Answer] = []
        self._carry: dict[type, Any] = {
            Persist: lambda e: store.append(e.patch),
            Send: lambda e: world.send(e.dst, e.msg),
            Reply: lambda e: world.reply(e.client, e.result),
            Applied: lambda e: world.applied(e.index, e.digest, e.entry),
            SetTimer: lambda e: world.set_timer(e.name, e.lo_ns, e.hi_ns),
            CancelTimer: lambda e: world.cancel_timer(e.name),
            Mark: lambda e: world.mark(e.name, e.fields),
            Ask: self._ask,
            Evidence: lambda e: world.evidence(e.culprit, e.proof),
        }

    def boot(self) -> None:
        """Recover. The core starts when what was recovered is known to be durable (`synced`)."""
        self._start_with = self.store.recover()

    def step(self, event: Event) -> None:
        """One event and everything that follows from it at once."""
        effects = self.core.step(event)
        if effects:
            self._execute(self.outbox.push(effects))
        while self._answers:
            effects = self.core.step(self._answers.pop(0))
            self._execute(self.outbox.push(effects))

    def flush(self) -> None:
        """End of a batch: tell the core if it asked; write what was persisted and begin an fsync
        if none is running.
        """
        while self._turns:
            self.step(self._turns.pop(0))
        self.store.flush()

    def synced(self, token: int) -> None:
        """A token of `Files` completed. Held effects leave before the core hears of it."""
        up_to = self.store.synced(token)
        if not self.started:
            if self.store.booted:
                self.started = True
                durable, self._start_with = self._start_with, None
                self.step(Start(durable))
        elif up_to is not None:
            self._execute(self.outbox.durable(up_to))
            self.step(Persisted(up_to))

    def _execute(self, effects: list[Effect]) -> None:
        carry = self._carry
        for effect in effects:
            carry[type(effect)](effect)

    def _ask(self, effect: Ask) -> None:
        if effect.kind == "turn":
            self._turns.append(Answer(effect.token, 0))
        else:
            self._answers.append(Answer(effect.token, self._world.ask(effect.kind)))
