"""`dissensus run`: words to a plan, exit codes, what is printed, what is kept."""

from __future__ import annotations

import errno
import shlex
import signal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dissensus.harness import store
from dissensus.harness.cli import call, explain
from dissensus.harness.cli_run import plan_of, worst
from dissensus.harness.errors import UserError
from dissensus.harness.plan import parse_duration
from dissensus.harness.registry import class_at
from dissensus.harness.runner import Runner

WORDS: dict[str, Any] = {
    "system": "raft",
    "nodes": None,
    "time_": None,
    "rate": 100.0,
    "concurrency": "2n",
    "faults": "",
    "on": "local",
    "workload": "",
    "scenario": "",
    "seed": None,
    "mutant": "",
    "options": (),
    "keep": False,
}


def test_defaults_are_filled_in_and_a_seed_is_drawn() -> None:
    one, two = plan_of(WORDS), plan_of(WORDS)
    assert (one.nodes, one.concurrency, one.time_ns) == (3, 6, parse_duration("30s"))
    assert (one.on, one.workload, one.faults, one.scenario) == ("local", "cas-register", (), "")
    assert one.seed != two.seed


def test_words_become_a_plan() -> None:
    plan = plan_of(
        WORDS
        | {
            "nodes": 5,
            "faults": "kill,partition",
            "mutant": "R13",
            "options": ("lease_reads=true",),
        }
        | {"seed": 7, "time_": "90s"}
    )
    assert plan.options == {"lease_reads": True, "mutant": "R13"}
    assert plan.faults == ("kill", "partition")
    assert (plan.nodes, plan.concurrency, plan.seed) == (5, 10, 7)


def test_a_scenario_says_what_run_it_needs_and_the_user_has_the_last_word() -> None:
    plan = plan_of(WORDS | {"scenario": "double-vote"})
    assert (plan.workload, plan.nodes, plan.time_ns) == ("register", 3, parse_duration("60s"))
    assert plan.options == {"election_ms": 3000}
    asked = {"options": ("election_ms=500",), "nodes": 5, "time_": "5s", "workload": "cas-register"}
    plan = plan_of(WORDS | {"scenario": "double-vote"} | asked)
    assert plan.options == {"election_ms": 500}
    assert (plan.workload, plan.nodes, plan.time_ns) == ("cas-register", 5, parse_duration("5s"))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["raff"], "unknown system 'raff'; did you mean 'raft'"),
        (["raft", "--time", "30"], "malformed time '30'.*did you mean 30s"),
        (["raft", "--nodes", "99"], "nodes 99 is out of range: 1 to 25"),
        (["raft", "--rate", "-1"], "rate -1 is out of range"),
        (["raft", "--concurrency", "two"], "malformed concurrency 'two'"),
        (["raft", "--faults", "kil"], "unknown fault 'kil'; did you mean 'kill'"),
        (["raft", "--on", "locl"], "unknown kind of cluster 'locl'; did you mean 'local'"),
        (["raft", "--workload", "regster"], "unknown workload 'regster'; did you mean 'register'"),
        (["raft", "--mutant", "R99"], "unknown mutant of raft 'R99'"),
        (["raft", "--option", "lease"], "malformed option 'lease'"),
        (["raft", "--option", "elektion_ms=1"], "unknown option of raft 'elektion_ms'; did you"),
        (["raft", "--seed", "-1"], "seed -1 is out of range"),
        (["raft", "--repeat", "0"], "repeat 0 is out of range"),
        (["raft", "--scenario", "stale"], "unknown scenario 'stale'; did you mean 'stale-read'"),
        (["raft", "--scenario", "stale-read", "--faults", "kill"], "has faults of its own"),
        (["raft", "--on", "sim", "--nodes", "2", "--faults", "partition-ring"], "needs 3 nodes"),
        (["./none.py:Mine"], "there is no file ./none.py"),
        (["raft", "--seed", "x"], "'x' is not a valid integer"),
    ],
)
def test_wrong_words_are_named_and_nothing_is_begun(
    words: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(["run", *words, "--store", str(tmp_path / "store")]) == 4
    err = capsys.readouterr().err
    with pytest.raises(UserError, match=told):
        raise UserError(err)
    assert "begun" not in err
    assert list((tmp_path / "store").glob("*/*")) == []


@pytest.fixture
def run(toy_name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs the toy on sim with these words: (exit code, stdout, stderr)."""

    def run(*words: str) -> tuple[int, str, str]:
        common = ["--on", "sim", "--time", "3s", "--seed", "5", "--store", str(tmp_path)]
        code = call(["run", toy_name, *common, *words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_a_valid_run_exits_0_and_is_kept(run: Any, tmp_path: Path) -> None:
    code, out, err = run("--faults", "kill")
    assert code == 0, out + err
    folder = store.find(tmp_path / "toy")
    kept = {path.name for path in folder.iterdir()}
    assert {"run.json", "events.jsonl", "verdict.json", "report.html", "nodes"} <= kept
    assert "VALID" in out.splitlines()[-1]
    assert str(folder / "report.html") in out
    assert "seed 5: begun" in err
    found = store.provenance(folder)
    assert (found["seed"], found["versions"]["system"]) == (5, "toy 1")
    assert found["engine"].split()[0] in ("native", "python")
    assert store.read_verdicts(folder).exit_code == 0
    words = shlex.split(found["command"])
    assert words[:2] == ["dissensus", "run"]


def test_an_invalid_run_exits_1_with_the_certificate_in_words(run: Any) -> None:
    code, out, _ = run(
        "--faults", "partition", "--rate", "200", "--seed", "1", "--option", "bug=read-anywhere"
    )
    assert code == 1
    assert "no order of operations explains key" in out
    assert "INVALID" in out.splitlines()[-1]
    assert "--option bug=read-anywhere" in out


def test_a_run_whose_faults_had_no_effect_is_vacuous(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dissensus.nemeses.table import NEMESES

    async def ineffective(self: Any, cluster: Any, fault: Any) -> None:
        return None

    monkeypatch.setattr(type(NEMESES["kill"]), "inject", ineffective)
    code, out, _ = run("--faults", "kill")
    assert code == 5
    assert "UNKNOWN" in out.splitlines()[-1]


def test_a_system_that_never_serves_exits_3_and_keeps_the_history(run: Any, tmp_path: Path) -> None:
    code, _, err = run("--option", "bug=mute")
    assert code == 3
    assert "toy does not serve" in err
    loaded = store.load(store.find(tmp_path / "toy"))
    assert loaded.end["outcome"] == "failed"
    assert (loaded.directory / "report.html").is_file()  # type: ignore[operator]


def test_json_is_one_document(run: Any, tmp_path: Path) -> None:
    code, out, _ = run("--format", "json")
    found = msgspec.json.decode(out)
    assert (code, found["exit_code"], found["validity"], found["seed"]) == (0, 0, "VALID", 5)
    assert Path(found["run"]) == store.find(tmp_path / "toy")
    assert Path(found["report"]).is_file()
    assert {verdict["checker"] for verdict in found["verdicts"]} >= {"linearizability", "vacuity"}


def test_repeat_prints_a_line_each_and_composes_the_exit_code(run: Any) -> None:
    words = ("--faults", "partition", "--rate", "300", "--option", "bug=read-anywhere")
    code, out, _ = run("--repeat", "3", *words)
    lines = out.splitlines()
    assert [line.split()[1] for line in lines] == ["5", "6", "7"]
    assert code == worst([int(line.split()[4]) for line in lines])
    code, out, _ = run("--repeat", "2", "--format", "json")
    assert [msgspec.json.decode(line)["seed"] for line in out.splitlines()] == [5, 6]


def test_the_worst_exit_code_wins() -> None:
    assert worst([0, 5, 2]) == 2
    assert worst([0, 3, 130]) == 130
    assert worst([3, 1, 0]) == 1
    assert worst([0, 0]) == 0


def test_a_report_that_the_disk_does_not_take_changes_no_verdict(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("dissensus.reports.html.write_report", full)
    monkeypatch.setattr("dissensus.harness.store.write_verdicts", full)
    code, out, err = run()
    assert code == 0
    assert "VALID" in out.splitlines()[-1]
    assert "report:" not in out
    assert err.count("the disk is full") == 2


def test_a_report_with_a_bug_changes_no_verdict(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any) -> None:
        raise ZeroDivisionError("drawing")

    monkeypatch.setattr("dissensus.reports.html.render", broken)
    code, out, err = run("--format", "json")
    assert code == 0
    assert msgspec.json.decode(out)["report"] is None
    assert "ZeroDivisionError: drawing" in err


@pytest.mark.parametrize("during", ["_teardown", "_final"])
def test_ctrl_c_that_comes_late_ends_a_series(
    run: Any, monkeypatch: pytest.MonkeyPatch, during: str
) -> None:
    work = getattr(Runner, during)

    async def interrupted(self: Runner, *args: Any) -> None:
        signal.raise_signal(signal.SIGINT)
        await work(self, *args)

    monkeypatch.setattr(Runner, during, interrupted)
    code, out, _ = run("--repeat", "3")
    assert [line.split()[1:5] for line in out.splitlines()] == [["5", "VALID", "exit", "0"]]
    assert code == 130
    assert run()[0] == 0, "the only one is whole"


def test_ctrl_c_while_a_run_is_judged_waits_for_the_verdict(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dissensus.checkers import judge

    monkeypatch.setattr(judge, "judge", interrupting(judge.judge))
    code, out, _ = run()
    assert code == 0
    assert "VALID" in out.splitlines()[-1]


def interrupting(work: Any) -> Any:
    def wrapped(*args: Any, **words: Any) -> Any:
        signal.raise_signal(signal.SIGINT)
        return work(*args, **words)

    return wrapped


def test_keep_promises_no_nodes_where_none_is_left(run: Any) -> None:
    code, out, _ = run("--keep")
    assert code == 0
    assert "nodes are up" not in out


def test_a_store_that_cannot_be_written_exits_3(
    toy_name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(["run", toy_name, "--on", "sim", "--store", "/dev/null/store"]) == 3
    assert "/dev/null" in capsys.readouterr().err


PLUGGED = """
import json
from dissensus.harness.system import Client, System

class Wrong(System):
    name = "wrong"
    def argv(self, spec):
        return json.loads("{")
    def client(self, workload):
        return Client()
"""


def test_an_error_of_a_plug_in_is_told_as_such(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "wrong.py"
    file.write_text(PLUGGED)
    system = class_at(f"{file}:Wrong")
    with pytest.raises(ValueError, match="Expecting") as caught:
        system().argv(None)
    assert explain(caught.value) == 3
    assert f"the error is in {file}, line 8, which is no part" in capsys.readouterr().err
    with pytest.raises(KeyError) as ours:
        plan_of({})
    assert explain(ours.value) == 3
    assert "this is a bug in dissensus" in capsys.readouterr().err
