"""Workloads: what they invoke, that keys roll, that the last reads reach everybody."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from dissensus.harness.errors import SystemFault, UserError
from dissensus.harness.generators import lift
from dissensus.harness.generators.simulate import perfect, simulate
from dissensus.harness.ops import Op, OpType
from dissensus.harness.registry import load_system
from dissensus.harness.workloads import (
    FINAL_KEYS,
    FINAL_TRIES,
    KEYS,
    OPS_PER_KEY,
    WARMUP_KEY,
    WORKLOADS,
    check_fits,
    load_workload,
)


def invoked(events: list[Op]) -> list[Op]:
    return [op for op in events if op.type == "invoke"]


@pytest.mark.parametrize("name", list(WORKLOADS))
def test_five_keys_are_in_use_and_roll_after_200_operations(name: str) -> None:
    workload = load_workload(name)
    ops = invoked(simulate(lift(workload.generator(3)).limit(3_000), concurrency=3))
    per_key = Counter(op.key for op in ops)
    assert {op.f for op in ops} == set(workload.fs)
    assert max(per_key.values()) == OPS_PER_KEY
    assert sum(count < OPS_PER_KEY for count in per_key.values()) <= KEYS
    written = [op.value if op.f == "write" else op.value[1] for op in ops if op.f != "read"]
    assert len(set(written)) == len(written)
    # Zipf: the hottest of the first five keys is retired long before the coldest.
    last = {key: max(i for i, op in enumerate(ops) if op.key == key) for key in range(KEYS)}
    assert last[0] < last[KEYS - 1] / 2


def test_a_cas_expects_what_was_seen_last_at_its_key() -> None:
    events = simulate(
        lift(load_workload("cas-register").generator(1)).limit(500), concurrency=1, seed=3
    )
    latest: dict[Any, Any] = {}
    for op in events:
        if op.type == "invoke" and op.f == "cas":
            assert op.value[0] == latest.get(op.key)
        if op.type == "ok":
            latest[op.key] = op.value[1] if op.f == "cas" else op.value


@pytest.mark.parametrize("name", list(WORKLOADS))
def test_the_warm_up_ends_when_every_f_has_succeeded(name: str) -> None:
    workload = load_workload(name)
    served = 0

    def slow_start(op: Op) -> tuple[int, OpType]:
        nonlocal served
        served += 1
        return (10, "fail") if served < 40 else perfect(op)

    events = simulate(workload.warmup(2), concurrency=2, completes=slow_start)
    assert {op.key for op in events} == {WARMUP_KEY}
    ok = [op.f for op in events if op.type == "ok"]
    assert set(ok) == set(workload.fs)
    assert len(ok) < 40


def test_every_thread_reads_every_key_at_the_end() -> None:
    events = invoked(simulate(load_workload("register").final(4, ["a", "b", 7]), concurrency=4))
    assert sorted((op.process, str(op.key)) for op in events) == [
        (thread, key) for thread in range(4) for key in ("7", "a", "b")
    ]
    assert all(op.f == "read" and op.x == {"final": True} for op in events)


def test_a_last_read_is_tried_again_but_not_for_ever() -> None:
    def failing(op: Op) -> tuple[int, OpType]:
        return 1_000_000, "fail"

    final = load_workload("register").final(1, [1])
    events = invoked(simulate(final, concurrency=1, completes=failing))
    assert len(events) == FINAL_TRIES


def test_only_the_latest_keys_are_read() -> None:
    final = load_workload("register").final(1, list(range(500)))
    keys = [op.key for op in invoked(simulate(final, concurrency=1))]
    assert keys == list(range(500 - FINAL_KEYS, 500))


def test_an_unknown_workload_names_the_nearest() -> None:
    with pytest.raises(UserError, match="unknown workload 'cas-registr'; did you mean 'cas-reg"):
        load_workload("cas-registr")


def test_a_workload_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "from dissensus.harness.workloads import Register\n"
        "class Mine(Register):\n    name = 'mine'\n    fs = ('read', 'bump')\n"
        "class Half:\n    name = 'half'\n"
        "class Picky:\n    def __init__(self, what): pass\n"
    )
    assert load_workload(f"{path}:Mine").name == "mine"
    with pytest.raises(SystemFault, match="has no 'fs'"):
        load_workload(f"{path}:Half")
    with pytest.raises(SystemFault, match="cannot be made"):
        load_workload(f"{path}:Picky")
    with pytest.raises(UserError, match=r"workload .* there is no file"):
        load_workload(f"{tmp_path}/other.py:Mine")


def test_a_client_that_lacks_an_operation_is_named(toy_name: str, tmp_path: Path) -> None:
    system = load_system(toy_name, {})
    check_fits(load_workload("cas-register"), system)
    path = tmp_path / "mine.py"
    path.write_text(
        "from dissensus.harness.workloads import Register\n"
        "class Mine(Register):\n    name = 'mine'\n    fs = ('read', 'bump-up')\n"
    )
    with pytest.raises(UserError, match=r"invokes 'bump-up'.*fits: register, cas-register"):
        check_fits(load_workload(f"{path}:Mine"), system)
