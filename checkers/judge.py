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
from dissensus.checkers.linearizability import LinearizabilityChecker
from dissensus.checkers.panic import PanicChecker
from dissensus.checkers.stats import StatsChecker
from dissensus.checkers.vacuity import VacuityChecker, vacuous_reasons
from dissensus.checkers.verifier import verify
from dissensus.harness.checker import Budget, Checker, RunView
from dissensus.harness.verdict import Validity, Verdict


def checkers_for(run: RunView, *, availability: float | None = None) -> list[Checker]:
    """The checkers of a run, by what its header says of workload and system. Raises UserError for
    a model that does not exist.
    """
    chosen: list[Checker] = []
    if model := run.header.get("model"):
        chosen.append(LinearizabilityChecker(model))
    if reports_digests(run):
        chosen.append(AgreementChecker())
    if "election-safety" in run.header.get("capabilities", ()):
        chosen.append(ElectionChecker())
    if reports_decisions(run):
        chosen += [*decision_checkers(), MonotoneChecker()]
    chosen += [PanicChecker(), StatsChecker(), AvailabilityChecker(availability)]
    chosen += [CompletenessChecker(), VacuityChecker()]
    return chosen


def judge(run: RunView, budget: Budget, *, availability: float | None = None) -> list[Verdict]:
    """A verdict of each checker that applies, each INVALID verified again. `availability` is the
    ratio below which the run is INVALID; without it availability is information.
    """
    chosen = checkers_for(run, availability=availability)
    return [reverified(run, checker.check(run, budget)) for checker in chosen]


def judge_operations(run: RunView, budget: Budget) -> list[Verdict]:
    """For a history that was recorded elsewhere: the verdict of the model alone, and what makes the
    history vacuous beside it.
    """
    checker = LinearizabilityChecker(run.header["model"])
    reasons = vacuous_reasons(run)
    beside = Verdict(
        checker=VacuityChecker.name,
        validity=Validity.VALID,
        reason="the verdict says little" if reasons else "reads saw what was written",
        vacuous=reasons,
    )
    return [reverified(run, checker.check(run, budget)), beside]


def reverified(run: RunView, verdict: Verdict) -> Verdict:
    """The verdict with each certificate verified by the independent verifier. Where it contradicts
    all of them, nobody is accused: UNKNOWN, and a disagreement.
    """
    if verdict.validity is not Validity.INVALID:
        return verdict
    refuted = []
    for certificate in verdict.certificates:
        certificate.reverified, why = verify(run, certificate)
        if certificate.reverified is False:
            verdict.disagreement = True
            refuted.append(why)
    stand = [c for c in verdict.certificates if c.reverified is not False]
    if not stand:
        why = refuted[0] if refuted else "there is no certificate"
        verdict.disagreement = True
        verdict.validity = Validity.UNKNOWN
        verdict.reason = (
            f"{verdict.engine or verdict.checker} says INVALID ({verdict.reason}), and the "
            f"verifier contradicts: {why}; please report this run"
        )
    return verdict
