"""Tells a certificate of linearizability in words: who did what, where and when, which fault was
active, and why no order of it is legal.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from dissensus.checkers.models import text_of
from dissensus.harness.checker import FaultInterval
from dissensus.harness.history import FAIL, INFO, OK, History
from dissensus.harness.verdict import Certificate

VALUE_CHARS_MAX = 40
"""A longer value is cut: the report shows it whole."""
ROWS_TOLD_MAX = 20
"""More sentences nobody reads; the rows are all in the certificate."""
REGISTER = frozenset({"read", "write", "cas"})
"""Operations that are told in words of their own."""
THE_OBJECT = "the register"
"""What an object without a key is called."""
ACTS_TOLD_MAX = 8
LINKS_MAX = 5
"""Operations that are told because they lead from one value to the next."""


class Teller:
    """Words for the rows of one certificate, numbered in the order of `ops`."""

    def __init__(
        self, history: History, certificate: Certificate, faults: Sequence[FaultInterval]
    ) -> None:
        self._history = history
        self._certificate = certificate
        self._faults = faults
        self._number = {row: i for i, row in enumerate(certificate.ops, 1)}
        self._end: int = certificate.data["end"]
        self._kept = [row for row in certificate.ops if row in set(certificate.data["kept"])]

    def tell(self) -> None:
        """Write summary and story into the certificate."""
        blocked = self._certificate.blocked[0]
        rows = self._certificate.ops[-ROWS_TOLD_MAX:]
        story = [f"{self._act(row)}{self._after(row)}{self._during(row)}." for row in rows]
        if len(rows) < len(self._certificate.ops):
            earlier = len(self._certificate.ops) - len(rows)
            story.insert(0, f"The argument rests on {earlier} earlier operations, and on these:")
        story += self._gaps()
        story.append(self._conclusion(blocked))
        story += [self._fault(fault) for fault in self._active()]
        self._certificate.story = story
        self._certificate.summary = f"{self._act(blocked)}{self._contrast(blocked)}"

    # -- one operation ---------------------------------------------------------------------------

    def _act(self, row: int, *, had: bool = False) -> str:
        """ "(3) process 7 read 4 from key 1 at n2 at 12.310 s", "... had read ..."."""
        node = self._history.node_of(row)
        place = f" at {node}" if node else ""
        who = f"({self._number[row]}) process {self._history.process[row]}"
        return f"{who} {self._verb(row, had=had)}{place}{self._when(row)}"

    def _verb(self, row: int, *, had: bool) -> str:
        history = self._history
        f, key = history.f_of(row), key_text(history.key_of(row))
        arg, result = history.arg_of(row), history.result_of(row)
        if not self._closed(row):
            return f"tried to {effect_text(f, arg, key)}"
        if f == "cas" and (result is False or history.outcome[row] == FAIL):
            found = f"found another value than {value_text(arg[0])} in {key}"
            return f"had {found}" if had else found
        if f == "read":
            return f"{'had ' if had else ''}read {value_text(result)} from {key}"
        if f == "cas":
            change = f"changed {key} from {value_text(arg[0])} to {value_text(arg[1])}"
            return f"had {change}" if had else change
        if f == "write":
            return f"{'had written' if had else 'wrote'} {value_text(arg)} to {key}"
        done = f"{'had done' if had else 'did'} {effect_text(f, arg, key)}"
        if history.outcome[row] == FAIL:
            return f"{done}, which failed"
        if result is None or text_of(result) == text_of(arg):
            return done
        return f"{done} and got {value_text(result)}"

    def _closed(self, row: int) -> bool:
        return self._history.outcome[row] != INFO and 0 <= self._history.ret[row] <= self._end

    def _when(self, row: int) -> str:
        history = self._history
        begin, end = history.t_inv[row], history.t_ret[row]
        if begin < 0:
            return ""
        if self._closed(row):
            first, last = time_text(begin), time_text(end)
            return f" at {last}" if first == last else f" between {first} and {last}"
        if history.outcome[row] == OK:
            return f" since {time_text(begin)}, still under way then"
        error = history.error_of(row)
        return f" since {time_text(begin)}, outcome unknown{f' ({error})' if error else ''}"

    def _after(self, row: int) -> str:
        """The latest of the numbered operations that had returned before this one began."""
        before = [
            other
            for other in self._certificate.ops
            if self._closed(other) and self._history.ret[other] < self._history.inv[row]
        ]
        if not before:
            return ""
        latest = max(before, key=lambda other: self._history.ret[other])
        return f", after ({self._number[latest]}) had returned"

    # -- faults ----------------------------------------------------------------------------------

    def _overlapping(self, row: int) -> list[FaultInterval]:
        begin = self._history.t_inv[row]
        end = max(begin, self._history.t_ret[row])
        if begin < 0:
            return []
        return [
            fault
            for fault in self._faults
            if fault.begin_ns <= end and (fault.end_ns < 0 or fault.end_ns >= begin)
        ]

    def _during(self, row: int) -> str:
        names = [f"{fault.kind} #{fault.id}" for fault in self._overlapping(row)]
        return f", during {' and '.join(names)}" if names else ""

    def _active(self) -> list[FaultInterval]:
        told = self._certificate.ops[-ROWS_TOLD_MAX:]
        ids = {fault.id for row in told for fault in self._overlapping(row)}
        return [fault for fault in self._faults if fault.id in ids]

    @staticmethod
    def _fault(fault: FaultInterval) -> str:
        until = f"to {time_text(fault.end_ns)}" if fault.end_ns >= 0 else "and never undone"
        targets = ", ".join(f"{k} {targets_text(v)}" for k, v in fault.targets.items())
        effect = "" if fault.effective else "; no effect was measured"
        return (
            f"{fault.kind} #{fault.id} ({targets}) was active from {time_text(fault.begin_ns)} "
            f"{until}{effect}."
        )

    # -- the argument ----------------------------------------------------------------------------

    def _gaps(self) -> list[str]:
        """What the gaps of the other updates say."""
        alike: dict[tuple[int, int], list[dict[str, Any]]] = {}
        for gap in self._certificate.data["gaps"]:
            sides = gap.get("from_row", -1), gap.get("to_row", -1)
            alike.setdefault(sides, []).append(gap)
        return [self._gap(sides, gaps) for sides, gaps in alike.items()]

    def _gap(self, sides: tuple[int, int], gaps: list[dict[str, Any]]) -> str:
        """ "No operation that could set key 1 to 2 was under way before (3) began."."""
        after, before = sides
        key = key_text(self._history.key_of(max(sides)))
        when = []
        if after >= 0:
            when.append(f"after ({self._number[after]}) had returned")
        if before >= 0:
            when.append(f"before ({self._number[before]}) began")
        if all(gap["f"] in REGISTER for gap in gaps):
            values = listed(sorted({value_text(new_value(g["f"], g["arg"])) for g in gaps}))
            what = f"operation that could set {key} to {values}"
        else:
            acts = {effect_text(gap["f"], gap["arg"], key) for gap in gaps}
            what = f"other {listed(sorted(acts)[:ACTS_TOLD_MAX])}"
        return f"No {what} was under way {' and '.join(when)}."

    def _conclusion(self, blocked: int) -> str:
        found = self._found(blocked)
        if self._alone():
            return "No operation before it returned can have made it so: no order is legal."
        return (
            f"So no order is legal: wherever the other updates take effect, or if they never do, "
            f"({self._number[blocked]}) cannot {found}."
        )

    def _alone(self) -> bool:
        """The blocked operation is impossible by itself."""
        return len(self._certificate.ops) == 1

    def _found(self, blocked: int) -> str:
        """What the blocked operation claims: "find 4"."""
        history = self._history
        f, result = history.f_of(blocked), history.result_of(blocked)
        if f == "read":
            return f"find {value_text(result)}"
        if f == "cas":
            expected = value_text(history.arg_of(blocked)[0])
            other = result is False or history.outcome[blocked] == FAIL
            return f"find another value than {expected}" if other else f"find {expected}"
        if f in REGISTER or result is None or text_of(result) == text_of(history.arg_of(blocked)):
            return "take effect"
        return f"answer {value_text(result)}"

    def _contrast(self, blocked: int) -> str:
        """What the summary sets against the blocked operation."""
        if self._alone():
            told = self._history.f_of(blocked) in REGISTER
            return ", which nothing can have put there" if told else ", which it can never do"
        closed = [row for row in self._certificate.ops if row != blocked and self._closed(row)]
        before = [row for row in closed if self._history.ret[row] < self._history.inv[blocked]]
        kept = [row for row in before if row in self._kept] or before
        if kept:
            return f", although {self._act(kept[-1], had=True)}"
        return ", which fits no order of the operations"


def tell(history: History, certificate: Certificate, faults: Sequence[FaultInterval] = ()) -> None:
    """Write `summary` and `story` of a linearizability certificate."""
    Teller(history, certificate, faults).tell()


def rows_told(
    history: History, rows: Sequence[int], data: dict[str, Any], blocked: int
) -> list[int]:
    """The rows that the story needs: those that are kept, those that bound others, and the cas that
    alone could lead from a bounded value to the one that was found.
    """
    sides = [gap[side] for gap in data["gaps"] for side in ("from_row", "to_row") if side in gap]
    told = {*data["kept"], *sides}
    if not {history.f_of(row) for row in rows} <= REGISTER:
        return sorted(told)
    bounded = {text_of(new_value(gap["f"], gap["arg"])) for gap in data["gaps"]}
    value = text_of(needed_value(history, blocked))
    for _ in range(LINKS_MAX):
        makers = [row for row in rows if _makes(history, row, value, data["end"])]
        if value in bounded or len(makers) != 1 or history.f_of(makers[0]) != "cas":
            break
        told.add(makers[0])
        value = text_of(needed_value(history, makers[0]))
    return sorted(told)


def _makes(history: History, row: int, value: str, end: int) -> bool:
    """The row may set its key to the value before the end."""
    f = history.f_of(row)
    counts = history.outcome[row] != FAIL and history.inv[row] < end
    return counts and f in ("write", "cas") and text_of(new_value(f, history.arg_of(row))) == value


def needed_value(history: History, row: int) -> Any:
    """What a read found, or a cas expected."""
    return history.arg_of(row)[0] if history.f_of(row) == "cas" else history.result_of(row)


def effect_text(f: str, arg: Any, key: str) -> str:
    """ "write 3 to key 1", "change key 1 from 1 to 3"."""
    if f == "cas":
        return f"change {key} from {value_text(arg[0])} to {value_text(arg[1])}"
    if f == "write":
        return f"write {value_text(arg)} to {key}"
    what = f if arg is None else f"{f} {value_text(arg)}"
    return what if key == THE_OBJECT else f"{what} on {key}"


def new_value(f: str, arg: Any) -> Any:
    """What an update sets a key to."""
    return arg[1] if f == "cas" else arg


def listed(parts: Sequence[str]) -> str:
    """ "a", "a or b", "a, b or c"."""
    return " or ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def value_text(value: Any) -> str:
    """A value as JSON, cut where it is long; "nothing" for null."""
    if value is None:
        return "nothing"
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= VALUE_CHARS_MAX else text[: VALUE_CHARS_MAX - 3] + "..."


def key_text(key: Any) -> str:
    """ "key 3", "the register" where there is one only."""
    return THE_OBJECT if key is None else f"key {value_text(key)}"


def time_text(ns: int) -> str:
    """Seconds since the start of the run, to the millisecond."""
    return f"{ns / 1e9:.3f} s"


def targets_text(targets: Any) -> str:
    """Targets of a fault: "n1, n2", "n1 | n2, n3" for halves."""
    if not isinstance(targets, list):
        return value_text(targets).strip('"')
    if any(isinstance(part, list) for part in targets):
        return " | ".join(targets_text(part) for part in targets)
    return ", ".join(str(part) for part in targets)
