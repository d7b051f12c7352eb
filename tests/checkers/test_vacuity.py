"""A run that tested nothing is not VALID: each reason fires, and none does on a run that did."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dissensus.checkers.completeness import CompletenessChecker
from dissensus.checkers.vacuity import VacuityChecker
from dissensus.harness.checker import Budget, FaultInterval, RunView
from dissensus.harness.history import History
from dissensus.harness.journal import Journal
from dissensus.harness.verdict import ExitCode, Validity, exit_code

Hand = Callable[[str], History]
View = Callable[..., RunView]
MS = 1_000_000

GOOD = """
    0 i w 1
    0 o w
    0 i r
    0 o r 1
    0 i w 2
    0 o w
    1 i c 2,3
    1 o c
    0 i r
    0 o r 3
    0 i r
    0 o r 3
"""
"""Warm-up for 40 ms, then chaos to 100 ms, then final reads."""
PHASES = [("set-up", 0), ("warm-up", 0), ("chaos", 40 * MS), ("heal", 100 * MS)]


def fault(kind: str, begin: int, end: int, **parts: Any) -> FaultInterval:
    usual: dict[str, Any] = {"targets": {}, "effective": True, "healed": True, "id": 1}
    return FaultInterval(
        kind=kind, begin_ns=begin * MS, end_ns=end * MS if end >= 0 else -1, **{**usual, **parts}
    )


KILL = fault("kill", 45, 65)


def run_of(hand: Hand, view: View, text: str = GOOD, **parts: Any) -> RunView:
    header = {"fs": ["read", "write", "cas"], "faults": ["kill"]}
    return view(hand(text), **{"header": header, "phases": PHASES, "faults": [KILL], **parts})


def reasons(run: RunView) -> list[str]:
    verdict = VacuityChecker().check(run, Budget())
    assert (verdict.validity is Validity.VALID) == (not verdict.vacuous)
    if verdict.vacuous:
        assert exit_code([verdict]) is ExitCode.VACUOUS
    return verdict.vacuous


def test_a_run_that_tested_something_is_not_vacuous(hand: Hand, view: View) -> None:
    assert reasons(run_of(hand, view)) == []
    # A family is named by a word as well as a kind is, and a fault may still be open.
    header = {"fs": ["read", "write", "cas"], "faults": ["partition", "pause-leader"]}
    faults = [
        fault("partition-ring", 50, 60, family="partition"),
        fault("pause-leader", 50, -1, family="pause"),
    ]
    assert reasons(run_of(hand, view, header=header, faults=faults)) == []


def test_no_fault_asked_for_is_not_vacuous_for_that(hand: Hand, view: View) -> None:
    header = {"fs": ["read", "write", "cas"], "faults": []}
    run = run_of(hand, view, header=header, faults=[])
    assert reasons(run) == []
    assert "no fault was asked for" in VacuityChecker().check(run, Budget()).reason


@pytest.mark.parametrize(
    ("faults", "told"),
    [
        ([], "kill was asked for and never injected"),
        ([fault("pause", 45, 65)], "kill was asked for and never injected"),
        (
            [fault("kill", 45, 65, effective=False), fault("kill", 70, 75, effective=False)],
            "kill was injected 2 times and never had an effect",
        ),
        (
            [fault("kill", 45, 65, effective=False)],
            "kill was injected once and never had an effect",
        ),
        (
            [fault("kill", 45, -1, effective=False)],
            "kill was only just begun when the history ends, and never measured",
        ),
        ([fault("kill", 41, 49)], "no operation was invoked while kill was in effect"),
        (
            # Operations came while it was being injected and while it was being undone.
            [fault("kill", 35, 85, injected_ns=41 * MS, undo_ns=49 * MS)],
            "no operation was invoked while kill was in effect",
        ),
        ([fault("kill", 500, 600)], "no operation was invoked while kill was in effect"),
        (
            [fault("kill", 41, 49), fault("kill", 45, 65, effective=False)],
            "no operation was invoked while kill was in effect",
        ),
    ],
)
def test_faults_without_effect(
    hand: Hand, view: View, faults: list[FaultInterval], told: str
) -> None:
    assert reasons(run_of(hand, view, faults=faults)) == [told]


def test_each_fault_that_was_asked_for_counts(hand: Hand, view: View) -> None:
    header = {"fs": ["read", "write", "cas"], "faults": ["kill", "partition"]}
    assert reasons(run_of(hand, view, header=header)) == [
        "partition was asked for and never injected"
    ]


def test_an_operation_that_succeeded_in_warm_up_only(hand: Hand, view: View) -> None:
    text = GOOD.replace("0 i w 2", "0 i w 2").replace("0 o w\n    1 i", "0 ? w\n    1 i")
    text = text.replace("0 i r\n    0 o r 3\n    0 i r\n    0 o r 3", "2 i r\n    2 o r 2")
    assert reasons(run_of(hand, view, text)) == ["write never succeeded during chaos"]
    assert reasons(run_of(hand, view, header={"fs": ["read", "write", "cas", "append"]})) == [
        "append never succeeded during chaos"
    ]


def test_a_run_that_never_came_to_chaos(hand: Hand, view: View) -> None:
    run = run_of(hand, view, phases=PHASES[:2], complete=False)
    assert "the run ended in phase warm-up, before chaos" in reasons(run)


def test_a_run_that_was_killed_in_chaos_is_judged_to_its_last_event(hand: Hand, view: View) -> None:
    assert reasons(run_of(hand, view, phases=PHASES[:3], complete=False)) == []


def test_reads_that_saw_nothing(hand: Hand, view: View) -> None:
    text = GOOD.replace("o r 1", "o r nil").replace("o r 3", "o r nil")
    assert reasons(run_of(hand, view, text)) == ["no read saw a value that was written"]
    # A workload without reads is not asked for them.
    header = {"fs": ["write", "cas"], "faults": ["kill"]}
    assert reasons(run_of(hand, view, text, header=header)) == []


def test_a_value_that_only_a_failed_write_had_was_not_written(hand: Hand, view: View) -> None:
    text = "0 i w 7 \n 0 f w \n 1 i w 1 \n 1 o w \n 0 i r \n 0 o r 7"
    run = view(hand(text), header={"fs": ["read", "write"]})
    assert reasons(run) == ["no read saw a value that was written"]


def test_a_foreign_history_has_no_phases(hand: Hand, view: View) -> None:
    assert reasons(view(hand(GOOD))) == []
    assert reasons(view(hand("0 i r \n 0 f r"))) == [
        "read never succeeded",
        "no read saw a value that was written",
    ]


# -- completeness ------------------------------------------------------------------------------


def completeness(run: RunView) -> tuple[Validity, str]:
    verdict = CompletenessChecker().check(run, Budget())
    assert not verdict.vacuous
    return verdict.validity, verdict.reason


def test_a_run_that_ended_whole_is_valid(hand: Hand, view: View) -> None:
    assert completeness(run_of(hand, view)) == (
        Validity.VALID,
        "the run came to its end and every fault was healed",
    )


@pytest.mark.parametrize(
    "broken", [fault("kill", 45, -1, healed=False, id=7), fault("kill", 45, 65, healed=False, id=7)]
)
def test_a_fault_that_was_not_healed_makes_it_unknown(
    hand: Hand, view: View, broken: FaultInterval
) -> None:
    assert completeness(run_of(hand, view, faults=[KILL, broken])) == (
        Validity.UNKNOWN,
        "not proven to be healed: kill #7",
    )


def test_a_killed_run_keeps_its_verdict_and_says_incomplete(hand: Hand, view: View) -> None:
    open_fault = fault("kill", 45, -1, healed=False, id=7)
    run = run_of(hand, view, phases=PHASES[:3], complete=False, faults=[KILL, open_fault])
    validity, reason = completeness(run)
    assert validity is Validity.VALID
    assert reason.startswith("incomplete: the harness was killed in phase chaos after 0.1 s")
    assert reason.endswith("kill #7 may still be in force: dissensus heal RUN")


def test_what_was_healed_after_a_kill_is_not_said_to_be_in_force(
    hand: Hand, view: View, tmp_path: Path
) -> None:
    open_fault = fault("kill", 45, -1, healed=False, id=7)
    run = run_of(hand, view, phases=PHASES[:3], complete=False, faults=[open_fault])
    run.directory = tmp_path
    journal = Journal(tmp_path)
    journal.begin(7, "kill", {"do": "start", "nodes": ["n1"]})
    assert "kill #7 may still be in force" in completeness(run)[1]
    journal.end(7)
    assert "in force" not in completeness(run)[1]
    run = run_of(hand, view, end={"outcome": "interrupted"})
    assert completeness(run)[1] == "incomplete: the run was interrupted in phase heal"
