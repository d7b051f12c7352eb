"""The undo journal of a run, `undo.jsonl`: what must be undone when the harness is gone.

Every change that outlives a process is written here *before* it is made, and ended when it was
undone: so whatever is open at a SIGKILL is known. Lines are

    {"schema": 1, "j": "note", "what": "run", ...}         token, harness, relay ...: facts
    {"schema": 1, "j": "begin", "id": 3, "kind": "partition", "undo": {...}}
    {"schema": 1, "j": "end", "id": 3}

A line is one write to a file opened for appending, then fsynced: several writers may share it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from dissensus.harness.errors import EnvironmentFault, UserError

FILE = "undo.jsonl"
SCHEMA = 1


class Begun(msgspec.Struct, kw_only=True):
    """Something that is to be undone."""

    id: int
    kind: str
    undo: dict[str, Any] = {}


class JournalView(msgspec.Struct, kw_only=True):
    """What a journal says."""

    notes: list[dict[str, Any]] = []
    """In order: {"what": ..., fields}."""
    open: dict[int, Begun] = {}
    """What was begun and not ended, by id, in order."""
    lines: int = 0
    """How many lines it has."""
    broken: list[int] = []
    """Numbers of lines that are no lines of a journal: a write that a full disk cut short."""

    def last(self, what: str) -> dict[str, Any] | None:
        """The last note of a name."""
        return next((note for note in reversed(self.notes) if note["what"] == what), None)


class Journal:
    """Appends to the journal of a run. Raises EnvironmentFault when a line cannot be made durable:
    then nothing may be changed.
    """

    def __init__(self, run_dir: Path) -> None:
        self.path = run_dir / FILE

    def begin(self, id: int, kind: str, undo: dict[str, Any]) -> None:
        """Fault `id` is about to be applied; `undo` is what `dissensus heal` needs to know."""
        self._append({"j": "begin", "id": id, "kind": kind, "undo": undo})

    def end(self, id: int) -> None:
        """It was undone."""
        self._append({"j": "end", "id": id})

    def note(self, what: str, **fields: Any) -> None:
        """A fact of the run."""
        self._append({"j": "note", "what": what, **fields})

    def _append(self, entry: dict[str, Any]) -> None:
        line = msgspec.json.encode({"schema": SCHEMA, **entry}) + b"\n"
        try:
            # Only the user's own processes may read the token, which commands the relay.
            fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                written = os.write(fd, line)
                os.fsync(fd)
            finally:
                os.close(fd)
        except OSError as error:
            raise EnvironmentFault(f"{self.path}: {error.strerror}") from error
        if written != len(line):
            raise EnvironmentFault(f"{self.path}: the disk took {written} of {len(line)} bytes")


def read_journal(run_dir: Path) -> JournalView:
    """The journal of a run, empty where there is none. Raises UserError for another schema."""
    view = JournalView(notes=[], open={}, broken=[])
    try:
        content = (run_dir / FILE).read_bytes()
    except FileNotFoundError:
        return view
    except OSError as error:
        raise EnvironmentFault(f"{run_dir / FILE}: {error.strerror}") from error
    for number, text in enumerate(content.split(b"\n"), 1):
        if not text:
            continue
        view.lines = number
        try:
            entry = msgspec.json.decode(text, type=dict[str, Any])
            _take(view, entry)
        except (msgspec.DecodeError, KeyError):
            view.broken.append(number)
            continue
        if entry.get("schema") != SCHEMA:
            raise UserError(
                f"{run_dir / FILE}:{number}: schema {entry.get('schema')!r}, this version reads "
                f"{SCHEMA}"
            )
    return view


def _take(view: JournalView, entry: dict[str, Any]) -> None:
    kind = entry["j"]
    if kind == "note":
        view.notes.append({"what": entry["what"], **entry})
    elif kind == "begin":
        view.open[entry["id"]] = msgspec.convert(
            {"id": entry["id"], "kind": entry["kind"], "undo": entry["undo"]}, Begun
        )
    elif kind == "end":
        view.open.pop(entry["id"], None)
