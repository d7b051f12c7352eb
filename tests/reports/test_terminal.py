"""The terminal's summary: verdict last, proof in words, nothing that drives the terminal."""

from __future__ import annotations

import io

import msgspec
from rich.console import Console

from dissensus.harness.checker import RunView
from dissensus.harness.store import VerdictFile
from dissensus.harness.verdict import Validity, Verdict
from dissensus.reports.terminal import summary


def shown(run: RunView, verdicts: VerdictFile) -> str:
    """As a stream that is no terminal gets it."""
    out = io.StringIO()
    Console(file=out, width=200).print(summary(run, verdicts))
    return out.getvalue()


def test_an_invalid_run_tells_its_proof(specimen: tuple[RunView, VerdictFile]) -> None:
    text = shown(*specimen)
    lines = text.splitlines()
    assert lines[0].startswith("raft (mutant R13) on local, cas-register, 5 nodes, seed 7, 30s")
    assert lines[-1] == "x INVALID  linearizability"
    assert lines[-3].startswith("again: dissensus run raft --nodes 5 ")
    assert lines[-2].startswith("report: ")
    assert lines[-2].endswith("report.html")
    assert (
        "faults in effect: partition 2/2  kill 1/1  slow 1/2  pause 1/1 (healed, verified)" in text
    )
    assert "(3) read 3 from key 27 at n5" in text
    assert "(checked again by an independent verifier)" in text
    assert "\x1b" not in text


def test_a_valid_run_says_what_was_checked(specimen: tuple[RunView, VerdictFile]) -> None:
    run, verdicts = specimen
    good = [v for v in verdicts.verdicts if v.validity is Validity.VALID]
    text = shown(run, VerdictFile(validity="VALID", exit_code=0, verdicts=good))
    assert "stats: every f succeeded under faults" in text
    assert text.splitlines()[-1] == "+ VALID  stats, availability, agreement"


def test_an_unknown_run_says_why(specimen: tuple[RunView, VerdictFile]) -> None:
    run, _ = specimen
    verdict = Verdict(
        checker="vacuity", validity=Validity.UNKNOWN, reason="proves little", vacuous=["no kill"]
    )
    killed = msgspec.structs.replace(run, complete=False)
    text = shown(killed, VerdictFile(validity="UNKNOWN", exit_code=5, verdicts=[verdict]))
    assert "? UNKNOWN  vacuity: proves little" in text
    assert "    no kill" in text
    assert "The run is incomplete: its harness was killed" in text
    failed = msgspec.structs.replace(run, end={"outcome": "failed", "error": "disk\n    full\x1b"})
    text = shown(failed, VerdictFile(validity="UNKNOWN", exit_code=3, verdicts=[verdict]))
    assert text.splitlines()[-1].startswith("! FAILED; so far: ? UNKNOWN")
    assert "The run failed (disk full\\x1b), and this is as far as it got." in text


def test_a_hostile_system_does_not_drive_the_terminal(
    hostile: tuple[RunView, VerdictFile],
) -> None:
    text = shown(*hostile)
    assert "\x1b" not in text
    assert "\\x1b[31m" in text
