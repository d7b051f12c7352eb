"""`dissensus systems`, `faults` and `doctor`: what there is, and what this machine can do."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

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
    from dissensus.checkers.probes import PROBES
    from dissensus.harness.doctor import diagnose

    diagnosis = diagnose(store.absolute(), PROBES)
    usable = [name for name, why in diagnosis.clusters.items() if not why]
    if form == "json":
        print_json(diagnosis)
        return 0 if usable else 3
    for finding in diagnosis.findings:
        state = click.style(f"{finding.state:<11}", fg=COLOURS[finding.state])
        click.echo(f"{state} {finding.name:<14} {finding.how}")
        if finding.state in ("degraded", "missing"):
            click.echo(f"{'':<24} needed for {finding.needed_for}")
        if finding.fix:
            click.echo(f"{'':<24} fix: {finding.fix}")
    for name, why in diagnosis.clusters.items():
        if why:
            click.echo(f"You cannot run: {name} ({why})")
    click.echo(f"You can run: {', '.join(usable) or 'nothing'}")
    return 0 if usable else 3


@click.command()
@FORMAT
@click.option("--on", "kind", default=None, metavar="KIND", help="Only for this kind of cluster.")
def faults(form: str, kind: str | None) -> None:
    """List the faults that can be injected."""
    from dissensus.harness.errors import unknown_name
    from dissensus.harness.registry import CLUSTERS, cluster_class
    from dissensus.nemeses.table import NEMESES

    if kind is not None and kind not in CLUSTERS:
        raise unknown_name("kind of cluster", kind, CLUSTERS)
    clusters = {name: cluster_class(name) for name in ([kind] if kind else CLUSTERS)}
    rows = []
    for nemesis in NEMESES.values():
        refused = {
            name: "; ".join(
                cluster.refusals.get(need, f"cluster {name} has no {need!r}")
                for need in sorted(nemesis.needs - cluster.capabilities)
            )
            for name, cluster in clusters.items()
        }
        rows.append(
            {
                "kind": nemesis.kind,
                "family": nemesis.family,
                "what": nemesis.what,
                "nodes_least": nemesis.nodes_least,
                "on": {name: {"works": not why, "why_not": why} for name, why in refused.items()},
            }
        )
    if form == "json":
        print_json(rows)
        return
    click.echo(fault_lines(rows))


def fault_lines(rows: list[dict[str, Any]]) -> str:
    """The table of faults as text: a line a kind, a block a family, then why some do not work."""
    lines, whys, family = [], dict[str, None](), ""
    for row in rows:
        if row["family"] != family:
            family = row["family"]
            lines += ["", click.style(family, bold=True)]
        works = [name for name, on in row["on"].items() if on["works"]]
        least = f" ({row['nodes_least']}+ nodes)" if row["nodes_least"] > 1 else ""
        lines.append(f"  {row['kind']:<23} {', '.join(works) or '-':<11} {row['what']}{least}")
        for name, on in row["on"].items():
            if not on["works"]:
                whys[f"{family} does not work on {name}: {on['why_not']}"] = None
    return "\n".join([*lines[1:], *([""] if whys else []), *whys])
