"""Queues, stacks and lists: elements in an order. A state is a tuple of their JSON texts."""

from __future__ import annotations

from typing import Any, ClassVar

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
    """A list that grows: append of one element, read of all. A read of null saw the empty list, or
    says nothing (nil=unknown).
    """

    NAMES: ClassVar = {"append": "append", "add": "append", "read": "read", "get": "read"}
    READS = frozenset({"read"})

    def __init__(self, spec: Spec) -> None:
        spec.only("init", "nil")
        spec.word("init", "empty")
        self._nil_is_unknown = spec.choice("nil", ("absent", "unknown"), "absent") == "unknown"
        self.name = spec.text

    def initial(self) -> Items:
        return ()

    def accepts(self, op: Call) -> None:
        super().accepts(op)
        if self.what(op) == "read" and not isinstance(op.result, list | None):
            self.refuse(op, "finds a list")

    def _silent(self, op: Call) -> bool:
        return not op.known or (op.result is None and self._nil_is_unknown)

    def is_blind(self, op: Call) -> bool:
        return self.is_read(op) and self._silent(op)

    def step(self, state: Items, op: Call) -> Items | None:
        if self.what(op) == "append":
            return (*state, text_of(op.value))
        fits = self._silent(op) or tuple(text_of(x) for x in op.result or ()) == state
        return state if fits else None


class Log(Object):
    """A log with offsets. append (or send) answers with the offset of the entry, the first of which
    is `init` (0). read of an offset finds the entry there; null says that there was none yet
    (nil=unknown: it says nothing). poll, or read without an offset, finds pairs [offset, entry], or
    a map of one key to such pairs: each of them was there.
    """

    NAMES: ClassVar = {"append": "append", "send": "append", "read": "read", "poll": "poll"}

    def __init__(self, spec: Spec) -> None:
        spec.only("init", "nil")
        self._first = spec.whole("init", 0, least=-(2**63))
        self._nil_is_unknown = spec.choice("nil", ("absent", "unknown"), "absent") == "unknown"
        self.name = spec.text

    def initial(self) -> Items:
        return ()

    def is_read(self, op: Call) -> bool:
        return self.what(op) != "append"

    def accepts(self, op: Call) -> None:
        super().accepts(op)
        if self.what(op) == "append":
            if op.value is None:
                self.refuse(op, "takes an entry")
            if op.result is not None and not is_number(self._offset(op)):
                self.refuse(op, "answers with an offset")
        elif self.what(op) == "read" and op.value is not None:
            if not is_number(op.value):
                self.refuse(op, "takes an offset")
        elif self._pairs(op) is None:
            self.refuse(op, "finds pairs of offset and entry")

    @staticmethod
    def _offset(op: Call) -> Any:
        """What an append says: an offset, or a pair of it and the entry."""
        said = op.result
        pair = isinstance(said, list) and len(said) == 2 and text_of(said[1]) == text_of(op.value)
        return said[0] if pair else said

    @staticmethod
    def _pairs(op: Call) -> list[Any] | None:
        found = op.result
        if isinstance(found, dict) and len(found) <= 1:
            found = next(iter(found.values()), [])
        if found is None:
            return []
        fits = isinstance(found, list) and all(
            isinstance(pair, list) and len(pair) == 2 and is_number(pair[0]) for pair in found
        )
        return found if fits else None

    def _holds(self, state: Items, offset: int, entry: Any) -> bool:
        place = offset - self._first
        return 0 <= place < len(state) and state[place] == text_of(entry)

    def is_blind(self, op: Call) -> bool:
        """A read that says nothing."""
        if not self.is_read(op):
            return False
        if self.what(op) == "read" and op.value is not None:
            return not op.known or (op.result is None and self._nil_is_unknown)
        return not op.known or not self._pairs(op)

    def step(self, state: Items, op: Call) -> Items | None:
        if self.what(op) == "append":
            said = self._offset(op) if op.known else None
            if said is not None and said != self._first + len(state):
                return None
            return (*state, text_of(op.value))
        if self.is_blind(op):
            return state
        if self.what(op) == "read" and op.value is not None:
            nothing = op.result is None
            inside = 0 <= op.value - self._first < len(state)
            fits = not inside if nothing else self._holds(state, op.value, op.result)
        else:
            fits = all(self._holds(state, offset, entry) for offset, entry in self._pairs(op) or ())
        return state if fits else None
