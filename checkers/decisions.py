"""What nodes decided, from their logs (`harness/decided.py`): agreement, validity, integrity,
prefix order, and a commit index that never goes back.

The names are those of the textbooks. Agreement is uniform: what a node decided before it crashed
counts as much as what a correct one did. An entry of the protocol itself, whose value is null, was
proposed by nobody and need not have been.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from dissensus.checkers.models import text_of
from dissensus.checkers.panic import node_logs
from dissensus.harness.checker import Budget, NodeReport, RunView
from dissensus.harness.decided import LOG_BYTES_MAX, Decision, operation_value, read_decisions
from dissensus.harness.verdict import Certificate, Validity, Verdict

CERTIFICATES_MAX = 3
"""What went wrong once goes on: the first lines tell what the others do."""


class DecisionChecker:
    """One property of the decisions: INVALID with the lines that break it, UNKNOWN (vacuous) where
    nothing was compared.
    """

    def __init__(self, name: str, find: Find, holds: str) -> None:
        self.name = name
        self._find = find
        self._holds = holds

    def check(self, run: RunView, budget: Budget) -> Verdict:
        decisions = decisions_of(run)
        certificates, compared = self._find(run, decisions)
        verdict = Verdict(
            checker=self.name,
            validity=Validity.VALID,
            reason=self._holds.format(compared),
            facts={"decisions": len(decisions), "compared": compared},
            certificates=certificates[:CERTIFICATES_MAX],
        )
        cut = [p.name for p in node_logs(run.directory) if p.stat().st_size > LOG_BYTES_MAX]
        if certificates:
            verdict.validity = Validity.INVALID
            verdict.reason = certificates[0].summary
        elif cut:
            verdict.validity = Validity.UNKNOWN
            verdict.reason = f"only the first {LOG_BYTES_MAX} bytes of {', '.join(cut)} were read"
        elif not compared:
            verdict.validity = Validity.UNKNOWN
            verdict.reason = "nothing was compared"
            verdict.vacuous = [f"{len(decisions)} decisions in the logs, none to compare"]
        return verdict


def decisions_of(run: RunView) -> list[Decision]:
    """All decisions in the logs of the run's nodes: node by node, each in its order."""
    if run.directory is None:
        return []
    return [d for path in node_logs(run.directory) for d in read_decisions(run.directory, path)]


def agreement(run: RunView, decisions: list[Decision]) -> tuple[list[Certificate], int]:
    """No two nodes decide differently at an index."""
    first: dict[int, tuple[str, Decision]] = {}
    compared: set[int] = set()
    found: dict[int, Certificate] = {}
    for decision in decisions:
        if decision.snapshot:
            continue
        value = text_of([decision.term, decision.value])
        known, before = first.setdefault(decision.index, (value, decision))
        if before.node != decision.node:
            compared.add(decision.index)
        if known != value and decision.index not in found:
            text = f"at index {decision.index} {said(before)} and {said(decision)}"
            found[decision.index] = certificate("log-agreement", text, before, decision)
    return [found[index] for index in sorted(found)], len(compared)


def validity(run: RunView, decisions: list[Decision]) -> tuple[list[Certificate], int]:
    """Nothing is decided that no client asked for."""
    history = run.history
    asked = {
        text_of(operation_value(history.f_of(row), history.key_of(row), history.arg_of(row)))
        for row in range(len(history))
    }
    found: dict[str, Certificate] = {}
    compared = 0
    for decision in decisions:
        if decision.snapshot or decision.value is None:
            continue
        compared += 1
        value = proposed(decision.value)
        if value not in asked and value not in found:
            text = f"{said(decision)} at index {decision.index}, which no client asked for"
            found[value] = certificate("validity", text, decision)
    return list(found.values()), compared


def integrity(run: RunView, decisions: list[Decision]) -> tuple[list[Certificate], int]:
    """In one life a node decides each index at most once, whatever the value."""
    found = []
    compared = 0
    for life in lives(decisions):
        seen: dict[int, Decision] = {}
        for decision in life:
            before = None if decision.snapshot else seen.setdefault(decision.index, decision)
            compared += 1
            if before is not None and before is not decision:
                text = f"{decision.node} decided index {decision.index} twice in one life"
                found.append(certificate("integrity", text, before, decision))
    return found, compared


def prefix_order(run: RunView, decisions: list[Decision]) -> tuple[list[Certificate], int]:
    """In one life a node decides index after index without a gap: with agreement, what any two
    nodes decided is a prefix of one log. A snapshot stands for what lies below it.
    """
    found = []
    compared = 0
    for life in lives(decisions):
        before: Decision | None = None
        for decision in life:
            compared += before is not None
            if before is not None and not follows(before, decision):
                text = f"{decision.node} decided index {decision.index} after {before.index}"
                found.append(certificate("prefix-order", text, before, decision))
            before = decision
    return found, compared


def follows(before: Decision, after: Decision) -> bool:
    """Whether one decision may come after another."""
    if after.snapshot:
        return after.index > before.index
    return after.index == before.index + 1


def lives(decisions: Iterable[Decision]) -> Iterator[list[Decision]]:
    """The decisions of each incarnation of each node."""
    split: dict[tuple[str, int], list[Decision]] = {}
    for decision in decisions:
        split.setdefault((decision.node, decision.incarnation), []).append(decision)
    yield from split.values()


def proposed(value: Any) -> str:
    """A decided value in the form in which proposals are compared."""
    if isinstance(value, list) and len(value) == 3:
        value = operation_value(*value)
    return text_of(value)


def said(decision: Decision) -> str:
    """ "n1 decided ["write","k",3] (term 2)"."""
    term = "" if decision.term is None else f" (term {decision.term})"
    value = "an entry of its own" if decision.value is None else text_of(decision.value)
    return f"{decision.node} decided {value}{term}"


def certificate(kind: str, summary: str, *decisions: Decision) -> Certificate:
    """The lines of the logs that break a property."""
    lines = [{"file": d.file, "line": d.line, "node": d.node, "index": d.index} for d in decisions]
    story = [
        f"Line {d.line} of {d.file}: "
        + (f"a snapshot up to index {d.index}." if d.snapshot else f"{said(d)} at {d.index}.")
        for d in decisions
    ]
    return Certificate(kind=kind, summary=summary, story=story, data={"lines": lines})


Find = Callable[[RunView, list[Decision]], tuple[list[Certificate], int]]


class MonotoneChecker:
    """INVALID when a node's term or commit index goes back within one life. After a start both may
    be lower: what a node says of itself need not have reached its disk. Lives are told apart by the
    incarnation that a node reports; without one nothing can be said, and the verdict says that.
    """

    name = "monotone-commit"

    def check(self, run: RunView, budget: Budget) -> Verdict:
        found: list[Certificate] = []
        compared = 0
        last: dict[tuple[str, str, int], tuple[NodeReport, int]] = {}
        for report in run.nodes:
            life = report.fields.get("incarnation")
            for field in ("term", "commit"):
                value = report.fields.get(field)
                if not isinstance(value, int) or not isinstance(life, int) or value < 0:
                    continue
                at = (report.node, field, life)
                before = last.get(at)
                last[at] = (report, value)
                if before is None:
                    continue
                compared += 1
                if value < before[1]:
                    found.append(went_back(field, before, (report, value)))
        verdict = Verdict(
            checker=self.name,
            validity=Validity.VALID,
            reason=f"terms and commit indices only grew, in {compared} comparisons",
            facts={"compared": compared},
            certificates=found[:CERTIFICATES_MAX],
        )
        if found:
            verdict.validity = Validity.INVALID
            verdict.reason = found[0].summary
        elif not compared:
            # A short run is no worse for it: what matters is compared in the logs.
            verdict.reason = "nothing was compared"
            verdict.vacuous = ["no node reported its term or commit index twice in a life"]
        return verdict


def went_back(
    field: str, before: tuple[NodeReport, int], after: tuple[NodeReport, int]
) -> Certificate:
    """Two reports of one node."""
    what = {"term": "term", "commit": "commit index"}[field]
    node = before[0].node
    return Certificate(
        kind="monotone-commit",
        summary=f"the {what} of {node} went back from {before[1]} to {after[1]}",
        story=[
            f"At {report.t_ns / 1e9:.3f} s {node} reported {what} {value}."
            for report, value in (before, after)
        ],
        data={
            "field": field,
            "node": node,
            "said": [[report.t_ns, value] for report, value in (before, after)],
        },
    )


def decision_checkers() -> list[DecisionChecker]:
    """All properties of decisions."""
    return [
        DecisionChecker(
            "log-agreement", agreement, "nodes agree at {} indices that several decided"
        ),
        DecisionChecker("validity", validity, "clients asked for all {} values decided"),
        DecisionChecker("integrity", integrity, "{} decisions, each once in the life of a node"),
        DecisionChecker("prefix-order", prefix_order, "{} decisions, each the next of its node"),
    ]


def reports_decisions(run: RunView) -> bool:
    """The system promises DECIDED lines, or some log has one."""
    if "decisions" in run.header.get("capabilities", ()):
        return True
    directory = run.directory
    if directory is None:
        return False
    logs = node_logs(directory)
    return any(next(read_decisions(directory, path), None) is not None for path in logs)
