"""How values, times and names are written for people, the same in every view."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from dissensus.harness.checker import RunView
from dissensus.harness.errors import UserError
from dissensus.harness.plan import duration_text, plan_from
from dissensus.harness.verdict import Certificate

VALUE_CHARS_MAX = 2000
"""A value of the system under test may be megabytes; people read its beginning and its end."""


def count_text(number: int, gap: str = "\u202f") -> str:
    """12345 as "12 345", with thin no-break spaces unless told."""
    return f"{number:,}".replace(",", gap)


def seconds(ns: int) -> str:
    """A moment as "12.345 s"."""
    return f"{ns / 1e9:.3f} s"


def span_text(ns: int) -> str:
    """A length of time with the digits that matter, "-" for a negative one, which means none."""
    if ns < 0:
        return "-"
    for unit, size in (("s", 10**9), ("ms", 10**6), ("µs", 10**3)):
        if ns >= size:
            value = ns / size
            return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f} {unit}"
    return f"{ns} ns"


def short(text: str, most: int) -> str:
    """A text, shortened in the middle where it is longer."""
    if len(text) <= most:
        return text
    half = (most - 1) // 2
    return f"{text[:half]}…{text[-half:]}"


def value_text(value: Any, most: int = VALUE_CHARS_MAX) -> str:
    """A value as JSON, a string as it is, shortened in the middle."""
    return short(value if isinstance(value, str) else msgspec.json.encode(value).decode(), most)


def path_text(path: Path) -> str:
    """A path as it is shortest from here."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def plain(text: str) -> str:
    """A text without control characters: what a system writes may not drive somebody's terminal."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def cut_short(run: RunView) -> str:
    """ "incomplete", "interrupted" or "failed"; empty for a run that came to its end."""
    if not run.complete:
        return "incomplete"
    outcome = str(run.end.get("outcome", "complete"))
    return "" if outcome == "complete" else outcome


def how_it_ended(run: RunView) -> str:
    """A sentence for a run that did not come to its end; empty for one that did."""
    if not run.complete:
        return "The run is incomplete: its harness was killed, and this is as far as it got."
    if run.end.get("outcome") == "interrupted":
        return "The run was interrupted, and this is as far as it got."
    if run.end.get("outcome") == "failed":
        why = " ".join(str(run.end.get("error")).split())
        return f"The run failed ({why}), and this is as far as it got."
    return ""


def checked_text(certificate: Certificate) -> str:
    """Whether the independent verifier agreed."""
    if certificate.reverified:
        return "checked again by an independent verifier"
    if certificate.reverified is None:
        return "not re-verified: the verifier ran out of its budget"
    return "the independent verifier does NOT agree"


def facts_text(facts: Mapping[str, Any]) -> str:
    """{"ratio": 0.9612345, "keys": 5} as "ratio 0.9612, keys 5"."""
    return ", ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value_text(value, 200)}"
        for name, value in facts.items()
    )


def subject(run: RunView) -> str:
    """What was run: "raft (mutant R13) on local, cas-register, 3 nodes, seed 7, 30s"."""
    header = run.header
    system = str(header.get("system", "a history"))
    mutant = (header.get("options") or {}).get("mutant")
    words = [f"{system} (mutant {mutant})" if mutant else system]
    if header.get("on"):
        words[0] += f" on {header['on']}"
    words += [str(header[name]) for name in ("workload", "scenario") if header.get(name)]
    if header.get("nodes"):
        words.append(f"{len(header['nodes'])} nodes")
    if "seed" in header:
        words.append(f"seed {header['seed']}")
    length = (header.get("plan") or {}).get("time_ns")
    if length and not header.get("scenario"):  # a scenario ends when it is told
        words.append(duration_text(length))
    return ", ".join(words)


def again(run: RunView) -> str:
    """The command that runs this run again; empty where it came from elsewhere."""
    plan = run.header.get("plan")
    if not plan:
        return ""
    try:
        return plan_from(plan).command()
    except UserError:
        return ""  # a plan of another version: its words would not be understood
