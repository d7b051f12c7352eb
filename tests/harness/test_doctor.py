"""The doctor tries things, says what is missing, and concludes which clusters can be used."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from dissensus.harness import doctor
from dissensus.harness.doctor import Finding


def by_name(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings}


def test_every_probe_answers_here(tmp_path: Path) -> None:
    diagnosis = doctor.diagnose(tmp_path / "not" / "there" / "yet")
    found = by_name(diagnosis.findings)
    assert set(found) == set(doctor.probes(tmp_path))
    assert found["python"].state == "ok"
    assert found["processes"].state == "ok"
    assert found["docker"].state == "not needed"
    assert set(diagnosis.clusters) == {"local", "sim"}


def test_a_missing_capability_closes_the_clusters_that_need_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(doctor, "LOOPBACK", "192.0.2.1")  # an address of nobody
    diagnosis = doctor.diagnose(tmp_path)
    assert by_name(diagnosis.findings)["loopback"].state == "missing"
    assert "loopback" in diagnosis.clusters["local"]
    assert diagnosis.clusters["sim"] == ""


def test_a_broken_probe_is_a_finding(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def broken() -> Finding:
        raise RuntimeError("out of order")

    monkeypatch.setattr(doctor, "processes", broken)
    found = by_name(doctor.diagnose(tmp_path).findings)["processes"]
    assert found.state == "missing"
    assert "out of order" in found.how


def test_a_probe_that_hangs_is_a_finding(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    over = threading.Event()
    python = doctor.python

    def slow() -> Finding:
        over.wait(60)
        return python()

    monkeypatch.setattr(doctor, "PROBE_SECONDS", 3)
    monkeypatch.setattr(doctor, "python", slow)
    found = by_name(doctor.diagnose(tmp_path).findings)["python"]
    over.set()
    assert found.state == "missing"
    assert "no answer" in found.how


def test_little_space_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(doctor, "FREE_BYTES_LEAST", 1 << 60)
    found = doctor.disk(tmp_path)
    assert found.state == "degraded"
    assert "free" in found.how
    assert "--store" in found.fix


def test_few_open_files_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "OPEN_FILES_LEAST", 1 << 60)
    assert doctor.open_files().state == "degraded"
