"""`dissensus convert` and `lint`: histories in other forms, and what is odd about them."""

from __future__ import annotations

from pathlib import Path

import click

from dissensus.harness.cli_list import FORMAT, print_json

FORMS = ("jsonl", "edn", "json")


def needs_native(what: str) -> None:
    """Raises UserError where the native engine is not there."""
    from dissensus.checkers.native import available
    from dissensus.harness.errors import UserError

    if why := available():
        raise UserError(f"{what} is done by the native engine: {why}")


@click.command(short_help="Write a history in another form.")
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path))
@click.option(
    "--to",
    "form",
    type=click.Choice(FORMS),
    help="The form: jsonl, edn, or json as elle-cli has it; by default what TARGET's name says.",
)
@click.option("--salvage", is_flag=True, help="Take what can be read of a damaged file.")
def convert(source: Path, target: Path, form: str | None, salvage: bool) -> None:
    """Write a history in another form.

    SOURCE is any history that `dissensus check` reads; TARGET is a new file: one that is there is
    never written over.
    """
    needs_native("converting")
    from dissensus.checkers import native

    history = native.read(source, salvage=salvage)
    written, events = native.write(history, target, form)
    click.echo(f"{target}: {events:,} events as {written}")


@click.command(short_help="Say what is odd about a history.")
@click.argument("place", type=click.Path(path_type=Path))
@FORMAT
def lint(place: Path, form: str) -> int:
    """Say what is odd about a history before it is judged.

    Reads of a failed write's value, processes that are used again, clocks that go back, indices
    that occur twice, completions without an invocation ... The exit code is 4 where an error makes
    a verdict impossible, else 0.
    """
    needs_native("a lint")
    from dissensus.checkers import native
    from dissensus.harness.verdict import ExitCode

    found = native.lint_file(place)
    if form == "json":
        print_json(found)
    else:
        for oddity in found:
            click.echo(f"{oddity.severity}: {oddity.text} ({oddity.code})")
        if not found:
            click.echo("nothing is odd")
    bad = any(oddity.severity == "error" for oddity in found)
    return ExitCode.USAGE if bad else ExitCode.VALID
