"""Linearizability: engine against brute force, planted bugs, labelled histories."""

from __future__ import annotations

from dissensus.checkers.judge import judge
from dissensus.checkers.linearizability import PythonEngine
from dissensus.checkers.models import make_model
from dissensus.harness.checker import Budget, RunView
from dissensus.harness.history import History
from dissensus.harness.ops import Op
from dissensus.harness.verdict import Validity


def history(*lines: tuple[int, str, str, object]) -> History:
    """A history of (process, type, f, value)."""
    return History.from_ops(
        Op(process=p, type=t, f=f, value=v, time_ns=i)  # type: ignore[arg-type]
        for i, (p, t, f, v) in enumerate(lines)
    )


STALE = history(
    (0, "invoke", "write", 1),
    (0, "ok", "write", 1),
    (0, "invoke", "write", 2),
    (0, "ok", "write", 2),
    (1, "invoke", "read", None),
    (1, "ok", "read", 1),
)


def test_a_stale_read_is_invalid_and_named() -> None:
    verdict = PythonEngine().check(STALE, make_model("register"), Budget())
    assert verdict.validity is Validity.INVALID
    assert verdict.certificates[0].blocked == [2]


def test_judge_picks_linearizability_where_the_header_names_a_model() -> None:
    run = RunView(
        header={"model": "register"},
        history=STALE,
        faults=[],
        nodes=[],
        phases=[],
        marks=[],
        complete=True,
    )
    first = judge(run, Budget())[0]
    assert (first.checker, first.validity) == ("linearizability", Validity.INVALID)
    run.header["model"] = ""
    assert judge(run, Budget())[0].checker != "linearizability"
