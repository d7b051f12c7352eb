"""Histories and runs for tests of checkers: written by hand, or of a register that may err."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from dissensus.harness.checker import RunView
from dissensus.harness.history import History
from dissensus.harness.ops import Op

MS = 1_000_000
NAMES = {"i": "invoke", "o": "ok", "f": "fail", "?": "info"}


def parse_ops(text: str) -> list[Op]:
    """Events from lines "PROCESS TYPE F VALUE [key=K] [node=N] [err=E]": "0 i w 1", "0 o w",
    "1 i c 1,2", "1 ? r". Each is 10 ms after the one before.
    """
    fs = {"r": "read", "w": "write", "c": "cas"}
    ops: list[Op] = []
    args: dict[int, Any] = {}
    for line in filter(None, (line.strip() for line in text.splitlines())):
        words = [word for word in line.split() if "=" not in word]
        named = dict(word.split("=") for word in line.split() if "=" in word)
        process, kind = int(words[0]), NAMES[words[1]]
        numbers = [None if n == "nil" else int(n) for n in ",".join(words[3:]).split(",") if n]
        value: Any = numbers if words[2] == "c" else (numbers[0] if numbers else None)
        if kind == "invoke":
            args[process] = value
        elif not numbers:
            value = args[process]
        ops.append(
            Op(
                f=fs.get(words[2], words[2]),
                key=named.get("key"),
                value=value,
                process=process,
                type=kind,  # type: ignore[arg-type]
                time_ns=10 * MS * len(ops),
                index=len(ops),
                node=named.get("node"),
                error=named.get("err"),
            )
        )
    return ops


@pytest.fixture(scope="session")
def hand() -> Callable[[str], History]:
    """hand("0 i w 1 \\n 0 o w ...") is a history."""
    return lambda text: History.from_ops(parse_ops(text))


@pytest.fixture(scope="session")
def view() -> Callable[..., RunView]:
    """view(history, header=..., faults=...) is a run that came to its end."""

    def make(history: History | None = None, **parts: Any) -> RunView:
        usual: dict[str, Any] = {
            "header": {},
            "faults": [],
            "nodes": [],
            "phases": [],
            "marks": [],
            "complete": True,
        }
        return RunView(history=history or History(), **{**usual, **parts})

    return make


class Maker:
    """Makes histories of a register that keeps its promise, and then lies now and then."""

    def __init__(
        self, rng: random.Random, fs: tuple[str, ...], *, values: int, lies: float
    ) -> None:
        self.rng = rng
        self.fs = fs
        self.values = values
        self.lies = lies
        self.state: Any = None
        self.ops: list[Op] = []

    def make(self, operations: int, clients: int, crashes: float) -> list[Op]:
        """The events of one key."""
        rng = self.rng
        open_: dict[int, list[Any]] = {}
        process = list(range(clients))
        begun = 0
        while begun < operations or open_:
            client = rng.randrange(clients)
            if client not in open_:
                if begun == operations:
                    continue
                begun += 1
                f = rng.choice(self.fs)
                open_[client] = [f, self.argument(f), None]
                self.event(process[client], "invoke", f, open_[client][1])
                continue
            f, arg, done = op = open_[client]
            if done is None:
                op[2] = ("info", arg) if rng.random() < crashes / 2 else self.happen(f, arg)
                continue
            kind, value = done
            if rng.random() < crashes / 2:
                kind, value = "info", arg
            self.event(process[client], kind, f, value)
            if kind == "info":
                process[client] = max(process) + 1
            del open_[client]
        return self.ops

    def argument(self, f: str) -> Any:
        rng = self.rng
        if f == "read":
            return None
        if f == "write":
            return rng.randrange(self.values)
        guess = self.state if rng.random() < 0.6 else rng.randrange(self.values)
        return [guess, rng.randrange(self.values)]

    def happen(self, f: str, arg: Any) -> tuple[str, Any]:
        """The operation takes effect: (outcome, answer)."""
        lie = self.rng.random() < self.lies
        if f == "read":
            return "ok", self.rng.randrange(self.values) if lie else self.state
        if f == "write":
            self.state = self.state if lie else arg
            return "ok", arg
        if self.state != arg[0] and not lie:
            return "fail", arg
        self.state = arg[1]
        return "ok", arg

    def event(self, process: int, kind: Any, f: str, value: Any) -> None:
        index = len(self.ops)
        self.ops.append(
            Op(f=f, value=value, process=process, type=kind, time_ns=index * MS, index=index)
        )


@pytest.fixture(scope="session")
def make_ops() -> Callable[..., list[Op]]:
    """make_ops(seed, fs, operations=, clients=, crashes=, lies=, values=): events of one key."""

    def make(  # noqa: PLR0917
        seed: int,
        fs: tuple[str, ...],
        operations: int = 8,
        clients: int = 4,
        crashes: float = 0.2,
        lies: float = 0.35,
        values: int = 3,
    ) -> list[Op]:
        maker = Maker(random.Random(seed), fs, values=values, lies=lies)
        return maker.make(operations, clients, crashes)

    return make
