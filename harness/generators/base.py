"""What a generator is: a pure, persistent value that says which operation comes next.

`op` and `update` never change the generator, they return the next one. So a generator can be asked
as often as one likes, and the whole schedule of a run is a function of (generator, contexts, seed).
Random draws are keyed by (seed, path of the generator in its tree, number of the operation): asking
twice draws the same, and adding a generator elsewhere in the tree shifts nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from dissensus.harness.errors import UserError, unknown_name
from dissensus.harness.ops import Op
from dissensus.harness.randomness import Rng

NEVER = 2**63 - 1
"""A time that does not come."""
NEMESIS = -2
"""Process of the nemesis thread: the thread after those of the clients."""

ONCE_FIELDS = ("f", "key", "value", "x")
"""What an operation says before the scheduler has given it a process and a time."""


class Pending(msgspec.Struct, frozen=True, gc=False):
    """Nothing to do now: ask again when an operation completes, and not later than `until_ns`."""

    until_ns: int


PENDING = Pending(NEVER)


class Context(msgspec.Struct, frozen=True, gc=False):
    """What a generator may look at when it is asked. Threads are numbered from 0; sets of them are
    bit masks.
    """

    time_ns: int
    free: int
    """Threads that this generator may use now."""
    threads: int
    """Threads that this generator may use at all."""
    cursor: int
    """The thread after the one that was used last: `pick` goes round, so that none is starved."""
    serial: int
    """Number of the next operation in the whole run, from 1. As a value it is unique."""
    processes: tuple[int, ...]
    """Thread -> its present process; the last one is the nemesis thread, with process NEMESIS."""
    seed: int

    @property
    def concurrency(self) -> int:
        """Number of client threads."""
        return len(self.processes) - 1

    def pick(self) -> int:
        """The next free thread, -1 where there is none."""
        free = self.free
        if not free:
            return -1
        chosen = (free >> self.cursor << self.cursor) or free
        return (chosen & -chosen).bit_length() - 1

    def only(self, mask: int) -> Context:
        """The same for a generator that may use these threads alone."""
        return Context(
            self.time_ns,
            self.free & mask,
            self.threads & mask,
            self.cursor,
            self.serial,
            self.processes,
            self.seed,
        )

    def rand(self, path: str) -> Rng:
        """Draws for this operation: keyed by (seed, path, serial)."""
        return Rng(self.seed, f"{path}/{self.serial}")


def bits(mask: int, cursor: int = 0) -> Iterator[int]:
    """The threads in a mask, going round from `cursor`."""
    high = mask >> cursor << cursor
    for left in (high, mask ^ high):
        part = left
        while part:
            low = part & -part
            yield low.bit_length() - 1
            part ^= low


class Generator(msgspec.Struct, frozen=True):
    """Base of all generators. A new one implements `op`, and where it matters the other two.

    The methods below them wrap it: `reads.limit(10).stagger(5_000_000)`. Times are in ns.
    """

    def op(self, ctx: Context) -> Step:
        """What comes next: (an operation made by `fill`, the generator after it), (a `Pending`, the
        generator to ask again), or None for good. The operation is invoked at once, and belongs to
        the caller.
        """
        raise NotImplementedError(f"{type(self).__name__} has no `op`")

    def update(self, event: Op) -> Generator:
        """The generator that knows of this completion. It may be of an operation of another part
        of the tree.
        """
        return self

    def seeded(self, seed: int, path: str) -> Generator:
        """The same with its random streams below `path`, and those of its parts."""
        return self

    def then(self, *others: Liftable) -> Generator:
        """This one to its end, then the others in order. Operations may still be open between."""
        return Concat(self, tuple(lift(other) for other in others))

    def limit(self, n: int) -> Generator:
        """At most n operations."""
        from dissensus.harness.generators.wrap import Limit

        return Limit(self, _at_least("limit", n, 0))

    def time_limit(self, span_ns: int) -> Generator:
        """No operation later than `span_ns` after it was first asked."""
        from dissensus.harness.generators.wrap import TimeLimit

        return TimeLimit(self, _at_least("time_limit", span_ns, 0))

    def stagger(self, mean_ns: int) -> Generator:
        """Random gaps between operations, uniform in [0, 2 * mean]: over all threads together. What
        was late by a little is made up for, a long pause is not.
        """
        from dissensus.harness.generators.wrap import Spaced

        return Spaced(self, _at_least("stagger", mean_ns, 0), random=True)

    def delay(self, gap_ns: int) -> Generator:
        """The same gap between operations, over all threads together; lateness as `stagger`."""
        from dissensus.harness.generators.wrap import Spaced

        return Spaced(self, _at_least("delay", gap_ns, 0), random=False)

    def repeat(self, n: int = -1) -> Generator:
        """Its first operation again and again, n times or for ever."""
        from dissensus.harness.generators.wrap import Repeat

        return Repeat(self, _at_least("repeat", n, -1))

    def cycle(self, n: int = -1) -> Generator:
        """From its beginning again each time that it is exhausted; n rounds in all, or for ever."""
        from dissensus.harness.generators.wrap import Cycle

        return Cycle(self, self, _at_least("cycle", n, -1))

    def until_ok(self) -> Generator:
        """Until one of its operations was `ok`. With several threads some more may be open then."""
        from dissensus.harness.generators.wrap import UntilOk

        return UntilOk(self)

    def synchronize(self) -> Generator:
        """A barrier before it: it starts when all its threads are free."""
        from dissensus.harness.generators.wrap import Synchronize

        return Synchronize(self)

    def on_clients(self) -> Generator:
        """On the client threads alone."""
        from dissensus.harness.generators.wrap import OnThreads

        return OnThreads(self, nemesis=False)

    def on_nemesis(self) -> Generator:
        """On the nemesis thread alone."""
        from dissensus.harness.generators.wrap import OnThreads

        return OnThreads(self, nemesis=True)

    def each_thread(self) -> Generator:
        """A copy of its own for every thread; ends when all have ended."""
        from dissensus.harness.generators.wrap import Each

        return Each(self, by_process=False)

    def each_process(self) -> Generator:
        """A copy of its own for every process. An `info` makes a new process, which begins with a
        fresh copy: bound it in number or time, where operations may all be `info`.
        """
        from dissensus.harness.generators.wrap import Each

        return Each(self, by_process=True)


Step: TypeAlias = tuple[Op | Pending, Generator] | None
"""What `Generator.op` returns."""

Template: TypeAlias = Op | Mapping[str, Any]
Liftable: TypeAlias = (
    Generator | Template | Sequence[Any] | Callable[[Context], "Liftable | None"] | None
)
"""What `lift` makes a generator of."""


class Nothing(Generator, frozen=True):
    """Exhausted."""

    def op(self, ctx: Context) -> Step:
        return None


NOTHING = Nothing()


class Once(Generator, frozen=True):
    """One operation, once."""

    template: Op

    def op(self, ctx: Context) -> Step:
        op = fill(self.template, ctx)
        return (PENDING, self) if op is None else (op, NOTHING)


class Calls(Generator, frozen=True):
    """A function of the context, called for every operation until it returns None.

    It may return anything that lifts; what is not a single operation runs to its end first.
    """

    function: Callable[[Context], Liftable]
    path: str = ""

    def op(self, ctx: Context) -> Step:
        if not ctx.free:
            return PENDING, self
        found = self.function(ctx)
        if found is None:
            return None
        if type(found) is Op or isinstance(found, Mapping):
            op = fill(template_of(found), ctx)
            assert op is not None
            return op, self
        part = lift(found).seeded(ctx.seed, f"{self.path}/{ctx.serial}")
        return Concat(part, (self,)).op(ctx)

    def seeded(self, seed: int, path: str) -> Generator:
        return Calls(self.function, path)


class Concat(Generator, frozen=True):
    """Generators in order."""

    current: Generator
    rest: tuple[Generator, ...]
    index: int = 0
    """Where in `rest` it goes on."""

    def op(self, ctx: Context) -> Step:
        current, index = self.current, self.index
        while True:
            step = current.op(ctx)
            if step is not None:
                if step[1] is self.current and index == self.index:
                    return step[0], self
                return step[0], Concat(step[1], self.rest, index)
            if index == len(self.rest):
                return None
            current = self.rest[index]
            index += 1

    def update(self, event: Op) -> Generator:
        current = self.current.update(event)
        return self if current is self.current else Concat(current, self.rest, self.index)

    def seeded(self, seed: int, path: str) -> Generator:
        rest = tuple(g.seeded(seed, f"{path}/{i + 1}") for i, g in enumerate(self.rest))
        return Concat(self.current.seeded(seed, f"{path}/0"), rest, self.index)


def fill(template: Op, ctx: Context) -> Op | None:
    """The operation of a template, on the next free thread; None where none is free."""
    thread = ctx.pick()
    if thread < 0:
        return None
    return Op(
        f=template.f,
        key=template.key,
        value=template.value,
        process=ctx.processes[thread],
        x=template.x,
    )


def template_of(thing: Template) -> Op:
    """The template that an operation or its dict is. Raises UserError where it is none."""
    if isinstance(thing, Op):
        return thing
    for name in thing:
        if name not in ONCE_FIELDS:
            raise unknown_name("field of an operation", str(name), ONCE_FIELDS)
    if not isinstance(thing.get("f"), str):
        raise UserError(f"an operation needs an f, such as {{'f': 'read'}}, not {dict(thing)!r}")
    return Op(**thing)


def lift(thing: Liftable) -> Generator:
    """A generator of anything that is one by nature.

    An operation (`Op`, or a dict with f, key, value, x) is invoked once; a function of the context
    is called again and again; a list or tuple is its parts in order; None is nothing.
    """
    if isinstance(thing, Generator):
        return thing
    if thing is None:
        return NOTHING
    if isinstance(thing, Op | Mapping):
        return Once(template_of(thing))
    if callable(thing):
        return Calls(thing)
    if isinstance(thing, list | tuple):
        return Concat(NOTHING, tuple(lift(part) for part in thing))
    raise UserError(
        f"{thing!r:.100} is no generator: give an operation, a function of the context, a list of "
        "such, or a generator"
    )


def _at_least(what: str, number: int, least: int) -> int:
    """`number`, or a UserError."""
    if not isinstance(number, int) or number < least:
        raise UserError(f"{what}({number!r}): an integer from {least} on is needed")
    return number
