"""Checks that are one pass over the history: bank, counter by bounds, Jepsen's set and set-full,
unique ids, long fork, leader, lease.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from dissensus.checkers.models.base import Spec, is_number, options_text, text_of
from dissensus.harness.checker import Finding
from dissensus.harness.errors import UserError
from dissensus.harness.history import FAIL, OK, History

FOREVER = 1 << 62


class Rows:
    """The base of the folds: rows by what they did."""

    FS: ClassVar[tuple[str, ...]] = ()

    def __init__(self, spec: Spec) -> None:
        self.name = spec.name

    @property
    def fs(self) -> frozenset[str]:
        return frozenset(self.FS)

    @staticmethod
    def rows(history: History, f: str, *, ok: bool = True) -> list[int]:
        """The rows of an f that are ok, or (ok=False) that did not fail."""
        return [
            row
            for row in range(len(history))
            if history.f_of(row) == f
            and (history.outcome[row] == OK or (not ok and history.outcome[row] != FAIL))
        ]


def listed(history: History, row: int) -> list[Any]:
    """The elements that a read found. Raises UserError."""
    found = history.result_of(row)
    if found is None:
        return []
    if not isinstance(found, list):
        raise UserError(f"event {history.ret[row]}: a read finds a list, not {text_of(found)}")
    return found


class CounterBounds(Rows):
    """Jepsen's counter: a read is at least the sum of the adds that had returned before it began,
    and at most the sum of those that were invoked before it returned (of adds below zero: the other
    way round).
    """

    SIGNS: ClassVar = {
        **dict.fromkeys(("add", "inc", "increment", "incr"), 1),
        **dict.fromkeys(("dec", "decrement", "decr", "sub", "subtract"), -1),
    }
    FS = ("read", "get", *SIGNS)

    def __init__(self, spec: Spec) -> None:
        spec.only("bounds")
        self.name = spec.text

    def judge(self, history: History) -> list[Finding]:
        adds: list[tuple[int, int, int]] = []
        """(invoked, returned or for ever, amount)."""
        reads: list[int] = []
        for row in range(len(history)):
            sign = self.SIGNS.get(history.f_of(row))
            if history.outcome[row] == FAIL:
                continue
            if sign is None:
                reads += [row] if history.outcome[row] == OK else []
            else:
                ret = history.ret[row] if history.outcome[row] == OK else FOREVER
                adds.append((history.inv[row], ret, sign * self._number(history, row)))
        found = []
        for read in reads:
            value = history.result_of(read)
            if not is_number(value):
                continue
            least, most = self._bounds(adds, history.inv[read], history.ret[read])
            if not least <= value <= most:
                rule = "too-low" if value < least else "too-high"
                text = f"(1) read {value}, which is not between {least} and {most}"
                found.append(Finding(rule, [read], text))
        return found

    @staticmethod
    def _bounds(adds: list[tuple[int, int, int]], inv: int, ret: int) -> tuple[int, int]:
        least = most = 0
        for begun, over, amount in adds:
            if over < inv:
                least += amount
                most += amount
            elif begun < ret:
                least += min(amount, 0)
                most += max(amount, 0)
        return least, most

    @staticmethod
    def _number(history: History, row: int) -> int:
        value = history.arg_of(row)
        if value is not None and not is_number(value):
            raise UserError(f"event {history.inv[row]}: add takes a whole number, not {value!r}")
        return 1 if value is None else int(value)


class UniqueIds(Rows):
    """No two operations are answered with the same id."""

    FS = ("generate", "generate-id", "new-id", "next-id", "unique-id", "id")

    def judge(self, history: History) -> list[Finding]:
        first: dict[str, int] = {}
        found = []
        for row in range(len(history)):
            if history.outcome[row] != OK or history.result_of(row) is None:
                continue
            text = text_of(history.result_of(row))
            if first.setdefault(text, row) != row:
                rows = [first[text], row]
                found.append(Finding("duplicate", rows, f"(1) and (2) were both given {text}"))
        return found


class Leader(Rows):
    """No term has two leaders, as far as clients were told. An operation says a term and its leader
    as [term, leader] or as a map of "term" and "leader"; where only the term is said, the leader is
    the node that was asked.

    monotone=yes    nor is a client told of a term, and later of an earlier one
    """

    FS = ("leader", "elect", "become-leader", "campaign")

    def __init__(self, spec: Spec) -> None:
        spec.only("monotone")
        self._monotone = spec.choice("monotone", ("no", "yes"), "no") == "yes"
        self.name = spec.text

    def judge(self, history: History) -> list[Finding]:
        leaders: dict[int, tuple[str, int]] = {}
        newest: dict[int, tuple[int, int]] = {}
        found = []
        for row in range(len(history)):
            said = self._said(history, row) if history.outcome[row] == OK else None
            if said is None:
                continue
            term, leader = said
            known, first = leaders.setdefault(term, (leader, row))
            if known != leader:
                why = f"term {term} has two leaders: {known} by (1), {leader} by (2)"
                found.append(Finding("two-leaders", [first, row], why))
            last, before = newest.get(history.process[row], (term, row))
            if term >= last:
                newest[history.process[row]] = term, row
            elif self._monotone:
                why = f"the client was told of term {last} by (1) and later of {term} by (2)"
                found.append(Finding("term-went-back", [before, row], why))
        return found

    @staticmethod
    def _said(history: History, row: int) -> tuple[int, str] | None:
        said, node = history.result_of(row), history.node_of(row)
        term: Any = None
        leader: Any = node
        if isinstance(said, list) and len(said) == 2:
            term, leader = said
        elif isinstance(said, dict):
            term, leader = said.get("term"), said.get("leader", node)
        elif is_number(said):
            term = said
        if leader is None or not is_number(term):
            return None
        return term, text_of(leader)


class JepsenSet(Rows):
    """Every element whose add was acknowledged is in the last read, and nothing is in it that
    nobody tried to add.
    """

    FS = ("add", "read")

    def judge(self, history: History) -> list[Finding]:
        reads = self.rows(history, "read")
        if not reads:
            return []
        last = max(reads, key=lambda row: history.ret[row])
        read = {text_of(x) for x in listed(history, last)}
        found = []
        tried = set()
        for row in self.rows(history, "add", ok=False):
            text = text_of(history.arg_of(row))
            tried.add(text)
            if history.outcome[row] == OK and text not in read:
                why = f"(1) added {text}, and the last read (2) does not have it"
                found.append(Finding("lost", [row, last], why))
        for text in sorted(read - tried):
            found.append(Finding("unexpected", [last], f"(1) found {text}, which nobody added"))
        return found


class SetFull(Rows):
    """Jepsen's set-full: once an element is known to be there (its add was acknowledged, or a read
    found it), it may be missing from reads only for a while, and not from the last of them; no read
    has it twice.
    """

    FS = ("add", "read")

    def judge(self, history: History) -> list[Finding]:
        reads = self.rows(history, "read")
        contents = {row: [text_of(x) for x in listed(history, row)] for row in reads}
        found = []
        for row in reads:
            twice = {x for x in contents[row] if contents[row].count(x) > 1}
            for x in sorted(twice):
                found.append(Finding("duplicate", [row], f"(1) found {x} more than once"))
        tried = set()
        for add in self.rows(history, "add", ok=False):
            text = text_of(history.arg_of(add))
            tried.add(text)
            found += self._lost(history, add, text, contents)
        for row in reads:
            for x in sorted(set(contents[row]) - tried):
                found.append(Finding("unexpected", [row], f"(1) found {x}, which nobody added"))
        return found

    @staticmethod
    def _lost(
        history: History, add: int, text: str, contents: dict[int, list[str]]
    ) -> Iterator[Finding]:
        having = [row for row, found in contents.items() if text in found]
        known = [history.ret[row] for row in having]
        if history.outcome[add] == OK:
            known.append(history.ret[add])
        if not known:
            return
        latest = max((history.inv[row] for row in having), default=-1)
        missing = [
            row
            for row, found in contents.items()
            if text not in found and history.inv[row] > max(min(known), latest)
        ]
        if missing:
            read = min(missing)
            why = f"(1) added {text}, and no read from (2) on has it"
            yield Finding("lost", [add, read], why)


class LongFork(Rows):
    """Every key is written once. Two reads of the same keys must not see two writes in opposite
    orders: one that has x and not y, and one that has y and not x.
    """

    FS = ("read", "write", "txn")

    def __init__(self, spec: Spec) -> None:
        spec.only("group-size")
        size = spec.whole("group-size", 0, least=1)
        self.name = options_text(spec.name, [f"group-size={size}"] if size else [])
        self._size = size

    def judge(self, history: History) -> list[Finding]:
        groups: dict[frozenset[str], list[tuple[int, dict[str, str]]]] = {}
        for row in range(len(history)):
            parts = history.result_of(row)
            if history.outcome[row] != OK or not isinstance(parts, list):
                continue
            if not parts or any(part[0] not in ("r", "read") for part in parts):
                continue
            seen = {text_of(part[1]): text_of(part[2]) for part in parts}
            if self._size and len(seen) != self._size:
                raise UserError(
                    f"event {history.ret[row]}: a read of {len(seen)} keys, not {self._size}"
                )
            groups.setdefault(frozenset(seen), []).append((row, seen))
        return [finding for reads in groups.values() for finding in self._forks(reads)]

    @staticmethod
    def _forks(reads: list[tuple[int, dict[str, str]]]) -> Iterator[Finding]:
        for i, (later, new) in enumerate(reads):
            for earlier, old in reads[:i]:
                more = [k for k in new if old[k] == "null" and new[k] != "null"]
                less = [k for k in new if old[k] != "null" and new[k] == "null"]
                other = [k for k in new if "null" not in (old[k], new[k]) and old[k] != new[k]]
                if other:
                    why = f"(1) and (2) found two values of key {other[0]}"
                    yield Finding("two-values", [earlier, later], why)
                elif more and less:
                    why = (
                        f"(1) saw the write of {less[0]} and not that of {more[0]}, (2) the other "
                        "way round"
                    )
                    yield Finding("long-fork", [earlier, later], why)


class Bank(Rows):
    """Transfers move money between accounts: every read of all balances has the same total, and
    none is below zero.

    total=first-read   the total is that of the first read; the default
    total=N            the total is N
    negative=yes       balances may be below zero
    """

    FS = ("read", "transfer")

    def __init__(self, spec: Spec) -> None:
        spec.only("total", "negative")
        total = spec.options.get("total", "first-read")
        self._total = None if total == "first-read" else spec.whole("total", 0)
        self._negative = spec.choice("negative", ("no", "yes"), "no") == "yes"
        self.name = f"bank(total={total};negative={'yes' if self._negative else 'no'})"

    def judge(self, history: History) -> list[Finding]:
        found = []
        total, first = self._total, -1
        reads = sorted(self.rows(history, "read"), key=lambda row: history.ret[row])
        for row in reads:
            balances = self._balances(history, row)
            if balances is None:
                continue
            below = [(k, v) for k, v in balances.items() if v < 0]
            if below and not self._negative:
                why = f"(1) found {below[0][1]} in account {below[0][0]}"
                found.append(Finding("negative-balance", [row], why))
            amount = sum(balances.values())
            if total is None:
                total, first = amount, row
            elif amount != total:
                rows = [row] if first < 0 else [first, row]
                why = f"({len(rows)}) found {amount} in all, not {total}"
                found.append(Finding("wrong-total", rows, why))
        return found

    @staticmethod
    def _balances(history: History, row: int) -> dict[Any, int] | None:
        found = history.result_of(row)
        if found is None:
            return None
        if isinstance(found, list):
            found = dict(enumerate(found))
        if not isinstance(found, dict) or not all(is_number(v) for v in found.values()):
            raise UserError(
                f"event {history.ret[row]}: a read finds the balances of accounts, whole numbers, "
                f"not {text_of(found)}"
            )
        return found
