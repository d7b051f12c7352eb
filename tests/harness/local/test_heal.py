"""`dissensus heal` after a harness was killed in the middle of its faults."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dissensus.harness.cli import call
from dissensus.harness.journal import read_journal
from dissensus.harness.local import healing, processes
from dissensus.harness.local.control import ask

pytestmark = pytest.mark.cluster

Make = Callable[..., Any]
Kill = Callable[..., Path]

VICTIM = Path(__file__).with_name("victim.py")


def states(run: Path) -> dict[str, str]:
    """Node -> state of its process, by the run's token; "" is the relay."""
    note = read_journal(run).last("run")
    assert note is not None
    found = processes.with_token(note["token"])
    return {who.node: processes.state_of(who.pid) for who in found}


def faults(run: Path) -> list[int]:
    """What the relay of a run says is still changed."""
    view = read_journal(run)
    relay, note = view.last("relay"), view.last("run")
    assert relay is not None
    assert note is not None
    found: list[int] = ask(tuple(relay["control"]), note["token"], {"do": "faults"})[0]
    return found


@pytest.fixture
def killed(tmp_path: Path) -> Iterator[Kill]:
    """Runs a victim and kills it, if it does not end: killed(mode="") gives the run's folder."""
    runs = []

    def make(mode: str = "") -> Path:
        run = tmp_path / f"run{len(runs)}"
        runs.append(run)
        with subprocess.Popen(
            [sys.executable, str(VICTIM), str(run), mode], stdout=subprocess.PIPE
        ) as victim:
            assert victim.stdout is not None
            assert victim.stdout.readline() == b"broken\n"
            if mode == "kept":
                assert victim.wait(10) == 0
            victim.kill()
        return run

    yield make
    for run in runs:
        healing.heal(run, keep=False)
        assert states(run) == {}


def test_what_a_killed_harness_left_is_undone_and_told(
    killed: Kill, capsys: pytest.CaptureFixture[str]
) -> None:
    run = killed()
    assert states(run) == {"": "up", "n1": "up", "n2": "paused"}
    assert call(["heal", str(run)]) == 0
    said = capsys.readouterr().out
    assert "opened the links of fault 1 (partition-one)\n" in said
    for line in ("continued n2 (process", "ended n1 (process", "ended the relay (process"):
        assert line in said
    assert said.endswith(f"{run}: healed, nothing is left\n")
    assert states(run) == {}
    assert read_journal(run).open == {}
    assert call(["heal", str(run)]) == 0
    assert capsys.readouterr().out == f"{run}: there is nothing to undo\n"


def test_nodes_can_be_kept_in_a_whole_network(
    killed: Kill, capsys: pytest.CaptureFixture[str]
) -> None:
    run = killed()
    assert call(["heal", "--keep", str(run)]) == 3
    said = capsys.readouterr().out
    assert "continued n2" in said
    assert "left: n3, down by fault 3 (kill)\n" in said
    assert states(run) == {"": "up", "n1": "up", "n2": "up"}
    assert faults(run) == []


def test_a_dead_relay_is_no_obstacle(killed: Kill, capsys: pytest.CaptureFixture[str]) -> None:
    run = killed()
    note = read_journal(run).last("run")
    assert note is not None
    processes.end([w for w in processes.with_token(note["token"]) if not w.node])
    assert call(["heal", str(run)]) == 0
    assert "ended n1" in capsys.readouterr().out
    assert states(run) == {}


def test_a_process_that_stays_is_told(
    killed: Kill, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = killed()
    with monkeypatch.context() as patch:
        patch.setattr(processes, "end", list)
        assert call(["heal", str(run)]) == 3
    said = capsys.readouterr().out
    assert "left: n1 (process" in said
    assert f"{run}: not healed\n" in said
    assert read_journal(run).open.keys() == {1, 2, 3}


def test_an_orphaned_relay_ends_the_run_when_its_time_is_over(killed: Kill) -> None:
    run = killed("brief")
    for _ in range(500):
        if not states(run):
            break
        time.sleep(0.02)
    assert states(run) == {}
    assert "the lifetime of this run is over" in (run / "relay.log").read_text()


def test_a_run_that_ended_has_nothing_to_undo(
    aviary: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    async def story(a: Any) -> None:
        assert call(["heal", str(a.cluster.spec.run_dir)]) == 4
        assert "this run still goes on (its harness is process" in capsys.readouterr().err

    one = aviary()
    one.run(story)
    run = one.cluster.spec.run_dir
    assert call(["heal", str(run)]) == 0
    assert capsys.readouterr().out == f"{run}: there is nothing to undo\n"


def test_kept_nodes_are_ended_by_a_heal(killed: Kill) -> None:
    """`--keep`: the run ends, the nodes stay, the network is whole."""
    run = killed("kept")
    assert states(run) == {"": "up", "n1": "up", "n2": "up", "n3": "up"}
    assert faults(run) == []
    assert call(["heal", str(run)]) == 0
    assert states(run) == {}


def test_a_folder_that_is_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["heal", str(tmp_path)]) == 4
    assert "is no run" in capsys.readouterr().err
