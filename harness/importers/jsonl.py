"""Reads a history that was recorded elsewhere: JSON, an operation event a line.

    {"process": 0, "type": "invoke", "f": "write", "key": "x", "value": 3, "time": 1200}
    {"process": 0, "type": "ok", "f": "write", "key": "x", "value": 3, "time": 1900}

`process`, `type` and `f` are needed; `key`, `value`, `time` (ns), `node` and `error` may be left
out; the short names of events.jsonl (`p`, `k`, `v`, `t`, `err`) do as well; other fields are
ignored, and so are lines whose `ev` is not "op" and every `info` of a process that has a name (what
a nemesis did). Real time is the order of the lines. A wrong line is a UserError with file, line and
column.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from dissensus.harness.errors import UserError, unknown_name
from dissensus.harness.history import History
from dissensus.harness.importers.events import TYPES, Builder
from dissensus.harness.ops import Op

LINE_BYTES_MAX = 1 << 20
"""A line that is longer is not one operation."""
NAMES = {
    "process": ("process", "p"),
    "type": ("type",),
    "f": ("f",),
    "key": ("key", "k"),
    "value": ("value", "v"),
    "time": ("time", "t", "time_ns"),
    "node": ("node",),
    "error": ("error", "err"),
}
"""Field -> the names that it may have, the first that is there counts."""


def read_history(path: Path) -> History:
    """The history of a file. Raises UserError with `file:line:column` for what cannot be read."""
    history = History()
    number = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            for op in operations(line, f"{path}:{number}"):
                add(history, op, line, f"{path}:{number}")
    if not len(history):
        raise UserError(f"{path}: no operation in {number} lines")
    return history


def read_array(text: str, path: str) -> History:
    """The history in an array of events, as elle-cli writes it."""
    try:
        events = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        at = re.search(r"byte (\d+)", str(error))
        before = text.encode()[: int(at[1]) if at else None]
        line = before.count(b"\n") + 1
        column = len(before) - before.rfind(b"\n")
        raise UserError(f"{path}:{line}:{column}: not JSON: {error}") from None
    except RecursionError:
        raise UserError(f"{path}:1:1: lists or objects inside each other, too deep") from None
    builder = Builder(lambda at: f"{path}: event {at}")
    for number, fields in enumerate(events):
        if not isinstance(fields, dict):
            raise UserError(f"{path}: event {number}: expected an object, found {fields!r}")
        if fields.get("ev", "op") == "op":
            found = {field: value_of(fields, names) for field, names in NAMES.items()}
            builder.add(found, number)
    return builder.finish()


def add(history: History, op: Op, line: bytes, place: str) -> None:
    """Add an event that fits those before it; what completes must be what was invoked."""
    try:
        row = history.add(op)
    except UserError as error:
        fail(place, line, "process", str(error))
    f, key = history.f_of(row), history.key_of(row)
    if op.f != f:
        fail(place, line, "f", f"process {op.process} completes {op.f!r}, and invoked {f!r}")
    if op.key is not None and op.key != key:
        fail(place, line, "key", f"process {op.process} completes key {op.key!r}, not {key!r}")


def operations(line: bytes, place: str) -> Iterator[Op]:
    """The operation event of a line; none for an empty line or one of another kind."""
    if not line.strip():
        return
    if len(line) > LINE_BYTES_MAX:
        raise UserError(f"{place}:1: a line of {len(line)} bytes, at most {LINE_BYTES_MAX}")
    try:
        fields = msgspec.json.decode(line.decode())
    except UnicodeDecodeError as error:
        raise UserError(f"{place}:{error.start + 1}: not UTF-8: {error.reason}") from None
    except msgspec.DecodeError as error:
        at = re.search(r"byte (\d+)", str(error))
        column = min(int(at[1]), len(line)) + 1 if at else len(line.rstrip(b"\r\n")) + 1
        raise UserError(f"{place}:{column}: not JSON: {error}") from None
    except RecursionError:
        raise UserError(f"{place}:1: lists or objects inside each other, too deep") from None
    if not isinstance(fields, dict):
        raise UserError(f"{place}:1: expected an object, found {type(fields).__name__}")
    if fields.get("ev", "op") != "op":
        return
    found = {field: value_of(fields, names) for field, names in NAMES.items()}
    for needed in ("process", "type", "f"):
        if found[needed] is None:
            raise UserError(f"{place}:1: no {needed!r} in {shortened(line)}")
    if isinstance(found["process"], str) and found["type"] == "info":
        return
    yield checked(found, line, place)


def value_of(fields: dict[str, Any], names: tuple[str, ...]) -> Any:
    """The value of the first name that is there."""
    return next((fields[name] for name in names if name in fields), None)


def checked(found: dict[str, Any], line: bytes, place: str) -> Op:
    """The operation, or a UserError that names the field."""
    process, kind, f, time = (found[name] for name in ("process", "type", "f", "time"))
    if not isinstance(process, int) or isinstance(process, bool) or not 0 <= process < 2**31:
        fail(place, line, "process", f"process must be a number from 0, not {process!r}")
    if kind not in TYPES:
        fail(place, line, "type", str(unknown_name("type", str(kind), TYPES)))
    if not isinstance(f, str):
        fail(place, line, "f", f"f must be a name, not {f!r}")
    if time is not None and (not isinstance(time, int | float) or not 0 <= time < 2**63):
        fail(place, line, "time", f"time must be nanoseconds from 0, not {time!r}")
    return Op(
        process=process,
        type=kind,
        f=f,
        key=found["key"],
        value=found["value"],
        time_ns=-1 if time is None else int(time),
        node=None if found["node"] is None else str(found["node"]),
        error=None if found["error"] is None else str(found["error"]),
    )


def fail(place: str, line: bytes, field: str, why: str) -> NoReturn:
    """Raise a UserError at the column where the field stands."""
    positions = [line.find(f'"{name}"'.encode()) for name in NAMES[field]]
    column = min((p for p in positions if p >= 0), default=0) + 1
    raise UserError(f"{place}:{column}: {why}")


def shortened(line: bytes) -> str:
    """The beginning of a line, for messages."""
    text = line.decode(errors="replace").strip()
    return text if len(text) <= 60 else text[:57] + "..."
