"""`dissensus check --strongest`: where all levels of consistency stand, beside the verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from dissensus.checkers.sessions import Lattice, Standing
    from dissensus.harness.cli_check import Asked
    from dissensus.harness.history import History
    from dissensus.harness.verdict import Verdict

COLOURS = {"holds": "green", "broken": "red", "unknown": "yellow"}
SIGNS = {"holds": "+", "broken": "x", "unknown": "?"}


def lattice_of(history: History, verdict: Verdict, model: str, asked: Asked) -> Lattice:
    """Where all levels stand, each certificate verified again: one that does not hold accuses
    nobody.
    """
    from dissensus.checkers.sessions import lattice, strongest
    from dissensus.checkers.verifier import verify
    from dissensus.harness.checker import RunView

    found = strongest(history, verdict, model, asked.budget)
    run = RunView(
        header={}, history=history, faults=[], nodes=[], phases=[], marks=[], complete=True
    )
    refuted = False
    for standing in found.levels:
        certificate = standing.certificate
        if certificate is None or certificate.reverified is not None:
            continue
        certificate.reverified, why = verify(run, certificate)
        if certificate.reverified is False:
            refuted = verdict.disagreement = True
            standing.state = "unknown"
            standing.why = f"the verifier contradicts: {why}; please report this history"
    return lattice(found.levels) if refuted else found


def show(found: Lattice) -> None:
    """What holds, the strongest first; what is broken, the weakest first, each with its reason;
    what is unknown and why.
    """
    from dissensus.harness.cli_history import plain

    for title, names in (
        ("strongest that hold", found.strongest_holding),
        ("weakest broken", found.weakest_broken),
    ):
        click.secho(f"{title}: {', '.join(names) or 'none that is known'}", bold=True)
    by_state: dict[str, list[Standing]] = {state: [] for state in SIGNS}
    for standing in found.levels:
        by_state[standing.state].append(standing)
    told: set[tuple[int, ...]] = set()
    for state, standings in by_state.items():
        for standing in standings[::-1] if state == "broken" else standings:
            sign = click.style(f"  {SIGNS[state]} {standing.level}", fg=COLOURS[state])
            why = f": {standing.why}" if standing.why and state != "holds" else ""
            click.echo(sign + plain(why))
            certificate = standing.certificate
            # The model's own verdict has told its certificate above.
            own = standing.level == "linearizable"
            if certificate is not None and not own and tuple(certificate.ops) not in told:
                told.add(tuple(certificate.ops))
                for sentence in certificate.story:
                    click.echo(plain(f"      {sentence}"))
