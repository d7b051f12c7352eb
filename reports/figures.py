"""Figures of a run that every view shows: counts, latencies, gaps, faults, leaders.

Computed once from the `RunView`; nothing here is a judgement. Times are ns since the run began.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from itertools import pairwise

import msgspec

from dissensus.harness.checker import FaultInterval, RunView
from dissensus.harness.history import FAIL, INFO, OK, OUTCOMES, History
from dissensus.harness.progress import quantile


class Latency(msgspec.Struct, kw_only=True, frozen=True):
    """Quantiles of successes, in ns; -1 where nothing succeeded."""

    p50_ns: int = -1
    p95_ns: int = -1
    p99_ns: int = -1
    max_ns: int = -1


class Counts(msgspec.Struct, kw_only=True, frozen=True):
    """Operations of one kind, and how long the successful ones took."""

    f: str
    ok: int
    info: int
    fail: int
    latency: Latency


class FamilyCount(msgspec.Struct, kw_only=True, frozen=True):
    """Faults of one family: how many were asked for, had their effect, were healed and verified;
    and how many operations were invoked while one was in effect.
    """

    family: str
    asked: int
    effective: int
    healed: int
    ops: int


class Segment(msgspec.Struct, kw_only=True, frozen=True):
    """A stretch of time in which what is known of a node stayed the same."""

    node: str
    begin_ns: int
    end_ns: int
    state: str
    """"up", "down", "paused" ...: the node's own word where it has one."""
    role: str
    term: int
    """-1 where unknown."""


class Figures(msgspec.Struct, kw_only=True, frozen=True):
    """The figures of one run."""

    ok: int
    info: int
    fail: int
    by_f: list[Counts]
    latency: Latency
    rate_hz: float
    """Successes a second, over the time from first to last invocation."""
    gap_ns: tuple[int, int]
    """Begin and end of the longest time without a success; equal where there is none."""
    faults: list[FamilyCount]
    leader_changes: int
    errors: list[tuple[str, str, int]]
    """(outcome, error, how often), most frequent first."""
    segments: list[Segment]
    last_ns: int
    """The latest moment that anything was recorded at."""


def figures_of(run: RunView) -> Figures:
    """All figures of a run."""
    history = run.history
    last = last_ns(run)
    segments = list(node_segments(run, last))
    ok = history.outcome.count(OK)
    span_ns = history.t_inv[-1] - history.t_inv[0] if len(history) else 0
    return Figures(
        ok=ok,
        info=history.outcome.count(INFO),
        fail=history.outcome.count(FAIL),
        by_f=[counts_of(history, number) for number in range(len(history.fs.values))],
        latency=latency_of(history, range(len(history))),
        rate_hz=ok * 1e9 / span_ns if span_ns > 0 else 0.0,
        gap_ns=longest_gap(history),
        faults=list(family_counts(run, last)),
        leader_changes=leader_changes(segments),
        errors=error_counts(history),
        segments=segments,
        last_ns=last,
    )


def last_ns(run: RunView) -> int:
    """The latest moment that anything was recorded at."""
    moments: list[int] = [run.history.last_time_ns(), run.end.get("t", 0)]
    moments += [start for _, start in run.phases]
    moments += [max(f.begin_ns, f.measured_ns, f.end_ns) for f in run.faults]
    moments += [report.t_ns for report in run.nodes[-1:]]
    return max(moments)


def latency_of(history: History, rows: Iterable[int]) -> Latency:
    """Quantiles over the successes among `rows`."""
    durations = sorted(
        history.t_ret[row] - history.t_inv[row] for row in rows if history.outcome[row] == OK
    )
    if not durations:
        return Latency()
    return Latency(
        p50_ns=quantile(durations, 0.5),
        p95_ns=quantile(durations, 0.95),
        p99_ns=quantile(durations, 0.99),
        max_ns=durations[-1],
    )


def counts_of(history: History, number: int) -> Counts:
    """Counts of the operations whose `f` has this number."""
    rows = [row for row, f in enumerate(history.f) if f == number]
    outcomes = [history.outcome[row] for row in rows]
    return Counts(
        f=str(history.fs.values[number]),
        ok=outcomes.count(OK),
        info=outcomes.count(INFO),
        fail=outcomes.count(FAIL),
        latency=latency_of(history, rows),
    )


def longest_gap(history: History) -> tuple[int, int]:
    """The longest time between two successes, or between one and the first or last invocation."""
    if not len(history):
        return 0, 0
    moments = sorted(
        t for t, outcome in zip(history.t_ret, history.outcome, strict=True) if outcome == OK
    )
    last = max([history.t_inv[-1], *moments[-1:]])
    return max(pairwise([history.t_inv[0], *moments, last]), key=lambda pair: pair[1] - pair[0])


def family_counts(run: RunView, last: int) -> Iterator[FamilyCount]:
    """One line a family, in the order in which they first struck."""
    by_family: dict[str, list[FaultInterval]] = {}
    for fault in run.faults:
        by_family.setdefault(fault.family or fault.kind, []).append(fault)
    begun = sorted(run.history.t_inv)
    for family, faults in by_family.items():
        intervals = [fault.in_force_ns(last) for fault in faults if fault.effective]
        yield FamilyCount(
            family=family,
            asked=len(faults),
            effective=len(intervals),
            healed=sum(fault.healed for fault in faults),
            ops=sum(bisect_right(begun, b) - bisect_left(begun, a) for a, b in joined(intervals)),
        )


def joined(intervals: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same stretches of time, each counted once."""
    found: list[tuple[int, int]] = []
    for begin, end in sorted(intervals):
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((begin, end))
    return found


def node_segments(run: RunView, last: int) -> Iterator[Segment]:
    """What nodes said of themselves, joined where nothing changed; grouped by node."""
    names = [str(name) for name in run.header.get("nodes", [])]
    names += sorted({report.node for report in run.nodes} - set(names))
    for name in names:
        known: dict[str, object] = {}
        now: tuple[str, str, int] | None = None
        begin = 0
        for report in run.nodes:
            if report.node != name:
                continue
            known |= report.fields
            term = known.get("term", -1)
            up = "up" if known.get("up", True) else "down"
            seen = (
                str(known.get("state", "") or up),
                str(known.get("role", "") or ""),
                term if isinstance(term, int) else -1,
            )
            if seen == now:
                continue
            if now is not None:
                yield _segment(name, begin, report.t_ns, now)
            begin, now = report.t_ns, seen
        if now is not None:
            yield _segment(name, begin, last, now)


def _segment(name: str, begin: int, end: int, seen: tuple[str, str, int]) -> Segment:
    state, role, term = seen
    return Segment(node=name, begin_ns=begin, end_ns=end, state=state, role=role, term=term)


def leader_changes(segments: Iterable[Segment]) -> int:
    """How often leadership passed to another node or term, after the first leader."""
    leaders = {(s.term, s.node) for s in segments if s.role == "leader"}
    return max(0, len(leaders) - 1)


def error_counts(history: History) -> list[tuple[str, str, int]]:
    """What went wrong, by outcome and name."""
    counts: dict[tuple[str, str], int] = {}
    for row, number in enumerate(history.error):
        if number:
            pair = OUTCOMES[history.outcome[row]], str(history.names.values[number])
            counts[pair] = counts.get(pair, 0) + 1
    return sorted(((*pair, n) for pair, n in counts.items()), key=lambda item: -item[2])
