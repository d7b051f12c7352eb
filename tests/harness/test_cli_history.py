"""`dissensus check` of histories from elsewhere, `convert` and `lint`, as a user types them."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from dissensus.checkers import native, second
from dissensus.harness.cli import call

Out = pytest.CaptureFixture[str]
FORMATS = Path(__file__).resolve().parent.parent / "checkers" / "formats"
needs_native = pytest.mark.skipif(
    native.available() is not None, reason=f"no native engine: {native.available()}"
)
WROTE = ((0, "invoke", "write", 1), (0, "ok", "write", 1))
READ_1 = ((1, "invoke", "read", None), (1, "ok", "read", 1))
READ_2 = ((1, "invoke", "read", None), (1, "ok", "read", 2))


def record(path: Path, *ops: tuple[int, str, str, Any], times: bool = False) -> str:
    """A history, an event each millisecond."""
    lines = [
        {"process": p, "type": t, "f": f, "value": v, **({"time": 10**6 * i} if times else {})}
        for i, (p, t, f, v) in enumerate(ops)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(path)


@pytest.mark.parametrize("engine", ["python", pytest.param("native", marks=needs_native)])
def test_exit_codes_and_the_model_said_aloud(tmp_path: Path, capsys: Out, engine: str) -> None:
    path = tmp_path / "h.jsonl"
    asked = ["check", str(path), "--engine", engine]
    record(path, *WROTE, *READ_1)
    assert call(asked) == 0
    assert "model register, guessed: " in capsys.readouterr().out
    record(path, *WROTE, *READ_2)
    assert call(asked) == 1
    assert "(verified again)" in capsys.readouterr().out
    assert call([*asked, "--model", "cas-register(init=0)"]) == 1
    assert "model cas-register(init=0), asked for with --model" in capsys.readouterr().out
    record(path, *WROTE, (0, "invoke", "sing", 1))
    assert call(asked) == 4
    assert call([*asked, "--model", "registre"]) == 4
    assert "registre" in capsys.readouterr().err


@pytest.mark.parametrize("engine", ["python", pytest.param("native", marks=needs_native)])
def test_what_json_says(tmp_path: Path, capsys: Out, engine: str) -> None:
    path = record(tmp_path / "h.jsonl", *WROTE, *READ_2)
    assert call(["check", path, "--engine", engine, "--format", "json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["validity"], found["exit_code"], found["operations"]) == ("INVALID", 1, 2)
    assert (found["model"], found["file"]) == ("register", path)
    assert found["model_because"].startswith("guessed: ")
    verdict = found["verdicts"][0]
    assert verdict["engine"].startswith(engine)
    assert verdict["certificates"][0]["reverified"] is True


def test_the_slow_engine_is_said(
    tmp_path: Path, capsys: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "available", lambda: "it was not built")
    monkeypatch.setattr("dissensus.checkers.engines._told", [])
    assert call(["check", record(tmp_path / "h.jsonl", *WROTE, *READ_1)]) == 0
    assert "the slow engine judges, in pure Python: it was not built" in capsys.readouterr().err
    assert call(["check", str(tmp_path / "h.jsonl"), "--engine", "native"]) == 4
    assert "--engine python" in capsys.readouterr().err


@needs_native
def test_stale_reads_are_said(tmp_path: Path, capsys: Out) -> None:
    over = ((0, "invoke", "write", 2), (0, "ok", "write", 2))
    path = record(tmp_path / "h.jsonl", *WROTE, *over, *READ_1, times=True)
    assert call(["check", path]) == 1
    assert "reads up to 1 ms and 1 version stale" in capsys.readouterr().out
    assert call(["check", path, "--format", "json"]) == 1
    facts = json.loads(capsys.readouterr().out)["verdicts"][0]["facts"]
    assert (facts["max_staleness_ms"], facts["max_staleness_versions"]) == (1.0, 1)
    path = record(tmp_path / "h.jsonl", *WROTE, *READ_1, times=True)
    assert call(["check", path]) == 0
    assert "versions stale" not in capsys.readouterr().out


@needs_native
def test_bounds_on_memory_and_time(tmp_path: Path, capsys: Out) -> None:
    path = record(tmp_path / "h.jsonl", *hard())
    asked = ["check", path, "--model", "counter"]
    assert call([*asked, "--memory", "8MB"]) == 2
    assert "the budget is used up (memory)" in capsys.readouterr().out
    assert call([*asked, "--budget", "200ms"]) == 2
    assert "the budget is used up (time)" in capsys.readouterr().out
    for wrong in ("2 elephants", "0GB"):
        assert call(["check", path, "--memory", wrong]) == 4
        assert "memory is a number with kB, MB or GB" in capsys.readouterr().err


def hard(operations: int = 60) -> list[tuple[int, str, str, Any]]:
    """Even numbers are added to a counter, all at once, and an odd sum is read meanwhile: any of
    the subsets might be the one.
    """
    rng = random.Random(7)
    adds = [2 * rng.randrange(10**9) for _ in range(operations)]
    ops: list[tuple[int, str, str, Any]] = [(999, "invoke", "read", None)]
    ops += [(i, "invoke", "add", number) for i, number in enumerate(adds)]
    ops += [(i, "ok", "add", number) for i, number in enumerate(adds)]
    return [*ops, (999, "ok", "read", sum(adds) // 4 * 2 + 1)]


@needs_native
def test_salvage_of_a_cut_and_of_a_damaged_file(tmp_path: Path, capsys: Out) -> None:
    text = (FORMATS / "run.edn").read_text().rstrip()
    path = tmp_path / "cut.edn"
    path.write_text(text[:-15])
    assert call(["check", str(path)]) == 4
    assert "cut.edn:" in capsys.readouterr().err
    assert call(["check", str(path), "--salvage"]) in {0, 1, 2}
    assert call(["check", str(path), "--salvage", "--engine", "python"]) == 4
    assert "--salvage needs the native engine" in capsys.readouterr().err
    lines = [json.dumps({"process": p, "type": t, "f": f, "value": v}) for p, t, f, v in WROTE]
    hole = tmp_path / "hole.jsonl"
    hole.write_text("\n".join([lines[0], "{{{", lines[1]]) + "\n")
    assert call(["check", str(hole)]) == 4
    assert "hole.jsonl:2:" in capsys.readouterr().err
    assert call(["check", str(hole), "--salvage"]) == 2
    assert "could not be read, and what stood in them decides" in capsys.readouterr().out


@needs_native
def test_convert_writes_over_nothing(tmp_path: Path, capsys: Out) -> None:
    path = record(tmp_path / "h.jsonl", *WROTE, *READ_1)
    for name in ("out.edn", "out.json", "out.jsonl"):
        assert call(["convert", path, str(tmp_path / name)]) == 0
        kept = (tmp_path / name).read_bytes()
        assert call(["convert", path, str(tmp_path / name)]) == 4
        assert (tmp_path / name).read_bytes() == kept
        assert call(["check", str(tmp_path / name)]) == 0
    capsys.readouterr()
    assert call(["convert", path, path]) == 4
    assert "is there already" in capsys.readouterr().err


@needs_native
def test_lint_explains(tmp_path: Path, capsys: Out) -> None:
    failed = ((0, "invoke", "write", 1), (0, "fail", "write", 1))
    path = record(tmp_path / "h.jsonl", *failed, *READ_1)
    call(["lint", path])
    assert "fail" in capsys.readouterr().out
    assert call(["lint", str(tmp_path / "nothing")]) == 4


@needs_native
def test_a_store_folder_is_judged(tmp_path: Path, capsys: Out) -> None:
    folder = tmp_path / "store" / "test" / "20260101T000000"
    folder.mkdir(parents=True)
    (folder / "history.edn").write_bytes((FORMATS / "run.edn").read_bytes())
    assert call(["check", str(folder)]) == call(["check", str(folder / "history.edn")])
    assert f"{folder / 'history.edn'}" in capsys.readouterr().out


def test_two_engines_that_disagree_are_exit_6(
    tmp_path: Path, capsys: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    liar = tmp_path / "liar"
    liar.write_text(
        '#!/bin/sh\ncat > /dev/null\necho \'{"verdict": "illegal", "version": "v9.9.9"}\'\n'
    )
    liar.chmod(0o755)
    monkeypatch.setenv(second.HELPER_ENV, str(liar))
    path = record(tmp_path / "h.jsonl", *WROTE, *READ_1)
    assert call(["check", path]) == 6
    assert "porcupine 9.9.9 says INVALID; please report this history" in capsys.readouterr().out


@needs_native
def test_ctrl_c_ends_a_long_check(tmp_path: Path) -> None:
    path = record(tmp_path / "h.jsonl", *hard())
    command = [sys.executable, "-m", "dissensus", "check", path, "--model", "counter"]
    env = {**os.environ, second.HELPER_ENV: "/nowhere"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
    ) as check:
        assert check.stderr is not None
        # It works when it has used the processor for longer than its start takes.
        while check.poll() is None and cpu_s(check.pid) < 1.5:
            time.sleep(0.05)
        check.send_signal(signal.SIGINT)
        error = check.communicate(timeout=20)[1]
    assert check.returncode == 130, error
    assert "interrupted" in error


def cpu_s(pid: int) -> float:
    """CPU time that a process has used."""
    parts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")
