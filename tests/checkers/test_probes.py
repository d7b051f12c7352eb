"""The doctor's probes of the engines find what is there, and what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from dissensus.checkers import probes, second
from dissensus.harness.doctor import diagnose


def test_without_engines_the_doctor_says_how_to_get_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(probes, "NATIVE", "dissensus.checkers.none_such")
    monkeypatch.delenv(second.HELPER_ENV, raising=False)
    monkeypatch.setattr(second, "HELPER", tmp_path / "none")
    diagnosis = diagnose(tmp_path, probes.PROBES)
    found = {finding.name: finding for finding in diagnosis.findings}
    assert found["native engine"].state == "degraded"
    assert "cargo" in found["native engine"].fix
    assert found["porcupine"].state == "degraded"
    assert "Go" in found["porcupine"].fix
    assert diagnosis.clusters["sim"] == ""


def test_a_helper_that_errs_is_degraded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One that answers "ok" to everything is no second engine."""
    program = tmp_path / "helper"
    said = '{"verdict":"ok","why":"","version":"v9"}'
    program.write_text(f"#!/bin/sh\ncat > /dev/null\necho '{said}'\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv(second.HELPER_ENV, str(program))
    assert probes.second_engine().state == "degraded"


@pytest.mark.skipif(second.helper() is None, reason="no Porcupine: no go at install")
def test_porcupine_is_asked() -> None:
    found = probes.second_engine()
    assert found.state == "ok"
    assert found.how == "porcupine 1.3.1 told a legal history from an illegal one"
