"""The contracts of mix, any_of, reserve and phases."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dissensus.harness.errors import UserError
from dissensus.harness.generators import any_of, lift, mix, phases, reserve
from dissensus.harness.generators.simulate import simulate
from dissensus.harness.ops import Op


def endless(f: str) -> Any:
    return lift({"f": f}).repeat()


def invocations(gen: Any, **options: Any) -> list[Op]:
    return [op for op in simulate(gen, **options) if op.type == "invoke"]


def counted(gen: Any, **options: Any) -> Counter[str]:
    return Counter(op.f for op in invocations(gen, **options))


def test_mix_draws_by_weight() -> None:
    gen = mix(endless("a"), endless("b"), endless("c"), weights=(6, 3, 1))
    found = counted(gen.limit(5000))
    assert 2850 < found["a"] < 3150
    assert 1350 < found["b"] < 1650
    assert 400 < found["c"] < 600


def test_mix_is_a_function_of_seed_and_path() -> None:
    gen = mix(endless("a"), endless("b")).limit(40)
    kinds = {
        tuple(op.f for op in invocations(gen, seed=seed, path=path))
        for seed, path in ((1, "x"), (1, "x"), (2, "x"), (1, "y"))
    }
    assert len(kinds) == 3


def test_mixes_in_one_tree_draw_apart() -> None:
    pair = mix(endless("a"), endless("b"))
    found = invocations(any_of(pair.limit(60), pair.limit(60)), concurrency=1)
    left, right = ("".join(op.f for op in found[i::2]) for i in (0, 1))
    assert left != right


def test_what_is_exhausted_drops_out_of_a_mix() -> None:
    gen = mix(lift([{"f": "a"}] * 5), lift([{"f": "b"}] * 7), None)
    assert counted(gen) == {"a": 5, "b": 7}
    assert counted(mix()) == {}


def test_what_is_pending_does_not_starve_a_mix() -> None:
    stuck = lift({"f": "kill"}).on_nemesis()
    assert counted(mix(stuck, endless("a")).limit(30)) == {"a": 30}
    slow = endless("slow").delay(1000)
    found = counted(mix(slow, endless("a"), weights=(1000, 1)).time_limit(5000))
    assert found["slow"] == 5
    assert found["a"] > 100


def test_a_mix_of_pending_ones_waits_for_the_first() -> None:
    gen = mix(endless("a").delay(100), endless("b").delay(70)).limit(6)
    assert [op.time_ns for op in invocations(gen)] == [0, 0, 70, 100, 140, 200]


@pytest.mark.parametrize("weights", [(1,), (1, 2, 3), (0, 1), (1, -1)])
def test_mix_needs_a_weight_for_each(weights: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="2 generators need as many weights"):
        mix({"f": "a"}, {"f": "b"}, weights=weights)


def test_any_of_takes_turns_and_ends_with_the_last() -> None:
    found = counted(any_of(endless("a").limit(50), endless("b").limit(10), None))
    assert found == {"a": 50, "b": 10}
    both = counted(any_of(endless("a"), endless("b")).limit(100))
    assert both == {"a": 50, "b": 50}


def test_any_of_takes_whichever_is_due() -> None:
    gen = any_of(endless("a").delay(100), endless("b").delay(70)).limit(6)
    assert [op.time_ns for op in invocations(gen)] == [0, 0, 70, 100, 140, 200]


@given(st.lists(st.integers(1, 4), max_size=4), st.integers(1, 4))
def test_reserve_partitions_threads(counts: list[int], rest: int) -> None:
    parts = [(count, endless(f"{i}")) for i, count in enumerate(counts)]
    gen = reserve(*parts, rest=endless("rest")).limit(300)
    concurrency = sum(counts) + rest
    seen: dict[str, set[int]] = {}
    for op in invocations(gen, concurrency=concurrency):
        seen.setdefault(op.f, set()).add(op.process)
    at = 0
    for i, count in enumerate(counts):
        assert seen[f"{i}"] == set(range(at, at + count))
        at += count
    assert seen["rest"] == set(range(at, concurrency))


def test_reserve_within_reserve_divides_what_it_was_given() -> None:
    inner = reserve((1, endless("b")), rest=endless("c"))
    gen = reserve((2, endless("a")), rest=inner).limit(100)
    found = {(op.f, op.process) for op in invocations(gen, concurrency=5)}
    assert found == {("a", 0), ("a", 1), ("b", 2), ("c", 3), ("c", 4)}


def test_a_part_of_reserve_that_ends_leaves_its_threads_idle() -> None:
    gen = reserve((2, {"f": "a"}), rest=endless("b").limit(9))
    found = invocations(gen, concurrency=3)
    assert {op.process for op in found if op.f == "b"} == {2}
    assert counted(gen, concurrency=3) == {"a": 1, "b": 9}


def test_reserve_of_more_threads_than_there_are_is_told() -> None:
    with pytest.raises(UserError, match="4 threads are reserved, there are 3"):
        simulate(reserve((4, {"f": "a"})))
    with pytest.raises(UserError, match="none is left for the rest"):
        simulate(reserve((3, {"f": "a"}), rest={"f": "b"}))
    with pytest.raises(UserError, match="0 threads"):
        reserve((0, {"f": "a"}))
    assert counted(reserve((3, endless("a").limit(5)))) == {"a": 5}


def test_phases_wait_for_the_slowest() -> None:
    gen = phases(endless("a").limit(6), endless("b").limit(3), [{"f": "c"}, {"f": "d"}])
    found = simulate(gen, completes=lambda op: (10 * (op.process + 1), "ok"))
    for before, after in (("a", "b"), ("b", "c")):
        last = max(op.time_ns for op in found if op.f == before)
        first = min(op.time_ns for op in found if op.f == after)
        assert first >= last
    last_phase = [op for op in found if op.f in "cd" and op.type == "invoke"]
    assert last_phase[0].time_ns == last_phase[1].time_ns
