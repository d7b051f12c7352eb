"""Makes an illegal history of one object so small that a person can read why it is illegal.

Shrinking only ever weakens what the history demands, so that what is left accuses nobody who is
innocent. Of the operations up to the first return that has no legal order

  - a read may go;
  - an update may become free: its effect may come as often as there are such updates (any number of
    times, where that leads to few states), or never, between the first invocation and the last
    return of the updates that do the same. Only where the failure does not hang on them are these
    two bounds dropped as well, one by one;
  - an operation that returns later is open: it may take effect once, or never.

What must stay as it is, is found by Junker's QuickXplain (AAAI 2004): some k log n searches for k
operations that stay, first among those that returned last.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

from dissensus.checkers.problem import ALWAYS, Problem, Table, Window
from dissensus.checkers.search import Found, Search
from dissensus.harness.checker import Part
from dissensus.harness.history import INFO, History

SECONDS = 10.0
"""For one key. What is not decided then stays as it is: a longer certificate, no weaker one."""
PROBE_CONFIGURATIONS = 200_000
"""For one search: about a second. A probe that needs more is answered with "must stay"."""

FEW_STATES = 64
"""And two for each kind of update: more are not few."""
LOCAL_MAX = 64
"""Operations that a local proof looks at, beside what bounds the others."""

T = TypeVar("T")


class Bound(msgspec.Struct, kw_only=True, frozen=True):
    """Where the time of a free update begins or ends, and the operation that says so."""

    f: str
    arg: Any
    process: int
    """Who does them where that matters, else -1."""
    result: Any = None
    """What they answer where the model keeps that of what returns after the cut."""
    row: int
    """The first of these updates to be invoked, or the last to return."""
    first: bool
    """True: not before the row was invoked. False: not after it returned."""


class Shrunk(msgspec.Struct, kw_only=True):
    """An illegal history with nothing in it that could go."""

    end: int
    """Position of the return that has no legal order: later events do not count."""
    blocked: int
    """The row that returns there."""
    kept: list[int]
    """Rows that stay as they are, in order; all other updates are free, but for the bounds."""
    bounds: list[Bound]
    repeat: bool
    """Free updates may take effect any number of times, and not only as often as there are some."""


class Shrinker:
    """Shrinks the history of one key. `search` is the engine's own."""

    def __init__(
        self,
        table: Table,
        rows: Sequence[int],
        blocked: int,
        *,
        search: type[Search] = Search,
        deadline: float | None = None,
    ) -> None:
        """`deadline` in time.monotonic(): a bound beside `SECONDS`."""
        self.table = table
        self.history: History = table.history
        self.end = self.history.ret[blocked]
        self.blocked = blocked
        self._search = search
        self._deadline = min(deadline or ALWAYS, time.monotonic() + SECONDS)
        self.rows = [row for row in rows if self._counts(row)]
        self._class = {
            row: table.class_of(row, INFO) for row in self.rows if not self._is_read(row)
        }
        self.repeat = self._few_states()
        """Free updates may come any number of times."""

    def run(self) -> Shrunk:
        """The smallest certificate found within the budget."""
        kept = self._keep()
        bounds = self._bounds(kept)
        return Shrunk(
            end=self.end,
            blocked=self.blocked,
            kept=sorted(kept),
            bounds=bounds,
            repeat=self.repeat,
        )

    def _counts(self, row: int) -> bool:
        """The row can matter before the end."""
        table = self.table
        return (
            table.counts(row, self.end) and table.part[table.ends(row, self.end)] is not Part.DROP
        )

    def _closed(self, row: int) -> bool:
        return self.history.outcome[row] != INFO and self.history.ret[row] <= self.end

    def _is_read(self, row: int) -> bool:
        return self.table.pure[self.table.ends(row, self.end)]

    def _few_states(self) -> bool:
        """Updates lead to few states, however often they happen: those of a register do."""
        classes = set(self._class.values())
        most = FEW_STATES + 2 * len(classes)
        reached = {self.table.initial}
        ahead = [self.table.initial]
        while ahead and len(reached) <= most:
            state = ahead.pop()
            fresh = {self.table.step(state, cls) for cls in classes} - reached - {-1}
            reached |= fresh
            ahead += fresh
        return len(reached) <= most

    # -- which operations stay -------------------------------------------------------------------

    def _keep(self) -> list[int]:
        """The operations that must stay as they are."""
        others = [row for row in self.rows if row != self.blocked]
        others.sort(key=self._recency, reverse=True)
        size = self._enough(others, len(others))
        # Of two explanations the one by updates says more than the one by reads.
        near = sorted(others[: 2 * size], key=self._is_read)
        return [self.blocked, *explain(near, lambda some: self._illegal([self.blocked, *some]))]

    def proves(self) -> bool:
        """Do the operations that returned last suffice to show that the blocked one is illegal?
        Cheap where the search through the whole history is not.
        """
        others = [row for row in self.rows if row != self.blocked]
        others.sort(key=self._recency, reverse=True)
        return self._enough(others, LOCAL_MAX) < LOCAL_MAX

    def _enough(self, others: Sequence[int], most: int) -> int:
        """How many of these operations make a failure with the blocked one, `most` if too many."""
        size = 1
        while size < most and not self._illegal([self.blocked, *others[:size]]):
            size *= 2
        return min(size, most)

    def _recency(self, row: int) -> int:
        return self.history.ret[row] if self._closed(row) else self.history.inv[row]

    def _illegal(self, kept: Sequence[int]) -> bool:
        return self._probe(kept, self._windows(kept))

    def _windows(self, kept: Sequence[int]) -> dict[int, Window]:
        """Class -> the time of its updates that are not kept."""
        stays = set(kept)
        windows: dict[int, Window] = {}
        for row, cls in self._class.items():
            if row not in stays:
                begin, until, most = windows.get(cls, (ALWAYS, -1, 0))
                ret = self.history.ret[row] if self._closed(row) else ALWAYS
                most = 0 if self.repeat else most + 1
                windows[cls] = Window(min(begin, self.history.inv[row]), max(until, ret), most)
        return windows

    def _probe(self, kept: Sequence[int], windows: dict[int, Window]) -> bool:
        """True where it is certain that there is no legal order."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            return False
        problem = Problem(self.table, kept, free=windows, end=self.end)
        search = self._search(problem, configurations=PROBE_CONFIGURATIONS, deadline=self._deadline)
        return search.run() is Found.ILLEGAL

    # -- which bounds stay -----------------------------------------------------------------------

    def _bounds(self, kept: Sequence[int]) -> list[Bound]:
        """The bounds of free updates that the failure hangs on, as few different ones as can be."""
        windows = self._windows(kept)
        sides = [
            (cls, side) for cls in windows for side in (0, 1) if -1 < windows[cls][side] < ALWAYS
        ]
        # Of two explanations the one that lies nearer to the failure is told.
        sides.sort(key=lambda one: windows[one[0]][one[1]], reverse=True)

        def illegal(some: Sequence[tuple[int, int]]) -> bool:
            return self._probe(kept, _with_bounds(windows, some))

        needed = explain(sides, illegal)
        bounded = self._shared(kept, _with_bounds(windows, needed), needed)
        found = []
        for cls, side in needed:
            call = self.table.classes[cls]
            row = self._row_at(bounded[cls][side])
            found.append(
                Bound(
                    f=call.f,
                    arg=call.value,
                    process=call.process,
                    result=call.result,
                    row=row,
                    first=side == 0,
                )
            )
        return sorted(found, key=lambda bound: (bound.row, bound.first))

    def _shared(
        self, kept: Sequence[int], windows: dict[int, Window], needed: Sequence[tuple[int, int]]
    ) -> dict[int, Window]:
        """The windows with their bounds widened to those of others where that does, so that few
        operations have to be shown.
        """
        for cls, side in needed:
            here = windows[cls][side]
            others = {windows[c][s] for c, s in needed if s == side}
            wider = [p for p in others if (p > here if side else p < here)]
            for position in sorted(wider, reverse=side == 1):
                window = windows[cls]
                wide = window._replace(until=position) if side else window._replace(begin=position)
                if self._probe(kept, {**windows, cls: wide}):
                    windows = {**windows, cls: wide}
                    break
        return windows

    def _row_at(self, position: int) -> int:
        """The row that is invoked or returns at a position."""
        history = self.history
        return next(r for r in self.rows if position in (history.inv[r], history.ret[r]))


def _with_bounds(windows: dict[int, Window], sides: Sequence[tuple[int, int]]) -> dict[int, Window]:
    """The windows with these sides alone, the others without an end."""
    bounded = set(sides)
    return {
        cls: Window(
            window.begin if (cls, 0) in bounded else -1,
            window.until if (cls, 1) in bounded else ALWAYS,
            window.most,
        )
        for cls, window in windows.items()
    }


def explain(parts: Sequence[T], holds: Callable[[Sequence[T]], bool]) -> list[T]:
    """QuickXplain: a subset of `parts` for which `holds` is true, with none that could go; those in
    front are preferred. `holds` grows with its argument and is true for all of `parts`.
    """
    if holds([]):
        return []
    return _explain([], parts, holds, changed=False)


def _explain(
    base: Sequence[T], parts: Sequence[T], holds: Callable[[Sequence[T]], bool], *, changed: bool
) -> list[T]:
    if changed and holds(base):
        return []
    if len(parts) <= 1:
        return list(parts)
    half = len(parts) // 2
    front, back = parts[:half], parts[half:]
    from_back = _explain([*base, *front], back, holds, changed=True)
    from_front = _explain([*base, *from_back], front, holds, changed=bool(from_back))
    return [*from_front, *from_back]
