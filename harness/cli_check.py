"""`dissensus check` and `report`: a stored run is judged again, a history from elsewhere is judged,
a report is drawn again.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from dissensus.harness.cli_list import FORMAT, print_json

if TYPE_CHECKING:
    from dissensus.harness.checker import Budget, RunView
    from dissensus.harness.store import VerdictFile
    from dissensus.harness.verdict import Verdict

BUDGET_MAX_NS = 24 * 3600 * 10**9
"""A day."""
JEPSEN_FILES = ("test.jepsen", "history.edn", "test.fressian", "history.txt")
"""What a store folder of Jepsen's or Maelstrom's holds."""


@click.command(short_help="Judge a run or a history.")
@click.argument("place", type=click.Path(path_type=Path))
@click.option(
    "--model",
    default=None,
    help="Judge by this model: cas-register, queue, register(init=0), mine.py:Model ...",
)
@click.option("--budget", default="60s", show_default=True, help="CPU time that it may take.")
@click.option("--memory", default="4GB", show_default=True, help="What the engine may allocate.")
@click.option("--threads", type=click.IntRange(1), help="Threads; by default one for each core.")
@click.option("--engine", help="native or python; by default native where it is there.")
@click.option(
    "--confirm", is_flag=True, help="Ask a second engine however many operations there are."
)
@click.option(
    "--strongest",
    is_flag=True,
    help="Say of every level of consistency whether it holds. The exit code is still the model's.",
)
@click.option(
    "--salvage", is_flag=True, help="Judge what can be read of a file that is damaged or cut."
)
@click.option(
    "--certificate",
    type=click.Path(path_type=Path),
    help="Write the certificates into this new file.",
)
@click.option(
    "--availability",
    type=click.FloatRange(0, 1),
    default=None,
    help="INVALID below this ratio, 0.999 for instance.",
)
@FORMAT
def check(place: Path, form: str, availability: float | None, **options: Any) -> int:
    """Judge a run or a history.

    PLACE is a run's folder or its events.jsonl (verdict.json and the report are written again), or
    a history that was recorded elsewhere, its format found by content: Jepsen's history.edn,
    history.txt, test.jepsen, logs and store folders, elle-cli's JSON, Porcupine's kv text, fastlin
    and fptlin text, or one JSON object a line:

    {"process": 0, "type": "invoke", "f": "write", "key": "x", "value": 3}
    """
    asked = asked_of(options)
    if is_history(place):
        from dissensus.harness.cli_history import check_history

        return check_history(place, asked, form)
    if asked.strongest:
        from dissensus.harness.errors import UserError

        raise UserError("--strongest is for a history from elsewhere, and this is a run")
    run, found, drawn = judge_run(place, asked, availability)
    if asked.certificate is not None:
        from dissensus.checkers import certificates
        from dissensus.harness import store

        events = store.find(place) / store.EVENTS
        certificates.write(asked.certificate, events, found.verdicts, operations=len(run.history))
    if form == "json":
        print_json(found)
    else:
        show(run, found, drawn=drawn)
    return found.exit_code


class Asked(NamedTuple):
    """How a check was asked for."""

    budget: Budget
    model: str | None = None
    threads: int = 0
    engine: str | None = None
    confirm: bool = False
    salvage: bool = False
    strongest: bool = False
    certificate: Path | None = None


def asked_of(options: dict[str, Any]) -> Asked:
    """The options of a check. Raises UserError."""
    from dissensus.harness.checker import Budget
    from dissensus.harness.errors import UserError
    from dissensus.harness.plan import parse_duration

    most_ns = parse_duration(options["budget"], what="budget", most_ns=BUDGET_MAX_NS)
    memory = parse_bytes(options["memory"])
    certificate = options["certificate"]
    if certificate is not None and certificate.exists():
        raise UserError(f"{certificate} is there already: certificates go into a new file")
    return Asked(
        budget=Budget(seconds=most_ns / 1e9, memory_bytes=memory),
        model=options["model"],
        threads=options["threads"] or 0,
        engine=options["engine"],
        confirm=options["confirm"],
        salvage=options["salvage"],
        strongest=options["strongest"],
        certificate=certificate,
    )


def parse_bytes(text: str) -> int:
    """ "2GB", "500MB", "64k": bytes. Raises UserError."""
    from dissensus.harness.errors import UserError

    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kMGT]?)i?B?\s*", text)
    if found is None or float(found[1]) == 0:
        raise UserError(f"memory is a number with kB, MB or GB, like 2GB, not {text!r}")
    return int(float(found[1]) * 1000 ** ("kMGT".find(found[2]) + 1 if found[2] else 0))


@click.command(short_help="Draw the report of a run again.")
@click.argument("place", type=click.Path(path_type=Path))
def report(place: Path) -> None:
    """Draw the report of a run again.

    PLACE is a run's folder or its events.jsonl. The path of the report is printed.
    """
    from dissensus.harness import store
    from dissensus.reports.html import write_report

    folder = store.find(place)
    verdicts = store.read_verdicts(folder)
    click.echo(write_report(store.load(folder), verdicts))


def is_history(place: Path) -> bool:
    """A history that was recorded elsewhere, and no run of ours."""
    from dissensus.harness.store import EVENTS

    if not place.is_dir():
        return place.name != EVENTS
    if (place / EVENTS).exists() or any(place.glob(f"*/{EVENTS}")):
        return False
    deep = ("", "*/", "*/*/")
    return any(any(place.glob(f"{way}{name}")) for name in JEPSEN_FILES for way in deep)


def judge_run(
    place: Path, asked: Asked, availability: float | None
) -> tuple[RunView, VerdictFile, bool]:
    """Judge a stored run again; its verdict.json and report are replaced. The last is False where
    that could not be written, which is said and changes no verdict.
    """
    from dissensus.checkers.engines import choose
    from dissensus.checkers.judge import judge
    from dissensus.harness import store
    from dissensus.harness.cli import explain
    from dissensus.reports.html import write_report

    folder = store.find(place)
    run = store.load(folder)
    if asked.model is not None:
        run.header["model"] = asked.model
    orders = asked.certificate is not None
    engine = choose(asked.engine, threads=asked.threads, orders=orders)
    verdicts = judge(
        run, asked.budget, availability=availability, engine=engine, confirm=asked.confirm
    )
    found = composed(verdicts, outcome=run.end.get("outcome", ""))
    try:
        store.write_verdicts(folder, verdicts, validity=found.validity, exit_code=found.exit_code)
        write_report(run, found)
    except OSError as error:
        explain(error)
        return run, found, False
    return run, found, True


def composed(verdicts: list[Verdict], *, outcome: str) -> VerdictFile:
    """All verdicts as one, with the exit code that follows from them and the run's end."""
    from dissensus.harness.store import VerdictFile
    from dissensus.harness.verdict import compose, exit_code

    code = exit_code(verdicts, failed=outcome == "failed", interrupted=outcome == "interrupted")
    return VerdictFile(validity=compose(verdicts), exit_code=code, verdicts=verdicts)


def show(run: RunView, found: VerdictFile, *, drawn: bool) -> None:
    """The summary, and what an UNKNOWN or VALID has beside it."""
    from rich.console import Console

    from dissensus.harness.verdict import Validity
    from dissensus.reports.terminal import summary

    console = Console()
    console.print(summary(run, found, drawn=drawn), soft_wrap=True)
    for verdict in found.verdicts:
        if verdict.vacuous and verdict.validity is Validity.VALID:
            console.print(f"vacuous: {'; '.join(verdict.vacuous)}", soft_wrap=True)
