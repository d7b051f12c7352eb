"""The recorder: a disk that fails stops nobody, and what could be written is readable."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

from dissensus.harness.events import read_events
from dissensus.harness.ops import Op
from dissensus.harness.recorder import KEYS_KEPT, Recorder


class SmallDisk:
    """A file with room for a number of bytes."""

    def __init__(self, file: Any, room: int) -> None:
        self.file = file
        self.room = room

    def write(self, view: memoryview) -> int:
        if self.room <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = self.file.write(view[: self.room])
        self.room -= taken
        return int(taken)

    def close(self) -> None:
        self.file.close()


def recorder(path: Path, room: int) -> tuple[Recorder, SmallDisk]:
    made = Recorder(path, {"seed": 1})
    disk = SmallDisk(made._writer._file, room)
    made._writer._file = disk  # type: ignore[assignment]
    return made, disk


def invoke(key: Any, process: int = 0) -> Op:
    return Op(f="write", key=key, value=1, process=process, time_ns=5)


def test_the_first_error_is_kept_and_the_prefix_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    rec, _ = recorder(path, 150)
    for i in range(10):
        rec.op(invoke(i, i))
    rec.flush()
    assert rec.error is not None
    assert rec.error.errno == errno.ENOSPC
    rec.write({"ev": "phase", "t": 6, "name": "heal"})
    rec.close()
    kinds = [event["ev"] for event in read_events(path)]
    assert kinds[0] == "run"
    assert 0 < kinds.count("op") < 10


def test_when_there_is_room_again_nothing_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    rec, disk = recorder(path, 150)
    for i in range(10):
        rec.op(invoke(i, i))
    rec.flush()
    disk.room = 10_000
    rec.write({"ev": "end", "t": 7})
    rec.close()
    kinds = [event["ev"] for event in read_events(path)]
    assert kinds == ["run", *["op"] * 10, "end"]
    assert rec.error is not None


def test_it_remembers_keys_and_successes(tmp_path: Path) -> None:
    rec, _ = recorder(tmp_path / "events.jsonl", 1 << 30)
    for key in (3, "a", None, [1], 3):
        op = invoke(key)
        rec.op(op)
        rec.op(Op(f="write", key=key, process=0, type="ok", time_ns=6))
    rec.op(Op(f="read", key=9, process=1, type="fail", time_ns=7))
    assert rec.keys() == ["a", 3]
    assert rec.succeeded == {"write"}
    for key in range(KEYS_KEPT + 10):
        rec.op(invoke(key))
    assert rec.keys() == list(range(10, KEYS_KEPT + 10))
    rec.close()
