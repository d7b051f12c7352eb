"""`report.html`: one file with everything in it, that opens offline and runs nothing but its own.

The words (verdict, reasons, tables) are in the page as text, escaped by Jinja2; what is drawn
comes from the data block (`columns`), drawn by `static/*.js`. A content security policy allows the
page its own script and style, by their hashes, and nothing else: no request leaves it.
"""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from hashlib import sha256
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from dissensus.harness.checker import RunView
from dissensus.harness.errors import InternalError
from dissensus.harness.store import REPORT, VerdictFile
from dissensus.reports import words
from dissensus.reports.block import data_block
from dissensus.reports.figures import figures_of
from dissensus.reports.page import page_of

HERE = Path(__file__).resolve().parent
SCRIPTS = (
    "decode.js", "words.js", "model.js", "view.js", "panels.js", "latency.js",
    "clients.js", "stage.js", "aside.js", "tables.js", "hands.js", "main.js",
)  # fmt: skip
"""In this order they become one script."""


def write_report(run: RunView, verdicts: VerdictFile) -> Path:
    """Write `report.html` into the run's folder, in place of an older one; returns its path."""
    if run.directory is None:
        raise InternalError("a run without a folder has no place for its report")
    path = run.directory / REPORT
    fresh = path.with_name(f".{path.name}")
    try:
        fresh.write_text(render(run, verdicts), encoding="utf-8")
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
    return path


def render(run: RunView, verdicts: VerdictFile) -> str:
    """The whole page as text."""
    figures = figures_of(run)
    style = read_static("report.css")
    script = "\n".join(read_static(name) for name in SCRIPTS)
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            page=page_of(run, verdicts, figures),
            policy=policy(script, style),
            style=Markup(style),
            script=Markup(script),
            # Base64, numbers and names of ours: nothing in it needs escaping.
            block=Markup(data_block(run, verdicts, figures)),
        )
    )


def policy(script: str, style: str) -> str:
    """The content security policy that allows this script and this style, and nothing else."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src '{source_hash(script)}'",
            f"style-src '{source_hash(style)}'",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


def source_hash(text: str) -> str:
    """The name by which a policy knows an inline script or style."""
    return "sha256-" + b64encode(sha256(text.encode()).digest()).decode("ascii")


@cache
def read_static(name: str) -> str:
    """A file of `static/`. It may not end its own element."""
    text = (HERE / "static" / name).read_text(encoding="utf-8")
    assert "</" not in text, f"{name} holds an end tag"
    return text


@cache
def environment() -> Environment:
    """Jinja2, strict: everything is escaped and nothing may be undefined."""
    found = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {
        "count": words.count_text,
        "span": words.span_text,
        "seconds": words.seconds,
        "value": words.value_text,
    }
    return found
