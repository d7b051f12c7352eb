"""Counters: objects that hold a whole number, 0 at first."""

from __future__ import annotations

from typing import Any, ClassVar

from dissensus.checkers.models.base import Object, Spec, is_number, options_text
from dissensus.harness.checker import Call


class Counter(Object):
    """A counter that is linearizable: add n, inc and dec (by 1, or by their value), and read, which
    finds the sum exactly. An `add` says nothing of the sum.
    """

    NAMES: ClassVar = {
        "add": "add",
        "inc": "add",
        "increment": "add",
        "dec": "dec",
        "decrement": "dec",
        "read": "read",
    }
    READS = frozenset({"read"})

    def __init__(self, spec: Spec) -> None:
        spec.only("init")
        self._initial = spec.whole("init", 0, least=-(10**18))
        self.name = options_text(spec.name, [f"init={self._initial}"] if self._initial else [])

    def initial(self) -> int:
        return self._initial

    def accepts(self, op: Call) -> None:
        super().accepts(op)
        what = self.what(op)
        if what == "read":
            if op.known and not is_number(op.result):
                self.refuse(op, "finds a whole number")
        elif not is_number(op.value) and (op.value is not None or op.f == "add"):
            self.refuse(op, "takes a whole number")

    def step(self, state: int, op: Call) -> int | None:
        what = self.what(op)
        if what == "read":
            return state if not op.known or op.result == state else None
        amount: int = 1 if op.value is None else op.value
        return state - amount if what == "dec" else state + amount


class FetchAndAdd(Object):
    """fetch-and-add n answers with the number before, add-and-fetch with the number after; read."""

    NAMES: ClassVar = {
        "fetch-and-add": "before",
        "fetch-and-inc": "before",
        "get-and-add": "before",
        "get-and-inc": "before",
        "faa": "before",
        "add-and-fetch": "after",
        "add-and-get": "after",
        "inc-and-get": "after",
        "read": "read",
    }
    READS = frozenset({"read"})

    def __init__(self, spec: Spec) -> None:
        spec.only("init")
        self._initial = spec.whole("init", 0, least=-(10**18))
        self.name = options_text(spec.name, [f"init={self._initial}"] if self._initial else [])

    def initial(self) -> int:
        return self._initial

    def accepts(self, op: Call) -> None:
        super().accepts(op)
        if op.known and not is_number(op.result):
            self.refuse(op, "answers with a whole number")
        if self.what(op) != "read" and op.value is not None and not is_number(op.value):
            self.refuse(op, "takes a whole number")

    def step(self, state: int, op: Call) -> int | None:
        what = self.what(op)
        amount: int = 0 if what == "read" else 1 if op.value is None else op.value
        answer = state + amount if what == "after" else state
        said: Any = op.result if op.known else answer
        return state + amount if said == answer else None
