"""`dissensus verify`: certificates are checked again by programs that share no code with the
engines.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dissensus.harness.cli_list import FORMAT, print_json

if TYPE_CHECKING:
    from dissensus.checkers.certificates import CertificateFile
    from dissensus.harness.checker import RunView
    from dissensus.harness.history import History

COLOURS = {"holds": "green", "refuted": "red", "not re-verified": "yellow"}


@click.command(short_help="Check the certificates of a verdict again.")
@click.argument("place", type=click.Path(path_type=Path))
@click.argument("certificate", type=click.Path(path_type=Path))
@FORMAT
def verify(place: Path, certificate: Path, form: str) -> int:
    """Check the certificates of a verdict again.

    PLACE is the history or run that was judged, CERTIFICATE what `dissensus check --certificate`
    wrote. No engine is asked: small programs of their own read the history, see that what the
    certificate leaves out or asks less of only makes it easier to be right, and try all orders of
    what is left, or replay the order that is given.

    Exit codes: 0 the certificates hold, 1 one is refuted, 2 not re-verified (it takes too much, or
    there is no certificate), 4 bad input.
    """
    from dissensus.checkers import certificates
    from dissensus.harness.cli_history import plain

    whole = certificates.read(certificate)
    run, reader = run_of(place, whole)
    found = certificates.check_all(run, whole)
    code = certificates.exit_code(whole, found)
    if form == "json":
        print_json({"exit_code": code, "reader": reader, "certificates": found})
        return code
    model = f" as {whole.model}" if whole.model else ""
    click.echo(plain(f"{whole.file}: {whole.validity}{model}, says {whole.tool}"))
    click.echo(f"{len(run.history):,} operations, read by the {reader}")
    for one in found:
        answer = click.style(one.answer, fg=COLOURS[one.answer])
        said = one.summary or one.validity.value
        click.echo(f"{answer}  {plain(f'{one.checker}: {said}')}")
        click.echo(plain(f"    {one.why}"))
    texts = {0: "the certificate holds", 1: "the certificate is refuted", 2: "not re-verified"}
    click.echo(texts[code])
    return code


def run_of(place: Path, whole: CertificateFile) -> tuple[RunView, str]:
    """What was judged, and who read it. Raises UserError where it is not the same file."""
    from dissensus.checkers.certificates import digest
    from dissensus.harness import store
    from dissensus.harness.checker import RunView
    from dissensus.harness.cli_check import is_history
    from dissensus.harness.errors import UserError

    elsewhere = is_history(place)
    file = place if elsewhere else store.find(place) / store.EVENTS
    if file.is_dir():
        raise UserError(f"{place} is a folder: name the file in it that was judged, {whole.file}")
    if not file.exists():
        raise UserError(f"{file}: there is no such file")
    if (found := digest(file)) != whole.sha256:
        raise UserError(
            f"{file} is not the file that was judged: its SHA-256 is {found}, and the "
            f"certificates are of {whole.sha256}"
        )
    if not elsewhere:
        return store.load(file.parent), "run store"
    from dissensus.harness.importers import HEAD_BYTES, format_of, read_history

    with file.open("rb") as opened:
        binary = format_of(opened.read(HEAD_BYTES)) == "jepsen"
    if binary or whole.salvage:
        from dissensus.checkers import native
        from dissensus.harness.cli_convert import needs_native

        needs_native("reading a test.jepsen or a damaged file")
        history: History = native.read(file, salvage=whole.salvage, model=whole.model or None)
        reader = "native reader (the one in Python does not read this)"
    else:
        history, reader = read_history(file), "reader in Python"
    run = RunView(
        header={}, history=history, faults=[], nodes=[], phases=[], marks=[], complete=True
    )
    return run, reader
