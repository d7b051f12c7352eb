"""What a run is asked to do: the plan, read from command-line words or from a stored run.

Every number is bounded here, at the boundary, with an error that names the value, what is allowed
and the nearest match; the parts behind it take a `Plan` as it is.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from dissensus.harness.errors import UserError, unknown_name

UNITS_NS = {"us": 1_000, "ms": 1_000_000, "s": 1_000_000_000, "m": 60 * 10**9, "h": 3600 * 10**9}

NODES_MAX = 25
"""Each node is a process with links to every other: beyond this a laptop measures itself."""
TIME_MAX_NS = 24 * UNITS_NS["h"]
"""A day: event times stay far below 2**63, and a run folder below 10 GB at the usual rates."""
RATE_MAX_HZ = 100_000
"""Twice what the scheduler reaches on one core."""
CONCURRENCY_MAX = 10_000
"""Each process holds a connection; more needs another file-descriptor limit than usual."""
SEED_MAX = 2**63 - 1
REPEAT_MAX = 10_000
"""Runs in one call: beyond this a campaign wants several machines."""


class Plan(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One run, fully decided: nothing in it depends on the machine or on the moment."""

    system: str
    """A name from the registry, or `path.py:Class`."""
    options: dict[str, str | int | float | bool] = {}
    """The system's own options (`mutant`: "R13")."""
    nodes: int = 3
    time_ns: int = 30 * UNITS_NS["s"]
    """Length of the chaos phase; with a scenario the most that it may take."""
    rate_hz: float = 100.0
    """Operations a second over all processes; 0 is as fast as they come back."""
    concurrency: int = 6
    """Number of processes."""
    faults: tuple[str, ...] = ()
    """Names of nemeses or of families of them."""
    on: str = "local"
    workload: str = "cas-register"
    scenario: str = ""
    """A scripted scenario in place of the workload's chaos: its name, or `path.py:function`."""
    seed: int = 0
    keep: bool = False
    """Leave nodes up and data in place after the run."""

    def command(self) -> str:
        """The command line that runs this plan again."""
        words = ["dissensus", "run", self.system, "--nodes", str(self.nodes)]
        words += ["--time", duration_text(self.time_ns), "--rate", f"{self.rate_hz:g}"]
        words += ["--concurrency", str(self.concurrency)]
        if self.faults:
            words += ["--faults", ",".join(self.faults)]
        words += ["--on", self.on, "--workload", self.workload, "--seed", str(self.seed)]
        if self.scenario:
            words += ["--scenario", self.scenario]
        for name, value in self.options.items():
            if name == "mutant":
                words += ["--mutant", str(value)]
            else:
                words += ["--option", f"{name}={option_text(value)}"]
        return shlex.join(words)

    def node_names(self) -> tuple[str, ...]:
        return tuple(f"n{i}" for i in range(1, self.nodes + 1))

    def client_hosts(self) -> tuple[str, ...]:
        """As many client hosts as nodes: process p sits on c(p mod n)."""
        return tuple(f"c{i}" for i in range(1, self.nodes + 1))


def parse_duration(text: str, *, what: str = "duration", most_ns: int = TIME_MAX_NS) -> int:
    """Nanoseconds of "30s", "500ms", "1.5m", "1h30m". Raises UserError."""
    parts = re.findall(r"(\d+(?:\.\d+)?)(us|ms|s|m|h)", text.strip())
    if not parts or "".join(n + u for n, u in parts) != text.strip():
        hint = (
            f"; did you mean {text.strip()}s?" if re.fullmatch(r"\d+(\.\d+)?", text.strip()) else ""
        )
        raise UserError(
            f"malformed {what} {text!r}: write a number and a unit (us, ms, s, m, h), "
            f"such as 30s or 1m30s{hint}"
        )
    ns = sum(round(float(number) * UNITS_NS[unit]) for number, unit in parts)
    if not 0 < ns <= most_ns:
        raise UserError(
            f"{what} {text!r} is out of range: more than 0, at most {duration_text(most_ns)}"
        )
    return ns


def duration_text(ns: int) -> str:
    """The shortest way to write a duration that `parse_duration` reads back."""
    for unit in ("h", "m", "s", "ms", "us"):
        if ns % UNITS_NS[unit] == 0:
            return f"{ns // UNITS_NS[unit]}{unit}"
    return f"{ns // 1000}.{ns % 1000:03d}us"


def parse_concurrency(text: str, nodes: int) -> int:
    """Processes of "10" or "2n" (twice the number of nodes). Raises UserError."""
    match = re.fullmatch(r"(\d+)(n?)", text.strip())
    if not match:
        raise UserError(
            f"malformed concurrency {text!r}: write a number of processes (10), "
            "or a multiple of the nodes (2n)"
        )
    number = int(match[1]) * (nodes if match[2] else 1)
    return within("concurrency", number, 1, CONCURRENCY_MAX)


def within(what: str, number: int, least: int, most: int) -> int:
    """`number`, or a UserError that names the range."""
    if not least <= number <= most:
        raise UserError(f"{what} {number} is out of range: {least} to {most}")
    return number


def parse_rate(number: float) -> float:
    """Operations a second; 0 means no limit. Raises UserError."""
    if not 0 <= number <= RATE_MAX_HZ:  # also refuses nan
        raise UserError(f"rate {number:g} is out of range: 0 (no limit) to {RATE_MAX_HZ}")
    return number


def parse_faults(text: str, known: Iterable[str]) -> tuple[str, ...]:
    """Names of "kill,partition", in the order given, each once. Raises UserError for an unknown
    one.
    """
    known = list(known)
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in known:
            raise unknown_name("fault", name, known)
    return tuple(dict.fromkeys(names))


def parse_options(words: Iterable[str]) -> dict[str, str | int | float | bool]:
    """{"lease": True} of ["lease=true"]. Numbers and booleans are read as such."""
    found: dict[str, str | int | float | bool] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise UserError(f"malformed option {word!r}: write NAME=VALUE")
        found[name.replace("-", "_")] = option_value(value)
    return found


def option_value(text: str) -> str | int | float | bool:
    """The value that an option's text means: true, 5, 0.5, or the text."""
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def option_text(value: str | int | float | bool) -> str:
    """The inverse of `option_value`."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def plan_from(data: Mapping[str, Any]) -> Plan:
    """A plan from stored or hand-written keys. Unknown keys are errors that name the nearest."""
    known = [field.name for field in msgspec.structs.fields(Plan)]
    for key in data:
        if key not in known:
            raise unknown_name("plan key", key, known)
    try:
        plan = msgspec.convert(data, Plan)
    except msgspec.ValidationError as error:
        raise UserError(f"wrong plan: {error}") from None
    within("nodes", plan.nodes, 1, NODES_MAX)
    within("concurrency", plan.concurrency, 1, CONCURRENCY_MAX)
    within("seed", plan.seed, 0, SEED_MAX)
    within("time_ns", plan.time_ns, 1, TIME_MAX_NS)
    parse_rate(plan.rate_hz)
    return plan
