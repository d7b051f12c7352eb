"""Independent keys: Zipf's law, keys that roll, registers on them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from dissensus.harness.errors import UserError
from dissensus.harness.generators import independent, lift, register
from dissensus.harness.generators.simulate import simulate
from dissensus.harness.ops import Op

READS = lift({"f": "read"}).repeat()


def invocations(gen: Any, **options: Any) -> list[Op]:
    return [op for op in simulate(gen, **options) if op.type == "invoke"]


def test_keys_are_drawn_by_zipfs_law() -> None:
    found = Counter(op.key for op in invocations(independent(lambda k: READS, keys=4).limit(5000)))
    total = 1 + 1 / 2 + 1 / 3 + 1 / 4
    for key in range(4):
        expected = 5000 / (key + 1) / total
        assert 0.85 * expected < found[key] < 1.15 * expected


def test_skew_zero_is_uniform_and_more_skew_is_hotter() -> None:
    even = Counter(
        op.key for op in invocations(independent(lambda k: READS, keys=4, skew=0).limit(4000))
    )
    assert all(850 < even[key] < 1150 for key in range(4))
    hot = Counter(
        op.key for op in invocations(independent(lambda k: READS, keys=4, skew=3).limit(1000))
    )
    assert hot[0] > 750


def test_five_keys_roll_after_200_operations() -> None:
    gen = independent(lambda key: READS.limit(200), keys=5).limit(4000)
    found = invocations(gen, concurrency=7)
    in_use: list[set[int]] = []
    done: Counter[int] = Counter()
    for op in found:
        done[op.key] += 1
    assert max(done.values()) == 200
    finished = [key for key in done if done[key] == 200]
    assert len(done) == len(finished) + 5
    assert sorted(done) == list(range(len(done)))
    for i in range(0, len(found) - 50, 50):
        in_use.append({op.key for op in found[i : i + 50]})
    assert max(len(keys) for keys in in_use) <= 7


def test_a_key_keeps_the_heat_of_the_one_that_it_follows() -> None:
    gen = independent(lambda key: READS.limit(100), keys=3, skew=10).limit(1000)
    found = Counter(op.key for op in invocations(gen))
    assert sum(1 for n in found.values() if n == 100) >= 9


def test_each_key_has_a_generator_of_its_own_that_hears_of_its_operations_alone() -> None:
    gen = independent(
        lambda key: lift({"f": "read"}).repeat().until_ok() if key < 2 else READS, keys=2
    ).limit(40)
    found = invocations(gen, concurrency=1, completes=lambda op: (1, "ok"))
    assert Counter(op.key for op in found)[0] == 1
    assert Counter(op.key for op in found)[1] == 1


def test_a_key_without_any_operation_is_the_workloads_fault() -> None:
    with pytest.raises(UserError, match="key 2 has no operation at all"):
        simulate(independent(lambda key: None, keys=2))


def test_a_key_that_is_pending_does_not_hold_up_the_others() -> None:
    stuck = lift({"f": "kill"}).on_nemesis()
    gen = independent(lambda key: READS if key else stuck, keys=2).limit(20)
    assert {op.key for op in invocations(gen)} == {1}


def test_numbers_out_of_range_are_named() -> None:
    with pytest.raises(UserError, match="keys 0 is out of range: 1 to"):
        independent(lambda key: READS, keys=0)
    with pytest.raises(UserError, match="skew -1 is out of range"):
        independent(lambda key: READS, keys=1, skew=-1)


def test_a_register_never_writes_a_value_twice_in_a_run() -> None:
    gen = independent(lambda key: register().limit(30), keys=3).limit(600)
    written = [op.value for op in invocations(gen) if op.f == "write"]
    swapped = [op.value[1] for op in invocations(gen) if op.f == "cas"]
    assert len(written) > 150
    assert len(swapped) > 80
    assert len(set(written + swapped)) == len(written + swapped)


def test_a_cas_expects_what_was_seen_or_written_last() -> None:
    state = None
    hits = 0
    for op in simulate(register().limit(200), concurrency=1):
        if op.type == "invoke" and op.f == "cas" and state is not None:
            hits += op.value[0] == state
        if op.type == "ok" and op.f != "read":
            state = op.value if op.f == "write" else op.value[1]
        # The imaginary clients of a simulation read None: not what this test is about.
    assert hits > 10
