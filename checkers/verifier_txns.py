"""Checks again what is claimed of transactions: cycles edge by edge, anomalies without a cycle, and
serial orders. It shares no code with what found them: each is read off the rows that are named,
and where nothing may exist, off all.
"""

from __future__ import annotations

from typing import Any

from dissensus.harness.claims import FOREVER, NEVER, options_of, text
from dissensus.harness.history import FAIL, INFO, OK, History
from dissensus.harness.verdict import Certificate, Contradiction, OverBudget


def require(holds: object, why: str) -> None:
    if not holds:
        raise Contradiction(why)


def end_of(history: History, row: int) -> int:
    """The return of an operation that returned, else FOREVER."""
    over = history.outcome[row] != INFO and history.ret[row] not in NEVER
    return history.ret[row] if over else FOREVER


def precedes(history: History, a: int, b: int) -> bool:
    return end_of(history, a) < history.inv[b]


# -- transactions ------------------------------------------------------------------------------


class Txn:
    """The parts of a transaction on one key, values as text; a read of a list is a tuple."""

    def __init__(self, history: History, row: int, key: Any, *, lists: bool) -> None:
        found = history.result_of(row) if history.outcome[row] == OK else None
        parts = found if isinstance(found, list) else history.arg_of(row)
        self.parts: list[tuple[bool, Any]] = []
        """(reads, value), in order."""
        for f, name, value in parts:
            if text(name) != text(key):
                continue
            reads = f in {"r", "read"}
            if reads and lists:
                self.parts.append((reads, tuple(text(x) for x in value or ())))
            else:
                self.parts.append((reads, text(value)))
        ok = history.outcome[row] == OK
        self.read = [value for reads, value in self.parts if reads and ok]
        self.wrote = [value for reads, value in self.parts if not reads]
        self.failed = history.outcome[row] == FAIL
        self.ok = ok


class Key:
    """What all transactions did with one key."""

    def __init__(self, history: History, key: Any, *, lists: bool) -> None:
        self.lists = lists
        self.txns = [Txn(history, row, key, lists=lists) for row in range(len(history))]

    def seen(self, row: int, value: Any) -> bool:
        """The transaction read the version whose last element is the value (null: the first)."""
        if value is None:
            return () in self.txns[row].read or "null" in self.txns[row].read
        last = [list_[-1] if list_ else None for list_ in self.txns[row].read]
        return text(value) in (last if self.lists else self.txns[row].read)

    def shows(self, row: int, value: Any) -> bool:
        """It read the value, in a list at any place."""
        found = self.txns[row].read
        return any(text(value) in (seen if self.lists else (seen,)) for seen in found)

    def knew(self, row: int, value: Any) -> bool:
        """It read the version or wrote it."""
        return self.seen(row, value) or (
            not self.txns[row].failed and text(value) in self.txns[row].wrote
        )


def cycle(history: History, certificate: Certificate) -> None:
    """Every edge is there, they close, and they are of the kind that the name says."""
    data = certificate.data
    kind = options_of(data["model"])[0]
    steps = data["steps"]
    keys: dict[str, Key] = {}
    for step, after in zip(steps, [*steps[1:], steps[0]], strict=True):
        require(step["to"] == after["from"], "the edges do not close")
        a, b = step["from"], step["to"]
        require(FAIL not in (history.outcome[a], history.outcome[b]), f"row {a} or {b} failed")
        if step["edge"] in {"process", "realtime"}:
            same = step["edge"] == "realtime" or history.process[a] == history.process[b]
            require(same and precedes(history, a, b), f"row {a} does not come before row {b}")
            continue
        name = text(step["key"])
        if name not in keys:
            keys[name] = Key(history, step["key"], lists=kind == "list-append")
        _edge(history, keys[name], step)
    _named(data["anomaly"], [step["edge"] for step in steps])


def _edge(history: History, key: Key, step: dict[str, Any]) -> None:
    a, b, value, new = step["from"], step["to"], step["value"], step["next"]
    wrote = text(value) in key.txns[a].wrote
    if step["edge"] == "wr":
        require(wrote and key.seen(b, value), f"row {b} did not read what row {a} wrote")
        return
    first = wrote if step["edge"] == "ww" else key.seen(a, value)
    require(first and text(new) in key.txns[b].wrote, f"rows {a} and {b} did not do that")
    for row, version in ((a, value), (b, new)):
        seen = any(key.shows(other, version) for other in range(len(history)))
        require(seen or history.outcome[row] == OK, f"row {row} may never have happened")
    by, also = step["by"], step["also"]
    reads = [list_ for txn in key.txns for list_ in txn.read]
    match step["why"]:
        case "initial":
            known = value is None
        case "unseen":
            known = key.lists and not any(text(new) in list_ for list_ in reads)
            known = known and (value is None or any(text(value) in list_ for list_ in reads))
        case "read":
            places = [list_ for list_ in key.txns[by].read if text(new) in list_]
            before = [list_[: list_.index(text(new))] for list_ in places]
            known = any(value is None or text(value) in list_ for list_ in before)
        case "update":
            known = key.seen(by, value) and text(new) in key.txns[by].wrote
        case "process" | "realtime":
            same = step["why"] == "realtime" or history.process[by] == history.process[also]
            known = same and precedes(history, by, also)
            known = known and key.knew(by, value) and key.knew(also, new)
        case why:
            raise OverBudget(f"the verifier does not know the reason {why!r}")
    require(known, f"that {text(value)} came before {text(new)} does not follow")


def _named(anomaly: str, edges: list[str]) -> None:
    """The edges are those of the anomaly."""
    plain_name = anomaly.removesuffix("-process").removesuffix("-realtime").removesuffix("-item")
    beside = {"process"} if anomaly.endswith("-process") else set()
    beside |= {"process", "realtime"} if anomaly.endswith("-realtime") else set()
    rw = edges.count("rw")
    # Around the cycle: two in a row, the last and the first among them.
    adjacent = any(a == b == "rw" for a, b in zip(edges, edges[1:] + edges[:1], strict=True))
    allowed = {
        "G0": rw == 0 and "wr" not in edges,
        "G1c": rw == 0,
        "G-single": rw == 1,
        "G-nonadjacent": rw > 0 and not adjacent,
        "G2": rw > 0,
    }
    require(set(edges) <= {"ww", "wr", "rw"} | beside, "it has edges of another kind")
    require(allowed.get(plain_name, False), f"it is no {anomaly}")


def anomaly(history: History, certificate: Certificate) -> None:
    """What is wrong without a cycle."""
    data = certificate.data
    rows, rule, value = data["rows"], data["rule"], text(data["value"])
    key = Key(history, data["key"], lists=options_of(data["model"])[0] == "list-append")
    txns = [key.txns[row] for row in rows]

    def holding(txn: Txn) -> list[Any]:
        return [seen for seen in txn.read if (value in seen if key.lists else seen == value)]

    match rule:
        case "garbage-read":
            found = holding(txns[0]) and not any(value in txn.wrote for txn in key.txns)
        case "G1a":
            found = any(value in txn.wrote and txn.failed for txn in txns)
            found = found and any(holding(txn) for txn in txns)
        case "G1b":
            last = [
                seen
                for txn in txns
                for seen in txn.read
                if (seen[-1:] == (value,) or seen == value)
            ]
            writers = [txn for txn in txns if value in txn.wrote[:-1]]
            found = last and writers and any(txn not in writers and holding(txn) for txn in txns)
        case "duplicate-elements":
            twice = any(list_.count(value) > 1 for txn in txns for list_ in holding(txn))
            found = key.lists and twice and sum(txn.wrote.count(value) for txn in key.txns) <= 1
        case "incompatible-order":
            lists = sorted({seen for txn in txns for seen in txn.read}, key=len)
            found = any(b[: len(a)] != a for i, a in enumerate(lists) for b in lists[i:])
        case "lost-update":
            found = (
                sum(
                    bool(txn.wrote) and key.seen(row, data["value"])
                    for txn, row in zip(txns, rows, strict=True)
                )
                > 1
            )
        case "internal" | "future-read":
            found = not _consistent(txns[0], lists=key.lists)
        case _:
            raise OverBudget(f"the verifier does not know the anomaly {rule!r}")
    require(found, f"the rows show no {rule}")


def _consistent(txn: Txn, *, lists: bool) -> bool:
    """What a transaction read fits what it had read and written itself."""
    known: Any = None
    added: tuple[str, ...] = ()
    for at, (reads, value) in enumerate(txn.parts):
        if not reads:
            added = (*added, value) if lists else ()
            known = known if lists else value
            continue
        later = {wrote for is_read, wrote in txn.parts[at:] if not is_read} - {*added, known}
        if later & (set(value) if lists else {value}):
            return False
        if lists and (value[-len(added) :] if added else ()) != added:
            return False
        if known is not None and value != ((*known, *added) if lists else known):
            return False
        known, added = value, ()
    return True


def serial_order(history: History, certificate: Certificate) -> None:
    """One after the other in this order, every transaction reads what it read."""
    data = certificate.data
    kind, options = options_of(data["model"])
    lists, level = kind == "list-append", options.get("level", "strict")
    timed = level.startswith("str") or level == "PL-SS"
    require(data["strict"] or not timed, f"the order does not keep what {level} asks for")
    state: dict[str, Any] = {}
    latest, order = -1, data["order"]
    require(len(set(order)) == len(order), "a row stands there twice")
    done = set(order)
    for row in range(len(history)):
        require(row in done or history.outcome[row] != OK, f"row {row} is missing")
    for row in order:
        require(history.outcome[row] != FAIL, f"row {row} did not happen")
        require(not data["strict"] or end_of(history, row) >= latest, f"row {row} is too late")
        latest = max(latest, history.inv[row])
        ok = history.outcome[row] == OK
        for f, name, value in history.result_of(row) if ok else history.arg_of(row):
            held = state.get(text(name), () if lists else "null")
            if f not in {"r", "read"}:
                state[text(name)] = (*held, text(value)) if lists else text(value)
            elif ok:
                seen = tuple(text(x) for x in value or ()) if lists else text(value)
                require(seen == held, f"row {row} cannot read that in its place")
