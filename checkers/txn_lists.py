"""list-append in pure Python: versions from the longest read of each key, dependencies, anomalies.

As in `checkers/engine/src/txn/list.rs`.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from typing import Any

from dissensus.checkers.transactions import Found
from dissensus.checkers.txn_base import Analysis, Reading, Txn
from dissensus.checkers.txn_serial import replays
from dissensus.harness.history import FAIL, OK


class Lists(Analysis):
    """list-append."""

    def __init__(self, txns: list[Txn]) -> None:
        super().__init__(txns)
        self.longest: dict[str, tuple[Txn, tuple[str, ...]]] = {}
        self.place: dict[tuple[str, str], int] = {}
        """(key, element) -> its place in the longest read."""
        self.fits: dict[tuple[int, int], bool] = {}
        """(row, place of the read in it) -> it is a prefix of the longest."""
        self.readings: dict[int, list[Reading]] = defaultdict(list)

    def found(self) -> Found:
        """Everything."""
        self._versions()
        for txn in self.txns:
            if txn.outcome == OK:
                self._inside(txn)
        self._lost()
        self._edges()
        self.processes()
        found = Found(transactions=len(self.txns))
        order = self.order(timed=True)
        found.strict = order is not None
        if order is None:
            for name, reader, writer, key in self.fractures(self.readings):
                value = next(t for t in self.txns if t.row == writer).last_write(key)
                self.note(name, [writer, reader], key, value)
            hunter = self.hunter(self.graph)
            self.anomalies += hunter.found
            found.possible = hunter.open
            found.components, found.visited = hunter.components, hunter.visited
            order = self.order(timed=False)
            found.possible += self._with_order(order or [])
        if order is not None and replays(self.txns, order, lists=True):
            found.order = order
        else:
            found.strict = False
        return self.concluded(found)

    def earlier(self, row: int, missed: Reading, writer: int, value: Any) -> bool:
        place = self.place.get((missed.key, value))
        if place is None:
            return missed.key in self.longest and len(self.written[missed.key, value]) == 1
        return place >= int(missed.value)

    def _versions(self) -> None:
        reads = [
            (txn, place, op)
            for txn in self.txns
            for place, op in enumerate(txn.ops)
            if not op.writes
        ]
        for txn, _, op in reads:
            if op.key not in self.longest or len(op.value) > len(self.longest[op.key][1]):
                self.longest[op.key] = (txn, op.value)
        for key, (reader, seen) in self.longest.items():
            aborted: Txn | None = None
            for at, value in enumerate(seen):
                found = self.writer(reader, key, value)
                if found is None:
                    continue
                txn = found[0]
                if (key, value) in self.place:
                    self.note("duplicate-elements", [txn.row, reader.row], key, value)
                    continue
                self.place[key, value] = at
                if txn.outcome == FAIL:
                    aborted = txn
                elif aborted is not None:
                    self.note("dirty-update", [aborted.row, txn.row, reader.row], key, value)
                    aborted = None
        for txn, place, op in reads:
            whole = self.longest[op.key]
            self.fits[txn.row, place] = whole[1][: len(op.value)] == op.value
            if not self.fits[txn.row, place]:
                at = next(i for i, v in enumerate(op.value) if v != whole[1][i])
                self.note("incompatible-order", [whole[0].row, txn.row], op.key, op.value[at])
                for value in op.value[at:]:
                    self.writer(txn, op.key, value)

    def _inside(self, txn: Txn) -> None:
        """Within one transaction, and what it read from others."""
        read: dict[str, tuple[str, ...]] = {}
        own: dict[str, list[str]] = defaultdict(list)
        for place, op in enumerate(txn.ops):
            if op.writes:
                if op.value in read.get(op.key, ()) and (op.key, op.value) in self.place:
                    self.note("future-read", [txn.row], op.key, op.value)
                own[op.key].append(op.value)
                continue
            mine = tuple(own[op.key])
            expected = read[op.key] + mine if op.key in read else None
            ends = op.value[len(op.value) - len(mine) :] if len(mine) <= len(op.value) else None
            if (op.value != expected) if expected is not None else ends != mine:
                self.note("internal", [txn.row], op.key, op.value[-1] if op.value else None)
            read[op.key] = op.value
            own[op.key] = []
            self._intermediate(txn, op.key, op.value)
            if self.fits[txn.row, place]:
                last = self._before(op.key, len(op.value))
                writer = None if last is None else self.written[op.key, last][0][0].row
                self.readings[txn.row].append(Reading(op.key, len(op.value), writer))

    def _intermediate(self, txn: Txn, key: str, seen: tuple[str, ...]) -> None:
        for value in reversed(seen):
            writers = self.written.get((key, value), [])
            if len(writers) != 1:
                return
            writer = writers[0][0]
            if writer.row != txn.row:
                if writer.last_write(key) != value and writer.outcome != FAIL:
                    self.note("G1b", [writer.row, txn.row], key, value)
                return

    def _lost(self) -> None:
        seen: dict[tuple[str, int], list[int]] = defaultdict(list)
        for txn in self.txns:
            if txn.outcome != OK:
                continue
            first: dict[str, int] = {}
            for place, op in enumerate(txn.ops):
                first.setdefault(op.key, place)
            for key, place in first.items():
                op = txn.ops[place]
                if not op.writes and self.fits[txn.row, place] and txn.last_write(key) is not None:
                    seen[key, len(op.value)].append(txn.row)
        for (key, _), rows in sorted(seen.items()):
            for pair in itertools.pairwise(rows):
                self.note("lost-update", pair, key)

    def _before(self, key: str, length: int) -> str | None:
        """The last of the first so many elements that was written by one that happened."""
        for value in reversed(self.longest[key][1][:length]):
            writers = self.written.get((key, value), [])
            if len(writers) == 1 and writers[0][0].row in self.happened:
                return value
        return None

    def _edges(self) -> None:
        for key, (reader, seen) in self.longest.items():
            chain = [
                (self.written[key, value][0][0].row, value, self.place[key, value])
                for at, value in enumerate(seen)
                if self.place.get((key, value)) == at
                and self.written[key, value][0][0].row in self.happened
            ]
            unseen = self._unseen(key)
            by: dict[str, Any] = {"key": key, "by": reader.row}
            for (a, value, _), (b, following, _) in itertools.pairwise(chain):
                self.edge(a, b, "ww", value=value, next=following, why="read", **by)
            for row, value in unseen.items():
                if chain:
                    self.edge(
                        chain[-1][0], row, "ww", value=chain[-1][1], next=value, why="unseen", **by
                    )
            for txn in self.txns:
                for place, op in enumerate(txn.ops):
                    if not op.writes and op.key == key and self.fits[txn.row, place]:
                        self._read_edges(txn, op.value, key, chain, unseen)

    def _with_order(self, order: list[int]) -> list[str]:
        """Kinds of cycles if the appends that nobody saw have this order: nobody knows whether it
        is theirs, but what these do not break does hold.
        """
        place = {row: at for at, row in enumerate(order)}
        last = len(self.txns)
        rank = {txn.row: (place.get(txn.row, last), txn.ret, txn.row) for txn in self.nodes()}
        graph = defaultdict(list, {row: list(edges) for row, edges in self.graph.items()})
        known, self.graph = self.graph, graph
        for key in self.longest:
            rows = sorted(self._unseen(key), key=rank.__getitem__)
            for a, b in itertools.pairwise(rows):
                self.edge(a, b, "ww", key=key)
        hunter = self.hunter(graph)
        self.graph = known
        return [*hunter.open, *(anomaly.name for anomaly in hunter.found)]

    def _unseen(self, key: str) -> dict[int, str]:
        """Row -> what it appended and nobody saw, of those that happened."""
        return {
            txn.row: value
            for (k, value), writers in reversed(self.written.items())
            for txn, _ in writers
            if k == key and len(writers) == 1 and (k, value) not in self.place
            if txn.row in self.happened
        }

    def _read_edges(
        self,
        txn: Txn,
        seen: tuple[str, ...],
        key: str,
        chain: list[tuple[int, str, int]],
        unseen: dict[int, str],
    ) -> None:
        before = [link for link in chain if link[2] < len(seen)]
        after = chain[len(before) : len(before) + 1]
        if before:
            self.edge(before[-1][0], txn.row, "wr", key=key, value=before[-1][1])
        later = [(row, value, "read") for row, value, _ in after]
        if not after:
            later = [(row, value, "unseen") for row, value in unseen.items()]
        for row, value, why in later:
            self.edge(
                txn.row,
                row,
                "rw",
                key=key,
                value=seen[-1] if seen else None,
                next=value,
                why=why,
                by=self.longest[key][0].row,
            )
