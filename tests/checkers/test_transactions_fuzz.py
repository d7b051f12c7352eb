"""Random histories of transactions: the engines against the definitions."""

from __future__ import annotations

import random
import re
from collections import Counter

import pytest

from dissensus.checkers import native
from dissensus.checkers.transactions import judge_transactions
from dissensus.harness.checker import Budget
from dissensus.harness.history import History
from dissensus.harness.verdict import Validity
from tests.checkers.txn_cases import history_of
from tests.checkers.txn_oracle import kinds_of_lists, serializable, snapshot_isolated

WHY_NOT = native.available()
ENGINES = [
    pytest.param("python", 150),
    pytest.param(
        "native",
        1000,
        marks=pytest.mark.skipif(WHY_NOT is not None, reason=f"no native engine: {WHY_NOT}"),
    ),
]
KEYS = "xy"


def random_text(rand: random.Random, *, lists: bool) -> str:
    """Up to 5 transactions of up to 3 operations, each done at a point of its time on a store that
    sometimes shows an older state.
    """
    count = rand.randint(3, 5)
    times = sorted(rand.sample(range(1, 40), 2 * count))
    if rand.random() < 0.5:
        rand.shuffle(times)
    spans = [sorted(times[2 * i : 2 * i + 2]) for i in range(count)]
    points = sorted((rand.uniform(*span), i) for i, span in enumerate(spans))
    chance = rand.choice([0, 0.9, 1])
    states: list[dict[str, str]] = [{}]
    fresh: Counter[str] = Counter()
    done: dict[int, str] = {}
    for _, i in points:
        seen = rand.choice(states[-4:]) if rand.random() < chance else states[-1]
        own: dict[str, str] = {}
        now = dict(states[-1])
        ops = []
        outcome = rand.choices(["", "?", "!"], [8, 1, 1])[0]
        applied = outcome == "" or (outcome == "?" and rand.random() < 0.5)
        for _ in range(rand.randint(1, 4)):
            key = rand.choice(KEYS)
            # Values have one digit.
            if rand.random() < 0.5 or fresh[key] == 9:
                value = seen.get(key, "") + own.get(key, "") if lists else own.get(key)
                ops.append(f"r{key}{seen.get(key, '') if value is None else value}")
                continue
            fresh[key] += 1
            value = str(fresh[key])
            ops.append(f"{'a' if lists else 'w'}{key}{value}")
            own[key] = own.get(key, "") + value if lists else value
        if applied:
            for key, value in own.items():
                now[key] = now.get(key, "") + value if lists else value
            states.append(now)
        begin, end = spans[i]
        # Processes are reused only one after the other.
        done[i] = f"{i}{outcome} {begin}-{end}: {' '.join(ops)}"
    text = "; ".join(done[i] for i in range(count))
    if not lists and rand.random() < 0.6:
        reads = [m.span() for m in re.finditer(r"r[xy]\d?", text)]
        if reads:
            begin, end = rand.choice(reads)
            key = text[begin + 1]
            text = f"{text[:begin]}r{key}{rand.randint(1, max(1, fresh[key]))}{text[end:]}"
    return text


def histories(count: int, *, lists: bool) -> list[tuple[str, History]]:
    rand = random.Random(f"transactions {lists}")
    texts = [random_text(rand, lists=lists) for _ in range(count)]
    return [(text, history_of(text, lists=lists)) for text in texts]


@pytest.mark.parametrize(("engine", "count"), ENGINES)
@pytest.mark.parametrize("workload", ["list-append", "rw-register"])
def test_levels_against_all_orders(engine: str, count: int, workload: str) -> None:
    seen: Counter[tuple[str, Validity]] = Counter()
    for text, history in histories(count, lists=workload == "list-append"):
        expected = {
            "serializable": serializable(history, strict=False),
            "strict-serializable": serializable(history, strict=True),
            "snapshot-isolation": snapshot_isolated(history),
        }
        for level, legal in expected.items():
            verdict = judge_transactions(
                history, f"{workload}(level={level})", Budget(), engine=engine
            ).validity
            seen[level, verdict] += 1
            right = Validity.VALID if legal else Validity.INVALID
            assert verdict in (right, Validity.UNKNOWN), (text, level, right)
            assert verdict is right or level == "snapshot-isolation", (text, level, right)
    assert seen["strict-serializable", Validity.VALID] >= 0.3 * count
    assert seen["strict-serializable", Validity.INVALID] >= 0.3 * count
    assert seen["snapshot-isolation", Validity.UNKNOWN] <= 0.1 * count


@pytest.mark.parametrize(("engine", "count"), ENGINES)
def test_shortest_cycles_against_all_cycles(engine: str, count: int) -> None:
    compared = 0
    for text, history in histories(count, lists=True):
        verdict = judge_transactions(history, "list-append", Budget(), engine=engine)
        names = set(verdict.facts["anomalies"])
        if names & {"incompatible-order", "garbage-read", "duplicate-elements", "G1a"}:
            continue
        compared += 1
        expected = kinds_of_lists(history)
        plain = {name for name in expected if not name.endswith(("-process", "-realtime"))}
        cycles = {name for name in names if name.startswith("G") and name != "G1b"}
        assert cycles <= set(expected), (text, cycles, expected)
        assert plain <= cycles, (text, cycles, expected)
        for certificate in verdict.certificates:
            if certificate.kind == "cycle":
                name = certificate.data["anomaly"]
                assert len(certificate.data["steps"]) == expected[name], (text, name)
    assert compared >= count / 2
