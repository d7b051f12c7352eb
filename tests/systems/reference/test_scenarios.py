"""Scripted scenarios: each tells its mutant from the correct Raft, every time. In virtual time for
many seeds; on real processes once each here, five times in the nightly part real-mutants.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dissensus.harness.cli_run import Finished, perform, plan_of
from dissensus.harness.verdict import Validity
from dissensus.systems.reference.mutants.raft import MUTANTS
from dissensus.systems.reference.scenarios import SCENARIOS

FOR = {"stale-read": "R13", "early-ack": "R12", "double-vote": "R02"}
"""Scenario -> the mutant that it is for."""
SEEDS = 5

Play = Callable[..., Finished]


@pytest.fixture
def play(tmp_path: Path) -> Play:
    """Plays a scenario: play(name, mutant="", on="sim", seed=1)."""

    def run(name: str, mutant: str = "", *, on: str = "sim", seed: int = 1) -> Finished:
        words: dict[str, Any] = {
            "system": "raft",
            "nodes": None,
            "time_": None,
            "rate": 100.0,
            "concurrency": "2n",
            "faults": "",
            "on": on,
            "workload": "",
            "scenario": name,
            "seed": seed,
            "mutant": mutant,
            "options": (),
            "keep": False,
        }
        return perform(plan_of(words), tmp_path)

    return run


def accusers(finished: Finished) -> set[str]:
    return {v.checker for v in finished.verdicts.verdicts if v.validity is Validity.INVALID}


def test_every_scenario_is_for_a_mutant_and_says_so() -> None:
    assert set(FOR) == set(SCENARIOS)
    for name, mutant in FOR.items():
        assert mutant in MUTANTS
        assert f"Mutant {mutant}." in (SCENARIOS[name].play.__doc__ or "")


@pytest.mark.parametrize("name", list(FOR))
def test_in_virtual_time_the_mutant_is_caught_and_the_correct_raft_is_not(
    play: Play, name: str
) -> None:
    for seed in range(SEEDS):
        assert "linearizability" in accusers(play(name, FOR[name], seed=seed)), seed
        correct = play(name, seed=seed)
        assert correct.verdicts.validity == Validity.VALID, (seed, correct.verdicts)
        assert correct.end.error is None


def test_two_leaders_of_one_term_are_seen(play: Play) -> None:
    assert "election-safety" in accusers(play("double-vote", "R02"))


@pytest.mark.cluster
def test_on_real_processes_a_stale_read_is_caught(play: Play) -> None:
    assert accusers(play("stale-read", "R13", on="local")) == {"linearizability"}


@pytest.mark.slow
@pytest.mark.cluster
@pytest.mark.parametrize("name", ["early-ack", "double-vote"])
def test_on_real_processes_lost_power_is_caught(play: Play, name: str) -> None:
    assert accusers(play(name, FOR[name], on="local")) & set(MUTANTS[FOR[name]].found_by)


@pytest.mark.slow
@pytest.mark.cluster
@pytest.mark.parametrize("name", list(FOR))
def test_on_real_processes_the_correct_raft_is_not(play: Play, name: str) -> None:
    finished = play(name, on="local")
    assert finished.verdicts.validity == Validity.VALID, finished.verdicts
