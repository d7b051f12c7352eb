"""Judges a run: picks the checkers that fit its header, and runs them one after the other."""

from __future__ import annotations

from dissensus.checkers.linearizability import LinearizabilityChecker
from dissensus.harness.checker import Budget, Checker, RunView
from dissensus.harness.verdict import Verdict


def checkers_for(run: RunView) -> list[Checker]:
    """The checkers of a run, by what its header says of workload and system."""
    chosen: list[Checker] = []
    if model := run.header.get("model"):
        chosen.append(LinearizabilityChecker(model))
    return chosen


def judge(run: RunView, budget: Budget) -> list[Verdict]:
    """A verdict of each checker that applies."""
    return [checker.check(run, budget) for checker in checkers_for(run)]
