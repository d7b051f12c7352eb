"""Where everybody's events of a run go: one writer, and a disk that may be full.

The first error of the operating system is kept and not raised, so that a full disk ends the chaos
by the runner's hand and not in the middle of an undo. What comes after it waits in memory (the
chaos is over by then, so that is little) and is written at the end, if the disk has room again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dissensus.harness.events import EventWriter
from dissensus.harness.ops import Op

KEYS_KEPT = 1_000
"""Keys remembered for the last reads; a workload reads fewer."""


class Recorder:
    """Writes events.jsonl; `op` and `write` never raise."""

    def __init__(
        self,
        path: Path,
        header: Mapping[str, Any],
        *,
        on_op: Callable[[Op], None] | None = None,
        on_event: Callable[[Mapping[str, Any]], None] | None = None,
    ) -> None:
        """Raises OSError where the file cannot even be begun."""
        self._writer = EventWriter(path, header, on_op=on_op, on_event=on_event)
        self._keys: dict[Any, None] = {}
        self.succeeded: set[str] = set()
        """Every f that was ok once."""
        self.error: OSError | None = None
        """Why the history is incomplete, once it is."""

    def op(self, op: Op) -> None:
        """An operation began or ended."""
        if op.type == "ok":
            self.succeeded.add(op.f)
        elif op.type == "invoke" and type(op.key) in (int, str):
            self._keys.pop(op.key, None)
            self._keys[op.key] = None
            if len(self._keys) > KEYS_KEPT:
                del self._keys[next(iter(self._keys))]
        try:
            self._writer.op(op)
        except OSError as error:
            self.error = self.error or error

    def write(self, event: Mapping[str, Any]) -> None:
        """Something else happened: a whole event, `ev` and `t` included."""
        try:
            self._writer.write(event)
        except OSError as error:
            self.error = self.error or error

    def flush(self) -> None:
        """Hand what is buffered to the operating system."""
        try:
            self._writer.flush()
        except OSError as error:
            self.error = self.error or error

    def close(self) -> None:
        """The last flush."""
        try:
            self._writer.close()
        except OSError as error:
            self.error = self.error or error

    def keys(self) -> list[Any]:
        """Keys that operations named, the one used last last."""
        return list(self._keys)
