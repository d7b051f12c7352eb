"""Golden scripts of Raft: one per sentence of the paper, one per known bug.

`pytest --record-golden` with this file records them anew; read the diff then as you would read a
change of code.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPTS = sorted((Path(__file__).parent / "golden").rglob("*.txt"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_the_story_is_the_recorded_one(
    path: Path, stage: Callable[..., str], recorded: Callable[[Path, str], None]
) -> None:
    now = stage(path.read_text(encoding="utf-8"))
    assert "\n!!" not in now, now
    recorded(path, now)


def test_the_scripts_cover_the_paper_and_the_bugs() -> None:
    folders = [path.parent.name for path in SCRIPTS]
    assert folders.count("paper") == 26
    bugs = {path.stem.split("_")[0].rstrip("b") for path in SCRIPTS if path.parent.name == "bugs"}
    assert bugs == {f"R{n}" for n in range(1, 18)}


def test_another_story_is_shown_as_a_diff_or_recorded(
    tmp_path: Path,
    stage: Callable[..., str],
    recorded: Callable[[Path, str], None],
    pytestconfig: pytest.Config,
) -> None:
    path = tmp_path / "story.txt"
    path.write_text("cluster n1\nstart\n----\nn1 starts, on disk: a lot\n", encoding="utf-8")
    now = stage(path.read_text(encoding="utf-8"))
    if pytestconfig.getoption("--record-golden"):
        recorded(path, now)
        assert path.read_text(encoding="utf-8") == now
        return
    with pytest.raises(pytest.fail.Exception) as failure:
        recorded(path, now)
    assert "\n-n1 starts, on disk: a lot\n+n1 starts, on disk: nothing\n" in str(failure.value)
