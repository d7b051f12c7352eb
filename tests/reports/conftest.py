"""Runs to draw: the specimen, and one whose every text is hostile."""

from __future__ import annotations

from pathlib import Path

import pytest

from dissensus.harness.checker import RunView
from dissensus.harness.events import EventWriter
from dissensus.harness.ops import Op
from dissensus.harness.store import EVENTS, VerdictFile, load
from dissensus.harness.verdict import Certificate, Validity, Verdict
from dissensus.reports.specimen import write_specimen

HOSTILE = "</script><img src=x onerror=alert(1)>\x1b[31m'\"&{{ 7*7 }}"
"""Ends an element, begins one with a handler, colours a terminal, leaves a template."""


@pytest.fixture(scope="session")
def specimen(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunView, VerdictFile]:
    """The specimen's run and its verdicts; its folder is shared, so leave it as it is."""
    return write_specimen(tmp_path_factory.mktemp("specimen"))


@pytest.fixture
def hostile(tmp_path: Path) -> tuple[RunView, VerdictFile]:
    """A run in which everything that a system under test can say is hostile."""
    bad = HOSTILE
    header = {"system": bad, "workload": bad, "nodes": [bad], "seed": 1, "options": {bad: bad}}
    writer = EventWriter(tmp_path / EVENTS, header)
    writer.write({"ev": "phase", "t": 0, "name": bad})
    writer.write({"ev": "node", "t": 1, "node": bad, "role": bad, "state": bad, "term": 3})
    writer.write(
        {
            "ev": "fault-begin",
            "t": 2,
            "id": 0,
            "kind": bad,
            "targets": {bad: [bad]},
            "asked": {bad: 1},
        }
    )
    measured = {"effective": True, "measured": {bad: bad}}
    writer.write({"ev": "fault-measured", "t": 3, "id": 0, **measured})
    writer.write({"ev": "mark", "t": 4, "name": bad, "node": bad, "text": bad})
    for t, kind in ((1_000_000, "invoke"), (2_000_000, "ok")):
        op = Op(f=bad, key=bad, value=bad, process=0, time_ns=t, node=bad, error=bad, x={bad: bad})
        op.type = "invoke" if kind == "invoke" else "ok"
        writer.op(op)
    writer.write({"ev": "end", "t": 3_000_000, "outcome": "failed", "error": bad, "left": [bad]})
    writer.close()
    place = tmp_path / "nodes" / "n1"
    place.mkdir(parents=True)
    (place / "javascript:alert(1)").write_text("x", encoding="utf-8")
    (place / "node.log").write_text(f"panic: {bad}\n", encoding="utf-8")
    certificate = Certificate(
        kind=bad, summary=f"(1) {bad}", story=[f"{bad} (1) (2)"], ops=[0], blocked=[0]
    )
    verdict = Verdict(
        checker=bad, validity=Validity.INVALID, reason=bad, vacuous=[bad], engine=bad,
        certificates=[certificate], facts={bad: bad},
    )  # fmt: skip
    return load(tmp_path), VerdictFile(validity="INVALID", exit_code=1, verdicts=[verdict])
