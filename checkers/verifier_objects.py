"""The objects that the verifier of orders knows, by the names of their models: which rows count,
what state follows from which, and what can depend on what. It shares no code with the models of the
engines.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from dissensus.harness.claims import FOREVER, Op, ops_of, options_of, text
from dissensus.harness.history import History
from dissensus.harness.verdict import OverBudget

WORDS = {"": "null", "nil": "null", "empty": '""', "free": "1"}
GIVES = ("release", "unlock", "incr")
REGISTERS = ("register", "cas-register", "rmw-register")
ATOM = r'"(?:[^"\\]|\\.)*"|[^\[\]{},:]+'
PUTS = "enq|offer|push|insert|add"
EMPTIED = ("queue", "stack", "deque", "priority-queue")


def no(op: Op) -> bool:
    """It says that it was not done."""
    return op.failed or (op.known and (op.result is False or text(op.result) == "0"))


class Object:
    """The object of a model's name: rules from a state and an operation to the state after it."""

    def __init__(self, name: str) -> None:
        self.kind, self.options = options_of(name)
        self.by_key = self.kind != "multi-register"
        usual = {"rmw-register": "0", "kv-append": "empty", "mutex": "free"}.get(self.kind, "")
        self.init = self.options.get("init", usual)
        self.mixed = bool(re.fullmatch(r"-?\d+|true|false|[\[{].*", self.init))
        """Not all values of the rows are text."""
        json_like = re.fullmatch(r"-?\d+|true|false|null|[\[{\"].*", self.init)
        self.first = WORDS.get(self.init) or (self.init if json_like else text(self.init))
        whole = re.fullmatch(r"-?\d+", self.first)
        count = int(self.first if whole else self.options.get("n", 0))
        known: dict[str, tuple[Any, Any]] = {"log": (self.log, ()), "append": (self.append, ())}
        known |= dict.fromkeys(REGISTERS, (self.cell, self.first))
        known |= dict.fromkeys(("kv", "kv-append"), (self.kv, self.first))
        known |= dict.fromkeys(("counter", "fetch-and-add"), (self.number, count))
        known |= dict.fromkeys(("set", "g-set"), (self.elements, frozenset()))
        known |= dict.fromkeys(("mutex", "semaphore"), (self.permits, count))
        known |= dict.fromkeys(EMPTIED, (self.sequence, ()))
        known |= {"reentrant-mutex": (self.reentrant, (-1, 0)), "multi-register": (self.cells, ())}
        known |= {"fenced-lock": (self.fenced, (False, -1, -1))}
        if self.kind not in known or "bounds" in self.options:
            raise OverBudget(f"the verifier does not know the model {name!r}")
        self.step, self.initial = known[self.kind]

    def rows(self, history: History, data: dict[str, Any]) -> Iterator[tuple[int, int, Op]]:
        """(row, return, operation) of what counts."""
        asserting = "cas" if self.options.get("failed-cas") == "asserts" else "(?!)"
        asserting = "deq|poll|pop|rem" if self.options.get("failed") == "asserts" else asserting
        for row, ret, op in ops_of(
            history, self.kind, key=data.get("key", ...), asserting=asserting
        ):
            self.mixed = self.mixed or not isinstance(op.arg, str | None)
            yield row, ret, op

    def silent(self, op: Op) -> bool:
        return not op.known or (op.result is None and self.options.get("nil") == "unknown")

    def cell(self, state: str, op: Op) -> Any:
        if op.f == "write":
            return text(op.arg)
        if op.f == "read":
            return state if self.silent(op) or text(op.result) == state else None
        old, new = map(text, op.arg)
        refused = op.failed or (op.known and op.result is False)
        return (state if refused else new) if (old == state) != refused else None

    def kv(self, state: str, op: Op) -> Any:
        nothing = '""' if self.init == "empty" else "null"
        if op.f in {"get", "read"}:
            seen = nothing if op.result is None else text(op.result)
            return state if self.silent(op) or seen == state else None
        if op.f == "append":
            before = json.loads(state) or ""
            return text(before + op.arg) if isinstance(before, str) else None
        return nothing if op.f.startswith("del") or op.arg is None else text(op.arg)

    def number(self, state: int, op: Op) -> Any:
        reads, down = op.f in {"read", "get"}, op.f[:3] in {"dec", "sub"}
        amount = 0 if reads else 1 if op.arg is None else int(op.arg)
        after = state - amount if down else state + amount
        new = self.options.get("returns", "new" if op.f.endswith("andget") else "old") == "new"
        says = op.known and op.result is not None and (reads or self.kind != "counter")
        return None if says and op.result != (after if new else state) else after

    def elements(self, state: frozenset[str], op: Op) -> Any:
        if op.f == "read":
            seen = {text(x) for x in op.result} if op.known and op.result is not None else state
            return state if state == seen else None
        element, asks = text(op.arg), op.f in {"contains", "member"}
        adds = op.f in {"add", "insert", "broadcast"}
        says = op.known and op.result is not None and (asks or text(op.result) != element)
        if says and self.kind == "set" and no(op) != ((element in state) == adds):
            return None
        return state if asks else state | {element} if adds else state - {element}

    def sequence(self, state: tuple[str, ...], op: Op) -> Any:
        front = any(side in op.f for side in ("front", "first", "left"))
        if re.match(PUTS, op.f):
            more = (text(op.arg), *state) if front else (*state, text(op.arg))
            return tuple(sorted(more, key=int)) if self.kind == "priority-queue" else more
        place = 0 if front or self.kind == "queue" else len(state) - 1
        nothing = op.failed or (op.known and text(op.result) in {"null", "-1"})
        if nothing or not state:
            return state if not state and (nothing or not op.known) else None
        if op.known and text(op.result) != state[place]:
            return None
        return state if op.f[:3] in {"pee", "top"} else state[:place] + state[place + 1 :]

    def permits(self, left: int, op: Op) -> Any:
        if op.f in GIVES:
            most = 1 if self.kind == "mutex" else int(self.options.get("n", FOREVER))
            return left + 1 if left < most else None
        return (left if no(op) else left - 1) if (left > 0) != no(op) else None

    def reentrant(self, state: tuple[int, int], op: Op) -> Any:
        owner, depth = state
        mine = depth > 0 and owner == op.process
        if op.f in GIVES:
            return None if not mine else (owner, depth - 1) if depth > 1 else (-1, 0)
        if no(op):
            return state if depth and not mine else None
        return (op.process, depth + 1) if mine or not depth else None

    def fenced(self, state: tuple[bool, int, int], op: Op) -> Any:
        held, last, used = state
        if op.f in {"use", "write"}:
            late = op.known and op.arg < used
            return None if op.arg > last or no(op) != late else (held, last, max(used, op.arg))
        if op.f in GIVES:
            names = isinstance(op.arg, int)
            if op.known and op.result is False:
                return None if held and names and op.arg == last else state
            return (False, last, used) if held and not (names and op.arg != last) else None
        if op.known and op.result is False:
            return state if held else None
        token = last + 1 if op.result is None else op.result
        return None if held or token <= last else (True, token, used)

    def log(self, state: tuple[str, ...], op: Op) -> Any:
        first, found = int(self.init or 0), op.result
        if op.f in {"append", "send"}:
            if isinstance(found, list) and len(found) == 2 and text(found[1]) == text(op.arg):
                found = found[0]
            fits = not op.known or found in {None, first + len(state)}
            return (*state, text(op.arg)) if fits else None
        if op.f == "read" and op.arg is not None:
            if found is None and not self.silent(op):
                return None if 0 <= op.arg - first < len(state) else state
            found = found if found is None else [[op.arg, found]]
        pairs = next(iter(found.values()), []) if isinstance(found, dict) else found or []
        held = dict(enumerate(state, first))
        return state if all(held.get(at) == text(entry) for at, entry in pairs) else None

    def append(self, state: tuple[str, ...], op: Op) -> Any:
        if op.f in {"append", "add"}:
            return (*state, text(op.arg))
        return state if self.silent(op) or tuple(map(text, op.result or ())) == state else None

    def cells(self, state: tuple[tuple[str, str], ...], op: Op) -> Any:
        held, said = dict(state), op.arg if op.f == "write" or not op.result else op.result
        parts = [(op.f, *pair) for pair in said.items()] if isinstance(said, dict) else said or ()
        for f, name, *values in parts:
            key, value = text(name), [*values, None][0]
            if f[0] == "w":
                held[key] = text(value)
            elif not self.silent(op._replace(result=value)) and text(value) != held.get(
                key, self.first
            ):
                return None
        return tuple(sorted((key, value) for key, value in held.items() if value != self.first))

    def matters(self, free: Op, other: Op) -> bool:
        """Whether the other operation can depend on the free one: what nothing depends on might as
        well never have happened. Where values are only compared, that takes a value in common.
        """
        if self.kind in {"kv", "kv-append"}:
            return self.supplies(free, other)
        if "register" not in self.kind and self.kind not in {"set", "g-set", *EMPTIED}:
            return True
        refused, mine = other.failed or other.result is False, self.atoms(free)
        return refused or not mine or not mine.isdisjoint(self.atoms(other))

    def supplies(self, free: Op, other: Op) -> bool:
        """A get needs what its text is made of. An append needs a text or nothing to append to:
        where there may be other values (`mixed`), all that makes one.
        """
        if other.f not in {"get", "read"}:
            return self.mixed and free.f != "append"
        seen = "" if other.result is None and self.init == "empty" else other.result
        removes = free.f.startswith("del") or free.arg is None
        if self.silent(other) or seen is None:
            return not self.silent(other) and removes
        if isinstance(seen, str):
            return removes or (isinstance(free.arg, str) and free.arg in seen)
        return not removes and free.f != "append" and text(free.arg) == text(seen)

    def atoms(self, op: Op) -> set[str]:
        """The values that an operation compares or sets."""
        both = op.arg is None or (self.kind in EMPTIED and not re.match(PUTS, op.f))
        found = {*re.findall(ATOM, text([op.arg, op.result] if both else op.arg))}
        return found if "register" in self.kind else found - {"null"}


def freed(op: Op) -> Op:
    """A free operation. A result that says no more than that it was done does not count."""
    says = op.result is not None and op.result is not True and text(op.result) != text(op.arg)
    took = re.match("deq|poll|pop|remove[flr]", op.f)
    return op if op.known and (says or took) else op._replace(result=None, known=False)


def named(op: Op) -> tuple[Any, ...]:
    return op.f, text(op.arg), text(op.result) if op.known else None, op.failed, op.process
