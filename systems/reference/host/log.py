"""Log lines of a node on stderr: one JSON object a line, and `PANIC` lines for checkers to find."""

from __future__ import annotations

import json
import sys
import time
import traceback
from typing import Any, TextIO

LINES_PER_S_MAX = 200
"""More than this says nothing new and would slow the node down; the rest is counted."""


class StructuredLog:
    """Wall-clock time is for people: nothing reads it back."""

    def __init__(self, node: str, stream: TextIO | None = None) -> None:
        self.node = node
        self._stream = stream
        self._second = 0
        self._lines = 0

    def line(self, event: str, /, **fields: Any) -> None:
        """One line, unless this second had too many."""
        now = time.time()
        if int(now) != self._second:
            if self._lines > LINES_PER_S_MAX:
                self._write(now, "suppressed", {"lines": self._lines - LINES_PER_S_MAX})
            self._second, self._lines = int(now), 0
        self._lines += 1
        if self._lines <= LINES_PER_S_MAX:
            self._write(now, event, fields)

    def decided(self, text: str) -> None:
        """What this node took for decided, for the checkers of decisions: none is left out."""
        self._print(text)

    def panic(self, reason: str) -> None:
        """The line by which the checker no-panic finds a node that stopped itself."""
        self._print(f"PANIC {self.node}: {' '.join(reason.split())}")

    def trace(self, error: BaseException) -> None:
        """Where it came from, for whoever debugs the node."""
        self._print("".join(traceback.format_exception(error)).rstrip())

    def _write(self, now: float, event: str, fields: dict[str, Any]) -> None:
        value = {"t": round(now, 6), "node": self.node, "event": event, **fields}
        self._print(json.dumps(value, default=repr))

    def _print(self, text: str) -> None:
        print(text, file=self._stream or sys.stderr, flush=True)
