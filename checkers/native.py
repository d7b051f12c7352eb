"""The door to the native engine (`checkers/engine/`): histories that live in it, and its verdicts.

Nothing here makes an object for each operation: Python sees columns by the buffer protocol, asks
for the values that it shows, and gets verdicts as one JSON text.
"""

from __future__ import annotations

import functools
import importlib
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from dissensus.harness.errors import UserError
from dissensus.harness.history import History, Intern
from dissensus.harness.ops import Op

MODULE = "dissensus.checkers._engine"
NO_VALUE = 0xFFFF_FFFF
"""In a column of values: there is none."""

Watch = Callable[[int, int, int, int], None]
"""Called now and then with (operations, keys done, keys, configurations)."""


@functools.cache
def _module() -> Any:
    return importlib.import_module(MODULE)


def available() -> str | None:
    """Why the native engine cannot be used; None where it can."""
    try:
        _module()
    except ImportError as error:
        return f"the native engine is not there ({error})"
    return None


class Values(Intern):
    """The values of a native history, by number: made when somebody looks at one."""

    def __init__(self, native: Any) -> None:
        self.values = cast("list[Any]", _Lookup(native))

    def add(self, value: Any) -> int:
        raise TypeError("a history of the engine does not change")


class _Lookup:
    def __init__(self, native: Any) -> None:
        self._native = native

    def __getitem__(self, number: int) -> Any:
        return self._native.value(number)


class Names(Intern):
    """Names of operations."""

    def __init__(self, names: list[str]) -> None:
        self.values = list(names)


class NativeHistory(History):
    """A history that lives in the engine: the same columns and look-ups as `History`, read only.

    `native` is the engine's own object. Numbers in `key`, `arg`, `result`, `node` and `error` are
    the engine's, and not places in a list.
    """

    def __init__(self, native: Any) -> None:
        self.native = native
        self.inv = self._column("inv")
        self.ret = self._column("ret")
        self.t_inv = self._column("inv_ns")
        self.t_ret = self._column("ret_ns")
        self.process = self._column("process")
        self.f = self._column("f")
        self.key = self._column("key")
        self.arg = self._column("arg")
        self.result = self._column("result")
        self.outcome = self._column("outcome")
        self.node = self._column("node")
        self.error = self._column("error")
        self.extra = {}
        self.fs = Names(native.fs())
        self.values = self.keys = self.names = Values(native)

    def _column(self, name: str) -> array[int]:
        # A memoryview does all that is asked of an array that nobody changes.
        return cast("array[int]", memoryview(self.native.column(name)))

    def add(self, op: Op) -> int:
        raise TypeError("a history of the engine does not change")

    def node_of(self, row: int) -> str | None:
        return self._name(self.node, row)

    def error_of(self, row: int) -> str | None:
        return self._name(self.error, row)

    def _name(self, column: array[int], row: int) -> str | None:
        if not len(column) or column[row] == NO_VALUE:
            return None
        found = self.native.value(column[row])
        return found if isinstance(found, str) else str(found)


def read(
    path: Path,
    *,
    format: str | None = None,
    salvage: bool = False,
    cpu_s: float | None = None,
    memory_bytes: int | None = None,
    watch: Watch | None = None,
) -> NativeHistory:
    """The history of a file, its format found by content. Raises UserError with the place of what
    is wrong.
    """
    try:
        native = _module().read(
            path,
            format=format,
            salvage=salvage,
            cpu_s=cpu_s,
            memory_bytes=memory_bytes,
            watch=watch,
        )
    except ValueError as error:
        raise UserError(str(error)) from None
    return NativeHistory(native)


def native_of(history: History) -> Any:
    """The engine's own object of a history: its own, or one made of the columns."""
    if isinstance(history, NativeHistory):
        return history.native
    columns = {
        name: getattr(history, name)
        for name in ("process", "f", "key", "arg", "result", "outcome", "node", "inv", "ret")
    }
    columns |= {"t_inv": history.t_inv, "t_ret": history.t_ret}
    fs = [str(f) for f in history.fs.values]
    try:
        return _module().History(
            columns, history.values.values, history.keys.values, fs, history.names.values
        )
    except (ValueError, BufferError) as error:
        raise UserError(f"the native engine cannot take this history: {error}") from None
