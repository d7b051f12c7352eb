"""The DECIDED lines of the reference implementation's nodes."""

from __future__ import annotations

from dissensus.harness.decided import Decision, decided_line
from dissensus.systems.reference.core.durable import COMMAND, Entry


def decided(incarnation: int, index: int, entry: Entry | None) -> str:
    """The line for an entry that was applied; None stands for a snapshot up to `index`."""
    if entry is None:
        return decided_line(Decision(incarnation=incarnation, index=index, snapshot=True))
    value = None
    if entry.kind == COMMAND:
        f, key, *args = entry.op
        value = [f, key, args[0] if len(args) == 1 else args or None]
    return decided_line(
        Decision(incarnation=incarnation, index=index, term=entry.term, value=value)
    )
