"""Queues, stacks and lists: elements in an order. A state is a tuple of their JSON texts."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from dissensus.checkers.models.base import (
    EMPTY,
    Object,
    Spec,
    is_number,
    options_text,
    text_of,
)
from dissensus.harness.checker import Call, Part

Items = tuple[str, ...]


class Sequence(Object):
    """What has a place to put elements in and one to take them from. To take or to look at an
    element of an empty one finds null or -1, which therefore are no elements.

    failed=dropped   a take that completes as `fail` says nothing; the default
    failed=asserts   it found that there was no element
    """

    def __init__(self, spec: Spec) -> None:
        spec.only("init", "failed")
        spec.word("init", "empty")
        self._failed_asserts = spec.choice("failed", ("dropped", "asserts"), "dropped") == "asserts"
        self.name = options_text(spec.name, ["failed=asserts"] if self._failed_asserts else [])

    def initial(self) -> Items:
        return ()

    def _put(self, state: Items, op: Call) -> Items:
        """The state after an element was put in."""
        raise NotImplementedError

    def _next(self, state: Items, op: Call) -> int:
        """Place of the element that is taken next from a state that is not empty."""
        raise NotImplementedError

    @staticmethod
    def _is_nothing(value: Any) -> bool:
        return value is None or (is_number(value) and value == EMPTY)

    def _found_nothing(self, op: Call) -> bool:
        return op.type == "fail" or (op.known and self._is_nothing(op.result))

    def is_read(self, op: Call) -> bool:
        """A look, or a take that found nothing."""
        what = self.what(op)
        return what.startswith("peek") or (what.startswith("take") and self._found_nothing(op))

    def is_blind(self, op: Call) -> bool:
        return False

    def part(self, op: Call) -> Part:
        if op.type == "fail" and self._failed_asserts and self.what(op).startswith("take"):
            return Part.MUST
        return super().part(op)

    def accepts(self, op: Call) -> None:
        super().accepts(op)
        if self.what(op).startswith("put") and self._is_nothing(op.value):
            self.refuse(op, "takes an element; null and -1 mean that there is none")

    def step(self, state: Items, op: Call) -> Items | None:
        what = self.what(op)
        if what.startswith("put"):
            return self._put(state, op)
        open_ = op.type == "info"
        if not state:
            return state if open_ or self._found_nothing(op) else None
        place = self._next(state, op)
        if not open_ and (self._found_nothing(op) or text_of(op.result) != state[place]):
            return None
        return state if what.startswith("peek") else state[:place] + state[place + 1 :]


class Queue(Sequence):
    """First in, first out: enqueue, dequeue, peek."""

    NAMES: ClassVar = {
        "enqueue": "put",
        "enq": "put",
        "offer": "put",
        "dequeue": "take",
        "deq": "take",
        "poll": "take",
        "peek": "peek",
    }

    def _put(self, state: Items, op: Call) -> Items:
        return (*state, text_of(op.value))

    def _next(self, state: Items, op: Call) -> int:
        return 0


class Stack(Sequence):
    """Last in, first out: push, pop, peek."""

    NAMES: ClassVar = {"push": "put", "pop": "take", "peek": "peek", "top": "peek"}

    def _put(self, state: Items, op: Call) -> Items:
        return (*state, text_of(op.value))

    def _next(self, state: Items, op: Call) -> int:
        return len(state) - 1


class Deque(Sequence):
    """A queue with two ends."""

    NAMES: ClassVar = {
        f"{verb}-{end}": f"{what}-{side}"
        for verbs, what in (
            (("push", "add", "offer"), "put"),
            (("pop", "poll", "remove"), "take"),
            (("peek",), "peek"),
        )
        for verb in verbs
        for end, side in (
            ("front", "front"),
            ("first", "front"),
            ("left", "front"),
            ("back", "back"),
            ("last", "back"),
            ("right", "back"),
        )
    }

    def _put(self, state: Items, op: Call) -> Items:
        element = text_of(op.value)
        return (element, *state) if self.what(op) == "put-front" else (*state, element)

    def _next(self, state: Items, op: Call) -> int:
        return 0 if self.what(op).endswith("front") else len(state) - 1


class PriorityQueue(Sequence):
    """insert of a whole number; poll takes the largest, peek looks at it. Elements are kept in
    order, so that equal contents are one state.
    """

    NAMES: ClassVar = {
        "insert": "put",
        "enqueue": "put",
        "enq": "put",
        "offer": "put",
        "poll": "take",
        "dequeue": "take",
        "deq": "take",
        "peek": "peek",
    }

    def accepts(self, op: Call) -> None:
        super().accepts(op)
        if self.what(op) == "put" and not is_number(op.value):
            self.refuse(op, "takes a whole number")

    def _put(self, state: Items, op: Call) -> Items:
        return tuple(sorted((*state, text_of(op.value)), key=int))

    def _next(self, state: Items, op: Call) -> int:
        return len(state) - 1


class Append(Object):
    """A list that grows: append of one element, read of all."""

    NAMES: ClassVar = {"append": "append", "add": "append", "read": "read", "get": "read"}
    READS = frozenset({"read"})

    def __init__(self, spec: Spec) -> None:
        spec.only("init")
        spec.word("init", "empty")
        self.name = spec.name

    def initial(self) -> Items:
        return ()

    def accepts(self, op: Call) -> None:
        super().accepts(op)
        finds = op.known and self.what(op) == "read"
        if finds and op.result is not None and not isinstance(op.result, list):
            self.refuse(op, "finds a list")

    def step(self, state: Items, op: Call) -> Items | None:
        if self.what(op) == "append":
            return (*state, text_of(op.value))
        found = tuple(text_of(x) for x in op.result or ()) if op.known else state
        return state if found == state else None


class Log(Object):
    """A log with offsets: append (or send) answers with the place of the element, the first is 0;
    read (or poll) of an offset finds the element there, null past the end. A read without an
    offset finds all elements.
    """

    NAMES: ClassVar = {"append": "append", "send": "append", "read": "read", "poll": "read"}
    READS = frozenset({"read"})

    def __init__(self, spec: Spec) -> None:
        spec.only("init")
        spec.word("init", "empty")
        self.name = spec.name

    def initial(self) -> Items:
        return ()

    def accepts(self, op: Call) -> None:
        super().accepts(op)
        what = self.what(op)
        if what == "append" and op.known and not is_number(op.result):
            self.refuse(op, "answers with an offset")
        if what == "read" and op.value is not None and not is_number(op.value):
            self.refuse(op, "takes an offset or nothing")
        if what == "read" and op.known and op.value is None and not isinstance(op.result, list):
            self.refuse(op, "finds a list")

    def step(self, state: Items, op: Call) -> Items | None:
        if self.what(op) == "append":
            fits = not op.known or op.result == len(state)
            return (*state, text_of(op.value)) if fits else None
        return state if not op.known or self._found(state, op.value) == op.result else None

    @staticmethod
    def _found(state: Items, offset: Any) -> Any:
        if offset is None:
            return [msgspec.json.decode(item) for item in state]
        return msgspec.json.decode(state[offset]) if 0 <= offset < len(state) else None
