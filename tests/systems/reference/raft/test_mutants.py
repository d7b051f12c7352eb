"""The public mutants: one small override each, known by id to system and nodes, found on `sim`."""

from __future__ import annotations

import inspect

import pytest

from dissensus.checkers.linearizability import PythonEngine
from dissensus.checkers.models import make_model
from dissensus.harness.checker import Budget
from dissensus.harness.errors import UserError
from dissensus.harness.history import History
from dissensus.harness.sim.explore import Limits, run_seed
from dissensus.harness.sim.profiles import PROFILES
from dissensus.harness.verdict import Validity
from dissensus.systems.reference.host import raft_kit
from dissensus.systems.reference.host.config import NodeConfig
from dissensus.systems.reference.mutants.raft import MUTANTS
from dissensus.systems.reference.raft.core import Raft
from dissensus.systems.reference.system import RaftSystem

LINES_MAX = 12
LIMITS = Limits(election_ns=100_000_000)
PROFILE = {"R02": "split-vote", "R07": "power", "R12": "power", "R13": "isolate-leader"}
"""The mishaps that show a mutant within SEEDS. The bug of R01 takes many seeds: it has its
golden script, and `benchmarks/sim_mutants.py`.
"""
SEEDS = 200


def judge(history: History) -> str | None:
    verdict = PythonEngine().check(history, make_model("cas-register"), Budget())
    return None if verdict.validity is Validity.VALID else verdict.reason


def config(mutant: str | None) -> NodeConfig:
    return NodeConfig(
        node="n1", members={"n1": ("", 0)}, listen=("", 0), data_dir="", mutant=mutant
    )


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_a_few_lines_that_override_rules_of_the_core(name: str) -> None:
    core = MUTANTS[name].core
    own = {n for n in vars(core) if not n.startswith("__")}
    assert own
    assert own <= {n for base in Raft.__mro__ for n in vars(base)}
    assert len(inspect.getsource(core).splitlines()) <= LINES_MAX
    assert MUTANTS[name].found_by
    assert MUTANTS[name].breaks
    assert MUTANTS[name].nodes >= 3


@pytest.mark.parametrize("name", MUTANTS)
def test_system_and_nodes_know_the_mutants_by_id(name: str) -> None:
    assert dict(RaftSystem(mutant=name).options()) == {"mutant": name}
    assert type(raft_kit.make(config(name))) is MUTANTS[name].core


def test_no_mutant_is_the_core_itself() -> None:
    assert type(raft_kit.make(config(None))) is Raft


@pytest.mark.parametrize(("name", "nearest"), [("R31", "R13"), ("R2", "R02"), ("r12", "R12")])
def test_an_unknown_mutant_is_an_error_that_names_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(UserError, match=f"unknown mutant of raft '{name}'.*{nearest}"):
        RaftSystem(mutant=name)
    with pytest.raises(UserError, match=nearest):
        raft_kit.make(config(name))


@pytest.mark.parametrize("name", PROFILE)
def test_the_explorer_finds_it(name: str) -> None:
    profile = {p.name: p for p in PROFILES}[PROFILE[name]]
    for seed in range(SEEDS):
        outcome = run_seed(
            seed,
            lambda rng, nodes: RaftSystem(mutant=name, election_ms=100, heartbeat_ms=16),
            judge,
            limits=LIMITS,
            profile=profile,
        )
        kind = {"history": "linearizability", "panic": "no-panic"}.get(outcome.kind, outcome.kind)
        if kind in MUTANTS[name].found_by:
            return
    pytest.fail(f"{name} was not found in {SEEDS} runs of {profile.name}")
