"""No node may stop itself: PANIC lines in the logs of nodes, and what the simulator and the monitor
saw of nodes that ended.

A node that was killed by a fault says nothing of the kind. A node that ended by a signal which only
a program's own mistake raises (a bad address, an abort) has crashed; one that was killed from
outside, or that gave up for want of disk, is not the system's fault and is not judged here.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

from dissensus.harness.checker import Budget, RunView
from dissensus.harness.verdict import Certificate, Validity, Verdict

PANIC = re.compile(rb"\bPANIC\b|^panic: |^fatal error: |thread '[^']*' panicked at ")
"""What programs write when they stop themselves: ours, Go's (two kinds), Rust's."""
CRASHES = frozenset(
    {signal.SIGILL, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGSEGV, signal.SIGTRAP}
)
CERTIFICATES_MAX = 5
"""A node that panics at every start would fill the report with one sentence."""
LOG_BYTES_MAX = 256 * 1024 * 1024
"""What is read of one log; a longer one is judged by its beginning, and the verdict says so."""
TEXT_CHARS_MAX = 300


class PanicChecker:
    """INVALID when a node panicked or crashed, with file and line."""

    name = "no-panic"

    def check(self, run: RunView, budget: Budget) -> Verdict:
        logs = node_logs(run.directory)
        found = [c for path in logs for c in in_log(run.directory or path, path)]
        told_by_log = {c.data["node"] for c in found}
        found += [c for c in in_marks(run) if c.data["node"] not in told_by_log]
        cut = [path.name for path in logs if path.stat().st_size > LOG_BYTES_MAX]
        verdict = Verdict(
            checker=self.name,
            validity=Validity.INVALID if found else Validity.VALID,
            reason="no node stopped itself" + (f", by {len(logs)} logs" if logs else ""),
            facts={"logs": len(logs), "panics": len(found)},
            certificates=found[:CERTIFICATES_MAX],
        )
        if found:
            verdict.reason = f"{len(found)} panics, the first: {found[0].summary}"
        elif cut:
            verdict.validity = Validity.UNKNOWN
            verdict.reason = f"only the first {LOG_BYTES_MAX} bytes of {', '.join(cut)} were read"
        return verdict


def node_logs(directory: Path | None) -> list[Path]:
    """The logs of the run's nodes, sorted."""
    return sorted(directory.glob("nodes/*/*.log")) if directory is not None else []


def in_log(directory: Path, path: Path) -> Iterator[Certificate]:
    """A certificate for each line that tells of a panic."""
    read = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            read += len(line)
            if read > LOG_BYTES_MAX:
                return
            if PANIC.search(line):
                text = line.decode(errors="replace").strip()[:TEXT_CHARS_MAX]
                place = str(path.relative_to(directory))
                node = path.parent.name
                yield Certificate(
                    kind="panic",
                    summary=f"{node} stopped itself: {text} ({place}:{number})",
                    story=[f"Line {number} of {place}: {text}"],
                    data={"node": node, "file": place, "line": number, "text": text},
                )


def in_marks(run: RunView) -> Iterator[Certificate]:
    """Certificates for what the simulator saw of panics, and the monitor of crashes."""
    for number, mark in enumerate(run.marks):
        code = mark.get("exit_code")
        crashed = mark.get("name") == "node-died" and isinstance(code, int) and -code in CRASHES
        if crashed or mark.get("name") == "panic":
            text = str(mark.get("text", ""))[:TEXT_CHARS_MAX]
            yield Certificate(
                kind="panic",
                summary=text,
                story=[f"At {mark.get('t', 0) / 1e9:.3f} s: {text}"],
                data={"node": mark.get("node", ""), "mark": number, "text": text},
            )
