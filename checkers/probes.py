"""What `dissensus doctor` tells of the engines: whether they are there, and that they work, by
asking each for a verdict that is known.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable

from dissensus.harness.doctor import Finding
from dissensus.harness.history import History
from dissensus.harness.ops import Op
from dissensus.harness.verdict import Validity

NATIVE = "dissensus.checkers._engine"


def history(*, legal: bool) -> History:
    """A write and a read that sees it, or does not."""
    seen = 1 if legal else 2
    events = [("invoke", "write", 1), ("ok", "write", 1), ("invoke", "read", None)]
    events.append(("ok", "read", seen))
    return History.from_ops(
        Op(process=0, type=kind, f=f, value=value, index=i)  # type: ignore[arg-type]
        for i, (kind, f, value) in enumerate(events)
    )


def native_engine() -> Finding:
    """The Rust engine: loaded, and its version."""
    use = "verdicts on long histories; without it the pure-Python engine judges, slowly"
    try:
        module = importlib.import_module(NATIVE)
    except ImportError as error:
        return Finding(
            name="native engine",
            needed_for=use,
            state="degraded",
            how=str(error),
            fix="install Rust 1.85 or newer (cargo), then scripts/setup or pip install again",
        )
    return Finding(
        name="native engine", needed_for=use, state="ok", how=f"version {module.VERSION}"
    )


def second_engine() -> Finding:
    """Porcupine in its helper: asked for two verdicts that are known."""
    from dissensus.checkers.second import porcupine

    use = "every verdict is confirmed by it; without it by the pure-Python engine"
    said = [porcupine(history(legal=legal), "register") for legal in (True, False)]
    right = [second.validity for second in said] == [Validity.VALID, Validity.INVALID]
    if right:
        how = f"{said[0].engine} told a legal history from an illegal one"
        return Finding(name="porcupine", needed_for=use, state="ok", how=how)
    return Finding(
        name="porcupine",
        needed_for=use,
        state="degraded",
        how=said[0].why or said[1].why,
        fix="install Go 1.21 or newer, then scripts/setup or pip install again",
    )


PROBES: dict[str, Callable[[], Finding]] = {
    "native engine": native_engine,
    "porcupine": second_engine,
}
