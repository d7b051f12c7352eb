"""Whole runs of the bundled Raft on real processes: how they end, and what they leave when they are
ended from outside.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dissensus.harness import store
from dissensus.harness.cli import call
from dissensus.harness.events import read_events
from dissensus.harness.journal import read_journal
from dissensus.harness.local import processes

pytestmark = pytest.mark.cluster

WAIT_S = 60.0
"""Longer than anything that a test waits for, on any machine."""

Begin = Callable[..., "Begun"]


class Begun:
    """A run in a process of its own."""

    def __init__(self, base: Path, *words: str) -> None:
        command = [sys.executable, "-m", "dissensus", "run", "raft", "--store", str(base), *words]
        self.base = base
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )

    @property
    def folder(self) -> Path:
        return store.find(self.base / "raft")

    def wait_for(self, condition: Callable[[dict[str, Any]], bool]) -> None:
        """Until there is such an event."""
        give_up = time.monotonic() + WAIT_S
        while time.monotonic() < give_up:
            latest = self.base / "raft" / "latest" / store.EVENTS
            if latest.exists() and any(condition(event) for event in read_events(latest)):
                return
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.05)
        raise AssertionError("the event did not come")

    def wait(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=WAIT_S)
        return self.process.returncode, out.decode(), err.decode()

    def left(self) -> list[Any]:
        """Processes of the run that are still there."""
        note = read_journal(self.folder).last("run")
        assert note is not None
        return processes.with_token(note["token"])


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    """Begins a run with these words; whatever it leaves is removed after the test."""
    begun: list[Begun] = []

    def start(*words: str) -> Begun:
        begun.append(Begun(tmp_path, *words))
        return begun[-1]

    yield start
    for run in begun:
        if run.process.poll() is None:
            os.killpg(run.process.pid, signal.SIGKILL)
            run.process.wait()
        call(["heal", str(run.folder)])
        assert run.left() == []


def in_effect(event: dict[str, Any]) -> bool:
    return event["ev"] == "fault-measured" and event["effective"]


def test_a_short_run_ends_in_order_and_leaves_nothing(begin: Begin) -> None:
    run = begin("--time", "4s", "--faults", "kill,pause", "--rate", "200", "--seed", "1")
    code, out, err = run.wait()
    assert code == 0, out + err
    assert "VALID" in out.splitlines()[-1]
    assert run.left() == []
    view = store.load(run.folder)
    assert {fault.family for fault in view.faults if fault.effective} == {"kill", "pause"}
    assert view.provenance["cluster"]["network"] == "tcp-relay"
    assert read_journal(run.folder).open == {}


def test_the_first_ctrl_c_heals_and_judges(begin: Begin) -> None:
    run = begin("--time", "300s", "--faults", "pause", "--seed", "1")
    run.wait_for(in_effect)
    run.process.send_signal(signal.SIGINT)
    code, out, err = run.wait()
    assert code == 130, out + err
    assert run.left() == []
    view = store.load(run.folder)
    assert view.end["outcome"] == "interrupted"
    assert all(fault.healed for fault in view.faults)
    assert [name for name, _ in view.phases][-3:] == ["heal", "final", "teardown"]
    assert (run.folder / store.REPORT).is_file()
    assert store.read_verdicts(run.folder).exit_code == 130


@pytest.mark.slow
def test_the_second_ctrl_c_leaves_at_once_and_heal_cleans_up(begin: Begin) -> None:
    run = begin("--time", "300s", "--faults", "pause", "--seed", "1")
    run.wait_for(in_effect)
    run.process.send_signal(signal.SIGINT)
    run.process.send_signal(signal.SIGTERM)
    code, out, err = run.wait()
    assert code == 130, out + err
    assert f"dissensus heal {run.folder}" in err
    assert run.left() != []
    assert call(["heal", str(run.folder)]) == 0
    assert run.left() == []


@pytest.mark.slow
def test_a_killed_harness_leaves_a_history_that_is_judged(begin: Begin) -> None:
    run = begin("--time", "300s", "--faults", "kill", "--rate", "200", "--seed", "1")
    run.wait_for(in_effect)
    run.wait_for(lambda event: event["ev"] == "op" and event["i"] > 300)
    run.process.kill()
    code, _, _ = run.wait()
    assert code == -signal.SIGKILL
    assert call(["heal", str(run.folder)]) == 0
    assert run.left() == []
    view = store.load(run.folder)
    assert not view.complete
    assert len(view.history) > 100
    assert call(["check", str(run.folder)]) == 0


@pytest.mark.slow
def test_nodes_that_are_kept_stay_up_until_they_are_healed(begin: Begin) -> None:
    run = begin("--time", "1s", "--seed", "1", "--keep")
    code, out, err = run.wait()
    assert code == 0, out + err
    assert f"dissensus heal {run.folder}" in out
    assert len(run.left()) == 4
    assert call(["heal", str(run.folder)]) == 0
    assert run.left() == []
