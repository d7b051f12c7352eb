"""The words of a report, in the order in which they are read: what the template fills in.

Chips: where a certificate's text says "(2)" it means the second of its operations; the page makes a
numbered link of it. Texts are escaped here before a link is put in, and by the template otherwise.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from markupsafe import Markup, escape

from dissensus import __version__
from dissensus.harness.checker import FaultInterval, RunView
from dissensus.harness.progress import targets_text
from dissensus.harness.store import REPORT, VerdictFile
from dissensus.harness.verdict import Certificate, Validity, Verdict
from dissensus.reports.block import shown_rows
from dissensus.reports.diagram import Diagram, diagram_of
from dissensus.reports.figures import Figures
from dissensus.reports.words import (
    again,
    checked_text,
    count_text,
    cut_short,
    facts_text,
    how_it_ended,
    path_text,
    plain,
    span_text,
    subject,
    value_text,
)

CARDS_MAX = 20
"""Anomalies told at full length; the rest is counted."""
FILES_MAX = 200
"""Files of the run that are listed."""
FAULTS_MAX = 1000
"""Faults that the table tells; a run of a day has more, and all are in events.jsonl."""
LOG_BYTES, LOG_LINES = 4096, 20
"""Of the end of each node's log: enough for a panic and what led to it."""
FAMILIES = ("kill", "pause", "partition", "slow", "lose-unsynced")
"""What can be tried on the bundled system: the page says which of them were not."""
SIGNS = {"VALID": "✓", "INVALID": "✗", "UNKNOWN": "?"}


class Tile(msgspec.Struct, kw_only=True, frozen=True):
    """One figure of the banner."""

    name: str
    value: str
    note: str = ""


class Card(msgspec.Struct, kw_only=True, frozen=True):
    """One anomaly, told."""

    number: int
    checker: str
    summary: Markup
    story: list[Markup]
    checked: str
    faults: list[str]
    drawing: Diagram | None


class FaultRow(msgspec.Struct, kw_only=True, frozen=True):
    """One line of the faults table."""

    id: int
    kind: str
    targets: str
    begin_ns: int
    lasted: str
    asked: str
    measured: str
    effect: str
    undone: str


class Page(msgspec.Struct, kw_only=True, frozen=True):
    """Everything that the template says."""

    title: str
    word: str
    sign: str
    short: str
    """"incomplete", "interrupted" or "failed"; empty for a run that came to its end."""
    lead: str
    subject: str
    tiles: list[Tile]
    cards: list[Card]
    left: int
    """Anomalies without a card."""
    unknown: list[Verdict]
    tried: list[str]
    holds: list[Verdict]
    not_tried: str
    again: str
    commands: list[tuple[str, str]]
    verdicts: list[tuple[Verdict, str]]
    figures: Figures
    faults: list[FaultRow]
    faults_left: int
    """Faults without a row."""
    provenance: list[tuple[str, str]]
    files: list[tuple[str, str]]
    logs: list[tuple[str, str]]
    version: str
    cut: str
    """What the timeline leaves out; empty where it holds everything."""


def page_of(run: RunView, verdicts: VerdictFile, figures: Figures) -> Page:
    """The words of a run's report."""
    certificates = [(v, c) for v in verdicts.verdicts for c in v.certificates]
    cards = [
        card_of(run, figures, number, verdict, certificate)
        for number, (verdict, certificate) in enumerate(certificates[:CARDS_MAX], 1)
    ]
    tried = {count.family for count in figures.faults}
    return Page(
        title=f"{verdicts.validity}: {subject(run)}",
        word=verdicts.validity,
        sign=SIGNS.get(verdicts.validity, "?"),
        short=cut_short(run),
        lead=lead(run, verdicts),
        subject=subject(run),
        tiles=list(tiles(figures)),
        cards=cards,
        left=len(certificates) - len(cards),
        unknown=[v for v in verdicts.verdicts if v.validity is Validity.UNKNOWN],
        tried=list(what_was_tried(figures)),
        holds=[v for v in verdicts.verdicts if v.validity is Validity.VALID],
        not_tried=", ".join(name for name in FAMILIES if name not in tried),
        again=again(run),
        commands=list(commands(run)),
        verdicts=[(v, facts_text(v.facts)) for v in verdicts.verdicts],
        figures=figures,
        faults=[fault_row(fault, figures.last_ns) for fault in run.faults[:FAULTS_MAX]],
        faults_left=max(0, len(run.faults) - FAULTS_MAX),
        provenance=list(flat(provenance(run))),
        files=files(run.directory),
        logs=list(last_words(run.directory)),
        version=__version__,
        cut=cut(run, verdicts),
    )


def lead(run: RunView, verdicts: VerdictFile) -> str:
    """The sentence beside the verdict's word."""
    if verdicts.validity == "INVALID":
        broken = [v.checker for v in verdicts.verdicts if v.validity is Validity.INVALID]
        count = sum(len(v.certificates) for v in verdicts.verdicts)
        many = f" ({count_text(count)} anomalies)" if count > 1 else ""
        text = f"The system broke what it promises: {', '.join(broken)}{many}."
    elif verdicts.validity == "VALID":
        text = "Everything that was asked for was checked and holds."
    else:
        reasons = [v.reason for v in verdicts.verdicts if v.validity is Validity.UNKNOWN]
        text = "No verdict: " + ("; ".join(r for r in reasons if r) or "nothing was checked") + "."
    return f"{text} {how_it_ended(run)}".rstrip()


def tiles(figures: Figures) -> Iterator[Tile]:
    """The banner's figures."""
    total = figures.ok + figures.info + figures.fail
    yield Tile(
        name="operations",
        value=count_text(total),
        note=f"{count_text(figures.ok)} ok · {count_text(figures.info)} info · "
        f"{count_text(figures.fail)} fail",
    )
    yield Tile(
        name="latency p50",
        value=span_text(figures.latency.p50_ns),
        note=f"p95 {span_text(figures.latency.p95_ns)} · p99 {span_text(figures.latency.p99_ns)}",
    )
    effective = sum(count.effective for count in figures.faults)
    asked = sum(count.asked for count in figures.faults)
    yield Tile(
        name="faults in effect",
        value=f"{effective} of {asked}" if asked else "none asked",
        note=" · ".join(f"{count.family} {count.effective}" for count in figures.faults),
    )
    begin, end = figures.gap_ns
    yield Tile(
        name="longest time without a success",
        value=span_text(end - begin),
        note=f"{figures.rate_hz:.0f} successes a second on average",
    )


def card_of(
    run: RunView, figures: Figures, number: int, verdict: Verdict, certificate: Certificate
) -> Card:
    """An anomaly in words."""
    return Card(
        number=number,
        checker=verdict.checker,
        summary=chips(certificate.summary, certificate.ops),
        story=[chips(sentence, certificate.ops) for sentence in certificate.story],
        checked=checked_text(certificate),
        faults=list(active_faults(run, figures, certificate.ops)),
        drawing=diagram_of(run.history, certificate),
    )


def chips(text: str, rows: list[int]) -> Markup:
    """A text with its (1), (2) ... turned into links to these operations."""

    def chip(match: re.Match[str]) -> str:
        number = int(match[1])
        if not 1 <= number <= len(rows):
            return match[0]
        return f'<a class="chip" href="#op-{rows[number - 1]}">{number}</a>'

    return Markup(re.sub(r"\((\d{1,6})\)", chip, str(escape(text))))


def active_faults(run: RunView, figures: Figures, rows: list[int]) -> Iterator[str]:
    """Faults that were in effect while any of these operations was open."""
    history = run.history
    for fault in run.faults:
        begin, end = fault.in_force_ns(figures.last_ns)
        for row in rows:
            closed = history.t_ret[row] if history.t_ret[row] >= 0 else figures.last_ns
            if history.t_inv[row] <= end and closed >= begin and fault.effective:
                yield f"{fault.kind} {targets_text(fault.targets)}"
                break


def what_was_tried(figures: Figures) -> Iterator[str]:
    """Under what a run was."""
    for count in figures.faults:
        yield (
            f"{count.family}: {count.effective} of {count.asked} in effect, "
            f"{count_text(count.ops)} operations begun meanwhile, {count.healed} healed"
        )
    if not figures.faults:
        yield "no faults"
    yield f"{figures.leader_changes} changes of leader"


def fault_row(fault: FaultInterval, last: int) -> FaultRow:
    """One line of the faults table."""
    end = fault.end_ns if fault.end_ns >= 0 else last
    effect = "in effect" if fault.effective else "no effect"
    if fault.measured_ns < 0:
        effect = "not measured"
    undone = "healed, verified" if fault.healed else "undone, not verified"
    if fault.end_ns < 0:
        undone = "still open at the end"
    return FaultRow(
        id=fault.id,
        kind=fault.kind,
        targets=targets_text(fault.targets),
        begin_ns=fault.begin_ns,
        lasted=span_text(end - fault.begin_ns),
        asked=facts_text(fault.asked),
        measured=facts_text(fault.measured),
        effect=effect,
        undone=undone,
    )


def cut(run: RunView, verdicts: VerdictFile) -> str:
    """What the timeline leaves out of a very long history, in words."""
    total, held = len(run.history), len(shown_rows(run.history, verdicts))
    if held == total:
        return ""
    share = 100 * held / total
    return (
        f"The timeline holds {count_text(held)} of {count_text(total)} operations ({share:.1f} %), "
        "the figures above all of them; the whole history is in events.jsonl."
    )


def commands(run: RunView) -> Iterator[tuple[str, str]]:
    """What else can be done with this run."""
    if run.directory is None:
        return
    place = shlex.quote(path_text(run.directory))
    yield "judge the stored run again", f"dissensus check {place}"
    yield "undo what a killed harness left behind", f"dissensus heal {place}"


def provenance(run: RunView) -> dict[str, Any]:
    """Where the run came from: its header, and what run.json says of the machine."""
    header = {k: v for k, v in run.header.items() if k not in ("ev", "plan")}
    found = {"report by": f"dissensus {__version__}", **header, **run.provenance}
    return {name: value for name, value in found.items() if value not in (None, {}, [])}


def flat(things: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested names as dotted ones, each with its value as text."""
    for name, value in things.items():
        if isinstance(value, dict) and value:
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value_text(value)


def files(directory: Path | None) -> list[tuple[str, str]]:
    """(path below the run's folder, size) of its files."""
    if directory is None:
        return []
    found = [
        (path.relative_to(directory).as_posix(), f"{path.stat().st_size:,} B")
        for path in sorted(directory.rglob("*"))
        if path.is_file() and not path.name.startswith(".") and path.name != REPORT
    ]
    return found[:FILES_MAX]


def last_words(directory: Path | None) -> Iterator[tuple[str, str]]:
    """(path below the run's folder, last lines) of the nodes' logs."""
    if directory is None:
        return
    for path in sorted((directory / "nodes").glob("*/*.log"))[:FILES_MAX]:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - LOG_BYTES))
            lines = file.read(LOG_BYTES).decode("utf-8", "replace").splitlines()
        if lines:
            told = "\n".join(plain(line) for line in lines[-LOG_LINES:])
            yield path.relative_to(directory).as_posix(), told
