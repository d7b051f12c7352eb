"""`python -m dissensus.reports [FOLDER] [OPERATIONS]` makes a specimen of a run and its report."""

from __future__ import annotations

import sys
from pathlib import Path

from dissensus.reports.html import write_report
from dissensus.reports.specimen import OPS, write_specimen


def main(words: list[str]) -> None:
    """Make the specimen in a folder that does not exist yet, and say where its report is."""
    folder = Path(words[0] if words else "specimen")
    folder.mkdir(parents=True)
    run, verdicts = write_specimen(folder, ops=int(words[1]) if words[1:] else OPS)
    print(write_report(run, verdicts))


if __name__ == "__main__":
    main(sys.argv[1:])
