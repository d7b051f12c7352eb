"""Checks again what is claimed of sessions: cycles step by step, and reads of what nobody wrote. It
shares no code with what found them.

Each step is read off the rows that it names; that a value has one writer is looked up in the whole
history.
"""

from __future__ import annotations

import re
from typing import Any

from dissensus.harness.claims import NEVER, options_of, plain, text
from dissensus.harness.history import FAIL, INFO, OK, History
from dissensus.harness.verdict import Certificate, Contradiction, OverBudget

INSISTS = {
    "read-your-writes": "p",
    "monotonic-reads": "wp",
    "monotonic-writes": "pwp?",
    "writes-follow-reads": "wp?wp?",
    "PRAM": "p|wp|pwp?",
    "causal": "[pw]+",
    "sequential": "[pw]+",
}
"""Level -> the ways from a write to a read by which the read must have seen it."""


def require(holds: object, why: str) -> None:
    if not holds:
        raise Contradiction(why)


class Registers:
    """What the rows of a history read and wrote."""

    def __init__(self, history: History, model: str) -> None:
        self.history = history
        kind, options = options_of(model)
        if kind not in ("register", "cas-register", "rmw-register", "kv"):
            raise OverBudget(f"the verifier knows no sessions of {kind}")
        first = options.get("init", "0" if kind == "rmw-register" else "nil")
        json_like = re.fullmatch(r"-?\d+|true|false|null|[\[{\"].*", first)
        self.initial = "null" if first in ("nil", "") else first if json_like else text(first)
        self.silent_nil = options.get("nil") == "unknown"

    def key(self, row: int) -> str:
        return text(self.history.key_of(row))

    def wrote(self, row: int) -> str | None:
        f, arg = plain(self.history.f_of(row)), self.history.arg_of(row)
        if self.history.outcome[row] == FAIL or self._refused(row):
            return None
        if f in ("write", "put"):
            return text(arg)
        return text(arg[1]) if f in ("cas", "rmw", "readmodifywrite") else None

    def read(self, row: int) -> str | None:
        f, arg = plain(self.history.f_of(row)), self.history.arg_of(row)
        if self.history.outcome[row] == FAIL or self._refused(row):
            return None
        if f in ("cas", "rmw", "readmodifywrite"):
            return text(arg[0])
        if f not in ("read", "get") or self.history.outcome[row] != OK:
            return None
        value = self.history.result_of(row)
        return None if value is None and self.silent_nil else text(value)

    def _refused(self, row: int) -> bool:
        return self.history.outcome[row] == OK and self.history.result_of(row) is False and (
            plain(self.history.f_of(row)) in ("cas", "rmw", "readmodifywrite")
        )  # fmt: skip

    def writers(self, row: int) -> list[int]:
        """Who may have written what the row read; -1 is that it was there at first."""
        key, value = self.key(row), self.read(row)
        rows = range(len(self.history))
        found = [w for w in rows if w != row and self.wrote(w) == value and self.key(w) == key]
        return [*found, *([-1] if value == self.initial else [])]

    def happened(self, row: int, above: frozenset[int] = frozenset()) -> bool:
        """It is ok, or one that happened read what it wrote."""
        if self.history.outcome[row] == OK:
            return True
        if self.history.outcome[row] == FAIL or row in above or self.wrote(row) is None:
            return False
        key, value, more = self.key(row), self.wrote(row), above | {row}
        return any(
            self.read(r) == value
            and self.key(r) == key
            and self.writers(r) == [row]
            and self.happened(r, more)
            for r in range(len(self.history))
            if r != row
        )

    # -- steps -----------------------------------------------------------------------------------

    def po(self, a: int, b: int) -> None:
        history = self.history
        require(history.process[a] == history.process[b], f"rows {a} and {b}: two processes")
        over = history.outcome[a] == OK and history.ret[a] not in NEVER
        require(over and history.ret[a] < history.inv[b], f"row {a} is not before row {b}")
        between = (c for c in range(a, b) if history.process[c] == history.process[a])
        require(all(history.outcome[c] != INFO for c in between), "the session had ended")

    def wr(self, a: int, b: int) -> None:
        require(self.read(b) is not None, f"row {b} read nothing")
        require(self.writers(b) == [a], f"row {b} need not have read what row {a} wrote")

    def way(self, steps: list[dict[str, Any]], start: int, end: int, level: str) -> None:
        """The steps lead from start to end, and the level insists on them."""
        require(steps and steps[0]["from"] == start and steps[-1]["to"] == end, "no such way")
        kinds = "".join(step["edge"][0] for step in steps)
        require(re.fullmatch(INSISTS[level], kinds), f"{level} does not ask for that")
        for step, after in zip(steps, [*steps[1:], {"from": end}], strict=True):
            require(step["to"] == after["from"], "the steps do not meet")
            self.plain_step(step)

    def plain_step(self, step: dict[str, Any]) -> None:
        a, b = step["from"], step["to"]
        require(self.happened(a) and self.happened(b), f"row {a} or {b} may not have happened")
        if step["edge"] == "po":
            self.po(a, b)
        else:
            require(step["edge"] == "wr", "a step of another kind")
            self.wr(a, b)

    def ww(self, step: dict[str, Any], level: str) -> None:
        """The reader saw `to` and must have seen `from`."""
        a, b, reader = step["from"], step["to"], step["by"]
        self.wr(b, reader)
        require(a not in (b, reader), "a write need not come before itself")
        require(self.wrote(a) is not None and self.key(a) == self.key(b), "two keys")
        self.way(step["path"], a, reader, level)


def cycle(history: History, certificate: Certificate) -> None:
    """Every step is there, and they close."""
    data = certificate.data
    registers, level, steps = Registers(history, data["model"]), data["level"], data["steps"]
    require(steps, "there is no step")
    if steps[0]["edge"] == "rw":
        a, b = steps[0]["from"], steps[0]["to"]
        require(registers.writers(a) == [-1], f"row {a} need not have read the initial value")
        require(registers.wrote(b) is not None, f"row {b} wrote nothing")
        require(a != b and registers.key(a) == registers.key(b), "two keys")
        registers.way(steps[1:], b, a, level)
        return
    for step, after in zip(steps, [*steps[1:], steps[0]], strict=True):
        require(step["to"] == after["from"], "the steps do not close")
        if step["edge"] == "ww":
            registers.ww(step, level)
        else:
            registers.plain_step(step)


def garbage(history: History, certificate: Certificate) -> None:
    """Nobody wrote what the row read, and it was not there at first."""
    data = certificate.data
    registers, row = Registers(history, data["model"]), data["row"]
    require(registers.happened(row) and registers.read(row) is not None, "it read nothing")
    require(not registers.writers(row), "somebody may have written it")
