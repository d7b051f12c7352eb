"""Raft under the explorer's mishaps with options drawn per run: no alarm on the correct core."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from dissensus.checkers.linearizability import PythonEngine
from dissensus.checkers.models import make_model
from dissensus.harness.checker import Budget
from dissensus.harness.clusters.sim import SimCluster
from dissensus.harness.env import DeadlineExceeded
from dissensus.harness.errors import SystemFault
from dissensus.harness.history import History
from dissensus.harness.randomness import Rng
from dissensus.harness.sim.explore import Limits, run_seed
from dissensus.harness.system import System
from dissensus.harness.verdict import Validity
from dissensus.systems.reference.raft.state import LEADER
from dissensus.systems.reference.system import RaftSystem

ELECTION_MS = 100
NODES_MAX = 8
COMMAND_EVERY_MS = (20, 300)
ANSWER_MS = 600
MS = 1_000_000
LIMITS = Limits(election_ns=ELECTION_MS * MS)
DONE: Counter[tuple[str, bool | None]] = Counter()
"""Commands by whether they were done (None: no answer), so that the storm is known to be one."""


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
        "single_server": rng.chance(1, 3),
        "session_ttl": rng.choice((5, 50, 1_000_000)),
    }
    return RaftSystem(**options)


async def operate(cluster: SimCluster, rng: Rng, ends_ns: int) -> None:
    """An operator who changes members and leaders, takes snapshots, and waits for no answer."""
    env = cluster.env
    while True:
        await env.sleep(rng.between(*COMMAND_EVERY_MS) * MS)
        if env.now() > ends_ns:
            return
        if rng.chance(1, 3) and len(cluster.nodes) < NODES_MAX:
            await cluster.add_node(f"n{len(cluster.nodes) + 1}")
        status = {name: h.machine.node.status() for name, h in cluster.handles.items()}
        leads = [name for name, fields in status.items() if fields["role"] == LEADER]
        node = rng.choice(leads or list(cluster.nodes))
        config = status[node].get("config", {"voters": [], "learners": []})
        name, args = drawn(rng, list(cluster.nodes), config)
        env.spawn(command(cluster, node, name, args), "command")


def drawn(rng: Rng, names: list[str], config: Any) -> tuple[str, dict[str, Any]]:
    """A command and its arguments, sensible or not."""
    members = {*config["voters"], *config["learners"]}
    one = {"node": rng.choice(names)}
    new = {"node": rng.choice([n for n in names if n not in members] or names)}
    some = rng.sample(names, rng.between(1, len(names)))
    learners = rng.below(len(some))
    commands: list[tuple[str, dict[str, Any]]] = [
        ("add", {**new, "learner": rng.chance(1, 2)}),
        ("add", {**new, "learner": True}),
        ("promote", {"node": rng.choice(config["learners"] or names)}),
        ("remove", one),
        ("transfer", {}),
        ("transfer", one),
        ("campaign", {}),
        ("snapshot", {}),
        ("config", {"voters": some[learners:], "learners": some[:learners]}),
    ]
    if config["learners"]:
        commands += 4 * [("promote", {"node": rng.choice(config["learners"])})]
    return rng.choice(commands)


async def command(cluster: SimCluster, node: str, name: str, args: dict[str, Any]) -> None:
    answer = cluster.nodes[node].admin(name, args)
    try:
        DONE[name, bool((await cluster.env.timeout(ANSWER_MS * MS, answer))["ok"])] += 1
    except (SystemFault, DeadlineExceeded):
        DONE[name, None] += 1


def storm(seeds: range, operated: bool) -> None:
    for seed in seeds:
        outcome = run_seed(seed, draw, judge, limits=LIMITS, operate=operate if operated else None)
        assert not outcome.kind, outcome


@pytest.mark.parametrize("operated", [False, True])
def test_no_alarm(operated: bool) -> None:
    DONE.clear()
    storm(range(25), operated)
    if operated:
        changes = sum(DONE[name, True] for name in ("add", "promote", "remove", "config"))
        assert changes > 5, DONE
        assert min(DONE["transfer", True], DONE["snapshot", True]) > 2, DONE


@pytest.mark.slow
@pytest.mark.parametrize("operated", [False, True])
def test_no_alarm_in_many_more(operated: bool) -> None:
    storm(range(1_000, 1_200), operated)
