"""The histories of `data/transactions.txt`, and short words for others."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from dissensus.harness.history import History
from dissensus.harness.ops import Op

FILE = Path(__file__).parent / "data" / "transactions.txt"
TYPES = {"!": "fail", "?": "info"}


class Case(NamedTuple):
    """One line: what is in it, and what is expected."""

    name: str
    workload: str
    text: str
    anomalies: set[str]
    broken: set[str]
    holds: set[str]

    def history(self) -> History:
        return history_of(self.text, lists=self.workload == "list-append")


def cases() -> list[Case]:
    """All lines of the file."""
    found = []
    for line in FILE.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, kind, text, *expected = (part.strip() for part in line.split("|"))
            workload = "list-append" if kind == "list" else "rw-register"
            anomalies, broken, holds = ({*part.split()} - {"-"} for part in expected)
            found.append(Case(name, workload, text, anomalies, broken, holds))
    return found


def history_of(text: str, *, lists: bool) -> History:
    """The history of "0: ax1 rx12; 1? 3-: ay1"."""
    events: list[tuple[float, bool, int]] = []
    txns: list[tuple[int, str, list[list[Any]]]] = []
    for row, part in enumerate(text.split(";")):
        head, ops = part.split(":")
        who, when = (*head.split(), "0-99")[:2]
        begin, end = when.split("-")
        kind = TYPES.get(who[-1], "ok")
        events.append((float(begin), False, row))
        if end and kind != "info":
            events.append((float(end), True, row))
        value = [micro(op, lists=lists) for op in ops.split()]
        txns.append((int(who.rstrip("!?")), kind, value))
    history = History()
    busy: dict[int, int] = {}
    for position, (_, returns, row) in enumerate(sorted(events)):
        process, kind, value = txns[row]
        if not returns and busy.get(process) is not None:
            # A client whose transaction is open for ever goes on: History takes one at a time.
            open_row = busy.pop(process)
            history.outcome[open_row] = 0
            history._open.pop(process, None)
        blank = [[f, k, None if f == "r" else v] for f, k, v in value]
        op = Op(
            f="txn",
            key=None,
            value=value if returns and kind == "ok" else blank,
            process=process,
            type=kind if returns else "invoke",  # type: ignore[arg-type]
            time_ns=position * 1_000_000,
            index=position,
        )
        added = history.add(op)
        if returns:
            busy.pop(process, None)
        else:
            busy[process] = added
    return history


def micro(text: str, *, lists: bool) -> list[Any]:
    """ "ax1" is ["append", "x", 1], "rx12" is ["r", "x", [1, 2]]."""
    values = [int(digit) for digit in text[2:]]
    if text[0] == "r":
        return ["r", text[1], values if lists else (values[0] if values else None)]
    return [{"a": "append", "w": "w"}[text[0]], text[1], values[0]]
