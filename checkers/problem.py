"""What the search works on: the operations of one key as small numbers.

Operations that completed are numbered by the order in which they returned, so that operation i is
the one that the i-th *event* waits for. Operations that crashed (`info`, or open at the end) are
*optional*: each may take effect once, at any time after its invocation, or never; reads among them
say nothing and are left out, as are operations that failed.

Shrinking adds operations that are *free*: whose effect may come any number of times, or never,
between two positions of the history. Where that time ends a *gate* stands among the events: nothing
has to happen there, but it is the last moment for what may happen.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import Any

from dissensus.harness.checker import Model
from dissensus.harness.errors import UserError, unknown_name
from dissensus.harness.history import FAIL, OK, History

GATE = -1
"""In the place of a class: no operation returns at this event."""
ALWAYS = 1 << 62
"""A position after every history."""

USEFUL_STEPS_MAX = 2_000_000
"""Transitions that are tried to find optional operations without use: about a second. Beyond it
they all stay.
"""

Window = tuple[int, int]
"""Positions between which (both included) a free class may take effect."""


class Table:
    """The transitions of a model over numbers, each asked of the model once.

    A class is a set of operations that no model can tell apart: same f, argument, result, and
    whether the result is known.
    """

    def __init__(self, model: Model, history: History) -> None:
        self.model = model
        self.history = history
        self.states: list[Any] = []
        self.classes: list[tuple[str, Any, Any, bool]] = []
        self.pure: list[bool] = []
        """Class -> it never changes the state."""
        self.blind: list[bool] = []
        """Class -> it cannot tell what was before."""
        self._state_ids: dict[Any, int] = {}
        self._class_ids: dict[tuple[int, int, int, bool], int] = {}
        self._moves: dict[int, int] = {}
        self.initial = self.state_id(model.initial())

    def state_id(self, state: Any) -> int:
        """The number of a state."""
        found = self._state_ids.setdefault(state, len(self.states))
        if found == len(self.states):
            self.states.append(state)
        return found

    def class_of(self, row: int, *, known: bool) -> int:
        """The class of a row. Raises UserError for an operation that the model does not have."""
        history = self.history
        result = history.result[row] if known else -1
        key = (history.f[row], history.arg[row], result, known)
        found = self._class_ids.get(key)
        if found is None:
            f = history.f_of(row)
            if f not in self.model.fs:
                place = f"operation of model {self.model.name} at event {history.inv[row]}"
                raise unknown_name(place, f, self.model.fs)
            value = history.result_of(row) if known else None
            try:
                self.model.step(self.model.initial(), f, history.arg_of(row), value, known=known)
            except UserError as error:
                raise UserError(f"event {history.inv[row]}: {error}") from None
            found = self._class_ids[key] = len(self.classes)
            self.classes.append((f, history.arg_of(row), value, known))
            self.pure.append(self.model.is_read(f, value))
            self.blind.append(self.model.is_blind(f, value))
        return found

    def step(self, state: int, cls: int) -> int:
        """The state after an operation of the class, -1 where it cannot happen."""
        key = state << 32 | cls
        found = self._moves.get(key)
        if found is None:
            f, value, result, known = self.classes[cls]
            legal, after = self.model.step(self.states[state], f, value, result, known=known)
            found = self._moves[key] = self.state_id(after) if legal else -1
        return found


class Problem:
    """The operations of one key up to a position, ready for the search.

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
        useful = self._useful(must, {*free, *(table.class_of(row, known=False) for row in may)})
        free = {cls: window for cls, window in free.items() if cls in useful}
        self._number(must, free)
        self._allow([row for row in may if table.class_of(row, known=False) in useful], free)

    def __len__(self) -> int:
        return len(self.cls)

    def _sorted(self, rows: Iterable[int], end: int) -> tuple[list[int], list[int]]:
        """Rows that must take effect, and rows that may."""
        history = self.table.history
        must, may = [], []
        for row in rows:
            outcome = history.outcome[row]
            if outcome == FAIL or history.inv[row] >= end:
                continue
            if outcome == OK and history.ret[row] <= end:
                must.append(row)
            elif not self.table.model.is_read(history.f_of(row), None):
                may.append(row)
        return must, may

    def _useful(self, must: list[int], optional: set[int]) -> set[int]:
        """The optional classes that can make a difference. One whose state nothing can tell, but
        for other optional operations after which the same holds, might as well never happen.
        """
        if not optional:
            return set()
        table = self.table
        needed = {table.class_of(row, known=True) for row in must}
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

    def _number(self, must: list[int], free: Mapping[int, Window]) -> None:
        """Events in order, what arrives before each, and slots."""
        history = self.table.history
        ends = {until for _, until in free.values() if until < ALWAYS}
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
            self.cls.append(self.table.class_of(row, known=True) if row >= 0 else GATE)

    def _allow(self, may: list[int], free: Mapping[int, Window]) -> None:
        """What may take effect, and between which events."""
        history = self.table.history
        last = len(self.cls)
        for cls, (begin, until) in free.items():
            first = bisect_left(self._positions, begin)
            # The gate of the window, where it has one, is the last event in it.
            final = last if until >= ALWAYS else bisect_left(self._positions, until)
            self.optional[cls] = [(0, first, final)]
        for number, row in enumerate(sorted(may, key=lambda row: history.inv[row])):
            cls = self.table.class_of(row, known=False)
            first = bisect_left(self._positions, history.inv[row])
            self.optional.setdefault(cls, []).append((1 << number, first, last))
