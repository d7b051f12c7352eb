"""Registers and maps: cells that hold the value that was written last.

The state of a cell is the JSON text of its value, so that 1, "1" and true stay apart and everything
that a client can write is hashable.
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from dissensus.checkers.models.base import Object, Spec, options_text, text_of
from dissensus.harness.checker import Call, Part
from dissensus.harness.errors import UserError

NIL = ("absent", "unknown")


class Register(Object):
    """read and write of one value.

    init=VALUE      what a key holds before the first write; null (or nil) by default
    nil=absent      an ok read of null saw that nothing is there; the default
    nil=unknown     an ok read of null says nothing
    """

    NAMES: ClassVar = {"read": "read", "write": "write"}
    READS = frozenset({"read"})
    OPTIONS: ClassVar[tuple[str, ...]] = ("init", "nil")

    def __init__(self, spec: Spec) -> None:
        spec.only(*self.OPTIONS)
        init = spec.value("init")
        self._initial = text_of(init)
        self._nil_is_unknown = spec.choice("nil", NIL, "absent") == "unknown"
        self._failed_asserts = (
            spec.choice("failed-cas", ("dropped", "asserts"), "dropped") == "asserts"
        )
        options = [f"init={self._initial}"] if init is not None else []
        options += ["nil=unknown"] if self._nil_is_unknown else []
        options += ["failed-cas=asserts"] if self._failed_asserts else []
        self.name = options_text(spec.name, options)

    def initial(self) -> str:
        return self._initial

    def _silent(self, op: Call) -> bool:
        """A read that says nothing."""
        return not op.known or (op.result is None and self._nil_is_unknown)

    def is_blind(self, op: Call) -> bool:
        return self.what(op) == "write" or (self.what(op) == "read" and self._silent(op))

    def step(self, state: str, op: Call) -> str | None:
        if self.what(op) == "write":
            return text_of(op.value)
        return state if self._silent(op) or text_of(op.result) == state else None


class CasRegister(Register):
    """read, write and cas: `value` of a cas is [expected, new].

    A cas that completes as `ok` with the result false did not change anything, and says that the
    register held another value than the expected one. So does one that completes as `fail` under
    failed-cas=asserts; by default (failed-cas=dropped) it says nothing.
    """

    NAMES: ClassVar = {"read": "read", "write": "write", "cas": "cas"}
    OPTIONS = ("init", "nil", "failed-cas")

    def _refused(self, op: Call) -> bool:
        return self.what(op) == "cas" and (op.type == "fail" or (op.known and op.result is False))

    def is_read(self, op: Call) -> bool:
        return self.what(op) == "read" or self._refused(op)

    def part(self, op: Call) -> Part:
        if self.what(op) == "cas" and op.type == "fail" and self._failed_asserts:
            return Part.MUST
        return super().part(op)

    def accepts(self, op: Call) -> None:
        super().accepts(op)
        if self.what(op) == "cas" and (not isinstance(op.value, list) or len(op.value) != 2):
            raise UserError(f"cas takes [expected, new], not {text_of(op.value)}")

    def step(self, state: str, op: Call) -> str | None:
        if self.what(op) != "cas":
            return super().step(state, op)
        matches = text_of(op.value[0]) == state
        if self._refused(op):
            return None if matches else state
        return text_of(op.value[1]) if matches else None


class RmwRegister(Object):
    """An operation that reads the old value and writes a new one at once: its value is
    [old, new]. read and write beside it.
    """

    NAMES: ClassVar = {
        "rmw": "rmw",
        "read-modify-write": "rmw",
        "READ_MODIFY_WRITE": "rmw",
        "read": "read",
        "write": "write",
    }
    READS = frozenset({"read"})

    def __init__(self, spec: Spec) -> None:
        spec.only("init")
        init = spec.value("init", 0)
        self._initial = text_of(init)
        self.name = options_text(spec.name, [f"init={self._initial}"] if init != 0 else [])

    def initial(self) -> str:
        return self._initial

    def is_blind(self, op: Call) -> bool:
        return self.what(op) == "write" or super().is_blind(op)

    def accepts(self, op: Call) -> None:
        super().accepts(op)
        rmw = self.what(op) == "rmw"
        if rmw and (not isinstance(op.value, list) or len(op.value) != 2):
            self.refuse(op, "takes [old, new]")

    def step(self, state: str, op: Call) -> str | None:
        match self.what(op):
            case "write":
                return text_of(op.value)
            case "read":
                return state if not op.known or text_of(op.result) == state else None
        return text_of(op.value[1]) if text_of(op.value[0]) == state else None


class MultiRegister(Object):
    """Registers that are read and written together: an operation is a list of ["read", k, v] and
    ["write", k, v] ("r" and "w" do as well), and happens as one. The state holds the registers that
    differ from their initial value.
    """

    NAMES: ClassVar = {"txn": "txn", "read": "txn", "write": "txn"}
    by_key = False
    READ = ("read", "r")
    WRITE = ("write", "w")

    def __init__(self, spec: Spec) -> None:
        spec.only("init", "nil")
        init = spec.value("init")
        self._initial = text_of(init)
        self._nil_is_unknown = spec.choice("nil", NIL, "absent") == "unknown"
        options = [f"init={self._initial}"] if init is not None else []
        options += ["nil=unknown"] if self._nil_is_unknown else []
        self.name = options_text(spec.name, options)

    def initial(self) -> frozenset[tuple[str, str]]:
        return frozenset()

    def _parts(self, op: Call) -> list[list[Any]]:
        """The reads and writes of an operation, with what the reads found where that is known."""
        if isinstance(op.result, list) and op.known:
            return list(op.result)
        return op.value if isinstance(op.value, list) else []

    def is_read(self, op: Call) -> bool:
        return all(part[0] in self.READ for part in self._parts(op))

    def is_blind(self, op: Call) -> bool:
        return False

    def accepts(self, op: Call) -> None:
        def fits(part: Any) -> bool:
            return (
                isinstance(part, list) and len(part) == 3 and part[0] in (*self.READ, *self.WRITE)
            )

        super().accepts(op)
        if not isinstance(op.value, list) or not all(fits(part) for part in self._parts(op)):
            self.refuse(op, 'takes a list of ["read", key, value] and ["write", key, value]')

    def step(
        self, state: frozenset[tuple[str, str]], op: Call
    ) -> frozenset[tuple[str, str]] | None:
        cells = dict(state)
        for kind, key, value in self._parts(op):
            cell = text_of(key)
            if kind in self.WRITE:
                cells[cell] = text_of(value)
                continue
            seen = op.known and isinstance(op.result, list)
            silent = not seen or (value is None and self._nil_is_unknown)
            if not silent and cells.get(cell, self._initial) != text_of(value):
                return None
        return frozenset(item for item in cells.items() if item[1] != self._initial)


class KeyValue(Object):
    """get, put, append and delete of one key; append adds text to text.

    init=VALUE      what a key holds at first and after a delete: null by default in kv, empty text
                    (init=empty) in kv-append, where null and "" are the same
    nil=unknown     a get of null says nothing
    """

    NAMES: ClassVar = {
        "get": "get",
        "read": "get",
        "put": "put",
        "write": "put",
        "append": "append",
        "delete": "delete",
        "del": "delete",
    }
    READS = frozenset({"get"})

    def __init__(self, spec: Spec) -> None:
        spec.only("init", "nil")
        init = spec.options.get("init", "empty" if spec.name == "kv-append" else "nil")
        self._empty = init == "empty"
        self._initial = text_of("" if self._empty else spec.value("init"))
        self._missing = text_of("" if self._empty else None)
        self._nil_is_unknown = spec.choice("nil", NIL, "absent") == "unknown"
        self.name = spec.text

    def initial(self) -> str:
        return self._initial

    def _held(self, value: Any) -> str:
        return self._missing if value is None else text_of(value)

    def _silent(self, op: Call) -> bool:
        return not op.known or (op.result is None and self._nil_is_unknown)

    def is_blind(self, op: Call) -> bool:
        what = self.what(op)
        return what in {"put", "delete"} or (what == "get" and self._silent(op))

    def accepts(self, op: Call) -> None:
        super().accepts(op)
        if self.what(op) == "append" and not isinstance(op.value, str):
            self.refuse(op, "takes text")

    def step(self, state: str, op: Call) -> str | None:
        match self.what(op):
            case "put":
                return self._held(op.value)
            case "delete":
                return self._missing
            case "append":
                held = msgspec.json.decode(state)
                return text_of((held or "") + op.value) if isinstance(held, str | None) else None
        return state if self._silent(op) or self._held(op.result) == state else None
