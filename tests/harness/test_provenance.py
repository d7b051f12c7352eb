"""Provenance: what a run says of where it was made."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from dissensus import __version__
from dissensus.harness import provenance
from dissensus.harness.plan import Plan
from dissensus.harness.registry import load_system

BEGUN = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


def test_it_names_versions_seed_command_and_machine(toy_name: str) -> None:
    plan = Plan(system=toy_name, on="sim", seed=7)
    found = provenance.gather(
        plan, load_system(toy_name, {}), engine="python 1", begun=BEGUN, argv=["dissensus", "run"]
    )
    assert found["seed"] == 7
    assert found["begun"] == "2026-11-24T12:00:00+00:00"
    assert found["command"] == plan.command()
    assert found["engine"] == "python 1"
    assert found["versions"]["dissensus"] == __version__
    assert found["versions"]["system"] == "toy 1"
    assert found["host"]["cpus"] >= 1
    assert msgspec.json.decode(msgspec.json.encode(found))["plan"]["seed"] == 7


def test_a_commit_is_named_and_whether_it_is_clean(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        who = ("-c", "user.name=a", "-c", "user.email=a@b.example")
        subprocess.run(["git", *who, "-C", str(tmp_path), *words], check=True, capture_output=True)

    assert provenance.git_commit(tmp_path / "none") is None
    git("init", "-q")
    (tmp_path / "file").write_text("one")
    git("add", "file")
    git("commit", "-q", "-m", "first")
    clean = provenance.git_commit(tmp_path)
    assert clean is not None
    assert len(clean) == 40
    (tmp_path / "file").write_text("two")
    assert provenance.git_commit(tmp_path) == f"{clean}-dirty"
