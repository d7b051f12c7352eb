"""The `env` of real clusters: thin wrappers over asyncio with exactly the semantics of `sim`.

What differs between the two event loops is settled here, so that clients, scenarios and nemeses see
one world: asyncio's CancelledError becomes `Cancelled` in every primitive, a deadline is told apart
from a cancel that comes from outside, a full queue is an error, and a task that failed unseen fails
the run. Foreign code (a client library) sees asyncio as it is. `tests/harness/test_env.py` runs the
same scenarios on both.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Coroutine
from contextlib import suppress
from typing import Any, Generic, Protocol, TypeVar

from dissensus.harness.env import Cancelled, Codec, Conn, DeadlineExceeded
from dissensus.harness.errors import InternalError
from dissensus.harness.randomness import Rng
from dissensus.harness.sim.env import await_location

T = TypeVar("T")

CLEANUP_NS = 10 * 10**9
"""Time that tasks left over at the end of a run may take to clean up after Cancelled: nodes that
are asked to stop take less.
"""


class Connector(Protocol):
    """What a cluster offers to its env: connections through the run's links (`Env.connect`)."""

    async def connect(self, host: str, node: str, codec: Codec, port: str) -> Conn: ...


async def foreign(awaitable: Awaitable[T]) -> T:
    """Await something of asyncio's as if it were a primitive of env: for connectors and nodes."""
    try:
        return await awaitable
    except asyncio.CancelledError:
        raise Cancelled from None


class AioTask(Generic[T]):
    """A spawned coroutine (`harness.env.Task`)."""

    __slots__ = ("_coro", "_env", "_error", "_finished", "_joiners", "_task", "_value", "joined")

    def __init__(self, env: AsyncioEnv, coro: Coroutine[Any, Any, T], name: str) -> None:
        self.joined = False
        """Somebody took the result or the exception."""
        self._env = env
        self._coro = coro
        self._finished = False
        self._value: Any = None
        self._error: BaseException | None = None
        self._joiners: list[asyncio.Future[None]] = []
        self._task = asyncio.get_running_loop().create_task(self._run(), name=name)
        self._task.add_done_callback(self._ended)

    @property
    def name(self) -> str:
        return self._task.get_name()

    def cancel(self) -> None:
        """Raise Cancelled inside it at its next await; no effect on a task that is done."""
        self._task.cancel()

    def done(self) -> bool:
        return self._finished

    def failed(self) -> BaseException | None:
        """The exception that ended it, if one did."""
        return self._error

    async def join(self) -> T:
        """Its result, or its exception. Cancelling the one who waits does not cancel it."""
        self.joined = True
        if not self._finished:
            if asyncio.current_task() is self._task:
                raise InternalError(f"task {self.name!r} waits for itself")
            waiter = asyncio.get_running_loop().create_future()
            self._joiners.append(waiter)
            await foreign(waiter)
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[no-any-return]

    def where(self) -> str:
        """File and line of the innermost await, for error messages."""
        return await_location(self._coro, own=(__name__,))

    def abandon(self) -> None:
        """Close the coroutine of a task that goes on after it was cancelled."""
        # One that awaits in its clean-up cannot be closed in peace; the run has failed anyway.
        with suppress(RuntimeError):
            self._coro.close()

    async def _run(self) -> None:
        try:
            self._value = await self._coro
        except asyncio.CancelledError:
            self._error = Cancelled()
        except (Exception, Cancelled) as error:
            self._error = error
        self._finish()

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Of asyncio's task: sees what `_run` cannot, a cancel before the first step."""
        if not self._finished:
            self._coro.close()
            self._error = Cancelled() if task.cancelled() else task.exception()
            self._finish()

    def _finish(self) -> None:
        self._finished = True
        self._env.task_finished(self)
        for waiter in self._joiners:
            if not waiter.done():
                waiter.set_result(None)
        self._joiners.clear()


class AioEvent:
    """A flag that tasks can wait for (`harness.env.Event`)."""

    __slots__ = ("_set", "_waiters")

    def __init__(self) -> None:
        self._set = False
        self._waiters: list[asyncio.Future[None]] = []

    def set(self) -> None:
        self._set = True
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()

    def is_set(self) -> bool:
        return self._set

    async def wait(self) -> None:
        if self._set:
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            raise Cancelled from None


class AioQueue(Generic[T]):
    """First in, first out (`harness.env.Queue`)."""

    __slots__ = ("_items", "_limit", "_waiters")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._items: deque[T] = deque()
        self._waiters: deque[asyncio.Future[None]] = deque()

    def put(self, item: T) -> None:
        if len(self._items) >= self._limit:
            raise InternalError(f"a queue of {self._limit} items is full: its reader is too slow")
        self._items.append(item)
        self._wake()

    async def get(self) -> T:
        items = self._items
        while not items:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter in self._waiters:
                    self._waiters.remove(waiter)
                elif items:
                    # It was woken for an item and cancelled before it took it: the next one takes
                    # it.
                    self._wake()
                raise Cancelled from None
        return items.popleft()

    def __len__(self) -> int:
        return len(self._items)

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return


class _Alarm:
    """The deadline of one `timeout`: cancels the task, and knows whether nobody else did."""

    __slots__ = ("_before", "_rang", "_task")

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self._task = task
        self._before = task.cancelling()
        self._rang = False

    def ring(self) -> None:
        self._rang = True
        self._task.cancel()

    def settle(self) -> bool:
        """Take its own cancel back; True where that was the only one. Once."""
        if not self._rang:
            return False
        self._rang = False
        return self._task.uncancel() <= self._before


class AsyncioEnv:
    """One per run (`harness.env.Env`). Times are integer ns since it was made.

    `connector` is the way into the run's links; without one `connect` is an error.
    """

    def __init__(self, seed: int, connector: Connector | None = None) -> None:
        self.seed = seed
        self.connector = connector
        self._start = time.monotonic_ns()
        self._tasks: dict[AioTask[Any], None] = {}
        self._lost: list[AioTask[Any]] = []
        """Tasks that ended with an exception before anybody joined them."""

    def now(self) -> int:
        return time.monotonic_ns() - self._start

    async def sleep(self, ns: int) -> None:
        """Resume after `ns`; zero and less yield to what is due."""
        try:
            await asyncio.sleep(ns / 1e9 if ns > 0 else 0)
        except asyncio.CancelledError:
            raise Cancelled from None

    def rand(self, path: str) -> Rng:
        return Rng(self.seed, path)

    async def connect(self, host: str, node: str, codec: Codec, port: str = "client") -> Conn:
        """See `Env.connect`."""
        if self.connector is None:
            raise InternalError("this run has no cluster to connect to")
        return await self.connector.connect(host, node, codec, port)

    def event(self) -> AioEvent:
        return AioEvent()

    def queue(self, limit: int) -> AioQueue[Any]:
        return AioQueue(limit)

    def spawn(self, coro: Coroutine[Any, Any, T], name: str) -> AioTask[T]:
        task = AioTask(self, coro, name)
        self._tasks[task] = None
        return task

    async def timeout(self, ns: int, coro: Coroutine[Any, Any, T]) -> T:
        task = asyncio.current_task()
        assert task is not None
        alarm = _Alarm(task)
        handle = asyncio.get_running_loop().call_later(max(ns, 0) / 1e9, alarm.ring)
        try:
            return await coro
        except (Cancelled, asyncio.CancelledError):
            if alarm.settle():
                raise DeadlineExceeded(f"not done within {ns / 1e6:g} ms") from None
            raise
        finally:
            handle.cancel()
            alarm.settle()

    def task_finished(self, task: AioTask[Any]) -> None:
        """For `AioTask`: it will not run again."""
        self._tasks.pop(task, None)
        error = task.failed()
        if error is not None and not isinstance(error, Cancelled) and not task.joined:
            self._lost.append(task)

    def run(self, coro: Coroutine[Any, Any, T]) -> T:
        """Run `coro` to its end on an event loop of its own; then cancel what it left behind.

        Raises its exception, that of a task whose result nobody took, and InternalError when a task
        goes on after it was cancelled. Ctrl-C cancels `coro`, and is raised once it has cleaned up.
        """
        with asyncio.Runner() as runner:
            value = runner.run(self._main(coro))
        for task in self._lost:
            if not task.joined:
                raise InternalError(f"task {task.name!r} failed unseen") from task.failed()
        return value

    async def _main(self, coro: Coroutine[Any, Any, T]) -> T:
        main = self.spawn(coro, "main")
        try:
            return await main.join()
        except Cancelled:
            if main.done():
                raise
            raise asyncio.CancelledError from None
        finally:
            try:
                await self._cancel_rest()
            except InternalError:
                # What went wrong in main says more than what it left behind.
                if main.failed() is None:
                    raise

    async def _cancel_rest(self) -> None:
        """Cancel the tasks that are left and let them clean up, for a bounded time."""
        for task in list(self._tasks):
            task.cancel()
        bound = time.monotonic() + CLEANUP_NS / 1e9
        while self._tasks and (left := bound - time.monotonic()) > 0:
            await asyncio.wait([task._task for task in self._tasks], timeout=left)
        if self._tasks:
            waiting = "; ".join(f"{task.name} at {task.where()}" for task in self._tasks)
            for task in list(self._tasks):
                task.abandon()
            raise InternalError(
                f"tasks go on {CLEANUP_NS} ns after they were cancelled: {waiting:.1000}"
            )
