"""Verdicts: `VALID`, `INVALID` with a certificate, `UNKNOWN` with a reason; how they compose, and
exit codes.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec


class Validity(enum.StrEnum):
    """The three answers a checker can give."""

    VALID = "VALID"
    INVALID = "INVALID"
    UNKNOWN = "UNKNOWN"


class ExitCode(enum.IntEnum):
    """Exit codes of the command line. Stable."""

    VALID = 0
    """Everything that was asked for was checked and holds."""
    INVALID = 1
    """A checker found a violation."""
    UNKNOWN = 2
    """A checker gave up: time or memory."""
    FAILED = 3
    """The environment, a tool or Dissensus itself failed."""
    USAGE = 4
    """Bad arguments, plan or input."""
    VACUOUS = 5
    """Unknown for vacuity alone: a fault without effect, an operation that never succeeded."""
    DISAGREEMENT = 6
    """Two engines gave different verdicts: a failure of ours."""
    INTERRUPTED = 130
    """Ctrl-C."""


EXIT_PRIORITY = (1, 6, 130, 3, 4, 2, 5, 0)
"""Which exit code wins when several apply (4 cannot arise once a run has begun)."""


class Certificate(msgspec.Struct, kw_only=True):
    """Why a verdict is INVALID, in a form that the small independent verifier can check again."""

    kind: str
    """"linearizability", "agreement", "panic" ...: names the verifier's rule."""
    summary: str
    """One sentence with numbered operations ("(5) wrote 3 to k2 ...")."""
    story: list[str] = []
    """The argument in words, one sentence an item."""
    ops: list[int] = []
    """Rows of the history that the argument uses, in order: the numbers (1), (2) ... of the text.
    """
    blocked: list[int] = []
    """The rows among `ops` that cannot be placed."""
    data: dict[str, Any] = {}
    """What the verifier needs: key, model, prefix end ..."""
    reverified: bool | None = None
    """True after the independent verifier agreed; None when it ran out of budget ("not re-
    verified").
    """
    unverified: str = ""
    """Why the independent verifier has no answer."""


class Contradiction(Exception):
    """A certificate does not hold; the text says where."""


class OverBudget(Exception):
    """It takes too much to check a certificate again."""


class Verdict(msgspec.Struct, kw_only=True):
    """What one checker says of one run."""

    checker: str
    validity: Validity
    reason: str = ""
    """One sentence: what was checked, or why it is unknown."""
    vacuous: list[str] = []
    """Reasons why the answer says little; only the vacuity checker turns them into UNKNOWN."""
    certificates: list[Certificate] = []
    engine: str = ""
    """Name and version of the engine that judged."""
    confirmed: str = ""
    """The engine that says the same ("porcupine 1.3.1", "python"), or "no: " and why none does.
    Empty where nobody was asked.
    """
    facts: dict[str, Any] = {}
    """Figures for the report: counts, ratios, times with their units in the name."""
    disagreement: bool = False
    """Two engines contradicted each other."""


def compose(verdicts: Iterable[Verdict]) -> Validity:
    """Any INVALID wins, then UNKNOWN. No verdict at all is UNKNOWN."""
    found = {v.validity for v in verdicts}
    if Validity.INVALID in found:
        return Validity.INVALID
    if Validity.UNKNOWN in found or not found:
        return Validity.UNKNOWN
    return Validity.VALID


def exit_code(
    verdicts: Sequence[Verdict], *, failed: bool = False, interrupted: bool = False
) -> ExitCode:
    """The exit code of a run: of all that apply, the first in `EXIT_PRIORITY`."""
    codes = set()
    for verdict in verdicts:
        if verdict.disagreement:
            codes.add(ExitCode.DISAGREEMENT)
        if verdict.validity is Validity.INVALID:
            codes.add(ExitCode.INVALID)
        elif verdict.validity is Validity.UNKNOWN:
            codes.add(ExitCode.VACUOUS if verdict.vacuous else ExitCode.UNKNOWN)
        else:
            codes.add(ExitCode.VALID)
    if interrupted:
        codes.add(ExitCode.INTERRUPTED)
    if failed:
        codes.add(ExitCode.FAILED)
    if not codes:
        codes.add(ExitCode.UNKNOWN)
    return next(ExitCode(code) for code in EXIT_PRIORITY if code in codes)
