"""Judges a run: picks the checkers that fit its header, runs them, and has every INVALID verified
again before anybody is accused.

A new checker is a class with the methods of `harness.checker.Checker` and a line in `checkers_for`;
what its certificates claim is checked again by a rule in `verifier` (docs/how-to/add-a-checker.md).
"""

from __future__ import annotations

from dissensus.checkers.agreement import AgreementChecker, ElectionChecker, reports_digests
from dissensus.checkers.availability import AvailabilityChecker
from dissensus.checkers.completeness import CompletenessChecker
from dissensus.checkers.decisions import (
    MonotoneChecker,
    decision_checkers,
    reports_decisions,
)
from dissensus.checkers.engines import LinearizabilityChecker, reverified
from dissensus.checkers.panic import PanicChecker
from dissensus.checkers.stats import StatsChecker
from dissensus.checkers.vacuity import VacuityChecker
from dissensus.harness.checker import Budget, Checker, Engine, RunView
from dissensus.harness.verdict import Verdict


def checkers_for(
    run: RunView,
    *,
    availability: float | None = None,
    engine: Engine | None = None,
    confirm: bool = False,
) -> list[Checker]:
    """The checkers of a run, by what its header says of workload and system. Raises UserError for
    a model that does not exist.
    """
    chosen: list[Checker] = []
    if model := run.header.get("model"):
        chosen.append(LinearizabilityChecker(model, engine, confirm=confirm))
    if reports_digests(run):
        chosen.append(AgreementChecker())
    if "election-safety" in run.header.get("capabilities", ()):
        chosen.append(ElectionChecker())
    if reports_decisions(run):
        chosen += [*decision_checkers(), MonotoneChecker()]
    chosen += [PanicChecker(), StatsChecker(), AvailabilityChecker(availability)]
    chosen += [CompletenessChecker(), VacuityChecker()]
    return chosen


def judge(
    run: RunView,
    budget: Budget,
    *,
    availability: float | None = None,
    engine: Engine | None = None,
    confirm: bool = False,
) -> list[Verdict]:
    """A verdict of each checker that applies, each INVALID verified again. `availability` is the
    ratio below which the run is INVALID; without it availability is information. `confirm`: a
    second engine is asked however many operations there are.
    """
    chosen = checkers_for(run, availability=availability, engine=engine, confirm=confirm)
    return [reverified(run, checker.check(run, budget)) for checker in chosen]
