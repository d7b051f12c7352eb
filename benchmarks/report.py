"""Reports of 10^5 and 10^6 operations: how long they take to write, their size, and how long a
browser takes to open and to draw them.

    python benchmarks/report.py [OPERATIONS...]

The browser's figures are its own (`performance.now` since the page began to load, median of three);
without a Chromium only the first two are printed.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from dissensus.reports.browser import browser, find_browser
from dissensus.reports.html import write_report
from dissensus.reports.specimen import write_specimen

OPERATIONS = (100_000, 1_000_000)
OPENINGS = 3
OPEN_SECONDS = 3
"""The budget for 10^6 operations; fewer take less."""


def opened(path: Path) -> tuple[float, float]:
    """Milliseconds until all is drawn, and of one drawing of the whole run."""
    ready, drawn = [], []
    with browser() as page:
        page.size(1440, 1000)
        for _ in range(OPENINGS):
            page.open(path, "#t=0,1000000")
            found = page.evaluate("({...document.getElementById('status').dataset})")
            ready.append(float(found["readyMs"]))
            drawn.append(float(found["drawMs"]))
        assert not page.errors, page.errors
    return median(ready), median(drawn)


def measure(operations: int) -> bool:
    """One report, one line; whether it keeps the promise."""
    with tempfile.TemporaryDirectory() as folder:
        # Time that clients wait for nothing is not operations: ask for more, count what came.
        run, verdicts = write_specimen(Path(folder), ops=round(operations * 1.3))
        begun = time.process_time()
        path = write_report(run, verdicts)
        wrote = time.process_time() - begun
        size, count = path.stat().st_size, len(run.history)
        line = (
            f"{count:,} operations: written in {wrote:.2f} CPU-s, {size / 1e6:.2f} MB "
            f"({size / count:.1f} bytes an operation)"
        )
        ready = 0.0
        if find_browser() is not None:
            ready, drawn = opened(path)
            line += f", opens in {ready / 1000:.2f} s, whole run drawn in {drawn:.0f} ms"
        print(line)
        return ready <= OPEN_SECONDS * 1000


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:]] or OPERATIONS
    sys.exit(not all([measure(number) for number in numbers]))
