"""The second engine: every linearizability verdict is asked of somebody else before it is believed.

Porcupine is asked first, in a helper program of its own (`checkers/porcupine/`), then the
pure-Python engine, each under limits of its own. An engine that gives up says nothing. One that
contradicts is no violation of the system under test but a fault of ours: the verdict becomes
UNKNOWN and says so.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from dissensus.checkers.models import make_model, text_of
from dissensus.harness.checker import Budget
from dissensus.harness.history import FAIL, INFO, History
from dissensus.harness.verdict import Validity, Verdict

OPERATIONS_MAX = 20_000
"""Up to here every verdict is confirmed: Porcupine's memory is quadratic in the operations."""
SECONDS = 10.0
"""Of the helper. A legal history takes milliseconds."""
BYTES = 2_000_000_000
PYTHON_BUDGET = Budget(seconds=5.0, configurations=200_000)
"""Of the pure-Python engine, where the helper has no answer."""
HELPER_ENV = "DISSENSUS_PORCUPINE"
HELPER = Path(__file__).resolve().parent / "porcupine" / "dissensus-porcupine"
START_SECONDS = 5.0
"""Beyond its limit: to start, to read the operations, to answer."""
FOREVER = 1 << 62
SAYS = {"ok": Validity.VALID, "illegal": Validity.INVALID, "unknown": Validity.UNKNOWN}


class Second(msgspec.Struct, kw_only=True, frozen=True):
    """What another engine says."""

    engine: str
    """Its name and version; empty where it could not be asked."""
    validity: Validity = Validity.UNKNOWN
    why: str = ""
    """Why it says nothing."""


def helper() -> Path | None:
    """The program that holds Porcupine: named by DISSENSUS_PORCUPINE, else the one that was built
    at install. None where there is none.
    """
    if named := os.environ.get(HELPER_ENV):
        return Path(named)
    return HELPER if HELPER.exists() else None


def confirmed(verdict: Verdict, history: History, model: str, *, always: bool = False) -> Verdict:
    """The verdict with `confirmed` filled in, or turned into a disagreement. Beyond
    `OPERATIONS_MAX` operations nobody is asked unless `always`.
    """
    if verdict.validity is Validity.UNKNOWN:
        return verdict
    if len(history) > OPERATIONS_MAX and not always:
        verdict.confirmed = f"no: more than {OPERATIONS_MAX} operations, --confirm asks for it"
        return verdict
    why = []
    for ask in (porcupine, python):
        if ask is python and verdict.engine.startswith("python"):
            continue
        said = ask(history, model)
        if said.validity is verdict.validity:
            verdict.confirmed = said.engine
            return verdict
        if said.validity is not Validity.UNKNOWN:
            return disagreement(verdict, said)
        why.append(said.why)
    verdict.confirmed = f"no: {'; '.join(why)}"
    return verdict


def disagreement(verdict: Verdict, said: Second) -> Verdict:
    """Neither is believed. What the first engine found stays in the facts."""
    first = f"{verdict.engine} says {verdict.validity.value} ({verdict.reason})"
    return msgspec.structs.replace(
        verdict,
        validity=Validity.UNKNOWN,
        disagreement=True,
        confirmed=f"no: {said.engine} says {said.validity.value}",
        reason=f"{first}, {said.engine} says {said.validity.value}; please report this history",
        facts={**verdict.facts, "first": verdict.validity.value, "second": said.validity.value},
    )


def python(history: History, model: str) -> Second:
    """The verdict of the pure-Python engine."""
    from dissensus.checkers.linearizability import PythonEngine

    found = PythonEngine().check(history, make_model(model), PYTHON_BUDGET)
    return Second(engine="python", validity=found.validity, why=f"python: {found.reason}")


def porcupine(
    history: History, model: str, *, seconds: float = SECONDS, memory_bytes: int = BYTES
) -> Second:
    """The verdict of Porcupine."""
    if helper() is None:
        return Second(engine="", why="porcupine is not built (doctor tells how)")
    try:
        found = ask_porcupine(history, model, seconds=seconds, memory_bytes=memory_bytes)
        validity = SAYS[found["verdict"]]
        engine = f"porcupine {found['version'].removeprefix('v')}"
    except subprocess.TimeoutExpired:
        return Second(engine="", why=f"porcupine: no answer in {seconds + START_SECONDS:g} s")
    except (OSError, ToolFault) as error:
        return Second(engine="", why=str(error))
    except (KeyError, TypeError, AttributeError):
        return Second(engine="", why="porcupine gives an answer that is none")
    why = f"{engine} used up its {found.get('why') or 'limits'}"
    return Second(engine=engine, validity=validity, why=why)


class ToolFault(Exception):
    """The helper has no answer; the text says why."""


def ask_porcupine(
    history: History, model: str, *, seconds: float, memory_bytes: int
) -> dict[str, Any]:
    """The helper's answer as it gives it (`porcupine/main.go`). Raises ToolFault, OSError."""
    program = helper()
    if program is None:
        raise ToolFault("porcupine is not built")
    name, options = parts(model)
    asked = {
        "schema": 1,
        "model": name,
        "options": options,
        "seconds": seconds,
        "bytes": memory_bytes,
    }
    lines = [msgspec.json.encode(asked), *operations(history)]
    done = subprocess.run(
        [program],
        input=b"\n".join(lines),
        capture_output=True,
        timeout=seconds + START_SECONDS,
        check=False,
    )
    try:
        found: dict[str, Any] = msgspec.json.decode(done.stdout)
    except msgspec.DecodeError:
        text = done.stderr.decode(errors="replace").strip().splitlines()
        raise ToolFault(text[0] if text else f"porcupine exits {done.returncode}") from None
    return found


def parts(model: str) -> tuple[str, dict[str, str]]:
    """Name and options of "cas-register(init=0;nil=unknown)"."""
    name, _, inside = model.partition("(")
    options = {}
    for part in filter(None, inside.removesuffix(")").split(";")):
        option, _, value = part.partition("=")
        options["init" if option.strip() == "initial" else option.strip()] = value.strip()
    return name.strip(), options


def operations(history: History) -> Iterator[bytes]:
    """A line of JSON for each row: object, process, f, argument, result, outcome, call, return."""
    objects: dict[str, int] = {}
    encode = msgspec.json.encode
    for row in range(len(history)):
        outcome = history.outcome[row]
        key = objects.setdefault(text_of(history.key_of(row)), len(objects))
        arg = msgspec.Raw(text_of(history.arg_of(row)).encode())
        result = msgspec.Raw(b"null")
        if outcome not in (INFO, FAIL):
            result = msgspec.Raw(text_of(history.result_of(row)).encode())
        end = history.ret[row]
        if outcome == INFO or end < 0:
            end = FOREVER
        yield encode(
            [
                key,
                history.process[row],
                history.f_of(row),
                arg,
                result,
                outcome,
                history.inv[row],
                end,
            ]
        )
