"""The run store: what is written is read again, a prefix too, and a broken line is named."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from dissensus.harness import events, store
from dissensus.harness.errors import EnvironmentFault, UserError
from dissensus.harness.ops import Op
from dissensus.harness.verdict import Certificate, Validity, Verdict

NOW = datetime(2026, 11, 24, 12, 0, 0)


def write_run(folder: Path, **watch: Any) -> None:
    """A small run with one event of every kind."""
    writer = events.EventWriter(folder / store.EVENTS, {"system": "raft", "seed": 7}, **watch)
    writer.write({"ev": "phase", "t": 0, "name": "set-up"})
    writer.write({"ev": "node", "t": 5, "node": "n1", "role": "leader", "term": 2, "up": True})
    writer.op(Op(f="write", key=1, value=3, process=0, type="invoke", time_ns=10))
    halves = {"halves": [["n1"], ["n2"]]}
    writer.write({"ev": "fault-begin", "t": 11, "id": 5, "kind": "partition", "targets": halves})
    writer.write(
        {"ev": "fault-measured", "t": 12, "id": 5, "effective": True, "measured": {"a": 1}}
    )
    writer.op(
        Op(f="write", key=1, process=0, type="info", time_ns=20, error="timeout", x={"term": 2})
    )
    writer.write({"ev": "fault-end", "t": 21, "id": 5, "healed": True})
    writer.write({"ev": "mark", "t": 22, "name": "snapshot"})
    writer.write({"ev": "something-new", "t": 23})
    writer.write({"ev": "end", "t": 30, "outcome": "complete", "error": None, "left": []})
    writer.close()


def test_a_run_reads_back(tmp_path: Path) -> None:
    write_run(tmp_path)
    run = store.load(tmp_path)
    assert run.header["seed"] == 7
    assert run.complete
    assert len(run.history) == 1
    assert run.history.error_of(0) == "timeout"
    assert run.history.extra[0] == {"term": 2}
    (fault,) = run.faults
    assert (fault.begin_ns, fault.measured_ns, fault.end_ns) == (11, 12, 21)
    assert fault.effective
    assert fault.healed
    assert run.nodes[0].fields == {"role": "leader", "term": 2, "up": True}
    assert run.phases == [("set-up", 0)]
    assert run.marks[0]["name"] == "snapshot"


def test_an_op_line_has_the_stated_form() -> None:
    op = Op(
        f="cas", key=3, value=[1, 2], process=4, type="ok", time_ns=123, index=17, node="n2",
        x={"rev": 9},
    )  # fmt: skip
    assert events.op_line(op) == (
        b'{"ev":"op","i":17,"t":123,"p":4,"type":"ok","f":"cas","k":3,"v":[1,2],"node":"n2",'
        b'"err":null,"x":{"rev":9}}\n'
    )


def test_every_prefix_of_a_run_is_readable(tmp_path: Path) -> None:
    """Cut anywhere behind the header: the whole lines count, and the run is not complete."""
    write_run(tmp_path)
    path = tmp_path / store.EVENTS
    whole = path.read_bytes()
    for length in range(whole.index(b"\n") + 1, len(whole)):
        path.write_bytes(whole[:length])
        run = store.load(tmp_path)
        assert not run.complete
        lines = whole[:length].split(b"\n")[:-1]
        assert len(run.history) == sum(b'"type":"invoke"' in line for line in lines)


def test_a_fault_open_at_the_end_is_open(tmp_path: Path) -> None:
    write_run(tmp_path)
    path = tmp_path / store.EVENTS
    path.write_bytes(path.read_bytes().split(b'{"ev":"fault-end"')[0])
    (fault,) = store.load(tmp_path).faults
    assert fault.end_ns == -1
    assert not fault.healed


@pytest.mark.parametrize(
    ("line", "place", "told"),
    [
        (b'{"ev": "op", }\n', ":2:14: ", "not JSON"),
        (b"[]\n", ":2:1: ", "not an event"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: bytes, place: str, told: str) -> None:
    path = tmp_path / store.EVENTS
    path.write_bytes(b'{"ev":"run","schema":1}\n' + line)
    with pytest.raises(UserError, match=told) as caught:
        store.load(tmp_path)
    assert f"{path}{place}" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"", "header is missing"),
        (b'{"ev":"op"}\n', "line 1 must be"),
        (b'{"ev":"run","schema":99}\n', "schema 99"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, text: bytes, told: str) -> None:
    (tmp_path / store.EVENTS).write_bytes(text)
    with pytest.raises(UserError, match=told):
        store.load(tmp_path)


def test_consumers_see_every_event(tmp_path: Path) -> None:
    ops: list[Op] = []
    others: list[str] = []
    write_run(tmp_path, on_op=ops.append, on_event=lambda event: others.append(event["ev"]))
    assert [op.index for op in ops] == [0, 1]
    assert others[0] == "run"
    assert others[-1] == "end"


KILLED = """
import sys, time
from pathlib import Path
from dissensus.harness.events import EventWriter
from dissensus.harness.ops import Op
writer = EventWriter(Path(sys.argv[1]) / "events.jsonl", {"seed": 1})
for i in range(10**9):
    writer.op(Op(f="read", process=i, type="invoke", time_ns=i))
    if i == 20000:
        print("go", flush=True)
"""


def test_a_killed_writer_leaves_a_readable_prefix(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"go\n"
        os.kill(child.pid, signal.SIGKILL)
    run = store.load(tmp_path)
    assert not run.complete
    # Bytes go out at 256 kB at the latest: most of the 20,000 events of 80 bytes are there.
    assert len(run.history) > 15_000


def test_a_full_disk_is_an_os_error(tmp_path: Path) -> None:
    """/dev/full refuses every write, as a full disk does: the error must come out."""
    (tmp_path / store.EVENTS).symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"No space left|File exists"):
        write_run(tmp_path)


def test_folders_are_never_shared(tmp_path: Path) -> None:
    first = store.create(tmp_path, "raft", 7, now=NOW)
    second = store.create(tmp_path, "raft", 7, now=NOW)
    assert first.name == "20261124T120000-7"
    assert second.name == "20261124T120000-7-2"
    assert not (tmp_path / "raft" / store.LATEST).exists()
    write_run(second)
    store.publish(second)
    assert store.find(tmp_path / "raft") == second
    assert store.find(tmp_path / "raft" / "latest") == second
    assert store.find(second / store.EVENTS) == second
    with pytest.raises(FileExistsError):
        write_run(second)


def test_a_run_that_was_never_begun_leaves_nothing(tmp_path: Path) -> None:
    one, two = (store.create(tmp_path, "raft", seed, now=NOW) for seed in (1, 2))
    (two / "nodes" / "n1").mkdir()
    for folder in (one, two):
        store.discard(folder)
    assert [path.name for path in (tmp_path / "raft").iterdir()] == [two.name]


def test_a_file_that_the_disk_does_not_take_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "run.json").mkdir()
    with pytest.raises(OSError, match="directory"):
        store.write_json(tmp_path / "run.json", {})
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_a_name_cannot_leave_the_store(tmp_path: Path) -> None:
    folder = store.create(tmp_path, "../x y", 1, now=NOW)
    assert folder.parent.parent == tmp_path


def test_a_store_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "raft").write_text("a file in the way")
    with pytest.raises(EnvironmentFault, match="cannot make the run's folder"):
        store.create(tmp_path, "raft", 7, now=NOW)


def test_what_is_no_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no run"):
        store.find(tmp_path)
    with pytest.raises(UserError, match="is no run"):
        store.load(tmp_path)
    with pytest.raises(UserError, match="not judged yet"):
        store.read_verdicts(tmp_path)


def test_verdicts_read_back(tmp_path: Path) -> None:
    certificate = Certificate(kind="linearizability", summary="no", ops=[1, 2], blocked=[2])
    verdict = Verdict(checker="x", validity=Validity.INVALID, certificates=[certificate])
    store.write_verdicts(tmp_path, [verdict], validity="INVALID", exit_code=1)
    found = store.read_verdicts(tmp_path)
    assert found.exit_code == 1
    assert found.verdicts == [verdict]


class FullDisk:
    """A file that takes a few bytes a call, then none, then all again."""

    def __init__(self) -> None:
        self.content = b""
        self.room = 10

    def write(self, view: memoryview) -> int:
        if self.room == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = bytes(view[: min(7, self.room)])
        self.room -= len(taken)
        self.content += taken
        return len(taken)


def test_after_a_full_disk_no_byte_is_written_twice(tmp_path: Path) -> None:
    writer = events.EventWriter(tmp_path / "events.jsonl", {})
    disk: Any = FullDisk()
    writer._file.close()
    writer._file = disk
    writer.write({"ev": "phase", "t": 0, "name": "set-up"})
    with pytest.raises(OSError, match="No space left"):
        writer.flush()
    disk.room = 1000
    writer.flush()
    assert disk.content == b'{"ev":"phase","t":0,"name":"set-up"}\n'
