"""Checks certificates again, sharing no code with what made them: a certificate that does not hold
must not accuse anybody.

Linearizability. The certificate names a key, a position `end`, rows that are kept, and gaps. The
verifier goes through the history and convinces itself that all others of the key were only
weakened: reads may go, and an update may take effect any number of times, at any time but in the
gaps of its kind, in which none may have been under way. Then it tries everything: between each two
positions it follows all that can happen from every (done, value) that can be reached. The
certificate holds when nothing is left at the end.

The other kinds are looked up: the lines in which two nodes contradict each other among what nodes
reported, a panic in its file, outages among the answers that clients got.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from dissensus.harness.checker import RunView
from dissensus.harness.history import History
from dissensus.harness.verdict import Certificate

STATES_MAX = 1_000_000
"""(done, value) pairs in all. A shrunk certificate needs dozens."""
SECONDS_MAX = 10.0
"""For one certificate."""
FOREVER = 1 << 62
FAIL, OK = 2, 1


class Contradiction(Exception):
    """The certificate does not hold; the text says where."""


class OverBudget(Exception):
    """Too much to try."""


class Kept(NamedTuple):
    """An operation that happens once, or may."""

    inv: int
    ret: int
    must: bool
    f: str
    arg: Any
    result: Any
    known: bool


class Free(NamedTuple):
    """An update that may happen whenever it likes from `inv` to `ret`."""

    inv: int
    ret: int
    f: str
    arg: Any


class Rules(NamedTuple):
    """What a register does, read from the model's name."""

    init: str
    nil_is_unknown: bool


def verify(run: RunView, certificate: Certificate) -> tuple[bool | None, str]:
    """(True, "") where the certificate holds, (False, why) where it does not, (None, why) where it
    was too much to try or there is no rule for its kind.
    """
    rule = RULES.get(certificate.kind)
    if rule is None:
        return None, f"there is no rule for certificates of kind {certificate.kind!r}"
    try:
        rule(run, certificate)
    except Contradiction as error:
        return False, str(error)
    except (OverBudget, OSError) as error:
        return None, str(error)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        return False, f"the certificate is malformed: {error!r}"
    return True, ""


# -- linearizability ---------------------------------------------------------------------------


def _linearizability(run: RunView, certificate: Certificate) -> None:
    history = run.history
    data = certificate.data
    rules = _rules(data["model"], data["repeat"])
    end = data["end"]
    blocked = certificate.blocked[0]
    if history.ret[blocked] != end or history.outcome[blocked] != OK:
        raise Contradiction("the operation that cannot return does not return there")
    kept_rows = set(data["kept"])
    for row in kept_rows:
        if _text(history.key_of(row)) != _text(data["key"]):
            raise Contradiction(f"row {row} is of another key")
    kept: list[Kept] = []
    free: dict[tuple[str, str], list[Free]] = {}
    gaps = _gaps(data["gaps"])
    for row in range(len(history)):
        counts = history.outcome[row] != FAIL and history.inv[row] < end
        if not counts or _text(history.key_of(row)) != _text(data["key"]):
            continue
        op = _kept(history, row, end)
        if row in kept_rows:
            kept.append(op)
        elif op.f != "read" and not (op.f == "cas" and op.result is False):
            key = (op.f, _text(op.arg))
            if any(op.inv < to and op.ret > begin for begin, to in gaps.get(key, ())):
                raise Contradiction(f"row {row} was under way in a gap of {op.f}")
            if key not in free:
                free[key] = _between(gaps.get(key, []), op)
    if len(kept) != len(kept_rows):
        raise Contradiction("a kept row does not belong to the prefix")
    _try_everything(kept, [op for some in free.values() for op in some], rules)


def _rules(model: str, repeat: bool) -> Rules:
    """The initial value and the reading of null, from "cas-register(init=0;nil=unknown)"."""
    if not re.match(r"(cas-)?register\b(?!.*failed)", model) or not repeat:
        raise OverBudget(f"the verifier does not know the model {model!r}")
    init = re.search(r"init=(.*?)(?:;nil=\w+)?\)$", model)
    return Rules(init[1] if init else "null", "nil=unknown" in model)


def _gaps(listed: list[dict[str, Any]]) -> dict[tuple[str, str], list[tuple[int, int]]]:
    found: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for gap in listed:
        gaps = found.setdefault((gap["f"], _text(gap["arg"])), [])
        gaps.append((gap.get("from", -1), gap.get("to", FOREVER)))
        gaps.sort()
    return found


def _between(gaps: list[tuple[int, int]], op: Kept) -> list[Free]:
    begins = [-1, *(to for _, to in gaps)]
    untils = [*(start for start, _ in gaps), FOREVER]
    return [Free(b, u, op.f, op.arg) for b, u in zip(begins, untils, strict=True) if b < u]


def _kept(history: History, row: int, end: int) -> Kept:
    """A row as it stands in the prefix: what returns later may happen once, or never."""
    closed = history.outcome[row] == OK and history.ret[row] <= end
    return Kept(
        inv=history.inv[row],
        ret=history.ret[row] if closed else FOREVER,
        must=closed,
        f=history.f_of(row),
        arg=history.arg_of(row),
        result=history.result_of(row) if closed else None,
        known=closed,
    )


def _try_everything(kept: list[Kept], free: list[Free], rules: Rules) -> None:
    """Raises Contradiction where some order is legal."""
    ends = {end for op in kept if op.must for end in (op.inv, op.ret)}
    ends |= {op.inv for op in kept} | {op.inv for op in free} | {op.ret for op in free}
    positions = sorted(ends - {FOREVER})
    deadline = time.monotonic() + SECONDS_MAX
    reached = {(0, rules.init)}
    budget = STATES_MAX
    for left, right in zip([-2, *positions], [*positions, FOREVER], strict=True):
        open_ops = [(i, op) for i, op in enumerate(kept) if op.inv <= left and op.ret >= right]
        open_free = [op for op in free if op.inv <= left and op.ret >= right]
        writes, changes = _split(open_free)
        ahead = list(reached)
        written: set[int] = set()
        while ahead:
            done, value = ahead.pop()
            budget -= 1
            if budget < 0 or time.monotonic() > deadline:
                raise OverBudget(f"more than {STATES_MAX} states or {SECONDS_MAX:g} s")
            after = [(done, new) for new in changes.get(value, ())]
            if done not in written:
                written.add(done)
                after += [(done, new) for new in writes]
            for i, op in open_ops:
                new = None if done >> i & 1 else _apply(op, value, rules)
                if new is not None:
                    after.append((done | 1 << i, new))
            fresh = set(after) - reached
            reached |= fresh
            ahead += fresh
        for i, op in enumerate(kept):
            if op.must and op.ret == right:
                reached = {(done, value) for done, value in reached if done >> i & 1}
        if not reached:
            return
    raise Contradiction("there is an order of the operations that is legal")


def _split(free: list[Free]) -> tuple[set[str], dict[str, set[str]]]:
    """What free updates do: values that can be written, and value -> values it can change to."""
    writes: set[str] = set()
    changes: dict[str, set[str]] = {}
    for op in free:
        if op.f == "write":
            writes.add(_text(op.arg))
        elif op.f == "cas":
            changes.setdefault(_text(op.arg[0]), set()).add(_text(op.arg[1]))
        else:
            raise OverBudget(f"the verifier does not know the operation {op.f!r}")
    return writes, changes


def _apply(op: Kept, value: str, rules: Rules) -> str | None:
    """The value after a kept operation, None where it cannot happen."""
    if op.f == "read":
        silent = not op.known or (op.result is None and rules.nil_is_unknown)
        return value if silent or _text(op.result) == value else None
    if op.f == "cas" and op.known and op.result is False:
        return value if _text(op.arg[0]) != value else None
    if op.f == "write":
        return _text(op.arg)
    if op.f == "cas":
        return _text(op.arg[1]) if _text(op.arg[0]) == value else None
    raise OverBudget(f"the verifier does not know the operation {op.f!r}")


def _text(value: Any) -> str:
    """A value as text: equal values have equal text."""
    if isinstance(value, float) and value == int(value):
        value = int(value)
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


# -- what nodes said ---------------------------------------------------------------------------


def _reported(run: RunView, certificate: Certificate) -> None:
    """Both lines stand in the run, and contradict each other."""
    data = certificate.data
    one, other = data["said"]
    if certificate.kind == "agreement" and one[2] == other[2]:
        raise Contradiction("the two digests are the same")
    if certificate.kind == "election-safety" and one[0] == other[0]:
        raise Contradiction("it is one node")
    for node, t_ns, value in (one, other):
        lines = [r.fields for r in run.nodes if r.node == node and r.t_ns == t_ns]
        if certificate.kind == "agreement":
            said = any([data["at"], value] in _pairs(fields) for fields in lines)
        else:
            said = any(f.get("role") == "leader" and f.get("term") == data["at"] for f in lines)
        if not said:
            raise Contradiction(f"{node} did not report that at {t_ns} ns")


def _pairs(fields: dict[str, Any]) -> list[list[Any]]:
    pairs = [list(pair) for pair in fields.get("digests", [])]
    return [*pairs, [fields.get("applied"), fields.get("digest")]]


def _panic(run: RunView, certificate: Certificate) -> None:
    """The line stands in the file, or the mark in the run."""
    data = certificate.data
    if "mark" in data:
        if data["text"] not in str(run.marks[data["mark"]].get("text")):
            raise Contradiction("there is no such mark")
        return
    if run.directory is None:
        raise OverBudget("the run has no folder")
    with (run.directory / data["file"]).open(encoding="utf-8", errors="replace") as file:
        line = next((line for number, line in enumerate(file, 1) if number == data["line"]), "")
    if not data["text"] or data["text"] not in line:
        raise Contradiction(f"{data['file']}:{data['line']} says something else")


def _availability(run: RunView, certificate: Certificate) -> None:
    """In none of the outages anybody was answered, and they make up too much of the time."""
    data = certificate.data
    history = run.history
    down = 0
    for begin, end in data["outages"]:
        if not data["begin"] <= begin < end <= data["end"]:
            raise Contradiction("an outage lies outside of the time that counts")
        if any(
            history.outcome[r] == OK and begin < history.t_ret[r] < end for r in range(len(history))
        ):
            raise Contradiction(f"somebody was answered between {begin} and {end} ns")
        down += end - begin
    if down <= (1 - data["at_least"]) * (data["end"] - data["begin"]):
        raise Contradiction("the outages are too short")


RULES: dict[str, Callable[[RunView, Certificate], None]] = {
    "linearizability": _linearizability,
    "agreement": _reported,
    "election-safety": _reported,
    "panic": _panic,
    "availability": _availability,
}
"""Kind of certificate -> what checks it again; it raises Contradiction where it does not hold."""
