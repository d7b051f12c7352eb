"""One node as an asyncio host: the only place of the reference with sockets, threads and clocks.

Events are taken in batches: everything that has arrived is stepped through the core, and then the
effects leave: one write and one fsync for all that was persisted, one write per connection. Before
each event the clock is read again and every due timer is delivered first: after a pause of the
process an expired lease must be gone before a queued read is looked at.

What breaks an invariant ends the process: a line that starts with PANIC on stderr, exit
PANIC_EXIT. A disk that fails ends it too, but that is the machine's fault: exit ENVIRONMENT_EXIT.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from dissensus.harness.randomness import Rng
from dissensus.systems.reference.core.client_messages import ClientReply
from dissensus.systems.reference.core.errors import PeerError
from dissensus.systems.reference.core.events import Admin, Event, Recv, Request, Timer
from dissensus.systems.reference.host.config import NodeConfig
from dissensus.systems.reference.host.decided import decided
from dissensus.systems.reference.host.driver import Driver
from dissensus.systems.reference.host.kits import ProtocolKit
from dissensus.systems.reference.host.links import Accepted, Link
from dissensus.systems.reference.host.log import StructuredLog
from dissensus.systems.reference.host.operator import operate
from dissensus.systems.reference.host.timers import NEVER_NS, Timers
from dissensus.systems.reference.store.log import Store
from dissensus.systems.reference.store.realfiles import RealFiles
from dissensus.systems.reference.wire.frames import (
    CLIENT,
    AdminRequest,
    FrameError,
    PeerHello,
    node_schema,
)

PANIC_EXIT = 70
ENVIRONMENT_EXIT = 3

DIGEST_EVERY = 64
"""Applied (index, digest) pairs are kept for every 64th index: nodes are compared at equal ones."""
DIGESTS_MAX = 64
"""How many of them: 4,096 entries, some 0.1-1 s at full load, and status polls are that often."""
TIMER_SLACK_NS = 100_000
"""asyncio rounds to its own clock: waking this much late costs less than waking twice."""

COUNTERS = (
    "batches",
    "events",
    "requests",
    "replies",
    "replies_dropped",
    "messages_sent",
    "messages_received",
    "peer_errors",
    "connection_errors",
    "unroutable",
)

_ClientHandle = Any
_Inbox = list[tuple[Any, "Accepted | None"]]


class _Synced:
    """In the inbox: a token of the disk has completed."""

    __slots__ = ("token",)

    def __init__(self, token: int) -> None:
        self.token = token


class NodeHost:
    """One incarnation of one node. `start`, then wait for `stopped`."""

    def __init__(
        self,
        config: NodeConfig,
        kit: ProtocolKit,
        *,
        log: StructuredLog | None = None,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.config = config
        self.kit = kit
        self.schema = node_schema(kit.messages)
        self.peer_messages = frozenset(kit.messages)
        self.client_requests = frozenset(CLIENT) - {ClientReply}
        self.log = log or StructuredLog(config.node)
        self.clock = clock
        self.lamport = 0
        self.incarnation = 0
        self.counters = dict.fromkeys(COUNTERS, 0)
        self.accepted: dict[Accepted, None] = {}
        self.dirty: list[Any] = []
        """Connections with queued replies."""
        self.links: dict[str, Link] = {}
        self.latest: tuple[int, int] = (0, 0)
        self.digests: deque[tuple[int, int]] = deque(maxlen=DIGESTS_MAX)
        self.core = kit.make(config)
        self._bound: dict[str, Accepted] = {}
        self._inbox: _Inbox = []
        self._scheduled = False
        self._timers = Timers()
        self._now = 0
        self._wakeup: asyncio.TimerHandle | None = None
        self._wakeup_ns = NEVER_NS
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Recover, begin, listen. Raises what the store and the operating system raise."""
        self._loop = loop = asyncio.get_running_loop()
        self.stopped: asyncio.Future[int] = loop.create_future()
        """Resolves to the exit code."""
        config = self.config
        self.files = RealFiles(
            Path(config.data_dir),
            completed=partial(_in_loop, loop, self._token),
            failed=partial(_in_loop, loop, self.fail),
        )
        known = self.files.known_durable()
        self.store = Store(self.files, self.kit.form(), known_durable=known)
        self.driver = Driver(self.core, self.store, self)
        self._booted = loop.create_future()
        self._now = self.clock()
        self.driver.boot()
        self.incarnation = self.store.incarnation
        self._rng = Rng(config.seed, f"host/{config.node}/{self.incarnation}")
        self._jitter = self._rng.split("timers")
        for repair in self.store.repairs:
            self.log.line("repair", what=repair)
        await self._booted
        self._server = await loop.create_server(lambda: Accepted(self), *config.listen)
        for peer in config.members:
            if peer != config.node:
                self._dial(peer, config.members[peer])
        self.log.line("ready", incarnation=self.incarnation, listen=config.listen)

    def stop(self) -> None:
        """End in order: nothing more is taken or sent."""
        self._end(0)

    def panic(self, reason: str) -> None:
        """An invariant is broken: stop at once, sending nothing more."""
        if not self.stopped.done():
            self.log.panic(reason)
            self._end(PANIC_EXIT)

    def fail(self, reason: str) -> None:
        """The machine refuses what a node needs (disk full, I/O error)."""
        if not self.stopped.done():
            self.log.line("failed", why=reason)
            self._end(ENVIRONMENT_EXIT)

    def _end(self, code: int) -> None:
        if not self.stopped.done():
            self._close()
            self.stopped.set_result(code)

    def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        for link in self.links.values():
            link.stop()
        for connection in list(self.accepted):
            connection.abort()
        if self._wakeup is not None:
            self._wakeup.cancel()
        self._inbox.clear()
        self.files.close()

    def submit(self, client: Any, op: Any) -> None:
        """A request from inside this process; `client.deliver(result)` gets the reply."""
        self.requested(client, op)

    # -- batches --------------------------------------------------------------------------------

    def schedule(self) -> None:
        """See that a batch runs soon."""
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._batch)

    def _token(self, token: int) -> None:
        if not self.stopped.done():
            self._inbox.append((_Synced(token), None))
            self._batch()

    def _batch(self) -> None:
        """Step everything that has arrived, timers first; then let the effects leave."""
        self._scheduled = False
        if self.stopped.done():
            return
        inbox, self._inbox = self._inbox, []
        try:
            self._step_all(inbox)
            self.driver.flush()
        except OSError as error:
            self.fail(str(error))
            return
        except Exception as error:  # whatever escapes a core or the store is an invariant of ours
            self.log.trace(error)
            self.panic(f"{type(error).__name__}: {error}")
            return
        counters = self.counters
        counters["batches"] += 1
        counters["events"] += len(inbox)
        for link in self.links.values():
            link.flush()
        if self.dirty:
            dirty, self.dirty = self.dirty, []
            for connection in dirty:
                connection.flush()
        if self._timers.next_ns < self._wakeup_ns:
            self._arm_wakeup()

    def _step_all(self, inbox: _Inbox) -> None:
        clock = self.clock
        timers = self._timers
        step = self.driver.step
        for event, source in inbox:
            self._now = clock()
            if timers.next_ns <= self._now:
                self._fire()
            if type(event) is _Synced:
                self.driver.synced(event.token)
                if not self._booted.done() and self.driver.started:
                    self._booted.set_result(None)
            elif source is None:
                step(event)
            else:
                try:
                    step(event)
                except PeerError as error:
                    source.close(error)
        self._now = clock()
        if timers.next_ns <= self._now:
            self._fire()

    def _fire(self) -> None:
        """Deliver every timer that is due."""
        while (name := self._timers.pop(self._now)) is not None:
            self.driver.step(Timer(name))

    def _arm_wakeup(self) -> None:
        if self._wakeup is not None:
            self._wakeup.cancel()
        at = self._wakeup_ns = self._timers.next_ns
        delay_ns = max(0, at - self._now) + TIMER_SLACK_NS
        self._wakeup = self._loop.call_later(delay_ns / 1e9, self._wake)

    def _wake(self) -> None:
        self._wakeup_ns = NEVER_NS
        self._wakeup = None
        self._batch()

    # -- what arrives (called by the connections) -----------------------------------------------

    def received(self, source: Accepted, msg: Any) -> None:
        """A message from the peer that `source` is bound to."""
        self.counters["messages_received"] += 1
        assert source.src is not None
        self._enqueue(Recv(source.src, msg), source)

    def requested(self, client: _ClientHandle, op: Any) -> None:
        """A client's request."""
        self.counters["requests"] += 1
        self._enqueue(Request(client, op), None)

    def operated(self, source: Accepted, msg: Any) -> None:
        """An operator's command."""
        if type(msg) is not AdminRequest:
            raise FrameError(f"{type(msg).__name__} from an operator")
        operate(self, source, msg)

    def command(self, client: Any, op: Any) -> None:
        """An operator's command for the core."""
        self._enqueue(Admin(client, op), None)

    def _enqueue(self, event: Event, source: Accepted | None) -> None:
        self._inbox.append((event, source))
        self.schedule()

    def bind_peer(self, source: Accepted, hello: PeerHello) -> None:
        """`source` is from now on the peer of this hello. Raises FrameError."""
        config = self.config
        if hello.cluster != config.run_token:
            raise FrameError(f"a node of run {hello.cluster!r}")
        if hello.to != config.node or hello.node == config.node:
            raise FrameError(f"{hello.node!r} looks for {hello.to!r}; this is {config.node!r}")
        older = self._bound.get(hello.node)
        if older is not None:
            if older.incarnation > hello.incarnation:
                raise FrameError(
                    f"incarnation {hello.incarnation} of {hello.node!r}, after {older.incarnation}"
                )
            older.abort()
        source.src = hello.node
        source.incarnation = hello.incarnation
        self._bound[hello.node] = source
        if hello.node not in self.links:
            self._dial(hello.node, hello.address)

    def unbind(self, source: Accepted) -> None:
        """`source` is closed."""
        if source.src is not None and self._bound.get(source.src) is source:
            del self._bound[source.src]

    def _dial(self, peer: str, address: tuple[str, int]) -> None:
        link = self.links[peer] = Link(self, peer, address, self._rng.split(f"dial/{peer}"))
        link.start()

    def count_error(self, where: str, peer: str, error: Exception) -> None:
        """A connection was closed for what came over it."""
        kind = "peer_errors" if isinstance(error, PeerError) else "connection_errors"
        self.counters[kind] += 1
        self.log.line("closed", where=where, peer=peer, why=str(error))

    # -- driver.World ---------------------------------------------------------------------------

    def send(self, dst: str, msg: Any) -> None:
        link = self.links.get(dst)
        if link is None:
            self.counters["unroutable"] += 1
        else:
            link.push(msg)

    def reply(self, client: _ClientHandle, result: Any) -> None:
        if client is not None:
            self.counters["replies"] += 1
            client.deliver(result)

    def set_timer(self, name: str, lo_ns: int, hi_ns: int) -> None:
        delay = lo_ns if lo_ns == hi_ns else self._jitter.between(lo_ns, hi_ns)
        self._timers.set(name, self._now + delay)

    def cancel_timer(self, name: str) -> None:
        self._timers.cancel(name)

    def ask(self, kind: str) -> int:
        return self.clock() if kind == "clock" else self._rng.bits64()

    def applied(self, index: int, digest: int, entry: Any) -> None:
        self.latest = (index, digest)
        if self.config.log_decided:
            self.log.decided(decided(self.incarnation, index, entry))
        if index % DIGEST_EVERY == 0:
            self.digests.append((index, digest))

    def mark(self, name: str, fields: dict[str, Any]) -> None:
        self.log.line(name, **fields)

    def evidence(self, culprit: str, proof: Any) -> None:
        self.log.line("evidence", culprit=culprit, proof=repr(proof))


def _in_loop(loop: asyncio.AbstractEventLoop, what: Callable[[Any], None], value: Any) -> None:
    """For the fsync thread."""
    loop.call_soon_threadsafe(what, value)
