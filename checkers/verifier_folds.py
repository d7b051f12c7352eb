"""Checks again what checks found that are one pass over the history: each finding is read off the
rows that it names, and where nothing may exist, off all. It shares no code with what found it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from dissensus.harness.claims import options_of, plain, text
from dissensus.harness.history import FAIL, OK, History
from dissensus.harness.verdict import Certificate, Contradiction, OverBudget

Rows = list[int]
Options = dict[str, str]


def _all(history: History, f: str, *, ok: bool) -> Iterator[int]:
    for row, outcome in enumerate(history.outcome):
        if plain(history.f_of(row)) == f and (outcome == OK if ok else outcome != FAIL):
            yield row


def fold(history: History, certificate: Certificate) -> None:
    """The rows show what the rule says."""
    kind, options = options_of(certificate.data["model"])
    rule, rows = certificate.data["rule"], certificate.ops
    check = FOLDS.get((kind, rule))
    if check is None:
        raise OverBudget(f"the verifier does not know the rule {rule!r} of {kind}")
    for row in rows:
        # An add may be open; what was read was returned.
        if history.outcome[row] == FAIL or (row == rows[-1] and history.outcome[row] != OK):
            raise Contradiction(f"row {row} says nothing")
    if not rows or not check(history, rows, options):
        raise Contradiction(f"the rows show no {rule}")


def _bounds(history: History, rows: Rows, options: Options) -> bool:
    read, signs = rows[-1], {"add": 1, "inc": 1, "dec": -1, "sub": -1}
    least = most = 0
    for row, outcome in enumerate(history.outcome):
        sign = signs.get(plain(history.f_of(row))[:3])
        if sign is None or outcome == FAIL or history.inv[row] > history.ret[read]:
            continue
        amount = sign * (1 if history.arg_of(row) is None else history.arg_of(row))
        must = outcome == OK and history.ret[row] < history.inv[read]
        least += amount if must or amount < 0 else 0
        most += amount if must or amount > 0 else 0
    return not least <= history.result_of(read) <= most


def _duplicate_id(history: History, rows: Rows, options: Options) -> bool:
    one, other = (text(history.result_of(row)) for row in rows)
    both = history.outcome[rows[0]] == history.outcome[rows[1]] == OK
    return rows[0] != rows[1] and both and one == other != "null"


def _members(history: History, row: int) -> list[str]:
    return [text(x) for x in history.result_of(row) or ()]


def _lost(history: History, rows: Rows, options: Options) -> bool:
    """An element that was known to be there is in no read that began after the last that had it."""
    add, read = rows[0], rows[-1]
    element = text(history.arg_of(add))
    reads = {row: _members(history, row) for row in _all(history, "read", ok=True)}
    having = [row for row, found in reads.items() if element in found]
    known = [history.ret[row] for row in having]
    known += [history.ret[add]] if history.outcome[add] == OK else []
    late = max([min(known), *(history.inv[row] for row in having)])
    return element not in reads[read] and history.inv[read] > late


def _lost_at_last(history: History, rows: Rows, options: Options) -> bool:
    add, read = rows
    reads = list(_all(history, "read", ok=True))
    last = read == max(reads, key=lambda row: history.ret[row])
    missing = text(history.arg_of(add)) not in _members(history, read)
    return last and missing and history.outcome[add] == OK


def _unexpected(history: History, rows: Rows, options: Options) -> bool:
    tried = {text(history.arg_of(row)) for row in _all(history, "add", ok=False)}
    return bool(set(_members(history, rows[-1])) - tried)


def _twice(history: History, rows: Rows, options: Options) -> bool:
    found = _members(history, rows[-1])
    return len(set(found)) < len(found)


def _fork(history: History, rows: Rows, options: Options) -> bool:
    one, other = ({text(k): v for _, k, v in history.result_of(row)} for row in rows)
    more = [k for k in one if one[k] is not None and other[k] is None]
    less = [k for k in one if one[k] is None and other[k] is not None]
    return bool(more and less)


def _two_values(history: History, rows: Rows, options: Options) -> bool:
    one, other = ({text(k): v for _, k, v in history.result_of(row)} for row in rows)
    return any(None not in {one[k], other[k]} and one[k] != other[k] for k in one)


def _balances(history: History, row: int) -> list[int]:
    found = history.result_of(row)
    return list(found.values() if isinstance(found, dict) else found)


def _negative(history: History, rows: Rows, options: Options) -> bool:
    return options.get("negative", "no") == "no" and min(_balances(history, rows[-1])) < 0


def _wrong_total(history: History, rows: Rows, options: Options) -> bool:
    given = options.get("total", "first-read")
    reads = [row for row in _all(history, "read", ok=True) if history.result_of(row) is not None]
    first = min(reads, key=lambda row: history.ret[row])
    total = sum(_balances(history, first)) if given == "first-read" else int(given)
    return sum(_balances(history, rows[-1])) != total


FOLDS: dict[tuple[str, str], Callable[[History, Rows, Options], bool]] = {
    ("counter", "too-low"): _bounds,
    ("counter", "too-high"): _bounds,
    ("unique-ids", "duplicate"): _duplicate_id,
    ("jepsen-set", "lost"): _lost_at_last,
    ("jepsen-set", "unexpected"): _unexpected,
    ("set-full", "lost"): _lost,
    ("set-full", "unexpected"): _unexpected,
    ("set-full", "duplicate"): _twice,
    ("long-fork", "long-fork"): _fork,
    ("long-fork", "two-values"): _two_values,
    ("bank", "negative-balance"): _negative,
    ("bank", "wrong-total"): _wrong_total,
}
"""(model, rule) -> what looks again."""
