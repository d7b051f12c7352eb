"""Counters: objects that hold a whole number, 0 at first."""

from __future__ import annotations

from typing import ClassVar

from dissensus.checkers.models.base import Object, Spec, is_number
from dissensus.harness.checker import Call


class Number(Object):
    """What counters share.

    init=N          the number at first, 0 by default
    nil=unknown     a read of null says nothing
    """

    OPTIONS: ClassVar[tuple[str, ...]] = ("init", "nil")

    def __init__(self, spec: Spec) -> None:
        spec.only(*self.OPTIONS)
        self._initial = spec.whole("init", 0, least=-(2**63))
        self._nil_is_unknown = spec.choice("nil", ("absent", "unknown"), "absent") == "unknown"
        self.name = spec.text

    def initial(self) -> int:
        return self._initial

    def _amount(self, op: Call) -> int:
        """What an operation adds."""
        raise NotImplementedError

    def _answer(self, state: int, op: Call) -> int | None:
        """What it says of the number, None where it says nothing."""
        raise NotImplementedError

    def is_read(self, op: Call) -> bool:
        return self._amount(op) == 0

    def accepts(self, op: Call) -> None:
        super().accepts(op)
        if self.what(op) != "read":
            optional = op.value is None and "add" not in op.f.lower() and op.f[:3] != "sub"
            if not optional and not is_number(op.value):
                self.refuse(op, "takes a whole number")
        said = op.known and self._answer(0, op) is not None
        silent = op.result is None and (self._nil_is_unknown or self.what(op) != "read")
        if said and not silent and not is_number(op.result):
            self.refuse(op, "answers with a whole number")

    def is_blind(self, op: Call) -> bool:
        """A read that says nothing."""
        silent = not op.known or op.result is None or self._answer(0, op) is None
        return self.is_read(op) and silent

    def step(self, state: int, op: Call) -> int | None:
        answer = self._answer(state, op)
        if op.known and answer is not None and op.result is not None and op.result != answer:
            return None
        return state + self._amount(op)


class Counter(Number):
    """A counter that is linearizable: add n, inc and dec (by 1, or by their value), and read, which
    finds the sum exactly. An `add` says nothing of the sum.
    """

    NAMES: ClassVar = {
        "add": "add",
        "inc": "add",
        "increment": "add",
        "incr": "add",
        "dec": "dec",
        "decrement": "dec",
        "decr": "dec",
        "sub": "dec",
        "subtract": "dec",
        "read": "read",
        "get": "read",
    }

    def _amount(self, op: Call) -> int:
        sign = {"add": 1, "dec": -1, "read": 0}[self.what(op)]
        return sign * (1 if op.value is None or not sign else int(op.value))

    def _answer(self, state: int, op: Call) -> int | None:
        return state if self.what(op) == "read" else None


class FetchAndAdd(Number):
    """fetch-and-add n answers with the number before, add-and-get with the number after; read.

    returns=old|new     add and inc answer with the number before (the default), or after
    """

    NAMES: ClassVar = {
        "fetch-and-add": "old",
        "fetch-and-inc": "old",
        "fetch-and-increment": "old",
        "get-and-add": "old",
        "get-and-increment": "old",
        "fetch-add": "old",
        "faa": "old",
        "add": "old",
        "inc": "old",
        "add-and-get": "new",
        "inc-and-get": "new",
        "increment-and-get": "new",
        "read": "read",
        "get": "read",
    }
    OPTIONS = ("init", "nil", "returns")

    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        self._returns = spec.options.get("returns")
        spec.choice("returns", ("old", "new"), "old")

    def _amount(self, op: Call) -> int:
        if self.what(op) == "read":
            return 0
        return 1 if op.value is None else int(op.value)

    def _answer(self, state: int, op: Call) -> int | None:
        what = self.what(op)
        returns = what if what == "read" else self._returns or what
        return state + self._amount(op) if returns == "new" else state
