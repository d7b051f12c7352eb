"""A history in memory: columns, one row per operation, with names and values interned.

Flat arrays keep ten million operations in a few hundred megabytes, are what engines take, and go
into the report's data block as they are. Row order is invocation order. `inv` and `ret` are
positions in the event stream: they, not the time stamps, say what happened before what (a row with
`ret[a] < inv[b]` precedes b in real time).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from dissensus.harness.errors import UserError
from dissensus.harness.ops import Op

INFO, OK, FAIL = 0, 1, 2
OUTCOMES = ("info", "ok", "fail")
_CODE = {"info": INFO, "ok": OK, "fail": FAIL}


class Intern:
    """Values seen so far, each with a small number. Equal JSON means equal value."""

    __slots__ = ("_ids", "values")

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._ids: dict[Any, int] = {}

    def add(self, value: Any) -> int:
        """The number of `value`, a new one if it was never seen."""
        # A type tag keeps 1, 1.0 and True apart; lists and dicts are keyed by their JSON.
        key: Any = (type(value), value)
        if isinstance(value, list | dict | tuple):
            key = (list, msgspec.json.encode(value))
        found = self._ids.get(key)
        if found is None:
            found = self._ids[key] = len(self.values)
            self.values.append(list(value) if isinstance(value, tuple) else value)
        return found


class History:
    """Operations as columns. Build it with `add` (one event at a time, in order) or `from_ops`."""

    def __init__(self) -> None:
        self.inv = array("q")
        """Event position of the invocation."""
        self.ret = array("q")
        """Event position of the completion, -1 while open: an open operation counts as `info`."""
        self.t_inv = array("q")
        self.t_ret = array("q")
        """Times in ns since the start of the run; t_ret is -1 while open."""
        self.process = array("i")
        self.f = array("H")
        self.key = array("i")
        self.arg = array("i")
        """Interned value at the invocation."""
        self.result = array("i")
        """Interned value at the completion; equal to `arg` while open."""
        self.outcome = array("B")
        """INFO, OK or FAIL."""
        self.node = array("h")
        self.error = array("h")
        self.extra: dict[int, dict[str, Any]] = {}
        """Row -> hints, for the rows that have any."""
        self.fs = Intern()
        self.values = Intern()
        self.keys = Intern()
        self.names = Intern()
        """Node and error names; number 0 is None."""
        self.names.add(None)
        self._open: dict[int, int] = {}
        self.events = 0

    def __len__(self) -> int:
        return len(self.inv)

    def add(self, op: Op) -> int:
        """Add one event; returns its row. Raises UserError when a completion has no invocation or
        vice versa.
        """
        position = op.index if op.index >= 0 else self.events
        self.events = max(self.events, position + 1)
        if op.type == "invoke":
            return self._invoke(op, position)
        row = self._open.pop(op.process, None)
        if row is None:
            raise UserError(
                f"event {position}: process {op.process} completes {op.f!r} ({op.type}) "
                "without an invoke"
            )
        self.ret[row] = position
        self.t_ret[row] = op.time_ns
        self.outcome[row] = _CODE[op.type]
        if op.value is not None or op.type == "ok":
            self.result[row] = self.values.add(op.value)
        if op.node is not None:
            self.node[row] = self.names.add(op.node)
        if op.error is not None:
            self.error[row] = self.names.add(op.error)
        if op.x:
            self.extra[row] = {**self.extra.get(row, {}), **op.x}
        return row

    def _invoke(self, op: Op, position: int) -> int:
        if op.process in self._open:
            raise UserError(
                f"event {position}: process {op.process} invokes {op.f!r} while event "
                f"{self.inv[self._open[op.process]]} of the same process is still open"
            )
        row = len(self.inv)
        self._open[op.process] = row
        value = self.values.add(op.value)
        self.inv.append(position)
        self.ret.append(-1)
        self.t_inv.append(op.time_ns)
        self.t_ret.append(-1)
        self.process.append(op.process)
        self.f.append(self.fs.add(op.f))
        self.key.append(self.keys.add(op.key))
        self.arg.append(value)
        self.result.append(value)
        self.outcome.append(INFO)
        self.node.append(self.names.add(op.node))
        self.error.append(0)
        if op.x:
            self.extra[row] = dict(op.x)
        return row

    @classmethod
    def from_ops(cls, ops: Iterable[Op]) -> History:
        """A history from events in order."""
        history = cls()
        for op in ops:
            history.add(op)
        return history

    def f_of(self, row: int) -> str:
        return str(self.fs.values[self.f[row]])

    def key_of(self, row: int) -> Any:
        return self.keys.values[self.key[row]]

    def arg_of(self, row: int) -> Any:
        return self.values.values[self.arg[row]]

    def result_of(self, row: int) -> Any:
        return self.values.values[self.result[row]]

    def node_of(self, row: int) -> str | None:
        name = self.names.values[self.node[row]]
        return None if name is None else str(name)

    def error_of(self, row: int) -> str | None:
        name = self.names.values[self.error[row]]
        return None if name is None else str(name)

    def last_time_ns(self) -> int:
        """Time of the last event, 0 in an empty history."""
        if not len(self):
            return 0
        latest_return = max(self.t_ret)
        return max(self.t_inv[-1], latest_return)

    def rows_by_key(self) -> dict[Any, list[int]]:
        """Key number -> its rows, in order."""
        split: dict[int, list[int]] = {}
        for row, key in enumerate(self.key):
            split.setdefault(key, []).append(row)
        return split

    def ops(self) -> Iterator[Op]:
        """The events again, in the order of their positions."""
        events: list[tuple[int, int, bool]] = []
        for row in range(len(self)):
            events.append((self.inv[row], row, True))
            if self.ret[row] >= 0:
                events.append((self.ret[row], row, False))
        events.sort()
        for position, row, is_invoke in events:
            yield self._event(row, position, is_invoke)

    def _event(self, row: int, position: int, is_invoke: bool) -> Op:
        return Op(
            f=self.f_of(row),
            key=self.key_of(row),
            value=self.arg_of(row) if is_invoke else self.result_of(row),
            process=self.process[row],
            type="invoke" if is_invoke else OUTCOMES[self.outcome[row]],  # type: ignore[arg-type]
            time_ns=self.t_inv[row] if is_invoke else self.t_ret[row],
            index=position,
            node=self.node_of(row),
            error=None if is_invoke else self.error_of(row),
            x=self.extra.get(row) if not is_invoke else None,
        )
