"""rw-register in pure Python: what is known of the order of versions, dependencies, serial orders.

As in `checkers/engine/src/txn/register.rs`: the initial version is the first, what a transaction
read comes before what it wrote, and what had been there before something else was read or written.
Every pair of versions whose order is known gives its edges here, so that it takes more memory and
time.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from typing import Any, NamedTuple

from dissensus.checkers.transactions import Anomaly, Found
from dissensus.checkers.txn_base import NOTHING, Analysis, Reading, Txn
from dissensus.checkers.txn_cycles import PLAIN, PROCESS, REALTIME, Edge
from dissensus.checkers.txn_serial import Problem, Serial, replays, search
from dissensus.harness.history import FAIL, OK

NO_STRICT, NO_SERIAL = "no-strict-order", "no-serial-order"


class Cluster(NamedTuple):
    """A version of a register, and when it is known to have been there."""

    value: str
    writer: Txn | None
    readers: list[Txn]

    @property
    def known(self) -> list[Txn]:
        """All that read or wrote it."""
        return [*self.readers, *([self.writer] if self.writer else [])]


class Registers(Analysis):
    """rw-register."""

    def __init__(self, txns: list[Txn]) -> None:
        super().__init__(txns)
        self.reads: dict[tuple[str, str], list[Txn]] = defaultdict(list)
        """(key, version) -> other transactions that read it."""
        self.updates: list[tuple[Txn, str, str, str]] = []
        """(transaction, key, version read, version written)."""
        self.readings: dict[int, list[Reading]] = defaultdict(list)
        self._rank: dict[int, tuple[int, float, int]] = {}
        self._initial_first = True

    def found(self) -> Found:
        """Everything."""
        for txn in self.txns:
            if txn.outcome == OK:
                self._inside(txn)
        self._circles()
        self._lost()
        self._edges()
        self.processes()
        found = Found(transactions=len(self.txns))
        strict = self.order(timed=True)
        if strict is None:
            for name, reader, writer, key in self.fractures(self.readings):
                value = next(t for t in self.txns if t.row == writer).last_write(key)
                self.note(name, [writer, reader], key, value)
            hunter = self.hunter(self.graph)
            self.anomalies += hunter.found
            found.possible += hunter.open
            found.components, found.visited = hunter.components, hunter.visited
        if not self.ambiguous:
            self._settle(found, strict)
        return self.concluded(found)

    def earlier(self, row: int, missed: Reading, writer: int, value: Any) -> bool:
        if self._rank:
            last = max(self._rank.values())
            author = self._author(missed.key, missed.value)
            return author is None or self._rank.get(author.row, last) < self._rank[writer]
        return missed.value == NOTHING or any(
            edge.to == writer and edge.kind == "rw" and edge.mode == PLAIN
            for edge in self.graph.get(row, ())
            if edge.step.key is not None and missed.key == self._text(edge)
        )

    @staticmethod
    def _text(edge: Edge) -> str:
        from dissensus.checkers.models.base import text_of

        return text_of(edge.step.key)

    def _author(self, key: str, value: str) -> Txn | None:
        writers = self.written.get((key, value), [])
        return writers[0][0] if len(writers) == 1 else None

    def _settle(self, found: Found, strict: list[int] | None) -> None:
        """Serial orders, and what the best order of versions breaks."""
        timed = [a for a in self.anomalies if a.name.endswith(("-process", "-realtime"))]
        if strict is not None and not self.anomalies:
            if self._search(found, strict, timed=True):
                return
            timed = list(self.anomalies)
        if len(timed) == len(self.anomalies):
            self._search(found, self.order(timed=False) or [], timed=False)
        order = found.order or self.order(timed=False) or []
        place = {row: at for at, row in enumerate(order)}
        last = len(self.txns)
        self._rank = {t.row: (place.get(t.row, last), t.ret, t.row) for t in self.nodes()}
        found.possible += [name for name, *_ in self.fractures(self.readings)]
        self.graph = self._total()
        self.processes()
        hunter = self.hunter(self.graph)
        found.possible += [*hunter.open, *(a.name for a in hunter.found)]

    def _search(self, found: Found, guide: list[int], *, timed: bool) -> bool:
        nodes = self.nodes()
        answer, order = search(Problem(nodes, guide), timed=timed)
        name = NO_STRICT if timed else NO_SERIAL
        if answer is Serial.FOUND and replays(self.txns, order, lists=False):
            found.order, found.strict = order, timed
            return True
        if answer is Serial.NONE:
            self.anomalies = [a for a in self.anomalies if a.name != NO_STRICT]
            self.anomalies.append(Anomaly(name=name, rows=[txn.row for txn in nodes]))
        else:
            found.possible.append(name)
        return False

    def _inside(self, txn: Txn) -> None:
        held: dict[str, str] = {}
        wrote: set[str] = set()
        seen: dict[str, str] = {}
        for place, op in enumerate(txn.ops):
            if op.writes:
                held[op.key] = op.value
                wrote.add(op.key)
                continue
            if held.setdefault(op.key, op.value) != op.value:
                self.note("internal", [txn.row], op.key, op.value)
            held[op.key] = op.value
            version = self._version(txn, place)
            if version is not None:
                if op.key not in wrote:
                    seen.setdefault(op.key, version)
                author = self._author(op.key, version)
                if txn not in self.reads[op.key, version]:
                    self.reads[op.key, version].append(txn)
                self.readings[txn.row].append(
                    Reading(op.key, version, None if author is None else author.row)
                )
        for key, version in seen.items():
            written = txn.last_write(key)
            if written is not None:
                self.updates.append((txn, key, version, written))

    def _version(self, txn: Txn, place: int) -> str | None:
        """What a read saw: the last write of its transaction, also where it saw an earlier one."""
        _, key, value = txn.ops[place]
        if value == NOTHING:
            self.ambiguous |= (key, value) in self.written
            return None if (key, value) in self.written else NOTHING
        found = self.writer(txn, key, value)
        if found is None:
            return None
        writer, at = found
        if writer.row == txn.row:
            if at > place:
                self.note("future-read", [txn.row], key, value)
            return None
        if writer.outcome == FAIL:
            return None
        last = writer.last_write(key)
        if last != value:
            self.note("G1b", [writer.row, txn.row], key, value)
        return str(last)

    def _circles(self) -> None:
        before = {(key, after): version for _, key, version, after in self.updates}
        walked: dict[tuple[str, str], int] = {}
        for walk, (_, key, _, start) in enumerate(self.updates):
            at = start
            while (key, at) in before:
                if (key, at) in walked:
                    if walked[key, at] == walk:
                        self._circle(before, key, at)
                    break
                walked[key, at] = walk
                at = before[key, at]

    def _circle(self, before: dict[tuple[str, str], str], key: str, start: str) -> None:
        rows = []
        at = start
        while True:
            rows.append(self.written[key, at][0][0].row)
            at = before[key, at]
            if at == start:
                break
        self.note("cyclic-versions", rows, key, start)

    def _lost(self) -> None:
        seen: dict[tuple[str, str], list[int]] = defaultdict(list)
        for txn, key, version, _ in self.updates:
            seen[key, version].append(txn.row)
        for (key, _), rows in sorted(seen.items()):
            for pair in itertools.pairwise(rows):
                self.note("lost-update", pair, key)

    def _clusters(self) -> dict[str, list[Cluster]]:
        """Versions of each key: the initial one first, then those that were left there."""
        made: dict[str, list[Cluster]] = {}
        keys = {key for key, _ in self.written} | {key for key, _ in self.reads}
        for key in sorted(keys):
            made[key] = [Cluster(NOTHING, None, self.reads.get((key, NOTHING), []))]
        for txn in self.nodes():
            for key in sorted({op.key for op in txn.ops if op.writes}):
                value = txn.last_write(key)
                made[key].append(Cluster(value, txn, self.reads.get((key, value), [])))
        return made

    def _edges(self) -> None:
        for key, clusters in self._clusters().items():
            self._wr_edges(key, clusters)
            initial, *others = clusters
            for b in others:
                self._pair(key, initial, b, PLAIN, why="initial")
                for a in others:
                    if a is not b:
                        self._timed_pair(key, a, b)
            by_value = {c.value: c for c in clusters}
            for txn, k, version, written in self.updates:
                if k == key and version != NOTHING:
                    a, b = by_value[version], by_value[written]
                    self._pair(key, a, b, PLAIN, why="update", by=txn.row)

    def _wr_edges(self, key: str, clusters: list[Cluster]) -> None:
        for cluster in clusters:
            for reader in cluster.readers if cluster.writer else ():
                author = cluster.writer
                assert author is not None
                self.edge(author.row, reader.row, "wr", key=key, value=cluster.value)

    def _timed_pair(self, key: str, a: Cluster, b: Cluster) -> None:
        """a before b, if one that knew a had returned before one that knew b began."""
        for mode in (PROCESS, REALTIME):
            why = "process" if mode == PROCESS else "realtime"
            pairs = [
                (x, y)
                for x in a.known
                for y in b.known
                if x.ret < y.inv and x.row != y.row and (mode == REALTIME or x.process == y.process)
            ]
            if not pairs:
                continue
            written = [(x, y) for x, y in pairs if x is a.writer and y is b.writer]
            x, y = (written or pairs)[0]
            named = {"why": why, "by": x.row, "also": y.row}
            self._pair(key, a, b, mode, **named)
            if a.writer is not None and b.writer is not None:
                step = {"key": key, "value": a.value, "next": b.value, **named}
                kind = "ww" if written else "inferred"
                self.edge(a.writer.row, b.writer.row, kind, mode, **step)

    def _pair(self, key: str, a: Cluster, b: Cluster, mode: int, **step: object) -> None:
        """Whoever read a comes before whoever wrote b."""
        assert b.writer is not None
        for reader in a.readers:
            known = {"key": key, "value": a.value, "next": b.value, **step}
            self.edge(reader.row, b.writer.row, "rw", mode, **known)

    def _total(self) -> dict[int, list[Edge]]:
        """The edges of a full order of versions, by the ranks of their writers."""
        self.graph = defaultdict(list)
        for key, clusters in self._clusters().items():
            self._wr_edges(key, clusters)
            initial, *others = clusters
            others.sort(key=lambda c: self._rank[c.writer.row] if c.writer else (0, 0.0, 0))
            for a, b in zip([initial, *others], others, strict=False):
                self._pair(key, a, b, PLAIN)
                if a.writer is not None and b.writer is not None:
                    self.edge(a.writer.row, b.writer.row, "ww", key=key)
        return self.graph
