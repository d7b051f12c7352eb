"""Fixtures that tests of every part share."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from dissensus.harness.local import processes

settings.register_profile("house", deadline=None)
settings.load_profile("house")
"""No test asserts times: a busy machine must not fail one."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Golden scripts: see `systems/reference/golden.py`."""
    parser.addoption(
        "--record-golden", action="store_true", help="record the output of golden scripts anew"
    )


def running_below(place: Path) -> list[str]:
    """Processes of runs (by the token in their environment) that have to do with this folder: by
    their working directory or their command line.
    """
    found = []
    for pid in [entry.name for entry in processes.PROC.iterdir() if entry.name.isdecimal()]:
        if not processes.environment_of(int(pid)).get(processes.TOKEN_VARIABLE):
            continue
        try:
            command = (processes.PROC / pid / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            where = str((processes.PROC / pid / "cwd").readlink())
        except OSError:
            continue
        if str(place) in command or where.startswith(str(place)):
            found.append(f"{pid}: {command}")
    return found


@pytest.fixture(autouse=True)
def nothing_survives(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """After every test that starts node processes none is left, whoever should have ended it."""
    yield
    if request.node.get_closest_marker("cluster") is not None and processes.PROC.exists():
        assert running_below(tmp_path_factory.getbasetemp()) == []


@pytest.fixture(scope="session")
def root() -> Path:
    """The top of the repository."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture
def recorded(request: pytest.FixtureRequest) -> Callable[[Path, str], None]:
    """Fails with a diff where a file is not this text; writes it under `--record-golden`."""
    record: bool = request.config.getoption("--record-golden")

    def check(path: Path, now: str) -> None:
        before = path.read_text(encoding="utf-8")
        if before == now:
            return
        if record:
            path.write_text(now, encoding="utf-8")
            return
        diff = difflib.unified_diff(
            before.splitlines(), now.splitlines(), "recorded", "now", lineterm="", n=8
        )
        pytest.fail(f"{path.name} tells another story now:\n" + "\n".join(diff), pytrace=False)

    return check
