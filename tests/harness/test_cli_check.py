"""`dissensus check` and `report` as a user types them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dissensus.harness import events, store
from dissensus.harness.cli import call
from dissensus.harness.ops import Op

MS = 1_000_000
HEADER = {
    "system": "raft",
    "workload": "register",
    "model": "register",
    "fs": ["read", "write"],
    "nodes": ["n1", "n2"],
    "seed": 7,
    "faults": [],
    "capabilities": [],
}


def record(folder: Path, seen: int = 1, *, end: bool = True, **header: Any) -> Path:
    """A run in which 1 is written and `seen` is read; without `end` the harness was killed."""
    folder.mkdir(parents=True)
    writer = events.EventWriter(folder / store.EVENTS, {**HEADER, **header})
    writer.write({"ev": "phase", "t": 0, "name": "chaos"})
    steps = ((0, "invoke", "write", 1), (0, "ok", "write", 1), (1, "invoke", "read", None))
    for t, (process, kind, f, value) in enumerate((*steps, (1, "ok", "read", seen))):
        op = Op(process=process, f=f, key=0, value=value, time_ns=t * MS)
        op.type = kind  # type: ignore[assignment]
        writer.op(op)
    if end:
        writer.write({"ev": "phase", "t": 9 * MS, "name": "heal"})
        writer.write({"ev": "end", "t": 9 * MS, "outcome": "complete", "error": None, "left": []})
    writer.close()
    return folder


def foreign(path: Path, *ops: tuple[int, str, str, Any]) -> Path:
    lines = [json.dumps({"process": p, "type": t, "f": f, "value": v}) for p, t, f, v in ops]
    path.write_text("\n".join(lines) + "\n")
    return path


WROTE = ((0, "invoke", "write", 1), (0, "ok", "write", 1))


def verdict_file(folder: Path) -> Any:
    return json.loads((folder / store.VERDICT).read_text())


def test_a_stored_run_is_judged_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = record(tmp_path / "raft" / "1")
    (folder / store.VERDICT).write_text("old")
    assert call(["check", str(folder)]) == 0
    first = verdict_file(folder)
    assert (first["validity"], first["exit_code"]) == ("VALID", 0)
    assert (folder / store.REPORT).exists()
    assert "VALID" in capsys.readouterr().out
    before = (folder / store.EVENTS).read_bytes()
    store.point(tmp_path / "raft" / store.LATEST, "1")
    for place in (folder / store.EVENTS, tmp_path / "raft"):
        assert call(["check", str(place)]) == 0
        assert verdict_file(folder) == first
    assert (folder / store.EVENTS).read_bytes() == before


def test_an_invalid_run_is_told_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = record(tmp_path / "1", seen=2)
    assert call(["check", str(folder)]) == 1
    out = capsys.readouterr().out
    assert "(1) process 1 read 2 from key 0 between 0.002 s and 0.003 s, which nothing" in out
    assert verdict_file(folder)["verdicts"][0]["certificates"][0]["reverified"] is True
    assert call(["check", str(folder), "--model", "regster"]) == 4
    assert "did you mean 'register'" in capsys.readouterr().err


def test_json_is_the_verdict_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = record(tmp_path / "1")
    assert call(["check", str(folder), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == verdict_file(folder)


def test_a_killed_run_has_the_verdict_of_its_prefix(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = record(tmp_path / "1", end=False)
    with (folder / store.EVENTS).open("ab") as file:
        file.write(b'{"ev":"op","i":4,"t":')
    assert call(["check", str(folder)]) == 0
    assert "incomplete" in capsys.readouterr().out
    assert call(["check", str(record(tmp_path / "2", seen=2, end=False))]) == 1


def test_a_vacuous_run_has_an_exit_code_of_its_own(tmp_path: Path) -> None:
    assert call(["check", str(record(tmp_path / "1", faults=["kill"]))]) == 5


def test_a_run_that_broke_off_keeps_its_exit_code(tmp_path: Path) -> None:
    for outcome, code in (("interrupted", 130), ("failed", 3)):
        folder = record(tmp_path / outcome, end=False)
        with (folder / store.EVENTS).open("ab") as file:
            file.write(b'{"ev":"end","t":9,"outcome":"%s"}\n' % outcome.encode())
        assert call(["check", str(folder)]) == code


def test_a_budget_and_a_threshold_may_be_given(tmp_path: Path) -> None:
    folder = record(tmp_path / "1")
    assert call(["check", str(folder), "--budget", "5m", "--availability", "0.5"]) == 0
    assert call(["check", str(folder), "--budget", "5"]) == 4
    assert call(["check", str(folder), "--availability", "99"]) == 4


def test_a_lie_of_the_engine_is_exit_6(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = record(tmp_path / "1", seen=2)
    monkeypatch.setattr("dissensus.checkers.engines.verify", lambda run, certificate: (False, "no"))
    assert call(["check", str(folder)]) == 6
    assert verdict_file(folder)["validity"] == "UNKNOWN"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b'{"ev":"op","i":4,"t":5,"p":0,"type":"invoke","f":\n', ":7:50: not JSON"),
        (b'{"ev":"op","i":4,"t":5,"p":0,"type":"ok","f":"read"}\n', ":7:1: event 4: process 0"),
        (b'{"ev":"op","i":4,"t":5,"type":"ok","f":"read"}\n', "field of the 'op' line is missing"),
        (b'{"ev":"op","i":4,"t":"x","p":3,"type":"invoke","f":"read"}\n', ":7:1: a field of"),
        (b'{"ev":"fault-end","id":9,"t":5}\n', ":7:1: a field of the 'fault-end' line"),
        (b"[1]\n", ":7:1: not an event"),
        (b"\xff\n", ":7:1: not JSON"),
    ],
)
def test_a_broken_line_of_a_run_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: bytes, told: str
) -> None:
    folder = record(tmp_path / "1", end=False)
    with (folder / store.EVENTS).open("ab") as file:
        file.write(line)
    assert call(["check", str(folder)]) == 4
    error = capsys.readouterr().err
    assert f"{folder / store.EVENTS}:" in error
    assert told in error
    assert not (folder / store.VERDICT).exists()


def test_a_foreign_history_is_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    read = ((1, "invoke", "read", None), (1, "ok", "read", 1))
    path = foreign(tmp_path / "h.jsonl", *WROTE, *read)
    assert call(["check", str(path)]) == 0
    assert "vacuous" not in capsys.readouterr().out
    assert call(["check", str(path), "--model", "cas-register(init=0)", "--format", "json"]) == 0
    facts = json.loads(capsys.readouterr().out)["verdicts"][0]["facts"]
    assert facts["model"] == "cas-register(init=0)"
    path = foreign(tmp_path / "h.jsonl", *WROTE, read[0], (1, "ok", "read", 3))
    assert call(["check", str(path)]) == 1
    assert list(tmp_path.iterdir()) == [path]


def test_a_foreign_history_keeps_its_verdict_with_vacuous_beside_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = foreign(tmp_path / "h.jsonl", *WROTE)
    assert call(["check", str(path)]) == 0
    assert "vacuous" not in capsys.readouterr().out
    path = foreign(tmp_path / "h.jsonl", (1, "invoke", "read", None), (1, "ok", "read", None))
    assert call(["check", str(path)]) == 0
    assert "vacuous: no read saw a value that was written" in capsys.readouterr().out


def test_the_model_follows_from_the_operations(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = foreign(tmp_path / "h.jsonl", *WROTE, (0, "invoke", "cas", [1, 2]))
    assert call(["check", str(path), "--format", "json"]) == 0
    facts = json.loads(capsys.readouterr().out)["verdicts"][0]["facts"]
    assert facts["model"] == "cas-register"
    path = foreign(tmp_path / "h.jsonl", *WROTE, (0, "invoke", "enqueue", 2))
    assert call(["check", str(path)]) == 4
    assert "no model has the operations enqueue, write" in capsys.readouterr().err
    path = foreign(tmp_path / "h.jsonl", *WROTE, (0, "invoke", "cas", 2))
    assert call(["check", str(path)]) == 4
    assert "event 2: cas takes [expected, new], not 2" in capsys.readouterr().err


def test_what_is_not_there_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["check", str(tmp_path)]) == 4
    assert "is no run: it has no events.jsonl" in capsys.readouterr().err
    assert call(["check", str(tmp_path / "nothing")]) == 4
    assert "there is no such file" in capsys.readouterr().err
    assert call(["report", str(tmp_path)]) == 4


def test_a_report_is_drawn_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = record(tmp_path / "1")
    assert call(["report", str(folder)]) == 4
    assert "was not judged yet: dissensus check" in capsys.readouterr().err
    assert call(["check", str(folder)]) == 0
    report = folder / store.REPORT
    report.unlink()
    capsys.readouterr()
    assert call(["report", str(folder)]) == 0
    assert capsys.readouterr().out.strip() == str(report)
    assert report.stat().st_size > 0


def test_a_run_that_may_not_be_written_to_is_judged_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*args: Any, **kwargs: Any) -> None:
        raise PermissionError(13, "Permission denied")

    folder = record(tmp_path / "run", seen=2)
    monkeypatch.setattr(store, "write_json", refused)
    assert call(["check", str(folder)]) == 1
    said = capsys.readouterr()
    assert said.out.splitlines()[-1] == "x INVALID  linearizability"
    assert "report:" not in said.out
    assert "permission denied" in said.err
