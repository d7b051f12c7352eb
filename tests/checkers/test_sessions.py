"""Session guarantees: by hand, at random against the definition, and tampered certificates."""

from __future__ import annotations

import copy
import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dissensus.checkers import native
from dissensus.checkers.linearizability import PythonEngine
from dissensus.checkers.models import make_model
from dissensus.checkers.sessions import (
    BELOW,
    GUARANTEES,
    Found,
    Lattice,
    question_of,
    strongest,
    weaker,
)
from dissensus.checkers.sessions_python import analyse
from dissensus.checkers.transactions import judge_transactions
from dissensus.checkers.verifier import verify
from dissensus.harness.checker import Budget, RunView
from dissensus.harness.history import History
from dissensus.harness.ops import Op
from dissensus.harness.verdict import Certificate

View = Callable[..., RunView]
Line = tuple[Any, ...]
READERS = ["python", "native"] if native.available() is None else ["python"]
"""Whose columns the history has."""


def history_of(*lines: Line) -> History:
    """Operations one after the other: (process, f, key, value[, outcome])."""
    events = []
    for process, f, key, value, *rest in lines:
        asked = None if f == "read" else value
        outcome = rest[0] if rest else "ok"
        events.append(Op(f=f, key=key, value=asked, process=process, type="invoke"))
        events.append(Op(f=f, key=key, value=value, process=process, type=outcome))
    return History.from_ops(events)


def columns(history: History, reader: str) -> History:
    """The history as the engine in Rust holds it, or as it is."""
    if reader == "python":
        return history
    return native.NativeHistory(native.native_of(history))


def analysed(history: History, model: str = "cas-register", reader: str = "python") -> Found:
    question = question_of(model)
    assert question is not None
    return analyse(columns(history, reader), question, Budget())


def lattice_of(history: History, model: str = "cas-register", reader: str = "python") -> Lattice:
    verdict = PythonEngine().check(history, make_model(model), Budget())
    return strongest(columns(history, reader), verdict, model, Budget())


def states(found: Lattice) -> dict[str, str]:
    return {standing.level: standing.state for standing in found.levels}


W, R, C = "write", "read", "cas"
Case = tuple[str, list[Line], str, set[str]]
"""(name, operations, the weakest level that is broken, levels that hold)."""
CASES: list[Case] = [
    (
        "an own write is missed",
        [(0, W, "x", 1), (0, W, "x", 2), (0, R, "x", 1)],
        "read-your-writes",
        {"monotonic-reads", "monotonic-writes", "writes-follow-reads"},
    ),
    (
        "the initial value after an own write",
        [(0, W, "x", 1), (0, R, "x", None)],
        "read-your-writes",
        {"monotonic-reads", "monotonic-writes", "writes-follow-reads"},
    ),
    (
        "reads go back",
        [(0, W, "x", 1), (0, W, "x", 2), (1, R, "x", 2), (1, R, "x", 1)],
        "monotonic-reads",
        {"read-your-writes", "writes-follow-reads"},
    ),
    (
        "the second write of a session without the first",
        [(0, W, "x", 1), (0, W, "y", 2), (1, R, "y", 2), (1, R, "x", None)],
        "monotonic-writes",
        {"read-your-writes", "monotonic-reads", "writes-follow-reads"},
    ),
    (
        "an answer without what it answers",
        [(0, W, "x", 1), (1, R, "x", 1), (1, W, "y", 2), (2, R, "y", 2), (2, R, "x", None)],
        "writes-follow-reads",
        {"read-your-writes", "monotonic-reads", "monotonic-writes", "PRAM"},
    ),
    (
        "an own write is older, says the one; newer, says the other",
        [(0, W, "x", 1), (1, W, "x", 2), (0, R, "x", 2), (2, R, "x", 2), (2, R, "x", 1)],
        "PRAM",
        {"read-your-writes", "monotonic-reads", "monotonic-writes", "writes-follow-reads"},
    ),
    (
        "a chain of two answers",
        [
            (0, W, "x", 1), (0, W, "y", 2), (1, R, "y", 2), (1, W, "z", 3),
            (2, R, "z", 3), (2, R, "x", None),
        ],
        "causal",
        {"PRAM", "writes-follow-reads"},
    ),
    (
        "two orders of two writes",
        [
            (0, W, "x", 1), (1, W, "x", 2), (2, R, "x", 1), (2, R, "x", 2),
            (3, R, "x", 2), (3, R, "x", 1),
        ],
        "monotonic-reads",
        {"read-your-writes", "monotonic-writes", "writes-follow-reads"},
    ),
    (
        "neither saw the other",
        [(0, W, "x", 1), (0, R, "y", None), (1, W, "y", 1), (1, R, "x", None)],
        "sequential",
        {"causal"},
    ),
    (
        "a stale read of another session",
        [(0, W, "x", 1), (1, R, "x", None)],
        "linearizable",
        {"sequential"},
    ),
]  # fmt: skip


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_by_hand(view: View, reader: str, case: Case) -> None:
    why, lines, broken, held = case
    history = history_of(*lines)
    found = lattice_of(history, reader=reader)
    state = states(found)
    assert broken in found.weakest_broken, (why, state)
    assert {name for name in held if state[name] != "holds"} == set(), (why, state)
    for name in BELOW:
        assert state[name] == ("broken" if broken in weaker(name) else state[name])
    for standing in found.levels:
        if standing.certificate is not None:
            assert verify(view(history), standing.certificate) == (True, ""), why


@pytest.mark.parametrize("reader", READERS)
def test_what_all_levels_allow_and_what_none_does(view: View, reader: str) -> None:
    good = [(0, W, "x", 1), (1, C, "x", [1, 2]), (0, R, "x", 2), (1, W, "y", 1), (1, R, "y", 1)]
    assert set(states(lattice_of(history_of(*good), reader=reader)).values()) == {"holds"}
    bad = history_of((0, W, "x", 1), (1, R, "x", 7))
    found = lattice_of(bad, reader=reader)
    assert set(states(found).values()) == {"broken"}
    certificate = next(s.certificate for s in found.levels if s.level == "causal")
    assert certificate is not None
    assert certificate.summary == '(1) read 7 of key "x", which nobody wrote'
    assert verify(view(bad), certificate) == (True, "")
    failed = history_of((0, W, "x", 1, "fail"), (1, R, "x", 1))
    assert set(states(lattice_of(failed, reader=reader)).values()) == {"broken"}


@pytest.mark.parametrize("reader", READERS)
def test_of_repeated_values_only_what_is_certain_is_said(reader: str) -> None:
    twice = [(0, W, "x", 1), (1, W, "x", 1), (2, W, "x", 2), (0, R, "x", 2), (0, R, "x", 1)]
    assert set(states(lattice_of(history_of(*twice), reader=reader)).values()) >= {"unknown"}
    also = [*twice, (3, W, "y", 1), (3, R, "y", None)]
    found = states(lattice_of(history_of(*also), reader=reader))
    assert found["read-your-writes"] == found["causal"] == "broken"
    assert found["monotonic-reads"] == "unknown"
    legal = [(0, W, "x", 1), (1, W, "x", 1), (2, R, "x", 1)]
    assert set(states(lattice_of(history_of(*legal), reader=reader)).values()) == {"holds"}


@pytest.mark.parametrize("reader", READERS)
def test_crashed_writes_count_when_they_are_read_and_end_their_session(reader: str) -> None:
    crashed = [(0, W, "x", 1), (0, W, "x", 2, "info"), (1, R, "x", 1)]
    assert states(lattice_of(history_of(*crashed), reader=reader))["linearizable"] == "holds"
    seen = [*crashed[:2], (1, R, "x", 2), (1, R, "x", 1)]
    found = states(lattice_of(history_of(*seen), reader=reader))
    assert (found["monotonic-reads"], found["read-your-writes"]) == ("broken", "holds")
    replaced = [(0, W, "x", 1, "info"), (0, R, "x", None), (1, R, "x", 1)]
    assert states(lattice_of(history_of(*replaced), reader=reader))["read-your-writes"] == "holds"


# -- at random -----------------------------------------------------------------------------------


def drawn(rng: random.Random) -> list[Line]:
    """A few operations: reads return something that was written, or the initial value."""
    sessions, keys = rng.choice([2, 2, 3]), rng.choice(["x", "x", "xy"])
    count = rng.randint(4, 7)
    shape = [
        (rng.randrange(sessions), rng.choice([W, W, R, R, R, C]), rng.choice(keys))
        for _ in range(count)
    ]
    values: dict[str, list[Any]] = {key: [None] for key in keys}
    for number, (_, f, key) in enumerate(shape, 1):
        if f != R:
            values[key].append(number)
    lines: list[Line] = []
    for number, (process, f, key) in enumerate(shape, 1):
        known = [value for value in values[key] if f == R or value != number]
        past = [value for value in known if value is None or value < number]
        seen = past[-1] if rng.random() < 0.4 else rng.choice(known)
        outcome = "info" if f != R and rng.random() < 0.05 else "ok"
        lines.append((process, f, key, {W: number, R: seen, C: [seen, number]}[f], outcome))
    return lines


class Definition:
    """The guarantees by all orders of all operations."""

    def __init__(self, lines: list[Line]) -> None:
        ended: Counter[int] = Counter()
        self.ops: list[tuple[tuple[int, int], str, Any, Any]] = []
        for process, f, key, value, outcome in lines:
            read = value if f == R else value[0] if f == C else ...
            wrote = value if f == W else value[1] if f == C else ...
            self.ops.append(((process, ended[process]), key, read, wrote))
            ended[process] += outcome == "info"
        alive = {i for i, line in enumerate(lines) if line[4] == "ok"}
        by_value = {(key, wrote): i for i, (_, key, _, wrote) in enumerate(self.ops)}
        while True:
            self.source = {
                i: by_value.get((self.ops[i][1], self.ops[i][2]), -1)
                for i in alive
                if self.ops[i][2] is not ...
            }
            more = set(self.source.values()) - {-1} - alive
            if not more:
                break
            alive |= more
        self.alive = sorted(alive)
        self.po = {
            (a, b)
            for a, b in itertools.combinations(self.alive, 2)
            if self.ops[a][0] == self.ops[b][0]
        }
        self.wr = {(w, r) for r, w in self.source.items() if w >= 0}
        self.same = {(a, a) for a in self.alive}

    def visible(self) -> dict[str, set[tuple[int, int]]]:
        def then(a: set[tuple[int, int]], b: set[tuple[int, int]]) -> set[tuple[int, int]]:
            return {(x, z) for x, y in a for w, z in b if y == w}

        po, wr, maybe = self.po, self.wr, self.po | self.same
        past = po | wr
        while not then(past, past) <= past:
            past |= then(past, past)
        seen = {
            "read-your-writes": po,
            "monotonic-reads": then(wr, po),
            "monotonic-writes": then(then(po, wr), maybe),
            "writes-follow-reads": then(then(then(wr, maybe), wr), maybe),
            "causal": past,
        }
        seen["PRAM"] = seen["read-your-writes"] | seen["monotonic-reads"] | seen["monotonic-writes"]
        return seen

    def levels(self) -> dict[str, bool]:
        seen = self.visible()
        found = dict.fromkeys([*GUARANTEES, "sequential"], False)
        for order in itertools.permutations(self.alive):
            at = {op: place for place, op in enumerate(order)}
            if any(at[a] > at[b] for a, b in self.po | self.wr):
                continue
            for name in GUARANTEES:
                found[name] = found[name] or self.explains(at, seen[name])
            found["sequential"] = found["sequential"] or self.replays(order)
        return found

    def explains(self, at: dict[int, int], seen: set[tuple[int, int]]) -> bool:
        """Every read has the last of what it must have seen and did see."""
        for r, w in self.source.items():
            must = [
                a
                for a, b in seen
                if b == r
                and a != r
                and self.ops[a][3] is not ...
                and self.ops[a][1] == self.ops[r][1]
            ]
            if any(at[a] > at.get(w, -1) for a in must if a != w):
                return False
        return True

    def replays(self, order: tuple[int, ...]) -> bool:
        held: dict[str, Any] = {}
        for op in order:
            _, key, read, wrote = self.ops[op]
            if read is not ... and held.get(key) != read:
                return False
            if wrote is not ...:
                held[key] = wrote
        return True


@pytest.mark.parametrize("reader", READERS)
def test_random_histories_against_the_definition(view: View, reader: str) -> None:
    counts: Counter[tuple[str, bool]] = Counter()
    for seed in range(400):
        lines = drawn(random.Random(seed))
        history = history_of(*lines)
        expected = Definition(lines).levels()
        found = analysed(history, reader=reader)
        assert (found.garbage, found.repeated) == (None, None)
        for name in GUARANTEES:
            assert (name not in found.broken) == expected[name], (seed, name, lines)
        sequential = "broken" if found.broken else found.sequential
        assert sequential == ("holds" if expected["sequential"] else "broken"), (seed, lines)
        for name, holds in expected.items():
            counts[name, holds] += 1
        lattice = lattice_of(history, reader=reader)
        state = states(lattice)
        for name in BELOW:
            assert state[name] != "holds" or {state[x] for x in weaker(name)} <= {"holds"}
        for standing in lattice.levels:
            if standing.certificate is not None and standing.level in expected:
                assert verify(view(history), standing.certificate) == (True, ""), (seed, lines)
    for name in [*GUARANTEES, "sequential"]:
        assert min(counts[name, True], counts[name, False]) >= 120, counts


def tampered(certificate: Certificate) -> Iterator[Certificate]:
    """The certificate with one thing changed: a row, a kind, a step less, another level."""

    def steps(data: dict[str, Any]) -> list[dict[str, Any]]:
        return [s for step in data["steps"] for s in (step, *step["path"])]

    for at in range(len(steps(certificate.data))):
        for field in ("from", "to", "edge", "by", "path"):
            changed = copy.deepcopy(certificate)
            step = steps(changed.data)[at]
            if not step[field] and field in ("by", "path"):
                continue
            if field == "edge":
                step[field] = {"po": "wr", "wr": "po", "ww": "po", "rw": "wr"}[step[field]]
            elif field == "path":
                step[field] = step[field][1:]
            else:
                step[field] = (step[field] + 1) % 4
            yield changed


def test_tampered_certificates_are_refused(view: View) -> None:
    refused = 0
    for why, lines, _, _ in CASES:
        history = history_of(*lines)
        for standing in lattice_of(history).levels:
            certificate = standing.certificate
            if certificate is None or certificate.kind != "session-cycle":
                continue
            for changed in tampered(certificate):
                holds, text = verify(view(history), changed)
                assert holds is False, (why, standing.level, changed.data, text)
                refused += 1
            other = copy.deepcopy(certificate)
            other.data["level"] = "monotonic-writes"
            other.data["steps"] = [s for s in other.data["steps"] if s["edge"] == "po"]
            assert verify(view(history), other)[0] is False
    assert refused > 100
    bad = history_of((0, W, "x", 1), (1, R, "x", 1))
    garbage = Certificate(
        kind="session-garbage", summary="", data={"model": "register", "level": "PRAM", "row": 1}
    )
    assert verify(view(bad), garbage)[0] is False


def test_transactions_have_the_levels_of_their_verdict() -> None:
    stale = [(0, "txn", None, [["append", "x", 1]]), (1, "txn", None, [["r", "x", []]])]
    verdict = judge_transactions(history_of(*stale), "list-append", Budget(), engine="python")
    found = strongest(history_of(*stale), verdict, "list-append", Budget())
    assert found.weakest_broken == ["strong-consistent-view"]
    assert "strong-session-serializable" in found.strongest_holding
    (broken,) = [s for s in found.levels if s.state == "broken"]
    assert broken.why == "shown by G-single-item-realtime"
    assert broken.certificate is not None
