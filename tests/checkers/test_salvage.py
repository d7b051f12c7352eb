"""Damaged files and bounds that do not suffice to read: what may be said of them all the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dissensus.checkers import native
from dissensus.harness.cli import call

pytestmark = pytest.mark.skipif(
    native.available() is not None, reason=f"no native engine: {native.available()}"
)

HOLE = '{"process": 7, "type": "invo'


def line(process: int, kind: str, f: str, value: Any) -> str:
    return json.dumps({"process": process, "type": kind, "f": f, "value": value})


def done(process: int, f: str, asked: Any, found: Any) -> list[str]:
    return [line(process, "invoke", f, asked), line(process, "ok", f, found)]


STALE = [*done(0, "write", 1, 1), *done(0, "write", 2, 2), *done(1, "read", None, 1)]
FINE = [*done(0, "write", 1, 1), *done(1, "read", None, 1)]
G1A = [
    line(0, "invoke", "txn", [["append", "x", 1]]),
    line(0, "fail", "txn", [["append", "x", 1]]),
    *done(1, "txn", [["r", "x", None]], [["r", "x", [1]]]),
]


def checked(path: Path, lines: list[str], capsys: pytest.CaptureFixture[str], *more: str) -> Any:
    path.write_text("\n".join(lines))
    code = call(["check", str(path), "--engine", "native", "--format", "json", *more])
    found = json.loads(capsys.readouterr().out)
    assert found["exit_code"] == code
    return found


@pytest.mark.parametrize(
    ("lines", "model", "validity"),
    [
        ([*STALE, HOLE, *FINE], "register", "INVALID"),
        ([HOLE, *STALE], "register", "UNKNOWN"),
        ([*STALE[:4], HOLE, *STALE[4:]], "register", "UNKNOWN"),
        ([*FINE, HOLE, *FINE], "register", "UNKNOWN"),
        ([*G1A[:2], HOLE, *G1A[2:]], "list-append", "UNKNOWN"),
        (G1A, "list-append", "INVALID"),
        ([*FINE, HOLE], "register", "VALID"),
        ([*STALE, HOLE], "register", "INVALID"),
    ],
)
def test_only_what_holds_whatever_stood_in_a_hole_is_said(
    lines: list[str],
    model: str,
    validity: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = checked(tmp_path / "h.jsonl", lines, capsys, "--salvage", "--model", model)
    assert found["validity"] == validity, found
    if validity == "INVALID":
        assert found["verdicts"][0]["certificates"][0]["reverified"]


def test_without_salvage_a_damaged_file_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "h.jsonl"
    path.write_text("\n".join([*FINE, HOLE, *FINE]))
    assert call(["check", str(path), "--engine", "native"]) == 4
    assert f"{path}:5:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("bound", "why"), [(("--memory", "100kB"), "memory"), (("--budget", "5ms"), "time")]
)
@pytest.mark.parametrize("suffix", ["txt", "json"])
def test_a_budget_that_does_not_suffice_to_read_is_unknown_with_how_far_it_got(
    bound: tuple[str, str],
    why: str,
    suffix: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / f"h.{suffix}"
    rows = 150_000
    if suffix == "txt":
        path.write_text("".join(f"write {n} {2 * n} {2 * n + 1}\n" for n in range(rows)))
    else:
        path.write_text("\n".join(FINE * (rows // 4)))
    code = call(["check", str(path), "--engine", "native", "--model", "register", *bound])
    said = capsys.readouterr().out
    assert code == 2, said
    assert f"UNKNOWN  reader: the budget is used up: {path}: {why} ran out after" in said
