"""What lists and registers share when transactions are judged in pure Python."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec

from dissensus.checkers.models.base import text_of
from dissensus.checkers.transactions import Anomaly, Found, Step
from dissensus.checkers.txn_cycles import PLAIN, PROCESS, REALTIME, Edge, Hunter, Kind
from dissensus.harness.errors import UserError
from dissensus.harness.history import FAIL, INFO, OK, History

EACH_MAX = 8
"""So many of a name are reported."""
WRITES = {"list-append": ("append", "a"), "rw-register": ("w", "write")}
NOTHING = "null"
"""Text of the value that a register holds at first."""


class Op(NamedTuple):
    """One micro-operation. Keys and values are JSON text; the value of a read list is a tuple."""

    writes: bool
    key: str
    value: Any


class Txn(NamedTuple):
    """One transaction; reads are left out unless it completed."""

    row: int
    outcome: int
    process: int
    inv: int
    ret: float
    ops: tuple[Op, ...]

    def last_write(self, key: str) -> Any:
        """What it left in a key; None where it did not write it."""
        return next((op.value for op in reversed(self.ops) if op.writes and op.key == key), None)


class Reading(NamedTuple):
    """A version of a key that a transaction saw: of a list how many elements."""

    key: str
    value: Any
    writer: int | None


def transaction(history: History, row: int, workload: str) -> Txn:
    """The transaction of a row. Raises UserError for what is none."""
    outcome = history.outcome[row]
    ops = history.result_of(row) if outcome == OK else None
    if not isinstance(ops, list):
        ops = history.arg_of(row)
    made = []
    for op in ops if isinstance(ops, list) else [ops]:
        names = (*WRITES[workload], "r", "read")
        if not isinstance(op, list) or len(op) != 3 or op[0] not in names:
            raise UserError(f"row {row}: {op!r} is no micro-operation of {workload}")
        writes = op[0] in WRITES[workload]
        value: Any = None
        if writes or workload == "rw-register":
            value = text_of(op[2])
        elif op[2] is None or isinstance(op[2], list):
            value = tuple(text_of(item) for item in op[2] or ())
        elif outcome == OK:
            raise UserError(f"row {row}: {op!r} reads no list")
        if writes or outcome == OK:
            made.append(Op(writes, text_of(op[1]), value))
    ret = history.ret[row] if outcome == OK else float("inf")
    return Txn(row, outcome, history.process[row], history.inv[row], ret, tuple(made))


class Analysis:
    """What both kinds of transactions share."""

    def __init__(self, txns: list[Txn]) -> None:
        self.txns = txns
        self.happened = {txn.row for txn in txns if txn.outcome == OK}
        self.anomalies: list[Anomaly] = []
        self.graph: dict[int, list[Edge]] = defaultdict(list)
        self.ambiguous = False
        self.written: dict[tuple[str, str], list[tuple[Txn, int]]] = defaultdict(list)
        """(key, value) -> (transaction, place of the write in it)."""
        for txn in txns:
            for place, op in enumerate(txn.ops):
                if op.writes:
                    self.written[op.key, op.value].append((txn, place))

    def note(self, name: str, rows: Iterable[int], key: str, value: str | None = None) -> None:
        """An anomaly that is no cycle."""
        if sum(anomaly.name == name for anomaly in self.anomalies) < EACH_MAX:
            made = Anomaly(name=name, rows=sorted(set(rows)), key=plain(key), value=plain(value))
            self.anomalies.append(made)

    def writer(self, reader: Txn, key: str, value: str) -> tuple[Txn, int] | None:
        """Who wrote what was read; what is wrong with it is noted. None where that is not known."""
        writers = self.written.get((key, value), [])
        if not writers:
            self.note("garbage-read", [reader.row], key, value)
            return None
        if len(writers) > 1:
            self.ambiguous = True
            return None
        txn, place = writers[0]
        if txn.outcome == FAIL:
            self.note("G1a", [txn.row, reader.row], key, value)
        elif txn.outcome == INFO:
            self.happened.add(txn.row)
        return txn, place

    def edge(self, from_: int, to: int, kind: str, mode: int = PLAIN, **step: Any) -> None:
        """One dependency."""
        if from_ != to:
            name = "ww" if kind == "inferred" else kind
            step = {n: plain(v) if n in ("key", "value", "next") else v for n, v in step.items()}
            self.graph[from_].append(
                Edge(to, kind, mode, Step(from_=from_, to=to, edge=name, **step))
            )

    def processes(self) -> None:
        """Each client's transactions in order."""
        last: dict[int, Txn] = {}
        for txn in self.nodes():
            before = last.get(txn.process)
            if before is not None and before.ret < txn.inv:
                self.edge(before.row, txn.row, "process", PROCESS)
            if txn.outcome == OK:
                last[txn.process] = txn

    def nodes(self) -> list[Txn]:
        """Transactions that happened."""
        return [txn for txn in self.txns if txn.row in self.happened]

    def hunter(self, graph: dict[int, list[Edge]]) -> Hunter:
        """All cycles of a graph."""
        nodes = self.nodes()
        unsure = frozenset(txn.row for txn in nodes if txn.outcome == INFO)
        hunter = Hunter(graph, {txn.row: (txn.inv, txn.ret) for txn in nodes}, unsure)
        hunter.hunt()
        return hunter

    def fractures(self, readings: dict[int, list[Reading]]) -> Iterator[tuple[str, int, int, str]]:
        """(name, reader, writer, key): it read from the writer, and missed its write of the key."""
        by_row = {txn.row: txn for txn in self.txns}
        for row, all_of in readings.items():
            for i, seen in enumerate(all_of):
                if seen.writer is None or seen.writer == row:
                    continue
                for j, missed in enumerate(all_of):
                    value = by_row[seen.writer].last_write(missed.key)
                    if missed.key == seen.key or value is None:
                        continue
                    if self.earlier(row, missed, seen.writer, value):
                        yield "fractured-read", row, seen.writer, missed.key
                        if j > i:
                            yield "fractured-view", row, seen.writer, missed.key

    def earlier(self, row: int, missed: Reading, writer: int, value: Any) -> bool:
        """What was read comes before the writer's version."""
        raise NotImplementedError

    def order(self, *, timed: bool) -> list[int] | None:
        """A topological order of all edges, with real time or not."""
        kind = Kind("G2-item", REALTIME if timed else PLAIN, False)
        waits = {txn.row: 0 for txn in self.nodes()}
        for row in waits:
            for edge in self.graph.get(row, ()):
                waits[edge.to] += kind.takes(edge)
        nodes = self.nodes()
        number = {txn.row: place for place, txn in enumerate(nodes)}
        returns = sorted((txn for txn in nodes if txn.outcome == OK), key=lambda txn: txn.ret)
        order: list[int] = []
        placed: set[int] = set()
        first = done = entered = 0
        while True:
            while first < len(returns) and returns[first].row in placed:
                first += 1
            until = returns[first].ret if timed and first < len(returns) else float("inf")
            while entered < len(nodes) and nodes[entered].inv < until:
                if not waits[nodes[entered].row]:
                    order.append(nodes[entered].row)
                entered += 1
            if done == len(order):
                return order if len(order) == len(nodes) else None
            while done < len(order):
                row = order[done]
                done += 1
                placed.add(row)
                for edge in self.graph.get(row, ()):
                    if kind.takes(edge):
                        waits[edge.to] -= 1
                        if not waits[edge.to] and number[edge.to] < entered:
                            order.append(edge.to)

    def concluded(self, found: Found) -> Found:
        """With what is possible."""
        found.edges = sum(len(edges) for edges in self.graph.values())
        found.anomalies = self.anomalies
        found.possible = sorted({*found.possible, *(a.name for a in self.anomalies)})
        if self.ambiguous and found.order is None:
            found.unknown = "a value was written more than once to one key"
        return found


def plain(text: Any) -> Any:
    """The value of a JSON text."""
    return msgspec.json.decode(text.encode()) if isinstance(text, str) else text
