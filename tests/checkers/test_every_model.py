"""Every model: a history that it allows and one that it does not, made by hand, by both engines;
and random ones, on which the two engines must agree.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from dissensus.checkers import native
from dissensus.checkers.linearizability import PythonEngine
from dissensus.checkers.models import MODELS, make_model
from dissensus.checkers.native import NativeEngine
from dissensus.harness.checker import Budget, Engine
from dissensus.harness.checker import Call as Asked
from dissensus.harness.errors import UserError
from dissensus.harness.history import History
from dissensus.harness.ops import Op

Call = tuple[str, Any, Any]
"""(f, value, result)."""

R = [["read", "x", None]]
CASES: dict[str, tuple[list[Call], list[Call]]] = {
    "register": (
        [("write", 1, 1), ("read", None, 1)],
        [("write", 1, 1), ("read", None, 2)],
    ),
    "cas-register(init=0)": (
        [("cas", [0, 3], [0, 3]), ("read", None, 3), ("cas", [0, 4], False)],
        [("cas", [0, 3], [0, 3]), ("cas", [3, 4], False)],
    ),
    "rmw-register": (
        [("rmw", [0, 1], [0, 1]), ("rmw", [1, 2], [1, 2])],
        [("rmw", [0, 1], [0, 1]), ("rmw", [0, 2], [0, 2])],
    ),
    "kv": (
        [("put", "a", "a"), ("append", "b", "b"), ("get", None, "ab"), ("delete", None, None)],
        [("put", "a", "a"), ("delete", None, None), ("get", None, "a")],
    ),
    "kv-append": (
        [("get", None, ""), ("append", "x", "x"), ("get", None, "x")],
        [("append", "x", "x"), ("get", None, "")],
    ),
    "counter": (
        [("add", 2, 2), ("inc", None, None), ("dec", 1, 1), ("read", None, 2)],
        [("add", 2, 2), ("read", None, 1)],
    ),
    "fetch-and-add": (
        [("fetch-and-add", 2, 0), ("add-and-get", 1, 3), ("read", None, 3)],
        [("fetch-and-add", 2, 0), ("fetch-and-add", 1, 0)],
    ),
    "multi-register(init=0)": (
        [
            ("txn", [["write", "x", 1], ["write", "y", 1]], None),
            ("txn", R, [["read", "x", 1]]),
        ],
        [
            ("txn", [["write", "x", 1], ["write", "y", 1]], None),
            ("txn", R, [["read", "x", 0]]),
        ],
    ),
    "set": (
        [("add", 5, True), ("add", 5, False), ("contains", 5, True), ("remove", 5, True)],
        [("add", 5, True), ("add", 5, True)],
    ),
    "g-set": (
        [("add", 1, 1), ("add", 2, 2), ("read", None, [2, 1])],
        [("add", 1, 1), ("read", None, [])],
    ),
    "queue": (
        [("enqueue", 1, 1), ("enqueue", 2, 2), ("dequeue", None, 1), ("dequeue", None, 2)],
        [("enqueue", 1, 1), ("enqueue", 2, 2), ("dequeue", None, 2)],
    ),
    "stack": (
        [("push", 1, 1), ("push", 2, 2), ("pop", None, 2), ("pop", None, 1), ("pop", None, None)],
        [("push", 1, 1), ("push", 2, 2), ("pop", None, 1)],
    ),
    "priority-queue": (
        [("insert", 1, 1), ("insert", 9, 9), ("peek", None, 9), ("poll", None, 9)],
        [("insert", 1, 1), ("insert", 9, 9), ("poll", None, 1)],
    ),
    "deque": (
        [("push-front", 1, 1), ("push-back", 2, 2), ("pop-back", None, 2), ("pop-front", None, 1)],
        [("push-front", 1, 1), ("push-back", 2, 2), ("pop-back", None, 1)],
    ),
    "mutex": (
        [("acquire", None, None), ("release", None, None), ("acquire", None, None)],
        [("acquire", None, None), ("acquire", None, None)],
    ),
    "reentrant-mutex": (
        [("acquire", None, None), ("acquire", None, None), ("release", None, None)],
        [("acquire", None, None), ("release", None, None), ("release", None, None)],
    ),
    "semaphore(n=2)": (
        [("acquire", None, None), ("acquire", None, None), ("acquire", None, False)],
        [("acquire", None, None), ("acquire", None, False)],
    ),
    "fenced-lock": (
        [("acquire", None, 3), ("release", 3, None), ("acquire", None, 7), ("use", 7, None)],
        [("acquire", None, 3), ("release", 3, None), ("acquire", None, 2)],
    ),
    "log": (
        [("append", "a", 0), ("append", "b", 1), ("read", 1, "b"), ("read", 2, None)],
        [("append", "a", 0), ("append", "b", 0)],
    ),
    "append": (
        [("append", 4, 4), ("append", 5, 5), ("read", None, [4, 5])],
        [("append", 4, 4), ("append", 5, 5), ("read", None, [5, 4])],
    ),
    "counter(bounds)": (
        [("add", 2, 2), ("read", None, 2)],
        [("add", 2, 2), ("read", None, 3)],
    ),
    "unique-ids": ([("generate", None, 1), ("generate", None, 2)], [("generate", None, 1)] * 2),
    "jepsen-set": (
        [("add", 1, 1), ("read", None, [1])],
        [("add", 1, 1), ("read", None, [])],
    ),
    "set-full": (
        [("add", 1, 1), ("read", None, []), ("read", None, [1])],
        [("add", 1, 1), ("read", None, [1]), ("read", None, [])],
    ),
    "long-fork": (
        [("read", None, [["r", "x", 1], ["r", "y", None]])] * 2,
        [
            ("read", None, [["r", "x", 1], ["r", "y", None]]),
            ("read", None, [["r", "x", None], ["r", "y", 1]]),
        ],
    ),
    "bank": (
        [("read", None, {"a": 3, "b": 4}), ("read", None, {"a": 7, "b": 0})],
        [("read", None, {"a": 3, "b": 4}), ("read", None, {"a": 3, "b": 5})],
    ),
    "leader": (
        [("leader", None, [1, "n1"]), ("leader", None, [2, "n2"])],
        [("leader", None, [1, "n1"]), ("leader", None, [1, "n2"])],
    ),
    "list-append": (
        [("txn", [["append", "x", 1]], [["append", "x", 1]])],
        [("txn", [["r", "x", None]], [["r", "x", [1]]])],
    ),
    "rw-register": (
        [("txn", [["w", "x", 1]], [["w", "x", 1]])],
        [("txn", [["r", "x", None]], [["r", "x", 1]])],
    ),
}


def history_of(calls: list[Call]) -> History:
    """One call after the other, by one process."""
    history = History()
    for f, value, result in calls:
        for kind, what in (("invoke", value), ("ok", result)):
            history.add(
                Op(process=0, type=kind, f=f, value=what, time_ns=0)  # type: ignore[arg-type]
            )
    return history


def engines() -> list[Engine]:
    found: list[Engine] = [PythonEngine()]
    if native.available() is None:
        found.append(NativeEngine())
    return found


def test_no_model_is_left_out() -> None:
    assert {name.partition("(")[0] for name in CASES} == {*MODELS}


@pytest.mark.parametrize("name", CASES)
def test_what_is_legal_and_what_is_not(name: str) -> None:
    for calls, verdict in zip(CASES[name], ("VALID", "INVALID"), strict=True):
        for engine in engines():
            found = engine.check(history_of(calls), make_model(name), Budget(seconds=5))
            assert found.validity == verdict, (engine.name, found.reason)
            # List-append has certificates of what is VALID as well.
            assert found.validity == "VALID" or found.certificates


OBJECTS = [name for name in CASES if hasattr(make_model(name), "step")]
FUZZED = 60
FUZZED_SLOWLY = 1000


def random_history(name: str, rng: random.Random) -> History:
    """A few clients at the same time, on an object that keeps the model's promise; in most
    histories some answers are then others, and some are never seen.
    """
    model: Any = make_model(name)
    calls = [call for calls in CASES[name] for call in calls]
    state = model.initial()
    history = History()
    open_: dict[int, tuple[str, Any, Any, bool]] = {}
    process = list(range(3))
    begun = 0
    lies = 0.5 if rng.random() < 0.6 else 0.0
    while begun < 8 or open_:
        client = rng.randrange(3)
        if client not in open_:
            if begun < 8:
                begun += 1
                f, value, _ = rng.choice(calls)
                open_[client] = (f, value, None, False)
                history.add(Op(process=process[client], type="invoke", f=f, value=value))
            continue
        f, value, result, done = open_[client]
        answers = [r for g, _, r in calls if g == f] + list(range(0 if f in ("txn", "add") else 14))
        rng.shuffle(answers)
        who = process[client] if model.by_process else -1
        fitting = [
            Asked(f, value, r, process=who) for r in answers if acceptable(model, f, value, r)
        ]
        if not done:
            legal = [call for call in fitting if model.step(state, call) is not None]
            if legal:
                state = model.step(state, legal[0])
                open_[client] = (f, value, legal[0].result, True)
                continue
        del open_[client]
        if not done or rng.random() < 0.1:
            # It can never happen here, or nobody hears of it.
            kind: Any = "fail" if not done else "info"
            history.add(Op(process=process[client], type=kind, f=f, value=value))
            process[client] = max(process) + 1
            continue
        if fitting and rng.random() < lies:
            result = rng.choice(fitting).result
        history.add(Op(process=process[client], type="ok", f=f, value=result))
    return history


def acceptable(model: Any, f: str, value: Any, result: Any) -> bool:
    try:
        model.accepts(Asked(f, value, result))
    except UserError:
        return False
    return True


def disagreements(name: str, count: int) -> tuple[list[str], dict[str, int]]:
    """Histories on which the engines differ, and how often each verdict came."""
    model = make_model(name)
    said = {"VALID": 0, "INVALID": 0, "UNKNOWN": 0}
    wrong = []
    for seed in range(count):
        history = random_history(name, random.Random(seed))
        one = PythonEngine().check(history, model, Budget(seconds=5))
        other = NativeEngine().check(history, model, Budget(seconds=5))
        said[one.validity.value] += 1
        if one.validity is not other.validity:
            wrong.append(f"seed {seed}: python {one.validity}, native {other.validity}")
    return wrong, said


needs_native = pytest.mark.skipif(
    native.available() is not None, reason=f"no native engine: {native.available()}"
)


@needs_native
@pytest.mark.parametrize("name", OBJECTS)
def test_both_engines_agree(name: str) -> None:
    wrong, said = disagreements(name, FUZZED)
    assert not wrong, wrong[:5]
    assert said["VALID"] or said["INVALID"]


@needs_native
@pytest.mark.slow
@pytest.mark.parametrize("name", OBJECTS)
def test_both_engines_agree_on_many(name: str) -> None:
    wrong, _ = disagreements(name, FUZZED_SLOWLY)
    assert not wrong, wrong[:5]
