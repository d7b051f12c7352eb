"""Tells why a session guarantee is broken: one sentence a step, with keys and values."""

from __future__ import annotations

from typing import Any

import msgspec

from dissensus.checkers.models.base import plain
from dissensus.checkers.sessions import READS, RULES, WRITES, Step
from dissensus.checkers.story import key_text, value_text
from dissensus.harness.history import INFO, OK, History
from dissensus.harness.verdict import Certificate


def certificate_of(history: History, model: str, level: str, steps: list[Step]) -> Certificate:
    """A cycle as a certificate that a verifier can check step by step."""
    # What the reader failed to see comes first.
    start = next((i for i, step in enumerate(steps) if step.edge in ("ww", "rw")), 0)
    steps = steps[start:] + steps[:start]
    rows = sorted({row for step in steps for row in rows_of(step)})
    teller = Teller(history, rows)
    return Certificate(
        kind="session-cycle",
        summary=teller.summary(level, steps),
        story=teller.story(level, steps),
        ops=rows,
        data={"model": model, "level": level, "steps": msgspec.to_builtins(steps)},
    )


def garbage_of(history: History, model: str, level: str, row: int) -> Certificate:
    """A read of what nobody wrote."""
    teller = Teller(history, [row])
    return Certificate(
        kind="session-garbage",
        summary=f"(1) read {teller.read(row)} of {teller.key(row)}, which nobody wrote",
        story=[teller.act(row)],
        ops=[row],
        data={"model": model, "level": level, "row": row},
    )


def rows_of(step: Step) -> list[int]:
    """All rows of a step."""
    inner = [row for part in step.path for row in rows_of(part)]
    return [step.from_, step.to, *inner, *([] if step.by is None else [step.by])]


class Teller:
    """Words for the rows of a certificate, numbered in their order."""

    def __init__(self, history: History, rows: list[int]) -> None:
        self._history = history
        self._rows = rows
        self._number = {row: f"({n})" for n, row in enumerate(rows, 1)}

    def summary(self, level: str, steps: list[Step]) -> str:
        first, n = steps[0], self._number
        if first.edge == "ww" and first.by is not None:
            reader, missed = first.by, first.from_
        elif first.edge == "rw":
            reader, missed = first.from_, first.to
        else:
            way = " -> ".join(f"{n[step.from_]} {step.edge}" for step in steps)
            return f"operations come before themselves: {way} -> {n[first.from_]}"
        return (
            f"{n[reader]} read {self.read(reader)} of {self.key(reader)} and missed "
            f"{self.wrote(missed)}, which {n[missed]} wrote: it must see {RULES[level]}"
        )

    def story(self, level: str, steps: list[Step]) -> list[str]:
        told = [self.act(row) for row in self._rows]
        for step in steps:
            told += [f"{self._step(part)}." for part in step.path]
            told.append(f"{self._step(step)}.")
        first = self._number[steps[0].from_]
        return [*told, f"So {first} comes before itself: there is no order that is {level}."]

    def act(self, row: int) -> str:
        """ "(1) process 3: write 5 to x (outcome unknown)." """
        history = self._history
        f = plain(history.f_of(row))
        if f in READS:
            what = f"read {self.read(row)} of {self.key(row)}"
        elif f in WRITES:
            what = f"write {self.wrote(row)} to {self.key(row)}"
        else:
            what = f"replace {self.read(row)} of {self.key(row)} by {self.wrote(row)}"
        state = " (outcome unknown)" if history.outcome[row] == INFO else ""
        return f"{self._number[row]} process {history.process[row]}: {what}{state}."

    def key(self, row: int) -> str:
        key: Any = self._history.key_of(row)
        return "the register" if key is None else key_text(key)

    def read(self, row: int) -> str:
        history = self._history
        if plain(history.f_of(row)) in READS:
            return value_text(history.result_of(row) if history.outcome[row] == OK else None)
        return value_text(history.arg_of(row)[0])

    def wrote(self, row: int) -> str:
        value: Any = self._history.arg_of(row)
        return value_text(value if plain(self._history.f_of(row)) in WRITES else value[1])

    def _step(self, step: Step) -> str:
        a, b = self._number[step.from_], self._number[step.to]
        if step.edge == "po":
            return f"{a} came before {b} in the session of process {self._process(step.to)}"
        if step.edge == "wr":
            return f"{a} wrote {self.wrote(step.from_)} to {self.key(step.from_)}, and {b} read it"
        if step.edge == "rw" or step.by is None:
            key = self.key(step.from_)
            return f"{a} read the initial value of {key}: it came before {b}, which wrote to it"
        by, wrote = self._number[step.by], self.wrote(step.to)
        return f"{by} had to see {a} and read {wrote}, which {b} wrote: {a} came before {b}"

    def _process(self, row: int) -> int:
        return self._history.process[row]
