"""scripts/setup says in one line what is missing. What it installs, `.ci/run` tests."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

STAND_IN = """#!/bin/sh
# A Python that answers setup's questions: $1 is -c, $2 the question.
case "$2" in
    *version_info*) exit {version} ;;
    *ensurepip*) exit {venv} ;;
esac
exit 9
"""


def run_setup(root: Path, folder: Path, *, version: int, venv: int) -> tuple[int, str]:
    """scripts/setup with only a stand-in for python3 on PATH; (exit code, stderr)."""
    names = ("python3", "python3.13", "python3.12", "python3.11")
    for name in names:
        stand_in = folder / name
        stand_in.write_text(STAND_IN.format(version=version, venv=venv))
        stand_in.chmod(0o755)
    environ = {
        "PATH": f"{folder}:/usr/bin:/bin",
        "HOME": str(folder),
        "DISSENSUS_VENV": str(folder / "venv"),
    }
    done = subprocess.run(
        [root / "scripts" / "setup"], env=environ, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stderr


def test_a_missing_venv_gets_the_line_that_installs_it(root: Path, tmp_path: Path) -> None:
    code, told = run_setup(root, tmp_path, version=0, venv=1)
    assert code == 3
    sudo = "" if os.geteuid() == 0 else "sudo "
    assert told.splitlines()[-1] == f"{sudo}apt-get install -y python3-venv"


def test_an_old_python_is_refused(root: Path, tmp_path: Path) -> None:
    code, told = run_setup(root, tmp_path, version=1, venv=0)
    assert code == 3
    assert "no Python 3.11 or newer" in told
    assert "apt-get install" in told


def test_a_wrong_word_is_refused(root: Path) -> None:
    done = subprocess.run(
        [root / "scripts" / "setup", "everything"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 4
    assert "usage" in done.stderr


@pytest.mark.parametrize("folder", ["scripts", ".ci/parts", ".ci/nightly.d"])
def test_scripts_can_be_executed(root: Path, folder: str) -> None:
    files = sorted((root / folder).iterdir())
    assert files
    for path in files:
        assert os.access(path, os.X_OK), path
        assert path.read_text(encoding="utf-8").startswith("#!"), path
        shell = "bash" if "bash" in path.read_text(encoding="utf-8").split("\n")[0] else "sh"
        subprocess.run([shell, "-n", str(path)], check=True)
