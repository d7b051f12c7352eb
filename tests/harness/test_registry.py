"""The registry finds systems by name and by path, and says what is wrong with a plug-in."""

from __future__ import annotations

from pathlib import Path

import pytest

from dissensus.harness import registry
from dissensus.harness.errors import SystemFault, UserError

GOOD = '''
import helper_beside_it
class Mine:
    """A system in a file. With more to say."""
    capabilities = frozenset()
    ports = ("client",)
    argv = ready = client = None
    def __init__(self, *, speed: int = 1) -> None:
        self.name = helper_beside_it.NAME
        self.speed = speed
class Empty:
    pass
class Broken:
    def __init__(self) -> None:
        raise RuntimeError("no licence")
'''


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    (tmp_path / "helper_beside_it.py").write_text("NAME = 'mine'\n")
    path = tmp_path / "mine.py"
    path.write_text(GOOD)
    return path


def test_a_system_by_path(mine: Path) -> None:
    system = registry.load_system(f"{mine}:Mine", {"speed": 3})
    assert system.name == "mine"
    assert vars(system)["speed"] == 3


def test_an_unknown_option_names_the_nearest(mine: Path) -> None:
    with pytest.raises(UserError, match="did you mean 'speed'"):
        registry.load_system(f"{mine}:Mine", {"sped": 3})


@pytest.mark.parametrize(
    ("place", "error", "told"),
    [
        ("{}:Nine", UserError, "did you mean 'Mine'"),
        ("{}", UserError, "names no class"),
        ("{}x:Mine", UserError, "there is no file"),
        ("{}:Empty", SystemFault, "has no 'name'"),
        ("{}:Broken", SystemFault, "no licence"),
    ],
)
def test_what_is_wrong_with_a_path(
    mine: Path, place: str, error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        registry.load_system(place.format(mine), {})


def test_a_file_that_does_not_load(tmp_path: Path) -> None:
    path = tmp_path / "bad.py"
    path.write_text("import no_such_module_at_all\n")
    with pytest.raises(SystemFault, match="no_such_module_at_all"):
        registry.load_system(f"{path}:X", {})


def test_an_unknown_system_names_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'raft'"):
        registry.load_system("rafd", {})


def test_an_unknown_cluster_names_the_known() -> None:
    with pytest.raises(UserError, match="known: local, sim"):
        registry.cluster_class("cloud")


def test_the_bundled_system_is_listed() -> None:
    assert "raft" in registry.system_names()
    assert "raft" in [listed.name for listed in registry.list_systems()]
