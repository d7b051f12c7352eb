"""The drawing of a certificate: its operations in their real-time order, one lane a client.

What decides is the order of invocations and completions, and their times differ by factors of a
thousand: so every event takes one step to the right, whatever time went by, and the times stand
below. Drawn without any script, it also shows where none runs and on paper.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from dissensus.harness.history import INFO, History
from dissensus.harness.verdict import Certificate
from dissensus.reports.words import short, span_text, value_text

OPS_MAX = 24
"""More bars than this are no picture any more; the last ones, with what is blocked, are kept."""
LEFT, TOP, LANE, BAR = 92, 14, 46, 16
"""Pixels: names of lanes, margin above, height of a lane and of a bar in it."""
WIDTH, STEP_MIN, STEP_MAX = 620, 30, 120
"""Pixels: what the steps share, and what one step may have."""
TEXT_MIN = 58
"""Pixels that the time of a step needs."""
CHAR = 6.6
"""Pixels that a character takes on average, to know what fits."""


class Bar(msgspec.Struct, kw_only=True, frozen=True):
    """One operation as it is drawn."""

    number: int
    row: int
    x: float
    y: float
    width: float
    words: str
    outcome: str
    """A class of the style: "ok", "info" or "blocked"."""


class Diagram(msgspec.Struct, kw_only=True, frozen=True):
    """A certificate's drawing, in pixels."""

    width: float
    height: float
    bars: list[Bar]
    lanes: list[tuple[str, float]]
    """(name, y of its middle)."""
    ticks: list[tuple[float, str]]
    """(x, time since the first one; empty where there is no room)."""
    left_out: int
    key: str
    """The key that all its operations are on; empty where they differ."""


def diagram_of(history: History, certificate: Certificate) -> Diagram | None:
    """The drawing; None where the certificate names no operations."""
    numbered = list(enumerate(certificate.ops, 1))
    kept = [pair for pair in numbered if pair[1] in certificate.blocked][-OPS_MAX:]
    others = [pair for pair in numbered if pair not in kept]
    kept = sorted(kept + others[len(others) - (OPS_MAX - len(kept)) :])
    if not kept:
        return None
    steps = sorted(step for _, row in kept for step in events_of(history, row))
    place = {position: i for i, (position, _) in enumerate(steps)}
    step = min(STEP_MAX, max(STEP_MIN, WIDTH / max(1, len(steps) - 1)))
    keys = {history.key[row] for _, row in kept}
    key = history.keys.values[keys.pop()] if len(keys) == 1 else None
    clients = sorted({history.process[row] for _, row in kept})
    right = LEFT + step * (len(steps) - 1) + 40
    bars = []
    for number, row in kept:
        x = LEFT + step * place[history.inv[row]]
        end = right if history.ret[row] < 0 else LEFT + step * place[history.ret[row]]
        if history.outcome[row] == INFO:
            end = right  # it may still happen: no later event closes it
        bars.append(
            Bar(
                number=number, row=row, x=x, width=max(4.0, end - x),
                y=TOP + LANE * clients.index(history.process[row]) + 20,
                words=op_words(history, row, with_key=key is None),
                outcome=look(history, certificate, row),
            )
        )  # fmt: skip
    return Diagram(
        width=right + 10,
        height=TOP + LANE * len(clients) + 26,
        bars=bars,
        lanes=[
            (lane_name(history, kept, client), TOP + LANE * i + 20 + BAR / 2)
            for i, client in enumerate(clients)
        ],
        ticks=list(ticks(steps, step)),
        left_out=len(numbered) - len(kept),
        key="" if key is None else f"key {short(value_text(key), 30)}",
    )


def events_of(history: History, row: int) -> Iterator[tuple[int, int]]:
    """(position, time) of an operation's invocation and, unless it is open, of its completion."""
    yield history.inv[row], history.t_inv[row]
    if history.ret[row] >= 0 and history.outcome[row] != INFO:
        yield history.ret[row], history.t_ret[row]


def ticks(steps: list[tuple[int, int]], step: float) -> Iterator[tuple[float, str]]:
    """A tick for each step; its time where there is room."""
    free = 0.0
    first = steps[0][1]
    for i, (_, t) in enumerate(steps):
        x = LEFT + step * i
        text = f"+{span_text(t - first)}" if i else f"{t / 1e9:.3f} s"
        if x < free:
            text = ""
        else:
            free = x + TEXT_MIN
        yield x, text


def look(history: History, certificate: Certificate, row: int) -> str:
    """How a bar is drawn."""
    if row in certificate.blocked:
        return "blocked"
    return "info" if history.outcome[row] == INFO else "ok"


def lane_name(history: History, kept: list[tuple[int, int]], client: int) -> str:
    """A client, with the node that it talked to where it was one."""
    nodes = {history.node_of(row) for _, row in kept if history.process[row] == client}
    names = sorted(str(node) for node in nodes if node)
    return f"p{client} on {names[0]}" if len(names) == 1 else f"p{client}"


def op_words(history: History, row: int, *, with_key: bool) -> str:
    """An operation in few words: "write 4", "read → 3", with its key before them if asked for."""
    key = history.key_of(row)
    words = [f"{short(value_text(key), 12)}:"] if with_key and key is not None else []
    words.append(short(history.f_of(row), 16))
    arg, result = history.arg_of(row), history.result_of(row)
    if arg is not None:
        words.append(short(value_text(arg), 20))
    if history.outcome[row] == INFO:
        words.append("→ ?")
    elif arg is None or (result is not None and result != arg):
        words.append(f"→ {'nothing' if result is None else short(value_text(result), 20)}")
    return " ".join(words)
