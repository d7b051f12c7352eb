"""Transactions: every anomaly and every level, by both engines."""

from __future__ import annotations

import pytest

from dissensus.checkers import native
from dissensus.checkers.levels import levels, shown
from dissensus.checkers.transactions import judge_transactions
from dissensus.harness.checker import Budget
from dissensus.harness.verdict import Validity, Verdict
from tests.checkers.txn_cases import Case, cases

WHY_NOT = native.available()
ENGINES = [
    "python",
    pytest.param(
        "native",
        marks=pytest.mark.skipif(WHY_NOT is not None, reason=f"no native engine: {WHY_NOT}"),
    ),
]
CASES = cases()


def judged(case: Case, level: str, engine: str) -> Verdict:
    model = f"{case.workload}(level={level})"
    return judge_transactions(case.history(), model, Budget(), engine=engine)


def test_there_are_enough_of_both() -> None:
    assert len(CASES) >= 200
    legal = sum(not case.anomalies for case in CASES)
    assert 0.3 <= legal / len(CASES) <= 0.7
    assert len({(case.workload, case.text) for case in CASES}) >= 200


@pytest.mark.parametrize("engine", ENGINES)
def test_anomalies_and_levels_are_as_they_were_built(engine: str) -> None:
    wrong = []
    for case in CASES:
        facts = judged(case, "strict-serializable", engine).facts
        found = (
            set(facts["anomalies"]),
            set(facts["weakest_broken"]),
            set(facts["strongest_holding"]),
        )
        if found != (case.anomalies, case.broken, case.holds):
            wrong.append((case.name, case.text, found, case[3:]))
    assert wrong == []


@pytest.mark.parametrize("engine", ENGINES)
def test_the_verdict_at_a_level_is_where_the_level_stands(engine: str) -> None:
    known = levels()
    for case in CASES[::7]:
        for level in known.values():
            verdict = judged(case, shown(level.name), engine).validity
            weaker = level.below | {level.name}
            broken = any(shown(name) in case.broken for name in weaker)
            held = {known.get(name, known["strong-serializable"]) for name in case.holds}
            sound = any(level.name in one.below | {one.name} for one in held)
            expected = Validity.INVALID if broken else Validity.VALID if sound else Validity.UNKNOWN
            assert verdict is expected, (case.name, level.name)
