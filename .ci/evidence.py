"""Writes the last result of a nightly part into docs/evidence.md: date, commit, figures.

    python .ci/evidence.py PART EXIT_CODE MINUTES LOG

A part has one section; a new result takes the place of the old one.
"""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "docs" / "evidence.md"
HEAD = """# Evidence

The last result of each part of `.ci/nightly`, written by the script: date, commit, figures.
A commit with `+` had changes that were not committed.
"""


def commit() -> str:
    """The commit that is measured, with "+" where the tree differs in more than this page."""

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", *words], capture_output=True, text=True, check=True, cwd=PAGE.parent.parent
        )
        return done.stdout.strip()

    changed = [
        line for line in git("status", "--porcelain").splitlines() if "evidence.md" not in line
    ]
    return git("rev-parse", "--short=10", "HEAD") + ("+" if changed else "")


def section(part: str, code: int, minutes: str, log: str) -> str:
    """The part's new section."""
    figures = [line[7:].strip() for line in log.splitlines() if line.startswith("figure:")]
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    outcome = "reached" if code == 0 else f"NOT reached (exit {code})"
    machine = f"{platform.machine()}, Python {platform.python_version()}"
    lines = [
        f"## {part}",
        "",
        f"{when}, commit {commit()}, {minutes} min, {machine}: {outcome}",
        "",
    ]
    lines += [f"- {figure}" for figure in figures] or ["- no figures were printed"]
    return "\n".join(lines) + "\n"


def replaced(page: str, part: str, text: str) -> str:
    """The page with the part's section replaced, or added in alphabetical order."""
    head, *old = re.split(r"^(?=## )", page, flags=re.M)
    sections = {body.split(maxsplit=2)[1]: body.rstrip() + "\n" for body in old}
    sections[part] = text
    return "\n".join([head.rstrip() + "\n", *(sections[name] for name in sorted(sections))])


def main() -> None:
    """Read the log, rewrite the page."""
    part, code, minutes, log = sys.argv[1:]
    page = PAGE.read_text(encoding="utf-8") if PAGE.exists() else HEAD
    text = section(part, int(code), minutes, Path(log).read_text(encoding="utf-8"))
    PAGE.write_text(replaced(page, part, text), encoding="utf-8")
    print(f"written to {PAGE.name}:\n{text}")


if __name__ == "__main__":
    main()
