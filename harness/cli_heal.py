"""`dissensus heal`: undo what a killed harness left behind."""

from __future__ import annotations

from pathlib import Path

import click

from dissensus.harness.cli_list import FORMAT, print_json

EXIT_LEFT = 3


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--keep", is_flag=True, help="Heal links and paused nodes, and leave the nodes up.")
@FORMAT
def heal(run: Path, keep: bool, form: str) -> int:
    """Undo what a killed harness left behind."""
    from dissensus.harness import heal as healing

    folder = healing.find(run)
    done = healing.heal(folder, keep=keep)
    if form == "json":
        print_json(done)
        return EXIT_LEFT if done.left else 0
    for line in done.undone:
        click.echo(line)
    for line in done.left:
        click.echo(f"left: {line}")
    if done.left:
        click.echo(f"{folder}: not healed")
        return EXIT_LEFT
    if not done.undone:
        click.echo(f"{folder}: there is nothing to undo")
    else:
        click.echo(f"{folder}: healed" + ("; the nodes stay up" if keep else ", nothing is left"))
    return 0
