"""Linearizability of each key: some order of its operations, one that keeps real time, is an order
that the model allows.

Keys are independent of each other (Herlihy and Wing's locality), so each is searched alone. The
budget is spent in two rounds: every key gets a small share first, so that one hard key does not
keep the others from an answer; what is left goes to the keys that were not done.
"""

from __future__ import annotations

import time
from typing import Any

import msgspec

from dissensus import __version__
from dissensus.checkers.models import make_model
from dissensus.checkers.problem import Problem, Table
from dissensus.checkers.search import Found, Search
from dissensus.checkers.shrink import Shrinker
from dissensus.checkers.story import rows_told, tell
from dissensus.harness.checker import Budget, Engine, Model, RunView
from dissensus.harness.history import History
from dissensus.harness.verdict import Certificate, Validity, Verdict

FIRST_SHARE = 20
"""The first round gives every key this part of the configurations, whatever their number."""
CERTIFICATES_MAX = 3
"""Keys whose failure is shown; the others are counted. One is enough for INVALID."""
KEYS_NAMED_MAX = 5
"""Keys that a sentence names one by one."""


class KeyResult(msgspec.Struct, kw_only=True):
    """What the search found for one key."""

    key: int
    """Number of the key in the history."""
    rows: list[int]
    found: Found
    visited: int
    events: int
    """Operations of the key that completed."""
    deepest: int
    """So many of them, in the order of their return, are known to be legal."""
    row: int = -1
    """The row that cannot return, where the key is illegal."""


class PythonEngine:
    """The engine in pure Python: oracle of the faster ones, and their fallback."""

    name = "python"
    search = Search

    def check(self, history: History, model: Model, budget: Budget) -> Verdict:
        """VALID, INVALID with a certificate per key (at most three), or UNKNOWN with how far it
        got. Raises UserError for an operation that the model does not have.
        """
        deadline = time.monotonic() + budget.seconds
        results = self._all_keys(history, model, budget.configurations, deadline)
        bad = [r for r in results if r.found is Found.ILLEGAL]
        open_ = [r for r in results if r.found is Found.GAVE_UP]
        facts: dict[str, Any] = {
            "model": model.name,
            "keys": len(results),
            "operations": len(history),
            "configurations": sum(r.visited for r in results),
            "keys_invalid": len(bad),
            "keys_unknown": len(open_),
        }
        verdict = Verdict(
            checker="linearizability",
            validity=Validity.VALID,
            engine=f"{self.name} {__version__}",
            facts=facts,
        )
        if bad:
            verdict.validity = Validity.INVALID
            verdict.reason = f"no order of operations explains {keys_text(history, bad)}"
            verdict.certificates = [
                self._certify(history, model, r) for r in bad[:CERTIFICATES_MAX]
            ]
        elif open_:
            verdict.validity = Validity.UNKNOWN
            verdict.reason = (
                f"the budget of {budget.seconds:g} s and {budget.configurations} configurations "
                f"is used up: {progress_text(history, open_)}; "
                f"{len(results) - len(open_)} of {len(results)} keys are linearizable"
            )
        else:
            verdict.reason = (
                f"{len(history)} operations on {len(results)} keys are linearizable as {model.name}"
            )
        return verdict

    def _all_keys(
        self, history: History, model: Model, configurations: int, deadline: float
    ) -> list[KeyResult]:
        """Each key's result, those of the second round in place of the first's."""
        left = configurations
        results: dict[int, KeyResult] = {}
        for key, rows in history.rows_by_key().items():
            results[key] = self._one_key(
                history,
                model,
                key,
                rows,
                configurations=min(left, configurations // FIRST_SHARE),
                deadline=deadline,
            )
            left -= results[key].visited
        for key, first in results.items():
            if first.found is Found.GAVE_UP and left > 0:
                again = self._one_key(
                    history, model, key, first.rows, configurations=left, deadline=deadline
                )
                left -= again.visited
                again.deepest = max(again.deepest, first.deepest)
                again.visited += first.visited
                results[key] = again
        return list(results.values())

    def _one_key(
        self,
        history: History,
        model: Model,
        key: int,
        rows: list[int],
        *,
        configurations: int,
        deadline: float,
    ) -> KeyResult:
        problem = Problem(Table(model, history), rows)
        search = self.search(problem, configurations=max(0, configurations), deadline=deadline)
        found = search.run()
        return KeyResult(
            key=key,
            rows=rows,
            found=found,
            visited=search.visited,
            events=len(problem),
            deepest=search.deepest,
            row=problem.row[search.deepest] if found is Found.ILLEGAL else -1,
        )

    def _certify(self, history: History, model: Model, result: KeyResult) -> Certificate:
        """The certificate of one illegal key, as small as it gets, in words."""
        table = Table(model, history)
        shrunk = Shrinker(table, result.rows, result.row, self.search).run()
        bounds = [
            {
                "f": bound.f,
                "arg": bound.arg,
                "row": bound.row,
                "first": bound.first,
                "at": history.inv[bound.row] if bound.first else history.ret[bound.row],
            }
            for bound in shrunk.bounds
        ]
        data = {
            "key": history.keys.values[result.key],
            "model": model.name,
            "end": shrunk.end,
            "kept": shrunk.kept,
            "bounds": bounds,
        }
        certificate = Certificate(
            kind="linearizability",
            summary="",
            ops=rows_told(history, result.rows, data, shrunk.blocked),
            blocked=[shrunk.blocked],
            data=data,
        )
        tell(history, certificate)
        return certificate


def keys_text(history: History, results: list[KeyResult]) -> str:
    """ "key 3" or "7 of the keys (1, 2, 3, 4, 5 ...)"."""
    names = [str(history.keys.values[r.key]) for r in results[:KEYS_NAMED_MAX]]
    more = " ..." if len(results) > KEYS_NAMED_MAX else ""
    if len(results) == 1:
        return f"key {names[0]}"
    return f"{len(results)} keys ({', '.join(names)}{more})"


def progress_text(history: History, results: list[KeyResult]) -> str:
    """How far the search got on keys that it gave up."""
    parts = [
        f"key {history.keys.values[r.key]} is legal for the first {r.deepest} of {r.events} returns"
        for r in results[:KEYS_NAMED_MAX]
    ]
    more = len(results) - len(parts)
    return ", ".join(parts) + (f" and {more} more keys" if more else "")


class LinearizabilityChecker:
    """Judges the operations of a run with an engine, against the model of its workload."""

    name = "linearizability"

    def __init__(self, model: str, engine: Engine | None = None) -> None:
        self._model = make_model(model)
        self._engine = engine or PythonEngine()

    def check(self, run: RunView, budget: Budget) -> Verdict:
        verdict = self._engine.check(run.history, self._model, budget)
        for certificate in verdict.certificates:
            tell(run.history, certificate, run.faults)
        return verdict
