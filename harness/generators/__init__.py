"""Generators: what clients and nemesis do, as pure values. This page is how to write a workload.

An operation is a dict, `{"f": "read"}`, a function of the context that returns one, or a list of
such in order. `lift` makes a generator of it, and generators are put together:

    from dissensus.harness.generators import independent, lift, mix, phases

    reads = lift({"f": "read"}).repeat()                      # one operation, for ever
    writes = lift(lambda ctx: {"f": "write", "value": ctx.serial})
    chaos = (
        independent(lambda key: mix(reads, writes).limit(200), keys=5)
        .stagger(5_000_000)                                   # 200 a second, over all threads
        .time_limit(30 * 10**9)
    )
    whole = phases(reads.until_ok(), chaos, lift({"f": "read"}).each_thread())

Rules that hold for all of them:

- An operation that stands alone is invoked once. A function is called for each operation, with a
  `Context`; `ctx.serial` numbers the operations of the run, so it is a value that nobody else
  writes; `ctx.rand(path)` draws. Functions must be pure: the same context, the same answer.
- Rates and counts are totals over all threads, not per thread.
- A thread does one operation at a time. Which one is free is the scheduler's business: an
  operation goes to the next free thread, in turn. `on_clients`, `on_nemesis` and `reserve` say
  which threads a generator may use, `each_thread` and `each_process` give each a copy of its own.
- `phases` and `synchronize` wait until all threads have come back; `then` does not.
- `simulate.simulate(generator)` shows what it does, without a system and without waiting.
- A generator that must know what became of operations implements `update` (`registers.Cas` is an
  example); a new combinator is a frozen class with `op`, `update` and `seeded` (see `base`).
"""

from dissensus.harness.generators.base import (
    NEMESIS,
    NEVER,
    NOTHING,
    PENDING,
    Context,
    Generator,
    Liftable,
    Pending,
    Step,
    fill,
    lift,
)
from dissensus.harness.generators.combine import any_of, mix, phases, reserve
from dissensus.harness.generators.keys import independent
from dissensus.harness.generators.registers import register

__all__ = [
    "NEMESIS",
    "NEVER",
    "NOTHING",
    "PENDING",
    "Context",
    "Generator",
    "Liftable",
    "Pending",
    "Step",
    "any_of",
    "fill",
    "independent",
    "lift",
    "mix",
    "phases",
    "register",
    "reserve",
]
