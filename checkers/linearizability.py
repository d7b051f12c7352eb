"""The engine in pure Python. Linearizability of each object: some order of its operations, one that
keeps real time, is an order that the model allows. Models that are folds go over the history once.

Keys are independent of each other (Herlihy and Wing's locality), so each is searched alone. The
budget is spent in two rounds: every key gets a small share first, so that one hard key does not
keep the others from an answer; what is left goes to the keys that were not done. Between the two it
is tried to prove the failure from its surroundings: the search is soon at the operation that has no
place, and then tries for long to find another way there.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from dissensus import __version__
from dissensus.checkers.problem import Problem, Table
from dissensus.checkers.search import Found, Search
from dissensus.checkers.shrink import Bound, Shrinker
from dissensus.checkers.story import rows_told, tell
from dissensus.harness.checker import (
    Budget,
    Finding,
    Fold,
    Judge,
    Model,
    Transactions,
)
from dissensus.harness.errors import unknown_name
from dissensus.harness.history import History
from dissensus.harness.verdict import Certificate, Validity, Verdict

FIRST_CONFIGURATIONS = 10_000
FIRST_PER_OPERATION = 5
"""The first round gives every key so many configurations, and so many for each operation: a legal
key with few operations open at once needs one or two for each.
"""
FIRST_SHARE = 20
"""And at most this part of the budget."""
CERTIFICATES_MAX = 3
"""Keys whose failure is shown; the others are counted. One is enough for INVALID."""
KEYS_NAMED_MAX = 5
"""Keys that a sentence names one by one."""


class Case:
    """One object, and what was found of it so far."""

    def __init__(
        self, history: History, model: Model, key: Any, rows: Sequence[int], search: type[Search]
    ) -> None:
        self.key = key
        """None where the whole history is one object."""
        self.rows = rows
        self.found = Found.GAVE_UP
        self.visited = 0
        self.returns = 0
        """Operations of the object that completed."""
        self.deepest = 0
        """So many of them, in the order of their return, are known to be legal."""
        self.row = -1
        """The row that returns next, which cannot return where the key is illegal."""
        self._history = history
        self._model = model
        self._search = search

    def search(self, configurations: int, deadline: float) -> int:
        """Search from the start with this budget; returns how much of it was used."""
        problem = Problem(Table(self._model, self._history), self.rows)
        search = self._search(problem, configurations=configurations, deadline=deadline)
        self.found = search.run()
        self.visited += search.visited
        self.returns = len(problem)
        if search.deepest >= self.deepest:
            self.deepest = search.deepest
            self.row = problem.row[self.deepest] if self.deepest < self.returns else -1
        return search.visited

    def prove(self, deadline: float) -> None:
        """After a search that gave up: is the first return that it did not pass illegal, by what
        happened shortly before? What returned earlier is legal, so that this is the failure.
        """
        if self.row >= 0 and self._shrinker(deadline).proves():
            self.found = Found.ILLEGAL

    def certificate(self) -> Certificate:
        """Of an illegal object: as small as it gets, in words."""
        history = self._history
        shrunk = self._shrinker().run()
        data = {
            **({"key": self.key} if self._model.by_key else {}),
            "model": self._model.name,
            "end": shrunk.end,
            "kept": shrunk.kept,
            "gaps": [self._gap(bound) for bound in shrunk.bounds],
            "repeat": shrunk.repeat,
        }
        certificate = Certificate(
            kind="linearizability",
            summary="",
            ops=rows_told(history, self.rows, data, shrunk.blocked),
            blocked=[shrunk.blocked],
            data=data,
        )
        tell(history, certificate)
        return certificate

    def _gap(self, bound: Bound) -> dict[str, Any]:
        """The time before or after the bound, in which no such update was under way."""
        history = self._history
        gap: dict[str, Any] = {"f": bound.f, "arg": bound.arg, "known": False}
        if bound.result is not None:
            gap |= {"result": bound.result, "known": True}
        if bound.process >= 0:
            gap["process"] = bound.process
        if bound.first:
            return {**gap, "to": history.inv[bound.row], "to_row": bound.row}
        return {**gap, "from": history.ret[bound.row], "from_row": bound.row}

    def _shrinker(self, deadline: float | None = None) -> Shrinker:
        table = Table(self._model, self._history)
        return Shrinker(table, self.rows, self.row, search=self._search, deadline=deadline)


class PythonEngine:
    """The engine in pure Python: oracle of the faster ones, and their fallback."""

    name = "python"
    search = Search

    def check(self, history: History, model: Judge, budget: Budget) -> Verdict:
        """VALID, INVALID with a certificate per object (at most three), or UNKNOWN with how far it
        got. Raises UserError for an operation that the model does not have.
        """
        if isinstance(model, Transactions):
            from dissensus.checkers.transactions import judge_transactions

            return judge_transactions(history, model.name, budget, engine=self.name)
        if isinstance(model, Fold):
            return judge_fold(history, model, engine=f"{self.name} {__version__}")
        return self._check_objects(history, model, budget)

    def _check_objects(self, history: History, model: Model, budget: Budget) -> Verdict:
        deadline = time.monotonic() + budget.seconds
        cases = [
            Case(history, model, key, rows, self.search) for key, rows in objects_of(history, model)
        ]
        self._search_all(cases, budget.configurations, deadline)
        bad = [case for case in cases if case.found is Found.ILLEGAL]
        unknown = [case for case in cases if case.found is Found.GAVE_UP]
        facts: dict[str, Any] = {
            "model": model.name,
            "keys": len(cases),
            "operations": len(history),
            "configurations": sum(case.visited for case in cases),
            "keys_invalid": len(bad),
            "keys_unknown": len(unknown),
            "algorithms": {"search": len(cases)},
        }
        verdict = Verdict(
            checker="linearizability",
            validity=Validity.VALID,
            engine=f"{self.name} {__version__}",
            facts=facts,
        )
        if bad:
            verdict.validity = Validity.INVALID
            verdict.reason = (
                f"no order of operations explains {keys_text([case.key for case in bad])}"
            )
            verdict.certificates = [case.certificate() for case in bad[:CERTIFICATES_MAX]]
        elif unknown:
            verdict.validity = Validity.UNKNOWN
            verdict.reason = (
                f"the budget of {budget.seconds:g} s and {budget.configurations} configurations "
                f"is used up: {progress_text(unknown)}; "
                f"{len(cases) - len(unknown)} of {len(cases)} keys are linearizable"
            )
        else:
            verdict.reason = (
                f"{len(history)} operations on {len(cases)} keys are linearizable as {model.name}"
            )
        return verdict

    @staticmethod
    def _search_all(cases: list[Case], configurations: int, deadline: float) -> None:
        """Two rounds over the keys, with an attempt at a local proof between them."""
        left = configurations
        for case in cases:
            share = FIRST_CONFIGURATIONS + FIRST_PER_OPERATION * len(case.rows)
            left -= case.search(min(left, share, configurations // FIRST_SHARE), deadline)
        for case in cases:
            if case.found is Found.GAVE_UP:
                case.prove(deadline)
        for case in cases:
            if case.found is Found.GAVE_UP and left > 0:
                left -= case.search(left, deadline)


def objects_of(history: History, model: Model) -> list[tuple[Any, Sequence[int]]]:
    """The objects of a history: (key, rows), or the whole history with None."""
    if not model.by_key:
        return [(None, range(len(history)))] if len(history) else []
    return [(history.keys.values[key], rows) for key, rows in history.rows_by_key().items()]


def judge_fold(history: History, fold: Fold, *, engine: str) -> Verdict:
    """The verdict of a check that is one pass."""
    for f in map(str, history.fs.values):
        if f not in fold.fs:
            raise unknown_name(f"operation of model {fold.name}", f, fold.fs)
    verdict = fold_verdict(fold.name, fold.judge(history), len(history))
    verdict.engine = engine
    return verdict


def fold_verdict(model: str, found: list[Finding], operations: int) -> Verdict:
    """The verdict of what a fold found in so many operations."""
    name = model.partition("(")[0]
    verdict = Verdict(
        checker=name,
        validity=Validity.INVALID if found else Validity.VALID,
        reason=f"{operations} operations keep what {model} asks for",
        facts={"model": model, "operations": operations, "algorithms": {name: 1}},
    )
    if found:
        more = f", and {len(found) - 1} more" if len(found) > 1 else ""
        verdict.reason = f"{found[0].rule}: {found[0].text}{more}"
        verdict.facts["violations"] = len(found)
    for finding in found[:CERTIFICATES_MAX]:
        certificate = Certificate(
            kind="fold",
            summary=finding.text,
            ops=finding.rows,
            blocked=finding.rows[-1:],
            data={"model": model, "rule": finding.rule},
        )
        verdict.certificates.append(certificate)
    return verdict


def keys_text(keys: list[Any]) -> str:
    """ "key 3" or "7 keys (1, 2, 3, 4, 5 ...)"; None is the whole history."""
    names = [str(key) for key in keys[:KEYS_NAMED_MAX]]
    more = " ..." if len(keys) > KEYS_NAMED_MAX else ""
    if len(keys) == 1:
        return "the history" if keys[0] is None else f"key {names[0]}"
    return f"{len(keys)} keys ({', '.join(names)}{more})"


def progress_text(cases: list[Case]) -> str:
    """How far the search got on keys that it gave up."""
    parts = [
        f"{keys_text([case.key])} is legal for the first {case.deepest} of {case.returns} returns"
        for case in cases[:KEYS_NAMED_MAX]
    ]
    more = len(cases) - len(parts)
    return ", ".join(parts) + (f" and {more} more keys" if more else "")
