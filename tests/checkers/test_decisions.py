"""The properties of what nodes decided: each fires on logs that break it, and not on others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dissensus.checkers.decisions import (
    MonotoneChecker,
    decision_checkers,
    decisions_of,
    reports_decisions,
)
from dissensus.harness.checker import Budget, NodeReport, RunView
from dissensus.harness.decided import Decision, decided_line, read_decisions
from dissensus.harness.history import History
from dissensus.harness.verdict import Validity, Verdict

View = Callable[..., RunView]
Hand = Callable[[str], History]
CHECKERS = {checker.name: checker for checker in decision_checkers()}
WRITES = "0 i w 1 key=k \n 0 o w \n 1 i w 2 key=k \n 1 ? w"


def d(index: int, value: int | None = 1, *, term: int = 1, life: int = 1) -> str:
    """A node decided that 1 or 2 is written to k, or an entry of its own."""
    decided = None if value is None else ["write", "k", value]
    return decided_line(Decision(index=index, value=decided, term=term, incarnation=life))


def snapshot(index: int, *, life: int = 1) -> str:
    return decided_line(Decision(index=index, incarnation=life, snapshot=True))


@pytest.fixture
def judged(tmp_path: Path, hand: Hand, view: View) -> Callable[..., dict[str, Verdict]]:
    """judged([lines of n1], [lines of n2] ...): every checker's verdict by its name."""

    def check(*logs: list[str]) -> dict[str, Verdict]:
        for number, lines in enumerate(logs, 1):
            folder = tmp_path / "nodes" / f"n{number}"
            folder.mkdir(parents=True)
            (folder / "node.log").write_text("\n".join(lines) + "\n", encoding="utf-8")
        run = view(hand(WRITES), directory=tmp_path)
        assert reports_decisions(run) == any(logs)
        return {name: checker.check(run, Budget()) for name, checker in CHECKERS.items()}

    return check


def broken(verdicts: dict[str, Verdict]) -> dict[str, str]:
    return {n: v.reason for n, v in verdicts.items() if v.validity is Validity.INVALID}


LEGAL = [
    ([[d(1, None), d(2), d(3, 2)], [d(1, None), d(2)], []], "a prefix"),
    ([[d(1), d(2)], [d(1), d(1, life=2), d(2, life=2), d(3, 2, life=2)]], "applied again"),
    ([[d(1), d(2), d(3, 2)], [snapshot(2), d(3, 2)]], "a snapshot for the beginning"),
    ([[d(1), d(2), d(3)], [d(1), snapshot(3), d(4)]], "a snapshot later"),
    ([["at 3 s: " + d(1), d(2)[:-3]], [d(1), "DECIDED {nonsense"]], "half a line"),
]


@pytest.mark.parametrize(("logs", "why"), LEGAL, ids=[why for _, why in LEGAL])
def test_what_a_correct_log_does_is_legal(
    judged: Callable[..., dict[str, Verdict]], logs: list[list[str]], why: str
) -> None:
    verdicts = judged(*logs)
    assert broken(verdicts) == {}, why
    assert verdicts["log-agreement"].validity is Validity.VALID


ILLEGAL = [
    (
        [[d(1), d(2)], [d(1), d(2, 2)]],
        {
            "log-agreement": 'at index 2 n1 decided ["write","k",1] (term 1) and n2 decided '
            '["write","k",2] (term 1)'
        },
    ),
    (
        [[d(1), d(2, term=3)], [d(1), d(2, term=4)]],
        {
            "log-agreement": 'at index 2 n1 decided ["write","k",1] (term 3) and n2 decided '
            '["write","k",1] (term 4)'
        },
    ),
    (
        [[d(1), d(2), d(1, 2, life=2)], [d(1)]],
        {
            "log-agreement": 'at index 1 n1 decided ["write","k",1] (term 1) and n1 decided '
            '["write","k",2] (term 1)'
        },
    ),
    (
        [[d(1), d(2, 7)], [d(1)]],
        {"validity": 'n1 decided ["write","k",7] (term 1) at index 2, which no client asked for'},
    ),
    (
        [[d(1), d(2), d(2)], [d(1)]],
        {
            "integrity": "n1 decided index 2 twice in one life",
            "prefix-order": "n1 decided index 2 after 2",
        },
    ),
    ([[d(1), d(3)], [d(1)]], {"prefix-order": "n1 decided index 3 after 1"}),
    ([[d(1), d(2), snapshot(2)], [d(1)]], {"prefix-order": "n1 decided index 2 after 2"}),
]


@pytest.mark.parametrize(("logs", "wanted"), ILLEGAL)
def test_each_property_fires(
    judged: Callable[..., dict[str, Verdict]], logs: list[list[str]], wanted: dict[str, str]
) -> None:
    verdicts = judged(*logs)
    assert broken(verdicts) == wanted
    for name in wanted:
        certificate = verdicts[name].certificates[0]
        assert certificate.story[0].startswith("Line ")
        assert certificate.data["lines"]


def test_nothing_decided_is_vacuous(judged: Callable[..., dict[str, Verdict]]) -> None:
    for verdict in judged([], []).values():
        assert verdict.validity is Validity.UNKNOWN
        assert verdict.vacuous


def test_a_promise_is_held_against_an_empty_log(view: View) -> None:
    assert reports_decisions(view(header={"capabilities": ["decisions"]}))
    assert not reports_decisions(view())
    assert decisions_of(view()) == []


def test_lines_are_read_back(tmp_path: Path) -> None:
    path = tmp_path / "nodes" / "n1" / "node.log"
    path.parent.mkdir(parents=True)
    path.write_text(f"hello\n12 {d(3, 2, term=5, life=4)}\n{snapshot(9)}\n", encoding="utf-8")
    first, second = read_decisions(tmp_path, path)
    assert first == Decision(
        index=3,
        value=["write", "k", 2],
        term=5,
        incarnation=4,
        node="n1",
        line=2,
        file="nodes/n1/node.log",
    )
    assert (second.snapshot, second.index, second.line) == (True, 9, 3)


def report(t_s: int, life: int | None, **fields: Any) -> NodeReport:
    more = {} if life is None else {"incarnation": life}
    return NodeReport(node="n1", t_ns=t_s * 10**9, fields={**fields, **more})


def test_a_commit_index_that_goes_back_is_invalid(view: View) -> None:
    run = view(nodes=[report(1, 1, term=2, commit=5), report(2, 1, term=2, commit=4)])
    verdict = MonotoneChecker().check(run, Budget())
    assert verdict.reason == "the commit index of n1 went back from 5 to 4"
    assert verdict.certificates[0].story[1] == "At 2.000 s n1 reported commit index 4."


def test_a_term_that_goes_back_is_invalid(view: View) -> None:
    run = view(nodes=[report(1, 1, term=2), report(2, 1, term=1)])
    verdict = MonotoneChecker().check(run, Budget())
    assert verdict.reason == "the term of n1 went back from 2 to 1"


def test_a_new_life_begins_lower(view: View) -> None:
    run = view(
        nodes=[
            report(1, 1, term=2, commit=5),
            report(2, 2, term=1, commit=0),
            report(3, 2, term=2, commit=6),
        ]
    )
    assert MonotoneChecker().check(run, Budget()).validity is Validity.VALID


def test_without_incarnations_nothing_is_said(view: View) -> None:
    run = view(nodes=[report(1, None, term=2, commit=5), report(2, None, term=1, commit=1)])
    verdict = MonotoneChecker().check(run, Budget())
    assert verdict.reason == "nothing was compared"
    assert verdict.vacuous
