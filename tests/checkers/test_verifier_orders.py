"""Certificates of every object: those of illegal histories hold, those of legal ones never do, and
what was tampered with is refused.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from dissensus.checkers import native
from dissensus.checkers.linearizability import PythonEngine
from dissensus.checkers.models import make_model
from dissensus.checkers.native import NativeEngine
from dissensus.checkers.verifier_orders import linearizability, linearization
from dissensus.harness.checker import Budget, Call, Engine, Model
from dissensus.harness.errors import UserError
from dissensus.harness.history import OK, History
from dissensus.harness.ops import Op
from dissensus.harness.verdict import Certificate, Contradiction, OverBudget, Validity

Fs = tuple[tuple[str, tuple[Any, ...]], ...]

ELEMENTS = (None, 1, 2, 3)
CASES: dict[str, tuple[Fs, tuple[Any, ...]]] = {
    "register": ((("read", (None,)), ("write", (1, 2, None))), ELEMENTS),
    "cas-register(failed-cas=asserts)": (
        (("read", (None,)), ("write", (1, 2)), ("cas", ([1, 2], [2, 1], [2, 3], [None, 1]))),
        (*ELEMENTS, False),
    ),
    "rmw-register": (
        (("READ", (None,)), ("WRITE", (0, 1)), ("READ_MODIFY_WRITE", ([0, 1], [1, 2], [2, 0]))),
        (0, 1, 2, None),
    ),
    "kv": (
        (("get", (None,)), ("put", ("a", 5)), ("append", ("b",)), ("delete", (None,))),
        ("a", 5, "ab", "abb", "b", None),
    ),
    "kv-append": (
        (("get", (None,)), ("put", ("a", "b")), ("append", ("a", "b"))),
        ("", "a", "b", "ab", "ba", "bb", "aa"),
    ),
    "counter": ((("add", (1, 2)), ("dec", (1,)), ("read", (None,))), (-1, 0, 1, 2, 3, 4)),
    "fetch-and-add": ((("add", (1,)), ("add-and-get", (2,)), ("read", (None,))), (0, 1, 2, 3, 4)),
    "multi-register(init=0)": (
        (
            ("txn", ([["write", "x", 1]], [["read", "x", None], ["write", "y", 2]])),
            ("txn", ([["read", "x", None], ["read", "y", None]],)),
        ),
        (
            [["read", "x", 0], ["write", "y", 2]],
            [["read", "x", 1], ["write", "y", 2]],
            [["write", "x", 1]],
            [["read", "x", 1], ["read", "y", 0]],
            [["read", "x", 0], ["read", "y", 2]],
            [["read", "x", 1], ["read", "y", 2]],
            [["read", "x", 0], ["read", "y", 0]],
        ),
    ),
    "set": ((("add", (1, 2)), ("remove", (1, 2)), ("contains", (1, 2))), (0, 1)),
    "g-set": ((("add", (1, 2)), ("read", (None,))), ([], [1], [2], [1, 2])),
    "queue": ((("enqueue", (1, 2, 3)), ("dequeue", (None,))), ELEMENTS),
    "stack": ((("push", (1, 2, 3)), ("pop", (None,))), ELEMENTS),
    "priority-queue": ((("insert", (1, 2, 3)), ("poll", (None,))), ELEMENTS),
    "deque": (
        (
            ("push-front", (1, 2)),
            ("push-back", (3,)),
            ("pop-front", (None,)),
            ("pop-back", (None,)),
        ),
        ELEMENTS,
    ),
    "mutex": ((("acquire", (None,)), ("release", (None,))), (None, False)),
    "reentrant-mutex": ((("acquire", (None,)), ("release", (None,))), (None, False)),
    "semaphore(n=2)": ((("acquire", (None,)), ("release", (None,))), (None, False)),
    "fenced-lock": (
        (("acquire", (None,)), ("release", (None,)), ("use", (1, 2))),
        (1, 2, 3, False, None),
    ),
    "log": ((("append", (7, 8)), ("read", (0, 1))), (0, 1, 2, 7, 8, None)),
    "append": ((("append", (1, 2)), ("read", (None,))), ([], [1], [2], [1, 2], [2, 1], [1, 1])),
}


SILENT = ("g-set", "queue", "stack", "priority-queue", "deque", "append", "kv", "kv-append")
"""Objects whose updates say no more than that they were done."""


class Run:
    """A random run of an object, that lies now and then."""

    def __init__(self, name: str, rng: random.Random, *, lies: float) -> None:
        self.model: Any = make_model(name)
        self.fs, self.results = CASES[name]
        self.rng = rng
        self.lies = lies
        self.state = self.model.initial()

    def history(self, operations: int) -> History:
        rng, events = self.rng, list[Op]()
        clients = rng.randrange(2, 5)
        process = list(range(clients))
        open_: dict[int, tuple[Op, Op | None]] = {}
        begun = 0
        while begun < operations or open_:
            client = rng.randrange(clients)
            if client not in open_:
                if begun < operations:
                    f, args = rng.choice(self.fs)
                    op = Op(f=f, value=rng.choice(args), process=process[client], type="invoke")
                    open_[client] = op, None
                    events.append(op)
                    begun += 1
                continue
            op, done = open_[client]
            if done is None and rng.random() < 0.1:
                self.happen(op, "info")
                process[client] += clients
                del open_[client]
            elif done is None:
                open_[client] = op, self.happen(op, "ok")
            else:
                events.append(done)
                del open_[client]
        return History.from_ops(events)

    def happen(self, op: Op, kind: str) -> Op:
        """The operation takes effect, if it can."""
        rng = self.rng
        lie = kind == "ok" and rng.random() < self.lies
        results = rng.sample(self.results, len(self.results)) if kind == "ok" else [None]
        if op.value is not None and self.model.name in SILENT:
            results = [op.value]
        if op.f in {"release", "unlock"}:
            results = [None]
        if op.f == "txn" and kind == "ok":
            results = [r for r in results if [x[:2] for x in r] == [x[:2] for x in op.value]]
        for result in results:
            call = Call(op.f, op.value, result, kind, process=op.process)
            try:
                self.model.accepts(call)
                after = self.model.step(self.state, call)
            except UserError:
                continue
            if after is not None or lie:
                self.state = self.state if after is None or lie else after
                return msgspec.structs.replace(op, type="ok", value=result)
        return msgspec.structs.replace(op, type="fail")


def holds(history: History, certificate: Certificate) -> bool | None:
    try:
        linearizability(history, certificate)
    except Contradiction:
        return False
    except OverBudget:
        return None
    return True


def engines() -> list[Engine]:
    return [PythonEngine()] if native.available() else [PythonEngine(), NativeEngine()]


@pytest.mark.parametrize("name", CASES)
def test_illegal_histories_have_certificates_that_hold_and_legal_ones_none(name: str) -> None:
    rng = random.Random(name)
    model = make_model(name)
    seen = {validity: 0 for validity in Validity}
    for _ in range(40):
        history = Run(name, rng, lies=0.2).history(rng.randrange(3, 8))
        verdicts = [engine.check(history, model, Budget()) for engine in engines()]
        assert len({verdict.validity for verdict in verdicts}) == 1
        seen[verdicts[0].validity] += 1
        for verdict in verdicts:
            for certificate in verdict.certificates:
                if certificate.kind == "linearizability":
                    assert holds(history, certificate), (verdict.engine, certificate)
                    assert certificate.story
                    tampered_is_refused(history, certificate)
        if verdicts[0].validity is Validity.VALID:
            for lie in lies(history, model, rng):
                assert holds(history, lie) is not True
    assert min(seen[Validity.VALID], seen[Validity.INVALID]) >= 2, seen


def lies(history: History, model: Any, rng: random.Random) -> Iterator[Certificate]:
    """Certificates that could have been made."""
    ok = [row for row in range(len(history)) if history.outcome[row] == OK]
    for _ in range(6 if ok else 0):
        blocked = rng.choice(ok)
        end = history.ret[blocked]
        kept = [r for r in range(len(history)) if history.inv[r] < end and history.outcome[r] != 2]
        kept = [row for row in kept if row == blocked or rng.random() < 0.7]
        gaps = []
        for row in range(len(history)):
            gap: dict[str, Any] = {"f": history.f_of(row), "arg": history.arg_of(row)}
            gap |= {"known": False, "process": history.process[row]}
            gap |= {"to": history.inv[row]} if rng.random() < 0.5 else {"from": history.ret[row]}
            gaps += [gap] if rng.random() < 0.4 and history.ret[row] >= 0 else []
        yield claim(history, model, kept=kept, gaps=gaps, end=end, blocked=blocked, repeat=False)


def claim(history: History, model: Model, *, blocked: int, **data: Any) -> Certificate:
    data |= {"model": model.name, **({"key": None} if model.by_key else {})}
    return Certificate(kind="linearizability", summary="", blocked=[blocked], data=data)


def tampered_is_refused(history: History, right: Certificate) -> None:
    data = right.data
    kept, gaps, end = data["kept"], data["gaps"], data["end"]
    others = [row for row in range(len(history)) if row not in kept]

    def changed(**parts: Any) -> Certificate:
        return msgspec.structs.replace(right, data={**data, **parts})

    wrong = [
        changed(end=end + 1),
        changed(end=end - 1),
        changed(key="another"),
        changed(kept=[]),
        changed(kept=[*kept, len(history) + 3]),
        changed(kept=[row for row in kept if row not in right.blocked]),
        msgspec.structs.replace(right, blocked=[others[0] if others else 99]),
        *(changed(gaps=[*gaps[:i], {**gap, "from": -2, "to": end}, *gaps[i + 1 :]])
          for i, gap in enumerate(gaps) if others_of(history, right, gap)),
    ]  # fmt: skip
    if data.get("minimal", False):
        # One thing less, and it is legal.
        wrong += [changed(gaps=[*gaps[:i], *gaps[i + 1 :]]) for i in range(len(gaps))]
    for certificate in wrong:
        assert holds(history, certificate) is not True, (right, certificate.data)


def others_of(history: History, certificate: Certificate, gap: dict[str, Any]) -> list[int]:
    """The operations that may not be in a gap, of those that are not kept."""
    kept = certificate.data["kept"]
    return [
        row
        for row in range(len(history))
        if history.f_of(row) == gap["f"] and history.arg_of(row) == gap["arg"]
        and row not in kept and history.inv[row] < certificate.data["end"]
        and history.outcome[row] != 2
        and history.result_of(row) in ((gap["result"],) if gap["known"] else (None, gap["arg"]))
        and gap.get("process", -1) in {-1, 0, history.process[row]}
    ]  # fmt: skip


def test_orders_are_replayed() -> None:
    ops = [
        Op(f="enqueue", value=1, process=0, type="invoke"),
        Op(f="enqueue", value=1, process=0, type="ok"),
        Op(f="enqueue", value=2, process=0, type="invoke"),
        Op(f="dequeue", process=1, type="invoke"),
        Op(f="enqueue", value=2, process=0, type="ok"),
        Op(f="dequeue", value=1, process=1, type="ok"),
        Op(f="enqueue", value=9, process=2, type="invoke"),
        Op(f="enqueue", value=9, process=2, type="fail"),
    ]
    history = History.from_ops(ops)

    def order(*rows: int) -> Certificate:
        data = {"model": "queue", "order": list(rows)}
        return Certificate(kind="linearization", summary="", data=data)

    linearization(history, order(0, 1, 2))
    linearization(history, order(0, 2, 1))
    for wrong in ((0, 2), (1, 0, 2), (0, 2, 1, 1), (0, 1, 2, 3), (0, 1, 2, 7), (2, 0, 1), ()):
        with pytest.raises(Contradiction):
            linearization(history, order(*wrong))


REFUSED = (
    # (the token that a release names, what it answers) after an acquire of token 7; legal?
    (7, False, False),
    (6, False, True),
    (None, False, True),
    (7, None, True),
    (6, None, False),
)


@pytest.mark.parametrize(("token", "answer", "legal"), REFUSED)
def test_a_release_that_is_refused(token: int | None, answer: Any, legal: bool) -> None:
    """It says that its token is not the current one; both engines and the verifier agree."""
    ops = [
        Op(f="acquire", process=0, type="invoke"),
        Op(f="acquire", value=7, process=0, type="ok"),
        Op(f="release", value=token, process=0, type="invoke"),
        Op(f="release", value=answer, process=0, type="ok"),
    ]
    history = History.from_ops(ops)
    engines = [PythonEngine(), *([] if native.available() else [native.NativeEngine()])]
    for engine in engines:
        found = engine.check(history, make_model("fenced-lock"), Budget(seconds=5))
        assert (found.validity is Validity.VALID) == legal, engine.name
        for certificate in found.certificates:
            linearizability(history, certificate)


def test_an_acquire_that_is_open_at_the_cut_keeps_its_token() -> None:
    """Its token was used before it returned: that is legal, and what is wrong is the last read."""
    ops = [
        Op(f="acquire", process=0, type="invoke"),
        Op(f="use", value=9, process=1, type="invoke"),
        Op(f="use", value=True, process=1, type="ok"),
        Op(f="release", value=3, process=2, type="invoke"),
        Op(f="release", value=True, process=2, type="ok"),
        Op(f="acquire", value=9, process=0, type="ok"),
    ]
    history = History.from_ops(ops)
    found = PythonEngine().check(history, make_model("fenced-lock"), Budget(seconds=5))
    (certificate,) = found.certificates
    assert certificate.blocked == [2]
    linearizability(history, certificate)
