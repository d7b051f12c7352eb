"""What the search works on: the operations of one object as small numbers.

Operations that completed are numbered by the order in which they returned, so that operation i is
the one that the i-th *event* waits for. Operations that crashed (`info`, or open at the end) are
*optional*: each may take effect once, at any time after its invocation, or never; reads among them
say nothing and are left out, as are operations that failed. What a model says otherwise of (a
failed cas that saw another value) counts as it says.

Shrinking adds operations that are *free*: whose effect may come a number of times, or never,
between two positions of the history. Where that time ends a *gate* stands among the events: nothing
has to happen there, but it is the last moment for what may happen.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from dissensus.harness.checker import Call, Model, Part
from dissensus.harness.errors import UserError
from dissensus.harness.history import FAIL, INFO, OK, OUTCOMES, History

GATE = -1
"""In the place of a class: no operation returns at this event."""
ALWAYS = 1 << 62
"""A position after every history."""

FEW_STATES = 64
"""And two for each class: an object that is written over has no more."""
USEFUL_STEPS_MAX = 2_000_000
"""Transitions that are tried to find optional operations without use: about a second. Beyond it
they all stay.
"""


class Window(NamedTuple):
    """Positions between which (both included) a free class may take effect, and how often."""

    begin: int
    until: int
    most: int
    """0: any number of times."""


class Several(frozenset[Any]):
    """The states that an object can be in after a step that can lead to more than one. As a state
    it is one: an operation is legal in it where it is in one of them (the power set construction).
    """


class States:
    """The states of a model and what leads from one to another, as numbers: each pair of a state
    and a class of operations is asked of the model once.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.states: list[Any] = []
        self.classes: list[Call] = []
        self._state_ids: dict[Any, int] = {}
        self._moves: dict[int, int] = {}
        self.initial = self.state_id(model.initial())

    def state_id(self, state: Any) -> int:
        """The number of a state."""
        # The type keeps 0, False and 0.0 apart, which are equal in Python.
        key = (type(state), state)
        found = self._state_ids.setdefault(key, len(self.states))
        if found == len(self.states):
            self.states.append(state)
        return found

    def step(self, state: int, cls: int) -> int:
        """The state after an operation of the class, -1 where it cannot happen."""
        key = state << 32 | cls
        found = self._moves.get(key)
        if found is None:
            found = self._moves[key] = self._after(state, cls)
        return found

    def _after(self, state: int, cls: int) -> int:
        before = self.states[state]
        if not isinstance(before, Several):
            after = self.model.step(before, self.classes[cls])
            if after is None:
                return -1
            return self._any_of(after) if isinstance(after, set) else self.state_id(after)
        found: set[Any] = set()
        for one in before:
            number = self.step(self.state_id(one), cls)
            if number >= 0:
                after = self.states[number]
                found |= after if isinstance(after, Several) else {after}
        return self._any_of(found)

    def _any_of(self, states: set[Any]) -> int:
        if len(states) > 1:
            return self.state_id(Several(states))
        return self.state_id(states.pop()) if states else -1


class Table(States):
    """The transitions of a model over the operations of a history.

    A class is a set of operations that no model can tell apart: same f, argument, outcome and
    result, and same key or process where the model asks for them.
    """

    def __init__(self, model: Model, history: History) -> None:
        super().__init__(model)
        self.history = history
        self._keeps = getattr(model, "keeps_results", False)
        """What returns after the cut keeps its result: nobody else can say a token."""
        self.part: list[Part] = []
        """Class -> how its operations count."""
        self.pure: list[bool] = []
        """Class -> it never changes the state."""
        self.blind: list[bool] = []
        """Class -> it cannot tell what was before."""
        self._class_ids: dict[tuple[int, int, int, int, int, int], int] = {}

    def class_of(self, row: int, outcome: int) -> int:
        """The class of a row as if it had ended so: what returns after a cut is `info`. Raises
        UserError for an operation that the model does not have.
        """
        history, model = self.history, self.model
        told = outcome == OK or (self._keeps and history.outcome[row] == OK)
        result = history.result[row] if told else -1
        object_key = -1 if model.by_key else history.key[row]
        process = history.process[row] if model.by_process else -1
        key = (history.f[row], history.arg[row], result, outcome, object_key, process)
        found = self._class_ids.get(key)
        if found is None:
            call = Call(
                f=history.f_of(row),
                value=history.arg_of(row),
                result=history.result_of(row) if told else None,
                type=OUTCOMES[outcome],
                key=None if model.by_key else history.key_of(row),
                process=process,
            )
            try:
                model.accepts(call)
            except UserError as error:
                raise UserError(f"event {history.inv[row]}: {error}") from None
            found = self._class_ids[key] = len(self.classes)
            self.classes.append(call)
            self.part.append(model.part(call))
            self.pure.append(model.is_read(call))
            self.blind.append(model.is_blind(call))
        return found

    def counts(self, row: int, end: int) -> bool:
        """The row says something in the history that ends at a position. One that failed later did
        not happen before either.
        """
        history = self.history
        return history.inv[row] < end and (history.outcome[row] != FAIL or history.ret[row] <= end)

    def ends(self, row: int, end: int) -> int:
        """The class of a row that counts, in the history that ends at a position."""
        history = self.history
        outcome = history.outcome[row]
        return self.class_of(row, outcome if history.ret[row] <= end else INFO)


class Problem:
    """The operations of one object up to a position, ready for the search.

    `rows` are taken as they are; `free` says between which positions each further class may take
    effect at will. An operation that returns after `end` is open: it becomes optional.
    """

    def __init__(
        self,
        table: Table,
        rows: Iterable[int],
        *,
        free: Mapping[int, Window] | None = None,
        end: int = ALWAYS,
    ) -> None:
        self.table = table
        self.row: list[int] = []
        """Event -> the row that returns there, -1 at a gate."""
        self.cls: list[int] = []
        self.bit: list[int] = []
        """Event -> the bit of its operation in the mask of a configuration: slots are used again,
        so that a mask is as wide as the operations that are open at once. 0 at a gate.
        """
        self.arrivals: list[list[int]] = []
        """Event -> the operations invoked since the event before, by number."""
        self.optional: dict[int, list[tuple[int, int, int]]] = {}
        """Class -> (bit in `used`, first event, last event), in the order in which they may be
        spent. The bit is 0 where the supply has no end.
        """
        must, may = self._sorted(rows, end)
        free = free or {}
        useful = self._useful(set(must.values()), {*free, *may.values()})
        free = {cls: window for cls, window in free.items() if cls in useful}
        self._number(must, free)
        self._allow({row: cls for row, cls in may.items() if cls in useful}, free)

    def __len__(self) -> int:
        return len(self.cls)

    def _sorted(self, rows: Iterable[int], end: int) -> tuple[dict[int, int], dict[int, int]]:
        """Rows that must take effect, and rows that may, each with its class."""
        table = self.table
        must: dict[int, int] = {}
        may: dict[int, int] = {}
        for row in rows:
            if table.counts(row, end):
                cls = table.ends(row, end)
                if table.part[cls] is Part.MUST:
                    must[row] = cls
                elif table.part[cls] is Part.MAY:
                    may[row] = cls
        return must, may

    def _useful(self, needed: set[int], optional: set[int]) -> set[int]:
        """The optional classes that can make a difference. One whose state nothing can tell, but
        for other optional operations after which the same holds, might as well never happen.
        """
        table = self.table
        if not any(table.blind[cls] for cls in optional):
            # Only objects that are written over have few states.
            return optional
        sighted = [cls for cls in needed | optional if not table.blind[cls]]
        if len(needed | optional) * len(sighted) > USEFUL_STEPS_MAX:
            return optional
        writes = [cls for cls in needed | optional if table.blind[cls] and not table.pure[cls]]
        states = {table.initial, *(table.step(table.initial, cls) for cls in writes)}
        ahead = list(states)
        edges: list[tuple[int, int, int]] = []
        """(state before, class, state after) of optional operations that look at the state."""
        told = set()
        while ahead:
            state = ahead.pop()
            if len(states) > FEW_STATES + 2 * len(needed | optional):
                # What is appended to has states without end.
                return optional
            for cls in sighted:
                after = table.step(state, cls)
                if after < 0:
                    continue
                if cls in optional:
                    edges.append((state, cls, after))
                if cls in needed:
                    told.add(state)
                if after not in states:
                    states.add(after)
                    ahead.append(after)
        grown = True
        while grown:
            before = {state for state, _, after in edges if after in told}
            grown = not before <= told
            told |= before
        useful = {cls for _, cls, after in edges if after in told}
        writes = [cls for cls in writes if cls in optional]
        return useful | {cls for cls in writes if table.step(table.initial, cls) in told}

    def _number(self, must: dict[int, int], free: Mapping[int, Window]) -> None:
        """Events in order, what arrives before each, and slots."""
        history = self.table.history
        ends = {window.until for window in free.values() if window.until < ALWAYS}
        events = [(history.ret[row], row) for row in must] + [(until, -1) for until in ends]
        events.sort()
        self._positions = [position for position, _ in events]
        self.row = [row for _, row in events]
        self.arrivals = [[] for _ in events]
        slots: list[int] = []
        widest = 0
        for event, row in enumerate(self.row):
            if row >= 0:
                first = bisect_left(self._positions, history.inv[row])
                self.arrivals[first].append(event)
        self.bit = [0] * len(events)
        for event, row in enumerate(self.row):
            for op in self.arrivals[event]:
                if not slots:
                    slots.append(widest)
                    widest += 1
                self.bit[op] = 1 << heapq.heappop(slots)
            if row >= 0:
                heapq.heappush(slots, self.bit[event].bit_length() - 1)
            self.cls.append(must[row] if row >= 0 else GATE)

    def _allow(self, may: dict[int, int], free: Mapping[int, Window]) -> None:
        """What may take effect, and between which events."""
        history = self.table.history
        last = len(self.cls)
        number = 0
        for cls, (begin, until, most) in free.items():
            first = bisect_left(self._positions, begin)
            # The gate of the window, where it has one, is the last event in it.
            final = last if until >= ALWAYS else bisect_left(self._positions, until)
            bits = [1 << (number + i) for i in range(most)] or [0]
            self.optional[cls] = [(bit, first, final) for bit in bits]
            number += most
        for bit, row in enumerate(sorted(may, key=lambda row: history.inv[row]), number):
            first = bisect_left(self._positions, history.inv[row])
            self.optional.setdefault(may[row], []).append((1 << bit, first, last))
