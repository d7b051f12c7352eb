"""Tells an anomaly of transactions: one sentence a step, with operations, values and times."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dissensus.checkers.story import time_text, value_text
from dissensus.harness.history import History
from dissensus.harness.verdict import Certificate

if TYPE_CHECKING:
    from dissensus.checkers.transactions import Anomaly, Step

ROWS_TOLD_MAX = 12
OPS_TOLD_MAX = 6
ENDS = 3
"""Of a longer list the first and last so many elements are shown."""

RULES = {
    "G1a": "({reader}) read {value} of {key}, which ({writer}) had written, and ({writer}) failed",
    "G1b": "({reader}) read {value} of {key}, which was not the last that ({writer}) wrote to it",
    "garbage-read": "({0}) read {value} of {key}, which nobody wrote",
    "duplicate-elements": "({reader}) read {value} of {key} more than once; it was written once",
    "future-read": "({0}) read {value} of {key} before it wrote that itself",
    "internal": "what ({0}) read of {key} contradicts what it had read and written itself",
    "incompatible-order": "({0}) and ({1}) read orders of {key} that do not fit together",
    "dirty-update": "{value} of {key} was written on top of a version whose transaction failed",
    "lost-update": "({0}) and ({1}) read the same version of {key} and both replaced it",
    "fractured-read": "({0}) and ({1}): one read a part of what the other wrote, and missed {key}",
    "fractured-view": "({0}) and ({1}): one read a part of what the other wrote, and then missed "
    "{key}",
    "cyclic-versions": "each of them read a version of {key} and wrote the one that the next read",
    "no-strict-order": "no serial order that keeps real time explains them: all were tried",
    "no-serial-order": "no serial order explains them: all were tried",
}
"""Anomaly -> its sentence."""


class Teller:
    """Words for one anomaly; (1) is the first of its rows."""

    def __init__(self, history: History, anomaly: Anomaly) -> None:
        self._history = history
        self._anomaly = anomaly
        self._number = {row: n for n, row in enumerate(anomaly.rows, 1)}

    def summary(self) -> str:
        anomaly = self._anomaly
        if anomaly.steps:
            round_ = [f"({self._number[step.from_]}) {step.edge}" for step in anomaly.steps]
            first = self._number[anomaly.steps[0].from_]
            return f"{anomaly.name}: {' -> '.join(round_)} -> ({first})"
        return f"{anomaly.name}: {self._rule()}"

    def story(self) -> list[str]:
        rows = self._anomaly.rows
        told = [self._row(row) for row in rows[:ROWS_TOLD_MAX]]
        if len(rows) > ROWS_TOLD_MAX:
            told.append(f"... and {len(rows) - ROWS_TOLD_MAX} more.")
        if not self._anomaly.steps:
            return [*told, f"{self._rule().capitalize()}."]
        told += [f"{self._step(step)}." for step in self._anomaly.steps]
        first = self._number[self._anomaly.steps[0].from_]
        told.append(f"So ({first}) comes before itself: there is no such order.")
        return told

    # -- transactions ----------------------------------------------------------------------------

    def _row(self, row: int) -> str:
        history = self._history
        node = history.node_of(row)
        state = ("outcome unknown", "", "failed")[history.outcome[row]]
        when = self._when(row)
        extra = ", ".join(part for part in (when, state) if part)
        where = f" at {node}" if node else ""
        ops = ", ".join(self._ops(row))
        tail = f" ({extra})" if extra else ""
        return f"({self._number[row]}) process {history.process[row]}{where}: {ops}{tail}."

    def _ops(self, row: int) -> list[str]:
        history = self._history
        done = history.outcome[row] == 1
        found = history.result_of(row)
        ops = found if done and isinstance(found, list) else history.arg_of(row)
        keys = [step.key for step in self._anomaly.steps if row in (step.from_, step.to, step.by)]
        keys.append(self._anomaly.key)
        shown = [op for op in ops if op[1] in keys] or ops
        texts = [micro_text(op, done=done) for op in shown[:OPS_TOLD_MAX]]
        return texts + (["..."] if len(ops) > len(texts) else [])

    def _when(self, row: int) -> str:
        begin, end = self._history.t_inv[row], self._history.t_ret[row]
        if begin < 0:
            return ""
        return time_text(begin) if end < 0 else f"{time_text(begin)} to {time_text(end)}"

    # -- steps -----------------------------------------------------------------------------------

    def _step(self, step: Step) -> str:
        a, b = f"({self._number[step.from_]})", f"({self._number[step.to]})"
        key = f"key {value_text(step.key)}"
        if step.edge == "wr":
            return f"{a} wrote {value_text(step.value)} to {key}, and {b} read it: {a} before {b}"
        if step.edge == "process":
            return f"{a} and {b} are of the same process, {a} before {b}"
        if step.edge == "realtime":
            return f"{a} returned{self._at(step.from_, end=True)} before {b} began" + self._at(
                step.to, end=False
            )
        seen = "the initial version" if step.value is None else value_text(step.value)
        acts = f"{a} read {seen} of {key}" if step.edge == "rw" else f"{a} wrote {seen} to {key}"
        then = f"{b} wrote {value_text(step.next)}, which came later{self._why(step)}"
        return f"{acts}, and {then}: {a} before {b}"

    def _why(self, step: Step) -> str:
        by, also = self._named(step.by), self._named(step.also)
        if step.why == "read":
            return f" (as {by} read)"
        if step.why == "unseen":
            return " (nobody read it)"
        if step.why == "update":
            return f" ({by} had read the one before it wrote the other)"
        if step.why in ("process", "realtime"):
            return f" ({by} knew the one before {also} knew the other)"
        return ""

    def _named(self, row: int | None) -> str:
        return "" if row is None else f"({self._number[row]})"

    def _at(self, row: int, *, end: bool) -> str:
        at = self._history.t_ret[row] if end else self._history.t_inv[row]
        return f" at {time_text(at)}" if at >= 0 else ""

    # -- anomalies without cycles ----------------------------------------------------------------

    def _rule(self) -> str:
        anomaly = self._anomaly
        numbers = [self._number[row] for row in anomaly.rows]
        writers = [row for row in anomaly.rows if self._writes(row)]
        writer = writers[0] if writers else anomaly.rows[0]
        readers = [row for row in anomaly.rows if row != writer] or anomaly.rows
        return RULES[anomaly.name].format(
            *[*numbers, numbers[-1], numbers[-1]],
            writer=self._number[writer],
            reader=self._number[readers[-1]],
            key=f"key {value_text(anomaly.key)}",
            value=value_text(anomaly.value),
        )

    def _writes(self, row: int) -> bool:
        """The row wrote the anomaly's value."""
        key, value = self._anomaly.key, self._anomaly.value
        return any(
            op[0] not in ("r", "read") and op[1] == key and op[2] == value
            for op in self._history.arg_of(row)
        )


def micro_text(op: Any, *, done: bool) -> str:
    """ "append 5 to x", "read [1 2 ... 8 9] of x"."""
    name, key, value = op
    if name not in ("r", "read"):
        verb = "append" if name in ("append", "a") else "write"
        return f"{verb} {value_text(value)} to {value_text(key)}"
    return f"read {list_text(value)} of {value_text(key)}" if done else f"read {value_text(key)}"


def list_text(value: Any) -> str:
    """A list with only its ends where it is long."""
    if not isinstance(value, list):
        return value_text(value)
    parts = [value_text(v) for v in value]
    if len(parts) > 2 * ENDS + 1:
        parts = [*parts[:ENDS], f"... {len(value) - 2 * ENDS} more ...", *parts[-ENDS:]]
    return f"[{' '.join(parts)}]"


def certificate_of(history: History, model: str, anomaly: Anomaly) -> Certificate:
    """The anomaly as a certificate that a verifier can check edge by edge."""
    teller = Teller(history, anomaly)
    data: dict[str, Any]
    if anomaly.steps:
        steps = [
            {
                "from": step.from_,
                "to": step.to,
                "edge": step.edge,
                "key": step.key,
                "value": step.value,
                "next": step.next,
                "why": step.why,
                "by": step.by,
                "also": step.also,
            }
            for step in anomaly.steps
        ]
        kind = "cycle"
        data = {"anomaly": anomaly.name, "steps": steps, "shortest": anomaly.shortest}
    else:
        kind = "txn-anomaly"
        data = {"rule": anomaly.name, "rows": anomaly.rows}
        data |= {"key": anomaly.key, "value": anomaly.value}
    return Certificate(
        kind=kind,
        summary=teller.summary(),
        story=teller.story(),
        ops=anomaly.rows,
        data={"model": model, **data},
    )
