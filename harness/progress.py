"""What a run is doing, shown while it does it: a `Tally` fed by the event stream, and two ways to
show it on stderr.

The run feeds the tally in its own thread, a few additions an operation; the display has a thread of
its own that reads a copied `Snapshot` and never touches the run. On a terminal it is a live panel;
elsewhere (a pipe, CI) one plain line every ten seconds with the same facts, made for grep:
`t=20s phase=chaos ops=4011 ok=3987 ...`.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Mapping
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

import msgspec

from dissensus.harness.ops import Op

if TYPE_CHECKING:
    from rich.console import Group
    from rich.live import Live

PLAIN_EVERY_S = 10.0
LIVE_HZ = 4
"""Frames a second: quick enough to feel live, at a cost of a few percent of one core."""
LATENCIES_KEPT = 2048
"""Latest successes that the live quantiles are taken over: some seconds of a usual run."""
SPARK_SECONDS = 60
SPARKS = " ▁▂▃▄▅▆▇█"
NS_PER_S = 1_000_000_000


class NodeState(msgspec.Struct, kw_only=True, frozen=True):
    """Last thing heard of a node."""

    up: bool = True
    state: str = ""
    role: str = ""
    term: int = -1


class Snapshot(msgspec.Struct, kw_only=True, frozen=True):
    """A copy of the tally at one moment."""

    t_ns: int
    phase: str
    invoked: int
    ok: int
    info: int
    fail: int
    p50_ns: int
    p99_ns: int
    rates: tuple[int, ...]
    """Successes in each of the last seconds, oldest first."""
    faults: tuple[tuple[str, str, str], ...]
    """(kind, targets, state) of the faults that are open: asked, in effect, no effect."""
    faults_done: int
    faults_effective: int
    nodes: tuple[tuple[str, NodeState], ...]
    note: str


class Tally:
    """Counts of a run, fed by its events. Not a checker: nothing here is judged."""

    def __init__(self) -> None:
        self.t_ns = 0
        self.phase = "set-up"
        self.invoked = self.ok = self.info = self.fail = 0
        self.note = ""
        self._begun: dict[int, int] = {}
        self._latencies: deque[int] = deque(maxlen=LATENCIES_KEPT)
        self._seconds: deque[tuple[int, int]] = deque(maxlen=SPARK_SECONDS)
        self._open_faults: dict[int, tuple[str, str, str]] = {}
        self._effective: set[int] = set()
        self._faults_done = 0
        self._nodes: dict[str, NodeState] = {}

    def op(self, op: Op) -> None:
        """Take one operation event."""
        self.t_ns = max(self.t_ns, op.time_ns)
        if op.type == "invoke":
            self.invoked += 1
            self._begun[op.process] = op.time_ns
            return
        begun = self._begun.pop(op.process, op.time_ns)
        if op.type == "ok":
            self.ok += 1
            self._latencies.append(op.time_ns - begun)
            second = op.time_ns // NS_PER_S
            if self._seconds and self._seconds[-1][0] == second:
                self._seconds[-1] = (second, self._seconds[-1][1] + 1)
            else:
                self._seconds.append((second, 1))
        elif op.type == "info":
            self.info += 1
        else:
            self.fail += 1

    def event(self, event: Mapping[str, Any]) -> None:
        """Take one event of another kind, in the form of its line in events.jsonl."""
        kind = event.get("ev")
        self.t_ns = max(self.t_ns, event.get("t", 0))
        if kind == "phase":
            self.phase = str(event.get("name", ""))
        elif kind == "fault-begin":
            self._open_faults[event["id"]] = (
                str(event.get("kind", "")),
                targets_text(event.get("targets") or {}),
                "asked",
            )
        elif kind == "fault-measured" and event["id"] in self._open_faults:
            name, targets, _ = self._open_faults[event["id"]]
            effective = bool(event.get("effective"))
            state = "in effect" if effective else "no effect"
            self._open_faults[event["id"]] = (name, targets, state)
            if effective:
                self._effective.add(event["id"])
        elif kind == "fault-end":
            self._faults_done += self._open_faults.pop(event["id"], None) is not None
        elif kind == "node":
            self._node(event)

    def _node(self, event: Mapping[str, Any]) -> None:
        name = str(event.get("node", ""))
        before = self._nodes.get(name, NodeState())
        self._nodes[name] = NodeState(
            up=bool(event.get("up", before.up)),
            state=str(event.get("state", before.state)),
            role=str(event.get("role", before.role)),
            term=int(event.get("term", before.term)),
        )

    def snapshot(self) -> Snapshot:
        """A copy that does not change any more; cheap, and safe from another thread."""
        sorted_ns = sorted(self._latencies.copy())
        rates = dict(self._seconds.copy())
        last = self.t_ns // NS_PER_S
        return Snapshot(
            t_ns=self.t_ns,
            phase=self.phase,
            invoked=self.invoked,
            ok=self.ok,
            info=self.info,
            fail=self.fail,
            p50_ns=quantile(sorted_ns, 0.5),
            p99_ns=quantile(sorted_ns, 0.99),
            rates=tuple(rates.get(s, 0) for s in range(max(0, last - SPARK_SECONDS + 1), last + 1)),
            faults=tuple(self._open_faults.copy().values()),
            faults_done=self._faults_done,
            faults_effective=len(self._effective),
            nodes=tuple(sorted(self._nodes.copy().items())),
            note=self.note,
        )


def quantile(sorted_values: list[int], q: float) -> int:
    """The nearest-rank quantile; -1 of nothing."""
    if not sorted_values:
        return -1
    return sorted_values[min(len(sorted_values) - 1, int(q * len(sorted_values)))]


def targets_text(targets: Mapping[str, Any]) -> str:
    """Targets on one line: {"nodes": ["n1"]} is "n1", {"halves": [["n1"], ["n2"]]} is "n1 | n2"."""

    def text(value: Any) -> str:
        if isinstance(value, list | tuple):
            inner = any(isinstance(item, list | tuple) for item in value)
            return (" | " if inner else " ").join(text(item) for item in value)
        if isinstance(value, Mapping):
            return ", ".join(f"{name}: {text(of)}" for name, of in value.items())
        return str(value)

    return ", ".join(text(value) for value in targets.values())


def spark(rates: tuple[int, ...]) -> str:
    """One character a second, scaled to the highest."""
    most = max(rates, default=0) or 1
    return "".join(SPARKS[-(-rate * (len(SPARKS) - 1) // most)] for rate in rates)


def ms(ns: int) -> str:
    """Milliseconds, "-" for none."""
    return "-" if ns < 0 else f"{ns / 1e6:.1f}"


def ms_text(ns: int) -> str:
    """Milliseconds with the digits that matter, "-" for none."""
    if ns < 0:
        return "-"
    ms = ns / 1e6
    return f"{ms:.1f} ms" if ms < 100 else f"{ms:.0f} ms"


def plain_line(s: Snapshot) -> str:
    """One line with every fact, for logs."""
    line = (
        f"t={s.t_ns // NS_PER_S}s phase={s.phase} ops={s.invoked} ok={s.ok} info={s.info} "
        f"fail={s.fail} p50_ms={ms(s.p50_ns)} p99_ms={ms(s.p99_ns)} "
        f"faults_effective={s.faults_effective}"
    )
    if s.faults:
        line += " now=" + ",".join(f"{kind}({targets})" for kind, targets, _ in s.faults)
    leaders = [f"{name}@{n.term}" for name, n in s.nodes if n.up and n.role == "leader"]
    if leaders:
        line += " leader=" + ",".join(leaders)
    return line


def live_panel(title: str, s: Snapshot) -> Group:
    """The terminal's picture of a snapshot."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    head = Text.assemble(
        (title, "bold"), f"   {s.t_ns / 1e9:5.1f} s   ", (s.phase, "cyan"), f"   {s.note}"
    )
    ops = Text.assemble(
        f"ops {s.invoked:,}".replace(",", " "),
        f"   ok {s.ok}   info {s.info}   fail {s.fail}",
        f"   p50 {ms_text(s.p50_ns)}   p99 {ms_text(s.p99_ns)}",
    )
    faults = Text(f"faults in effect so far {s.faults_effective}, undone {s.faults_done}")
    for kind, targets, state in s.faults:
        colour = "magenta" if state == "in effect" else "yellow"
        faults.append(f"   {kind} {targets} ", style=colour)
        faults.append(f"({state})")
    table = Table.grid(padding=(0, 3))
    for name, node in s.nodes:
        state = node.state or ("up" if node.up else "down")
        style = "" if state == "up" else "red"
        role = Text(node.role, style="bold" if node.role == "leader" else "")
        term = f"term {node.term}" if node.term >= 0 else ""
        table.add_row(name, Text(state, style=style), role, term)
    return Group(head, ops, Text(spark(s.rates), style="blue"), faults, table)


def is_live(stream: IO[str]) -> bool:
    """A terminal that can be drawn on, and nobody asked for plain text."""
    plain = os.environ.get("CI") or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return stream.isatty() and not plain


class Display:
    """Shows a tally on stderr while its `with` block runs."""

    def __init__(
        self,
        tally: Tally,
        title: str,
        *,
        stream: IO[str] | None = None,
        every_s: float = PLAIN_EVERY_S,
    ) -> None:
        self.tally = tally
        self.title = title
        self.stream = sys.stderr if stream is None else stream
        self.every_s = every_s
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._live: Live | None = None

    def __enter__(self) -> Display:
        if is_live(self.stream):
            from rich.console import Console
            from rich.live import Live

            self._live = Live(
                get_renderable=lambda: live_panel(self.title, self.tally.snapshot()),
                console=Console(file=self.stream),
                refresh_per_second=LIVE_HZ,
                transient=True,
            )
            self._live.start()
        else:
            self.say(f"{self.title}: begun")
            self._thread = threading.Thread(target=self._lines, name="progress", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()
            return
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self.say(plain_line(self.tally.snapshot()))

    def say(self, line: str) -> None:
        """A line of text, above the live panel or among the plain lines."""
        if self._live is not None:
            self._live.console.print(line, markup=False, highlight=False)
        else:
            print(line, file=self.stream, flush=True)

    def _lines(self) -> None:
        while not self._stop.wait(self.every_s):
            self.say(plain_line(self.tally.snapshot()))
