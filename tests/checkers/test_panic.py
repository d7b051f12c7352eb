"""Panics are found in logs and marks, and nothing else is taken for one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dissensus.checkers import panic
from dissensus.checkers.engines import reverified
from dissensus.checkers.panic import PanicChecker
from dissensus.harness.checker import Budget, RunView
from dissensus.harness.verdict import Validity

View = Callable[..., RunView]


def write_log(folder: Path, node: str, text: bytes) -> None:
    (folder / "nodes" / node).mkdir(parents=True)
    (folder / "nodes" / node / "node.log").write_bytes(text)


def test_it_fires_with_file_and_line(view: View, tmp_path: Path) -> None:
    write_log(tmp_path, "n1", b'{"event": "started"}\n\xff\xfe odd bytes\nPANIC n1: log gap at 7\n')
    write_log(tmp_path, "n2", b'{"event": "started"}\n')
    run = view(directory=tmp_path)
    verdict = reverified(run, PanicChecker().check(run, Budget()))
    assert verdict.validity is Validity.INVALID
    (certificate,) = verdict.certificates
    assert certificate.reverified
    assert certificate.summary == (
        "n1 stopped itself: PANIC n1: log gap at 7 (nodes/n1/node.log:3)"
    )
    assert verdict.facts == {"logs": 2, "panics": 1}


@pytest.mark.parametrize(
    "line",
    [
        b"panic: runtime error: index out of range [5] with length 3",
        b"fatal error: concurrent map writes",
        b"thread 'main' panicked at src/main.rs:4:5:",
        b"123 PANIC term went back",
    ],
)
def test_other_languages_panic_too(view: View, tmp_path: Path, line: bytes) -> None:
    write_log(tmp_path, "n1", b"ok\n" + line + b"\n")
    run = view(directory=tmp_path)
    verdict = reverified(run, PanicChecker().check(run, Budget()))
    assert verdict.validity is Validity.INVALID
    assert verdict.certificates[0].reverified


def test_it_does_not_fire_on_words(view: View, tmp_path: Path) -> None:
    write_log(tmp_path, "n1", b"no panic: all is well\nDISPANIC\nnon-fatal error: retried\n")
    run = view(
        directory=tmp_path,
        marks=[
            {"name": "snapshot", "t": 1, "node": "n1"},
            # Killed from outside, and an exit code of its own choice.
            {"name": "node-died", "t": 1, "node": "n1", "exit_code": -9, "text": "signal 9"},
            {"name": "node-died", "t": 1, "node": "n1", "exit_code": 71, "text": "no disk"},
        ],
    )
    verdict = PanicChecker().check(run, Budget())
    assert verdict.validity is Validity.VALID
    assert verdict.reason == "no node stopped itself, by 1 logs"
    assert PanicChecker().check(view(), Budget()).validity is Validity.VALID


def test_marks_of_the_simulator_and_of_the_monitor_count(view: View) -> None:
    run = view(
        marks=[
            {"name": "panic", "t": 2_000_000_000, "node": "n3", "text": "n3 panicked: bad"},
            {
                "name": "node-died",
                "t": 3_000_000_000,
                "node": "n2",
                "exit_code": -11,
                "text": "n2 ended by itself with signal 11",
            },
        ]
    )
    verdict = reverified(run, PanicChecker().check(run, Budget()))
    assert [c.data["node"] for c in verdict.certificates] == ["n3", "n2"]
    assert all(c.reverified for c in verdict.certificates)
    assert verdict.certificates[0].story == ["At 2.000 s: n3 panicked: bad"]


def test_one_panic_is_told_once(view: View, tmp_path: Path) -> None:
    """The simulator writes the log and the mark."""
    write_log(tmp_path, "n1", b"2000 PANIC bad\n" * 9)
    run = view(directory=tmp_path, marks=[{"name": "panic", "node": "n1", "text": "n1 panicked"}])
    verdict = PanicChecker().check(run, Budget())
    assert verdict.facts["panics"] == 9
    assert len(verdict.certificates) == panic.CERTIFICATES_MAX


def test_a_log_that_is_too_long_is_said(
    view: View, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_log(tmp_path, "n1", b"fine\n" * 100 + b"PANIC late\n")
    monkeypatch.setattr(panic, "LOG_BYTES_MAX", 100)
    verdict = PanicChecker().check(view(directory=tmp_path), Budget())
    assert verdict.validity is Validity.UNKNOWN
    assert "only the first 100 bytes of node.log were read" in verdict.reason
