"""Transactions: every anomaly and every level, by both engines."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dissensus.checkers import native
from dissensus.checkers.levels import level_of, levels, shown
from dissensus.checkers.transactions import judge_transactions
from dissensus.harness.checker import Budget
from dissensus.harness.errors import UserError
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


LABELLED = {
    "elle-cli/elle/list-append-gh-30.edn": ("list-append(level=serializable)", "INVALID"),
    "elle-cli/elle/paper-example.edn": ("list-append(level=strict-serializable)", "INVALID"),
    "elle-cli/elle/rw-register.edn": ("rw-register(level=read-uncommitted)", "INVALID"),
    "elle/huge-scc.edn": ("list-append(level=strong-snapshot-isolation)", "INVALID"),
    "elle/si-without-g-single.edn": ("list-append(level=snapshot-isolation)", "VALID"),
}


@pytest.mark.skipif(WHY_NOT is not None, reason=f"no native engine: {WHY_NOT}")
@pytest.mark.parametrize("engine", ["python", "native"])
@pytest.mark.parametrize("name", LABELLED)
def test_histories_of_others(name: str, engine: str) -> None:
    shared = os.environ.get("DISSENSUS_SHARED")
    folder = Path(shared) if shared else Path(__file__).parents[3] / "shared"
    path = folder / "histories" / name
    if not path.is_file():
        pytest.skip(f"no labelled histories: {path} is not there")
    model, expected = LABELLED[name]
    history = native.read(path)
    assert judge_transactions(history, model, Budget(), engine=engine).validity == expected


@pytest.mark.parametrize("engine", ENGINES)
def test_a_cycle_is_told_step_by_step(engine: str) -> None:
    case = next(case for case in CASES if case.name == "an old list")
    verdict = judged(case, "strict-serializable", engine)
    certificate = verdict.certificates[0]
    assert certificate.kind == "cycle"
    assert certificate.summary == "G-single-item-realtime: (2) rw -> (1) realtime -> (2)"
    assert certificate.story == [
        '(1) process 0: append 1 to "x" (0.000 s to 0.001 s).',
        '(2) process 1: read [] of "x" (0.002 s to 0.003 s).',
        '(2) read the initial version of key "x", and (1) wrote 1, which came later '
        "(nobody read it): (2) before (1).",
        "(1) returned at 0.001 s before (2) began at 0.002 s.",
        "So (2) comes before itself: there is no such order.",
    ]
    assert certificate.data["steps"][0] == {
        "from": 1,
        "to": 0,
        "edge": "rw",
        "key": "x",
        "value": None,
        "next": 1,
        "why": "unseen",
        "by": 1,
        "also": None,
    }


@pytest.mark.parametrize("engine", ENGINES)
def test_every_anomaly_has_words(engine: str) -> None:
    for case in CASES:
        if case.anomalies:
            for certificate in judged(case, "strict-serializable", engine).certificates:
                assert certificate.summary
                assert certificate.story
                assert certificate.ops == sorted(set(certificate.ops))


@pytest.mark.parametrize("engine", ENGINES)
def test_what_holds_has_an_order(engine: str) -> None:
    for case in CASES:
        if not case.anomalies:
            verdict = judged(case, "strict-serializable", engine)
            (certificate,) = verdict.certificates
            assert certificate.kind == "serial-order"
            assert certificate.data["strict"]


def test_names_of_levels() -> None:
    assert level_of("SI").name == level_of(":snapshot-isolation").name == "snapshot-isolation"
    assert shown(level_of("PL-SS").name) == "strict-serializable"
    assert level_of("strong-PL-3").name == "strong-serializable"
    with pytest.raises(UserError, match="isolation level"):
        level_of("repeatable")


@pytest.mark.parametrize("engine", ENGINES)
def test_what_is_no_transaction_is_refused(engine: str) -> None:
    history = Case("", "rw-register", "0: wx1", set(), set(), set()).history()
    with pytest.raises(UserError, match="row 0"):
        judge_transactions(history, "list-append", Budget(), engine=engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_values_written_twice_leave_it_open(engine: str) -> None:
    case = Case("", "rw-register", "0: wx1; 1: wx1; 2: rx1", set(), set(), set())
    verdict = judged(case, "serializable", engine)
    assert verdict.validity is Validity.UNKNOWN
    assert "more than once" in verdict.reason
