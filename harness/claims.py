"""A history as programs see it that check claims about it: operations row by row, and values as
text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from dissensus.harness.history import FAIL, INFO, OK, History

FOREVER = 1 << 62
NEVER = (-1, (1 << 32) - 1)
"""The position of a return that never came, in a history of Python's and in one of the engine."""

_LOCK = "acquire|lock|try|release|unlock"
_REGISTER = "read|write|cas|rmw"
_NUMBER = "add|inc|dec|sub|get|read|fetch|faa"
_KV = "get|read|put|write|append|del"
_SET = "add|insert|remove|del|contains|member|read|broadcast"
_TAKEN = "enq|offer|push|insert|add|deq|poll|pop|remove|peek|top"
NAMES = {
    **dict.fromkeys(("register", "cas-register", "rmw-register"), _REGISTER),
    **dict.fromkeys(("kv", "kv-append"), _KV),
    **dict.fromkeys(("counter", "fetch-and-add"), _NUMBER),
    **dict.fromkeys(("set", "g-set"), _SET),
    **dict.fromkeys(("queue", "stack", "deque", "priority-queue"), _TAKEN),
    **dict.fromkeys(("mutex", "reentrant-mutex"), _LOCK),
    "semaphore": f"{_LOCK}|incr|decr",
    "fenced-lock": f"{_LOCK}|use|write",
    "multi-register": "txn|read|write",
    "log": "append|send|read|poll",
    "append": "append|add|read|get",
}
"""How the names of an object's operations begin, without case and separators."""
OWNED = ("reentrant-mutex",)
"""Objects of which it matters who does an operation."""


class Op(NamedTuple):
    """An operation as a model sees it."""

    f: str
    arg: Any
    result: Any = None
    known: bool = False
    failed: bool = False
    process: int = -1


def text(value: Any) -> str:
    """A value as text: equal values have equal text."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def plain(f: str) -> str:
    """The name of an operation without case and separators."""
    return re.sub("[-_]", "", f).lower()


def options_of(model: str) -> tuple[str, dict[str, str]]:
    """The parts of a model's name: "cas-register(init=0;nil=unknown)"."""
    kind, _, rest = model.strip().rstrip(")").partition("(")
    parts = (part.partition("=") for part in rest.split(";"))
    options = {name.strip(): value.strip() for name, _, value in parts}
    return kind.strip(), {("init" if k == "initial" else k): v for k, v in options.items()}


def ops_of(
    history: History, kind: str, *, key: Any, asserting: str
) -> Iterator[tuple[int, int, Op]]:
    """(row, return or FOREVER, operation) of each row that counts: of the key (all keys: `...`),
    and not failed, unless the operation's name begins with the pattern `asserting`. Rows that
    differ in nothing share one operation. Raises ValueError for an operation that the
    kind of object does not have.
    """
    known: dict[tuple[int, ...], Op | None] = {}
    for row, outcome in enumerate(history.outcome):
        who = history.process[row] if kind in OWNED else -1
        value = history.arg[row], history.result[row], history.key[row]
        numbers = (history.f[row], *value, outcome, who)
        if numbers not in known:
            f, ok = plain(history.f_of(row)), outcome == OK
            counts = key is ... or text(history.key_of(row)) == text(key)
            if counts and not re.match(NAMES[kind], f):
                raise ValueError(f"the model has no operation {f}")
            result = history.result_of(row) if ok else None
            op = Op(f, history.arg_of(row), result, ok, outcome == FAIL, who)
            known[numbers] = op if counts and (outcome != FAIL or re.match(asserting, f)) else None
        counted = known[numbers]
        if counted is not None:
            over = outcome != INFO and history.ret[row] not in NEVER
            yield row, history.ret[row] if over else FOREVER, counted
