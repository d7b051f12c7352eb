"""Checks again what is claimed of an object: that its operations have no legal order, or that they
have this one. It shares no code with the engines, nor with their models.

A certificate of "linearizability" names rows that are kept, a position `end` after which nothing
counts, and gaps. Every other operation is *free*: it may take effect or not, at any time but in the
gaps of its class, in which there must indeed be none, and as often as there are such operations
(`repeat`: any number of times). That is never more than the history demands. Then everything is
tried: the certificate holds when no (done, state, spent) can be reached at the end.
"""

from __future__ import annotations

import time
from typing import Any

from dissensus.checkers.verifier_objects import Object, freed, named
from dissensus.harness.claims import FOREVER, Op, plain, text
from dissensus.harness.history import History
from dissensus.harness.verdict import Certificate, Contradiction, OverBudget

PLACES_MAX = 300_000
SECONDS_MAX = 10.0
Span = tuple[int, int]
Kept = tuple[int, int, Op]
Free = tuple[Op, list[Span], int]


def linearizability(history: History, certificate: Certificate) -> None:
    """Raises Contradiction unless the certificate holds, OverBudget where that takes too long."""
    data, thing = certificate.data, Object(certificate.data["model"])
    if ("key" in data) != thing.by_key:
        raise Contradiction("each key is an object of its own, or all are one: it says otherwise")
    end, kept_rows, kept, returns = data["end"], set(data["kept"]), [], []
    given: dict[tuple[Any, ...], list[Span]] = {}
    for gap in data["gaps"]:
        who = gap.get("process", -1) if thing.kind == "reentrant-mutex" else -1
        op = Op(plain(gap["f"]), gap["arg"], gap.get("result"), gap["known"], process=who)
        given.setdefault(named(op), []).append((gap.get("from", -2), gap.get("to", FOREVER)))
    free: dict[tuple[Any, ...], tuple[Op, list[Span], list[int]]] = {}
    found: dict[int, Any] = {}
    for row, ret, op in thing.rows(history, data):
        inv = history.inv[row]
        if row in kept_rows and inv < end:
            kept.append((inv, ret if ret <= end else FOREVER, op))
            returns += [ret] if row == certificate.blocked[0] else []
        elif inv < end:
            if id(op) not in found:
                one, name = freed(op), named(freed(op))
                gaps = given.get(named(one._replace(result=None, known=False)), [])
                found[id(op)] = free.setdefault(name, (one, [*given.get(name, gaps)], []))
            _, gaps, rows = found[id(op)]
            rows.append(row)
            for gap in [gap for gap in gaps if inv < gap[1] and ret > gap[0]]:
                gaps.remove(gap)
    if len(kept) != len(kept_rows) or returns != [end]:
        raise Contradiction("a kept row is of another key, or does not return before the end")
    for name, spans in given.items():
        if name in free and set(free[name][1]) != set(spans):
            raise Contradiction(f"there is an operation in a gap of {name[0]} {name[1]}")
    spare, fresh = [], [op for _, _, op in kept]
    while fresh:
        more = [n for n in free if any(thing.matters(free[n][0], other) for other in fresh)]
        spare += [(op, gaps, len(rows)) for op, gaps, rows in map(free.pop, more)]
        fresh = [op for op, _, _ in spare[len(spare) - len(more) :]]
    _try_everything(thing, kept, spare, repeat=data["repeat"])


def _try_everything(thing: Object, kept: list[Kept], free: list[Free], *, repeat: bool) -> None:
    """Raises Contradiction where some order is legal."""
    ends = {at for inv, ret, _ in kept for at in (inv, ret)}
    positions = sorted(ends.union(*(span for _, gaps, _ in free for span in gaps)) - {FOREVER})
    deadline, budget = time.monotonic() + SECONDS_MAX, PLACES_MAX
    reached = {(0, thing.initial, () if repeat else (0,) * len(free))}
    for left, right in zip([-2, *positions], [*positions, FOREVER], strict=True):
        now = [(1 << i, op) for i, (a, z, op) in enumerate(kept) if a <= left and z >= right]
        spare = list(enumerate(free))
        spare = [s for s in spare if not any(a <= left and right <= z for a, z in s[1][1])]
        ahead = list(reached)
        while ahead:
            done, state, spent = ahead.pop()
            budget -= 1
            if budget < 0 or time.monotonic() > deadline:
                raise OverBudget(f"more than {PLACES_MAX} places or {SECONDS_MAX:g} s")
            after = [(done | b, thing.step(state, op), spent) for b, op in now if not done & b]
            for i, (op, _, most) in spare:
                new = thing.step(state, op) if repeat or spent[i] < most else state
                if new != state:
                    more = () if repeat else (*spent[:i], spent[i] + 1, *spent[i + 1 :])
                    after.append((done, new, more))
            fresh = {place for place in after if place[1] is not None} - reached
            reached |= fresh
            ahead += fresh
        due = sum(1 << i for i, (_, ret, _) in enumerate(kept) if ret == right < FOREVER)
        reached = {place for place in reached if place[0] & due == due}
        if not reached:
            return
    raise Contradiction("there is an order of the operations that is legal")


def linearization(history: History, certificate: Certificate) -> None:
    """Raises Contradiction unless the rows of the whole history are in an order that is legal for
    each object and keeps real time.
    """
    data, thing, latest = certificate.data, Object(certificate.data["model"]), -1
    if "key" in data:
        raise Contradiction("it speaks of one key, and not of the whole history")
    counted = {row: (ret, op) for row, ret, op in thing.rows(history, data)}
    states: dict[str, Any] = {}
    for row in data["order"]:
        ret, op = counted.pop(row, (-2, None))
        key = text(history.key_of(row)) if op is not None and thing.by_key else ""
        state = None if op is None else thing.step(states.get(key, thing.initial), op)
        if ret < latest or state is None:
            raise Contradiction(f"row {row} cannot happen in its place")
        states[key] = state
        latest = max(latest, history.inv[row])
    if missing := [row for row, (ret, _) in counted.items() if ret != FOREVER]:
        raise Contradiction(f"row {missing[0]} is missing in the order")
