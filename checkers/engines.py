"""Which engine judges: the native one where it is there, else the one in pure Python, and then that
is said; and what becomes of its verdict: a second engine is asked, certificates are verified again.
"""

from __future__ import annotations

import sys

from dissensus.checkers import native
from dissensus.checkers.linearizability import PythonEngine
from dissensus.checkers.models import make_model
from dissensus.checkers.native import NativeEngine, Watch
from dissensus.checkers.second import confirmed
from dissensus.checkers.story import tell
from dissensus.checkers.verifier import LEGAL, verify
from dissensus.harness.checker import Budget, Engine, Judge, RunView
from dissensus.harness.errors import UserError, unknown_name
from dissensus.harness.verdict import Validity, Verdict

NAMES = ("native", "python")
VERIFIED_MAX = 20_000
"""Operations up to which the verifier in Python goes through a history that the engine's own
verifier went through: it takes a second or two.
"""
_told: list[str] = []
"""What was said already."""


def choose(
    name: str | None = None,
    *,
    threads: int = 0,
    watch: Watch | None = None,
    orders: bool = False,
) -> Engine:
    """The engine of a name; by default the native one, or else the other with a line on stderr.
    `orders`: that of a legal history is asked for, which only the native one can give. Raises
    UserError for one that is not there.
    """
    if name is not None and name not in NAMES:
        raise unknown_name("engine", name, NAMES)
    if name == "python":
        return PythonEngine()
    why = native.available()
    if why is None:
        return NativeEngine(threads=threads, watch=watch, orders=orders)
    if name == "native":
        raise UserError(f"{why}: install Rust (cargo) and Dissensus again, or use --engine python")
    if why not in _told:
        _told.append(why)
        sys.stderr.write(f"the slow engine judges, in pure Python: {why}\n")
    return PythonEngine()


def title() -> str:
    """Name and version of the engine that judges by default, for a run's provenance."""
    from dissensus import __version__

    if native.available() is None:
        return native.title()
    return f"{PythonEngine.name} {__version__}"


class LinearizabilityChecker:
    """Judges the operations of a run with an engine, against the model of its workload, and asks a
    second engine: always up to 20,000 operations, beyond them where `confirm`.
    """

    name = "linearizability"

    def __init__(
        self, model: str | Judge, engine: Engine | None = None, *, confirm: bool = False
    ) -> None:
        self._model = make_model(model) if isinstance(model, str) else model
        self._engine = engine or choose()
        self._confirm = confirm

    def check(self, run: RunView, budget: Budget) -> Verdict:
        verdict = self._engine.check(run.history, self._model, budget)
        verdict = confirmed(verdict, run.history, self._model.name, always=self._confirm)
        for certificate in verdict.certificates:
            if certificate.kind == "linearizability":
                tell(run.history, certificate, run.faults)
        return verdict


def reverified(run: RunView, verdict: Verdict) -> Verdict:
    """The verdict with each certificate verified by the independent verifier; where it has no
    answer, or the history is long, by the native engine's. Where it contradicts all of them, nobody
    is accused: UNKNOWN, and a disagreement.
    """
    if not verdict.certificates and verdict.validity is not Validity.INVALID:
        return verdict
    refuted = []
    for certificate in verdict.certificates:
        by_engine = certificate.reverified
        trusted = by_engine is not None or certificate.kind in LEGAL
        if len(run.history) > VERIFIED_MAX and trusted:
            holds: bool | None = by_engine
            why = "the engine's own verifier"
        else:
            holds, why = verify(run, certificate)
            certificate.unverified = why if holds is None else ""
        certificate.reverified = by_engine if holds is None else holds
        if certificate.reverified is False:
            verdict.disagreement = True
            refuted.append(why)
    stand = [c for c in verdict.certificates if c.reverified is not False]
    if not stand:
        why = refuted[0] if refuted else "there is no certificate"
        verdict.disagreement = True
        said = verdict.validity.value
        verdict.validity = Validity.UNKNOWN
        verdict.reason = (
            f"{verdict.engine or verdict.checker} says {said} ({verdict.reason}), and the "
            f"verifier contradicts: {why}; please report this run"
        )
    return verdict
