"""The driver of the scheduler: real clients on `env`, the same on asyncio and on the simulator.

Each thread has one task that waits for operations and runs them on the client of its process; when
an operation is back, that task steps the scheduler itself and hands out what it decides. So there
is no task per operation and no timer per operation: one task sleeps until the scheduler wants to be
called again. A task that was cancelled because an operation was late ends with it, and another
takes its seat.

    drive = Drive(env, scheduler, client=lambda: system.client("cas-register"), nodes=nodes,
                  hosts=hosts, record=writer.op)
    await drive.run(warm_up, "warm-up")
    await drive.run(chaos, "chaos")
    await drive.close()
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

from dissensus.harness.env import DeadlineExceeded, Env, Queue, Task
from dissensus.harness.errors import InternalError, SystemFault, UserError
from dissensus.harness.generators.base import NEMESIS, NEVER, Liftable
from dissensus.harness.ops import Op
from dissensus.harness.scheduler import Scheduler, Submission
from dissensus.harness.system import Client, ClientSession, bug_of, outcome_of

CLOSE_NS = 2 * 10**9
"""A client may take so long to close: its thread waits for it, and so does the end of the run."""

LATE = "timeout"
"""Error of an operation that the scheduler cancelled."""


_END = Op(f="end")
"""Wakes a task that waits for operations, when the run ends."""


class _Seat:
    """A thread: the task that runs its operations, and the client of its process."""

    __slots__ = ("client", "late", "op", "process", "queue", "task", "thread", "timed_out")

    def __init__(self, thread: int, queue: Queue[Op]) -> None:
        self.thread = thread
        self.queue = queue
        self.task: Task[None] | None = None
        self.client: Client | None = None
        self.process = -1
        """Whose client it is."""
        self.op: Op | None = None
        """What runs on the client now."""
        self.timed_out = False
        """The task was cancelled because `op` is late."""
        self.late: Op | None = None
        """An operation that was late before it began."""


class _Invocation:
    """A scenario that waits for its operation."""

    __slots__ = ("done", "op")

    def __init__(self, op: Op, done: Queue[Op | None]) -> None:
        self.op = op
        self.done = done


class Drive:
    """Runs a scheduler; one per run, from its first operation to its last.

    `client` makes a client; `record` is called with every event of every operation, in the order
    in which they happened: an invocation before the call begins, a completion after it returned.
    Process p sits on host p mod n; half the clients are pinned to the node of the same number, the
    other half roam. `nemesis` runs the operations of the nemesis thread, which are not recorded.
    """

    def __init__(
        self,
        env: Env,
        scheduler: Scheduler,
        *,
        client: Callable[[], Client],
        nodes: Sequence[str],
        hosts: Sequence[str],
        record: Callable[[Op], None],
        nemesis: Callable[[Op], Awaitable[Any]] | None = None,
    ) -> None:
        self._env = env
        self._scheduler = scheduler
        self._client = client
        self._nodes = tuple(nodes)
        self._hosts = tuple(hosts)
        self._record = record
        self._nemesis = nemesis
        self._seats = [_Seat(t, env.queue(2)) for t in range(scheduler.concurrency + 1)]
        self._invocations: list[_Invocation] = []
        self._timer: Task[None] | None = None
        self._wake_ns = NEVER
        """When the timer goes off; NEVER where there is none."""
        self._ticking = False
        """The timer steps the scheduler right now: it need not be armed, it goes on itself."""
        self._ended = env.event()
        self._failure: BaseException | None = None
        self._running = False
        self._closing = False

    async def run(self, generator: Liftable, path: str) -> None:
        """Run a generator to its end, every operation back; its draws are below `path`. A cancel
        ends the generator: nothing more of it is invoked.

        Raises SystemFault for a client that breaks its contract, and what `record` or the generator
        raised. Everything that happened is recorded by then.
        """
        if self._running or self._closing:
            raise InternalError("a drive runs one generator at a time, and none once it is closed")
        self._running = True
        self._ended = self._env.event()
        try:
            if self._failure is None:
                self._scheduler.load(generator, path)
                self._step()
                await self._ended.wait()
        except BaseException:
            self.stop()
            raise
        finally:
            self._running = False
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Invoke nothing more of the present generator: `run` returns when open operations have
        come back, or are late.
        """
        self._scheduler.load(None, "")
        self._step()

    async def invoke(self, f: str, key: Any = None, value: Any = None, *, thread: int = -1) -> Op:
        """One operation from outside the generator: waits for a free thread (or for this one), then
        for its completion, which it returns.
        """
        if not -1 <= thread < self._scheduler.concurrency:
            raise UserError(
                f"thread {thread} is out of range: 0 to {self._scheduler.concurrency - 1}, "
                "or -1 for any"
            )
        done: Queue[Op | None] = self._env.queue(1)
        asked = _Invocation(Op(f=f, key=key, value=value), done)
        if self._failure is None:
            self._invocations.append(asked)
            self._step(submitted=(Submission(asked.op, thread),))
        completed = None if self._failure is not None else await done.get()
        if completed is None:
            assert self._failure is not None
            raise self._failure
        return completed

    def session(self, thread: int) -> ClientSession:
        """Who works on a thread now, and where it sits."""
        process = self._scheduler.processes[thread]
        n = len(self._nodes)
        # In each block of n threads every other one is pinned, in the next block the others are: so
        # pinned clients reach every node, whether n is odd or even.
        pinned = (thread // n + thread % n) % 2 == 0
        return ClientSession(
            process=process,
            host=self._hosts[process % len(self._hosts)],
            pinned=self._nodes[process % n] if pinned else None,
            nodes=self._nodes,
        )

    async def close(self) -> None:
        """Cancel what is still open (it stays so in the history) and let go of all clients."""
        if self._closing:
            return
        if self._invocations:
            self._fail(InternalError("the drive is closed while a scenario waits for it"))
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()
        tasks = [seat.task for seat in self._seats if seat.task is not None]
        for seat in self._seats:
            if seat.task is not None and seat.op is not None:
                seat.task.cancel()
            else:
                seat.queue.put(_END)
        bound = self._env.now() + 2 * CLOSE_NS
        for task in tasks:
            # Who does not come back is named by the env, when the run ends.
            with suppress(DeadlineExceeded):
                await self._env.timeout(bound - self._env.now(), task.join())

    # -- stepping the scheduler -----------------------------------------------------------------

    def _step(self, completions: Sequence[Op] = (), submitted: Sequence[Submission] = ()) -> None:
        """Step the scheduler and do what it says. Never raises: a failure ends the run."""
        if self._failure is not None or self._closing:
            return
        try:
            dispatch, cancel, wake_ns = self._scheduler.step(
                self._env.now(), completions, submitted
            )
            for op in dispatch:
                self._hand_out(op)
            for op in cancel:
                self._cancel(op)
            if wake_ns < self._wake_ns:
                self._arm(wake_ns)
            if not dispatch and self._scheduler.exhausted():
                self._ended.set()
        except Exception as error:
            self._fail(error)

    def _hand_out(self, op: Op) -> None:
        seat = self._seats[self._scheduler.thread_of(op.process)]
        if seat.task is None:
            seat.task = self._env.spawn(self._work(seat), f"thread {seat.thread}")
        seat.queue.put(op)

    def _cancel(self, op: Op) -> None:
        seat = self._seats[self._scheduler.thread_of(op.process)]
        if seat.op is op and seat.task is not None:
            seat.timed_out = True
            seat.task.cancel()
        else:
            seat.late = op

    def _arm(self, wake_ns: int) -> None:
        """Let the scheduler be stepped at `wake_ns`, which is before the present alarm."""
        self._wake_ns = wake_ns
        if self._ticking:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._env.spawn(self._tick(), "timer of the scheduler")

    async def _tick(self) -> None:
        while self._wake_ns < NEVER:
            await self._env.sleep(self._wake_ns - self._env.now())
            self._wake_ns = NEVER
            self._ticking = True
            self._step()
            self._ticking = False
        self._timer = None

    def _fail(self, error: BaseException) -> None:
        """End the run with this error, unless it has failed already."""
        if self._failure is None:
            self._failure = error
        self._ended.set()
        for asked in self._invocations:
            asked.done.put(None)
        self._invocations.clear()

    # -- a thread -------------------------------------------------------------------------------

    async def _work(self, seat: _Seat) -> None:
        """Run operations, until one is late or the run ends."""
        try:
            while not seat.timed_out:
                op = await seat.queue.get()
                if seat.process != op.process:
                    await self._let_go(seat)
                if self._closing:
                    break
                if op.process == NEMESIS:
                    done = await self._inject(seat, op)
                else:
                    done = await self._perform(seat, op)
                if self._invocations:
                    self._answer(op, done)
                # A client that never waits (it blocks, or it fakes) must not starve the others.
                await self._env.sleep(0)
                self._step((done,))
        except Exception as error:
            self._fail(error)
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as error:
            if not self._closing:
                # The run is at its end, or the client lets out a cancel of its own making.
                self._fail(self._stray(seat, error))
        if self._closing or self._failure is not None:
            await self._let_go(seat)
        else:
            # The cancel has left its mark on this task (asyncio counts them): begin another.
            seat.timed_out = False
            seat.task = self._env.spawn(self._work(seat), f"thread {seat.thread}")

    async def _perform(self, seat: _Seat, op: Op) -> Op:
        """One operation: what came of it. Both events are recorded."""
        done = Op(f=op.f, key=op.key, value=op.value, process=op.process, type="ok")
        op.time_ns = self._env.now()
        self._record(op)
        if seat.late is op:
            done.type, done.error = "fail", LATE
        else:
            seat.op = op
            await self._call(seat, op, done)
            seat.op = None
        seat.late = None
        done.time_ns = self._env.now()
        self._record(done)
        if self._failure is not None:
            raise self._failure
        return done

    async def _call(self, seat: _Seat, op: Op, done: Op) -> None:
        """Fill in `done` by what the client makes of `op`."""
        client = seat.client
        try:
            if client is None:
                client = seat.client = self._client()
                await client.open(self._env, self.session(seat.thread))
                seat.process = op.process
            result = await getattr(client, op.f.replace("-", "_"))(op.key, op.value)
            if result is not None:
                done.value = result
        except Exception as error:
            self._outcome(seat, op, done, error)
        except BaseException:
            if not seat.timed_out or self._closing:
                raise
            self._outcome(seat, op, done, DeadlineExceeded("the scheduler's deadline"))
        if seat.process != op.process:
            # It was not even open: nothing was sent.
            done.type = "fail"
            return
        assert client is not None
        try:
            done.node, done.x = client.hints()
        except Exception as error:
            self._fail(bug_of(client, "hints", error))

    def _outcome(self, seat: _Seat, op: Op, done: Op, error: Exception) -> None:
        """Note the outcome of an error; one that is none fails the run, as an `info`."""
        try:
            what = op.f if seat.process == op.process else "open"
            done.type, done.error = outcome_of(seat.client or Client(), what, error)
        except SystemFault as fault:
            done.type, done.error = "info", type(error).__name__
            self._fail(fault)

    async def _let_go(self, seat: _Seat) -> None:
        """Close the seat's client, if it has one."""
        client, seat.client, seat.process = seat.client, None, -1
        if client is None:
            return
        try:
            await self._env.timeout(CLOSE_NS, client.close())
        except Exception as error:
            if not isinstance(error, client.indefinite):
                self._fail(bug_of(client, "close", error))

    def _stray(self, seat: _Seat, error: BaseException) -> SystemFault:
        fault = SystemFault(
            f"{type(seat.client).__name__} let a {type(error).__name__} out of {seat.op} that did "
            "not come from the scheduler"
        )
        fault.__cause__ = error
        return fault

    async def _inject(self, seat: _Seat, op: Op) -> Op:
        """An operation of the nemesis."""
        if self._nemesis is None:
            raise InternalError(f"{op} is for a nemesis, and there is none")
        op.time_ns = self._env.now()
        seat.op = op
        result = await self._nemesis(op)
        seat.op = None
        return Op(
            f=op.f,
            key=op.key,
            value=op.value if result is None else result,
            process=op.process,
            type="ok",
            time_ns=self._env.now(),
        )

    def _answer(self, op: Op, done: Op) -> None:
        """Tell the scenario that waits for this operation."""
        for asked in self._invocations:
            if asked.op is op:
                self._invocations.remove(asked)
                asked.done.put(done)
                return
