"""From the fields of an event, in whatever notation they were written, to a history.

An event without a process completes the only operation of its name that is open and has none
either, or the only one of its name and value. One without a name is a transaction.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from dissensus.harness.errors import UserError, unknown_name
from dissensus.harness.history import History
from dissensus.harness.ops import Op

TYPES = ("invoke", "ok", "fail", "info")
NO_NAME = "txn"
PROCESS_END = 1 << 31

Where = Callable[[int], str]
"""What stands at an offset: "FILE:LINE:COLUMN"."""


class Builder:
    """A history from events in order. `where` names the place of an offset, for errors."""

    def __init__(self, where: Where) -> None:
        self.history = History()
        self._where = where
        self._loose: list[tuple[int, str, Any]] = []
        """Open operations without a process: (number, name, value)."""
        self._nobodies = 0
        self._somebody = False

    def add(self, fields: dict[str, Any], at: int) -> None:
        """Take the event at an offset."""
        process, kind = fields.get("process"), fields.get("type")
        if kind not in TYPES:
            self._fail(at, str(unknown_name("type", str(kind), TYPES)) if kind else "no type here")
        if isinstance(process, str):
            if kind != "info":
                self._fail(at, "process must be a number from 0 where the type is not info")
            return
        f = fields.get("f") or NO_NAME
        if not isinstance(f, str):
            self._fail(at, f"f must be a name, not {f!r}")
        value = fields.get("value")
        if process is None:
            process = self._nobody(kind, f, value, at)
        elif (
            not isinstance(process, int)
            or isinstance(process, bool)
            or not 0 <= process < PROCESS_END
        ):
            self._fail(at, f"process must be a number from 0, not {process!r}")
        else:
            self._somebody = True
        op = Op(
            process=process,
            type=kind,
            f=f,
            key=fields.get("key"),
            value=value,
            time_ns=self._time(fields.get("time"), at),
            node=_text(fields.get("node")),
            error=_text(fields.get("error")),
        )
        self._enter(op, at)

    def _enter(self, op: Op, at: int) -> None:
        try:
            row = self.history.add(op)
        except UserError as error:
            self._fail(at, str(error))
        f, key = self.history.f_of(row), self.history.key_of(row)
        if op.f != f:
            self._fail(at, f"process {op.process} completes {op.f!r}, and invoked {f!r}")
        if op.key is not None and op.key != key:
            self._fail(at, f"process {op.process} completes key {op.key!r}, not {key!r}")

    def finish(self) -> History:
        """The history. Raises UserError where there is no operation."""
        if not self._somebody:
            process = self.history.process
            for row, number in enumerate(process):
                process[row] = number + PROCESS_END if number < 0 else number
        return self.history

    def _nobody(self, kind: str, f: str, value: Any, at: int) -> int:
        """The number of an operation without a process: below zero."""
        if kind == "invoke":
            number = self._nobodies - PROCESS_END
            self._nobodies += 1
            self._loose.append((number, f, value))
            return number
        named = [one for one in self._loose if one[1] == f]
        same = named if len(named) == 1 else [one for one in named if one[2] == value]
        if len(same) != 1:
            self._fail(at, f"an operation without a process completes {f!r}, and none fits")
        self._loose.remove(same[0])
        return same[0][0]

    def _time(self, time: Any, at: int) -> int:
        if time is None:
            return -1
        if not isinstance(time, int | float) or isinstance(time, bool) or time >= 2**63:
            self._fail(at, f"time must be nanoseconds from 0, not {time!r}")
        return max(-1, int(time))

    def _fail(self, at: int, why: str) -> NoReturn:
        raise UserError(f"{self._where(at)}: {why}")


def place_in(text: str, path: str) -> Where:
    """Names the places of a text by line and column, from 1, columns in bytes."""

    def where(at: int) -> str:
        begin = text.rfind("\n", 0, at) + 1
        return f"{path}:{text.count(chr(10), 0, at) + 1}:{len(text[begin:at].encode()) + 1}"

    return where


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
