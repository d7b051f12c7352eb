"""A core as a `SimNode`: the simulator runs the very same core, driver and store as real nodes.

The world calls one event at a time, so each event is a batch of its own; appends still gather while
an fsync runs. Client connections are numbers, and so are the reply handles of requests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dissensus.harness.errors import UserError
from dissensus.harness.randomness import Rng
from dissensus.harness.simnode import SimHost
from dissensus.systems.reference.core.errors import PeerError
from dissensus.systems.reference.core.events import Admin, Recv, Request, Timer
from dissensus.systems.reference.core.protocol import Protocol as Core
from dissensus.systems.reference.host.decided import decided
from dissensus.systems.reference.host.driver import Driver
from dissensus.systems.reference.host.operator import held
from dissensus.systems.reference.store.log import SEGMENT_BYTES, Format, Store
from dissensus.systems.reference.wire.frames import ClientHello, ServerHello

AdminOp = Callable[[str, Mapping[str, Any]], Any]
"""(command, arguments) -> the `op` of an `Admin` event. Raises UserError."""

REPORTED = ("role", "term", "leader")
"""Fields of a status whose change is worth an event of the history."""


class _Waiting:
    """The reply handle of an operator's command."""

    __slots__ = ("done",)

    def __init__(self, done: Callable[[Any], None]) -> None:
        self.done = done


class CoreNode:
    """See `harness.simnode.SimNode`."""

    def __init__(
        self,
        node_id: str,
        make_core: Callable[[], Core],
        form: Format,
        admin_op: AdminOp,
        *,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:
        """`make_core` is called once per incarnation."""
        self.node_id = node_id
        self.peer_errors = 0
        self._make_core = make_core
        self._form = form
        self._admin_op = admin_op
        self._segment_bytes = segment_bytes
        self._driver: Driver | None = None
        self._incarnation = 0

    def start(self, host: SimHost, incarnation: int) -> None:
        """Boot: read the disk; the core starts once that is durable."""
        store = Store(host.files, self._form, segment_bytes=self._segment_bytes)
        self._world = _SimWorld(host, incarnation)
        self._driver = Driver(self._make_core(), store, self._world)
        self._incarnation = incarnation
        self._driver.boot()

    def receive(self, src: str, msg: Any) -> None:
        driver = self._running()
        if driver is not None:
            try:
                driver.step(Recv(src, msg))
            except PeerError:
                self.peer_errors += 1  # real hosts close the connection; datagrams have none
            self._after(driver)

    def connected(self, conn: int, client_host: str) -> Any:
        return ServerHello(self.node_id, self._incarnation, "")

    def request(self, conn: int, msg: Any) -> None:
        driver = self._running()
        if driver is not None and type(msg) is not ClientHello:
            driver.step(Request(conn, msg))
            self._after(driver)

    def disconnected(self, conn: int) -> None:
        """Replies to a connection that is gone are dropped by the world."""

    def admin(self, command: str, args: Mapping[str, Any], done: Callable[[Any], None]) -> None:
        """Answers are those of the core; "booting" before it runs. `hold-fsync` is the host's."""
        driver = self._running()
        if driver is None:
            done({"ok": False, "error": "booting"})
            return
        try:
            if command == "hold-fsync":
                on = held(args)
                self._world.host.files.hold(on)
                done({"held": on})
                return
            op = self._admin_op(command, args)
        except UserError as error:
            done(error)
            return
        driver.step(Admin(_Waiting(done), op))
        self._after(driver)

    def timer(self, name: str) -> None:
        driver = self._running()
        if driver is not None:
            driver.step(Timer(name))
            self._after(driver)

    def synced(self, token: int) -> None:
        if self._driver is not None:
            self._driver.synced(token)
            self._after(self._driver)

    def status(self) -> dict[str, Any]:
        driver = self._running()
        if driver is None:
            return {"role": "booting"}
        return {**driver.core.status(), "incarnation": self._incarnation}

    def crash(self) -> None:
        self._driver = None

    def _running(self) -> Driver | None:
        """The driver, once its core has started: what arrives before is lost, as at a process that
        has not opened its port yet.
        """
        driver = self._driver
        return driver if driver is not None and driver.started else None

    def _after(self, driver: Driver) -> None:
        driver.flush()
        world = self._world
        if world.marked:
            world.marked = False
            status = driver.core.status()
            world.host.report({name: status.get(name) for name in REPORTED})


class _SimWorld:
    """`driver.World` on a `SimHost`."""

    __slots__ = ("_incarnation", "_rngs", "cancel_timer", "host", "marked", "send")

    def __init__(self, host: SimHost, incarnation: int) -> None:
        self.host = host
        self._incarnation = incarnation
        self.send = host.send
        self.cancel_timer = host.cancel_timer
        self.marked = False
        """A Mark was seen: the role may have changed."""
        self._rngs: dict[str, Rng] = {}

    def reply(self, client: Any, result: Any) -> None:
        if type(client) is int:
            self.host.reply(client, result)
        elif client is not None:
            client.done(result)

    def set_timer(self, name: str, lo_ns: int, hi_ns: int) -> None:
        delay = lo_ns if lo_ns == hi_ns else self._rng("timers").between(lo_ns, hi_ns)
        self.host.set_timer(name, delay)

    def ask(self, kind: str) -> int:
        return self.host.now_ns() if kind == "clock" else self._rng("entropy").bits64()

    def applied(self, index: int, digest: int, entry: Any) -> None:
        host = self.host
        host.applied(index, digest)
        if host.logs:
            host.log(decided(self._incarnation, index, entry))

    def mark(self, name: str, fields: dict[str, Any]) -> None:
        self.marked = True

    def evidence(self, culprit: str, proof: Any) -> None:
        self.host.report({"evidence": culprit, "proof": repr(proof)})

    def _rng(self, path: str) -> Rng:
        rng = self._rngs.get(path)
        if rng is None:
            rng = self._rngs[path] = self.host.rng(path)
        return rng
