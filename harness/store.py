"""The run store: a folder a run, `store/NAME/TIME-SEED/`, readable while and after it is written.

    run.json       plan, seed, versions, provenance: what differs from machine to machine is here
    events.jsonl   the event stream (`dissensus.harness.events`)
    undo.jsonl     the undo journal (`dissensus.harness.journal`)
    nodes/n1/      logs, and data where it is kept
    verdict.json   written by checkers, again by each `dissensus check`
    report.html    written by reports

`store/NAME/latest` is a link to the newest run. Nothing is ever overwritten but verdict and report.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from dissensus.harness.checker import FaultInterval, NodeReport, RunView
from dissensus.harness.errors import EnvironmentFault, UserError
from dissensus.harness.events import op_of, read_events
from dissensus.harness.history import History
from dissensus.harness.verdict import Verdict

EVENTS = "events.jsonl"
UNDO = "undo.jsonl"
RUN = "run.json"
VERDICT = "verdict.json"
REPORT = "report.html"
LATEST = "latest"
SCHEMA = 1
SAME_NAME_MAX = 1000
"""Runs of one system with one seed begun within one second; more is a mistake."""


class VerdictFile(msgspec.Struct, kw_only=True):
    """verdict.json."""

    schema: int = SCHEMA
    validity: str
    exit_code: int
    verdicts: list[Verdict]


def create(base: Path, name: str, seed: int, *, now: datetime) -> Path:
    """A new, empty folder for a run. Once there is something in it: `publish`."""
    parent = base / "".join(c if c.isalnum() or c in "-_." else "-" for c in name)
    stem = f"{now:%Y%m%dT%H%M%S}-{seed}"
    for number in range(1, SAME_NAME_MAX):
        folder = parent / (stem if number == 1 else f"{stem}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise EnvironmentFault(f"cannot make the run's folder {folder}: {error}") from error
        (folder / "nodes").mkdir()
        return folder
    raise EnvironmentFault(f"{parent} already holds {SAME_NAME_MAX} runs named {stem}")


def publish(folder: Path) -> None:
    """From now on this run is the latest of its name."""
    point(folder.parent / LATEST, folder.name)


def discard(folder: Path) -> None:
    """Remove the folder of a run that was never begun; one in which anything lies is kept."""
    with suppress(OSError):
        (folder / "nodes").rmdir()
        folder.rmdir()


def point(link: Path, target: str) -> None:
    """Make `link` point to `target`, in one step."""
    fresh = link.with_name(f".{link.name}-{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(link)


def write_json(path: Path, thing: Any) -> None:
    """Write a whole file or leave the old one: never half of it."""
    fresh = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        fresh.write_bytes(msgspec.json.format(msgspec.json.encode(thing), indent=2) + b"\n")
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise


def find(place: Path) -> Path:
    """The folder of a run: given itself, its events.jsonl, or a folder with a `latest` link."""
    if place.name == EVENTS and place.is_file():
        return place.parent
    if (place / EVENTS).is_file():
        return place.resolve()
    if (place / LATEST / EVENTS).is_file():
        return (place / LATEST).resolve()
    raise UserError(f"{place} is no run: it has no {EVENTS}")


def load(folder: Path) -> RunView:
    """A run as checkers and reports see it. Raises UserError for a broken file."""
    reader = _Reader()
    try:
        for number, event in enumerate(read_events(folder / EVENTS), 1):
            try:
                reader.take(event)
            except UserError as error:
                raise UserError(f"{folder / EVENTS}:{number}:1: {error}") from None
            except (KeyError, TypeError, ValueError, OverflowError) as error:
                raise UserError(
                    f"{folder / EVENTS}:{number}:1: a field of the {event['ev']!r} line is "
                    f"missing or wrong: {error}"
                ) from None
    except FileNotFoundError:
        raise UserError(f"{folder} is no run: it has no {EVENTS}") from None
    if not reader.header:
        raise UserError(f"{folder / EVENTS}:1:1: the header is missing")
    return RunView(
        header=reader.header,
        history=reader.history,
        faults=list(reader.faults.values()),
        nodes=sorted(reader.nodes, key=lambda report: report.t_ns),
        phases=reader.phases,
        marks=reader.marks,
        complete=reader.end is not None,
        end=reader.end or {},
        directory=folder,
        provenance=provenance(folder),
    )


def provenance(folder: Path) -> dict[str, Any]:
    """run.json, empty where the harness was killed before it was written."""
    try:
        found: dict[str, Any] = msgspec.json.decode((folder / RUN).read_bytes(), type=dict)
    except FileNotFoundError:
        return {}
    except msgspec.DecodeError as error:
        raise UserError(f"{folder / RUN}: {error}") from None
    return found


class _Reader:
    """Sorts the events of a run into the parts of a RunView."""

    def __init__(self) -> None:
        self.header: dict[str, Any] = {}
        self.history = History()
        self.faults: dict[int, FaultInterval] = {}
        self.nodes: list[NodeReport] = []
        self.phases: list[tuple[str, int]] = []
        self.marks: list[dict[str, Any]] = []
        self.end: dict[str, Any] | None = None

    def take(self, event: dict[str, Any]) -> None:
        kind = event["ev"]
        if kind == "op":
            self.history.add(op_of(event))
        elif kind in ("fault-begin", "fault-measured", "fault-end"):
            self._fault(kind, event)
        elif kind == "node":
            fields = {k: v for k, v in event.items() if k not in ("ev", "t", "node")}
            self.nodes.append(NodeReport(t_ns=event["t"], node=event["node"], fields=fields))
        elif kind == "phase":
            self.phases.append((event["name"], event["t"]))
        elif kind == "mark":
            self.marks.append(event)
        elif kind == "run":
            self.header = event
        elif kind == "end":
            self.end = event

    def _fault(self, kind: str, event: Mapping[str, Any]) -> None:
        number = event["id"]
        if kind == "fault-begin":
            self.faults[number] = FaultInterval(
                id=number,
                kind=event["kind"],
                family=event.get("family", ""),
                targets=event["targets"],
                begin_ns=event["t"],
                asked=event.get("asked", {}),
            )
            return
        fault = self.faults[number]
        if kind == "fault-measured":
            fault.measured_ns = event["t"]
            fault.measured = event.get("measured", {})
            fault.effective = event.get("effective", False)
            fault.injected_ns = event.get("injected", -1)
        else:
            fault.end_ns = event["t"]
            # A second end (an undo that was tried again) does not begin the first one anew.
            if fault.undo_ns < 0:
                fault.undo_ns = event.get("undo", -1)
            fault.healed = event.get("healed", False)


def write_verdicts(
    folder: Path, verdicts: Sequence[Verdict], *, validity: str, exit_code: int
) -> None:
    """Write verdict.json."""
    found = VerdictFile(validity=validity, exit_code=exit_code, verdicts=list(verdicts))
    write_json(folder / VERDICT, found)


def read_verdicts(folder: Path) -> VerdictFile:
    """verdict.json. Raises UserError where there is none."""
    try:
        return msgspec.json.decode((folder / VERDICT).read_bytes(), type=VerdictFile)
    except FileNotFoundError:
        raise UserError(f"{folder} was not judged yet: dissensus check {folder}") from None
    except msgspec.DecodeError as error:
        raise UserError(f"{folder / VERDICT}: {error}") from None
