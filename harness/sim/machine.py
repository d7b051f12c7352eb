"""What a simulated node runs on: its incarnations, timers, connections and disk.

A `Machine` outlives its node's incarnations; each incarnation has a `Life`, the `SimHost` that is
handed to the node and that does nothing any more once it is over. Timers follow CONTRACTS 1: a
replaced one is never delivered, and all that are due are delivered before any other event, also
after a pause, which the kernel's order gives (`Kernel.timer`): while the machine is paused, events
wait in its inbox, and `resume` puts timers and events back on the heap for this instant.

A node that raises is a node that panics: it is down, the reason stands in its log, and the observer
is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional, Tuple

from dissensus.harness.errors import InternalError, UserError
from dissensus.harness.randomness import Rng
from dissensus.harness.sim.disk import Disk, SimFiles
from dissensus.harness.sim.kernel import Entry, Kernel
from dissensus.harness.sim.network import (
    ACCEPTED,
    CLOSE,
    DATA,
    OPEN,
    REFUSED,
    RESET,
    Link,
    Network,
    SimConn,
    StreamEnd,
)

if TYPE_CHECKING:
    from typing import Protocol

    from dissensus.harness.simnode import SimNode

    class Observer(Protocol):
        """Who is told what nodes do: the cluster, with its oracles."""

        logs: bool

        def reported(self, node: str, fields: Dict[str, Any]) -> None: ...
        def applied(self, node: str, index: int, digest: int) -> None: ...
        def logged(self, node: str, text: str) -> None: ...
        def panicked(self, node: str, reason: str) -> None: ...


UP, PAUSED, DOWN = "up", "paused", "down"

INBOX_MAX = 1_000_000
"""Events that may wait for a paused machine: hours of heartbeats; more is a pause without end."""


class Life:
    """One incarnation of a node (`harness.simnode.SimHost`)."""

    __slots__ = (
        "_conns",
        "_kernel",
        "_links",
        "_machine",
        "_observer",
        "_timers",
        "alive",
        "files",
        "logs",
    )

    def __init__(self, machine: Machine, observer: Observer) -> None:
        self._machine = machine
        self._kernel = machine.kernel
        self._observer = observer
        self._links = machine.links
        self._timers: Dict[str, Entry] = {}
        self._conns: Dict[int, StreamEnd] = {}
        """Open connections, by number: how to answer them."""
        self.alive = True
        self.files = SimFiles(machine.disk, self._synced)
        self.logs = observer.logs

    def now_ns(self) -> int:
        return self._kernel.now

    def rng(self, path: str) -> Rng:
        machine = self._machine
        return Rng(machine.seed, f"node/{machine.name}/{machine.incarnation}/{path}")

    def send(self, dst: str, msg: Any) -> None:
        link = self._links.get(dst)
        if link is not None:
            machine = self._machine
            if machine.spy is not None:
                machine.spy(machine, msg)
            if machine.frozen_messages:
                packet = (machine.name, msg, repr(msg))
                link[0].datagram(link[2], packet, msg)
            else:
                link[0].datagram(link[1], (machine.name, msg), msg)

    def reply(self, conn: int, msg: Any) -> None:
        end = self._conns.get(conn)
        if end is not None:
            end.send((DATA, msg))

    def set_timer(self, name: str, delay_ns: int) -> None:
        if not self.alive:
            return
        kernel = self._kernel
        timers = self._timers
        armed = timers.get(name)
        if armed is not None:
            armed[2] = armed[3] = None
        timers[name] = kernel.timer(kernel.now + delay_ns, self._due, name)

    def cancel_timer(self, name: str) -> None:
        armed = self._timers.pop(name, None)
        if armed is not None:
            armed[2] = armed[3] = None

    def report(self, fields: Dict[str, Any]) -> None:
        if self.alive:
            self._observer.reported(self._machine.name, fields)

    def applied(self, index: int, digest: int) -> None:
        if self.alive:
            self._observer.applied(self._machine.name, index, digest)

    def log(self, text: str) -> None:
        if self.alive:
            self._observer.logged(self._machine.name, text)

    def panic(self, reason: str) -> None:
        if self.alive:
            self._machine.panic(reason)

    def end(self) -> None:
        """It is over: no timer, completion, message or reply leaves or enters any more."""
        self.alive = False
        for entry in self._timers.values():
            self._kernel.cancel(entry)
        self._timers.clear()
        self.files.detach()
        self._links = {}
        conns, self._conns = self._conns, {}
        for end in conns.values():
            end.send((RESET, f"{self._machine.name} died"))

    def _due(self, name: str) -> None:
        machine = self._machine
        if machine.state == PAUSED:
            machine.late.append(name)
            return
        del self._timers[name]
        machine.step(machine.node.timer, name)

    def rearm_late(self, names: List[str]) -> None:
        """After a pause: timers that came due in it, in their order, before everything else."""
        for name in names:
            self._timers[name] = self._kernel.timer(self._kernel.now, self._due, name)

    def _synced(self, token: int) -> None:
        machine = self._machine
        machine.event(machine.node.synced, token)

    def accept(self, conn: int, end: StreamEnd) -> None:
        """A new connection, answered by `end`."""
        self._conns[conn] = end

    def knows(self, conn: int) -> bool:
        return conn in self._conns

    def forget(self, conn: int) -> None:
        self._conns.pop(conn, None)


class Machine:
    """The place that a node lives in, through all its incarnations."""

    def __init__(
        self,
        name: str,
        node: SimNode,
        *,
        kernel: Kernel,
        network: Network,
        disk: Disk,
        observer: Observer,
        seed: int,
    ) -> None:
        self.name = name
        self.node = node
        self.kernel = kernel
        self.disk = disk
        self.seed = seed
        self.state = DOWN
        self.incarnation = 0
        self.late: List[str] = []
        """Timers that came due while the machine was paused."""
        self.links: Dict[str, Tuple[Link, Callable[[Any], object], Callable[[Any], object]]] = {}
        """Other node -> (link to it, its `datagram`, its `frozen_datagram`)."""
        self.frozen_messages = False
        """Check that no message changes between its sending and its arrival: objects are passed,
        so a node that goes on writing into one would reach into another node.
        """
        self.spy: Optional[Callable[[Machine, Any], None]] = None
        """Told of every message that the node sends, before it is on its way."""
        self._observer = observer
        self._network = network
        self._life: Optional[Life] = None
        self._inbox: List[Tuple[Callable[..., object], Tuple[Any, ...]]] = []

    def start(self) -> None:
        """Boot on the disk as it is. Raises UserError when it runs already."""
        if self.state != DOWN:
            raise UserError(f"{self.name} is {self.state}: only a node that is down can be started")
        self.incarnation += 1
        self.state = UP
        self._life = Life(self, self._observer)
        self._guard(self.node.start, (self._life, self.incarnation))

    def kill(self) -> None:
        """The process is gone at once; its connections are reset, its files stay as written."""
        if self._life is None:
            return
        self.state = DOWN
        life, self._life = self._life, None
        life.end()
        self.late.clear()
        self._inbox.clear()
        self.node.crash()

    def pause(self) -> None:
        """Alive, not running: everything that happens to it waits."""
        if self.state != UP:
            raise UserError(f"{self.name} is {self.state}: only a node that is up can be paused")
        self.state = PAUSED

    def resume(self) -> None:
        """Deliver what waited: timers that are due first, the other events in their order."""
        if self.state != PAUSED or self._life is None:
            raise UserError(f"{self.name} is {self.state}: only a paused node can be resumed")
        self.state = UP
        late, self.late = self.late, []
        inbox, self._inbox = self._inbox, []
        self._life.rearm_late(late)
        for waiting in inbox:
            self.kernel.soon(self._again, (self._life, waiting))

    def panic(self, reason: str) -> None:
        """The node stopped itself; what it raises on its way down is not another panic."""
        if self._life is None:
            return
        self._observer.panicked(self.name, reason)
        self.kill()

    def step(self, method: Callable[..., object], *args: Any) -> None:
        """Run one event on the node now. What it raises is a panic, and no error of ours."""
        self._guard(method, args)

    def event(self, method: Callable[..., object], *args: Any) -> None:
        """Run one event on the node, or keep it until the machine runs again."""
        if self.state == UP:
            self._guard(method, args)
        elif self.state == PAUSED:
            if len(self._inbox) >= INBOX_MAX:
                raise InternalError(f"{INBOX_MAX} events wait for {self.name}, which is paused")
            self._inbox.append((method, args))

    def datagram(self, packet: Tuple[str, Any]) -> None:
        """A message from another node arrives; a machine that is down does not notice."""
        if self.state == UP:
            try:
                self.node.receive(packet[0], packet[1])
            except Exception as error:
                self._crashed(error)
        else:
            self.event(self.node.receive, *packet)

    def frozen_datagram(self, packet: Tuple[str, Any, str]) -> None:
        """As `datagram`, for a message whose text was taken when it was sent."""
        src, msg, text = packet
        if repr(msg) != text:
            self.panic(f"{src} changed a message after sending it: {text} became {msg!r}")
            return
        self.datagram((src, msg))

    def stream(self, conn: SimConn, piece: Tuple[str, Any]) -> None:
        """A piece of a client's connection arrives."""
        what, msg = piece
        life = self._life
        if what == OPEN:
            back = self._network.back(conn)
            if life is None:
                back.send((REFUSED, "refused"))
                return
            # The operating system accepts; the node says hello when it runs.
            life.accept(conn.id, back)
            self.event(self._connected, life, conn, back)
        elif life is None or not life.knows(conn.id):
            if what == DATA:
                self._network.back(conn).send((RESET, f"{self.name} does not know it"))
        elif what == DATA:
            self.event(self.node.request, conn.id, msg)
        elif what in (CLOSE, RESET):
            life.forget(conn.id)
            self.event(self.node.disconnected, conn.id)

    def admin(self, command: str, args: Mapping[str, Any], done: Callable[[Any], None]) -> None:
        """An operator's command reaches the node."""
        self.event(self.node.admin, command, args, done)

    def _connected(self, life: Life, conn: SimConn, back: StreamEnd) -> None:
        hello = self.node.connected(conn.id, conn.host)
        if life.alive:
            back.send((ACCEPTED, hello))

    def _again(self, waiting: Tuple[Life, Tuple[Callable[..., object], Tuple[Any, ...]]]) -> None:
        life, (method, args) = waiting
        if life.alive:
            self.event(method, *args)

    def _guard(self, method: Callable[..., object], args: Tuple[Any, ...]) -> None:
        try:
            method(*args)
        except Exception as error:
            self._crashed(error)

    def _crashed(self, error: Exception) -> None:
        """An exception left the node: a panic that names it, its text and the line that raised."""
        if isinstance(error, InternalError):
            raise error
        place = ""
        trace = error.__traceback__
        while trace is not None:
            code = trace.tb_frame.f_code
            # The file's name alone: the same run gives the same bytes in every folder.
            file = code.co_filename.replace("\\", "/").rsplit("/", 1)[-1]
            place = f" in {code.co_name} ({file}:{trace.tb_lineno})"
            trace = trace.tb_next
        self.panic(f"{type(error).__name__}: {error}{place}")
