"""Fixtures that tests of every part share."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("house", deadline=None)
settings.load_profile("house")
"""No test asserts times: a busy machine must not fail one."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Golden scripts: see `systems/reference/golden.py`."""
    parser.addoption(
        "--record-golden", action="store_true", help="record the output of golden scripts anew"
    )


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
