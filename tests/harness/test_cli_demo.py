"""`dissensus demo`: two runs, the expected verdicts, and what it says when they are others. Here in
virtual time; on real processes it is a part of CI.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from dissensus.harness import cli_demo, store
from dissensus.harness.cli import call
from dissensus.harness.plan import Plan

RIGHT, WRONG = cli_demo.plans()


def demo(base: Path, monkeypatch: pytest.MonkeyPatch, right: Plan, wrong: Plan) -> int:
    """The demo with these two plans on the simulator."""
    monkeypatch.setattr(
        cli_demo, "plans", lambda: (replace(right, on="sim"), replace(wrong, on="sim"))
    )
    return call(["demo", "--store", str(base)])


def test_it_runs_real_processes_under_three_faults_and_a_planted_bug() -> None:
    assert (RIGHT.on, WRONG.on) == ("local", "local")
    assert RIGHT.faults == ("kill", "pause", "partition")
    assert not RIGHT.options
    assert WRONG.options == {"mutant": "R13"}


def test_both_verdicts_as_expected_exit_0(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert demo(tmp_path, monkeypatch, RIGHT, WRONG) == 0
    said = capsys.readouterr()
    assert "no order of operations explains key" in said.out
    assert "checked again by an independent verifier" in said.out
    runs = sorted(path for path in (tmp_path / "raft").iterdir() if not path.is_symlink())
    *_, one, two = said.out.splitlines()
    assert one == f"Raft: VALID, as it should be; report: {runs[0] / store.REPORT}"
    assert two == f"Raft with R13: INVALID, as it should be; report: {runs[1] / store.REPORT}"
    assert all((run / store.REPORT).is_file() for run in runs)
    assert "1 of 2: The bundled Raft, 3 processes" in said.err


def test_another_verdict_exits_1_and_says_which_was_expected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert demo(tmp_path, monkeypatch, RIGHT, replace(WRONG, options={})) == 1
    said = capsys.readouterr()
    assert "Raft: VALID, INVALID was expected" in said.out.splitlines()[-1]
    assert "did not show what it should" in said.err


def test_a_demo_without_its_reports_exits_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*args: object) -> None:
        raise ZeroDivisionError("drawing")

    monkeypatch.setattr("dissensus.reports.html.render", broken)
    assert demo(tmp_path, monkeypatch, RIGHT, WRONG) == 1
    assert "Raft: VALID, but something failed on the way" in capsys.readouterr().out
