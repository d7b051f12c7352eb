"""Workloads: what clients ask of the system. A new one is a class with a line in the table, or lies
in a file of its own, `path.py:Class`.

Both bundled ones work on five keys at a time, drawn by Zipf's law, each retired after 200
operations. A value is never written twice in a run and a compare-and-set expects what was last
seen, so that reads are telling and a cas often succeeds. At the end every thread, and with it every
node that has a client of its own, reads the keys that were used last.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dissensus.harness.errors import SystemFault, UserError, unknown_name
from dissensus.harness.generators import (
    Context,
    Generator,
    Liftable,
    Pending,
    Step,
    independent,
    lift,
    mix,
    register,
)
from dissensus.harness.generators.registers import write
from dissensus.harness.ops import Op
from dissensus.harness.registry import class_at, is_place
from dissensus.harness.system import System, Workload

DEFAULT_WORKLOAD = "cas-register"

KEYS = 5
OPS_PER_KEY = 200
"""Operations that stay open for ever cost a checker more with each of them, so keys roll."""
READ_WRITE = (50, 50)
"""Weights of the plain register's operations."""
WARMUP_KEY = "warm-up"
WARMUP_GAP_NS = 20_000_000
"""Fifty tries a second: some hundred until a slow first election is over."""
FINAL_KEYS = 64
"""Keys that are read at the end: those in use, and the ones retired shortly before."""
FINAL_TRIES = 50
FINAL_GAP_NS = 100_000_000
"""A last read is tried again this much later, for 5 seconds in all: a node may still catch up."""


class Register:
    """Reads and writes of independent registers."""

    name = "register"
    fs: tuple[str, ...] = ("read", "write")
    model = "register"

    def operations(self) -> Generator:
        """Operations on one key, for ever."""
        return mix(lift({"f": "read"}).repeat(), write, weights=READ_WRITE)

    def warmup(self, concurrency: int) -> Liftable:
        """Operations on one key until every f has succeeded."""
        tries = self.operations().stagger(WARMUP_GAP_NS)
        return EachOk(gen=tries, key=WARMUP_KEY, missing=frozenset(self.fs))

    def generator(self, concurrency: int) -> Liftable:
        """Operations as fast as they are taken; the runner sets rate and time."""
        return independent(lambda key: self.operations().limit(OPS_PER_KEY), keys=KEYS)

    def final(self, concurrency: int, keys: Sequence[Any]) -> Liftable:
        """Every thread reads every one of the last keys, trying again where that fails."""
        return lift([last_read(key) for key in keys[-FINAL_KEYS:]]).each_thread()


class CasRegister(Register):
    """Reads, writes and compare-and-set of independent registers."""

    name = "cas-register"
    fs: tuple[str, ...] = ("read", "write", "cas")
    model = "cas-register"

    def operations(self) -> Generator:
        return register()


WORKLOADS: dict[str, Callable[[], Workload]] = {
    "register": Register,
    "cas-register": CasRegister,
}


class EachOk(Generator, frozen=True):
    """Operations of `gen` on one key, until each f of `missing` has succeeded."""

    gen: Generator
    key: Any
    missing: frozenset[str]

    def op(self, ctx: Context) -> Step:
        if not self.missing:
            return None
        step = self.gen.op(ctx)
        if step is None:
            return None
        op, after = step
        if not isinstance(op, Pending):
            op.key = self.key
        return op, EachOk(gen=after, key=self.key, missing=self.missing)

    def update(self, event: Op) -> Generator:
        missing = self.missing - {event.f} if event.type == "ok" else self.missing
        return EachOk(gen=self.gen.update(event), key=self.key, missing=missing)

    def seeded(self, seed: int, path: str) -> Generator:
        return EachOk(gen=self.gen.seeded(seed, path), key=self.key, missing=self.missing)


def last_read(key: Any) -> Generator:
    """A read of `key` until it succeeds, at most FINAL_TRIES times."""
    read = lift({"f": "read", "key": key, "x": {"final": True}})
    return read.repeat(FINAL_TRIES).delay(FINAL_GAP_NS).until_ok()


def load_workload(name: str) -> Workload:
    """The workload of that name, or of `path.py:Class`. Raises UserError."""
    if is_place(name):
        try:
            made = class_at(name, "workload")()
        except TypeError as error:
            raise SystemFault(f"workload {name!r} cannot be made: {error}") from error
    elif name in WORKLOADS:
        made = WORKLOADS[name]()
    else:
        raise unknown_name("workload", name, WORKLOADS)
    for needed in ("name", "fs", "model", "warmup", "generator", "final"):
        if not hasattr(made, needed):
            raise SystemFault(
                f"workload {name!r} has no {needed!r}: see dissensus.harness.system.Workload"
            )
    return made  # type: ignore[no-any-return]


def check_fits(workload: Workload, system: System) -> None:
    """A UserError where the system's client lacks an operation that the workload invokes."""
    client = system.client(workload.name)
    for f in workload.fs:
        if not hasattr(client, f.replace("-", "_")):
            can = [name for name in WORKLOADS if _fits(WORKLOADS[name](), client)]
            raise UserError(
                f"workload {workload.name!r} invokes {f!r}, which the client of system "
                f"{system.name!r} has not (it fits: {', '.join(can) or 'no bundled workload'})"
            )


def _fits(workload: Workload, client: object) -> bool:
    return all(hasattr(client, f.replace("-", "_")) for f in workload.fs)
