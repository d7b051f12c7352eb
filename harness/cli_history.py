"""`dissensus check` of a history that was recorded elsewhere.

The verdict is that of the model alone; what makes it vacuous is said beside it. A million
operations must cost no more here than the engine does: what is shown comes from counts, and no
module is loaded that this does not need.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from dissensus.harness.cli_list import print_json
from dissensus.harness.verdict import Certificate, Verdict

if TYPE_CHECKING:
    from dissensus.checkers.native import NativeHistory, Oddity, Summary, Watch
    from dissensus.harness.checker import Budget, Engine, Judge
    from dissensus.harness.cli_check import Asked
    from dissensus.harness.history import History
    from dissensus.harness.store import VerdictFile

LINTS_SHOWN = 8
CERTIFICATES_SHOWN = 3
WATCH_WIDTH = 100
COLOURS = {"VALID": "green", "INVALID": "red", "UNKNOWN": "yellow"}
SIGNS = {"VALID": "+", "INVALID": "x", "UNKNOWN": "?"}
SCHEMA = 1


class Found(msgspec.Struct, kw_only=True):
    """What is known of a history, as `--format json` prints it."""

    schema: int = SCHEMA
    file: str
    format: str
    operations: int
    model: str
    model_because: str
    """Why it is that model."""
    label: str = ""
    """The verdict that the file itself carries."""
    lints: list[Any] = []
    """What was odd before anything was judged."""
    validity: str
    exit_code: int
    verdicts: list[Verdict]
    lattice: Any = None
    """Where all levels stand, where that was asked for."""


def check_history(place: Path, asked: Asked, form: str) -> int:
    """Judge the history at a place and show what was found; the exit code."""
    from dissensus.checkers import native
    from dissensus.checkers.engines import choose
    from dissensus.checkers.models import make_model

    progress = Progress() if form == "text" and sys.stderr.isatty() else None
    orders = asked.certificate is not None
    engine = choose(asked.engine, threads=asked.threads, watch=progress, orders=orders)
    wanted = None if asked.model is None else make_model(asked.model)
    began = time.process_time()
    try:
        history, lints, label, format = read(
            place, asked, wanted, progress, by_python=engine.name == "python"
        )
    except (MemoryError, TimeoutError) as stopped:
        if progress is not None:
            progress.clear()
        return unread(place, asked, form, str(stopped))
    asked = asked._replace(budget=left_of(asked.budget, time.process_time() - began))
    model, name, because = model_of(history, wanted)
    verdict = judged(history, model, asked, engine)
    if progress is not None:
        progress.clear()
    if isinstance(history, native.NativeHistory):
        verdict = salvaged(verdict, history)
        figures = native.summary(history)
        # Of a folder: the file in it that was read.
        place /= native.about(history).file or ""
    else:
        figures = counted(history)
    lattice = None
    if asked.strongest:
        from dissensus.harness.cli_strongest import lattice_of

        lattice = lattice_of(history, verdict, name, asked)
    vacuous = reasons(figures)
    if asked.certificate is not None:
        from dissensus.checkers import certificates

        certificates.write(
            asked.certificate,
            place,
            [verdict],
            operations=len(history),
            model=model.name,
            salvage=asked.salvage,
        )
    found = composed(verdict, vacuous)
    result = Found(
        file=str(place),
        format=format,
        operations=len(history),
        model=name,
        model_because=because,
        label=label,
        lints=lints,
        validity=found.validity,
        exit_code=found.exit_code,
        verdicts=found.verdicts,
        lattice=lattice,
    )
    if form == "json":
        print_json(result)
    else:
        show(result, figures)
    return result.exit_code


def unread(place: Path, asked: Asked, form: str, why: str) -> int:
    """Nothing can be said of a history that the budget does not suffice to read."""
    from dissensus.harness.verdict import ExitCode, Validity

    verdict = Verdict(
        checker="reader", validity=Validity.UNKNOWN, reason=f"the budget is used up: {why}"
    )
    found = Found(
        file=str(place),
        format="",
        operations=0,
        model=asked.model or "",
        model_because="asked for with --model" if asked.model else "none: it was not read",
        validity=Validity.UNKNOWN.value,
        exit_code=ExitCode.UNKNOWN,
        verdicts=[verdict],
    )
    if form == "json":
        print_json(found)
    else:
        click.secho(plain(found.file), bold=True)
        show_verdict(verdict)
    return found.exit_code


def left_of(budget: Budget, used_s: float) -> Budget:
    """What is left of a budget when the history has been read."""
    return msgspec.structs.replace(budget, seconds=max(0.0, budget.seconds - used_s))


# -- the parts of it -----------------------------------------------------------------------------


class Progress:
    """One line on a terminal, written over and over."""

    def __init__(self) -> None:
        self._shown = False

    def __call__(self, operations: int, done: int, keys: int, configurations: int) -> None:
        text = f"{operations:,} operations read"
        if keys:
            text += f", {done:,} of {keys:,} keys, {configurations:,} configurations"
        sys.stderr.write(f"\r{text[:WATCH_WIDTH]:<{WATCH_WIDTH}}")
        sys.stderr.flush()
        self._shown = True

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            sys.stderr.write("\r" + " " * WATCH_WIDTH + "\r")
            sys.stderr.flush()


def read(
    place: Path, asked: Asked, model: Judge | None, watch: Watch | None, *, by_python: bool
) -> tuple[History, list[Oddity], str, str]:
    """The history, what is odd about it, the verdict it is labelled with, and its format."""
    from dissensus.harness.errors import UserError

    if by_python:
        from dissensus.harness.importers import read_history

        if asked.salvage:
            raise UserError("--salvage needs the native engine")
        return read_history(place), [], "", ""
    from dissensus.checkers import native

    history = native.read(
        place,
        salvage=asked.salvage,
        model=None if model is None else native.known_as(model),
        cpu_s=asked.budget.seconds,
        memory_bytes=asked.budget.memory_bytes,
        watch=watch,
    )
    if not len(history):
        raise UserError(f"{place}: no operation in it")
    return history, native.lint(history), native.about(history).label or "", history.format


def model_of(history: History, asked: Judge | None) -> tuple[Judge, str, str]:
    """The model, its name, and why it is that one."""
    if asked is not None:
        return asked, asked.name, "asked for with --model"
    from dissensus.checkers.guess import guess
    from dissensus.checkers.models import make_model
    from dissensus.checkers.native import NativeHistory

    if isinstance(history, NativeHistory) and history.guessed[0]:
        name, reason = history.guessed
    else:
        name, reason = guess(history)
    return make_model(name), name, f"guessed: {reason}"


def judged(history: History, model: Judge, asked: Asked, engine: Engine) -> Verdict:
    """The verdict, with each certificate verified again."""
    from dissensus.checkers.engines import LinearizabilityChecker, reverified
    from dissensus.harness.checker import RunView

    run = RunView(
        header={}, history=history, faults=[], nodes=[], phases=[], marks=[], complete=True
    )
    checker = LinearizabilityChecker(model, engine, confirm=asked.confirm)
    return reverified(run, checker.check(run, asked.budget))


def salvaged(verdict: Verdict, history: NativeHistory) -> Verdict:
    """The verdict on a history with holes: whatever stood in one can have made it legal, or
    illegal. A certificate holds all the same where its holes come after its end. A tail that was
    cut off is none: what was read is a prefix.
    """
    from dissensus.harness.verdict import Validity

    if not history.holes:
        return verdict
    first = min(history.holes)
    stands = [c for c in verdict.certificates if c.data.get("end", first) < first]
    if verdict.validity is Validity.INVALID and stands:
        verdict.certificates = stands
        return verdict
    verdict.reason = (
        f"{len(history.holes)} records could not be read, and what stood in them decides "
        f"(without them: {verdict.validity.value}, {verdict.reason})"
    )
    verdict.validity = Validity.UNKNOWN
    verdict.certificates = []
    return verdict


def counted(history: History) -> Summary:
    """Counts of a history in Python."""
    from dissensus.checkers.native import Summary
    from dissensus.checkers.vacuity import saw_writes
    from dissensus.harness.history import FAIL, INFO, OK

    by_f = {str(f): {OK: 0, INFO: 0, FAIL: 0} for f in history.fs.values}
    for row in range(len(history)):
        by_f[history.f_of(row)][history.outcome[row]] += 1
    times = [t for t in history.t_inv if t >= 0]
    return Summary(
        by_f=[(f, n[OK], n[INFO], n[FAIL]) for f, n in by_f.items()],
        first_ns=min(times, default=-1),
        last_ns=history.last_time_ns(),
        read_saw_write=saw_writes(history),
    )


def reasons(figures: Summary) -> list[str]:
    """What makes the history vacuous, in the words of `checkers/vacuity.py`."""
    from dissensus.checkers.vacuity import NO_READ_SAW, READS

    found = [f"{f} never succeeded" for f, ok, _, _ in figures.by_f if not ok]
    if any(f in READS for f, *_ in figures.by_f) and not figures.read_saw_write:
        found.append(NO_READ_SAW)
    return found


def composed(verdict: Verdict, vacuous: list[str]) -> VerdictFile:
    """The verdict, and what makes it vacuous beside it."""
    from dissensus.harness.cli_check import composed as all_of
    from dissensus.harness.verdict import Validity, Verdict

    beside = Verdict(
        checker="vacuity",
        validity=Validity.VALID,
        reason="the verdict says little" if vacuous else "reads saw what was written",
        vacuous=vacuous,
    )
    return all_of([verdict, beside], outcome="")


def show(found: Found, figures: Summary) -> None:
    """What was found, the verdict last."""
    ok = sum(count for _, count, _, _ in figures.by_f)
    info = sum(count for _, _, count, _ in figures.by_f)
    fail = sum(count for _, _, _, count in figures.by_f)
    click.secho(plain(found.file), bold=True)
    kind = f" ({found.format})" if found.format else ""
    click.echo(f"{found.operations:,} operations{kind}: {ok:,} ok, {info:,} info, {fail:,} fail")
    click.echo(plain(f"model {found.model}, {found.model_because}"))
    for lint in found.lints[:LINTS_SHOWN]:
        click.echo(plain(f"{lint.severity}: {lint.text}"))
    if len(found.lints) > LINTS_SHOWN:
        click.echo(f"and {len(found.lints) - LINTS_SHOWN} more: dissensus lint {found.file}")
    first, beside = found.verdicts
    show_verdict(first)
    if found.lattice is not None:
        from dissensus.harness.cli_strongest import show as show_lattice

        show_lattice(found.lattice)
    if beside.vacuous:
        click.echo(plain(f"vacuous: {'; '.join(beside.vacuous)}"))
    if found.label:
        click.echo(plain(f"the file itself says: {found.label}"))
    sign = click.style(f"{SIGNS[found.validity]} {found.validity}", fg=COLOURS[found.validity])
    click.echo(f"{sign}  {first.checker}")


def show_verdict(verdict: Verdict) -> None:
    """What a checker says, with who says it and its certificates in words."""
    word = verdict.validity.value
    sign = click.style(f"{SIGNS[word]} {word}", fg=COLOURS[word])
    click.echo(f"{sign}  {plain(f'{verdict.checker}: {verdict.reason}')}")
    by = [f"{name} {count}" for name, count in verdict.facts.get("algorithms", {}).items()]
    said = [verdict.engine, f"by {', '.join(by)}" if by else ""]
    said.append(f"confirmed by {verdict.confirmed}" if confirmed(verdict) else verdict.confirmed)
    said.append(staleness(verdict))
    click.echo(plain(f"    {'; '.join(filter(None, said))}"))
    for certificate in verdict.certificates[:CERTIFICATES_SHOWN]:
        click.secho(plain(f"    {certificate.summary}"), bold=True)
        for sentence in certificate.story:
            click.echo(plain(f"    {sentence}"))
        click.echo(plain(f"    ({checked(certificate)})"))
    left = len(verdict.certificates) - CERTIFICATES_SHOWN
    if left > 0:
        click.echo(f"    and {left} more")


def staleness(verdict: Verdict) -> str:
    """How stale reads were, where some were."""
    versions = verdict.facts.get("max_staleness_versions", 0)
    if not versions:
        return ""
    plural = "" if versions == 1 else "s"
    ms = verdict.facts["max_staleness_ms"]
    return f"reads up to {ms:g} ms and {versions} version{plural} stale"


def checked(certificate: Certificate) -> str:
    """Who went through a certificate again."""
    why = f": {certificate.unverified}" if certificate.unverified else ""
    if certificate.reverified is None:
        return f"not re-verified{why}"
    if not certificate.reverified:
        return "refuted"
    return f"not re-verified{why}; the engine went through it again" if why else "verified again"


def confirmed(verdict: Verdict) -> bool:
    """A second engine agrees; else `confirmed` says why not."""
    return bool(verdict.confirmed) and not verdict.confirmed.startswith("no")


def plain(text: str) -> str:
    """Text in which nothing drives the terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
