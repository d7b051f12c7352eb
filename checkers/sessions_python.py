"""Finds which session guarantees a history breaks, in pure Python: some thousand operations."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from dissensus.checkers.models.base import plain, text_of
from dissensus.checkers.sessions import (
    GUARANTEES,
    PAIRS,
    READS,
    STATES_MAX,
    WRITES,
    Found,
    Question,
    Step,
)
from dissensus.harness.checker import Budget
from dissensus.harness.history import FAIL, INFO, OK, History
from dissensus.harness.verdict import OverBudget

OPERATIONS_MAX = 5_000
"""What a guarantee adds can be as many steps as there are pairs of operations."""
LEAST = 2
"""No cycle is shorter."""
INITIAL = -1
"""The writer of the initial value."""


Edges = list[list[tuple[int, Step]]]
"""Operation -> the ones that come after it, and why."""


class Act(NamedTuple):
    """One operation: what it read and what it wrote, as text; None is neither."""

    row: int
    session: int
    key: int
    read: str | None
    wrote: str | None
    sure: bool


def acts_of(history: History, question: Question) -> tuple[list[Act], int]:
    """All that may have happened, and how many sessions there are."""
    acts: list[Act] = []
    session: dict[int, int] = {}
    count = 0
    for row, outcome in enumerate(history.outcome):
        if outcome == FAIL:
            continue
        process = history.process[row]
        if process not in session:
            session[process] = count
            count += 1
        read, wrote = said(history, row, question)
        if read is not None or wrote is not None:
            acts.append(Act(row, session[process], history.key[row], read, wrote, outcome == OK))
        if outcome == INFO:
            # Whoever goes on does not know what became of it.
            del session[process]
    return acts, count


def said(history: History, row: int, question: Question) -> tuple[str | None, str | None]:
    """(what it read, what it wrote)."""
    f = plain(history.f_of(row))
    ok = history.outcome[row] == OK
    if f in READS:
        value = history.result_of(row) if ok else None
        silent = not ok or (value is None and question.nil_unknown)
        return (None if silent else text_of(value)), None
    if f in WRITES:
        return None, text_of(history.arg_of(row))
    if f in PAIRS and not (ok and history.result_of(row) is False):
        old, new = history.arg_of(row)
        return text_of(old), text_of(new)
    return None, None


class Graph:
    """Operations that count, in order of their rows, with who read from whom."""

    def __init__(self, history: History, question: Question) -> None:
        acts, self.sessions = acts_of(history, question)
        self.garbage: int | None = None
        self.repeated: int | None = None
        writers: dict[tuple[int, str], list[int]] = {}
        for at, act in enumerate(acts):
            if act.wrote is not None:
                writers.setdefault((act.key, act.wrote), []).append(at)
        source: dict[int, int] = {}
        counts = {at for at, act in enumerate(acts) if act.sure}
        waiting = sorted(counts, reverse=True)
        while waiting:
            at = waiting.pop()
            act = acts[at]
            if act.read is None:
                continue
            found = [w for w in writers.get((act.key, act.read), []) if w != at]
            found += [INITIAL] if act.read == question.initial else []
            if not found:
                self.garbage = act.row if self.garbage is None else min(act.row, self.garbage)
            elif len(found) > 1:
                self.repeated = act.row if self.repeated is None else min(act.row, self.repeated)
            else:
                source[at] = found[0]
                if found[0] != INITIAL and found[0] not in counts:
                    counts.add(found[0])
                    waiting.append(found[0])
        kept = sorted(counts)
        number = {at: n for n, at in enumerate(kept)} | {INITIAL: INITIAL}
        self.acts = [acts[at] for at in kept]
        self.source = {number[at]: number[w] for at, w in source.items()}
        """Operation -> the one that it read from."""
        self.order: list[list[int]] = [[] for _ in range(self.sessions)]
        self.place: list[int] = []
        for n, act in enumerate(self.acts):
            self.place.append(len(self.order[act.session]))
            self.order[act.session].append(n)

    def step(self, a: int, b: int, edge: str) -> Step:
        return Step(from_=self.acts[a].row, to=self.acts[b].row, edge=edge)

    def forced(self, a: int, b: int, by: int, path: list[Step]) -> Step:
        rows = self.acts
        by_row = rows[by].row
        return Step(from_=rows[a].row, to=rows[b].row, edge="ww", by=by_row, path=path)

    def before(self, n: int) -> Iterator[int]:
        """The earlier operations of the session, the last one first."""
        order = self.order[self.acts[n].session]
        return (order[place] for place in range(self.place[n] - 1, -1, -1))

    def base(self) -> Edges:
        """po and wr."""
        edges: Edges = [[] for _ in self.acts]
        for order in self.order:
            for a, b in itertools.pairwise(order):
                edges[a].append((b, self.step(a, b, "po")))
        for b, a in sorted(self.source.items()):
            if a != INITIAL:
                edges[a].append((b, self.step(a, b, "wr")))
        return edges

    def po(self, a: int, b: int) -> list[Step]:
        return [] if a == b else [self.step(a, b, "po")]

    def writes(self, n: int, key: int) -> bool:
        return self.acts[n].key == key and self.acts[n].wrote is not None

    # -- what a read must have seen ------------------------------------------------------------

    def seen(self, name: str, r: int) -> Iterator[tuple[int, list[Step]]]:
        """(write of the read's key, why it must have been seen)."""
        if name == "PRAM":
            for part in ("read-your-writes", "monotonic-reads", "monotonic-writes"):
                yield from self.seen(part, r)
        elif name == "causal":
            yield from self.past(r)
        elif name == "read-your-writes":
            for w in self.before(r):
                if self.writes(w, self.acts[r].key):
                    yield w, self.po(w, r)
                    # What it wrote earlier comes before that.
                    return
        elif name == "monotonic-reads":
            for other in self.before(r):
                w = self.source.get(other, INITIAL)
                if w != INITIAL and self.writes(w, self.acts[r].key):
                    yield w, [self.step(w, other, "wr"), *self.po(other, r)]
                    # What it read earlier comes before that, by what that read had to see.
                    return
        else:
            yield from self.through(name, r)

    def through(self, name: str, r: int) -> Iterator[tuple[int, list[Step]]]:
        """By a write that the session has read, up to the read itself: what was written, or read,
        before it in its own session.
        """
        key = self.acts[r].key
        latest: dict[int, tuple[int, int]] = {}
        for other in itertools.chain([r], self.before(r)):
            met = self.source.get(other, INITIAL)
            if met != INITIAL:
                # A later write of the same session has all before it that an earlier one has.
                session = self.acts[met].session
                latest[session] = max((met, other), latest.get(session, (met, other)))
        for met, other in latest.values():
            rest = [self.step(met, other, "wr"), *self.po(other, r)]
            if name == "monotonic-writes":
                w = next((w for w in self.before(met) if self.writes(w, key)), INITIAL)
                if w != INITIAL:
                    yield w, [*self.po(w, met), *rest]
                continue
            known: set[int] = set()
            for read in itertools.chain([met], self.before(met)):
                w = self.source.get(read, INITIAL)
                if w != INITIAL and w not in known and self.writes(w, key):
                    known.add(w)
                    yield w, [self.step(w, read, "wr"), *self.po(read, met), *rest]

    def past(self, r: int) -> Iterator[tuple[int, list[Step]]]:
        """By any way of po and wr, a shortest one; of each session the last write of the key: the
        earlier ones come before it.
        """
        key = self.acts[r].key
        after: dict[int, tuple[int, str]] = {}
        queue = deque([r])
        last: dict[int, int] = {}
        while queue:
            at = queue.popleft()
            earlier = [(before, "po") for before in itertools.islice(self.before(at), 1)]
            if self.source.get(at, INITIAL) != INITIAL:
                earlier.append((self.source[at], "wr"))
            for a, edge in earlier:
                if a not in after:
                    after[a] = at, edge
                    queue.append(a)
                    session = self.acts[a].session
                    if self.writes(a, key) and a != r:
                        last[session] = max(a, last.get(session, a))
        for w in sorted(last.values()):
            path: list[Step] = []
            at = w
            while at != r or not path:
                to, edge = after[at]
                path.append(self.step(at, to, edge))
                at = to
            yield w, shortened(path)

    def edges_of(self, name: str, deadline: float) -> tuple[Edges, list[list[Step]]]:
        """po, wr and what the guarantee adds; and the cycles of reads that returned the initial
        value and must have seen a write.
        """
        edges = self.base()
        missed: list[list[Step]] = []
        for r, source in sorted(self.source.items()):
            if time.process_time() > deadline:
                raise OverBudget("the budget of time is spent")
            for w, path in self.seen(name, r):
                if w in (source, r):
                    continue
                if source == INITIAL:
                    missed.append([self.step(r, w, "rw"), *path])
                else:
                    edges[w].append((source, self.forced(w, source, r, path)))
        return edges, missed


def shortened(steps: list[Step]) -> list[Step]:
    """The same way with one step for several of po in a row."""
    short: list[Step] = []
    for step in steps:
        if short and short[-1].edge == step.edge == "po":
            short[-1] = Step(from_=short[-1].from_, to=step.to, edge="po")
        else:
            short.append(step)
    return short


def core_of(edges: Edges) -> set[int]:
    """Operations that may lie on a cycle: what is left when those without a predecessor, or without
    a successor, are taken away again and again.
    """
    left = set(range(len(edges)))
    back: list[list[int]] = [[] for _ in edges]
    for a, out in enumerate(edges):
        for b, _ in out:
            back[b].append(a)
    out_of = [[b for b, _ in out] for out in edges]
    for towards, fro in ((out_of, back), (back, out_of)):
        waits = {n: sum(p in left for p in fro[n]) for n in left}
        free = [n for n, count in waits.items() if not count]
        while free:
            n = free.pop()
            left.discard(n)
            for b in towards[n]:
                if b in left:
                    waits[b] -= 1
                    if not waits[b]:
                        free.append(b)
    return left


def cycle_of(edges: Edges, deadline: float) -> list[Step] | None:
    """A shortest cycle."""
    core = core_of(edges)
    best: list[Step] | None = None
    for start in sorted(core):
        if time.process_time() > deadline:
            raise OverBudget("the budget of time is spent")
        came: dict[int, tuple[int, Step]] = {}
        queue = deque([start])
        while queue and start not in came:
            at = queue.popleft()
            for b, step in edges[at]:
                if b in core and b not in came:
                    came[b] = at, step
                    queue.append(b)
        if start in came:
            way: list[Step] = []
            at = start
            while at != start or not way:
                at, step = came[at]
                way.append(step)
            way = shortened(way[::-1])
            if best is None or len(way) < len(best):
                best = way
        if best is not None and len(best) == LEAST:
            break
    return best


def analyse(history: History, question: Question, budget: Budget) -> Found:
    """All that can be said of the sessions."""
    deadline = time.process_time() + budget.seconds
    if len(history) > OPERATIONS_MAX:
        raise OverBudget(f"sessions are judged up to {OPERATIONS_MAX:,} operations")
    graph = Graph(history, question)
    found = Found(
        sessions=graph.sessions,
        operations=len(graph.acts),
        garbage=graph.garbage,
        repeated=graph.repeated,
    )
    if found.garbage is not None:
        return found
    causal = graph.base()
    for name in GUARANTEES:
        edges, missed = graph.edges_of(name, deadline)
        cycle = min(missed, key=len) if missed else cycle_of(edges, deadline)
        if cycle is not None:
            found.broken[name] = cycle
        if name == "causal":
            causal = edges
    if not found.broken and found.repeated is None:
        search = Search(graph, causal, deadline)
        found.sequential = search.run()
        found.states = search.states
        found.order = [graph.acts[n].row for n in search.order]
    return found


class Search:
    """Looks for an order of all operations in which every read returns the last write.

    A read goes as soon as it can: it changes nothing. A write waits until nobody is left who reads
    what it replaces: each value is written once and never comes back. So the prefixes differ in
    their writes only, and one that led nowhere is remembered.
    """

    def __init__(self, graph: Graph, edges: Edges, deadline: float) -> None:
        self._graph = graph
        self._deadline = deadline
        self._next = [sorted({b for b, _ in out}) for out in edges]
        self._waits = [0] * len(edges)
        for out in self._next:
            for b in out:
                self._waits[b] += 1
        self._readers: dict[tuple[int, int], int] = {}
        """(key, writer) -> who reads it and was not placed."""
        for r, w in graph.source.items():
            at = (graph.acts[r].key, w)
            self._readers[at] = self._readers.get(at, 0) + 1
        self._held: dict[int, int] = {}
        """Key -> the writer of what it holds."""
        self._free = {n for n, count in enumerate(self._waits) if not count}
        self._done = [0] * graph.sessions
        self.order: list[int] = []
        self.states = 0

    def _can(self, n: int) -> bool:
        act = self._graph.acts[n]
        held = self._held.get(act.key, INITIAL)
        reads = n in self._graph.source
        if reads and self._graph.source[n] != held:
            return False
        left = self._readers.get((act.key, held), 0) - reads
        return act.wrote is None or left == 0

    def _do(self, n: int) -> int | None:
        """Place an operation; what its key held."""
        act = self._graph.acts[n]
        if n in self._graph.source:
            self._readers[(act.key, self._graph.source[n])] -= 1
        held = self._held.get(act.key)
        if act.wrote is not None:
            self._held[act.key] = n
        self._free.discard(n)
        self.order.append(n)
        self._done[act.session] += 1
        for b in self._next[n]:
            self._waits[b] -= 1
            if not self._waits[b]:
                self._free.add(b)
        return held

    def _undo(self, held: int | None) -> None:
        n = self.order.pop()
        act = self._graph.acts[n]
        self._done[act.session] -= 1
        for b in self._next[n]:
            if not self._waits[b]:
                self._free.discard(b)
            self._waits[b] += 1
        self._free.add(n)
        if act.wrote is not None:
            self._held.pop(act.key)
            if held is not None:
                self._held[act.key] = held
        if n in self._graph.source:
            self._readers[(act.key, self._graph.source[n])] += 1

    def _choices(self) -> list[int]:
        """A read that can go is the only choice."""
        can = [n for n in sorted(self._free) if self._can(n)]
        reads = [n for n in can if self._graph.acts[n].wrote is None]
        return reads[:1] or can

    def run(self) -> str:
        """ "holds", "broken" or "unknown"."""
        seen: set[tuple[tuple[int, ...], frozenset[tuple[int, int]]]] = set()
        trail: list[tuple[list[int], int | None]] = []
        choices = self._choices()
        while True:
            if len(self.order) == len(self._waits):
                return "holds"
            if choices:
                n = choices.pop(0)
                trail.append((choices, self._do(n)))
                self.states += 1
                if self.states > STATES_MAX or time.process_time() > self._deadline:
                    self.order = []
                    return "unknown"
                state = self._state()
                choices = [] if state in seen else self._choices()
                seen.add(state)
            elif trail:
                choices, held = trail.pop()
                self._undo(held)
            else:
                return "broken"

    def _state(self) -> tuple[tuple[int, ...], frozenset[tuple[int, int]]]:
        """How much of each session was placed, and what each key holds."""
        return tuple(self._done), frozenset(self._held.items())
