"""Checkers are functions of the run store: from what was recorded to a verdict. Engines judge
columns.

`Engine.check(history, model, budget) -> Verdict` is the one door to every linearizability engine.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import msgspec

from dissensus.harness.history import History
from dissensus.harness.verdict import Verdict


class Budget(msgspec.Struct, kw_only=True, frozen=True):
    """Bounds of a check. Over any of them the answer is UNKNOWN with how far it got."""

    seconds: float = 60.0
    configurations: int = 5_000_000
    """States that the search may visit; counts where seconds would differ from machine to machine.
    """


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


class Model(Protocol):
    """A sequential object for one key. States are hashable values."""

    name: str
    fs: frozenset[str]

    def initial(self) -> Any:
        """The state of a key that nothing was asked of."""
        ...

    def step(self, state: Any, f: str, value: Any, result: Any, *, known: bool) -> tuple[bool, Any]:
        """Apply one operation: (legal, next state). `value` is what it was invoked with, `result`
        what it completed with; `known` is False when the result was never seen (`info`), and then
        `result` says nothing.
        """
        ...

    def is_read(self, f: str, result: Any) -> bool:
        """Operations that never change the state: reads, and updates whose result says that they
        changed nothing.
        """
        ...

    def is_blind(self, f: str, result: Any) -> bool:
        """Operations that are legal in every state and tell nothing of it: plain writes, which
        always lead to one state, and reads whose result says nothing.
        """
        ...


class Engine(Protocol):
    """A linearizability engine."""

    name: str

    def check(self, history: History, model: Model, budget: Budget) -> Verdict:
        """Judge every key of the history, each alone. An `ok` row has its place between `inv` and
        `ret`, an `info` row anywhere after its `inv` or nowhere, a `fail` row nowhere.

        VALID, INVALID with a certificate of kind "linearizability" whose `data` the verifier reads
        (`checkers/verifier.py`), UNKNOWN over the budget. The verdict's `checker` is
        "linearizability", its `engine` names the engine.
        """
        ...
