"""What a generator does against imaginary clients: the way to look at a workload, and to test it.

    for op in simulate(mix(reads, writes).limit(4)):
        print(op.time_ns, op.process, op.type, op.f, op.value)

Time is virtual and nothing is awaited; the scheduler is the real one.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush

from dissensus.harness.errors import UserError
from dissensus.harness.generators.base import NEVER, Liftable
from dissensus.harness.ops import Op, OpType
from dissensus.harness.scheduler import Scheduler

EVENTS_MAX = 100_000
"""A generator that goes on after so many events is taken to be endless."""

Completes = Callable[[Op], tuple[int, OpType]]
"""What becomes of an operation: (how long it takes in ns, outcome)."""


def perfect(op: Op) -> tuple[int, OpType]:
    """Every operation is `ok` after 10 ns."""
    return 10, "ok"


def simulate(
    generator: Liftable,
    *,
    concurrency: int = 3,
    nemesis: bool = False,
    seed: int = 1,
    completes: Completes = perfect,
    op_timeout_ns: int = 10**9,
    path: str = "simulation",
) -> list[Op]:
    """All events, invocations and completions, in order. A completion has the invoked value.

    An operation that would take longer than the time-out is `info` then. Raises UserError for a
    generator that does not end: give it a limit.
    """
    scheduler = Scheduler(
        concurrency=concurrency, seed=seed, op_timeout_ns=op_timeout_ns, nemesis=nemesis
    )
    scheduler.load(generator, path)
    events: list[Op] = []
    back: list[tuple[int, int, Op]] = []
    now = 0
    while True:
        done = []
        while back and back[0][0] <= now:
            done.append(heappop(back)[2])
        events += done
        decision = scheduler.step(now, done)
        for op in decision.dispatch:
            events.append(op)
            takes, outcome = completes(op)
            if takes > op_timeout_ns:
                takes, outcome = op_timeout_ns, "info"
            completion = Op(
                f=op.f,
                key=op.key,
                value=op.value,
                process=op.process,
                type=outcome,
                time_ns=now + takes,
            )
            heappush(back, (now + takes, len(events), completion))
        if scheduler.exhausted():
            return events
        if len(events) > EVENTS_MAX:
            raise UserError(f"the generator goes on after {EVENTS_MAX} events: give it a limit")
        now = max(now, min(decision.wake_ns, back[0][0] if back else NEVER))
