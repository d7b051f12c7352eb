"""What nodes decided, by their logs: the line that a node writes for each decision, and its reader.

    DECIDED {"incarnation":1,"index":5,"term":2,"value":["write","k",3]}
    DECIDED {"incarnation":2,"index":40,"snapshot":true}

Any system may print such lines, to be judged by the checkers of decisions. `index` is the place in
the log, or the number of the instance; `term` may be left out; `value` is what was decided: [f,
key, argument] of an operation, anything else that can be compared, or null for an entry of the
protocol itself. `incarnation` counts the starts of the node. With "snapshot" a node took over
everything up to `index` at once. What stands before DECIDED in a line does not matter.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

MARKER = b"DECIDED {"
LOG_BYTES_MAX = 256 * 1024 * 1024
"""What is read of one log: a million decisions. A longer one is judged by its beginning."""


class Decision(msgspec.Struct, kw_only=True, frozen=True):
    """One decision of one node."""

    index: int
    value: Any = None
    term: int | None = None
    incarnation: int = 0
    snapshot: bool = False
    node: str = ""
    line: int = 0
    """Where it stands in the node's log, from 1."""
    file: str = ""
    """The log, below the run's folder."""


def decided_line(decision: Decision) -> str:
    """The line of a log, without its end."""
    fields: dict[str, Any] = {"incarnation": decision.incarnation, "index": decision.index}
    if decision.snapshot:
        fields["snapshot"] = True
    else:
        fields |= {"term": decision.term, "value": decision.value}
    return "DECIDED " + msgspec.json.encode(fields).decode()


def read_decisions(directory: Path, path: Path) -> Iterator[Decision]:
    """The decisions of a node's log, in order. A line that cannot be read is passed over: a killed
    node may leave half of one.
    """
    file = str(path.relative_to(directory))
    read = 0
    with path.open("rb") as log:
        for number, line in enumerate(log, 1):
            read += len(line)
            if read > LOG_BYTES_MAX:
                return
            at = line.find(MARKER)
            if at < 0:
                continue
            try:
                found = msgspec.json.decode(line[at + len(MARKER) - 1 :], type=Decision)
            except msgspec.MsgspecError:
                continue
            yield msgspec.structs.replace(found, node=path.parent.name, line=number, file=file)


def operation_value(f: str, key: Any, arg: Any) -> list[Any]:
    """The value of an operation as it is compared: keys are text, as many systems keep them, and
    write and put are one.
    """
    return ["write" if f == "put" else f, key if key is None else str(key), arg]
