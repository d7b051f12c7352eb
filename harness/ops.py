"""The operation: what one logical client asked of the system, and what came of it.

A *process* is a logical client that does one operation at a time. `fail` means it certainly did not
happen; `info` means it may have happened and may still happen, for ever, so an `info` ends its
process: the scheduler gives the thread a new process number.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

OpType = Literal["invoke", "ok", "fail", "info"]


class Op(msgspec.Struct, kw_only=True, gc=False):
    """One event of one operation: its invocation or its completion.

    `value` is the argument at the invocation and the result at the completion (a read's
    value, a cas's [old, new]).
    """

    f: str
    key: Any = None
    value: Any = None
    process: int = -1
    type: OpType = "invoke"
    time_ns: int = -1
    """Nanoseconds since the start of the run."""
    index: int = -1
    """Position of the event in the history; -1 before it is recorded."""
    node: str | None = None
    """The node that the client talked to, where known."""
    error: str | None = None
    """Short name of what went wrong (`fail` and `info`)."""
    x: dict[str, Any] | None = None
    """Hints for checkers: revision, term, final ..."""
