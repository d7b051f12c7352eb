"""Draws are pure, fair and within bounds: properties of every kind's targets."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dissensus.harness.cluster import majority
from dissensus.harness.errors import UserError
from dissensus.harness.fault import Fault, FaultContext
from dissensus.harness.randomness import Rng
from dissensus.nemeses.partition import cuts, hosts_of, untouched
from dissensus.nemeses.select import SELECTORS, select
from dissensus.nemeses.slow import slowed
from dissensus.nemeses.table import FAMILIES, NEMESES, WORDS, kinds_of

SETTINGS = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

PARTITIONS = kinds_of("partition")


@st.composite
def contexts(draw: Any, least: int = 1) -> FaultContext:
    size = draw(st.integers(least, 9))
    nodes = tuple(f"n{i + 1}" for i in range(size))
    clients = tuple(f"c{i + 1}" for i in range(draw(st.integers(0, size))))
    return FaultContext(
        nodes=nodes,
        client_hosts=clients,
        leader=draw(st.sampled_from((None, *nodes))),
        down=frozenset(draw(st.sets(st.sampled_from(nodes)))),
        clients_of={c: draw(st.sampled_from(nodes)) for c in clients if draw(st.booleans())},
    )


@SETTINGS
@given(kind=st.sampled_from(sorted(NEMESES)), context=contexts(), seed=st.integers(0, 10**6))
def test_a_draw_is_pure_and_passes_its_own_check(
    kind: str, context: FaultContext, seed: int
) -> None:
    nemesis = NEMESES[kind]
    before = msgspec.json.encode(context)
    fault = nemesis.draw(Rng(seed, "x"), context)
    assert fault == nemesis.draw(Rng(seed, "x"), context)
    assert msgspec.json.encode(context) == before
    if fault is not None:
        assert fault.kind == kind
        assert len(context.nodes) >= nemesis.nodes_least
        nemesis.check(fault, context)
        msgspec.json.encode(nemesis.undo_entry(fault))


@SETTINGS
@given(selector=st.sampled_from(SELECTORS), context=contexts(), seed=st.integers(0, 10**6))
def test_a_selector_takes_running_nodes_and_leaves_what_it_must(
    selector: str, context: FaultContext, seed: int
) -> None:
    size = len(context.nodes)
    chosen = select(selector, Rng(seed, "x"), context)
    assert not set(chosen) & context.down
    assert len(set(chosen)) == len(chosen)
    if selector in ("one", "minority", "leader") and chosen:
        stopped = len(context.down) + len(chosen)
        assert stopped <= max(1, size - majority(size))
        assert selector == "minority" or len(chosen) == 1
        assert selector != "leader" or chosen == [context.leader]
    if selector == "majority" and chosen:
        assert len(context.down) + len(chosen) == majority(size)
    if selector == "all":
        assert set(chosen) | context.down == set(context.nodes)


@SETTINGS
@given(
    kind=st.sampled_from(["kill", "pause", "lose-unsynced"]),
    context=contexts(),
    seed=st.integers(0, 10**6),
)
def test_a_mix_stops_no_majority_on_top_of_what_is_down(
    kind: str, context: FaultContext, seed: int
) -> None:
    fault = NEMESES[kind].draw(Rng(seed, "x"), context)
    if fault is not None and context.down:
        size = len(context.nodes)
        stopped = len(context.down) + len(fault.targets["nodes"])
        assert stopped <= max(1, size - majority(size))


def reached(fault: Fault, context: FaultContext) -> dict[str, set[str]]:
    """Node -> the nodes that it hears."""
    shut = set(cuts(fault.targets, context.nodes))
    return {
        node: {other for other in context.nodes if other != node and (other, node) not in shut}
        for node in context.nodes
    }


@SETTINGS
@given(kind=st.sampled_from(PARTITIONS), context=contexts(least=3), seed=st.integers(0, 10**6))
def test_a_partition_cuts_something_and_never_between_clients(
    kind: str, context: FaultContext, seed: int
) -> None:
    fault = NEMESES[kind].draw(Rng(seed, "x"), context)
    if fault is None:
        assert kind == "partition-leader"
        assert context.leader is None
        return
    shut = cuts(fault.targets, context.nodes)
    assert shut
    assert len(set(shut)) == len(shut)
    assert all(src in context.nodes or dst in context.nodes for src, dst in shut)
    assert not set(shut) & set(untouched(fault.targets, context.nodes))
    everybody = [*context.nodes, *context.client_hosts]
    assert sorted(hosts_of(fault.targets)) == sorted(everybody)


@SETTINGS
@given(
    kind=st.sampled_from(
        ["partition-halves", "partition-majority", "partition-one", "partition-leader"]
    ),
    context=contexts(least=3),
    seed=st.integers(0, 10**6),
)
def test_two_sides_are_disjoint_and_cover_all(kind: str, context: FaultContext, seed: int) -> None:
    fault = NEMESES[kind].draw(Rng(seed, "x"), context)
    if fault is None:
        return
    left, right = (set(side) for side in fault.targets["sides"])
    nodes, clients = set(context.nodes), set(context.client_hosts)
    assert not left & right
    assert left | right == nodes | clients
    few, many = sorted((left & nodes, right & nodes), key=len)
    assert few
    if kind == "partition-halves":
        assert len(many) - len(few) in (0, 1)
    elif kind == "partition-majority":
        assert len(many) >= majority(len(nodes))
    else:
        assert len(few) == 1
    if kind == "partition-leader":
        assert left & nodes == {context.leader}
    if len(clients) >= 2:
        assert left & clients
        assert right & clients
    assert len(cuts(fault.targets, context.nodes)) == 2 * (
        len(left) * len(right) - len(left & clients) * len(right & clients)
    )


@SETTINGS
@given(context=contexts(least=3), seed=st.integers(0, 10**6))
def test_a_bridge_is_what_both_sides_reach(context: FaultContext, seed: int) -> None:
    fault = NEMESES["partition-bridge"].draw(Rng(seed, "x"), context)
    assert fault is not None
    [middle] = fault.targets["bridge"]
    hears = reached(fault, context)
    assert hears[middle] == set(context.nodes) - {middle}
    left, right = ([n for n in side if n in context.nodes] for side in fault.targets["sides"])
    assert abs(len(left) - len(right)) <= 1
    for side in (left, right):
        for node in side:
            assert hears[node] == {middle, *side} - {node}


@SETTINGS
@given(context=contexts(least=3), seed=st.integers(0, 10**6))
def test_in_a_ring_all_hear_a_majority_and_no_two_the_same(
    context: FaultContext, seed: int
) -> None:
    fault = NEMESES["partition-ring"].draw(Rng(seed, "x"), context)
    assert fault is not None
    views = [{node, *heard} for node, heard in reached(fault, context).items()]
    assert all(len(view) == majority(len(context.nodes)) for view in views)
    assert all(a != b for a, b in combinations(views, 2))
    shut = set(cuts(fault.targets, context.nodes))
    for client in context.client_hosts:
        heard = {n for n in context.nodes if (n, client) not in shut}
        assert heard == {n for n in context.nodes if (client, n) not in shut}
        assert heard in views


@SETTINGS
@given(context=contexts(least=2), seed=st.integers(0, 10**6))
def test_one_way_leaves_the_other_way_open(context: FaultContext, seed: int) -> None:
    fault = NEMESES["partition-one-way"].draw(Rng(seed, "x"), context)
    assert fault is not None
    shut = cuts(fault.targets, context.nodes)
    assert any(a in context.nodes and b in context.nodes for a, b in shut)
    assert not {(b, a) for a, b in shut} & set(shut)


def test_every_selector_and_side_comes_up(context: Callable[..., FaultContext]) -> None:
    """Over some seeds a mix uses all its selectors, and clients fall on both sides."""
    for kind in ("kill", "pause", "lose-unsynced"):
        drawn = [NEMESES[kind].draw(Rng(seed, kind), context()) for seed in range(60)]
        assert {f.asked["selector"] for f in drawn if f is not None} == set(SELECTORS)
    with_leader = set()
    for seed in range(60):
        fault = NEMESES["partition-leader"].draw(Rng(seed, "x"), context())
        assert fault is not None
        with_leader |= set(fault.targets["sides"][0])
    assert with_leader == {"n1", "c1", "c2", "c3", "c4", "c5"}


def test_without_a_leader_others_take_its_place(context: Callable[..., FaultContext]) -> None:
    nobody = context(leader=None)
    assert NEMESES["kill-leader"].draw(Rng(1, "x"), nobody) is None
    assert NEMESES["partition-leader"].draw(Rng(1, "x"), nobody) is None
    for seed in range(30):
        assert NEMESES["kill"].draw(Rng(seed, "x"), nobody) is not None
        assert NEMESES["slow"].draw(Rng(seed, "x"), nobody) is not None


@pytest.mark.parametrize(
    ("kind", "targets", "asked", "told"),
    [
        ("kill", {}, {}, "they are written"),
        ("kill", {"nodes": []}, {}, "no target"),
        ("kill", {"nodes": ["n9"]}, {}, "unknown target of 'kill' 'n9' (known: n1, n2"),
        ("pause", {"nodes": ["n1", "n1"]}, {}, "names 'n1' twice"),
        ("lose-unsynced", {"nodes": ["c1"]}, {}, "unknown target"),
        ("partition-one", {"halves": []}, {}, "they are written"),
        ("partition-one", {"sides": [["n1"], ["n7"]]}, {}, "unknown target"),
        ("partition-one", {"sides": [["n1"], []]}, {}, "cuts nothing"),
        ("partition-one", {"sides": [["c1"], ["c2"]]}, {}, "cuts nothing"),
        ("slow", {"nodes": ["n1"]}, {}, "no delay_ns"),
        ("slow", {"nodes": ["n1"]}, {"delay_ns": 1}, "delay_ns of fault 'slow' 1 is out of range"),
        ("slow", {"nodes": ["n1"]}, {"delay": 50_000_000}, "did you mean 'delay_ns'"),
        (
            "slow",
            {"nodes": ["n1"]},
            {"delay_ns": 50_000_000, "jitter_ns": 30_000_000},
            "at most half of delay_ns, 25000000",
        ),
        (
            "slow",
            {"nodes": ["n1"]},
            {"delay_ns": 50_000_000, "loss_ppm": 999_999},
            "loss_ppm of fault 'slow' 999999 is out of range: 0 to 300000",
        ),
    ],
)
def test_a_fault_that_is_written_wrong_is_refused(
    context: Callable[..., FaultContext],
    kind: str,
    targets: dict[str, Any],
    asked: dict[str, Any],
    told: str,
) -> None:
    with pytest.raises(UserError) as refused:
        NEMESES[kind].check(Fault(kind=kind, targets=targets, asked=asked), context())
    assert told in str(refused.value)


def test_an_unknown_selector_is_refused(context: Callable[..., FaultContext]) -> None:
    with pytest.raises(UserError, match="did you mean 'leader'"):
        select("leder", Rng(1, "x"), context())


def test_slow_links_are_both_directions_of_each(context: Callable[..., FaultContext]) -> None:
    targets = {"nodes": ["n1", "n2"], "clients": ["c1"]}
    pairs = slowed(targets, ("n1", "n2", "n3"))
    assert len(set(pairs)) == len(pairs) == 2 * (1 + 2 + 2)
    assert {(b, a) for a, b in pairs} == set(pairs)


def test_words_are_kinds_and_families() -> None:
    assert FAMILIES == ("kill", "pause", "lose-unsynced", "partition", "slow")
    assert kinds_of("kill") == ["kill"]
    assert len(kinds_of("partition")) == 7
    assert kinds_of("partition-ring") == ["partition-ring"]
    assert kinds_of("rain") == []
    assert set(WORDS) == {*FAMILIES, *NEMESES}
