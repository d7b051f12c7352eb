"""The explorer finds the toy's bugs, is silent on the correct toy, and is a function of seeds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dissensus.harness.clusters.sim import SimCluster
from dissensus.harness.history import INFO, OK, History
from dissensus.harness.randomness import Rng
from dissensus.harness.sim import profiles
from dissensus.harness.sim.explore import Outcome, run_seed
from dissensus.harness.sim.profiles import MISHAPS, PROFILES
from dissensus.harness.system import System

Toy = Callable[..., SimCluster]


def judge(history: History) -> str | None:
    """Linearizability of registers per key, configurations over open operations, for short runs."""
    for key, rows in history.rows_by_key().items():
        if not linearizable(history, rows):
            return f"key {history.keys.values[key]} is not linearizable"
    return None


def step(history: History, row: int, state: Any) -> list[Any]:
    """The state after this operation, in a list that is empty where it cannot happen now."""
    f, arg = history.f_of(row), history.arg_of(row)
    if f == "write":
        return [arg]
    if f == "cas":
        return [arg[1]] if state == arg[0] else []
    return [state] if history.result_of(row) == state else []


def effect(history: History, row: int) -> Any:
    """The value that this update leaves."""
    arg = history.arg_of(row)
    return arg[1] if history.f_of(row) == "cas" else arg


def linearizable(history: History, rows: list[int]) -> bool:
    oks = [r for r in rows if history.outcome[r] == OK]
    observed = {history.result_of(r) for r in oks if history.f_of(r) == "read"}
    observed |= {history.arg_of(r)[0] for r in rows if history.f_of(r) == "cas"}
    # An update that may have happened matters only where somebody saw its value.
    maybe = [r for r in rows if history.outcome[r] == INFO and effect(history, r) in observed]
    events = [(history.inv[r], r) for r in oks + maybe] + [(history.ret[r], r) for r in oks]
    configs: set[tuple[Any, frozenset[int]]] = {(None, frozenset())}
    opened: set[int] = set()
    for position, row in sorted(events):
        if position == history.inv[row]:
            opened.add(row)
            continue
        reached, queue = set(configs), list(configs)
        while queue:
            state, done = queue.pop()
            for other in opened - done:
                for after in step(history, other, state):
                    config = (after, done | {other})
                    if row not in done and config not in reached:
                        reached.add(config)
                        queue.append(config)
        configs = {(state, done - {row}) for state, done in reached if row in done}
        opened.remove(row)
        if not configs:
            return False
    return True


def explore(toy: Toy, bug: str, seeds: range, profile: str = "") -> list[Outcome]:
    def draw(rng: Rng, nodes: int) -> System:
        return toy(bug).system

    chosen = {p.name: p for p in PROFILES}.get(profile)
    return [run_seed(seed, draw, judge, profile=chosen) for seed in seeds]


def test_every_profile_is_made_of_known_mishaps() -> None:
    assert len({p.name for p in PROFILES}) == len(PROFILES)
    assert {m for p in PROFILES for m in p.weights} == set(MISHAPS)
    assert profiles.ISOLATE_LEADER in MISHAPS


def test_the_correct_toy_raises_no_alarm_and_recovers(toy: Toy) -> None:
    outcomes = explore(toy, "", range(40))
    assert [o.text for o in outcomes if o.kind] == []
    assert {o.profile for o in outcomes} == {p.name for p in PROFILES}
    assert all(o.recovered for o in outcomes)
    assert sum(o.ok for o in outcomes) > 40 * 50


@pytest.mark.parametrize(
    ("bug", "profile", "kinds"),
    [
        ("ack-before-fsync", "power", {"history", "state-machine-safety"}),
        ("read-anywhere", "isolate-leader", {"history"}),
        ("forked-digest", "", {"state-machine-safety"}),
    ],
)
def test_it_finds_the_bug(toy: Toy, bug: str, profile: str, kinds: set[str]) -> None:
    found = {o.kind for o in explore(toy, bug, range(6), profile)} - {""}
    assert found
    assert found <= kinds


def test_a_seed_gives_the_same_outcome_again(toy: Toy) -> None:
    first, again = explore(toy, "", range(3)), explore(toy, "", range(3))
    assert first == again
    assert len({o.digest for o in first}) == 3
