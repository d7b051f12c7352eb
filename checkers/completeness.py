"""Did the run come to its end, and is everything whole again that was broken on purpose?

A run whose harness was killed is judged as far as it got: its verdicts stand, and this one says
"incomplete". Where a run did end, a fault that is not proven to be healed makes what came after it
doubtful: UNKNOWN.
"""

from __future__ import annotations

from dissensus.harness.checker import Budget, FaultInterval, RunView
from dissensus.harness.journal import read_journal
from dissensus.harness.store import UNDO
from dissensus.harness.verdict import Validity, Verdict

ENDED = {"failed": "failed", "interrupted": "was interrupted"}
"""Outcome of a run that came to its end before its time -> how that reads."""


class CompletenessChecker:
    """VALID, with "incomplete" where it is; UNKNOWN where a heal was not verified."""

    name = "completeness"

    def check(self, run: RunView, budget: Budget) -> Verdict:
        phase = run.end.get("phase") or (run.phases[-1][0] if run.phases else "set-up")
        broken = [f"{fault.kind} #{fault.id}" for fault in run.faults if not fault.healed]
        outcome = run.end.get("outcome", "complete") if run.complete else "killed"
        verdict = Verdict(
            checker=self.name,
            validity=Validity.VALID,
            reason="the run came to its end and every fault was healed",
            facts={"outcome": outcome, "faults": len(run.faults), "faults_not_healed": len(broken)},
        )
        if not run.complete:
            last = run.history.last_time_ns() / 1e9
            verdict.reason = (
                f"incomplete: the harness was killed in phase {phase} after {last:.1f} s; the "
                "verdicts are of that prefix"
            )
            if left := [
                f"{fault.kind} #{fault.id}" for fault in run.faults if in_force(run, fault)
            ]:
                verdict.reason += (
                    f"; {', '.join(left)} may still be in force: dissensus heal "
                    f"{run.directory or 'RUN'}"
                )
        elif broken:
            verdict.validity = Validity.UNKNOWN
            verdict.reason = f"not proven to be healed: {', '.join(broken)}"
        elif outcome != "complete":
            verdict.reason = f"incomplete: the run {ENDED.get(outcome, outcome)} in phase {phase}"
            if run.end.get("error"):
                verdict.reason += f": {run.end['error']}"
        return verdict


def in_force(run: RunView, fault: FaultInterval) -> bool:
    """Whether a fault of a killed run may still be there: `dissensus heal` closes it in the journal
    of undos, where the history has no end of it.
    """
    if fault.healed:
        return False
    if run.directory is None or not (run.directory / UNDO).exists():
        return True
    journal = read_journal(run.directory)
    return bool(journal.broken) or fault.id in journal.open
