"""Generators of several others: mix, any_of, reserve, phases."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate

from dissensus.harness.errors import UserError
from dissensus.harness.generators.base import (
    NEVER,
    NOTHING,
    Concat,
    Context,
    Generator,
    Liftable,
    Pending,
    Step,
    bits,
    lift,
)
from dissensus.harness.ops import Op
from dissensus.harness.randomness import draw, stream_of


def mix(*gens: Liftable, weights: Sequence[int] = ()) -> Generator:
    """Operations of all of them, each time from one drawn by its weight (equal where not given).

    One that is exhausted drops out. One that is pending does not hold up the others: the next in
    order takes its turn. Single operations are exhausted after one: `repeat` them.
    """
    weights = tuple(weights) or (1,) * len(gens)
    if len(weights) != len(gens) or any(w <= 0 for w in weights):
        raise UserError(f"mix: {len(gens)} generators need as many weights above 0, not {weights}")
    return Mix(tuple(lift(gen) for gen in gens), tuple(accumulate(weights)))


def any_of(*gens: Liftable) -> Generator:
    """Operations of whichever has one first, taking turns; ends when all have ended. The way to
    run client operations and those of the nemesis side by side.
    """
    return AnyOf(tuple(lift(gen) for gen in gens))


def reserve(*parts: tuple[int, Liftable], rest: Liftable = None) -> Generator:
    """Threads of their own: `reserve((5, writes), (3, cas), rest=reads)` runs writes on the first 5
    of its threads, cas on the next 3 and reads on all others.
    """
    for count, _ in parts:
        if count <= 0:
            raise UserError(f"reserve: {count} threads: at least 1 is needed")
    gens = (*(lift(gen) for _, gen in parts), lift(rest))
    return Reserve(gens, tuple(count for count, _ in parts))


def phases(*gens: Liftable) -> Generator:
    """One after another, each when all threads have come back from the one before."""
    return Concat(NOTHING, tuple(lift(gen).synchronize() for gen in gens))


class Mix(Generator, frozen=True):
    """`mix`."""

    gens: tuple[Generator, ...]
    until: tuple[int, ...]
    """Cumulated weights."""
    stream: int = 0

    def op(self, ctx: Context) -> Step:
        gens = self.gens
        if not gens:
            return None
        chosen = bisect_right(self.until, draw(self.stream, ctx.serial, self.until[-1]))
        step = gens[chosen].op(ctx)
        if step is None:
            return self._without(chosen).op(ctx)
        if not isinstance(step[0], Pending):
            return step[0], self._with(chosen, step[1])
        return self._next(ctx, chosen, step[0].until_ns, step[1])

    def _next(self, ctx: Context, chosen: int, until: int, after: Generator) -> Step:
        """The chosen one is pending: the next in order that is not."""
        rest = self._with(chosen, after)
        for i in range(1, len(self.gens)):
            other = (chosen + i) % len(self.gens)
            step = rest.gens[other].op(ctx)
            if step is None:
                continue
            rest = rest._with(other, step[1])
            if not isinstance(step[0], Pending):
                return step[0], rest
            until = min(until, step[0].until_ns)
        return Pending(until), rest

    def _with(self, i: int, gen: Generator) -> Mix:
        if gen is self.gens[i]:
            return self
        return Mix((*self.gens[:i], gen, *self.gens[i + 1 :]), self.until, self.stream)

    def _without(self, gone: int) -> Mix:
        until = self.until
        weights = [w - (until[i - 1] if i else 0) for i, w in enumerate(until) if i != gone]
        gens = (*self.gens[:gone], *self.gens[gone + 1 :])
        return Mix(gens, tuple(accumulate(weights)), self.stream)

    def update(self, event: Op) -> Generator:
        gens = updated(self.gens, event)
        return self if gens is self.gens else Mix(gens, self.until, self.stream)

    def seeded(self, seed: int, path: str) -> Generator:
        stream = stream_of(seed, f"{path}/mix")
        return Mix(seeded(self.gens, seed, f"{path}/mix"), self.until, stream)


class AnyOf(Generator, frozen=True):
    """`any_of`."""

    gens: tuple[Generator, ...]

    def op(self, ctx: Context) -> Step:
        return _first(ctx, self.gens, (-1,) * len(self.gens), AnyOf)

    def update(self, event: Op) -> Generator:
        gens = updated(self.gens, event)
        return self if gens is self.gens else AnyOf(gens)

    def seeded(self, seed: int, path: str) -> Generator:
        return AnyOf(seeded(self.gens, seed, f"{path}/any"))


class Reserve(Generator, frozen=True):
    """`reserve`."""

    gens: tuple[Generator, ...]
    counts: tuple[int, ...]

    def op(self, ctx: Context) -> Step:
        return _first(ctx, self.gens, self._masks(ctx.threads), self._of)

    def _of(self, gens: tuple[Generator, ...]) -> Generator:
        return Reserve(gens, self.counts)

    def _masks(self, threads: int) -> list[int]:
        """The threads of each part; the last mask is for the rest."""
        masks, order, number = [], bits(threads), threads.bit_count()
        for count in self.counts:
            mask = 0
            for _ in range(count):
                thread = next(order, -1)
                if thread < 0:
                    raise UserError(
                        f"reserve: {sum(self.counts)} threads are reserved, there are {number}"
                    )
                mask |= 1 << thread
            masks.append(mask)
            threads ^= mask
        if not threads and self.gens[-1] is not NOTHING:
            raise UserError("reserve: all threads are reserved, none is left for the rest")
        return [*masks, threads]

    def update(self, event: Op) -> Generator:
        gens = updated(self.gens, event)
        return self if gens is self.gens else self._of(gens)

    def seeded(self, seed: int, path: str) -> Generator:
        return self._of(seeded(self.gens, seed, f"{path}/reserve"))


def _first(
    ctx: Context,
    gens: tuple[Generator, ...],
    masks: Sequence[int],
    make: Callable[[tuple[Generator, ...]], Generator],
) -> Step:
    """The first operation that one of them has on its threads, asking each in turn."""
    after = list(gens)
    until, alive = NEVER, False
    for i in range(len(gens)):
        turn = (ctx.serial + i) % len(gens)
        gen, mask = gens[turn], masks[turn]
        if gen is NOTHING:
            continue
        step = gen.op(ctx if mask < 0 else ctx.only(mask))
        if step is None:
            after[turn] = NOTHING
            continue
        after[turn] = step[1]
        if not isinstance(step[0], Pending):
            return step[0], make(tuple(after))
        alive, until = True, min(until, step[0].until_ns)
    return (Pending(until), make(tuple(after))) if alive else None


def updated(gens: tuple[Generator, ...], event: Op) -> tuple[Generator, ...]:
    """All of them, knowing of a completion; the same tuple where none cares."""
    after: list[Generator] | None = None
    for i, gen in enumerate(gens):
        new = gen.update(event)
        if new is not gen:
            if after is None:
                after = list(gens)
            after[i] = new
    return gens if after is None else tuple(after)


def seeded(gens: tuple[Generator, ...], seed: int, path: str) -> tuple[Generator, ...]:
    """All of them, each with streams of its own below `path`."""
    return tuple(gen.seeded(seed, f"{path}/{i}") for i, gen in enumerate(gens))
