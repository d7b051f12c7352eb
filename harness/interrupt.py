"""Ctrl-C during a run: the first ends it in order, the second leaves at once.

The handler only sets a flag, which the runner's tick looks at: so it works in every world, asyncio
or simulator, and no await is torn in the middle of an undo. SIGTERM counts as a Ctrl-C.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

from dissensus.harness.verdict import ExitCode

SIGNALS = (signal.SIGINT, signal.SIGTERM)
SHOW_CURSOR = b"\x1b[?25h"
"""What a live display hides and an abrupt end must bring back."""


class Interrupts:
    """Watches for Ctrl-C while its `with` block runs. Only the main thread of a process can; in
    others nothing is watched.
    """

    def __init__(
        self, *, first: Callable[[], None] = lambda: None, last_words: Callable[[], str]
    ) -> None:
        """`first` is called at the first signal, `last_words` gives what is said at the second."""
        self.asked = False
        """The user wants the run to end."""
        self._first = first
        self._last_words = last_words
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._handle) for number in SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self.asked:
            self.asked = True
            self._first()
            return
        # Nothing is flushed or closed: whatever the first signal began may be in the middle of it.
        restore = SHOW_CURSOR if os.isatty(2) else b""
        os.write(2, restore + b"\n" + self._last_words().encode() + b"\n")
        os._exit(ExitCode.INTERRUPTED)
