"""Judges small histories of transactions by definition, sharing nothing with the engines.

Serializability: try all orders. Snapshot isolation: try all orders of commits and all points from
which each transaction may have read (Berenson and others): it sees what was committed up to there
and its own writes, and nobody may commit a write to a key between that point and the commit of
another who writes it too. Transactions of unknown outcome may be left out.

Kinds of cycles in list-append: the dependency graph by Adya's definitions, all its simple cycles by
networkx, each named by its edges.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import networkx as nx

from dissensus.harness.history import FAIL, INFO, OK, History

Store = dict[Any, Any]


def ops_of(history: History, row: int) -> list[list[Any]]:
    done = history.outcome[row] == OK
    ops: list[list[Any]] = history.result_of(row) if done else history.arg_of(row)
    return ops


def subsets(history: History) -> Iterator[list[int]]:
    """Rows that happened, in every way that outcomes leave open."""
    sure = [row for row in range(len(history)) if history.outcome[row] == OK]
    open_ = [row for row in range(len(history)) if history.outcome[row] == INFO]
    for count in range(len(open_) + 1):
        for chosen in itertools.combinations(open_, count):
            yield sorted([*sure, *chosen])


def runs(history: History, row: int, store: Store) -> Store | None:
    """What the transaction leaves, None if it cannot have read what it read."""
    store = dict(store)
    known = history.outcome[row] == OK
    for f, key, value in ops_of(history, row):
        if f == "append":
            store[key] = [*store.get(key, []), value]
        elif f == "w":
            store[key] = value
        elif known and (store.get(key) or None) != (value or None):
            return None
    return store


def serializable(history: History, *, strict: bool) -> bool:
    """Some order of them explains everything; with `strict`, one that keeps real time."""
    return any(_place(history, rows, [], {}, strict) for rows in subsets(history))


def _place(history: History, left: list[int], done: list[int], store: Store, strict: bool) -> bool:
    if not left:
        return True
    for row in left:
        others = [other for other in left if other != row]
        if strict and any(ended_before(history, other, row) for other in others):
            continue
        after = runs(history, row, store)
        if after is not None and _place(history, others, [*done, row], after, strict):
            return True
    return False


def ended_before(history: History, a: int, b: int) -> bool:
    return history.outcome[a] == OK and history.ret[a] < history.inv[b]


def snapshot_isolated(history: History) -> bool:
    """Some order of commits and snapshots explains everything."""
    return any(
        _snapshots(history, order)
        for rows in subsets(history)
        for order in itertools.permutations(rows)
    )


def _snapshots(history: History, order: tuple[int, ...]) -> bool:
    stores: list[Store] = [{}]
    for at, row in enumerate(order):
        for point in range(at, -1, -1):
            between = {key for other in order[point:at] for key in written(history, other)}
            if between & written(history, row):
                # Later points are fine, earlier ones are not.
                return False
            if runs(history, row, stores[point]) is not None:
                break
        else:
            return False
        after = dict(stores[at])
        for key in written(history, row):
            after[key] = (runs(history, row, stores[point]) or {})[key]
        stores.append(after)
    return True


def written(history: History, row: int) -> set[Any]:
    return {key for f, key, _ in ops_of(history, row) if f in ("append", "w")}


def kinds_of_lists(history: History) -> dict[str, int]:
    """Kind of cycle -> the length of the shortest, of a history whose lists fit together."""
    graph = dependencies(history)
    shortest: dict[str, int] = {}
    for nodes in nx.simple_cycles(graph):
        pairs = list(zip(nodes, [*nodes[1:], nodes[0]], strict=True))
        for edges in itertools.product(*(sorted(graph.edges[pair]["kinds"]) for pair in pairs)):
            name = kind_of(edges)
            if name is not None:
                shortest[name] = min(len(nodes), shortest.get(name, len(nodes)))
    return shortest


def kind_of(edges: tuple[str, ...]) -> str | None:
    rw = [edge == "rw" for edge in edges]
    around = list(zip(rw, [*rw[1:], rw[0]], strict=True))
    mode = "-realtime" if "realtime" in edges else "-process" if "process" in edges else ""
    if set(edges) <= {"process", "realtime"}:
        return None
    if not any(rw):
        return ("G1c" if "wr" in edges else "G0") + mode
    if sum(rw) == 1:
        return "G-single-item" + mode
    return ("G2-item" if (True, True) in around else "G-nonadjacent-item") + mode


def dependencies(history: History) -> nx.DiGraph:
    """Row -> row, with all kinds of dependencies between them."""
    rows = [row for row in range(len(history)) if happened(history, row)]
    graph = nx.DiGraph()
    graph.add_nodes_from(rows)

    def add(a: int, b: int, kind: str) -> None:
        if a != b:
            graph.add_edge(a, b)
            graph.edges[a, b].setdefault("kinds", set()).add(kind)

    reads = [
        (row, key, value or [])
        for row in rows
        if history.outcome[row] == OK
        for f, key, value in ops_of(history, row)
        if f == "r"
    ]
    author = {
        (key, value): row for row in rows for f, key, value in ops_of(history, row) if f == "append"
    }
    for key in {key for _, key, _ in reads}:
        order = max((seen for _, k, seen in reads if k == key), key=len)
        unseen = [row for (k, value), row in author.items() if k == key and value not in order]
        authors = [author[key, value] for value in order]
        for a, b in itertools.pairwise(authors):
            add(a, b, "ww")
        for b in unseen:
            if authors:
                add(authors[-1], b, "ww")
        for row, k, seen in reads:
            if k != key:
                continue
            if seen:
                add(authors[len(seen) - 1], row, "wr")
            for b in [authors[len(seen)]] if len(seen) < len(order) else unseen:
                add(row, b, "rw")
    for a, b in itertools.permutations(rows, 2):
        if ended_before(history, a, b):
            add(a, b, "realtime")
    for process in set(history.process):
        mine = [row for row in rows if history.process[row] == process]
        for a, b in itertools.pairwise([row for row in mine if history.outcome[row] == OK]):
            add(a, b, "process")
    return graph


def happened(history: History, row: int) -> bool:
    """It completed, or somebody read what it appended."""
    if history.outcome[row] in (OK, FAIL):
        return history.outcome[row] == OK
    wrote = {(key, value) for f, key, value in ops_of(history, row) if f == "append"}
    return any(
        (key, item) in wrote
        for other in range(len(history))
        if history.outcome[other] == OK
        for f, key, value in ops_of(history, other)
        if f == "r"
        for item in value or []
    )
