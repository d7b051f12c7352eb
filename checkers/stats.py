"""Counts what was asked and what came of it: an operation that never succeeded tested nothing."""

from __future__ import annotations

from dissensus.harness.checker import Budget, RunView
from dissensus.harness.history import FAIL, OK, OUTCOMES, History
from dissensus.harness.verdict import Validity, Verdict


class StatsChecker:
    """VALID when every f of the workload succeeded at least once; UNKNOWN (vacuous) otherwise."""

    name = "stats"

    def check(self, run: RunView, budget: Budget) -> Verdict:
        counts = counts_of(run.history)
        fs = asked_fs(run)
        never = [f for f in fs if not counts.get(f, {}).get("ok")]
        facts: dict[str, object] = {"operations": len(run.history)}
        for outcome in ("ok", "fail", "info"):
            facts[outcome] = sum(count[outcome] for count in counts.values())
        for f in sorted(counts):
            parts = ", ".join(f"{counts[f][o]} {o}" for o in ("ok", "fail", "info"))
            facts[f] = parts
        reason = f"{facts['ok']} of {len(run.history)} operations succeeded"
        if never:
            reason = f"{' and '.join(never)} never succeeded: nothing was tested by it"
        elif not counts:
            reason = "there is no operation in the history"
        vacuous = [f"{f} never succeeded" for f in never]
        if not counts and not never:
            vacuous = ["there is no operation in the history"]
        return Verdict(
            checker=self.name,
            validity=Validity.UNKNOWN if vacuous else Validity.VALID,
            reason=reason,
            vacuous=vacuous,
            facts=facts,
        )


def counts_of(history: History) -> dict[str, dict[str, int]]:
    """f -> outcome -> how many."""
    counts: dict[str, dict[str, int]] = {}
    for number, outcome in zip(history.f, history.outcome, strict=True):
        f = str(history.fs.values[number])
        count = counts.setdefault(f, {"ok": 0, "fail": 0, "info": 0})
        count[OUTCOMES[outcome]] += 1
    return counts


def asked_fs(run: RunView) -> list[str]:
    """Every f of the workload: by the header, or of the history where it says nothing."""
    return list(run.header.get("fs") or [str(f) for f in run.history.fs.values])


def was_served(history: History, row: int) -> bool:
    """The system answered: it did what was asked, or said that it could not for what it holds (a
    cas whose expectation was wrong fails, and that is an answer).
    """
    if history.outcome[row] == OK:
        return True
    return history.outcome[row] == FAIL and history.error_of(row) in (None, "mismatch")
