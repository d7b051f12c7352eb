"""Schedules: pure, with every word as often as promised; and the loop that follows them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dissensus.harness.cluster import ClusterSpec
from dissensus.harness.errors import UserError
from dissensus.harness.registry import load_system, make_cluster
from dissensus.nemeses.schedule import (
    CALM_LEAST_NS,
    CYCLE_LEAST_NS,
    ROUNDS,
    Planned,
    compose,
    run_schedule,
)
from dissensus.nemeses.table import FAMILIES, NEMESES, kinds_of

Make = Callable[..., Any]
SECOND = 10**9
MINE = """
from dissensus.harness.system import Client, System


class Mine(System):
    name = "mine"

    def argv(self, spec):
        return ["true"]

    def client(self, workload):
        return Client()
"""


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    words=st.lists(st.sampled_from(FAMILIES), min_size=1, max_size=5, unique=True),
    seed=st.integers(0, 2**40),
    seconds=st.integers(1, 300),
)
def test_a_schedule_is_pure_and_lies_in_its_phase(
    sim: Make, words: list[str], seed: int, seconds: int
) -> None:
    cluster = sim(nodes=5).cluster
    length_ns = seconds * SECOND
    plan = schedule(words, cluster, seed=seed, length_ns=length_ns)
    assert plan == schedule(words, cluster, seed=seed, length_ns=length_ns)
    assert plan
    shown = [(entry.begin_ns, entry.begin_ns + entry.last_ns) for entry in plan]
    assert all(0 < begin < end <= length_ns for begin, end in shown)
    assert [begin for begin, _ in shown] == sorted(begin for begin, _ in shown)
    for before, entry in pairwise(plan):
        if not entry.overlaps:
            assert before.begin_ns + before.last_ns < entry.begin_ns
        else:
            assert not before.overlaps
            assert entry.word != before.word
    if length_ns >= CYCLE_LEAST_NS * (ROUNDS * len(words) + 2):
        assert min(Counter(entry.word for entry in plan)[word] for word in words) >= ROUNDS


def test_45_seconds_hold_every_family_twice_and_20_seeds_every_shape(sim: Make) -> None:
    cluster = sim(nodes=5).cluster
    shapes: Counter[str] = Counter()
    overlapping = 0
    for seed in range(100, 120):
        plan = schedule(FAMILIES, cluster, seed=seed, length_ns=45 * SECOND)
        assert min(Counter(entry.word for entry in plan)[word] for word in FAMILIES) >= 2
        shapes.update(entry.kinds[0] for entry in plan if entry.word == "partition")
        overlapping += sum(entry.overlaps for entry in plan)
        assert all(entry.last_ns > SECOND for entry in plan)
    assert set(shapes) == set(kinds_of("partition"))
    assert min(shapes.values()) >= 2
    assert overlapping > 10


def test_words_that_mean_nothing_here_are_refused(sim: Make) -> None:
    cluster = sim(nodes=3).cluster
    with pytest.raises(UserError, match="unknown fault 'partitoin'; did you mean 'partition'"):
        schedule(["partitoin"], cluster, seed=1, length_ns=SECOND)
    cluster.capabilities = cluster.capabilities - {"pause"}
    cluster.refusals = {"pause": "nobody can hold it"}
    with pytest.raises(UserError, match="'pause' cannot be injected on sim: nobody can hold it"):
        schedule(["kill", "pause"], cluster, seed=1, length_ns=SECOND)
    small = sim(nodes=2).cluster
    with pytest.raises(UserError, match="'partition-ring' needs 3 nodes at the least, there are 2"):
        schedule(["partition-ring"], small, seed=1, length_ns=SECOND)
    kinds = {e.kinds[0] for e in schedule(["partition"], small, seed=1, length_ns=60 * SECOND)}
    assert kinds == {k for k in kinds_of("partition") if NEMESES[k].nodes_least <= 2}
    assert schedule([], small, seed=1, length_ns=SECOND) == []


def schedule(words: Sequence[str], cluster: Any, *, seed: int, length_ns: int) -> list[Planned]:
    return compose(words, cluster, size=len(cluster.nodes), seed=seed, length_ns=length_ns)


def test_a_power_failure_needs_a_system_that_says_what_is_durable(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(MINE, encoding="utf-8")
    spec = ClusterSpec(nodes=("n1",), client_hosts=("c1",), seed=1, run_dir=tmp_path)
    cluster = make_cluster("local", spec, load_system(f"{file}:Mine", {}))
    with pytest.raises(UserError, match="on local: system 'mine' does not say what it has fsynced"):
        schedule(["lose-unsynced"], cluster, seed=1, length_ns=SECOND)


def follow(world: Any, plan: list[Planned], length_ns: int) -> None:
    async def scene(w: Any) -> None:
        env = w.cluster.env
        await run_schedule(env, w.injector, plan, env.now() + length_ns)
        assert w.injector.in_force() == []
        w.lines.append(("over", env.now()))

    world.run(scene)


@pytest.mark.parametrize("nodes", [3, 5])
def test_a_run_of_45_seconds_has_every_family_in_effect_twice(sim: Make, nodes: int) -> None:
    w = sim(nodes=nodes)
    plan = schedule(FAMILIES, w.cluster, seed=nodes, length_ns=45 * SECOND)
    follow(w, plan, 45 * SECOND)
    family = {line["id"]: line["family"] for name, line in w.lines if name == "fault-begin"}
    effects = Counter(
        family[line["id"]]
        for name, line in w.lines
        if name == "fault-measured" and line["effective"]
    )
    assert all(effects[word] >= 2 for word in FAMILIES), effects
    assert all(line["healed"] for name, line in w.lines if name == "fault-end")
    assert w.last("over") <= 46 * SECOND


def test_between_faults_that_do_not_overlap_it_is_calm(sim: Make) -> None:
    w = sim(nodes=3)
    follow(
        w,
        schedule(FAMILIES, w.cluster, seed=2, length_ns=60 * SECOND),
        60 * SECOND,
    )
    open_: set[int] = set()
    since, calms, most = 0, [], 0
    for name, line in w.lines:
        if name == "fault-begin":
            if not open_:
                calms.append(line["t"] - since)
            open_.add(line["id"])
            most = max(most, len(open_))
        elif name == "fault-end":
            open_.remove(line["id"])
            since = line["t"]
    assert min(calms[1:]) >= CALM_LEAST_NS
    assert most == 2
    assert len(calms) >= 8


def entry(begin_ns: int, last_ns: int, *kinds: str, overlaps: bool = False) -> Planned:
    return Planned(
        begin_ns=begin_ns,
        last_ns=last_ns,
        word=NEMESES[kinds[0]].family,
        kinds=kinds,
        overlaps=overlaps,
    )


def test_it_waits_for_fair_targets(sim: Make) -> None:
    """With one of three paused no other may be killed: the kill comes when the pause is over."""
    w = sim(nodes=3)
    plan = [
        entry(SECOND, 2 * SECOND, "pause-one"),
        entry(2 * SECOND, SECOND, "kill-one", overlaps=True),
    ]
    follow(w, plan, 9 * SECOND)
    begun = {line["kind"]: line["t"] for name, line in w.lines if name == "fault-begin"}
    assert begun["kill-one"] >= 3 * SECOND
    assert "mark" not in w.names()


def test_a_kind_without_targets_gives_way_and_a_word_without_any_is_told(sim: Make) -> None:
    w = sim(nodes=3, leader=None)
    plan = [
        entry(SECOND, SECOND, "partition-leader", "partition-one"),
        entry(5 * SECOND, SECOND, "kill-leader"),
    ]
    follow(w, plan, 12 * SECOND)
    assert [line["kind"] for name, line in w.lines if name == "fault-begin"] == ["partition-one"]
    mark = w.last("mark")
    assert mark["name"] == "fault-skipped"
    assert mark["kind"] == "kill-leader"
    assert 7 * SECOND <= mark["t"] < 12 * SECOND


def test_the_phase_may_end_while_it_waits_for_targets(sim: Make) -> None:
    w = sim(leader=None)
    follow(w, [entry(SECOND, SECOND, "partition-leader", "partition-one")], 2 * SECOND)
    assert w.names() == ["mark", "over"]
    assert w.last("over") == 2 * SECOND


def test_what_had_no_effect_is_dealt_again_in_place_of_a_spare(sim: Make) -> None:
    w = sim(nodes=3, leader=None)
    words = ["kill-leader", "pause-one", "kill-leader", "pause-one", "pause-one", "pause-one"]
    plan = [entry((2 + 4 * i) * SECOND, SECOND, word) for i, word in enumerate(words)]
    follow(w, plan, 40 * SECOND)
    begun = [line["kind"] for name, line in w.lines if name == "fault-begin"]
    assert begun == ["pause-one", "pause-one"]
    assert w.names().count("mark") == 4


def test_the_end_of_the_phase_ends_what_lasts_longer(sim: Make) -> None:
    w = sim(nodes=3)
    follow(w, [entry(SECOND, 60 * SECOND, "kill-one")], 4 * SECOND)
    assert 4 * SECOND <= w.last("fault-end")["t"] < 4.1 * SECOND


def test_cancelled_it_leaves_the_rest_to_the_injector(sim: Make) -> None:
    w = sim(nodes=3)

    async def scene(w: Any) -> None:
        env = w.cluster.env
        plan = [entry(SECOND, 60 * SECOND, "kill-one")]
        task = env.spawn(run_schedule(env, w.injector, plan, 90 * SECOND), "faults")
        await env.sleep(3 * SECOND)
        task.cancel()
        await env.sleep(1)
        assert task.done()
        assert len(w.injector.in_force()) == 1
        assert await w.injector.undo_all() == []
        assert w.injector.in_force() == []

    w.run(scene)
    assert w.last("fault-end")["healed"] is True
