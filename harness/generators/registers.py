"""Operations on one register: read, write, and a compare-and-set that has a chance to succeed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dissensus.harness.generators.base import PENDING, Context, Generator, Step, fill, lift
from dissensus.harness.generators.combine import mix
from dissensus.harness.ops import Op

READ_WRITE_CAS = (45, 35, 20)
"""Weights of the operations. Enough reads to see, enough updates to have something to see."""


def register(weights: Sequence[int] = READ_WRITE_CAS) -> Generator:
    """read, write and cas by these weights, for ever. No value is written twice in a run."""
    return mix(lift({"f": "read"}).repeat(), write, Cas(), weights=weights)


def write(ctx: Context) -> Op:
    """A write of a value that was never used before."""
    return Op(f="write", value=ctx.serial)


class Cas(Generator, frozen=True):
    """cas from the value that a client saw or wrote last to one that was never used before."""

    latest: Any = None

    def op(self, ctx: Context) -> Step:
        op = fill(Op(f="cas", value=[self.latest, ctx.serial]), ctx)
        return (PENDING, self) if op is None else (op, self)

    def update(self, event: Op) -> Generator:
        if event.type != "ok":
            return self
        if event.f == "cas":
            return Cas(event.value[1])
        return Cas(event.value) if event.f in ("read", "write") else self
