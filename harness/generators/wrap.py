"""Generators around one other generator. Their contracts stand at `Generator`'s methods."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from dissensus.harness.generators.base import (
    NEMESIS,
    NOTHING,
    PENDING,
    Context,
    Generator,
    Pending,
    Step,
    bits,
)
from dissensus.harness.ops import Op
from dissensus.harness.randomness import draw, stream_of

LATENESS_NS = 20_000_000
"""Gaps are counted from when the last operation was due, if it came at most this much later: the
timers of an event loop are late by a millisecond or two, and the rate must not suffer.
"""


class Limit(Generator, frozen=True):
    """`Generator.limit`."""

    gen: Generator
    left: int

    def op(self, ctx: Context) -> Step:
        if self.left <= 0:
            return None
        step = self.gen.op(ctx)
        if step is None:
            return None
        op, after = step
        if isinstance(op, Pending):
            return op, self if after is self.gen else Limit(after, self.left)
        return op, Limit(after, self.left - 1)

    def update(self, event: Op) -> Generator:
        gen = self.gen.update(event)
        return self if gen is self.gen else Limit(gen, self.left)

    def seeded(self, seed: int, path: str) -> Generator:
        return Limit(self.gen.seeded(seed, path), self.left)


class TimeLimit(Generator, frozen=True):
    """`Generator.time_limit`."""

    gen: Generator
    span_ns: int
    end_ns: int = -1
    """-1 until it was asked."""

    def op(self, ctx: Context) -> Step:
        end = self.end_ns
        if end < 0:
            end = ctx.time_ns + self.span_ns
        if ctx.time_ns >= end:
            return None
        step = self.gen.op(ctx)
        if step is None:
            return None
        op, after = step
        if isinstance(op, Pending) and op.until_ns > end:
            op = Pending(end)
        if after is self.gen and end == self.end_ns:
            return op, self
        return op, TimeLimit(after, self.span_ns, end)

    def update(self, event: Op) -> Generator:
        gen = self.gen.update(event)
        return self if gen is self.gen else TimeLimit(gen, self.span_ns, self.end_ns)

    def seeded(self, seed: int, path: str) -> Generator:
        return TimeLimit(self.gen.seeded(seed, path), self.span_ns, self.end_ns)


class Spaced(Generator, frozen=True):
    """`Generator.stagger` (random) and `Generator.delay`."""

    gen: Generator
    gap_ns: int
    random: bool
    stream: int = 0
    due_ns: int = -1
    """When the next operation is due; -1 before the first."""

    def op(self, ctx: Context) -> Step:
        step = self.gen.op(ctx)
        if step is None:
            return None
        op, after = step
        if isinstance(op, Pending):
            return op, self if after is self.gen else self._with(after, self.due_ns)
        if ctx.time_ns < self.due_ns:
            # The operation is dropped and made again when it is due: generators are pure.
            return Pending(self.due_ns), self
        gap = draw(self.stream, ctx.serial, 2 * self.gap_ns + 1) if self.random else self.gap_ns
        punctual = self.due_ns >= 0 and ctx.time_ns - self.due_ns <= LATENESS_NS
        base = self.due_ns if punctual else ctx.time_ns
        return op, self._with(after, base + gap)

    def update(self, event: Op) -> Generator:
        gen = self.gen.update(event)
        return self if gen is self.gen else self._with(gen, self.due_ns)

    def seeded(self, seed: int, path: str) -> Generator:
        inner = self.gen.seeded(seed, path)
        stream = stream_of(seed, f"{path}/stagger")
        return Spaced(inner, self.gap_ns, self.random, stream, self.due_ns)

    def _with(self, gen: Generator, due_ns: int) -> Generator:
        return Spaced(gen, self.gap_ns, self.random, self.stream, due_ns)


class Repeat(Generator, frozen=True):
    """`Generator.repeat`."""

    gen: Generator
    left: int

    def op(self, ctx: Context) -> Step:
        if not self.left:
            return None
        step = self.gen.op(ctx)
        if step is None:
            return None
        op, after = step
        if isinstance(op, Pending):
            return op, self if after is self.gen else Repeat(after, self.left)
        return op, self if self.left < 0 else Repeat(self.gen, self.left - 1)

    def update(self, event: Op) -> Generator:
        gen = self.gen.update(event)
        return self if gen is self.gen else Repeat(gen, self.left)

    def seeded(self, seed: int, path: str) -> Generator:
        return Repeat(self.gen.seeded(seed, path), self.left)


class Cycle(Generator, frozen=True):
    """`Generator.cycle`."""

    gen: Generator
    """As it was at its beginning."""
    current: Generator
    left: int
    """Rounds left, the present one included; negative for ever."""

    def op(self, ctx: Context) -> Step:
        if not self.left:
            return None
        step, left = self.current.op(ctx), self.left
        if step is None:
            left = left - 1 if left > 0 else left
            step = self.gen.op(ctx) if left else None
        if step is None:
            return None
        return step[0], Cycle(self.gen, step[1], left)

    def update(self, event: Op) -> Generator:
        current = self.current.update(event)
        return self if current is self.current else Cycle(self.gen, current, self.left)

    def seeded(self, seed: int, path: str) -> Generator:
        gen = self.gen.seeded(seed, path)
        current = gen if self.current is self.gen else self.current.seeded(seed, path)
        return Cycle(gen, current, self.left)


class UntilOk(Generator, frozen=True):
    """`Generator.until_ok`."""

    gen: Generator
    open: frozenset[int] = frozenset()
    """Processes that carry its operations."""

    def op(self, ctx: Context) -> Step:
        step = self.gen.op(ctx)
        if step is None:
            return None
        op, after = step
        if isinstance(op, Pending):
            return op, self if after is self.gen else UntilOk(after, self.open)
        return op, UntilOk(after, self.open | {op.process})

    def update(self, event: Op) -> Generator:
        gen = self.gen.update(event)
        if event.process not in self.open:
            return self if gen is self.gen else UntilOk(gen, self.open)
        if event.type == "ok":
            return NOTHING
        return UntilOk(gen, self.open - {event.process})

    def seeded(self, seed: int, path: str) -> Generator:
        return UntilOk(self.gen.seeded(seed, path), self.open)


class Synchronize(Generator, frozen=True):
    """`Generator.synchronize`: is replaced by what it held back when the barrier opens."""

    gen: Generator

    def op(self, ctx: Context) -> Step:
        return self.gen.op(ctx) if ctx.free == ctx.threads else (PENDING, self)

    def update(self, event: Op) -> Generator:
        gen = self.gen.update(event)
        return self if gen is self.gen else Synchronize(gen)

    def seeded(self, seed: int, path: str) -> Generator:
        return Synchronize(self.gen.seeded(seed, path))


class OnThreads(Generator, frozen=True):
    """`Generator.on_clients` and `Generator.on_nemesis`."""

    gen: Generator
    nemesis: bool

    def op(self, ctx: Context) -> Step:
        above = 1 << ctx.concurrency
        step = self.gen.op(ctx.only(above if self.nemesis else above - 1))
        if step is None:
            return None
        return step[0], self if step[1] is self.gen else OnThreads(step[1], self.nemesis)

    def update(self, event: Op) -> Generator:
        if (event.process == NEMESIS) != self.nemesis:
            return self
        gen = self.gen.update(event)
        return self if gen is self.gen else OnThreads(gen, self.nemesis)

    def seeded(self, seed: int, path: str) -> Generator:
        return OnThreads(self.gen.seeded(seed, path), self.nemesis)


class Each(Generator, frozen=True):
    """`Generator.each_thread` and `Generator.each_process`."""

    gen: Generator
    by_process: bool
    copies: Mapping[int, Generator] = msgspec.field(default_factory=dict)
    """Thread or process -> its copy, once it was asked."""
    path: str = ""

    def op(self, ctx: Context) -> Step:
        names = ctx.processes if self.by_process else range(len(ctx.processes))
        copies = {name: copy for name, copy in self.copies.items() if name in names}
        until, alive = PENDING.until_ns, False
        for thread in bits(ctx.threads, ctx.cursor):
            name = names[thread]
            copy = copies.get(name)
            if copy is None:
                copy = self.gen.seeded(ctx.seed, f"{self.path}/{name}")
            if not ctx.free >> thread & 1:
                alive = alive or copy is not NOTHING
                continue
            step = copy.op(ctx.only(1 << thread))
            copies[name] = NOTHING if step is None else step[1]
            if step is None:
                continue
            if not isinstance(step[0], Pending):
                return step[0], self._with(copies)
            alive, until = True, min(until, step[0].until_ns)
        return (Pending(until), self._with(copies)) if alive else None

    def update(self, event: Op) -> Generator:
        copies = {name: copy.update(event) for name, copy in self.copies.items()}
        if all(copies[name] is self.copies[name] for name in copies):
            return self
        return self._with(copies)

    def seeded(self, seed: int, path: str) -> Generator:
        return Each(self.gen, self.by_process, self.copies, path)

    def _with(self, copies: Mapping[int, Generator]) -> Generator:
        return Each(self.gen, self.by_process, copies, self.path)
