"""Availability as clients saw it: mean time between failures, mean time to repair, and their ratio.

The time looked at is the chaos phase (the whole history where there are no phases). An *outage* is
a stretch between two answers of the system, to whichever clients, that is at least `OUTAGE_NS` long
and in which somebody waited in vain or many were turned away; one in which nobody asked is none. Of
n outages that last d in all within a time t

    MTBF = (t - d) / n        MTTR = d / n        ratio = (t - d) / t = MTBF / (MTBF + MTTR)

so that a ratio A with failures every MTBF leaves MTTR <= MTBF (1 - A) / A for each repair. Without
a threshold the figures are information.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate
from typing import Any

from dissensus.checkers.stats import was_served
from dissensus.harness.checker import Budget, RunView
from dissensus.harness.history import FAIL, History
from dissensus.harness.verdict import Certificate, Validity, Verdict

OUTAGE_NS = 250_000_000
"""Shorter stretches are latency: an operation's deadline is longer, and so is an election."""
YEAR_S = 8766 * 3600
"""365.25 days."""
REFUSALS_LEAST = 8
"""Quick refusals in a row that make an outage. Fewer are no sign of one: a client that is pinned to
a follower is refused as a rule, and where operations are rare such answers fill a gap by chance.
"""
OUTAGES_TOLD_MAX = 10
"""Outages that a story lists, the longest first."""

Stretch = tuple[int, int]
"""Begin and end in ns since the start of the run."""


class AvailabilityChecker:
    """VALID with its figures; INVALID where a threshold was given and the ratio lies below."""

    name = "availability"

    def __init__(self, at_least: float | None = None) -> None:
        self._at_least = at_least

    def check(self, run: RunView, budget: Budget) -> Verdict:
        begin, end = observed(run)
        rows = range(len(run.history))
        outages = outages_of(run.history, rows, begin, end)
        facts = figures(end - begin, outages)
        for node, ratio in per_node(run.history, begin, end).items():
            facts[f"ratio_{node}"] = ratio
        verdict = Verdict(checker=self.name, validity=Validity.VALID, facts=facts)
        verdict.reason = told(facts)
        if end <= begin:
            verdict.reason = "the history has no times: there is nothing to measure"
            if self._at_least is not None:
                verdict.validity = Validity.UNKNOWN
        elif self._at_least is not None and facts["ratio"] < self._at_least:
            verdict.validity = Validity.INVALID
            verdict.reason += f"; at least {self._at_least:.6g} was asked for"
            verdict.certificates = [self._certificate(outages, (begin, end), verdict.reason)]
        return verdict

    def _certificate(self, outages: list[Stretch], time: Stretch, reason: str) -> Certificate:
        longest = sorted(outages, key=lambda o: o[0] - o[1])[:OUTAGES_TOLD_MAX]
        return Certificate(
            kind="availability",
            summary=reason,
            story=[
                f"Nobody was answered from {a / 1e9:.3f} s to {b / 1e9:.3f} s."
                for a, b in sorted(longest)
            ],
            data={
                "begin": time[0],
                "end": time[1],
                "outages": [list(o) for o in outages],
                "at_least": self._at_least,
            },
        )


def observed(run: RunView) -> Stretch:
    """The time that counts: the chaos phase, or the whole history without phases."""
    if run.phases:
        return run.phase_ns("chaos")
    first = run.history.t_inv[0] if len(run.history) else 0
    return max(0, first), max(0, run.history.last_time_ns())


def outages_of(history: History, rows: Iterable[int], begin: int, end: int) -> list[Stretch]:
    """The outages between `begin` and `end` that the clients of these rows saw."""
    answers = sorted(
        history.t_ret[row]
        for row in rows
        if was_served(history, row) and begin <= history.t_ret[row] <= end
    )
    stretches = [
        (a, b)
        for a, b in zip([begin, *answers], [*answers, end], strict=True)
        if b - a >= OUTAGE_NS
    ]
    waits = sorted(_waits(history, rows, end))
    begins = [wait[0] for wait in waits]
    latest = list(accumulate((wait[1] for wait in waits), max))
    """Of the waits that began by then, the latest end."""
    refused = sorted(history.t_inv[row] for row in rows if _refused(history, row))

    def suffered(a: int, b: int) -> bool:
        begun = bisect_left(begins, b)
        if begun and latest[begun - 1] > a:
            return True
        return bisect_left(refused, b) - bisect_left(refused, a) >= REFUSALS_LEAST

    return [(a, b) for a, b in stretches if suffered(a, b)]


def _refused(history: History, row: int) -> bool:
    """A quick and definite no."""
    quick = history.t_ret[row] - history.t_inv[row] < OUTAGE_NS
    return history.outcome[row] == FAIL and quick and not was_served(history, row)


def _waits(history: History, rows: Iterable[int], end: int) -> list[Stretch]:
    """When somebody was left without an answer, or waited for as long as an outage."""
    found = []
    for row in rows:
        begin, ret = history.t_inv[row], history.t_ret[row]
        ret = end if ret < 0 else ret
        if _refused(history, row):
            continue
        if not was_served(history, row) or ret - begin >= OUTAGE_NS:
            found.append((begin, max(ret, begin + 1)))
    return found


def per_node(history: History, begin: int, end: int) -> dict[str, float]:
    """Node -> the ratio that operations which ended there saw."""
    rows: dict[str, list[int]] = {}
    for row in range(len(history)):
        node = history.node_of(row)
        if node is not None:
            rows.setdefault(node, []).append(row)
    span = end - begin
    return {
        node: figures(span, outages_of(history, rows[node], begin, end))["ratio"]
        for node in sorted(rows)
        if span > 0
    }


def figures(span_ns: int, outages: list[Stretch]) -> dict[str, Any]:
    """Ratio, MTBF, MTTR and what they are made of; times in seconds."""
    down = sum(end - begin for begin, end in outages)
    facts: dict[str, Any] = {
        "ratio": round((span_ns - down) / span_ns, 9) if span_ns > 0 else 1.0,
        "outages": len(outages),
        "observed_s": span_ns / 1e9,
        "down_s": down / 1e9,
    }
    if outages:
        facts["mtbf_s"] = round((span_ns - down) / len(outages) / 1e9, 9)
        facts["mttr_s"] = round(down / len(outages) / 1e9, 9)
    return facts


def told(facts: dict[str, Any]) -> str:
    """The figures as a sentence."""
    ratio = f"available {facts['ratio']:.4%} of {facts['observed_s']:.1f} s"
    if not facts["outages"]:
        return f"{ratio}, without an outage"
    outages = f"{facts['outages']} outage{'s' * (facts['outages'] > 1)}"
    return f"{ratio}: {outages}, MTBF {facts['mtbf_s']:.2f} s, MTTR {facts['mttr_s']:.2f} s"


def downtime_s(ratio: float, period_s: float = YEAR_S) -> float:
    """How long a service of this ratio may be down in a period: 99.95 % is 4.383 h a year."""
    return (1 - ratio) * period_s


def repair_budget_s(ratio: float, mtbf_s: float) -> float:
    """The longest mean repair that still reaches the ratio when failures come every `mtbf_s`."""
    return mtbf_s * (1 - ratio) / ratio
