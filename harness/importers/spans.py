"""Reads text with a whole operation a line: fastlin, PolyLin, fptlin.

    # queue                                 a header that names the object
    enq 2 0 1                               METHOD VALUE [RESULT] START END
    0 1 5 PUSH 1                            PROCESS START END METHOD VALUE [RESULT]

An operation whose end is another's start is before it, as these tools have it: of events at one
moment, ends come before starts. An operation of no length starts before it ends, and is concurrent
with others of no length at its moment.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from dissensus.harness.errors import UserError
from dissensus.harness.history import History
from dissensus.harness.ops import Op

SHAPE = "expected METHOD VALUE [RESULT] START END, or PROCESS START END METHOD VALUE"
GIVES = ("deq", "pop", "poll", "peek", "read", "get", "top", "incr", "decr", "remove")
"""Operations whose one value is their result."""
PAIRS = ("readmodifywrite", "rmw", "cas")
"""Operations that take both values."""
ANSWERS = ("insert", "add", "remove", "delete", "contains", "member")
"""Operations whose result 1 or 0 says yes or no."""


class Span(NamedTuple):
    """A line."""

    start: int
    end: int
    process: int
    f: str
    arg: Any
    result: Any


def looks_so(head: bytes) -> bool:
    """The first line is one of these."""
    words = head.decode(errors="replace").split("\n", 1)[0].split()
    return 4 <= len(words) <= 6 and _times(words) is not None


def _is_number(word: str) -> bool:
    return re.fullmatch(r"[+-]?\d{1,18}", word) is not None


def _times(words: list[str]) -> int | None:
    """Place of the start: 1 where a process stands first, else the last but one."""
    if len(words) >= 4 and all(map(_is_number, words[:3])) and not _is_number(words[3]):
        return 1
    numbers = [_is_number(word) for word in words]
    return len(words) - 2 if len(words) >= 3 and all(numbers[-2:]) and not numbers[0] else None


def read(text: str, path: str) -> History:
    """The history in a text. Raises UserError with file and line."""
    spans: list[Span] = []
    layout = None
    for number, line in enumerate(text.split("\n"), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        layout = layout or ("process" if _times(words) == 1 else "method")
        try:
            spans.append(_span(words, len(spans), layout == "process"))
        except ValueError as error:
            raise UserError(f"{path}:{number}:1: {error}") from None
    return _history(spans)


def _span(words: list[str], row: int, with_process: bool) -> Span:
    times = _times(words)
    if times is None or (times == 1) != with_process:
        raise ValueError(SHAPE)
    start, end = int(words[times]), int(words[times + 1])
    if not 0 <= start <= end:
        raise ValueError(f"it ends at {end}, before its start at {start}")
    name = words[3 if with_process else 0]
    given = words[4:] if with_process else words[1:-2]
    if len(given) > 2:
        raise ValueError(SHAPE)
    values = [int(word) if _is_number(word) else word for word in given]
    arg, result = _roles(name, values)
    process = int(words[0]) if with_process else row
    return Span(start, end, process, name, arg, result)


def _roles(name: str, values: list[Any]) -> tuple[Any, Any]:
    """What of the values is the argument, and what the result."""
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    if plain in PAIRS:
        pair = [*values, None, None][:2]
        return pair, pair
    if len(values) == 1 and plain.startswith(GIVES):
        return None, values[0]
    arg, result = [*values, None, None][:2]
    if plain in ANSWERS and result in (0, 1):
        result = bool(result)
    return arg, result


def _history(spans: list[Span]) -> History:
    spans.sort(key=lambda span: (span.start, span.end))
    events: list[tuple[int, int, int, bool]] = []
    for row, span in enumerate(spans):
        # At one moment: ends, then what has no length, all of it at once, then the other starts: an
        # end at another's start is before it.
        short = span.start == span.end
        events.append((span.start, 1 if short else 3, row, True))
        events.append((span.end, 2 if short else 0, row, False))
    events.sort()
    history = History()
    for position, (time, _, row, begins) in enumerate(events):
        span = spans[row]
        history.add(
            Op(
                f=span.f,
                value=span.arg if begins else span.result,
                process=span.process,
                type="invoke" if begins else "ok",
                time_ns=time,
                index=position,
            )
        )
    return history
