"""Sequential models: what each operation may answer, given what happened before it.

Models are named as in "cas-register" or "cas-register(init=0;nil=unknown)"; the options stand with
each model. They are written from what the objects mean, and not from the native engine: they are
what its models are compared with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dissensus.checkers.models.base import Spec, parse, text_of
from dissensus.checkers.models.folds import (
    Bank,
    CounterBounds,
    JepsenSet,
    Leader,
    LongFork,
    SetFull,
    UniqueIds,
)
from dissensus.checkers.models.locks import FencedLock, Mutex, ReentrantMutex, Semaphore
from dissensus.checkers.models.numbers import Counter, FetchAndAdd
from dissensus.checkers.models.registers import (
    CasRegister,
    KeyValue,
    MultiRegister,
    Register,
    RmwRegister,
)
from dissensus.checkers.models.sequences import (
    Append,
    Deque,
    Log,
    PriorityQueue,
    Queue,
    Stack,
)
from dissensus.checkers.models.sets import AddRemoveSet, GrowSet
from dissensus.checkers.models.user import is_user, load
from dissensus.harness.checker import Judge, Transactions
from dissensus.harness.errors import unknown_name

__all__ = ["MODELS", "make_model", "text_of"]


def _counter(spec: Spec) -> Judge:
    """ "counter(bounds)" is Jepsen's check, "counter" the linearizable one."""
    return CounterBounds(spec) if "bounds" in spec.options else Counter(spec)


def _transactions(spec: Spec) -> Judge:
    spec.only("level")
    return Transactions(name=spec.text)


MODELS: Mapping[str, Callable[[Spec], Judge]] = {
    "append": Append,
    "bank": Bank,
    "cas-register": CasRegister,
    "counter": _counter,
    "deque": Deque,
    "fenced-lock": FencedLock,
    "fetch-and-add": FetchAndAdd,
    "g-set": GrowSet,
    "jepsen-set": JepsenSet,
    "kv": KeyValue,
    "kv-append": KeyValue,
    "leader": Leader,
    "list-append": _transactions,
    "log": Log,
    "long-fork": LongFork,
    "multi-register": MultiRegister,
    "mutex": Mutex,
    "priority-queue": PriorityQueue,
    "queue": Queue,
    "reentrant-mutex": ReentrantMutex,
    "register": Register,
    "rmw-register": RmwRegister,
    "rw-register": _transactions,
    "semaphore": Semaphore,
    "set": AddRemoveSet,
    "set-full": SetFull,
    "stack": Stack,
    "unique-ids": UniqueIds,
}
"""Name -> what makes the model of a name with its options. A new model is a class with the methods
of `harness.checker.Model` or `Fold`, and a line.
"""


def make_model(text: str) -> Judge:
    """The model of "NAME" or "NAME(OPTION=VALUE;...)", or the user's own one of "PATH.py:CLASS".
    Raises UserError.
    """
    if is_user(text):
        return load(text)
    spec = parse(text)
    if spec.name not in MODELS:
        raise unknown_name("model", spec.name, MODELS)
    return MODELS[spec.name](spec)
