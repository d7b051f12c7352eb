"""Independent keys: the same workload on many keys at once, some of them hot.

A checker splits a history by key, so that long runs stay checkable: many keys with few operations
each. `independent` keeps a number of keys in use, draws one for every operation by Zipf's law, and
retires a key when its generator is exhausted: the next number takes its place, and its heat.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from itertools import accumulate

import msgspec

from dissensus.harness.errors import UserError
from dissensus.harness.generators.base import Context, Generator, Liftable, Pending, Step, lift
from dissensus.harness.ops import Op
from dissensus.harness.plan import within
from dissensus.harness.randomness import draw, stream_of

KEYS_MAX = 1_000
"""Keys in use at a time: each operation copies the table of their generators, at 1,000 some 5 us.
"""
WEIGHT_OF_FIRST = 1_000_000_000
"""Weights are integers, so that the last bits of `pow`, which differ between C libraries, do not
reach the draws.
"""


def independent(make: Callable[[int], Liftable], *, keys: int, skew: float = 1.0) -> Generator:
    """The workload of `make(key)` on `keys` keys at a time, numbered from 0.

    The key at rank i (from 1) is drawn with weight 1 / i**skew: 1.0 is Zipf's law, 0 is uniform.
    `lambda key: register().limit(200)` gives keys that roll after 200 operations.
    """
    within("keys", keys, 1, KEYS_MAX)
    if not 0 <= skew <= 10:
        raise UserError(f"skew {skew!r} is out of range: 0 (uniform) to 10")
    weights = (max(1, round(WEIGHT_OF_FIRST / rank**skew)) for rank in range(1, keys + 1))
    return Independent(make, tuple(accumulate(weights)))


class Independent(Generator, frozen=True):
    """`independent`."""

    make: Callable[[int], Liftable]
    until: tuple[int, ...]
    """Rank -> cumulated weight."""
    gens: tuple[Generator, ...] = ()
    """Rank -> generator of its key; empty before the first operation."""
    keys: tuple[int, ...] = ()
    """Rank -> key."""
    ranks: Mapping[int, int] = msgspec.field(default_factory=dict)
    """Key -> rank."""
    stream: int = 0
    path: str = ""

    def op(self, ctx: Context) -> Step:
        if not self.gens:
            return self._begun(ctx).op(ctx)
        rank = bisect_right(self.until, draw(self.stream, ctx.serial, self.until[-1]))
        step = self.gens[rank].op(ctx)
        if step is None:
            return self._rolled(ctx, rank)
        op, after = step
        if isinstance(op, Pending):
            return self._next(ctx, rank, op.until_ns, after)
        op.key = self.keys[rank]
        return op, self._with(rank, after)

    def _next(self, ctx: Context, chosen: int, until: int, after: Generator) -> Step:
        """The chosen key is pending: the next in order that is not."""
        rest = self._with(chosen, after)
        for i in range(1, len(self.gens)) if ctx.free else ():
            rank = (chosen + i) % len(self.gens)
            step = rest.gens[rank].op(ctx)
            if step is None:
                return rest._rolled(ctx, rank)
            op = step[0]
            rest = rest._with(rank, step[1])
            if not isinstance(op, Pending):
                op.key = self.keys[rank]
                return op, rest
            until = min(until, op.until_ns)
        return Pending(until), rest

    def _rolled(self, ctx: Context, rank: int) -> Step:
        """The key at `rank` has ended: its successor's operation."""
        key = max(self.keys) + 1
        step = self._made(ctx, key).op(ctx)
        if step is None:
            raise UserError(f"independent: the generator of key {key} has no operation at all")
        op, after = step
        keys = (*self.keys[:rank], key, *self.keys[rank + 1 :])
        ranks = {k: r for r, k in enumerate(keys)}
        rolled = msgspec.structs.replace(self._with(rank, after), keys=keys, ranks=ranks)
        if isinstance(op, Op):
            op.key = key
        return op, rolled

    def _begun(self, ctx: Context) -> Independent:
        keys = tuple(range(len(self.until)))
        return msgspec.structs.replace(
            self,
            gens=tuple(self._made(ctx, key) for key in keys),
            keys=keys,
            ranks={key: key for key in keys},
        )

    def _made(self, ctx: Context, key: int) -> Generator:
        return lift(self.make(key)).seeded(ctx.seed, f"{self.path}/{key}")

    def _with(self, rank: int, gen: Generator) -> Independent:
        if gen is self.gens[rank]:
            return self
        gens = (*self.gens[:rank], gen, *self.gens[rank + 1 :])
        return Independent(
            self.make, self.until, gens, self.keys, self.ranks, self.stream, self.path
        )

    def update(self, event: Op) -> Generator:
        rank = self.ranks.get(event.key, -1)
        if rank < 0:
            return self
        return self._with(rank, self.gens[rank].update(event))

    def seeded(self, seed: int, path: str) -> Generator:
        path = f"{path}/key"
        return msgspec.structs.replace(self, stream=stream_of(seed, path), path=path)
