"""A user's own model: a class with `step(state, op) -> state | None`, or a set of states, named
"path/to/file.py:Class".

The class may say more: `initial`, the state of an object of which nothing was asked, `()` where it
says nothing; `key = False`, the whole history is one object and `op.key` tells the key;
`process = True`, `op.process` tells who it was; `is_read(op)`, the operation changes no state,
whatever the state is. What it raises is told with the operation and the state.
"""

from __future__ import annotations

import re
from typing import Any

from dissensus.checkers.problem import States
from dissensus.harness.checker import Call, Part
from dissensus.harness.errors import UserError

SHOWN_MAX = 200
"""Letters of a state or an operation in a message."""


def is_user(name: str) -> bool:
    """The name is one of a class in a file, and none of ours."""
    return re.fullmatch(r"[^(]*\.py(:\w*)?", name.strip()) is not None


class UserModel:
    """A class of a user's as the engines take a model."""

    def __init__(self, name: str, made: Any) -> None:
        """`made` is an instance of the class. Raises UserError."""
        self.name = name
        self._made = made
        if not callable(getattr(made, "step", None)):
            raise UserError(f"model {name!r} has no method step(state, op)")
        self.by_key = self._flag("key", usual=True)
        self.by_process = self._flag("process", usual=False)
        self._is_read = getattr(made, "is_read", None)
        initial = getattr(made, "initial", ())
        self._initial = self._asked(initial) if callable(initial) else initial
        if self._initial is None:
            raise UserError(f"model {name!r}: initial is None, which is no state")
        self._hashable(self._initial, "initial")

    @property
    def fs(self) -> frozenset[str]:
        """What it does not know, its `step` refuses."""
        return frozenset()

    def initial(self) -> Any:
        return self._initial

    def step(self, state: Any, op: Call) -> Any:
        after = self._asked(self._made.step, state, op)
        for one in after if isinstance(after, set) else (after,):
            self._hashable(one, f"step({shown(state)}, {shown(op)})")
        return after

    def is_read(self, op: Call) -> bool:
        return self._is_read is not None and bool(self._asked(self._is_read, op))

    def is_blind(self, op: Call) -> bool:
        """Nobody says so."""
        return False

    def part(self, op: Call) -> Part:
        if op.type == "ok":
            return Part.MUST
        return Part.DROP if op.type == "fail" or self.is_read(op) else Part.MAY

    def accepts(self, op: Call) -> None:
        """Whatever `step` takes."""

    def _flag(self, name: str, *, usual: bool) -> bool:
        value = getattr(self._made, name, usual)
        if not isinstance(value, bool):
            raise UserError(f"model {self.name!r}: {name} is True or False, not {shown(value)}")
        return value

    def _asked(self, method: Any, *args: Any) -> Any:
        try:
            return method(*args)
        except Exception as error:  # it is a user's code: whatever it does is told
            what = f"{method.__name__}({', '.join(map(shown, args))})"
            raise UserError(f"model {self.name!r}: {what} raises {error!r}") from error

    def _hashable(self, state: Any, what: str) -> None:
        try:
            hash(state)
        except TypeError:
            raise UserError(
                f"model {self.name!r}: {what} gives a {type(state).__name__}, and a state must be "
                f"hashable (a tuple, a frozenset ...): {shown(state)}"
            ) from None


class Bridge(States):
    """What the native engine asks: states and operations by number, each pair once."""

    def __init__(self, model: UserModel) -> None:
        super().__init__(model)
        self.name = model.name
        self.by_key = model.by_key
        self.by_process = model.by_process

    def add(  # noqa: PLR0917 - the engine gives them by place
        self, f: str, value: Any, result: Any, type: str, key: Any, process: int
    ) -> tuple[int, bool]:
        """A new operation: its number, and whether it is a read."""
        call = Call(f=f, value=value, result=result, type=type, key=key, process=process)
        self.classes.append(call)
        return len(self.classes) - 1, self.model.is_read(call)


def load(name: str) -> UserModel:
    """The model of "path/to/file.py:Class". Raises UserError."""
    from dissensus.harness.registry import class_at

    made = class_at(name.strip(), "model")
    try:
        return UserModel(name.strip(), made() if isinstance(made, type) else made)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"model {name!r} cannot be made: {error!r}") from error


def shown(thing: Any) -> str:
    """A state or an operation, in a message."""
    try:
        text = call_text(thing) if isinstance(thing, Call) else repr(thing)
    except Exception:  # a user's __repr__
        text = f"a {type(thing).__name__}"
    return text if len(text) <= SHOWN_MAX else f"{text[:SHOWN_MAX]} ..."


def call_text(op: Call) -> str:
    """ "write 3", "read -> 3", "cas [1, 2] (info)"."""
    parts = [op.f]
    if op.value is not None:
        parts.append(repr(op.value))
    if op.known:
        parts.append(f"-> {op.result!r}")
    else:
        parts.append(f"({op.type})")
    return " ".join(parts)
