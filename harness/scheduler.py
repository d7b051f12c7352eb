"""The scheduler: which operation is invoked when, by which process; a pure machine.

`step(now_ns, completions, submitted)` takes what came back and what a scenario asks for, and says
what to invoke now, what to cancel, and when to be called again at the latest. It has no clock and
awaits nothing: `drive` runs it on asyncio and on the simulator alike, tests run it by hand.

It owns

- threads and processes: a thread does one operation at a time in the name of its process. An `info`
  ends the process, the thread goes on as process + concurrency (so process mod concurrency is the
  thread, for ever);
- deadlines: an operation that is not back in time is cancelled. The driver reports what became of
  it as any completion: `fail` where that cannot matter (a read), else `info`;
- the generator, one at a time (`load`), and operations from outside (`submitted`), which go first;
- the nemesis thread, if there is one: it is the last one, has no deadline and never ends.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from dissensus.harness.errors import InternalError, SystemFault, UserError
from dissensus.harness.generators.base import (
    NEMESIS,
    NEVER,
    NOTHING,
    Context,
    Generator,
    Liftable,
    Pending,
    lift,
)
from dissensus.harness.ops import Op

CANCEL_GRACE_NS = 10 * 10**9
"""A cancelled operation must come back within this: a client that swallows Cancelled would hold its
thread, and so the run, for ever.
"""
SUBMITTED_MAX = 10_000
"""Operations from outside that wait for a thread: a scenario awaits each, so it has few."""


class Submission(msgspec.Struct, frozen=True, gc=False):
    """An operation from outside the generator."""

    op: Op
    """It is dispatched as this very object, once it has a process."""
    thread: int = -1
    """The thread that must do it, -1 for any client thread."""


class Decision(NamedTuple):
    """What `step` says."""

    dispatch: list[Op]
    """To be invoked now, on thread `thread_of(process)`."""
    cancel: list[Op]
    """To be cancelled now: their time is up."""
    wake_ns: int
    """Call again at this time, if nothing completes before; NEVER where only that can help."""


class Scheduler:
    """See the module. `concurrency` is the number of client threads."""

    def __init__(
        self, *, concurrency: int, seed: int, op_timeout_ns: int, nemesis: bool = False
    ) -> None:
        if concurrency < 1 or op_timeout_ns < 1:
            raise InternalError(f"concurrency {concurrency}, op_timeout_ns {op_timeout_ns}")
        self.concurrency = concurrency
        self.seed = seed
        self.op_timeout_ns = op_timeout_ns
        self.processes: tuple[int, ...] = (*range(concurrency), NEMESIS)
        """Thread -> its present process."""
        self.serial = 1
        """Number of the next operation."""
        self._threads = (1 << concurrency + nemesis) - 1
        self._free = self._threads
        self._cursor = 0
        self._running: list[Op | None] = [None] * (concurrency + 1)
        self._cancelled: dict[int, int] = {}
        """Thread -> when its operation must have come back from being cancelled."""
        self._deadlines: deque[tuple[int, Op]] = deque()
        """Ascending, because all operations have the same time."""
        self._submitted: deque[Submission] = deque()
        self._gen: Generator = NOTHING
        self._ended = True

    def load(self, generator: Liftable, path: str) -> None:
        """Go on with this generator; its draws are below `path`. What the one before would still
        have done is dropped; its open operations end as always.
        """
        self._gen = lift(generator).seeded(self.seed, path)
        self._ended = False

    def exhausted(self) -> bool:
        """Nothing is left to do: the generator has ended, nothing waits, nothing is open."""
        return self._ended and self._free == self._threads and not self._submitted

    def thread_of(self, process: int) -> int:
        """The thread that works in the name of this process, or did."""
        return self.concurrency if process == NEMESIS else process % self.concurrency

    def running(self, thread: int) -> Op | None:
        """The operation that this thread was given and that has not come back."""
        return self._running[thread]

    def step(
        self, now_ns: int, completions: Sequence[Op] = (), submitted: Iterable[Submission] = ()
    ) -> Decision:
        """What to do at `now_ns`. Completions carry the process of their invocation.

        Raises SystemFault when a client holds on to an operation that was cancelled, UserError for
        a generator that breaks its contract.
        """
        for done in completions:
            self._complete(done)
        self._submitted.extend(submitted)
        dispatch: list[Op] = []
        if self._submitted:
            self._serve(now_ns, dispatch)
        wake = self._generate(now_ns, dispatch)
        cancel, deadline = self._expire(now_ns)
        return Decision(dispatch, cancel, min(wake, deadline))

    def _complete(self, done: Op) -> None:
        process = done.process
        thread = self.thread_of(process)
        invoked = self._running[thread]
        if invoked is None or invoked.process != process or done.type == "invoke":
            raise InternalError(f"{done} completes nothing that is open on thread {thread}")
        self._running[thread] = None
        self._free |= 1 << thread
        self._cancelled.pop(thread, None)
        if done.type == "info" and process != NEMESIS:
            processes = list(self.processes)
            processes[thread] = process + self.concurrency
            self.processes = tuple(processes)
        self._gen = self._gen.update(done)

    def _serve(self, now_ns: int, dispatch: list[Op]) -> None:
        """Give waiting submissions their threads, in order; one that must wait holds up none."""
        if len(self._submitted) > SUBMITTED_MAX:
            raise InternalError(f"{SUBMITTED_MAX} submitted operations wait: who awaits them?")
        clients = (1 << self.concurrency) - 1
        for _ in range(len(self._submitted)):
            submission = self._submitted.popleft()
            mask = clients if submission.thread < 0 else 1 << submission.thread
            thread = self._context(now_ns).only(mask).pick()
            if thread < 0:
                self._submitted.append(submission)
                continue
            submission.op.process = self.processes[thread]
            self._invoke(now_ns, thread, submission.op)
            dispatch.append(submission.op)

    def _generate(self, now_ns: int, dispatch: list[Op]) -> int:
        """Ask the generator as long as it has operations; when to ask it again."""
        while not self._ended and self._free:
            step = self._gen.op(self._context(now_ns))
            if step is None:
                self._ended, self._gen = True, NOTHING
                break
            op, self._gen = step
            if isinstance(op, Pending):
                self._check_pending(now_ns, op.until_ns, idle=not dispatch)
                return op.until_ns
            thread = self.thread_of(op.process)
            if not self._free >> thread & 1 or self.processes[thread] != op.process:
                raise UserError(f"a generator gave {op} to a thread that is not free")
            self._invoke(now_ns, thread, op)
            dispatch.append(op)
        return NEVER

    def _check_pending(self, now_ns: int, until_ns: int, *, idle: bool) -> None:
        if until_ns <= now_ns:
            raise UserError(f"a generator is pending until {until_ns}, which is past")
        if until_ns == NEVER and idle and self._free == self._threads and not self._submitted:
            raise UserError(
                "the generator waits for ever: every thread is free, and it has no operation for "
                "any of them (is a part of it for a nemesis thread, and there is none?)"
            )

    def _invoke(self, now_ns: int, thread: int, op: Op) -> None:
        op.time_ns = now_ns
        self.serial += 1
        self._free &= ~(1 << thread)
        self._cursor = thread + 1
        self._running[thread] = op
        if thread != self.concurrency:
            self._deadlines.append((now_ns + self.op_timeout_ns, op))

    def _expire(self, now_ns: int) -> tuple[list[Op], int]:
        """(operations whose time is up, when the next one's is)."""
        cancel: list[Op] = []
        deadlines, running = self._deadlines, self._running
        wake = NEVER
        while deadlines:
            due, op = deadlines[0]
            thread = op.process % self.concurrency
            if running[thread] is op:
                if due > now_ns:
                    wake = due
                    break
                cancel.append(op)
                self._cancelled[thread] = now_ns + CANCEL_GRACE_NS
            deadlines.popleft()
        for thread, until in self._cancelled.items():
            if now_ns >= until:
                raise SystemFault(
                    f"the client of process {self.processes[thread]} was cancelled in "
                    f"{running[thread]} and still runs after {CANCEL_GRACE_NS / 1e9:g} s: it must "
                    "let Cancelled through"
                )
            wake = min(wake, until)
        return cancel, wake

    def _context(self, now_ns: int) -> Context:
        return Context(
            now_ns,
            self._free,
            self._threads,
            self._cursor,
            self.serial,
            self.processes,
            self.seed,
        )
