"""Just-in-time linearization: the search that decides whether an object's operations have an order.

A configuration is (event, mask, state, used): the operations that returned before the event have
taken effect, and so have the open ones in the mask and the optional ones in `used`; the key is in
that state. An operation takes effect no earlier than an event that needs it. The search goes depth
first and remembers every configuration, by five rules that keep them few:

  (a) a read whose answer fits the state takes effect at once: it changes nothing, so every future
      that was open stays open;
  (b) of open operations of one class only the one that returns first is tried: two of them can
      change places in any order;
  (c) crashed operations of one class are spent in the order of their invocation, for the same
      reason: only their number counts. They are bits in `used`, a class fills up from its first;
  (d) a configuration is dropped when another one at the same event, mask and state has used a
      subset of its crashed operations: whatever it can do, the other one can;
  (e) the operation that must return now is tried first, then those that let it return, then by the
      time of return, crashed ones last. This is order only;
  (f) a crashed write is tried only where an operation that is open, or another crashed one, can
      tell: one that the next write covers might as well not have happened.
"""

from __future__ import annotations

import enum
import time
from bisect import bisect_left, insort

from dissensus.checkers.problem import GATE, Problem

STATE_BITS = 24
"""States that a remembered configuration can tell apart: more than a budget reaches."""
CLOCK_EVERY = 2048
"""Configurations between two looks at the clock: some milliseconds."""

Config = tuple[int, int, int, int]
"""(event, mask, state, used)."""


class Found(enum.Enum):
    """What a search found."""

    LEGAL = "legal"
    ILLEGAL = "illegal"
    GAVE_UP = "gave up"


class OpenOps:
    """The operations that are open at an event, by number, which is the order of their return.

    The search asks for neighbouring events: the two lists are moved along, not made anew.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._at = 0
        self.reads: list[int] = []
        self.updates: list[int] = []
        if len(problem):
            self._enter(0)

    def seek(self, event: int) -> None:
        """Make the lists those of `event`."""
        while self._at < event:
            self._list_of(self._at, remove=self._at)
            self._at += 1
            self._enter(self._at)
        while self._at > event:
            for op in self._problem.arrivals[self._at]:
                self._list_of(op, remove=op)
            self._at -= 1
            if self._problem.cls[self._at] != GATE:
                insort(self._list_of(self._at), self._at)

    def _enter(self, event: int) -> None:
        for op in self._problem.arrivals[event]:
            insort(self._list_of(op), op)

    def _list_of(self, op: int, *, remove: int = -1) -> list[int]:
        cls = self._problem.cls[op]
        if cls == GATE:
            return []
        ops = self.reads if self._problem.table.pure[cls] else self.updates
        if remove >= 0:
            del ops[bisect_left(ops, remove)]
        return ops


class Search:
    """One search over one problem. `deepest` says how far it got: every event before it has an
    order in which it can return; after ILLEGAL none has with the event itself.
    """

    def __init__(self, problem: Problem, *, configurations: int, deadline: float) -> None:
        self.problem = problem
        self.open = OpenOps(problem)
        self.deepest = 0
        self.visited = 0
        self._configurations = configurations
        self._deadline = deadline
        """In time.monotonic()."""
        self._seen: dict[int, int | list[int]] = {}
        self._step = problem.table.step
        table = problem.table
        self._blind = frozenset(cls for cls in problem.optional if table.blind[cls])
        self._sighted = [cls for cls in problem.optional if not table.blind[cls]]
        self._supplied: dict[int, frozenset[int]] = {}
        self._moves: dict[int, list[tuple[int, int]]] = {}
        chained = (self._suppliers(cls) for cls in self._sighted)
        self._chained = frozenset[int]().union(*chained)
        """Optional writes that another optional operation can tell."""

    def run(self) -> Found:
        """Search until an order is found, none is left, or the budget is used up."""
        problem = self.problem
        last = len(problem)
        waiting: list[tuple[bool, Config]] = [(False, self._first())]
        while waiting:
            branched, (event, mask, state, used) = waiting.pop()
            while True:
                if not branched:
                    if not self.is_new((event, mask, state, used)):
                        break
                    if self._over_budget():
                        return Found.GAVE_UP
                    self.deepest = max(self.deepest, event)
                    if event == last:
                        return Found.LEGAL
                    if mask & problem.bit[event]:
                        event, mask, state, used = self._pass(event, mask, state, used)
                        continue
                    after = self._now(event, mask, state, used)
                    if after is not None:
                        waiting.append((True, (event, mask, state, used)))
                        event, mask, state, used = after
                        continue
                branched = False
                branches = self.branches((event, mask, state, used))
                waiting.extend((False, config) for config in reversed(branches))
                break
        return Found.ILLEGAL

    def _first(self) -> Config:
        state = self.problem.table.initial
        mask = self.eager(0, 0, state) if len(self.problem) else 0
        return 0, mask, state, 0

    def _over_budget(self) -> bool:
        self.visited += 1
        if self.visited > self._configurations:
            return True
        return self.visited % CLOCK_EVERY == 0 and time.monotonic() > self._deadline

    def _pass(self, event: int, mask: int, state: int, used: int) -> Config:
        """The operation that returns at the event has taken effect: on to the next event."""
        mask &= ~self.problem.bit[event]
        event += 1
        if event < len(self.problem):
            mask = self.eager_among(self.problem.arrivals[event], mask, state)
        return event, mask, state, used

    def _now(self, event: int, mask: int, state: int, used: int) -> Config | None:
        """Rule (e), first part: the operation that must return takes effect now, if it can."""
        cls = self.problem.cls[event]
        if cls == GATE:
            return self._pass(event, mask, state, used)
        after = self._step(state, cls)
        if after < 0:
            return None
        mask |= self.problem.bit[event]
        if after != state:
            mask = self.eager(event, mask, after)
        return event, mask, after, used

    def eager(self, event: int, mask: int, state: int) -> int:
        """Rule (a) over all reads that are open: the mask with those that fit the state."""
        self.open.seek(event)
        return self.eager_among(self.open.reads, mask, state)

    def eager_among(self, ops: list[int], mask: int, state: int) -> int:
        """Rule (a) over these operations."""
        problem = self.problem
        for op in ops:
            cls = problem.cls[op]
            if problem.table.pure[cls] and self._step(state, cls) >= 0:
                mask |= problem.bit[op]
        return mask

    def branches(self, config: Config) -> list[Config]:
        """What else may take effect before the event: rules (b), (c) and (e)."""
        event, mask, state, used = config
        problem = self.problem
        goal = problem.cls[event]
        found: list[Config] = []
        tried: set[int] = set()
        if goal != GATE:
            tried.add(goal)
        self.open.seek(event)
        for op in self.open.updates:
            cls = problem.cls[op]
            if mask & problem.bit[op] or cls in tried:
                continue
            tried.add(cls)
            after = self._step(state, cls)
            if after >= 0:
                found.append((event, mask | problem.bit[op], after, used))
        for cls, after in self.crashed_moves(event, mask, state):
            for bit in self.supply(cls, event, used):
                found.append((event, mask, after, used | bit))
        if goal != GATE:
            found.sort(key=lambda c: self._step(c[2], goal) < 0)
        return [(e, self.eager(e, m, s), s, u) for e, m, s, u in found]

    def supply(self, cls: int, event: int, used: int) -> list[int]:
        """Rule (c): the bit of the next crashed operation of the class that is not spent, if it was
        invoked before the event; 0 for a free one in its time.
        """
        found = []
        for bit, first, last in self.problem.optional[cls]:
            if not used & bit:
                if first <= event <= last:
                    found.append(bit)
                if bit:
                    break
        return found

    def crashed_moves(self, event: int, mask: int, state: int) -> list[tuple[int, int]]:
        """(class, state after it) of the optional operations that are worth a try: rule (f). One
        that changes nothing leads to a configuration that this one dominates.
        """
        if not self.problem.optional:
            return []
        moves = self._moves_from(state)
        if self.problem.cls[event] == GATE:
            # What happens before a gate may be for the sake of an operation after it.
            blind = self._blind
        else:
            blind = self._chained
            for op in (*self.open.reads, *self.open.updates):
                if not mask & self.problem.bit[op]:
                    blind = blind | self._suppliers(self.problem.cls[op])
        found = [(cls, self._step(state, cls)) for cls in sorted(blind)]
        return moves + [(cls, after) for cls, after in found if after != state]

    def _moves_from(self, state: int) -> list[tuple[int, int]]:
        """(class, state after it) of the optional operations that look at the state before."""
        found = self._moves.get(state)
        if found is None:
            steps = [(cls, self._step(state, cls)) for cls in self._sighted]
            found = self._moves[state] = [(c, s) for c, s in steps if s >= 0 and s != state]
        return found

    def _suppliers(self, cls: int) -> frozenset[int]:
        """The optional writes that make an operation of the class legal."""
        found = self._supplied.get(cls)
        if found is None:
            initial = self.problem.table.initial
            blind = () if self.problem.table.blind[cls] else self._blind
            found = self._supplied[cls] = frozenset(
                write for write in blind if self._step(self._step(initial, write), cls) >= 0
            )
        return found

    def is_new(self, config: Config) -> bool:
        """Rule (d): remember the configuration, unless one that was seen dominates it."""
        event, mask, state, used = config
        key = (mask << STATE_BITS | state) * (len(self.problem) + 1) + event
        seen = self._seen.get(key)
        if seen is None:
            self._seen[key] = used
            return True
        olds = seen if isinstance(seen, list) else [seen]
        if any(self.dominates(old, used) for old in olds):
            return False
        self._seen[key] = [old for old in olds if not self.dominates(used, old)] + [used]
        return True

    @staticmethod
    def dominates(used: int, other: int) -> bool:
        """Everything that `used` has spent, `other` has spent too."""
        return used & ~other == 0
