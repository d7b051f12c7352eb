"""The verifier: it contradicts lies, whoever tells them, and never accuses a legal history."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dissensus.checkers import native, verifier_orders
from dissensus.checkers.engines import LinearizabilityChecker, reverified
from dissensus.checkers.judge import judge
from dissensus.checkers.linearizability import PythonEngine
from dissensus.checkers.models import make_model
from dissensus.checkers.verifier import verify
from dissensus.harness.checker import Budget, Judge, NodeReport, RunView
from dissensus.harness.history import FAIL, OK, History
from dissensus.harness.ops import Op
from dissensus.harness.verdict import Certificate, ExitCode, Validity, Verdict, compose, exit_code

Hand = Callable[[str], History]
View = Callable[..., RunView]
MakeOps = Callable[..., list[Op]]

STALE = """
    0 i w 1
    0 o w
    0 i w 2
    0 o w
    1 i r
    1 o r 1
"""


def test_it_is_short_and_shares_nothing_with_the_engine(root: Path) -> None:
    """Each program that checks a kind of claim; the first only looks up which one that is."""
    programs = sorted((root / "checkers").glob("verifier*.py"))
    kinds = ("folds", "objects", "orders", "sessions", "txns")
    named = [f"verifier_{name}" for name in kinds]
    assert [path.stem for path in programs] == ["verifier", *named]
    for path in programs:
        text = path.read_text()
        assert text.count("\n") <= 300, path
        used = re.findall(r"^from (dissensus\S*) import (.*)", text, re.MULTILINE)
        for module, names in used:
            others = {module.rpartition(".")[2], *names.split(", ")}
            assert module.startswith("dissensus.harness") or others & set(named), module


class LyingEngine(PythonEngine):
    """Accuses every history of its last operation."""

    def check(self, history: History, model: Judge, budget: Budget) -> Verdict:
        verdict = super().check(history, model, budget)
        if verdict.validity is Validity.VALID:
            verdict.validity = Validity.INVALID
            verdict.certificates = [lie(history, model.name)]
        return verdict


def lie(history: History, model: str) -> Certificate:
    last = max(
        (row for row in range(len(history)) if history.outcome[row] == OK),
        key=lambda row: history.ret[row],
    )
    return Certificate(
        kind="linearizability",
        summary="a lie",
        ops=[last],
        blocked=[last],
        data={
            "key": history.key_of(last),
            "model": model,
            "end": history.ret[last],
            "kept": [last],
            "gaps": [],
            "repeat": True,
        },
    )


def test_a_lying_engine_is_caught(hand: Hand, view: View, monkeypatch: pytest.MonkeyPatch) -> None:
    """The exit code is 6, and nobody is accused."""
    run = view(hand("0 i w 1 \n 0 o w \n 1 i r \n 1 o r 1"), header={"model": "register"})
    assert judge(run, Budget())[0].validity is Validity.VALID
    monkeypatch.setattr("dissensus.checkers.engines.choose", LyingEngine)
    monkeypatch.setattr("dissensus.checkers.second.helper", lambda: None)
    verdicts = judge(run, Budget())
    first = verdicts[0]
    assert first.disagreement
    assert first.certificates[0].reverified is False
    assert compose(verdicts) is Validity.UNKNOWN
    assert exit_code(verdicts) is ExitCode.DISAGREEMENT
    assert "the verifier contradicts: there is an order" in first.reason


def test_what_is_true_stands_beside_a_lie(hand: Hand, view: View) -> None:
    history = hand(STALE)
    verdict = PythonEngine().check(history, make_model("register"), Budget())
    verdict.certificates.append(lie(hand(STALE.replace("1 o r 1", "1 o r 2")), "register"))
    verdict.certificates[-1].data["end"] = 4
    verdict = reverified(view(history), verdict)
    assert verdict.validity is Validity.INVALID
    assert [c.reverified for c in verdict.certificates] == [True, False]
    assert verdict.disagreement


def test_an_accusation_without_proof_is_none(view: View) -> None:
    verdict = Verdict(checker="x", validity=Validity.INVALID, reason="so I say")
    verdict = reverified(view(), verdict)
    assert (verdict.validity, verdict.disagreement) == (Validity.UNKNOWN, True)
    assert "there is no certificate" in verdict.reason


def changed(certificate: Certificate, **data: Any) -> Certificate:
    return msgspec.structs.replace(certificate, data={**certificate.data, **data})


def test_every_part_of_a_certificate_matters(hand: Hand, view: View) -> None:
    history = hand(STALE + "2 i w 1 \n 2 ? w 1")
    run = view(history)
    checker = LinearizabilityChecker("register")
    (right,) = checker.check(run, Budget()).certificates
    assert verify(run, right) == (True, "")
    assert right.data["kept"] == [1, 2]
    (gap,) = right.data["gaps"]
    for wrong, told in (
        (changed(right, gaps=[]), "there is an order"),
        (changed(right, kept=[2]), "there is an order"),
        (changed(right, kept=[1, 2, 3]), "does not return before"),
        (changed(right, kept=[0, 1, 2, 99]), "does not return before"),
        (changed(right, gaps=[{**gap, "from": 0}]), "in a gap"),
        (changed(right, end=3), "does not return before"),
        (changed(right, key="x"), "of another key"),
        (changed(right, model="register(init=1)", gaps=[]), "there is an order"),
        (msgspec.structs.replace(right, data={}), "malformed"),
        (msgspec.structs.replace(right, blocked=[]), "malformed"),
    ):
        holds, why = verify(run, wrong)
        assert holds is False, wrong
        assert told in why
    assert verify(run, changed(right, model="queue"))[0] is False
    assert verify(run, changed(right, model="heap"))[0] is None
    assert verify(run, msgspec.structs.replace(right, kind="queue"))[0] is None


def test_no_certificate_at_all_accuses_a_legal_history(make_ops: MakeOps, view: View) -> None:
    """Whatever rows and bounds are named: the verifier works from the history, not from them."""
    rng = random.Random(3)
    for seed in range(1500):
        history = History.from_ops(make_ops(seed, ("read", "write", "cas"), lies=0.0))
        ok = [row for row in range(len(history)) if history.outcome[row] == OK]
        if not ok:
            continue
        blocked = rng.choice(ok)
        end = history.ret[blocked]
        rows = [row for row in range(len(history)) if history.inv[row] < end]
        rows = [row for row in rows if history.outcome[row] != FAIL]
        kept = [row for row in rows if row == blocked or rng.random() < 0.7]
        bounds = []
        for row in rows:
            if history.f_of(row) != "read" and rng.random() < 0.5:
                first = rng.random() < 0.5
                at = history.inv[row] if first else history.ret[row]
                bounds.append(
                    {"f": history.f_of(row), "arg": history.arg_of(row), "first": first, "at": at}
                )
        certificate = Certificate(
            kind="linearizability",
            summary="",
            blocked=[blocked],
            data={
                "key": None,
                "model": "cas-register",
                "end": end,
                "kept": kept,
                "bounds": bounds,
            },
        )
        assert verify(view(history), certificate)[0] is False


def test_over_budget_it_says_that_it_did_not_verify(
    hand: Hand, view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = view(hand(STALE), header={"model": "register"})
    monkeypatch.setattr(verifier_orders, "PLACES_MAX", 1)
    (first, *_) = judge(run, Budget())
    assert first.validity is Validity.INVALID
    # The native engine has a verifier of its own.
    assert first.certificates[0].reverified is (None if native.available() else True)
    assert not first.disagreement


def test_an_asserting_cas_is_understood(hand: Hand, view: View) -> None:
    """An ok cas with the result false, though the register held what it expected."""
    ops = [
        Op(f="write", value=False, process=0, type="invoke"),
        Op(f="write", value=False, process=0, type="ok"),
        Op(f="cas", value=[False, 1], process=1, type="invoke"),
        Op(f="cas", value=False, process=1, type="ok"),
    ]
    run = view(History.from_ops(ops))
    verdict = reverified(run, LinearizabilityChecker("cas-register").check(run, Budget()))
    assert verdict.validity is Validity.INVALID
    assert verdict.certificates[0].reverified
    assert "found another value than false" in verdict.certificates[0].summary


def report(node: str, t_ns: int, **fields: Any) -> NodeReport:
    return NodeReport(node=node, t_ns=t_ns, fields=fields)


def test_reports_are_looked_up(view: View) -> None:
    run = view(nodes=[report("n1", 5, applied=3, digest=7), report("n2", 6, digests=[[3, 8]])])
    right = Certificate(
        kind="agreement", summary="", data={"at": 3, "said": [["n1", 5, 7], ["n2", 6, 8]]}
    )
    assert verify(run, right) == (True, "")
    for said in (
        [["n1", 5, 7], ["n2", 6, 7]],
        [["n1", 5, 7], ["n2", 6, 9]],
        [["n1", 4, 7], ["n2", 6, 8]],
        [["n1", 5, 7]],
    ):
        assert verify(run, changed(right, said=said))[0] is False
    assert verify(run, changed(right, at=4))[0] is False
    led = [report("n1", 1, role="leader", term=2), report("n2", 2, role="leader", term=2)]
    right = Certificate(
        kind="election-safety",
        summary="",
        data={"at": 2, "said": [["n1", 1, "leader"], ["n2", 2, "leader"]]},
    )
    assert verify(view(nodes=led), right) == (True, "")
    assert verify(view(nodes=led[:1]), right)[0] is False
    assert verify(view(nodes=led), changed(right, said=[["n1", 1, ""], ["n1", 1, ""]]))[0] is False


def test_a_panic_is_read_again(view: View, tmp_path: Path) -> None:
    (tmp_path / "n1.log").write_text("fine\n7 PANIC bad\n")
    data = {"node": "n1", "file": "n1.log", "line": 2, "text": "PANIC bad"}
    right = Certificate(kind="panic", summary="", data=data)
    run = view(directory=tmp_path)
    assert verify(run, right) == (True, "")
    assert verify(run, changed(right, line=1))[0] is False
    assert verify(run, changed(right, line=9))[0] is False
    assert verify(run, changed(right, file="n2.log"))[0] is None
    assert verify(view(), right)[0] is None
    mark = Certificate(kind="panic", summary="", data={"mark": 0, "text": "n1 panicked"})
    assert verify(view(marks=[{"name": "panic", "text": "n1 panicked: x"}]), mark)[0] is True
    assert verify(view(marks=[{"name": "panic", "text": "n2 panicked: x"}]), mark)[0] is False
    assert verify(view(), mark)[0] is False


def test_outages_are_measured_again(hand: Hand, view: View) -> None:
    run = view(hand("0 i w 1 \n 0 o w \n 0 i w 1 \n 0 o w"))
    data = {"begin": 0, "end": 30_000_000, "outages": [[10_000_000, 30_000_000]], "at_least": 0.5}
    right = Certificate(kind="availability", summary="", data=data)
    assert verify(run, right) == (True, "")
    assert verify(run, changed(right, at_least=0.3))[0] is False
    assert verify(run, changed(right, outages=[[0, 30_000_000]]))[0] is False
    assert verify(run, changed(right, outages=[[10_000_000, 40_000_000]]))[0] is False
