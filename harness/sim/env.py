"""The `env` of the simulator: tasks on a trampoline over the heap, in virtual time.

A task is a coroutine that the trampoline resumes with `send` and `throw`. What it may await ends in
one of the primitives below, each of which first arranges how the task is resumed and then yields
the mark `PARK`. Whatever else comes out of a coroutine (asyncio's futures, trio's traps) belongs to
another event loop: that is an error which names file and line and ends the run. Code that asks
asyncio for its running loop meets the same error, because a trap is set in the loop's place.

Semantics are those of asyncio where users know them: a task that is cancelled before its first step
never starts; a second `cancel` interrupts the clean-up; an item of a queue is never lost to a
cancelled `get`. This module is Python-3.9-clean and imports no third party.
"""

from __future__ import annotations

import sys
import types
from collections import deque
from contextlib import suppress
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Coroutine,
    Deque,
    Dict,
    Generic,
    List,
    Optional,
    Tuple,
    TypeVar,
)

from dissensus.harness.env import Cancelled, Codec, Conn, DeadlineExceeded
from dissensus.harness.errors import InternalError, SystemFault
from dissensus.harness.randomness import Rng
from dissensus.harness.sim.kernel import Entry, Kernel

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import ParamSpec, Protocol

    P = ParamSpec("P")

    class Connector(Protocol):
        """What the network offers to the env (`network.Network`)."""

        def connect(self, host: str, node: str, port: str) -> Coroutine[Any, Any, Conn]: ...


T = TypeVar("T")

PARK = object()
"""Yielded by primitives, after they arranged for the task to be resumed."""

CLEANUP_NS = 60 * 10**9
"""Virtual time that tasks left over at the end of a run may take to clean up after Cancelled."""


class ForeignAwait(SystemFault):
    """A coroutine awaited something that does not come from `env`; only `local` and its like can
    run that.
    """


def primitive(function: Callable[P, Generator[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """A generator function that awaits by yielding `PARK`, as a coroutine function."""
    return types.coroutine(function)  # type: ignore[return-value]


class SimTask(Generic[T]):
    """A spawned coroutine (`harness.env.Task`)."""

    __slots__ = (
        "_coro",
        "_entry",
        "_env",
        "_error",
        "_finished",
        "_joiners",
        "_kernel",
        "_pending",
        "_value",
        "joined",
        "name",
    )

    def __init__(self, env: SimEnv, coro: Coroutine[Any, Any, T], name: str) -> None:
        self.name = name
        self.joined = False
        """Somebody took the result or the exception."""
        self._env = env
        self._kernel = env.kernel
        self._coro = coro
        self._finished = False
        self._value: Any = None
        self._error: Optional[BaseException] = None
        self._joiners: List[SimTask[Any]] = []
        self._pending: Optional[BaseException] = None
        """What the next step throws into the coroutine."""
        self._entry: Optional[Entry] = self._kernel.soon(self._step)
        """The entry on the heap that resumes it; None while it waits for somebody's `wake`."""

    def cancel(self) -> None:
        """Raise Cancelled inside it at its next await; no effect on a task that is done."""
        if self._pending is not None:
            # A deadline at this very instant: the cancel outweighs it, or it would be lost.
            self._pending = Cancelled()
        self.interrupt(Cancelled())

    def done(self) -> bool:
        return self._finished

    def failed(self) -> Optional[BaseException]:
        """The exception that ended it, if one did."""
        return self._error

    @primitive
    def join(self) -> Generator[Any, Any, T]:
        """Its result, or its exception. Cancelling the one who waits does not cancel it."""
        self.joined = True
        while not self._finished:
            waiter = self._kernel.current
            if waiter is self:
                raise InternalError(f"task {self.name!r} waits for itself")
            self._joiners.append(waiter)
            try:
                yield PARK
            except BaseException:
                if waiter in self._joiners:
                    self._joiners.remove(waiter)
                raise
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[no-any-return]

    def wake(self) -> None:
        """Resume it at this instant, unless that is arranged already."""
        if self._entry is None and not self._finished:
            self._entry = self._kernel.soon(self._step)

    def sleep_until(self, time_ns: int) -> None:
        """For primitives: resume it at `time_ns`."""
        self._entry = self._kernel.at(time_ns, self._step)

    def interrupt(self, error: BaseException) -> None:
        """Throw `error` into it at this instant; the first of two in one instant wins, but for a
        cancel.
        """
        if self._finished or self._pending is not None:
            return
        self._pending = error
        if self._kernel.current is not self:
            self._throw_soon()

    def where(self) -> str:
        """File and line of the innermost await, for error messages."""
        return await_location(self._coro)

    def _throw_soon(self) -> None:
        entry = self._entry
        if entry is not None:
            if entry[0] == self._kernel.now:
                return
            self._kernel.cancel(entry)
        self._entry = self._kernel.soon(self._step)

    def _step(self, _: Any) -> None:
        kernel = self._kernel
        self._entry = None
        kernel.current = self
        try:
            if self._pending is None:
                parked = self._coro.send(None)
            else:
                error, self._pending = self._pending, None
                parked = self._coro.throw(error)
        except StopIteration as stop:
            self._finish(stop.value, None)
        except (Exception, Cancelled) as raised:
            self._finish(None, raised)
        else:
            if parked is not PARK:
                self._foreign(parked)
            elif self._pending is not None:
                self._throw_soon()
        finally:
            kernel.current = None

    def _finish(self, value: Any, error: Optional[BaseException]) -> None:
        self._finished = True
        self._value = value
        self._error = error
        self._env.task_finished(self)
        for waiter in self._joiners:
            waiter.wake()
        self._joiners.clear()

    def _foreign(self, parked: Any) -> None:
        """Name the await, let the coroutine clean up, and end the run whatever it makes of that."""
        error = ForeignAwait(
            f"{self.where()}: task {self.name!r} awaits {type(parked).__name__!r}, which is not "
            "from env; on sim everything that is awaited comes from env (sleep, connect, queue ...)"
        )
        try:
            self._coro.throw(error)
        except BaseException as left:
            self._finish(None, left)
        else:
            self._coro.close()
            self._finish(None, error)
        self._kernel.halt(error)


class SimEvent:
    """A flag that tasks can wait for (`harness.env.Event`)."""

    __slots__ = ("_kernel", "_set", "_waiters")

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._set = False
        self._waiters: List[SimTask[Any]] = []

    def set(self) -> None:
        self._set = True
        for waiter in self._waiters:
            waiter.wake()
        self._waiters.clear()

    def is_set(self) -> bool:
        return self._set

    @primitive
    def wait(self) -> Generator[Any, Any, None]:
        while not self._set:
            task = self._kernel.current
            self._waiters.append(task)
            try:
                yield PARK
            except BaseException:
                if task in self._waiters:
                    self._waiters.remove(task)
                raise


class SimQueue(Generic[T]):
    """First in, first out (`harness.env.Queue`)."""

    __slots__ = ("_items", "_kernel", "_limit", "_waiters")

    def __init__(self, kernel: Kernel, limit: int) -> None:
        self._kernel = kernel
        self._limit = limit
        self._items: Deque[T] = deque()
        self._waiters: Deque[SimTask[Any]] = deque()

    def put(self, item: T) -> None:
        if len(self._items) >= self._limit:
            raise InternalError(f"a queue of {self._limit} items is full: its reader is too slow")
        self._items.append(item)
        if self._waiters:
            self._waiters.popleft().wake()

    @primitive
    def get(self) -> Generator[Any, Any, T]:
        items = self._items
        while not items:
            task = self._kernel.current
            self._waiters.append(task)
            try:
                yield PARK
            except BaseException:
                if task in self._waiters:
                    self._waiters.remove(task)
                elif items and self._waiters:
                    # It was woken for an item and cancelled before it took it: the next one takes
                    # it.
                    self._waiters.popleft().wake()
                raise
        return items.popleft()

    def __len__(self) -> int:
        return len(self._items)


class _Alarm:
    """The deadline of one `timeout`: interrupts the task with an exception of its own."""

    __slots__ = ("error", "task")

    def __init__(self, task: SimTask[Any]) -> None:
        self.task = task
        self.error = Cancelled("deadline")

    def ring(self, _: Any) -> None:
        self.task.interrupt(self.error)


class SimEnv:
    """One per run (`harness.env.Env`). Times are integer ns of virtual time."""

    def __init__(self, kernel: Kernel, seed: int, network: Optional[Connector] = None) -> None:
        self.kernel = kernel
        self.seed = seed
        self.network = network
        self._tasks: Dict[SimTask[Any], None] = {}
        self._lost: List[SimTask[Any]] = []
        """Tasks that ended with an exception before anybody joined them."""
        self._draining = False

    def now(self) -> int:
        return self.kernel.now

    @primitive
    def sleep(self, ns: int) -> Generator[Any, Any, None]:
        """Resume after `ns`; zero and less yield to what is due at this instant."""
        kernel = self.kernel
        kernel.current.sleep_until(kernel.now + ns if ns > 0 else kernel.now)
        yield PARK

    def rand(self, path: str) -> Rng:
        return Rng(self.seed, path)

    async def connect(self, host: str, node: str, codec: Codec, port: str = "client") -> Conn:
        """See `Env.connect`. The codec is not consulted: objects pass as they are."""
        if self.network is None:
            raise InternalError("this simulation has no network to connect through")
        return await self.network.connect(host, node, port)

    def event(self) -> SimEvent:
        return SimEvent(self.kernel)

    def queue(self, limit: int) -> SimQueue[Any]:
        return SimQueue(self.kernel, limit)

    def spawn(self, coro: Coroutine[Any, Any, T], name: str) -> SimTask[T]:
        task = SimTask(self, coro, name)
        self._tasks[task] = None
        return task

    async def timeout(self, ns: int, coro: Coroutine[Any, Any, T]) -> T:
        kernel = self.kernel
        alarm = _Alarm(kernel.current)
        entry = kernel.at(kernel.now + max(ns, 0), alarm.ring)
        try:
            return await coro
        except Cancelled as error:
            if error is alarm.error:
                raise DeadlineExceeded(f"not done within {ns / 1e6:g} ms") from None
            raise
        finally:
            kernel.cancel(entry)

    def task_finished(self, task: SimTask[Any]) -> None:
        """For `SimTask`: it will not be stepped again."""
        del self._tasks[task]
        error = task.failed()
        if error is not None and not isinstance(error, Cancelled) and not task.joined:
            self._lost.append(task)
        if self._draining and not self._tasks:
            self.kernel.halt()

    def run(self, coro: Coroutine[Any, Any, T]) -> T:
        """Run `coro` to its end in virtual time; then cancel what it left behind.

        Raises its exception, that of a task whose result nobody took, ForeignAwait, and
        InternalError when everybody waits for something that cannot happen.
        """
        with _Trap(self):
            main = self.spawn(self._main(coro), "main")
            main.joined = True
            try:
                if not self.kernel.run() and not main.done():
                    raise InternalError(
                        f"nothing is left to happen, and tasks wait: {self._waiting()}"
                    )
                self._cancel_rest()
            except InternalError:
                # What went wrong in main says more than what it left behind.
                if main.failed() is None:
                    raise
            finally:
                self._abandon()
        error = main.failed()
        if error is not None:
            raise error
        for task in self._lost:
            if not task.joined:
                raise InternalError(f"task {task.name!r} failed unseen") from task.failed()
        return main._value  # type: ignore[no-any-return]

    async def _main(self, coro: Coroutine[Any, Any, T]) -> T:
        try:
            return await coro
        finally:
            self.kernel.halt()

    def _cancel_rest(self) -> None:
        """Cancel the tasks that are left and let them clean up, for a bounded time."""
        if not self._tasks:
            return
        for task in list(self._tasks):
            task.cancel()
        self._draining = True
        bound = self.kernel.at(self.kernel.now + CLEANUP_NS, lambda _: self.kernel.halt())
        self.kernel.run()
        self._draining = False
        self.kernel.cancel(bound)
        if self._tasks:
            raise InternalError(
                f"tasks go on {CLEANUP_NS} ns after they were cancelled: {self._waiting()}"
            )

    def _waiting(self) -> str:
        """The tasks that are not done, and where they wait; the first few."""
        waiting = [f"{task.name} at {task.where()}" for task in self._tasks]
        return "; ".join(waiting[:8]) + (f" and {len(waiting) - 8} more" if waiting[8:] else "")

    def _abandon(self) -> None:
        """Close coroutines that nobody will resume, here and not when memory is collected."""
        for task in list(self._tasks):
            # One that awaits in its clean-up cannot be closed in peace; the run has failed anyway.
            with suppress(RuntimeError):
                task._coro.close()
        self._tasks.clear()


class _Trap:
    """Stands where asyncio looks for its running loop, so that its users get our error."""

    def __init__(self, env: SimEnv) -> None:
        self.__dict__["_env"] = env
        self.__dict__["_before"] = None

    def __enter__(self) -> None:
        from asyncio import events

        self.__dict__["_before"] = events._get_running_loop()
        events._set_running_loop(self)  # type: ignore[arg-type]

    def __exit__(self, *_: object) -> None:
        from asyncio import events

        events._set_running_loop(self.__dict__["_before"])

    def __getattr__(self, name: str) -> Any:
        frame: Optional[types.FrameType] = sys._getframe(1)
        while frame is not None and _is_asyncio(frame):
            frame = frame.f_back
        place = f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else "unknown place"
        error = ForeignAwait(
            f"{place}: asyncio's loop ({name}) is used; on sim everything that is awaited comes "
            "from env (sleep, connect, queue ...)"
        )
        self.__dict__["_env"].kernel.halt(error)
        raise error


def _is_asyncio(frame: types.FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).split(".")[0] == "asyncio"


def await_location(coro: Any, own: Tuple[str, ...] = (__name__,)) -> str:
    """ "file:line" of the innermost await of a suspended coroutine that is neither asyncio's nor in
    the modules `own`.
    """
    place = "unknown place"
    while coro is not None:
        frame = getattr(coro, "cr_frame", None) or getattr(coro, "gi_frame", None)
        if frame is None:
            break
        if frame.f_globals.get("__name__") not in own and not _is_asyncio(frame):
            place = f"{frame.f_code.co_filename}:{frame.f_lineno}"
        coro = getattr(coro, "cr_await", None) or getattr(coro, "gi_yieldfrom", None)
    return place
