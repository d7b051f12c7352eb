"""The shortest cycle of each kind in a dependency graph, in pure Python.

The same kinds as in the native engine (`checkers/engine/src/txn/cycles.rs`): for each edge that a
kind must have, a breadth-first search through (row, state of the kind's automaton) for the way
back. Real time has no edges: within a component whoever was invoked after a row's return follows
it, and since the rows are sorted by invocation, what a search has reached by real time is a tail of
them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from dissensus.checkers.transactions import Anomaly, Step

WORK_MAX = 400_000
"""Edges that one search for a kind in a component may look at: about half a second."""
COMPONENTS_MAX = 4
PLAIN, PROCESS, REALTIME = 0, 1, 2
SUFFIX = ("", "-process", "-realtime")
SEEN, AFTER_RW, TWO = 1, 2, 4


class Edge(NamedTuple):
    """One dependency."""

    to: int
    kind: str
    """ "ww", "wr", "rw", "process"; "inferred" is a ww that reads show."""
    mode: int
    step: Step


Graph = Mapping[int, list[Edge]]
Spans = Mapping[int, tuple[int, float]]
"""Row -> invocation and return, infinite where it may still be under way."""


class Kind(NamedTuple):
    """A kind of cycle in a mode."""

    base: str
    mode: int
    sure: bool

    @property
    def name(self) -> str:
        base = "G1c" if self.base == "G0" and not self.sure else self.base
        return base + SUFFIX[self.mode]

    def takes(self, edge: Edge) -> bool:
        """The edge may be part of it."""
        kinds = {"G0": ("ww",), "G1c": ("ww", "wr")}.get(self.base, ("ww", "wr", "rw", "inferred"))
        return edge.mode <= self.mode and edge.kind in (*kinds, "process")

    @property
    def first(self) -> str:
        """An edge that every such cycle has."""
        return {"G0": "ww", "G1c": "wr"}.get(self.base, "rw")

    def begin(self, mode: int) -> int:
        """The state after its first edge."""
        seen = SEEN if mode == self.mode else 0
        return seen | (AFTER_RW if self.base in ("G-nonadjacent-item", "G2-item") else 0)

    def next(self, state: int, kind: str, mode: int) -> int | None:
        """The state after one more edge; None where no such cycle goes on so."""
        if mode == self.mode:
            state |= SEEN
        rw = kind == "rw"
        if self.base == "G-single-item":
            return None if rw else state
        if self.base == "G-nonadjacent-item":
            if not rw:
                return state & ~AFTER_RW
            return None if state & AFTER_RW else state | AFTER_RW | TWO
        if self.base == "G2-item" and not state & TWO:
            return state | TWO if rw else None
        return state

    def accepts(self, state: int) -> bool:
        """The cycle may be closed here."""
        if self.mode != PLAIN and not state & SEEN:
            return False
        if self.base == "G-nonadjacent-item":
            return not state & AFTER_RW and bool(state & TWO)
        return self.base != "G2-item" or bool(state & TWO)


BASES = ("G0", "G1c", "G-single-item", "G-nonadjacent-item", "G2-item")


def components(rows: Iterable[int], follow: Mapping[int, list[int]]) -> list[list[int]]:
    """Strongly connected components of more than one row, by Tarjan's algorithm."""
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    done: set[int] = set()
    stack: list[int] = []
    found: list[list[int]] = []
    for root in rows:
        if root in index:
            continue
        index[root] = low[root] = len(index)
        stack.append(root)
        path: list[tuple[int, Iterator[int]]] = [(root, iter(follow.get(root, ())))]
        while path:
            node, ahead = path[-1]
            for to in ahead:
                if to not in index:
                    index[to] = low[to] = len(index)
                    stack.append(to)
                    path.append((to, iter(follow.get(to, ()))))
                    break
                if to not in done:
                    low[node] = min(low[node], index[to])
            else:
                path.pop()
                if path:
                    low[path[-1][0]] = min(low[path[-1][0]], low[node])
                if low[node] == index[node]:
                    at = stack.index(node)
                    group, stack[at:] = sorted(stack[at:]), []
                    done.update(group)
                    if len(group) > 1:
                        found.append(group)
    return sorted(found)


def frontier(spans: Spans, rows: Iterable[int]) -> dict[int, list[int]]:
    """Row -> those that follow it in real time, of which the latest are enough: the order of
    intervals.
    """
    events: list[tuple[float, int, int]] = []
    for row in rows:
        inv, ret = spans[row]
        events.append((inv, 1, row))
        if ret != float("inf"):
            events.append((ret, 0, row))
    follow: dict[int, list[int]] = {}
    latest: list[int] = []
    for _, invoked, row in sorted(events):
        if invoked:
            for before in latest:
                follow.setdefault(before, []).append(row)
        else:
            latest = [other for other in latest if spans[other][1] > spans[row][0]]
            latest.append(row)
    return follow


class Hunter:
    """Looks for all kinds in one graph."""

    def __init__(self, graph: Graph, spans: Spans, unsure: frozenset[int]) -> None:
        self.graph = graph
        self.spans = spans
        self.unsure = unsure
        self.found: list[Anomaly] = []
        self.open: list[str] = []
        self.components = 0
        self.visited = 0
        self._timed = frontier(spans, sorted(spans))

    def hunt(self) -> None:
        """Fill `found`; kinds that the bound left open go to `open`."""
        loops = self._components(Kind("G2-item", REALTIME, False))
        self.components = len(loops)
        if not loops:
            return
        for base in BASES:
            below = 1 << 30
            for mode in (PLAIN, PROCESS, REALTIME):
                found = self._ask(Kind(base, mode, base == "G0"), below)
                if found is None and base == "G0":
                    found = self._ask(Kind(base, mode, False), below)
                if found is not None and mode == PROCESS:
                    below = found

    def _components(self, kind: Kind) -> list[list[int]]:
        follow = {
            row: [edge.to for edge in edges if kind.takes(edge)]
            for row, edges in self.graph.items()
        }
        if kind.mode == REALTIME:
            for row, after in self._timed.items():
                follow[row] = follow.get(row, []) + after
        return components(sorted(self.spans), follow)

    def _ask(self, kind: Kind, below: int) -> int | None:
        """The length of the shortest cycle of a kind; one of each component is noted."""
        least: int | None = None
        told = 0
        for rows in self._components(kind):
            if told == COMPONENTS_MAX:
                break
            search = Search(self, kind, rows)
            best = search.shortest(below)
            self.visited += WORK_MAX - search.work
            if best is not None:
                least = len(best) if least is None else min(least, len(best))
                told += 1
                self.found.append(anomaly(kind.name, best, shortest=search.work > 0))
            elif search.work <= 0:
                self.open.append(kind.name)
        return least


class Search:
    """For one kind in one component."""

    def __init__(self, hunter: Hunter, kind: Kind, rows: list[int]) -> None:
        self.kind = kind
        self.work = WORK_MAX
        self._hunter = hunter
        self._spans = hunter.spans
        self._rows = set(rows)
        self._by_inv = sorted(rows, key=lambda row: self._spans[row][0])
        self._invs = [self._spans[row][0] for row in self._by_inv]

    def shortest(self, below: int) -> list[Step] | None:
        """A shortest cycle of fewer than `below` steps."""
        best = None
        for row in self._by_inv:
            for edge in self._hunter.graph.get(row, ()):
                if edge.kind != self.kind.first or not self._inside(edge):
                    continue
                if self.kind.sure and {row, edge.to} & self._hunter.unsure:
                    continue
                found = self._way_back(row, edge, below)
                if found is not None:
                    best, below = found, len(found)
                if below <= 2 or self.work <= 0:
                    return best
        return best

    def _inside(self, edge: Edge) -> bool:
        return edge.to in self._rows and self.kind.takes(edge)

    def _way_back(self, target: int, first: Edge, below: int) -> list[Step] | None:
        kind = self.kind
        begin = (first.to, kind.begin(first.mode))
        came: dict[tuple[int, int], tuple[tuple[int, int] | None, Step]] = {
            begin: (None, first.step)
        }
        here = [begin]
        tail = {state: len(self._by_inv) for state in range(8)}
        for length in range(2, below):
            ahead: list[tuple[int, int]] = []
            for at in here:
                for to, state, step in self._next(at, target, tail):
                    self.work -= 1
                    if to == target:
                        if kind.accepts(state):
                            steps = way(came, at, step)
                            if len({s.from_ for s in steps}) == length:
                                return steps
                    elif (to, state) not in came:
                        came[to, state] = (at, step)
                        ahead.append((to, state))
                if self.work <= 0:
                    return None
            if not ahead:
                return None
            here = ahead
        return None

    def _next(
        self, at: tuple[int, int], target: int, tail: dict[int, int]
    ) -> Iterator[tuple[int, int, Step]]:
        row, state = at
        kind = self.kind
        for edge in self._hunter.graph.get(row, ()):
            if not self._inside(edge) or (kind.sure and edge.to in self._hunter.unsure):
                continue
            after = kind.next(state, edge.kind, edge.mode)
            if after is not None:
                yield edge.to, after, edge.step
        after = kind.next(state, "realtime", REALTIME)
        if kind.mode != REALTIME or after is None:
            return
        ret = self._spans[row][1]
        first = bisect_right(self._invs, ret)
        if self._spans[target][0] > ret:
            yield target, after, Step(from_=row, to=target, edge="realtime")
        for place in range(first, tail[after]):
            to = self._by_inv[place]
            if to != target and not (kind.sure and to in self._hunter.unsure):
                yield to, after, Step(from_=row, to=to, edge="realtime")
        tail[after] = min(tail[after], first)


def way(
    came: dict[tuple[int, int], tuple[tuple[int, int] | None, Step]],
    last: tuple[int, int],
    closing: Step,
) -> list[Step]:
    """The steps of a cycle from its first to its last."""
    steps = [closing]
    at: tuple[int, int] | None = last
    while at is not None:
        at, step = came[at]
        steps.append(step)
    return steps[::-1]


def anomaly(name: str, steps: list[Step], *, shortest: bool) -> Anomaly:
    """The cycle with all rows that it rests on."""
    rows = {step.from_ for step in steps}
    rows |= {row for step in steps for row in (step.by, step.also) if row is not None}
    return Anomaly(name=name, rows=sorted(rows), steps=steps, shortest=shortest)
