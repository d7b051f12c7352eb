"""How values, times and names are written for people, the same in every view."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from dissensus.harness.checker import RunView
from dissensus.harness.errors import UserError
from dissensus.harness.plan import duration_text, plan_from
from dissensus.harness.progress import ms_text

__all__ = ["again", "count_text", "facts_text", "ms_text", "seconds", "subject", "value_text"]

VALUE_CHARS_MAX = 2000
"""A value of the system under test may be megabytes; people read its beginning and its end."""


def count_text(number: int) -> str:
    """12345 as "12 345", with thin no-break spaces."""
    return f"{number:,}".replace(",", "\u202f")


def seconds(ns: int) -> str:
    """A moment as "12.345 s"."""
    return f"{ns / 1e9:.3f} s"


def value_text(value: Any, most: int = VALUE_CHARS_MAX) -> str:
    """A value as JSON, shortened in the middle."""
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}…{text[-half:]}"


def facts_text(facts: Mapping[str, Any]) -> str:
    """{"ratio": 0.96, "gap_ns": 5} as "ratio 0.96, gap_ns 5"."""
    return ", ".join(f"{name} {value_text(value, 200)}" for name, value in facts.items())


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
    if length:
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
