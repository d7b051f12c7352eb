"""`dissensus systems`, `faults` and `doctor`: what there is, and what this machine can do."""

from __future__ import annotations

import sys
from pathlib import Path

import click

FORMAT = click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    help="How to print the result.",
)


def print_json(thing: object) -> None:
    """One JSON document on stdout."""
    import msgspec

    sys.stdout.write(msgspec.json.format(msgspec.json.encode(thing), indent=2).decode() + "\n")


@click.command()
@FORMAT
def systems(form: str) -> None:
    """List the systems that can be tested."""
    from dissensus.harness.registry import list_systems

    found = list_systems()
    if form == "json":
        print_json(found)
        return
    for system in found:
        click.echo(f"{system.name:<12} {system.source:<12} {system.summary}")
    click.echo("A system of your own: dissensus run ./file.py:Class", err=True)


COLOURS = {"ok": "green", "degraded": "yellow", "missing": "red", "not needed": "bright_black"}


@click.command()
@FORMAT
@click.option(
    "--store",
    default=Path("store"),
    type=click.Path(path_type=Path),
    help="The folder of runs whose disk is probed.",
)
def doctor(form: str, store: Path) -> int:
    """Probe what this machine can do."""
    from dissensus.harness.doctor import diagnose

    diagnosis = diagnose(store.absolute())
    usable = [name for name, why in diagnosis.clusters.items() if not why]
    if form == "json":
        print_json(diagnosis)
        return 0 if usable else 3
    for finding in diagnosis.findings:
        state = click.style(f"{finding.state:<11}", fg=COLOURS[finding.state])
        click.echo(f"{state} {finding.name:<12} {finding.how}")
        if finding.state in ("degraded", "missing"):
            click.echo(f"{'':<24} needed for {finding.needed_for}")
        if finding.fix:
            click.echo(f"{'':<24} fix: {finding.fix}")
    for name, why in diagnosis.clusters.items():
        if why:
            click.echo(f"You cannot run: {name} ({why})")
    click.echo(f"You can run: {', '.join(usable) or 'nothing'}")
    return 0 if usable else 3
