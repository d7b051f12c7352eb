"""The door to the native engine (`checkers/engine/`): histories that live in it, and its verdicts.

Nothing here makes an object for each operation: Python sees columns by the buffer protocol, asks
for the values that it shows, and gets verdicts as one JSON text.
"""

from __future__ import annotations

import functools
import importlib
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, cast

import msgspec

from dissensus.checkers.linearizability import KEYS_NAMED_MAX, fold_verdict, keys_text
from dissensus.checkers.models.user import Bridge, UserModel
from dissensus.checkers.story import rows_told, tell
from dissensus.harness.checker import Budget, Finding, Fold, Judge, Model, Transactions
from dissensus.harness.errors import UserError
from dissensus.harness.history import History, Intern
from dissensus.harness.ops import Op
from dissensus.harness.verdict import Certificate, Validity, Verdict

MODULE = "dissensus.checkers._engine"
NO_VALUE = 0xFFFF_FFFF
"""In a column of values: there is none."""

Watch = Callable[[int, int, int, int], None]
"""Called now and then with (operations, keys done, keys, configurations)."""


@functools.cache
def _module() -> Any:
    return importlib.import_module(MODULE)


def available() -> str | None:
    """Why the native engine cannot be used; None where it can."""
    try:
        _module()
    except ImportError as error:
        return f"the native engine is not there ({error})"
    return None


def title() -> str:
    """Name and version of the engine."""
    return f"native {_module().VERSION}"


class Values(Intern):
    """The values of a native history, by number: made when somebody looks at one."""

    def __init__(self, native: Any) -> None:
        self.values = cast("list[Any]", _Lookup(native))

    def add(self, value: Any) -> int:
        raise TypeError("a history of the engine does not change")


class _Lookup:
    def __init__(self, native: Any) -> None:
        self._native = native

    def __getitem__(self, number: int) -> Any:
        return self._native.value(number)


class Names(Intern):
    """Names of operations."""

    def __init__(self, names: list[str]) -> None:
        self.values = list(names)


class NativeHistory(History):
    """A history that lives in the engine: the same columns and look-ups as `History`, read only.

    `native` is the engine's own object. Numbers in `key`, `arg`, `result`, `node` and `error` are
    the engine's, and not places in a list.
    """

    def __init__(self, native: Any) -> None:
        self.native = native
        self.inv = self._column("inv")
        self.ret = self._column("ret")
        self.t_inv = self._column("inv_ns")
        self.t_ret = self._column("ret_ns")
        self.process = self._column("process")
        self.f = self._column("f")
        self.key = self._column("key")
        self.arg = self._column("arg")
        self.result = self._column("result")
        self.outcome = self._column("outcome")
        self.node = self._column("node")
        self.error = self._column("error")
        self.extra = {}
        self.fs = Names(native.fs())
        self.values = self.keys = self.names = Values(native)
        self.guessed: tuple[str, str] = native.guess
        """The model that its operations look like, "" for none, and why."""
        self.format: str = native.format
        self.holes: list[int] = [position for _, position, _, _ in native.holes]
        """Positions before which something was left out because it cannot be read."""

    def _column(self, name: str) -> array[int]:
        # A memoryview does all that is asked of an array that nobody changes.
        return cast("array[int]", memoryview(self.native.column(name)))

    def add(self, op: Op) -> int:
        raise TypeError("a history of the engine does not change")

    def node_of(self, row: int) -> str | None:
        return self._name(self.node, row)

    def error_of(self, row: int) -> str | None:
        return self._name(self.error, row)

    def _name(self, column: array[int], row: int) -> str | None:
        if not len(column) or column[row] == NO_VALUE:
            return None
        found = self.native.value(column[row])
        return found if isinstance(found, str) else str(found)


def read(
    path: Path,
    *,
    format: str | None = None,
    salvage: bool = False,
    model: str | None = None,
    cpu_s: float | None = None,
    memory_bytes: int | None = None,
    watch: Watch | None = None,
) -> NativeHistory:
    """The history of a file, its format found by content. `model` is what it will be judged by,
    None for the one that is guessed (`native.guess`): keys of jepsen.independent are lifted for a
    model that has keys. Raises UserError with the place of what is wrong, MemoryError or
    TimeoutError beyond the bounds.
    """
    try:
        native = _module().read(
            path,
            format=format,
            salvage=salvage,
            model=model,
            cpu_s=cpu_s,
            memory_bytes=memory_bytes,
            watch=watch,
        )
    except ValueError as error:
        raise UserError(str(error)) from None
    return NativeHistory(native)


class About(NamedTuple):
    """What a file says of the test that it is of; None for what it does not say."""

    name: str | None
    workload: str | None
    label: str | None
    """The verdict that was found where it was recorded."""
    file: str | None
    """The file of the folder that was read."""


def about(history: NativeHistory) -> About:
    """What its file says of a history."""
    return About(*_module().about(history.native))


class Oddity(msgspec.Struct):
    """Something that the lint found, all cases of a rule in one."""

    code: str
    severity: str
    """"error", "warning" or "note"."""
    text: str
    count: int = 1
    rows: list[int] = []
    """Rows of the first few cases; empty for what is no operation."""
    places: list[str] = []
    """Where in the file: "LINE:COLUMN" or "byte N"; empty where only columns were looked at."""


def lint(history: NativeHistory) -> list[Oddity]:
    """What makes a verdict on the history impossible or misleading, the gravest first."""
    return msgspec.json.decode(_module().lint(history.native), type=list[Oddity])


def lint_file(path: Path) -> list[Oddity]:
    """The same of a file as it is, line by line."""
    try:
        return msgspec.json.decode(_module().lint_file(path), type=list[Oddity])
    except ValueError as error:
        raise UserError(str(error)) from None


def write(history: History, path: Path, form: str | None = None) -> tuple[str, int]:
    """Write a history into a new file: "jsonl", "edn" or "json", by its name where `form` is None.
    (form, events). Raises UserError where there is such a file.
    """
    try:
        written: tuple[str, int] = _module().write(native_of(history), path, form=form)
    except ValueError as error:
        raise UserError(str(error)) from None
    return written


class Summary(msgspec.Struct):
    """Figures of a history."""

    by_f: list[tuple[str, int, int, int]]
    """(name, ok, info, fail)."""
    first_ns: int
    last_ns: int
    read_saw_write: bool


def summary(history: NativeHistory) -> Summary:
    """Counts, times, and whether reads saw what was written."""
    return msgspec.json.decode(_module().summary(history.native), type=Summary)


def known_as(model: Judge) -> str:
    """The name by which a reader knows whether the model has keys: of a user's own, that of one of
    ours that has them, or has not.
    """
    if isinstance(model, UserModel):
        return "register" if model.by_key else "multi-register"
    return model.name


def native_of(history: History) -> Any:
    """The engine's own object of a history: its own, or one made of the columns."""
    if isinstance(history, NativeHistory):
        return history.native
    columns = {
        name: getattr(history, name)
        for name in ("process", "f", "key", "arg", "result", "outcome", "node", "inv", "ret")
    }
    columns |= {"t_inv": history.t_inv, "t_ret": history.t_ret, "error": history.error}
    fs = [str(f) for f in history.fs.values]
    try:
        return _module().History(
            columns, history.values.values, history.keys.values, fs, history.names.values
        )
    except (ValueError, BufferError) as error:
        raise UserError(f"the native engine cannot take this history: {error}") from None


# -- verdicts ----------------------------------------------------------------------------------


class _Object(msgspec.Struct):
    """What the engine says of one object."""

    key: Any
    algorithm: str
    answer: str
    visited: int = 0
    blocked: int = -1
    why: str = ""
    order: list[int] = []
    """Its rows in a legal order, where that was asked for."""
    proven: int = 0
    returns: int = 0


class _Gap(msgspec.Struct, rename={"begin": "from", "begin_row": "from_row"}):
    """A time in which no free operation of a kind was under way."""

    f: str
    arg: Any = None
    result: Any = None
    known: bool = False
    process: int = 0
    begin: int | None = None
    begin_row: int | None = None
    to: int | None = None
    to_row: int | None = None


class _Certificate(msgspec.Struct):
    """Why an object is illegal; `checked` is "" where the engine's own verifier agrees."""

    key: Any
    end: int
    blocked: int
    repeat: bool
    minimal: bool
    kept: list[int]
    gaps: list[_Gap]
    checked: str | None = None


class _Finding(msgspec.Struct):
    rule: str
    rows: list[int]
    text: str


class _Staleness(msgspec.Struct):
    """For how long, and how often, what a read returned was certainly written over: the worst."""

    ns: int
    versions: int


class _Report(msgspec.Struct):
    """The engine's answer."""

    model: str
    configurations: int = 0
    cpu_ns: int = 0
    objects: list[_Object] = []
    """Those that are not legal; all, where orders were asked for."""
    legal: int = 0
    """Objects that are."""
    algorithms: dict[str, int] = {}
    staleness: _Staleness | None = None
    certificates: list[_Certificate] = []
    findings: list[_Finding] | None = None
    why: str = ""
    """Why a fold gave up."""


SAID = ("arg", "result")
"""Of a gap: null is a value."""
CERTIFICATES_MAX = 3
"""Keys whose failure is shown; the others are counted."""


class NativeEngine:
    """The engine in Rust: keys in parallel, without the GIL, within the budget."""

    name = "native"

    def __init__(
        self, *, threads: int = 0, watch: Watch | None = None, orders: bool = False
    ) -> None:
        """`threads`: 0 is one for each core. `watch` is called while it works. `orders`: what is
        VALID carries the order that shows it, which costs time and memory.
        """
        self._threads = threads
        self._watch = watch
        self._orders = orders

    def check(self, history: History, model: Judge, budget: Budget) -> Verdict:
        """VALID, INVALID with a certificate per object (at most three), or UNKNOWN with how far it
        got. Raises UserError for an operation that the model does not have.
        """
        if isinstance(model, Transactions):
            from dissensus.checkers.transactions import judge_transactions

            return judge_transactions(history, model.name, budget, engine=self.name)
        report = self._ask(history, model, budget)
        facts = {
            "model": model.name,
            "operations": len(history),
            "configurations": report.configurations,
            "algorithms": report.algorithms,
            "cpu_ms": round(report.cpu_ns / 1e6, 1),
        }
        if isinstance(model, Fold):
            verdict = self._of_fold(model, report, history)
        else:
            verdict = self._of_objects(model, report, history)
        verdict.engine = title()
        verdict.facts = {**facts, **verdict.facts}
        return verdict

    def _ask(self, history: History, model: Model | Fold, budget: Budget) -> _Report:
        try:
            text = _module().check(
                native_of(history),
                model.name,
                user=Bridge(model) if isinstance(model, UserModel) else None,
                cpu_s=budget.seconds,
                memory_bytes=budget.memory_bytes,
                configurations=None,
                threads=self._threads,
                certificates=CERTIFICATES_MAX,
                orders=self._orders,
                watch=self._watch,
            )
        except ValueError as error:
            raise UserError(str(error)) from None
        return msgspec.json.decode(text, type=_Report)

    def _of_fold(self, fold: Fold, report: _Report, history: History) -> Verdict:
        name = fold.name.partition("(")[0]
        verdict = fold_verdict(fold.name, _findings(report), len(history))
        if report.findings is None:
            verdict.validity = Validity.UNKNOWN
            verdict.reason = f"the budget is used up: {report.why}"
        verdict.facts = {"algorithms": {name: 1}}
        return verdict

    def _of_objects(self, model: Model, report: _Report, history: History) -> Verdict:
        bad = [found for found in report.objects if found.answer == "illegal"]
        unknown = [found for found in report.objects if found.answer == "unknown"]
        keys = report.legal + len(bad) + len(unknown)
        verdict = Verdict(
            checker="linearizability",
            validity=Validity.VALID,
            facts={"keys": keys, "keys_invalid": len(bad), "keys_unknown": len(unknown)},
        )
        if report.staleness is not None:
            verdict.facts["max_staleness_ms"] = round(report.staleness.ns / 1e6, 3)
            verdict.facts["max_staleness_versions"] = report.staleness.versions
        if bad:
            verdict.validity = Validity.INVALID
            verdict.reason = f"no order of operations explains {objects_text(model, bad)}"
            verdict.certificates = [
                _certificate(history, model, found) for found in report.certificates
            ]
        elif unknown:
            why = sorted({found.why for found in unknown})
            verdict.validity = Validity.UNKNOWN
            verdict.reason = (
                f"the budget is used up ({', '.join(why)}): {progress_text(model, unknown)}; "
                f"{report.legal} of {keys} keys are linearizable"
            )
        else:
            verdict.reason = (
                f"{len(history)} operations on {keys} keys are linearizable as {model.name}"
            )
            if self._orders:
                verdict.certificates = [_linearization(history, model, report.objects)]
        return verdict


def _findings(report: _Report) -> list[Finding]:
    return [Finding(found.rule, found.rows, found.text) for found in report.findings or ()]


def _certificate(history: History, model: Model, found: _Certificate) -> Certificate:
    gaps = [
        {name: x for name, x in msgspec.to_builtins(gap).items() if x is not None or name in SAID}
        for gap in found.gaps
    ]
    data = {
        **({"key": history.key_of(found.kept[0])} if model.by_key else {}),
        "model": model.name,
        "end": found.end,
        "kept": found.kept,
        "gaps": gaps,
        "repeat": found.repeat,
        "minimal": found.minimal,
    }
    certificate = Certificate(
        kind="linearizability",
        summary="",
        ops=rows_told(history, found.kept, data, found.blocked),
        blocked=[found.blocked],
        data=data,
        reverified=None if found.checked is None else not found.checked,
    )
    tell(history, certificate)
    return certificate


def _linearization(history: History, model: Model, objects: list[_Object]) -> Certificate:
    """One order of all operations. Each object's is walked along the time: an operation takes place
    at its invocation or when the one before it does, whichever is later. That is before its return,
    so that the places of all objects together keep real time (Herlihy and Wing's locality).
    """
    places: list[tuple[int, int]] = []
    for found in objects:
        latest = -1
        for row in found.order:
            latest = max(latest, history.inv[row])
            places.append((latest, row))
    # Rows of one object that are placed at the same time stay in their order.
    places.sort(key=lambda place: place[0])
    return Certificate(
        kind="linearization",
        summary=f"{len(places)} operations in an order that is legal and keeps real time",
        data={"model": model.name, "order": [row for _, row in places]},
    )


def objects_text(model: Model, found: list[_Object]) -> str:
    """ "key 3", "7 keys (1, 2, 3, 4, 5 ...)" or "the history"."""
    return keys_text([None if not model.by_key else one.key for one in found])


def progress_text(model: Model, found: list[_Object]) -> str:
    """How far the search got on the objects that it gave up."""
    parts = [
        f"{objects_text(model, [one])} is legal for the first {one.proven} of {one.returns} returns"
        for one in found[:KEYS_NAMED_MAX]
    ]
    more = len(found) - len(parts)
    return ", ".join(parts) + (f" and {more} more keys" if more else "")
