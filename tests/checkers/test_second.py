"""The second engine: it confirms, it contradicts a wrong engine, it gives up under its limits, and
where it is missing that is said.
"""

from __future__ import annotations

import random
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from dissensus.checkers import second
from dissensus.checkers.engines import LinearizabilityChecker
from dissensus.checkers.linearizability import PythonEngine
from dissensus.checkers.models import make_model
from dissensus.harness.checker import Budget, Model, RunView
from dissensus.harness.history import History
from dissensus.harness.ops import Op, OpType
from dissensus.harness.verdict import ExitCode, Validity, Verdict, exit_code

Hand = Callable[[str], History]
View = Callable[..., RunView]

LEGAL = "0 i w 1 \n 0 o w \n 1 i r \n 1 o r 1"
ILLEGAL = "0 i w 1 \n 0 o w \n 1 i r \n 1 o r 2"

built = pytest.mark.skipif(second.helper() is None, reason="no Porcupine: no go at install")


class WrongEngine:
    """An engine that says the contrary of what is true."""

    name = "wrong"

    def check(self, history: History, model: Model, budget: Budget) -> Verdict:
        verdict = PythonEngine().check(history, model, budget)
        contrary = Validity.VALID if verdict.validity is Validity.INVALID else Validity.INVALID
        return Verdict(checker=verdict.checker, validity=contrary, engine="wrong 1", reason="so")


def script(path: Path, text: str) -> str:
    """A helper that does as told."""
    path.write_text(f"#!/bin/sh\ncat > /dev/null\n{text}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No helper."""
    monkeypatch.delenv(second.HELPER_ENV, raising=False)
    monkeypatch.setattr(second, "HELPER", tmp_path / "none")


@built
@pytest.mark.parametrize(
    ("text", "validity"), [(LEGAL, Validity.VALID), (ILLEGAL, Validity.INVALID)]
)
def test_porcupine_confirms(hand: Hand, view: View, text: str, validity: Validity) -> None:
    verdict = LinearizabilityChecker("register").check(view(hand(text)), Budget())
    assert verdict.validity is validity
    assert verdict.confirmed.startswith("porcupine 1.")


@built
@pytest.mark.parametrize("text", [LEGAL, ILLEGAL])
def test_a_wrong_engine_is_found_out(hand: Hand, view: View, text: str) -> None:
    verdict = LinearizabilityChecker("register", WrongEngine()).check(view(hand(text)), Budget())
    assert verdict.validity is Validity.UNKNOWN
    assert verdict.disagreement
    assert "wrong 1 says" in verdict.reason
    assert "please report" in verdict.reason
    assert exit_code([verdict]) is ExitCode.DISAGREEMENT


@pytest.mark.usefixtures("absent")
@pytest.mark.parametrize("text", [LEGAL, ILLEGAL])
def test_python_stands_in_for_porcupine(hand: Hand, view: View, text: str) -> None:
    verdict = LinearizabilityChecker("register", WrongEngine()).check(view(hand(text)), Budget())
    assert verdict.disagreement
    assert "python says" in verdict.reason


@pytest.mark.usefixtures("absent")
def test_what_nobody_confirms_says_so(hand: Hand, view: View) -> None:
    checker = LinearizabilityChecker("register", PythonEngine())
    verdict = checker.check(view(hand(LEGAL)), Budget())
    assert verdict.validity is Validity.VALID
    assert verdict.confirmed == "no: porcupine is not built (doctor tells how)"


@pytest.mark.parametrize(
    ("output", "why"),
    [
        ('echo \'{"verdict":"unknown","why":"memory","version":"v9"}\'', "used up its memory"),
        ("echo nonsense >&2; exit 4", "nonsense"),
        ("exit 7", "exits 7"),
        ("echo '{}'", "an answer that is none"),
        ("echo '[1]'", "an answer that is none"),
    ],
)
def test_a_helper_without_an_answer_contradicts_nobody(
    hand: Hand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, why: str
) -> None:
    monkeypatch.setenv(second.HELPER_ENV, script(tmp_path / "helper", output))
    verdict = PythonEngine().check(hand(LEGAL), make_model("register"), Budget())
    verdict = second.confirmed(verdict, hand(LEGAL), "register")
    assert verdict.validity is Validity.VALID
    assert verdict.confirmed.startswith("no: ")
    assert why in verdict.confirmed


def test_a_long_history_is_confirmed_where_asked(
    hand: Hand, view: View, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(second, "OPERATIONS_MAX", 1)
    said = 'echo \'{"verdict":"ok","why":"","version":"v9"}\''
    monkeypatch.setenv(second.HELPER_ENV, script(tmp_path / "helper", said))
    run = view(hand(LEGAL))
    unasked = LinearizabilityChecker("register").check(run, Budget())
    assert "--confirm" in unasked.confirmed
    asked = LinearizabilityChecker("register", confirm=True).check(run, Budget())
    assert asked.confirmed == "porcupine 9"


def hard(clients: int, rounds: int) -> History:
    """Many writes open at once and a read of what nobody wrote: illegal, and long to search."""
    ops: list[Op] = []
    rand = random.Random(1)

    def event(process: int, kind: str, f: str, value: int | None) -> None:
        kinds: dict[str, OpType] = {"invoke": "invoke", "ok": "ok"}
        ops.append(Op(process=process, type=kinds[kind], f=f, value=value, index=len(ops)))

    for _ in range(rounds):
        for process in range(clients):
            event(process, "invoke", "write", rand.randrange(5))
        for process in range(clients):
            event(process, "ok", "write", ops[len(ops) - clients].value)
    event(0, "invoke", "read", None)
    event(0, "ok", "read", 99)
    return History.from_ops(ops)


@built
def test_porcupine_keeps_its_limits() -> None:
    history = hard(clients=20, rounds=30)
    late = second.porcupine(history, "register", seconds=0.2)
    assert late.validity is Validity.UNKNOWN
    assert "used up its time" in late.why
    fat = second.porcupine(history, "register", seconds=60, memory_bytes=60_000_000)
    assert fat.validity is Validity.UNKNOWN
    assert "used up its memory" in fat.why


@built
def test_a_model_that_porcupine_lacks_is_said(hand: Hand) -> None:
    said = second.porcupine(hand(LEGAL), "nonsense")
    assert said.validity is Validity.UNKNOWN
    assert 'no model "nonsense"' in said.why
