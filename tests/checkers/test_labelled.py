"""Every history of the labelled corpora: right verdict, and a certificate that holds, by the native
engine, and by the one in Python where that ends in time. The model's string goes in as it stands in
the index.
"""

from __future__ import annotations

import csv
import os
from functools import cache
from pathlib import Path

import pytest

from dissensus.checkers import native
from dissensus.checkers.engines import reverified
from dissensus.checkers.linearizability import PythonEngine
from dissensus.checkers.models import make_model
from dissensus.checkers.native import NativeEngine
from dissensus.harness.checker import Budget, Engine, RunView
from dissensus.harness.history import History
from dissensus.harness.importers import read_history
from dissensus.harness.verdict import Validity
from tests.checkers.alike import differences

ROOT = Path(__file__).resolve().parents[2]
BESIDE = [parent / "shared" for parent in ROOT.parents]
SHARED = Path(os.environ.get("DISSENSUS_SHARED") or next(filter(Path.exists, BESIDE), BESIDE[0]))
HISTORIES = SHARED / "histories"
SAMPLE_EVERY = 12
"""A plain run of pytest judges one row of so many."""
SECONDS = 20.0

native_only = pytest.mark.skipif(
    native.available() is not None, reason=f"no native engine: {native.available()}"
)


@cache
def index() -> list[tuple[str, str, str]]:
    """(path, model, verdict) of each row; none where the histories are not here."""
    if not HISTORIES.exists():
        return []
    with (HISTORIES / "index.csv").open(encoding="utf-8") as file:
        return [(row["path"], row["model"], row["verdict"]) for row in csv.DictReader(file)]


UNKNOWN = "unknown"


def wrong(engine: Engine, history: History, model: str, verdict: str) -> str:
    """What is not as it should be; "" where all is, `UNKNOWN` where Python gave up."""
    found = engine.check(history, make_model(model), Budget(seconds=SECONDS))
    if found.validity is Validity.UNKNOWN and engine.name == "python":
        return UNKNOWN
    if found.validity != verdict:
        return f"{engine.name} says {found.validity.value}: {found.reason}"
    if found.validity is Validity.INVALID:
        run = RunView(
            header={}, history=history, faults=[], nodes=[], phases=[], marks=[], complete=True
        )
        found = reverified(run, found)
        if found.validity is not Validity.INVALID or found.disagreement:
            return f"{engine.name}: the certificate is refuted: {found.reason}"
        if engine.name == "native" and not any(c.reverified for c in found.certificates):
            return "no certificate was verified"
    return ""


def judge_all(rows: list[tuple[str, str, str]], *, by_native: bool, by_python: bool) -> None:
    """Fails with all rows that are wrong, and where more than one in ten is given up."""
    bad = []
    given_up = []
    for path, model, verdict in rows:
        if by_native:
            history = native.read(HISTORIES / path, model=model)
            if why := wrong(NativeEngine(), history, model, verdict):
                bad.append(f"{path} {model} is {verdict}; {why}")
        if by_python:
            history = read_history(HISTORIES / path)
            why = wrong(PythonEngine(), history, model, verdict)
            if why == UNKNOWN:
                given_up.append(path)
            elif why:
                bad.append(f"{path} {model} is {verdict}; {why}")
    assert not bad, "\n".join(bad)
    assert len(given_up) <= len(rows) / 10, given_up


def sample() -> list[tuple[str, str, str]]:
    if not index():
        pytest.skip(f"no labelled histories: {HISTORIES} is not there")
    return index()[::SAMPLE_EVERY]


def everything() -> list[tuple[str, str, str]]:
    sample()
    return index()


@native_only
def test_a_sample_by_the_native_engine() -> None:
    judge_all(sample(), by_native=True, by_python=False)


def test_a_sample_by_the_engine_in_python() -> None:
    # Appended text costs the engine in Python its 20 s: `pytest -m slow` has those rows.
    rows = [row for row in sample() if "/kv/" not in row[0]]
    judge_all(rows, by_native=False, by_python=True)


@native_only
@pytest.mark.slow
def test_every_row_by_the_native_engine() -> None:
    judge_all(everything(), by_native=True, by_python=False)


@pytest.mark.slow
def test_every_row_by_the_engine_in_python() -> None:
    judge_all(everything(), by_native=False, by_python=True)


@native_only
def test_both_readers_read_the_same() -> None:
    paths = sorted({path for path, *_ in sample()})
    for path in paths:
        model = next(m for p, m, _ in index() if p == path)
        mine = read_history(HISTORIES / path)
        theirs = native.read(HISTORIES / path, model=model)
        assert not differences(mine, theirs), path


@native_only
@pytest.mark.slow
def test_both_readers_read_every_file_the_same() -> None:
    for path, model, _ in everything():
        mine = read_history(HISTORIES / path)
        theirs = native.read(HISTORIES / path, model=model)
        assert not differences(mine, theirs), path
