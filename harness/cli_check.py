"""`dissensus check` and `report`: a stored run is judged again, a history from elsewhere is judged,
a report is drawn again.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dissensus.harness.cli_list import FORMAT, print_json

if TYPE_CHECKING:
    from dissensus.harness.checker import Budget, RunView
    from dissensus.harness.store import VerdictFile
    from dissensus.harness.verdict import Verdict

BUDGET_MAX_NS = 24 * 3600 * 10**9
"""A day."""


@click.command(short_help="Judge a run or a history file again.")
@click.argument("place", type=click.Path(path_type=Path))
@click.option(
    "--model", default=None, help="Judge by this model: cas-register, register(init=0) ..."
)
@click.option("--budget", default="60s", show_default=True, help="How long the search may take.")
@click.option(
    "--availability",
    type=click.FloatRange(0, 1),
    default=None,
    help="INVALID below this ratio, 0.999 for instance.",
)
@FORMAT
def check(
    place: Path, model: str | None, budget: str, availability: float | None, form: str
) -> int:
    """Judge a run or a history file again.

    PLACE is a run's folder or its events.jsonl (verdict.json and the report are written again), or
    a file of operations that was recorded elsewhere, one JSON object a line:

    {"process": 0, "type": "invoke", "f": "write", "key": "x", "value": 3}
    """
    from dissensus.harness.checker import Budget
    from dissensus.harness.plan import parse_duration

    most = parse_duration(budget, what="budget", most_ns=BUDGET_MAX_NS)
    bounds = Budget(seconds=most / 1e9)
    drawn = False
    if is_history(place):
        run, found = judge_history(place, model, bounds)
    else:
        run, found, drawn = judge_run(place, model, bounds, availability)
    if form == "json":
        print_json(found)
    else:
        show(run, found, drawn=drawn)
    return found.exit_code


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
    """A file of operations, and no run."""
    from dissensus.harness.store import EVENTS

    return not place.is_dir() and place.name != EVENTS


def judge_run(
    place: Path, model: str | None, budget: Budget, availability: float | None
) -> tuple[RunView, VerdictFile, bool]:
    """Judge a stored run again; its verdict.json and report are replaced. The last is False where
    that could not be written, which is said and changes no verdict.
    """
    from dissensus.checkers.judge import judge
    from dissensus.harness import store
    from dissensus.harness.cli import explain
    from dissensus.reports.html import write_report

    folder = store.find(place)
    run = store.load(folder)
    if model is not None:
        run.header["model"] = model
    verdicts = judge(run, budget, availability=availability)
    found = composed(verdicts, outcome=run.end.get("outcome", ""))
    try:
        store.write_verdicts(folder, verdicts, validity=found.validity, exit_code=found.exit_code)
        write_report(run, found)
    except OSError as error:
        explain(error)
        return run, found, False
    return run, found, True


def judge_history(place: Path, model: str | None, budget: Budget) -> tuple[RunView, VerdictFile]:
    """Judge a history that was recorded elsewhere. Its verdict is that of the model alone: what
    makes it vacuous is said beside it.
    """
    from dissensus.checkers.guess import guess
    from dissensus.checkers.judge import judge_operations
    from dissensus.harness.checker import RunView
    from dissensus.harness.importers import read_history

    history = read_history(place)
    header = {"system": str(place), "model": model or guess(history).model}
    run = RunView(
        header=header, history=history, faults=[], nodes=[], phases=[], marks=[], complete=True
    )
    return run, composed(judge_operations(run, budget), outcome="")


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
