"""Locks: mutex, reentrant mutex, semaphore, lock with a fencing token, lease."""

from __future__ import annotations

from typing import Any, ClassVar

from dissensus.checkers.models.base import Object, Spec, is_number, options_text, truth
from dissensus.harness.checker import Call
from dissensus.harness.errors import UserError

FREE = -1
"""In the place of an owner."""

TAKE = ("acquire", "lock", "try-acquire", "try-lock", "tryAcquire")
GIVE = ("release", "unlock")


def names(**others: str) -> dict[str, str]:
    """The names of the operations of a lock."""
    return {**dict.fromkeys(TAKE, "take"), **dict.fromkeys(GIVE, "give"), **others}


def refused(op: Call) -> bool:
    """The operation says that it was not done."""
    return op.known and truth(op.result) is False


class Mutex(Object):
    """acquire and release, whoever does them. An acquire that answers false or 0 found it held."""

    NAMES: ClassVar = names()

    def __init__(self, spec: Spec) -> None:
        spec.only("init")
        spec.word("init", "free")
        self.name = spec.name

    def initial(self) -> bool:
        return False

    def is_read(self, op: Call) -> bool:
        return self.what(op) == "take" and refused(op)

    def step(self, state: bool, op: Call) -> bool | None:
        if self.is_read(op):
            return state if state else None
        wanted = self.what(op) == "take"
        return wanted if state != wanted else None


class ReentrantMutex(Object):
    """Its owner may acquire it again, and has to release it as often. An acquire that answers false
    found another owner. The state is (owner, how often).
    """

    NAMES: ClassVar = names()
    by_process = True

    def __init__(self, spec: Spec) -> None:
        spec.only("init")
        spec.word("init", "free")
        self.name = spec.name

    def initial(self) -> tuple[int, int]:
        return FREE, 0

    def is_read(self, op: Call) -> bool:
        return self.what(op) == "take" and refused(op)

    def step(self, state: tuple[int, int], op: Call) -> tuple[int, int] | None:
        owner, depth = state
        if self.is_read(op):
            return state if owner not in (FREE, op.process) else None
        if self.what(op) == "take":
            return (op.process, depth + 1) if owner in (FREE, op.process) else None
        if owner != op.process:
            return None
        return (owner, depth - 1) if depth > 1 else (FREE, 0)


class Semaphore(Object):
    """n permits: acquire takes one, release gives one back, and there are never more than n
    (`semaphore(n=3)`); or a number that INCR raises without a bound and DECR lowers
    (`semaphore(init=0)`), where DECR answers 1 for done and 0 for "it was 0".
    """

    NAMES: ClassVar = names(INCR="give", DECR="take", incr="give", decr="take")

    def __init__(self, spec: Spec) -> None:
        spec.only("init", "n")
        self._most = spec.whole("n", 0, least=0)
        """0: no bound."""
        self._initial = spec.whole("init", self._most)
        if not spec.options:
            raise UserError(
                "model semaphore: write semaphore(n=N), or semaphore(init=N) where releases need "
                "no acquisition before"
            )
        if 0 < self._most < self._initial:
            raise UserError(f"model {spec.text!r}: init is more than n")
        options = [f"n={self._most}"] if self._most else []
        options += [f"init={self._initial}"] if "init" in spec.options else []
        self.name = options_text(spec.name, options)

    def initial(self) -> int:
        return self._initial

    def is_read(self, op: Call) -> bool:
        return self.what(op) == "take" and refused(op)

    def step(self, state: int, op: Call) -> int | None:
        if self.what(op) == "give":
            return state + 1 if not 0 < self._most <= state else None
        if refused(op):
            return state if state == 0 else None
        return state - 1 if state > 0 else None


class FencedLock(Object):
    """A mutex whose acquire answers with a token that is larger than every one before, or false. A
    release may name the token; one that answers false says that this token is not the one that
    holds the lock, and without a token it says nothing: who asks is not known. `use` of a token,
    something done under the lock, is refused (false) if and only if one with a larger token was
    done. The state is (held, last token given, largest token used).
    """

    NAMES: ClassVar = names(use="use", write="use")
    keeps_results = True

    def __init__(self, spec: Spec) -> None:
        spec.only("init")
        spec.word("init", "free")
        self.name = spec.name

    def initial(self) -> tuple[bool, int, int]:
        return False, -1, -1

    def accepts(self, op: Call) -> None:
        super().accepts(op)
        if self.what(op) == "use" and not self._is_token(op.value):
            self.refuse(op, "takes a token")
        got = op.known and op.result is not False and self.what(op) == "take"
        if got and not self._is_token(op.result):
            self.refuse(op, "answers with a token")

    @staticmethod
    def _is_token(value: Any) -> bool:
        return is_number(value) and value >= 0

    def is_read(self, op: Call) -> bool:
        if self.what(op) == "use":
            return refused(op)
        return op.result is False

    def step(self, state: tuple[bool, int, int], op: Call) -> tuple[bool, int, int] | None:
        held, last, used = state
        match self.what(op):
            case "use":
                if op.value > last or (refused(op) != (op.value < used) and op.known):
                    return None
                return held, last, max(used, op.value)
            case "give" if op.result is False:
                current = held and op.value == last and self._is_token(op.value)
                return None if current else state
            case "give":
                wrong = self._is_token(op.value) and op.value != last
                return None if not held or wrong else (False, last, used)
        if op.result is False:
            return state if held else None
        # Nobody can show the token of an acquire that told it to nobody: the least one leaves the
        # most possible.
        token = last + 1 if op.result is None else op.result
        return None if held or token <= last else (True, token, used)
