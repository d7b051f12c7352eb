"""The terminal's summary of a run: the report's words, verdict last, where a tail shows it.

Colours are rich's: a stream that is no terminal gets the plain text.
"""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from dissensus.harness.checker import RunView
from dissensus.harness.store import REPORT, VerdictFile
from dissensus.harness.verdict import Certificate, Validity, Verdict
from dissensus.reports.figures import Figures, figures_of
from dissensus.reports.words import (
    again,
    checked_text,
    count_text,
    cut_short,
    how_it_ended,
    path_text,
    plain,
    span_text,
    subject,
)

COLOURS = {"VALID": "green", "INVALID": "bold red", "UNKNOWN": "yellow"}
SIGNS = {"VALID": "+", "INVALID": "x", "UNKNOWN": "?"}
"""A sign beside the word: never the colour alone."""
CERTIFICATES_MAX = 3
"""More than a screen of proofs is for the report."""


def summary(run: RunView, verdicts: VerdictFile, *, drawn: bool = True) -> Text:
    """The summary of a judged run, a few lines. `drawn`: its report could be written."""
    figures = figures_of(run)
    lines = [line(subject(run), "bold"), operations_line(figures)]
    lines += fault_lines(run, figures)
    for verdict in sorted(verdicts.verdicts, key=lambda v: v.validity is not Validity.VALID):
        lines += verdict_lines(verdict)
    if ended := how_it_ended(run):
        lines.append(line(ended))
    command = again(run)
    if command and verdicts.validity != "VALID":
        lines.append(line(f"again: {command}"))
    if run.directory is not None and drawn:
        lines.append(line(f"report: {path_text(run.directory / REPORT)}"))
    lines.append(Text.assemble(before_verdict(run, verdicts), closing_line(verdicts)))
    return Text("\n").join(lines)


def line(text: str, style: str = "") -> Text:
    """A line in which nothing drives the terminal."""
    return Text(plain(text), style=style)


def operations_line(figures: Figures) -> Text:
    """Counts and latencies."""
    return line(
        f"ops {count_text(figures.ok, ' ')} ok  {count_text(figures.info, ' ')} info  "
        f"{count_text(figures.fail, ' ')} fail      p50 {span_text(figures.latency.p50_ns)}  "
        f"p99 {span_text(figures.latency.p99_ns)}      {figures.rate_hz:.0f} ok/s"
    )


def fault_lines(run: RunView, figures: Figures) -> Iterator[Text]:
    """Faults in effect of those asked for, by family."""
    if not figures.faults:
        return
    parts = [f"{count.family} {count.effective}/{count.asked}" for count in figures.faults]
    healed = all(fault.healed for fault in run.faults)
    tail = "(healed, verified)" if healed else "(NOT all healed)"
    yield line(
        f"faults in effect: {'  '.join(parts)} {tail}      leader changes {figures.leader_changes}"
    )


def verdict_lines(verdict: Verdict) -> Iterator[Text]:
    """What a checker says; where it is not VALID, with its certificates in words."""
    word = verdict.validity.value
    head = f"{verdict.checker}: {verdict.reason}" if verdict.reason else verdict.checker
    yield Text.assemble((f"{SIGNS[word]} {word}", COLOURS[word]), line(f"  {head}"))
    for reason in verdict.vacuous:
        yield line(f"    {reason}")
    for certificate in verdict.certificates[:CERTIFICATES_MAX]:
        yield from certificate_lines(certificate)
    left = len(verdict.certificates) - CERTIFICATES_MAX
    if left > 0:
        yield line(f"    and {left} more in the report")


def certificate_lines(certificate: Certificate) -> Iterator[Text]:
    """A certificate as it is told to people."""
    yield line(f"    {certificate.summary}", "bold")
    for sentence in certificate.story:
        yield line(f"    {sentence}")
    yield line(f"    ({checked_text(certificate)})")


def before_verdict(run: RunView, verdicts: VerdictFile) -> Text:
    """What stands before the verdict of a run that did not come to its end: the verdict is then
    that of what was recorded. Nothing before INVALID, which holds in any case.
    """
    short = cut_short(run)
    if not short or verdicts.validity == "INVALID":
        return Text()
    where = f" in phase {run.end['phase']}" if run.end.get("phase") else ""
    return Text.assemble((f"! {short.upper()}", "bold red"), line(f"{where}; so far: "))


def closing_line(verdicts: VerdictFile) -> Text:
    """The verdict, with what holds beside it: the last line, so that a tail shows it."""
    word = verdicts.validity
    said = [v.checker for v in verdicts.verdicts if v.validity.value == word]
    return Text.assemble((f"{SIGNS[word]} {word}", COLOURS[word]), line(f"  {', '.join(said)}"))
