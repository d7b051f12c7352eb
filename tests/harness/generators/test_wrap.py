"""The contract of each generator that wraps another."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dissensus.harness.generators import NEMESIS, Generator, lift, mix, phases
from dissensus.harness.generators.simulate import simulate
from dissensus.harness.generators.wrap import LATENESS_NS
from dissensus.harness.ops import Op, OpType

MS = 1_000_000
READS = lift({"f": "read"}).repeat()


def invocations(gen: Any, **options: Any) -> list[Op]:
    return [op for op in simulate(gen, **options) if op.type == "invoke"]


def times(gen: Any, **options: Any) -> list[int]:
    return [op.time_ns for op in invocations(gen, **options)]


@given(st.integers(0, 20), st.integers(0, 20))
def test_limit_of_limit_is_the_smaller(a: int, b: int) -> None:
    both = invocations(READS.limit(a).limit(b))
    assert both == invocations(READS.limit(min(a, b)))
    assert len(both) == min(a, b)


@given(st.integers(1, 500), st.integers(0, 40), st.integers(1, 60))
def test_nothing_is_invoked_at_or_after_the_end_of_a_time_limit(
    span: int, mean: int, takes: int
) -> None:
    gen = phases(READS.stagger(mean).time_limit(span), {"f": "after"})
    found = invocations(gen, completes=lambda op: (takes, "ok"))
    reads = [op.time_ns for op in found if op.f == "read"]
    assert reads
    assert max(reads) < span
    assert [op.f for op in found].count("after") == 1


def test_a_time_limit_ends_a_generator_that_is_pending_for_ever() -> None:
    stuck = lift({"f": "kill"}).on_nemesis().time_limit(50)
    assert [(op.time_ns, op.f) for op in invocations([stuck, {"f": "read"}])] == [(50, "read")]


def test_a_time_limit_starts_when_it_is_first_asked() -> None:
    gen = phases(lift({"f": "a"}).delay(0), READS.time_limit(25))
    found = [op for op in invocations(gen) if op.f == "read"]
    assert {op.time_ns for op in found} == {10, 20, 30}


@given(st.integers(0, 50), st.integers(0, 50))
def test_time_limit_of_time_limit_is_the_smaller(a: int, b: int) -> None:
    assert times(READS.time_limit(a).time_limit(b)) == times(READS.time_limit(min(a, b)))


def test_stagger_spreads_operations_at_random_around_its_mean() -> None:
    found = times(READS.stagger(5 * MS).limit(2000), concurrency=20)
    gaps = [b - a for a, b in pairwise(found)]
    assert min(gaps) >= 0
    assert max(gaps) <= 10 * MS
    assert 4.7 * MS < sum(gaps) / len(gaps) < 5.3 * MS
    assert len(set(gaps)) > 1900


def test_the_rate_of_stagger_is_over_all_threads() -> None:
    one, many = (times(READS.stagger(MS).limit(50), concurrency=c) for c in (1, 40))
    assert one == many


def test_delay_keeps_the_same_gap() -> None:
    assert times(READS.delay(7).limit(4), concurrency=2) == [0, 7, 14, 21]


def test_a_little_lateness_is_made_up_for_and_a_long_pause_is_not() -> None:
    def completes(op: Op) -> tuple[int, OpType]:
        return (15 * MS if op.time_ns == 0 else 1), "ok"

    found = times(READS.delay(10 * MS).limit(4), concurrency=1, completes=completes)
    assert found == [0, 15 * MS, 20 * MS, 30 * MS]
    late = LATENESS_NS + 20 * MS
    found = times(
        READS.delay(10 * MS).limit(3),
        concurrency=1,
        completes=lambda op: ((late if op.time_ns == 0 else 1), "ok"),
    )
    assert found == [0, late, late + 10 * MS]


def test_a_gap_does_not_outlive_what_is_spaced() -> None:
    gen = phases(READS.limit(2).delay(MS), {"f": "after"})
    assert times(gen) == [0, MS, MS + 10]


def test_repeat_is_the_first_operation_again_and_again() -> None:
    assert [op.f for op in invocations(lift([{"f": "a"}, {"f": "b"}]).repeat(3))] == ["a"] * 3
    assert invocations(lift(None).repeat(3)) == []
    assert invocations(READS.repeat(0)) == []


def test_repeat_of_a_mix_draws_anew_each_time() -> None:
    found = Counter(op.f for op in invocations(mix({"f": "a"}, {"f": "b"}).repeat(100)))
    assert found.keys() == {"a", "b"}


@given(st.integers(1, 4), st.integers(0, 4))
def test_cycle_begins_again_at_the_end(parts: int, rounds: int) -> None:
    gen = lift([{"f": f"{i}"} for i in range(parts)]).cycle(rounds)
    assert [op.f for op in invocations(gen)] == [f"{i}" for i in range(parts)] * rounds


def test_cycle_of_nothing_is_nothing_and_cycles_nest() -> None:
    assert invocations(lift(None).cycle()) == []
    found = [op.f for op in invocations(lift([lift({"f": "a"}).cycle(2), {"f": "b"}]).cycle(2))]
    assert found == ["a", "a", "b"] * 2
    assert len(invocations(lift([{"f": "a"}]).cycle().limit(9))) == 9


def test_until_ok_goes_on_until_one_of_its_own_is_ok() -> None:
    outcomes: list[OpType] = ["fail", "info", "fail", "ok", "ok"]

    def completes(op: Op) -> tuple[int, OpType]:
        return 10, outcomes.pop(0)

    found = invocations(READS.until_ok(), concurrency=1, completes=completes)
    assert len(found) == 4
    assert outcomes == ["ok"]


def test_until_ok_takes_no_other_operations_success_for_its_own() -> None:
    gen = lift([lift({"f": "other"}), lift({"f": "mine"}).repeat().until_ok()])
    done = 0

    def completes(op: Op) -> tuple[int, OpType]:
        nonlocal done
        done += 1
        if op.f == "other":
            return 5, "ok"
        return 10, "ok" if done > 6 else "fail"

    found = [op.f for op in invocations(gen, concurrency=2, completes=completes)]
    assert found.count("mine") >= 6


def test_until_ok_ends_with_what_it_wraps() -> None:
    found = invocations(READS.limit(3).until_ok(), completes=lambda op: (1, "fail"))
    assert len(found) == 3


def test_synchronize_waits_for_every_thread() -> None:
    gen = lift([READS.limit(3), lift({"f": "after"}).repeat(2).synchronize()])
    found = simulate(gen, completes=lambda op: (10 * (op.process + 1), "ok"))
    assert [op.time_ns for op in found if op.f == "after" and op.type == "invoke"] == [30, 30]


def test_a_barrier_on_clients_does_not_wait_for_the_nemesis() -> None:
    nemesis = lift({"f": "kill"}).on_nemesis()
    clients = phases({"f": "a"}, {"f": "b"}).on_clients()
    found = simulate(
        lift([nemesis, clients]),
        nemesis=True,
        completes=lambda op: (1000 if op.f == "kill" else 10, "ok"),
    )
    assert [(op.time_ns, op.f) for op in found if op.type == "ok"] == [
        (10, "a"),
        (20, "b"),
        (1000, "kill"),
    ]


def test_each_thread_has_a_copy_of_its_own() -> None:
    gen = lift([{"f": "a"}, {"f": "b"}]).each_thread()
    found = simulate(gen, completes=lambda op: (10 * (op.process + 1), "ok"))
    for process in range(3):
        assert [op.f for op in found if op.process == process and op.type == "ok"] == ["a", "b"]


def test_each_thread_does_not_begin_again_for_a_new_process() -> None:
    gen = lift({"f": "a"}).each_thread()
    assert len(invocations(gen, completes=lambda op: (1, "info"))) == 3


def test_each_process_begins_again_for_a_new_process() -> None:
    def completes(op: Op) -> tuple[int, OpType]:
        return 1, "info" if op.process < 3 else "ok"

    found = invocations(lift({"f": "a"}).each_process(), completes=completes)
    assert sorted(op.process for op in found) == [0, 1, 2, 3, 4, 5]
    bounded = lift({"f": "a"}).each_process().limit(20)
    assert len(invocations(bounded, completes=lambda op: (1, "info"))) == 20


def test_copies_draw_streams_of_their_own() -> None:
    gen = mix({"f": "a"}, {"f": "b"}).repeat(40).each_thread()
    found = invocations(gen)
    drawn = ["".join(op.f for op in found if op.process == p) for p in range(3)]
    assert len(set(drawn)) == 3


def test_each_thread_keeps_until_ok_apart() -> None:
    seen: Counter[int] = Counter()

    def completes(op: Op) -> tuple[int, OpType]:
        seen[op.process] += 1
        return 10, "ok" if seen[op.process] > op.process else "fail"

    invocations(READS.until_ok().each_thread(), completes=completes)
    assert seen == {0: 1, 1: 2, 2: 3}


def test_each_covers_the_nemesis_too_where_it_may() -> None:
    found = invocations(lift({"f": "a"}).each_process(), nemesis=True, concurrency=2)
    assert {op.process for op in found} == {0, 1, NEMESIS}


@pytest.mark.parametrize(
    "gen",
    [
        READS.limit(3),
        READS.time_limit(30),
        READS.stagger(3).limit(4),
        READS.limit(3).cycle(2),
        READS.limit(3).until_ok(),
        READS.limit(3).synchronize(),
        READS.limit(3).each_thread(),
        READS.limit(3).on_clients(),
    ],
    ids=lambda gen: type(gen).__name__,
)
def test_a_generator_is_a_value(gen: Generator) -> None:
    first, again = simulate(gen), simulate(gen)
    assert first == again
    with pytest.raises(AttributeError):
        gen.left = 1  # type: ignore[attr-defined]
