"""What nodes must agree on, by what they report of themselves: the state after each log index, and
who leads each term.

Clients often cannot see such a split: the wrong value is overwritten, or nobody reads it. Nodes
report (applied, digest) pairs in their `node` lines. The digest after an index is a function of the
entries up to it, so that two that differ mean two different logs that were both called committed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from dissensus.harness.checker import Budget, NodeReport, RunView
from dissensus.harness.verdict import Certificate, Validity, Verdict

CERTIFICATES_MAX = 3
"""A split lasts: the first indices tell what the others do."""


class Said(NamedTuple):
    """One thing that one node said."""

    node: str
    t_ns: int
    value: Any


class AgreementChecker:
    """INVALID when there are two digests for one index. UNKNOWN (vacuous) when no two nodes
    reported the same index, so that nothing was compared.
    """

    name = "agreement"

    def check(self, run: RunView, budget: Budget) -> Verdict:
        first: dict[int, Said] = {}
        compared = set()
        splits: list[tuple[int, Said, Said]] = []
        for index, said in digests(run.nodes):
            before = first.setdefault(index, said)
            if before.node != said.node:
                compared.add(index)
            if before.value != said.value:
                splits.append((index, before, said))
        splits.sort(key=lambda split: split[0])
        broken = sorted({index for index, _, _ in splits})
        verdict = Verdict(
            checker=self.name,
            validity=Validity.VALID,
            reason=f"nodes agree at all indices that several reported ({len(compared)})",
            facts={"indices": len(first), "compared": len(compared), "splits": len(broken)},
        )
        if splits:
            verdict.validity = Validity.INVALID
            verdict.certificates = [_split(*split) for split in _one_each(splits)]
            verdict.reason = verdict.certificates[0].summary
        elif not compared:
            verdict.validity = Validity.UNKNOWN
            verdict.reason = "nothing was compared"
            verdict.vacuous = ["no two nodes reported the state after the same index"]
        return verdict


class ElectionChecker:
    """INVALID when two nodes led one term. For systems with the capability "election-safety"."""

    name = "election-safety"

    def check(self, run: RunView, budget: Budget) -> Verdict:
        first: dict[int, Said] = {}
        splits: list[tuple[int, Said, Said]] = []
        for term, said in leaders(run.nodes):
            before = first.setdefault(term, said)
            if before.node != said.node:
                splits.append((term, before, said))
        verdict = Verdict(
            checker=self.name,
            validity=Validity.VALID,
            reason=f"terms with a leader: {len(first)}, each with one only",
            facts={"terms": len(first)},
        )
        if splits:
            verdict.validity = Validity.INVALID
            verdict.certificates = [_two_leaders(*split) for split in _one_each(splits)]
            verdict.reason = verdict.certificates[0].summary
        elif not first:
            verdict.validity = Validity.UNKNOWN
            verdict.reason = "nothing was compared"
            verdict.vacuous = ["no node reported that it leads"]
        return verdict


def digests(reports: Iterable[NodeReport]) -> Iterator[tuple[int, Said]]:
    """(index, what a node said of the state after it). Nobody differs before the first entry."""
    for report in reports:
        fields = report.fields
        pairs = [*fields.get("digests", ()), (fields.get("applied"), fields.get("digest"))]
        for index, digest in pairs:
            if isinstance(index, int) and index > 0 and digest is not None:
                yield index, Said(report.node, report.t_ns, digest)


def leaders(reports: Iterable[NodeReport]) -> Iterator[tuple[int, Said]]:
    """(term, the node that said it leads it)."""
    for report in reports:
        term = report.fields.get("term")
        if report.fields.get("role") == "leader" and isinstance(term, int):
            yield term, Said(report.node, report.t_ns, "leader")


def reports_digests(run: RunView) -> bool:
    """Some node reported a digest, or the system promises to."""
    claimed = "applied-digest" in run.header.get("capabilities", ())
    return claimed or any(True for _ in digests(run.nodes))


def _one_each(splits: list[tuple[int, Said, Said]]) -> list[tuple[int, Said, Said]]:
    """The first split at each of the first indices."""
    found: dict[int, tuple[int, Said, Said]] = {}
    for split in splits:
        found.setdefault(split[0], split)
    return list(found.values())[:CERTIFICATES_MAX]


def _split(index: int, one: Said, other: Said) -> Certificate:
    return Certificate(
        kind="agreement",
        summary=(
            f"after index {index} {one.node} has digest {one.value} and {other.node} has "
            f"{other.value}"
        ),
        story=[
            f"At {said.t_ns / 1e9:.3f} s {said.node} reported digest {said.value} after index "
            f"{index}."
            for said in (one, other)
        ]
        + ["The digest is a function of the entries applied: the two logs differ below it."],
        data={"at": index, "said": [list(one), list(other)]},
    )


def _two_leaders(term: int, one: Said, other: Said) -> Certificate:
    return Certificate(
        kind="election-safety",
        summary=f"{one.node} and {other.node} both led term {term}",
        story=[
            f"At {said.t_ns / 1e9:.3f} s {said.node} reported that it leads term {term}."
            for said in (one, other)
        ],
        data={"at": term, "said": [list(one), list(other)]},
    )
