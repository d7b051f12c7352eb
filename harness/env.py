"""What clients, scenarios and nemeses may await: time, randomness, connections, tasks. Handed in as
`env`.

The same code runs on real clusters, where these are thin wrappers over asyncio, and on `sim`, where
they yield to a trampoline on one heap in virtual time. On `sim` any other awaitable is an error
that names file and line, so code that wants to run in every world awaits nothing but what this
module describes.
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterable
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

from dissensus.harness.errors import DissensusError
from dissensus.harness.randomness import Rng

T = TypeVar("T")
R_co = TypeVar("R_co", covariant=True)


class Cancelled(BaseException):
    """Raised inside a task that is being cancelled. Clean up and let it pass; never swallow it."""


class DeadlineExceeded(DissensusError):
    """`env.timeout` ran out."""


class NotSent(DissensusError):
    """The request certainly never reached the system: refused, or lost before the server's hello.
    Definite.
    """


class Disconnected(DissensusError):
    """The connection broke after something was sent, which may have happened. Indefinite."""


class Codec(Protocol):
    """Turns messages into bytes and back. On `sim` objects pass as they are and a codec is not
    consulted.
    """

    def encode(self, msg: Any) -> bytes:
        """One message as bytes, framing included."""
        ...

    def feed(self, data: bytes) -> list[Any]:
        """Take received bytes, return the messages completed by them. Keeps the rest: one codec per
        connection.

        Raises ValueError where the bytes cannot be a message.
        """
        ...


@runtime_checkable
class Conn(Protocol):
    """A connection from a client host to a node."""

    async def send(self, msg: Any) -> None:
        """Send one message. Raises Disconnected."""
        ...

    async def recv(self) -> Any:
        """The next message, in order. Raises Disconnected."""
        ...

    def close(self) -> None:
        """Close at once; safe to call twice."""
        ...


class Event(Protocol):
    """A flag that tasks can wait for."""

    def set(self) -> None: ...
    def is_set(self) -> bool: ...
    async def wait(self) -> None: ...


class Queue(Protocol, Generic[T]):
    """First in, first out. `put` never waits; a full queue raises InternalError, so every limit is
    seen.
    """

    def put(self, item: T) -> None: ...
    async def get(self) -> T: ...
    def __len__(self) -> int: ...


class Task(Protocol[R_co]):
    """A spawned coroutine."""

    def cancel(self) -> None:
        """Raise Cancelled inside it at its next await."""
        ...

    def done(self) -> bool: ...

    async def join(self) -> R_co:
        """Its result, or its exception."""
        ...


class Env(Protocol):
    """One per run. Times are integer nanoseconds since the start of the run."""

    def now(self) -> int: ...

    async def sleep(self, ns: int) -> None: ...

    def rand(self, path: str) -> Rng:
        """The random stream for `path`: the same (seed, path) gives the same draws, whatever else
        draws.
        """
        ...

    async def connect(self, host: str, node: str, codec: Codec, port: str = "client") -> Conn:
        """Connect from client host `host` ("c1" ...) to `node`'s named port, through the run's
        links.

        Raises NotSent when the connection is refused. A connect across a cut link hangs: use
        `timeout`.
        """
        ...

    def event(self) -> Event: ...

    def queue(self, limit: int) -> Queue[Any]: ...

    def spawn(self, coro: Coroutine[Any, Any, T], name: str) -> Task[T]: ...

    async def timeout(self, ns: int, coro: Coroutine[Any, Any, T]) -> T:
        """Run `coro` for at most `ns`; cancels it and raises DeadlineExceeded after that."""
        ...


async def gather(env: Env, coros: Iterable[Coroutine[Any, Any, T]], name: str) -> list[T]:
    """Run coroutines side by side; their results in order.

    Waits for all, then raises the first error. When the caller is cancelled, so are they.
    """
    tasks = [env.spawn(coro, f"{name} {number}") for number, coro in enumerate(coros)]
    results: list[T] = []
    errors: list[Exception] = []
    try:
        for task in tasks:
            try:
                results.append(await task.join())
            except Exception as error:
                errors.append(error)
    except BaseException:
        for task in tasks:
            task.cancel()
        raise
    if errors:
        raise errors[0]
    return results
