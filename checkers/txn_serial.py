"""The search for a serial order of transactions over registers, in pure Python, and the replay of
serial orders.

A version has one reign: a transaction can come next only if what it read is there, and if nobody
else still has to read what it overwrites. What writes nothing comes as soon as it can. Sets of
transactions after which there was no way on are remembered.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dissensus.checkers.txn_base import Txn

LOOKS_MAX = 200_000
"""Transactions that a search may look at: about a second."""
NOTHING = "null"


class Serial(enum.Enum):
    """What a search found."""

    FOUND = "found"
    NONE = "none"
    UNKNOWN = "unknown"


class Problem:
    """Transactions with what they must find and what they leave; `guide` is tried first."""

    def __init__(self, txns: list[Txn], guide: Iterable[int]) -> None:
        self.txns = {txn.row: txn for txn in txns}
        last = {
            (op.key, op.value): txn.last_write(op.key)
            for txn in txns
            for op in txn.ops
            if op.writes
        }
        self.needs = {txn.row: needs(txn, last) for txn in txns}
        self.leaves = {
            txn.row: {op.key: txn.last_write(op.key) for op in txn.ops if op.writes} for txn in txns
        }
        rank = {row: at for at, row in enumerate(guide)}
        self.rows = sorted(self.txns, key=lambda row: (rank.get(row, len(rank)), row))


def needs(txn: Txn, last: dict[tuple[str, str], str]) -> dict[str, str]:
    """Key -> the version that it read before it wrote; of a read of a version that its transaction
    replaced itself, the last one.
    """
    found: dict[str, str] = {}
    wrote = set()
    for op in txn.ops:
        if op.writes:
            wrote.add(op.key)
        elif op.key not in wrote:
            found.setdefault(op.key, last.get((op.key, op.value), op.value))
    return found


def search(problem: Problem, *, timed: bool) -> tuple[Serial, list[int]]:
    """A serial order of all; with `timed`, one that keeps real time."""
    pending = Counter(need for all_of in problem.needs.values() for need in all_of.items())
    dead: set[tuple[frozenset[int], frozenset[tuple[str, str]]]] = set()
    looks = LOOKS_MAX
    stack: list[tuple[list[int], list[int]]] = []
    """(rows placed, writers that were not tried after them)."""
    order: list[int] = []
    while True:
        state, left = after(problem, order, pending)
        while True:
            ready = [row for row in problem.rows if row not in state[0]]
            if timed:
                until = min((problem.txns[row].ret for row in ready), default=float("inf"))
                ready = [row for row in ready if problem.txns[row].inv < until]
            looks -= len(ready) + 1
            able = [row for row in ready if can(problem, row, state[1], left)]
            reader = next((row for row in able if not problem.leaves[row]), None)
            if reader is None:
                break
            order.append(reader)
            state[0].add(reader)
            left.subtract(problem.needs[reader].items())
        if len(order) == len(problem.rows):
            return Serial.FOUND, order
        mark = (frozenset(state[0]), frozenset(state[1].items()))
        stack.append((order, [] if mark in dead else able[::-1]))
        dead.add(mark)
        while stack and not stack[-1][1]:
            stack.pop()
        if not stack:
            return Serial.NONE, []
        if looks <= 0:
            return Serial.UNKNOWN, []
        before, choices = stack[-1]
        order = [*before, choices.pop()]


def after(
    problem: Problem, order: list[int], pending: Counter[tuple[str, str]]
) -> tuple[tuple[set[int], dict[str, str]], Counter[tuple[str, str]]]:
    """(who is placed, what every key holds) and who still has to read what, after some rows."""
    held: dict[str, str] = {}
    left = Counter(pending)
    for row in order:
        left.subtract(problem.needs[row].items())
        held.update(problem.leaves[row])
    return (set(order), held), left


def can(problem: Problem, row: int, held: dict[str, str], left: Counter[tuple[str, str]]) -> bool:
    """What it read is there, and nobody else still has to read what it overwrites."""
    needed = problem.needs[row]
    if any(held.get(key, NOTHING) != value for key, value in needed.items()):
        return False
    return all(left[key, held.get(key, NOTHING)] == (key in needed) for key in problem.leaves[row])


def replays(txns: list[Txn], order: list[int], *, lists: bool) -> bool:
    """Whether the transactions, done one after the other in this order, read what they read."""
    by_row = {txn.row: txn for txn in txns}
    held: dict[str, Any] = {}
    for row in order:
        for op in by_row[row].ops:
            if op.writes:
                held[op.key] = (*held.get(op.key, ()), op.value) if lists else op.value
            elif held.get(op.key, () if lists else NOTHING) != op.value:
                return False
    return {txn.row for txn in txns if txn.outcome == 1} <= set(order)
