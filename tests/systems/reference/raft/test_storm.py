"""Raft under the explorer's mishaps with options drawn per run: no alarm on the correct core."""

from __future__ import annotations

from typing import Any

import pytest

from dissensus.checkers.linearizability import PythonEngine
from dissensus.checkers.models import make_model
from dissensus.harness.checker import Budget
from dissensus.harness.history import History
from dissensus.harness.randomness import Rng
from dissensus.harness.sim.explore import Limits, run_seed
from dissensus.harness.system import System
from dissensus.harness.verdict import Validity
from dissensus.systems.reference.system import RaftSystem

ELECTION_MS = 100
LIMITS = Limits(election_ns=ELECTION_MS * 1_000_000)


def judge(history: History) -> str | None:
    """Linearizability of registers with cas, per key."""
    verdict = PythonEngine().check(history, make_model("cas-register"), Budget())
    assert verdict.validity is not Validity.UNKNOWN, verdict.reason
    return None if verdict.validity is Validity.VALID else verdict.reason


def draw(rng: Rng, nodes: int) -> System:
    """A correct Raft with random limits: small ones, so that they are met."""
    options: dict[str, Any] = {
        "election_ms": ELECTION_MS,
        "heartbeat_ms": ELECTION_MS // rng.choice((4, 6, 10)),
        "max_entries": rng.choice((1, 2, 8, 512)),
        "max_inflight": rng.choice((1, 2, 16)),
        "snapshot_entries": rng.choice((3, 10, 40, 10_000)),
        "keep_entries": rng.choice((0, 2, 100)),
        "chunk_bytes": rng.choice((7, 50, 262_144)),
        "lease_reads": rng.chance(1, 3),
        "session_ttl": rng.choice((5, 50, 1_000_000)),
    }
    return RaftSystem(**options)


def storm(seeds: range) -> None:
    for seed in seeds:
        outcome = run_seed(seed, draw, judge, limits=LIMITS)
        assert not outcome.kind, outcome
        assert outcome.ok, outcome


def test_no_alarm() -> None:
    storm(range(40))


@pytest.mark.slow
def test_no_alarm_in_many_more() -> None:
    storm(range(1_000, 1_300))
