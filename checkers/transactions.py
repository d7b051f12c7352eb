"""Transactions: list-append and rw-register at an isolation level, judged by the native engine or
in pure Python.

Both engines say which anomalies there are, each with the rows that show it, which are possible
where the order of versions is not known, and a serial order where there is one (`Found`). The
verdict is made here: the level that was asked for is INVALID if a proven anomaly breaks it, VALID
if nothing that is possible does, else UNKNOWN; and all levels are placed (`levels`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from dissensus import __version__
from dissensus.checkers.levels import Level, holds, is_broken, level_of, shown, standing
from dissensus.harness.checker import Budget
from dissensus.harness.errors import UserError, unknown_name
from dissensus.harness.history import History
from dissensus.harness.verdict import Certificate, Validity, Verdict

WORKLOADS = ("list-append", "rw-register")
DEFAULT_LEVEL = "strict-serializable"
CERTIFICATES_MAX = 5
"""So many anomalies get a certificate, the plainest first."""


class Step(msgspec.Struct, kw_only=True, frozen=True):
    """One step of a cycle: why row `from_` comes before row `to`."""

    from_: int = msgspec.field(name="from")
    to: int
    edge: str
    """ "ww", "wr", "rw", "process" or "realtime"."""
    key: Any = None
    value: Any = None
    """The version that `from_` wrote (ww, wr) or read (rw); of a list its last element. None is the
    initial one.
    """
    next: Any = None
    """The version that `to` wrote (ww, rw)."""
    why: str = ""
    """How the order of the two is known: "read" (row `by` read both), "unseen" (nobody read
    `next`), "initial", "update" (row `by` read the one and wrote the other), "process" and
    "realtime" (row `by` knew the one, and came before row `also`, which knew the other).
    """
    by: int | None = None
    also: int | None = None


class Anomaly(msgspec.Struct, kw_only=True, frozen=True):
    """One anomaly, with the rows that show it."""

    name: str
    rows: list[int]
    key: Any = None
    value: Any = None
    steps: list[Step] = []
    """Empty where it is no cycle."""
    shortest: bool = False


class Found(msgspec.Struct, kw_only=True):
    """What an engine finds in a history."""

    transactions: int
    edges: int = 0
    components: int = 0
    visited: int = 0
    strict: bool = False
    """The order keeps real time."""
    unknown: str = ""
    """Why `possible` says nothing."""
    order: list[int] | None = None
    """Rows in a serial order."""
    possible: list[str] = []
    """Names of anomalies that the best order of versions has."""
    anomalies: list[Anomaly] = []


class Question(NamedTuple):
    """What is asked: "list-append(level=snapshot-isolation)"."""

    workload: str
    level: Level

    @property
    def name(self) -> str:
        return f"{self.workload}(level={shown(self.level.name)})"


Analyse = Callable[[History, str, Budget], Found]


def question_of(model: str) -> Question:
    """The question of a model's name. Raises UserError."""
    from dissensus.checkers.models.base import parse

    spec = parse(model)
    if spec.name not in WORKLOADS:
        raise unknown_name("transaction model", spec.name, WORKLOADS)
    spec.only("level")
    return Question(spec.name, level_of(spec.options.get("level", DEFAULT_LEVEL)))


def native(history: History, workload: str, budget: Budget) -> Found:
    """What the native engine finds."""
    import importlib

    from dissensus.checkers.native import MODULE, native_of

    engine = importlib.import_module(MODULE)
    try:
        text = engine.transactions(
            native_of(history),
            workload,
            cpu_s=budget.seconds,
            memory_bytes=budget.memory_bytes,
        )
    except ValueError as error:
        raise UserError(str(error)) from None
    return msgspec.json.decode(text, type=Found)


def judge_transactions(
    history: History, model: str, budget: Budget, *, engine: str = "native"
) -> Verdict:
    """The verdict on a history of transactions. `engine` is "native" or "python"."""
    from dissensus.checkers.txn_python import analyse

    question = question_of(model)
    began = time.process_time()
    engines: dict[str, Analyse] = {"native": native, "python": analyse}
    found = engines[engine](history, question.workload, budget)
    verdict = verdict_of(history, question, found)
    verdict.engine = f"{engine} {__version__}"
    verdict.facts["cpu_s"] = round(time.process_time() - began, 6)
    return verdict


def verdict_of(history: History, question: Question, found: Found) -> Verdict:
    """What follows from what an engine found."""
    proven = {anomaly.name for anomaly in found.anomalies}
    possible = None if found.unknown else {*found.possible, *proven}
    stands = standing(proven, possible)
    level = question.level
    algorithm = "dependency-graph" if question.workload == "list-append" else "version-graph"
    verdict = Verdict(
        checker="transactions",
        validity=Validity.UNKNOWN,
        facts={
            "model": question.name,
            "operations": len(history),
            "anomalies": sorted(proven),
            "weakest_broken": stands.broken,
            "strongest_holding": stands.holds,
            "undecided": stands.undecided,
            "edges": found.edges,
            "components": found.components,
            "visited": found.visited,
            "algorithms": {algorithm: 1},
        },
    )
    if is_broken(level, proven):
        verdict.validity = Validity.INVALID
        verdict.reason = (
            f"{broken_text(level, proven)}; {standing_text(stands.broken, stands.holds)}"
        )
    elif holds(level, possible):
        verdict.validity = Validity.VALID
        verdict.reason = (
            f"{found.transactions} transactions are {shown(level.name)}; "
            f"{standing_text(stands.broken, stands.holds)}"
        )
    else:
        left = sorted(level.forbids & (possible or set()))
        why = found.unknown or f"no order of versions was found without {', '.join(left)}"
        verdict.reason = f"{shown(level.name)} is neither proven nor refuted: {why}"
    verdict.certificates = certificates(history, question, found, verdict.validity)
    return verdict


def broken_text(level: Level, proven: set[str]) -> str:
    """ "G-single-item, internal: not snapshot-isolation"."""
    return f"{', '.join(sorted(level.forbids & proven))}: not {shown(level.name)}"


def standing_text(broken: list[str], sound: list[str]) -> str:
    """The weakest that is broken and the strongest that holds."""
    parts = []
    if broken:
        parts.append(f"weakest broken: {', '.join(broken)}")
    parts.append(f"strongest that holds: {', '.join(sound) or 'none that is known'}")
    return "; ".join(parts)


def certificates(
    history: History, question: Question, found: Found, validity: Validity
) -> list[Certificate]:
    """The anomalies that break the level, the plainest first; the serial order of what is VALID."""
    from dissensus.checkers.txn_story import certificate_of

    if validity is Validity.INVALID:
        breaking = [a for a in found.anomalies if a.name in question.level.forbids]
        breaking.sort(key=plainness)
        chosen: dict[str, Anomaly] = {}
        for anomaly in breaking:
            chosen.setdefault(anomaly.name, anomaly)
        some = list(chosen.values())[:CERTIFICATES_MAX]
        return [certificate_of(history, question.name, anomaly) for anomaly in some]
    # An order that does not keep real time shows nothing of a level that asks for more.
    enough = found.strict or not question.level.name.startswith("strong-")
    if validity is Validity.VALID and found.order is not None and enough:
        kind = "strict-serializable" if found.strict else "serializable"
        return [
            Certificate(
                kind="serial-order",
                summary=f"{len(found.order)} transactions in an order that is {kind}",
                data={"model": question.name, "order": found.order, "strict": found.strict},
            )
        ]
    return []


def plainness(anomaly: Anomaly) -> tuple[bool, int, bool, str]:
    """Sorts anomalies for readers: no cycle before cycles, short before long."""
    searched = anomaly.name.startswith("no-")
    return searched, len(anomaly.steps), not anomaly.shortest, anomaly.name
