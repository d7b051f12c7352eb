"""lose-unsynced cuts a dead node's files to what it reported as durable, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dissensus.harness.errors import SystemFault
from dissensus.harness.synced import lose_unsynced, verify_lost


def node(folder: Path, files: dict[str, int], **extra: Any) -> None:
    (folder / "store").mkdir()
    for name in ("a.seg", "b.seg", "c.seg"):
        (folder / "store" / name).write_bytes(name.encode() * 2)
    (folder / "node.log").write_text("kept", encoding="utf-8")
    value = {"schema": 1, "dirs": ["store"], "files": files, **extra}
    (folder / "synced").write_text(json.dumps(value) + "   ", encoding="utf-8")


def test_cuts_and_removes_what_was_not_durable(tmp_path: Path) -> None:
    node(tmp_path, {"store/a.seg": 10, "store/b.seg": 4})
    assert verify_lost(tmp_path) == {"store/b.seg": (4, 10), "store/c.seg": (-1, 10)}
    assert lose_unsynced(tmp_path) == {"store/b.seg": 6, "store/c.seg": 10}
    assert (tmp_path / "store" / "a.seg").read_bytes() == b"a.sega.seg"
    assert (tmp_path / "store" / "b.seg").read_bytes() == b"b.se"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["node.log", "store", "synced"]
    assert not verify_lost(tmp_path)
    assert lose_unsynced(tmp_path) == {}


def test_a_file_shorter_than_reported_is_the_systems_fault(tmp_path: Path) -> None:
    node(tmp_path, {"store/a.seg": 11})
    with pytest.raises(SystemFault, match=r"a\.seg: 10 bytes, but the node reported 11"):
        lose_unsynced(tmp_path)
    assert (tmp_path / "store" / "c.seg").exists()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (None, "no such file"),
        ("{", "not JSON"),
        ("[]", "schema 1"),
        ('{"schema": 2}', "schema 1"),
        ('{"schema": 1}', "list `dirs`"),
        ('{"schema": 1, "dirs": [".."], "files": {}}', "outside"),
        ('{"schema": 1, "dirs": [], "files": {"/etc/passwd": 0}}', "outside"),
        ('{"schema": 1, "dirs": [], "files": {"a": -1}}', "length"),
    ],
)
def test_a_broken_synced_file_is_reported(tmp_path: Path, text: str | None, complaint: str) -> None:
    if text is not None:
        (tmp_path / "synced").write_text(text, encoding="utf-8")
    with pytest.raises(SystemFault, match=complaint):
        lose_unsynced(tmp_path)
