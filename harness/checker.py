"""Checkers are functions of the run store: from what was recorded to a verdict. Engines judge
columns.

`Engine.check(history, model, budget) -> Verdict` is the one door to every linearizability engine.
"""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import msgspec

from dissensus.harness.history import History
from dissensus.harness.verdict import Verdict


class Budget(msgspec.Struct, kw_only=True, frozen=True):
    """Bounds of a check. Over any of them the answer is UNKNOWN with how far it got."""

    seconds: float = 60.0
    """CPU time of all threads together, where the engine can tell; else time that passes."""
    configurations: int = 5_000_000
    """States that a search in Python may visit; counts where seconds would differ from machine to
    machine.
    """
    memory_bytes: int = 4 << 30
    """What the native engine may allocate."""


class FaultInterval(msgspec.Struct, kw_only=True):
    """One fault from the history: what was asked, what was measured, when it was undone."""

    id: int
    kind: str
    family: str = ""
    """The family that `kind` belongs to ("partition" of "partition-ring")."""
    targets: dict[str, Any]
    begin_ns: int
    measured_ns: int = -1
    end_ns: int = -1
    """-1: still open when the history ends."""
    asked: dict[str, Any] = {}
    measured: dict[str, Any] = {}
    effective: bool = False
    """The probe saw the effect that was asked for."""
    healed: bool = False
    """The probe after the undo saw that it is gone."""
    injected_ns: int = -1
    """When `inject` had returned: from here on it is in force."""
    undo_ns: int = -1
    """When its undo began."""

    def in_force_ns(self, last_ns: int) -> tuple[int, int]:
        """From when to when it was in force as a whole: neither while it was being injected nor
        while it was being undone. `last_ns` stands for the end of one that was never undone.
        """
        begin = next(t for t in (self.injected_ns, self.measured_ns, self.begin_ns) if t >= 0)
        end = next((t for t in (self.undo_ns, self.end_ns) if t >= 0), last_ns)
        return begin, max(begin, end)


class NodeReport(msgspec.Struct, kw_only=True):
    """One `node` event: what a node said of itself, or what was seen of it."""

    t_ns: int
    node: str
    fields: dict[str, Any]


class RunView(msgspec.Struct, kw_only=True):
    """A whole run as checkers and reports see it, read from the run store."""

    header: dict[str, Any]
    """Line 1 of events.jsonl: system, workload, nodes, seed, requested faults ..."""
    history: History
    faults: list[FaultInterval]
    nodes: list[NodeReport]
    phases: list[tuple[str, int]]
    """(name, start in ns), in order: set-up, warm-up, chaos, heal, final, teardown."""
    marks: list[dict[str, Any]]
    complete: bool
    """False when the `end` line is missing: the harness was killed, and the verdict is of the
    prefix.
    """
    end: dict[str, Any] = {}
    directory: Path | None = None
    """The run's folder: node logs lie below `nodes/`."""
    provenance: dict[str, Any] = {}
    """From run.json."""

    def phase_ns(self, name: str) -> tuple[int, int]:
        """Start and end of a phase; (0, 0) when it never began."""
        for i, (phase, start) in enumerate(self.phases):
            if phase == name:
                last = self.history.last_time_ns()
                return start, self.phases[i + 1][1] if i + 1 < len(self.phases) else last
        return 0, 0


class Checker(Protocol):
    """Judges one aspect of a run."""

    name: str

    def check(self, run: RunView, budget: Budget) -> Verdict:
        """A verdict, always: never raises for what the system under test did."""
        ...


class Call(NamedTuple):
    """An operation as a model sees it: what no model can tell apart is one call."""

    f: str
    value: Any = None
    """What it was invoked with."""
    result: Any = None
    """What it returned; None where that is not known."""
    type: str = "ok"
    """ "ok"; "info": what became of it is not known; "fail": it did not happen."""
    key: Any = None
    """Its key where the model's operations span keys (`Model.by_key` is False), else None."""
    process: int = -1
    """Who did it where the model asks for that (`Model.by_process`), else -1."""

    @property
    def known(self) -> bool:
        """Its result was seen."""
        return self.type == "ok"


class Part(enum.Enum):
    """How an operation counts."""

    MUST = "must"
    """It takes effect between its invocation and its return."""
    MAY = "may"
    """It takes effect after its invocation, or never."""
    DROP = "drop"
    """It says nothing."""


class Model(Protocol):
    """A sequential object. States are hashable values; all methods are pure."""

    name: str
    """With its options, so that `make_model` makes it again."""
    by_key: bool
    """Each key is an object of its own (locality); else the whole history is one object."""
    by_process: bool
    """Who does an operation matters: an owner of a lock."""

    @property
    def fs(self) -> frozenset[str]:
        """Names of its operations."""
        ...

    def initial(self) -> Any:
        """The state of an object of which nothing was asked."""
        ...

    def step(self, state: Any, op: Call) -> Any:
        """The state after the operation; None where it cannot happen with this result; a `set` of
        states where it can lead to several (a frozenset is a state).
        """
        ...

    def is_read(self, op: Call) -> bool:
        """It never changes the state, whatever the state is: reads, and updates whose result says
        that they changed nothing.
        """
        ...

    def is_blind(self, op: Call) -> bool:
        """It is legal in every state, and where it changes the state, the state after it does not
        depend on the one before: plain writes, and reads whose result says nothing.
        """
        ...

    def part(self, op: Call) -> Part:
        """How it counts."""
        ...

    def accepts(self, op: Call) -> None:
        """Raises UserError for an argument or a result that the model cannot read: asked once for
        each kind of call.
        """
        ...


class Finding(NamedTuple):
    """A violation that a fold found."""

    rule: str
    """Name of the rule that is broken: "lost", "duplicate", "negative-balance" ..."""
    rows: list[int]
    """The rows that show it: a minimal sub-history in which it is still broken."""
    text: str
    """One sentence; "(1)" is the first of `rows`."""


@runtime_checkable
class Fold(Protocol):
    """A check that is one pass over the whole history and no search for an order: Jepsen's set,
    bank, counter by bounds, unique ids, long fork.
    """

    name: str

    @property
    def fs(self) -> frozenset[str]:
        """Names of its operations."""
        ...

    def judge(self, history: History) -> list[Finding]:
        """All violations, the plainest first; none where the history is legal."""
        ...


class Transactions(msgspec.Struct, frozen=True):
    """Transactions at an isolation level (`checkers/transactions.py`)."""

    name: str
    fs: frozenset[str] = frozenset({"txn"})


Judge = Model | Fold | Transactions
"""What the name of a model stands for."""


class Engine(Protocol):
    """A linearizability engine."""

    name: str

    def check(self, history: History, model: Judge, budget: Budget) -> Verdict:
        """Judge every object of the history, each alone. An `ok` row has its place between `inv`
        and `ret`, an `info` row anywhere after its `inv` or nowhere, a `fail` row nowhere (but see
        `Model.part`).

        VALID, INVALID with a certificate of kind "linearizability" whose `data` the verifier reads
        (`checkers/verifier.py`), UNKNOWN over the budget. The verdict's `checker` is
        "linearizability", its `engine` names the engine.
        """
        ...
