"""Certificates as files: what `check --certificate` writes and `verify` reads.

A file holds what was judged (name and SHA-256 of the history, its model), the verdicts with all
their certificates, and who said so. It is checked again by the programs in `verifier*.py` alone: no
engine is asked, and nothing that the file says is believed but what it asks for.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Literal

import msgspec

from dissensus import __version__
from dissensus.checkers.verifier import LEGAL, verify
from dissensus.harness.checker import RunView
from dissensus.harness.errors import UserError
from dissensus.harness.verdict import Certificate, ExitCode, Validity, Verdict, compose

SCHEMA = 1
FORM = "dissensus-certificates"
CHUNK_BYTES = 1 << 20


class CertificateFile(msgspec.Struct, kw_only=True):
    """The whole file."""

    form: str = FORM
    schema: int = SCHEMA
    tool: str
    """Who wrote it, with its version."""
    file: str
    """The name of the history's file, without its folder."""
    sha256: str
    """Of that file."""
    operations: int
    model: str
    """Empty for a run, whose verdicts name their own."""
    salvage: bool = False
    """The file is damaged, and what could be read of it was judged."""
    validity: Validity
    verdicts: list[Verdict]


class Checked(msgspec.Struct, kw_only=True):
    """What became of one certificate."""

    checker: str
    validity: Validity
    kind: str = ""
    """Empty where the verdict has no certificate."""
    summary: str = ""
    answer: Literal["holds", "refuted", "not re-verified"]
    why: str = ""


def digest(path: Path) -> str:
    """The SHA-256 of a file."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            found.update(chunk)
    return found.hexdigest()


def write(
    target: Path,
    history: Path,
    verdicts: list[Verdict],
    *,
    operations: int,
    model: str = "",
    salvage: bool = False,
) -> None:
    """Write a new file. Raises UserError where there is one already."""
    whole = CertificateFile(
        tool=f"dissensus {__version__}",
        file=history.name,
        sha256=digest(history),
        operations=operations,
        model=model,
        salvage=salvage,
        validity=compose(verdicts),
        verdicts=verdicts,
    )  # fmt: skip
    text = msgspec.json.format(msgspec.json.encode(whole), indent=2) + b"\n"
    try:
        with target.open("xb") as file:
            file.write(text)
    except FileExistsError:
        raise UserError(f"{target} is there already: certificates go into a new file") from None


def read(path: Path) -> CertificateFile:
    """The certificates of a file. Raises UserError with the place of what is wrong."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file") from None
    try:
        told = msgspec.json.decode(data)
        if not isinstance(told, dict) or told.get("form") != FORM:
            raise UserError(f"{path} holds no certificates (form is not {FORM!r})")
        if told.get("schema") != SCHEMA:
            raise UserError(
                f"{path} has schema {told.get('schema')!r}, and this version reads {SCHEMA}"
            )
        return msgspec.convert(told, CertificateFile)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: {error}") from None


def check_all(run: RunView, whole: CertificateFile) -> list[Checked]:
    """Check every certificate again, against the history alone."""
    found = []
    if whole.operations != len(run.history):
        raise UserError(
            f"the certificates speak of {whole.operations} operations, and {whole.file} has "
            f"{len(run.history)}"
        )
    for verdict in whole.verdicts:
        found += [_checked(run, whole, verdict, one) for one in verdict.certificates]
        if not verdict.certificates:
            found.append(
                Checked(
                    checker=verdict.checker,
                    validity=verdict.validity,
                    answer="not re-verified",
                    why="it has no certificate",
                )
            )
    return found


def _checked(
    run: RunView, whole: CertificateFile, verdict: Verdict, certificate: Certificate
) -> Checked:
    legal = certificate.kind in LEGAL
    wanted = Validity.VALID if legal else Validity.INVALID
    if verdict.validity is not wanted:
        holds: bool | None = False
        why = f"the verdict is {verdict.validity.value}, and its certificate would show {wanted}"
    elif whole.model and certificate.data.get("model") != whole.model:
        holds, why = False, f"it is of another model, {certificate.data.get('model')!r}"
    else:
        holds, why = verify(run, certificate)
        why = why or _shown(len(run.history), certificate)
    answer: dict[bool | None, Any] = {True: "holds", False: "refuted", None: "not re-verified"}
    return Checked(
        checker=verdict.checker,
        validity=verdict.validity,
        kind=certificate.kind,
        summary=certificate.summary,
        answer=answer[holds],
        why=why,
    )


def _shown(operations: int, certificate: Certificate) -> str:
    """What it means that a certificate holds."""
    data = certificate.data
    if certificate.kind == "linearization":
        return f"{len(data['order'])} operations one after the other, each is legal in its place"
    if certificate.kind == "serial-order":
        return f"{len(data['order'])} transactions one after the other, each read what it read"
    if certificate.kind != "linearizability":
        return "what it names was looked up again, and stands there"
    kept, gaps = len(data["kept"]), len(data["gaps"])
    text = f"{kept} operations are kept as they are, up to position {data['end']}"
    if operations > kept:
        text += f", and {operations - kept} asked less of, never more"
    if gaps:
        text += f"; in the {gaps} gaps nothing was under way" if gaps > 1 else (
            "; in the gap nothing was under way"
        )  # fmt: skip
    return f"{text}; all orders were tried, and none is legal"


def exit_code(whole: CertificateFile, found: list[Checked]) -> ExitCode:
    """0 where all that the file claims was found to hold, 1 where something was refuted, else 2. In
    a run that is INVALID, what checkers found to be in order needs no certificate.
    """
    if compose(whole.verdicts) is not whole.validity or any(c.answer == "refuted" for c in found):
        return ExitCode.INVALID
    asked = [one for one in found if one.kind or one.validity is whole.validity]
    if whole.validity is Validity.UNKNOWN or not asked:
        return ExitCode.UNKNOWN
    held = all(one.answer == "holds" for one in asked)
    return ExitCode.VALID if held else ExitCode.UNKNOWN
