"""`dissensus demo`: two runs of the bundled Raft on real processes, one of them with a bug."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dissensus.harness.cli_run import STORE

if TYPE_CHECKING:
    from dissensus.harness.cli_run import Finished
    from dissensus.harness.plan import Plan
    from dissensus.harness.verdict import Validity

CHAOS_NS = 18_000_000_000
"""Room for eight faults with a calm after each: every family comes twice, and two may fail."""
FAULTS = ("kill", "pause", "partition")
SCENARIO = "stale-read"
STORY_NS = 45_000_000_000
"""The most that the scenario may take; three seconds are usual."""
MUTANT = "R13"
SEED = 7


def plans() -> tuple[Plan, Plan]:
    """The two runs."""
    from dissensus.harness.plan import Plan

    right = Plan(system="raft", faults=FAULTS, time_ns=CHAOS_NS, rate_hz=200.0, seed=SEED)
    wrong = Plan(
        system="raft",
        options={"mutant": MUTANT},
        scenario=SCENARIO,
        workload="register",
        time_ns=STORY_NS,
        seed=SEED,
    )
    return right, wrong


@click.command()
@STORE
def demo(store: Path) -> int:
    """Two runs of the bundled Raft, right and wrong."""
    from dissensus.harness.cli_run import perform, show_text
    from dissensus.harness.verdict import ExitCode, Validity
    from dissensus.systems.reference.mutants.raft import MUTANTS

    right, wrong = plans()
    told = (
        (
            right,
            Validity.VALID,
            f"The bundled Raft, {right.nodes} processes on this machine, under kill, pause and "
            "partition: clients must see one register for each key, whatever happens.",
        ),
        (
            wrong,
            Validity.INVALID,
            f"The same with a bug in it ({MUTANT}): {MUTANTS[MUTANT].breaks}. The leader is cut "
            "off together with a client; the others elect a new one and go on.",
        ),
    )
    done: list[tuple[Finished, Validity]] = []
    for number, (plan, expected, words) in enumerate(told, 1):
        click.echo(f"{number} of {len(told)}: {words}", err=True)
        finished = perform(plan, store)
        show_text(finished)
        click.echo("")
        if finished.end.outcome == "interrupted" or (finished.stopped and number < len(told)):
            return ExitCode.INTERRUPTED
        done.append((finished, expected))
    return conclude(done)


def conclude(done: list[tuple[Finished, Validity]]) -> int:
    """Say whether the verdicts are the expected ones, and where the reports are."""
    good = True
    for finished, expected in done:
        mutant = finished.plan.options.get("mutant")
        name = f"Raft with {mutant}" if mutant else "Raft"
        verdict = "as it should be"
        if finished.verdicts.validity != expected:
            good, verdict = False, f"{expected} was expected"
        elif finished.end.error is not None or finished.report is None:
            good, verdict = False, "but something failed on the way"
        click.echo(f"{name}: {finished.verdicts.validity}, {verdict}; report: {finished.report}")
    if not good:
        click.echo("The demo did not show what it should: the reasons are above.", err=True)
    return 0 if good else 1
