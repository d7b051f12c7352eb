"""Reads Jepsen's history.txt and console logs: an operation event a line.

    3    :invoke  :write  4
    INFO  jepsen.util - 3    :info    :write  :timed-out

Whatever stands before the process is skipped; so are, in a log, lines that are no event. An `info`
or `fail` whose value is a keyword has its reason there; a read that failed because it timed out has
an unknown result, and no other meaning.
"""

from __future__ import annotations

import re
from typing import Any

from dissensus.harness.errors import UserError
from dissensus.harness.history import History
from dissensus.harness.importers.edn import Keyword, Parser
from dissensus.harness.importers.events import Builder, place_in

EVENT = re.compile(
    r"^(?P<before>[^\n]*?)(?<!\S)(?P<process>\S+)[ \t]+:(?P<type>invoke|ok|fail|info)"
    r"(?:[ \t]+(?P<rest>[^\n]*?))?\r?$",
    re.MULTILINE,
)


def has_event(head: bytes) -> bool:
    """Some line of the file is an event."""
    return EVENT.search(head.decode(errors="replace")) is not None


def read(text: str, path: str) -> History:
    """The history in a text. Raises UserError with file, line and column."""
    where = place_in(text, path)
    builder = Builder(where)
    parser = Parser(where)
    cache: dict[str, list[Any]] = {}
    log = any(match["before"].strip() for match in EVENT.finditer(text[: 1 << 16]))
    end = 0
    for match in EVENT.finditer(text):
        if not log and text[end : match.start()].strip():
            at = end + len(text[end:]) - len(text[end:].lstrip())
            raise UserError(f"{where(at)}: expected PROCESS :TYPE :F VALUE")
        end = match.end()
        rest = match["rest"] or ""
        words = cache.get(rest)
        if words is None:
            words = cache[rest] = parser.values(rest, match.start())
        builder.add(_fields(match["process"], match["type"], words), match.start())
    return builder.finish()


def _fields(process: str, kind: str, words: list[Any]) -> dict[str, Any]:
    f, value, error = (*words, None, None, None)[:3]
    if kind in ("fail", "info") and error is None and isinstance(value, Keyword):
        if kind == "fail" and f == "read" and value == "timed-out":
            kind = "info"
        value, error = None, value
    number: Any = process.lstrip(":")
    if number.isdigit():
        number = int(number)
    return {"process": number, "type": kind, "f": f, "value": value, "error": error}
