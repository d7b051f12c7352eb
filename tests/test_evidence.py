"""docs/evidence.md keeps one section a part, and a new result takes the place of the old one."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def evidence(root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("evidence", root / ".ci" / "evidence.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_section_is_added_and_replaced(evidence: ModuleType) -> None:
    page = evidence.replaced(evidence.HEAD, "seeds", "## seeds\n\nold\n")
    page = evidence.replaced(page, "demos", "## demos\n\n50 of 50\n")
    page = evidence.replaced(page, "seeds", "## seeds\n\nnew\n")
    assert page == evidence.HEAD.rstrip() + "\n\n## demos\n\n50 of 50\n\n## seeds\n\nnew\n"


def test_only_figures_are_taken_from_the_log(evidence: ModuleType) -> None:
    log = "noise\nfigure: 3 of 3\nfigure: 2.5 s\nmore noise: figure: x\n"
    good = evidence.section("demos", 0, "1.5", log)
    assert good.splitlines()[-2:] == ["- 3 of 3", "- 2.5 s"]
    assert "reached" in good
    assert "NOT reached (exit 1)" in evidence.section("demos", 1, "1.5", log)
    assert "no figures" in evidence.section("demos", 0, "1.5", "")


def test_the_page_holds_every_part(evidence: ModuleType, root: Path) -> None:
    """One section a part, in alphabetical order, each with its date, commit and figures."""
    page = (root / "docs" / "evidence.md").read_text(encoding="utf-8")
    head, *sections = re.split(r"^(?=## )", page, flags=re.M)
    assert head.strip() == evidence.HEAD.strip()
    names = [section.split()[1] for section in sections]
    assert names == sorted(set(names))
    assert set(names) == {path.name for path in (root / ".ci" / "nightly.d").iterdir()}
    for section in sections:
        assert re.search(r"^\d{4}-\d\d-\d\d \d\d:\d\d UTC, commit [0-9a-f]{10}\+?, ", section, re.M)
        assert re.search(r"^- ", section, re.M)
