"""The lines of `events.jsonl`: how a run is written down while it happens, and read again.

Line 1 is `{"ev":"run","schema":1,...}`, the last one of a run that came to its end is
`{"ev":"end","t","outcome","phase","error","left"}`: outcome is "complete", "interrupted" or
"failed", phase the one in which that happened and error in words why (both null where it did not),
left lists what teardown could not remove. A `fault-measured` has the time when the fault was
`injected`, its `fault-end` that of the `undo`: between them it was in force. Each line is one JSON
object with `ev`: run, phase, op, fault-begin, fault-measured, fault-end, node, spec, mark, end.
Readers skip kinds that they do not know. There is one writer; its bytes are in the hands of the
operating system at most half a second after an event, so that a harness killed by SIGKILL loses
less than a second and at most the end of one line.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import msgspec

from dissensus.harness.errors import UserError
from dissensus.harness.ops import Op

SCHEMA = 1
FLUSH_SECONDS = 0.5
"""Half of the second that a SIGKILL may cost; the other half is the runner's tick."""
FLUSH_BYTES = 1 << 18
"""Beyond this the buffer goes out early: it keeps memory flat at any rate."""


class OpLine(msgspec.Struct, tag_field="ev", tag="op"):
    """An operation event as a line."""

    i: int
    t: int
    p: int
    type: str
    f: str
    k: Any = None
    v: Any = None
    node: str | None = None
    err: str | None = None
    x: dict[str, Any] | None = None


_encoder = msgspec.json.Encoder()


def op_line(op: Op) -> bytes:
    """The line of an operation, newline included."""
    line = OpLine(
        op.index, op.time_ns, op.process, op.type, op.f, op.key, op.value, op.node, op.error, op.x
    )
    return _encoder.encode(line) + b"\n"


def op_of(line: Mapping[str, Any]) -> Op:
    """The operation of a decoded line."""
    return Op(
        f=line["f"],
        key=line.get("k"),
        value=line.get("v"),
        process=line["p"],
        type=line["type"],
        time_ns=line["t"],
        index=line["i"],
        node=line.get("node"),
        error=line.get("err"),
        x=line.get("x"),
    )


class EventWriter:
    """Appends events to a file, and hands each to the consumers that watch the run."""

    def __init__(
        self,
        path: Path,
        header: Mapping[str, Any],
        *,
        on_op: Callable[[Op], None] | None = None,
        on_event: Callable[[Mapping[str, Any]], None] | None = None,
    ) -> None:
        self._file: IO[bytes] = path.open("xb", buffering=0)
        self._buffer = bytearray()
        self._flushed = time.monotonic()
        self._on_op = on_op
        self._on_event = on_event
        self.ops = 0
        """Operation events so far: the index of the next one."""
        self.write({"ev": "run", "schema": SCHEMA, **header})
        self.flush()

    def op(self, op: Op) -> None:
        """Write an operation event; gives it its index."""
        op.index = self.ops
        self.ops += 1
        self._buffer += op_line(op)
        if self._on_op is not None:
            self._on_op(op)
        self._due()

    def write(self, event: Mapping[str, Any]) -> None:
        """Write an event of another kind: `ev` and its fields, `t` among them in ns."""
        self._buffer += _encoder.encode(event) + b"\n"
        if self._on_event is not None:
            self._on_event(event)
        self._due()

    def _due(self) -> None:
        if len(self._buffer) > FLUSH_BYTES or time.monotonic() - self._flushed > FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Hand everything to the operating system. The runner's tick calls it, so that the last
        events before a silence are not held. After an OSError the rest may be flushed again: no
        byte is written twice.
        """
        while self._buffer:
            with memoryview(self._buffer) as view:
                written = self._file.write(view)
            del self._buffer[:written]
        self._flushed = time.monotonic()

    def close(self) -> None:
        """Flush and close; nothing may be written after it."""
        try:
            self.flush()
        finally:
            self._file.close()


def read_events(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a file, decoded, in order. A last line without its newline is left out: the
    harness was killed while it wrote. Raises UserError with file, line and column for others.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            try:
                event = msgspec.json.decode(line)
                if not isinstance(event, dict) or "ev" not in event:
                    raise UserError(f"{path}:{number}:1: not an event: an object with 'ev' is")
            except msgspec.DecodeError as error:
                at = re.search(r"byte (\d+)", str(error))
                column = int(at[1]) + 1 if at else len(line)
                raise UserError(f"{path}:{number}:{column}: not JSON: {error}") from None
            if number == 1:
                check_header(event, path)
            yield event


def check_header(event: Mapping[str, Any], path: Path) -> None:
    """A UserError where line 1 is not a header that this version reads."""
    if event["ev"] != "run":
        raise UserError(f"{path}:1:1: line 1 must be the run's header, found {event['ev']!r}")
    if event.get("schema") != SCHEMA:
        raise UserError(
            f"{path}:1:1: schema {event.get('schema')!r}, this version reads schema {SCHEMA}"
        )
