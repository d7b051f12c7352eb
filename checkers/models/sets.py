"""Sets: of elements that come and go, and of elements that stay."""

from __future__ import annotations

from typing import ClassVar

from dissensus.checkers.models.base import Object, Spec, effect, text_of, truth
from dissensus.harness.checker import Call


class AddRemoveSet(Object):
    """add, remove and contains of one element, and read of all. An add says whether the element was
    new, a remove whether it was there, each where its result is yes or no (true or 1, false or 0).
    """

    NAMES: ClassVar = {
        "add": "add",
        "insert": "add",
        "remove": "remove",
        "delete": "remove",
        "contains": "contains",
        "member": "contains",
        "read": "read",
    }
    READS = frozenset({"contains", "read"})

    def __init__(self, spec: Spec) -> None:
        spec.only("init")
        spec.word("init", "empty")
        self.name = spec.name

    def initial(self) -> frozenset[str]:
        return frozenset()

    def accepts(self, op: Call) -> None:
        super().accepts(op)
        what = self.what(op)
        if what == "read" and not isinstance(op.result, list | None):
            self.refuse(op, "finds a list")
        silent = not op.known or op.result is None or what == "read"
        repeated = what != "contains" and text_of(op.result) == text_of(op.value)
        if not silent and not repeated and truth(op.result) is None:
            self.refuse(op, "answers yes or no")

    def is_read(self, op: Call) -> bool:
        return self.what(op) in self.READS or effect(op) is False

    def is_blind(self, op: Call) -> bool:
        """A read that says nothing."""
        return self.what(op) in self.READS and (not op.known or op.result is None)

    def step(self, state: frozenset[str], op: Call) -> frozenset[str] | None:
        what = self.what(op)
        if what == "read":
            silent = not op.known or op.result is None
            return state if silent or state == {text_of(x) for x in op.result} else None
        element = text_of(op.value)
        there = element in state
        done = not there if what == "add" else there
        said = effect(op) if what != "contains" else truth(op.result) if op.known else None
        if said is not None and said != done:
            return None
        if what == "contains":
            return state
        return state | {element} if what == "add" else state - {element}


class GrowSet(Object):
    """add of one element, and read of all."""

    NAMES: ClassVar = {"add": "add", "broadcast": "add", "read": "read"}
    READS = frozenset({"read"})

    def __init__(self, spec: Spec) -> None:
        spec.only("init")
        spec.word("init", "empty")
        self.name = spec.name

    def initial(self) -> frozenset[str]:
        return frozenset()

    def accepts(self, op: Call) -> None:
        super().accepts(op)
        if self.what(op) == "read" and not isinstance(op.result, list | None):
            self.refuse(op, "finds a list")
        said = op.result is not None and text_of(op.result) != text_of(op.value)
        if self.what(op) == "add" and said and truth(op.result) is None:
            self.refuse(op, "answers yes or no")

    def is_blind(self, op: Call) -> bool:
        return self.is_read(op) and (not op.known or op.result is None)

    def step(self, state: frozenset[str], op: Call) -> frozenset[str] | None:
        if self.what(op) == "add":
            return state | {text_of(op.value)}
        silent = not op.known or op.result is None
        return state if silent or state == {text_of(x) for x in op.result} else None
