"""The blocks of the tutorial and of the how-to pages do what the pages say.

A `python` block whose first line is `# NAME.py` becomes that file; the lines of an `sh` block are
run, one by one, and exit with 0 unless the line ends in `# exits N`; the lines of a `text` block
stand, in this order, in the output of the commands before it, where `…` is anything. Blocks of
other kinds are for people. Each page has a folder of its own.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
PAGES = [DOCS / "tutorial.md", *sorted((DOCS / "how-to").glob("*.md"))]
COMMAND_SECONDS = 120

pytestmark = [pytest.mark.slow, pytest.mark.cluster]


def blocks(page: Path) -> list[tuple[str, str]]:
    """(kind, content) of the fenced blocks of a page."""
    text = page.read_text(encoding="utf-8")
    return re.findall(r"^```(\w+)\n(.*?)^```$", text, re.M | re.S)


def run_line(line: str, folder: Path) -> str:
    """Run a command as the page says; its output, both streams."""
    wanted = re.search(r"# exits (\d+)$", line)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["/bin/bash", "-c", line], cwd=folder, env={**os.environ, "PATH": path}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=COMMAND_SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == (int(wanted[1]) if wanted else 0), f"{line}\n{done.stdout}"
    return done.stdout


def check_output(expected: str, output: str) -> None:
    """Every line of the block, in order, is part of a line of the output."""
    lines = iter(output.splitlines())
    for line in expected.splitlines():
        pattern = re.compile(".*".join(re.escape(part) for part in line.strip().split("…")))
        assert any(pattern.search(said) for said in lines), f"missing: {line}\n{output}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_does_what_it_says(page: Path, tmp_path: Path) -> None:
    output = ""
    told = True
    for kind, content in blocks(page):
        if kind == "python":
            name = re.match(r"# (\w+\.py)\n", content)
            if name:
                (tmp_path / name[1]).write_text(content, encoding="utf-8")
        elif kind == "sh":
            output = "" if told else output
            told = False
            for line in content.replace("\\\n", " ").splitlines():
                output += run_line(line, tmp_path)
        elif kind == "text":
            check_output(content, output)
            told = True
