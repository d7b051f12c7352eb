"""`dissensus run`: one run, or several with neighbouring seeds, from the plan to the verdict."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from dissensus.harness.checker import RunView
    from dissensus.harness.plan import Plan
    from dissensus.harness.runner import Parts, RunEnd
    from dissensus.harness.store import VerdictFile

NODES = 3
TIME = "30s"
SCENARIO_TIME = "60s"
"""Scenarios wait for conditions: most are through in a few seconds, on a busy machine in more."""
SEED_BITS = 31
"""Of a seed that was not given: short enough to be typed again."""

STORE = click.option(
    "--store",
    default=Path("store"),
    type=click.Path(path_type=Path, file_okay=False),
    show_default=True,
    help="Folder of runs.",
)


@click.command()
@click.argument("system")
@click.option("--nodes", type=int, help="Number of nodes (default: 3, or what a scenario needs).")
@click.option("--time", "time_", help="Length of the chaos (default: 30s; a scenario has 60s).")
@click.option("--rate", default=100.0, show_default=True, help="Operations a second; 0: no limit.")
@click.option(
    "--concurrency", default="2n", show_default=True, help="Processes: 10, or 2n (twice the nodes)."
)
@click.option("--faults", default="", help="Faults or families of them: kill,partition.")
@click.option("--on", default="local", show_default=True, help="Where nodes live: local, sim.")
@click.option("--workload", default="", help="What clients ask (default: cas-register).")
@click.option("--scenario", default="", help="A scripted scenario in place of load and faults.")
@click.option("--seed", type=int, help="Seed of all that is drawn (default: drawn, and printed).")
@click.option("--mutant", default="", help="A mutant of the bundled system (R13).")
@click.option("--option", "options", multiple=True, help="Option of the system: NAME=VALUE.")
@click.option("--repeat", default=1, show_default=True, help="Runs with seeds SEED, SEED+1, ...")
@click.option("--keep", is_flag=True, help="Leave the nodes of `local` up.")
@STORE
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
def run(**words: Any) -> int:
    """Run a system under faults and judge it.

    SYSTEM is a name from `dissensus systems`, or PATH.py:CLASS.
    """
    from msgspec.structs import replace

    from dissensus.harness.plan import REPEAT_MAX, SEED_MAX, within
    from dissensus.harness.verdict import ExitCode

    repeat = within("repeat", words["repeat"], 1, REPEAT_MAX)
    plan = plan_of(words)
    within("seed", plan.seed + repeat - 1, 0, SEED_MAX)
    codes = []
    for number in range(repeat):
        finished = perform(replace(plan, seed=plan.seed + number), words["store"])
        if words["form"] == "json":
            show_json(finished)
        elif repeat == 1:
            show_text(finished)
        else:
            click.echo(line_of(finished))
        codes.append(finished.exit_code)
        if finished.stopped:
            if number + 1 < repeat:
                codes.append(ExitCode.INTERRUPTED)
            break
    return worst(codes)


def plan_of(words: dict[str, Any]) -> Plan:
    """The plan that the command's words mean. Raises UserError."""
    from secrets import randbits

    from dissensus.harness import plan as plans
    from dissensus.harness.errors import UserError
    from dissensus.harness.registry import system_class
    from dissensus.harness.scenario import Scenario, load_scenario
    from dissensus.harness.workloads import DEFAULT_WORKLOAD
    from dissensus.nemeses.table import WORDS

    options = plans.parse_options(words["options"])
    if words["mutant"]:
        options["mutant"] = words["mutant"]
    scenario: Scenario | None = None
    if words["scenario"]:
        if words["faults"]:
            raise UserError(
                f"--faults {words['faults']}: scenario {words['scenario']!r} has faults of its own"
            )
        scenario = load_scenario(words["scenario"], system_class(words["system"]))
        options = {**scenario.options, **options}
    nodes = words["nodes"]
    if nodes is None:
        nodes = scenario.nodes if scenario else NODES
    nodes = plans.within("nodes", nodes, 1, plans.NODES_MAX)
    usual_time = SCENARIO_TIME if scenario else TIME
    seed = randbits(SEED_BITS) if words["seed"] is None else words["seed"]
    return plans.Plan(
        system=words["system"],
        options=options,
        nodes=nodes,
        time_ns=plans.parse_duration(words["time_"] or usual_time, what="time"),
        rate_hz=plans.parse_rate(words["rate"]),
        concurrency=plans.parse_concurrency(words["concurrency"], nodes),
        faults=plans.parse_faults(words["faults"], WORDS),
        on=words["on"],
        workload=words["workload"] or (scenario.workload if scenario else DEFAULT_WORKLOAD),
        scenario=words["scenario"],
        seed=plans.within("seed", seed, 0, plans.SEED_MAX),
        keep=words["keep"],
    )


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A run that was made, judged and drawn."""

    plan: Plan
    folder: Path
    run: RunView
    verdicts: VerdictFile
    report: Path | None
    """None where it could not be drawn."""
    end: RunEnd
    stopped: bool
    """The user pressed Ctrl-C, be it too late to cut this run short."""

    @property
    def kept(self) -> bool:
        """Nodes were left up: not on `sim`, nor where the run failed too early."""
        from dissensus.harness.journal import read_journal

        return read_journal(self.folder).last("kept") is not None

    @property
    def exit_code(self) -> int:
        return self.verdicts.exit_code


def perform(plan: Plan, base: Path) -> Finished:
    """Make a run, judge it, draw it. What fails on the way is said on stderr; the history is kept.

    Raises UserError for a plan that cannot be run, OSError where no history can be begun.
    """
    from datetime import datetime

    from dissensus.harness import store
    from dissensus.harness.cli import explain
    from dissensus.harness.errors import DissensusError
    from dissensus.harness.interrupt import Interrupts
    from dissensus.harness.progress import Display, Tally
    from dissensus.harness.provenance import gather
    from dissensus.harness.runner import make_run, prepare

    parts = parts_of(plan)
    begun = datetime.now().astimezone()
    folder = store.create(base, parts.system.name, plan.seed, now=begun)
    try:
        prepared = prepare(parts, folder)
    except DissensusError:
        store.discard(folder)
        raise
    provenance = gather(plan, parts.system, engine=engine(), begun=begun, argv=sys.argv)
    tally = Tally()
    with Display(tally, title_of(plan, parts.system.name)):
        hints = Interrupts(
            first=lambda: setattr(tally, "note", "ending; Ctrl-C again leaves at once"),
            last_words=lambda: (
                f"left in the middle; to undo what is left: dissensus heal {quote(str(folder))}"
            ),
        )
        with hints:
            end = make_run(prepared, provenance=provenance, tally=tally, stop=lambda: hints.asked)
            tally.note = "judging"
            run, verdicts = judged(folder, end)
            report = drawn(run, verdicts)
    if end.error is not None:
        explain(end.error)
    return Finished(
        plan=plan,
        folder=folder,
        run=run,
        verdicts=verdicts,
        report=report,
        end=end,
        stopped=hints.asked,
    )


def parts_of(plan: Plan) -> Parts:
    """System, workload, faults and scenario of a plan. Raises UserError."""
    from dissensus.harness.registry import load_system
    from dissensus.harness.runner import Faults, Parts
    from dissensus.harness.scenario import load_scenario
    from dissensus.harness.workloads import check_fits, load_workload
    from dissensus.nemeses.schedule import compose, run_schedule
    from dissensus.nemeses.table import NEMESES

    system = load_system(plan.system, plan.options)
    workload = load_workload(plan.workload)
    check_fits(workload, system)
    return Parts(
        plan=plan,
        system=system,
        workload=workload,
        faults=Faults(nemeses=NEMESES, compose=compose, follow=run_schedule),
        scenario=load_scenario(plan.scenario, type(system)) if plan.scenario else None,
    )


def engine() -> str:
    """The engine that will judge, for the provenance."""
    from dissensus.checkers.engines import title

    return title()


def title_of(plan: Plan, system: str) -> str:
    """What the live display is headed by."""
    mutant = f" (mutant {plan.options['mutant']})" if "mutant" in plan.options else ""
    return f"{system}{mutant} on {plan.on}, seed {plan.seed}"


def judged(folder: Path, end: RunEnd) -> tuple[RunView, VerdictFile]:
    """Judge what was recorded, and keep the verdicts where the disk lets us."""
    from dissensus.checkers.judge import judge
    from dissensus.harness import store
    from dissensus.harness.checker import Budget
    from dissensus.harness.cli import explain
    from dissensus.harness.verdict import compose, exit_code

    run = store.load(folder)
    if not run.complete:
        # The disk did not take the last line; that the harness was killed would be a wrong guess.
        run.complete, run.end = True, dict(end.line)
    verdicts = judge(run, Budget())
    validity = compose(verdicts)
    code = exit_code(
        verdicts, failed=end.outcome == "failed", interrupted=end.outcome == "interrupted"
    )
    try:
        store.write_verdicts(folder, verdicts, validity=validity, exit_code=code)
    except OSError as error:
        explain(error)
    return run, store.VerdictFile(validity=validity, exit_code=code, verdicts=verdicts)


def drawn(run: RunView, verdicts: VerdictFile) -> Path | None:
    """The report; None where it cannot be drawn, which is said and changes no verdict."""
    from dissensus.harness.cli import explain
    from dissensus.reports.html import write_report

    try:
        return write_report(run, verdicts)
    except Exception as error:  # a full disk, or a mistake of ours: the verdict stands
        explain(error)
        return None


# -- what is said of a run --------------------------------------------------------------------


def show_text(finished: Finished) -> None:
    """What is left to do, then the summary, whose last line is the verdict."""
    from rich.console import Console

    from dissensus.reports.terminal import summary

    if finished.plan.keep and finished.kept:
        click.echo(f"nodes are up; to end them: dissensus heal {quote(str(finished.folder))}")
    told = summary(finished.run, finished.verdicts, drawn=finished.report is not None)
    Console().print(told, soft_wrap=True)


def line_of(finished: Finished) -> str:
    """One line, for one of several runs."""
    from dissensus.harness.history import INFO, OK

    outcomes = finished.run.history.outcome
    effective = sum(fault.effective for fault in finished.run.faults)
    return (
        f"seed {finished.plan.seed}  {finished.verdicts.validity:<7}  exit {finished.exit_code}  "
        f"ok {outcomes.count(OK)}  info {outcomes.count(INFO)}  faults in effect {effective}  "
        f"{finished.folder}"
    )


def show_json(finished: Finished) -> None:
    """One JSON document a line."""
    import msgspec

    document = {
        "seed": finished.plan.seed,
        "validity": finished.verdicts.validity,
        "exit_code": finished.exit_code,
        "outcome": finished.end.outcome,
        "error": None if finished.end.error is None else str(finished.end.error),
        "command": finished.plan.command(),
        "run": str(finished.folder),
        "report": None if finished.report is None else str(finished.report),
        "verdicts": finished.verdicts.verdicts,
    }
    click.echo(msgspec.json.encode(document).decode())


def worst(codes: Sequence[int]) -> int:
    """The exit code of several runs."""
    from dissensus.harness.verdict import EXIT_PRIORITY

    return next(code for code in EXIT_PRIORITY if code in codes)
