"""Says when a run tested too little to mean anything: VALID would be a lie then.

A run is vacuous unless

  - per kind or family of fault that was asked for, at least one interval had its measured effect,
    and an operation was invoked in it (nothing is asked of a run without faults);
  - every f of the workload succeeded during chaos, not only in warm-up;
  - some read saw a value that was written.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

import msgspec

from dissensus.checkers.stats import asked_fs
from dissensus.harness.checker import Budget, FaultInterval, RunView
from dissensus.harness.history import FAIL, OK, History
from dissensus.harness.verdict import Validity, Verdict

NO_READ_SAW = "no read saw a value that was written"
READS = frozenset({"read", "get"})
"""What clients call a read (`Client.idempotent`)."""


class VacuityChecker:
    """UNKNOWN with the reasons where the run is vacuous."""

    name = "vacuity"

    def check(self, run: RunView, budget: Budget) -> Verdict:
        reasons = vacuous_reasons(run)
        return Verdict(
            checker=self.name,
            validity=Validity.UNKNOWN if reasons else Validity.VALID,
            reason="the run tested too little" if reasons else _tested(run),
            vacuous=reasons,
        )


def _tested(run: RunView) -> str:
    """What a run that is not vacuous did."""
    text = "every operation succeeded during chaos, reads saw writes"
    if faults := run.header.get("faults"):
        return f"{text}, and {', '.join(faults)} had effect"
    if run.header.get("scenario"):
        return f"{text}; its scenario chose the faults"
    return f"{text}; no fault was asked for"


def vacuous_reasons(run: RunView) -> list[str]:
    """Why the run says little; empty where it does not."""
    return [*_faults(run), *_successes(run), *_reads(run.history, asked_fs(run))]


def _faults(run: RunView) -> Iterator[str]:
    times = sorted(run.history.t_inv)
    for word in run.header.get("faults") or ():
        mine = [fault for fault in run.faults if word in (fault.kind, fault.family)]
        effective = [fault for fault in mine if fault.effective]
        if not mine:
            yield f"{word} was asked for and never injected"
        elif not effective and all(f.measured_ns < 0 and f.end_ns < 0 for f in mine):
            yield f"{word} was only just begun when the history ends, and never measured"
        elif not effective:
            times_text = "once" if len(mine) == 1 else f"{len(mine)} times"
            yield f"{word} was injected {times_text} and never had an effect"
        elif not any(_hit(fault, times, run.history.last_time_ns()) for fault in effective):
            yield f"no operation was invoked while {word} was in effect"


def _hit(fault: FaultInterval, times: list[int], last_ns: int) -> bool:
    """An operation was invoked while the fault was in force."""
    begin, end = fault.in_force_ns(last_ns)
    first = bisect_left(times, begin)
    return first < len(times) and times[first] <= end


def _successes(run: RunView) -> Iterator[str]:
    history = run.history
    begin, end = run.phase_ns("chaos")
    phases = [name for name, _ in run.phases]
    if phases and "chaos" not in phases:
        yield f"the run ended in phase {run.end.get('phase') or phases[-1]}, before chaos"
        return
    if phases and phases[-1] == "chaos":
        end = max(end, history.last_time_ns())
    ok = {
        history.f_of(row)
        for row in range(len(history))
        if history.outcome[row] == OK
        and (not phases or (begin <= history.t_inv[row] and history.t_ret[row] <= end))
    }
    for f in asked_fs(run):
        if f not in ok:
            yield f"{f} never succeeded" + (" during chaos" if phases else "")


def _reads(history: History, fs: list[str]) -> Iterator[str]:
    """Some read must have seen a value that was written to its key."""
    if READS & set(fs) and not saw_writes(history):
        yield NO_READ_SAW


def saw_writes(history: History) -> bool:
    """Some read saw a value that was written to its key."""
    written = set()
    for row in range(len(history)):
        if history.outcome[row] != FAIL and history.f_of(row) not in READS:
            arg = history.arg_of(row)
            # The new value of a cas is the second of its pair.
            new = arg[1] if history.f_of(row) == "cas" and isinstance(arg, list) else arg
            written.add((history.key[row], msgspec.json.encode(new)))
    for row in range(len(history)):
        if history.outcome[row] == OK and history.f_of(row) in READS:
            found = history.result_of(row)
            if (history.key[row], msgspec.json.encode(found)) in written:
                return True
            if isinstance(found, list) and any(
                (history.key[row], msgspec.json.encode(part)) in written for part in found
            ):
                return True
    return False
