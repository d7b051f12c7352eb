"""The undo journal: what is open at any moment is read back, whatever the last write was."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from dissensus.harness import store
from dissensus.harness.errors import EnvironmentFault, UserError
from dissensus.harness.heal import heal
from dissensus.harness.journal import FILE, Journal, read_journal


def test_open_faults_are_those_begun_and_not_ended(tmp_path: Path) -> None:
    assert read_journal(tmp_path).open == {}
    journal, other = Journal(tmp_path), Journal(tmp_path)
    journal.note("run", token="t", harness={"pid": 1})
    journal.begin(1, "kill", {"do": "start", "nodes": ["n1"]})
    other.begin(2, "partition-ring", {"do": "heal-links"})
    journal.end(1)
    journal.note("run", token="u")
    view = read_journal(tmp_path)
    assert list(view.open) == [2]
    assert (view.open[2].kind, view.open[2].undo) == ("partition-ring", {"do": "heal-links"})
    last = view.last("run")
    assert last is not None
    assert last["token"] == "u"
    assert view.last("teardown") is None
    assert stat.S_IMODE(os.stat(tmp_path / FILE).st_mode) == 0o600
    assert FILE == store.UNDO


def test_a_line_that_was_cut_short_is_told_apart(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.begin(1, "kill", {})
    with journal.path.open("ab") as file:
        file.write(b'{"schema": 1, "j": "beg')
    view = read_journal(tmp_path)
    assert (list(view.open), view.broken, view.lines) == ([1], [2], 2)
    assert heal(tmp_path).left == []
    with journal.path.open("ab") as file:
        file.write(b"\n")
    journal.end(1)
    view = read_journal(tmp_path)
    assert (view.open, view.broken, view.lines) == ({}, [2], 3)
    assert heal(tmp_path).left == [f"{tmp_path / FILE}: lines that cannot be read: 2"]


def test_another_schema_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"schema": 2, "j": "end", "id": 1}\n', encoding="utf-8")
    with pytest.raises(UserError, match=r"undo\.jsonl:1: schema 2, this version reads 1"):
        read_journal(tmp_path)


def test_what_cannot_be_written_is_an_error_before_anything_is_changed(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="No such file"):
        Journal(tmp_path / "nowhere").begin(1, "kill", {})
