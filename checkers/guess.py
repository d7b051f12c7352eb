"""Guesses the model of a history from its operations, and says why.

Where two models have the same operations, the guess is the one that asks for less: a wrong guess
must not accuse anybody.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from dissensus.harness.errors import UserError
from dissensus.harness.history import History

SAMPLE_MAX = 1000
"""Operations of each name whose values are looked at."""


class Guess(NamedTuple):
    """A model and why it is that one."""

    model: str
    reason: str


class Seen:
    """The operations of a history: names, and some values of each."""

    def __init__(self, history: History) -> None:
        self.fs = fs = [str(f) for f in history.fs.values]
        self.args: dict[str, list[Any]] = {f: [] for f in fs}
        self.results: dict[str, list[Any]] = {f: [] for f in fs}
        left = len(fs)
        for row in range(min(len(history), SAMPLE_MAX * max(1, len(fs)))):
            f = history.f_of(row)
            if len(self.args[f]) < SAMPLE_MAX:
                self.args[f].append(history.arg_of(row))
                self.results[f].append(history.result_of(row))
                left -= len(self.args[f]) == SAMPLE_MAX
                if not left:
                    break

    def has_only(self, *known: str) -> bool:
        """There is no other operation than these."""
        return set(self.fs) <= set(known)

    def some(self, f: str, test: Callable[[Any], bool], *, arg: bool = False) -> bool:
        """Some value of the operation is so."""
        return any(map(test, (self.args if arg else self.results).get(f, ())))


def guess(history: History, *, nil_is_unknown: bool = False) -> Guess:
    """The model of a history. `nil_is_unknown`: it comes from where a read of nil says nothing.
    Raises UserError where no model has its operations.
    """
    seen = Seen(history)
    found = (
        _transactions(seen)
        or _registers(seen, nil_is_unknown=nil_is_unknown)
        or _sets(seen)
        or _by_names(seen)
    )
    if found is None:
        names = ", ".join(sorted(seen.fs)) or "none"
        raise UserError(f"no model has the operations {names}: choose one with --model")
    names = ", ".join(sorted(seen.fs))
    return Guess(found[0], f"the operations are {names}{found[1]}")


def _parts(value: Any) -> list[Any]:
    """The names of the micro-operations of a transaction."""
    if not isinstance(value, list) or not all(isinstance(p, list) and len(p) == 3 for p in value):
        return []
    return [part[0] for part in value]


def _transactions(seen: Seen) -> tuple[str, str] | None:
    kinds: set[Any] = set()
    for f in seen.fs:
        for value in (*seen.args[f], *seen.results[f]):
            kinds.update(kind for kind in _parts(value) if isinstance(kind, str))
    if seen.has_only("txn"):
        if "append" in kinds:
            return "list-append(level=strict-serializable)", " of appends and reads"
        if {"read", "write"} & kinds:
            return "multi-register", " of reads and writes"
        return "rw-register(level=strict-serializable)", " of reads and writes of registers"
    if seen.has_only("read", "write") and {"r", "w"} & kinds:
        return "long-fork", ", the reads are of several keys"
    return None


def _registers(seen: Seen, *, nil_is_unknown: bool) -> tuple[str, str] | None:
    nil = "(nil=unknown)" if nil_is_unknown else ""
    if seen.has_only("read", "transfer") and seen.some("read", lambda v: isinstance(v, dict)):
        return "bank", ", the reads are of balances"
    if seen.has_only("read", "write", "cas"):
        name = "cas-register" if "cas" in seen.fs else "register"
        return f"{name}{nil}", ", a read of nil says nothing" if nil else ""
    return None


def _sets(seen: Seen) -> tuple[str, str] | None:
    if not seen.has_only("add", "read", "inc", "dec", "increment", "decrement", "broadcast"):
        return None
    if seen.some("read", lambda v: isinstance(v, list)):
        reads = [value for value in seen.results["read"] if isinstance(value, list)]
        name = "jepsen-set" if len(reads) == 1 else "set-full"
        return name, f", {'one read finds a list' if len(reads) == 1 else 'the reads find lists'}"
    if seen.has_only("add", "read") and seen.some("read", lambda v: isinstance(v, int)):
        return "counter(bounds)", ", the reads find numbers"
    if "broadcast" not in seen.fs:
        return "counter", ""
    return "g-set", ""


FAMILIES = {
    "unique-ids": {"generate"},
    "kv": {"get", "put", "append", "delete", "cas"},
    "append": {"append", "read"},
    "queue": {"enqueue", "dequeue", "enq", "deq", "peek", "offer", "poll"},
    "stack": {"push", "pop", "peek", "top"},
    "priority-queue": {"insert", "poll", "peek"},
    "set": {"add", "remove", "contains", "insert", "delete", "read"},
    "log": {"send", "poll", "append", "read"},
    "mutex": {"acquire", "release", "lock", "unlock", "try-acquire", "try-lock"},
    "semaphore(init=0)": {"INCR", "DECR", "incr", "decr"},
    "rmw-register": {"READ_MODIFY_WRITE", "read-modify-write", "rmw"},
    "fetch-and-add": {"fetch-and-add", "fetch-and-inc", "add-and-get", "faa", "read"},
    "deque": {
        f"{verb}-{end}"
        for verb in ("push", "pop", "peek", "add", "offer", "poll", "remove")
        for end in ("front", "back", "first", "last", "left", "right")
    },
}
"""Model -> names that point to it; the first that has all of them is the guess."""


def _by_names(seen: Seen) -> tuple[str, str] | None:
    plain = {squeezed(f) for f in seen.fs}
    for model, names in FAMILIES.items():
        if plain and plain <= {squeezed(name) for name in names}:
            return _refined(model, seen)
    return None


def _refined(model: str, seen: Seen) -> tuple[str, str]:
    """Where results tell two models apart that have the same operations."""
    lists = seen.some("read", lambda v: isinstance(v, list))
    if model == "append" and not lists and seen.some("append", lambda v: isinstance(v, int)):
        return "log", ", appends answer with offsets"
    if model == "mutex" and seen.some("acquire", lambda v: type(v) is int and v > 1):
        return "fenced-lock", ", acquires answer with tokens"
    if model == "kv" and "append" in seen.fs:
        return "kv-append", ", appends begin with empty text"
    return model, ""


def squeezed(name: str) -> str:
    """A name without case and separators."""
    return name.replace("-", "").replace("_", "").lower()
