"""What the drawn part of a report knows: the history's columns, faults, nodes, anomalies.

The block is bounded: of a very long history it holds a stretch around the first anomaly, of a long
value the beginning and the end, and the page says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from dissensus.harness.checker import RunView
from dissensus.harness.history import History
from dissensus.harness.progress import targets_text
from dissensus.harness.store import VerdictFile
from dissensus.harness.verdict import Certificate
from dissensus.reports import columns
from dissensus.reports.figures import Figures
from dissensus.reports.words import facts_text, value_text

ROWS_MAX = 1_500_000
"""About 10 MB of report, which browsers still open; the whole history stays in events.jsonl."""
UNIT_NS = 1000
"""Columns of times count microseconds: nobody sees less, and a block of ns is half as large again.
What came before what is told by the positions of events, which are exact.
"""
TEXT_CHARS_MAX = 400
"""Of a value in the block; a tooltip shows no more."""
ANOMALIES_MAX = 50
"""Certificates drawn; a broken system may give thousands, and the first ones say it all."""
MARKS_MAX = 2000
"""Marks drawn: above it the timeline would be a solid wall of them."""


def data_block(run: RunView, verdicts: VerdictFile, figures: Figures) -> str:
    """The data block of a run's report (see `columns`)."""
    history = run.history
    rows = shown_rows(history, verdicts)
    cut = slice(rows.start, rows.stop)
    begun = [t // UNIT_NS for t in history.t_inv[cut]]
    took = [
        -1 if end < 0 else end // UNIT_NS - begin
        for end, begin in zip(history.t_ret[cut], begun, strict=True)
    ]
    spans = [
        -1 if ret < 0 else ret - inv
        for ret, inv in zip(history.ret[cut], history.inv[cut], strict=True)
    ]
    # Most operations return what they were given: as differences these are zeros.
    results = [
        result - arg for result, arg in zip(history.result[cut], history.arg[cut], strict=True)
    ]
    return columns.encode(
        {
            "t": (begun, True),
            "took": (took, False),
            "inv": (history.inv[cut], True),
            "span": (spans, False),
            "process": (history.process[cut], False),
            "f": (history.f[cut], False),
            "key": (history.key[cut], False),
            "arg": (history.arg[cut], False),
            "result": (results, False),
            "outcome": (history.outcome[cut], False),
            "node": (history.node[cut], False),
            "error": (history.error[cut], False),
        },
        {
            "fs": texts(history.fs.values),
            "keys": texts(history.keys.values),
            "values": texts(history.values.values),
            "names": texts(history.names.values),
        },
        {
            "unit": UNIT_NS,
            "first": rows.start,
            "of": len(history),
            "last": figures.last_ns,
            "gap": figures.gap_ns,
            "nodes": [str(name) for name in run.header.get("nodes", [])],
            "concurrency": concurrency(run),
            "phases": run.phases,
            "faults": faults(run),
            "segments": [
                [s.node, s.begin_ns, s.end_ns, s.state, s.role, s.term] for s in figures.segments
            ],
            "marks": [marked(mark) for mark in run.marks[:MARKS_MAX]],
            "anomalies": anomalies(run, verdicts),
        },
    )


def shown_rows(history: History, verdicts: VerdictFile) -> range:
    """The rows that the block holds: all, or a stretch around the first anomaly."""
    if len(history) <= ROWS_MAX:
        return range(len(history))
    named = [row for v in verdicts.verdicts for c in v.certificates for row in c.ops]
    middle = named[0] if named else ROWS_MAX // 2
    begin = max(0, min(middle - ROWS_MAX // 2, len(history) - ROWS_MAX))
    return range(begin, begin + ROWS_MAX)


def texts(values: Sequence[Any]) -> list[str]:
    """Interned values as people read them; nothing is empty."""
    return ["" if value is None else value_text(value, TEXT_CHARS_MAX) for value in values]


def concurrency(run: RunView) -> int:
    """Number of threads that processes are run by; 0 where unknown."""
    found = run.header.get("concurrency", 0)
    return found if isinstance(found, int) else 0


def faults(run: RunView) -> list[dict[str, Any]]:
    """Fault intervals, as they are drawn."""
    return [
        {
            "id": fault.id,
            "kind": fault.kind,
            "family": fault.family or fault.kind,
            "targets": targets_text(fault.targets),
            "begin": fault.begin_ns,
            "measured": fault.measured_ns,
            "end": fault.end_ns,
            "effective": fault.effective,
            "healed": fault.healed,
        }
        for fault in run.faults
    ]


def marked(mark: dict[str, Any]) -> list[Any]:
    """A mark as [moment, name, node, the rest in words]."""
    rest = {k: v for k, v in mark.items() if k not in ("ev", "t", "name", "node", "text")}
    words = ", ".join(part for part in (str(mark.get("text", "")), facts_text(rest)) if part)
    return [
        mark.get("t", 0),
        str(mark.get("name", "")),
        str(mark.get("node", "")),
        value_text(words, TEXT_CHARS_MAX),
    ]


def anomalies(run: RunView, verdicts: VerdictFile) -> list[dict[str, Any]]:
    """Certificates as they are drawn and told, in the verdicts' order."""
    history = run.history
    found = [
        {
            "checker": verdict.checker,
            "summary": certificate.summary,
            "story": certificate.story,
            "ops": certificate.ops,
            "blocked": certificate.blocked,
            "moments": list(moments(run, certificate)),
            "hints": {
                str(row): value_text(history.extra[row], TEXT_CHARS_MAX)
                for row in certificate.ops
                if row in history.extra
            },
        }
        for verdict in verdicts.verdicts
        for certificate in verdict.certificates
    ]
    return found[:ANOMALIES_MAX]


def moments(run: RunView, certificate: Certificate) -> Iterator[tuple[str, int]]:
    """(node, time) of what nodes said, where that is what a certificate rests on: its data names
    reports ("said": node, time, what) or the number of a mark.
    """
    for said in certificate.data.get("said", ()):
        yield str(said[0]), int(said[1])
    number = certificate.data.get("mark", -1)
    if 0 <= number < len(run.marks):
        mark = run.marks[number]
        yield str(mark.get("node", "")), int(mark.get("t", 0))
