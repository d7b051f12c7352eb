"""Reads histories that were recorded elsewhere, in pure Python: what is there without the native
engine, and a second reader of what it reads.

The format is found by content, never by name:

    JSON, an event a line or one array of them      our events.jsonl, elle-cli
    EDN, maps one after the other or in a vector    Jepsen's history.edn, Porcupine's kv text
    PROCESS :TYPE :F VALUE                          Jepsen's history.txt and console logs
    METHOD VALUE [RESULT] START END                 fastlin, PolyLin
    PROCESS START END METHOD VALUE [RESULT]         fptlin

Jepsen's test.jepsen is read by the native engine alone. What cannot be read is a UserError with
file, line and column.
"""

from __future__ import annotations

import re
from pathlib import Path

from dissensus.harness.errors import UserError
from dissensus.harness.history import History
from dissensus.harness.importers import edn, jsonl, lines, spans

HEAD_BYTES = 1 << 16
"""So much is looked at to find the format."""
JEPSEN = b"JEPSEN"


def read_history(path: Path) -> History:
    """The history of a file. Raises UserError with `file:line:column` for what cannot be read."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except IsADirectoryError:
        raise UserError(f"{path} is a folder, and no run: it has no events.jsonl") from None
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file") from None
    found = format_of(head)
    if found == "jepsen":
        raise UserError(
            f"{path} is a test.jepsen, which the native engine alone reads, and it is not here: "
            "give the history.edn beside it, or install with cargo"
        )
    if found == "jsonl":
        return jsonl.read_history(path)
    data = path.read_bytes()
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        raise UserError(f"{path}:{line}:{column}: not UTF-8: {error.reason}") from None
    del data
    read = {"edn": edn.read, "lines": lines.read, "spans": spans.read, "array": jsonl.read_array}
    return read[found](text, str(path))


def format_of(head: bytes) -> str:
    """ "jsonl", "array" (of JSON), "edn", "lines", "spans" or "jepsen"."""
    if head.startswith(JEPSEN):
        return "jepsen"
    solid = re.sub(rb"[\s,]+", b"", head[:200])
    if not solid:
        return "jsonl"
    first, second = solid[:1], solid[1:2]
    if first == b"[" and (solid[:3] == b'[{"' or solid == b"[]"):
        return "array"
    if first == b"#" and re.match(rb"#[ \t]*[A-Za-z_-]+[ \t\r]*(\n|$)", head.lstrip()):
        return "spans"
    if first in b"([#;^" or (first == b"{" and second not in (b'"', b"}")):
        return "edn"
    if lines.has_event(head):
        return "lines"
    return "spans" if spans.looks_so(head) else "jsonl"
