"""The network of a simulation: a directed link between every two hosts, datagrams between nodes,
ordered streams between clients and nodes.

Every direction has its own latency range, losses, duplicates and random stream, so that a fault on
one never shifts the draws of another. Faults own what they did by their id and compose: a direction
is cut while any fault cuts it, delays and losses of several shapes add up, the lowest rate counts.

  * Datagrams (node to node): each takes a latency of its own, so they overtake each other. One that
    is sent into a cut is gone; one that is on its way when the cut begins still arrives. A message
    of a kind that is held waits until the fault is healed.
  * Streams (client to node, and back): in order. A loss is a stall of one retransmission timeout,
    doubled for each further loss; after `RETRANSMITS_MAX` the connection is reset. Bytes sent into
    a cut wait and flow when it is healed; so does the reset of a connection whose node has died.
    Only a message of a kind that is held is overtaken by what follows it.

A message counts as `MESSAGE_BYTES` for a shape's rate: objects have no size here.
"""

from __future__ import annotations

from collections import deque
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Deque,
    Dict,
    Iterable,
    List,
    Mapping,
    Optional,
    Tuple,
)

from dissensus.harness.env import Disconnected, NotSent
from dissensus.harness.errors import InternalError, UserError
from dissensus.harness.randomness import Rng
from dissensus.harness.sim.env import PARK, SimEnv, SimTask, primitive
from dissensus.harness.sim.kernel import Kernel

if TYPE_CHECKING:
    from collections.abc import Generator

    from dissensus.harness.cluster import Pair, Reach, Shape

PPM = 1_000_000
MESSAGE_BYTES = 512
"""Nominal size of a message: a small request with its frame."""
RETRANSMIT_NS = 200_000_000
"""Linux's lowest retransmission timeout: what one lost packet costs a stream."""
RETRANSMITS_MAX = 6
"""Losses in a row after which a stream is reset (12.6 s of doubling stalls)."""
PROBE_BOUND_NS = 1_000_000_000
"""A probe gives up after this: far above every latency and delay that faults draw."""
PROBE_RETRY_NS = 100_000_000
"""A lost ping is sent again after this, so that a lossy link is not taken for a cut one."""


class Weather:
    """How links behave without any fault. Times in ns, shares in millionths."""

    __slots__ = (
        "duplicate_ppm",
        "latency_hi_ns",
        "latency_lo_ns",
        "loss_ppm",
        "tail_hi_ns",
        "tail_ppm",
    )

    def __init__(
        self,
        *,
        latency_lo_ns: int = 100_000,
        latency_hi_ns: int = 1_500_000,
        loss_ppm: int = 0,
        duplicate_ppm: int = 0,
        tail_ppm: int = 0,
        tail_hi_ns: int = 0,
    ) -> None:
        if not 0 <= latency_lo_ns <= latency_hi_ns:
            raise UserError(
                f"latency range {latency_lo_ns}..{latency_hi_ns} ns: wants 0 <= low <= high"
            )
        for name, ppm in (("loss", loss_ppm), ("duplicate", duplicate_ppm), ("tail", tail_ppm)):
            if not 0 <= ppm <= PPM:
                raise UserError(f"{name}_ppm {ppm}: wants 0 to {PPM}")
        self.latency_lo_ns = latency_lo_ns
        self.latency_hi_ns = latency_hi_ns
        self.loss_ppm = loss_ppm
        self.duplicate_ppm = duplicate_ppm
        self.tail_ppm = tail_ppm
        """Share of datagrams that are late: up to `tail_hi_ns` instead of the range's high end."""
        self.tail_hi_ns = tail_hi_ns


class Link:
    """One direction between two hosts."""

    __slots__ = (
        "_cuts",
        "_delay_ns",
        "_free_ns",
        "_holds",
        "_jitter_ns",
        "_kernel",
        "_lo",
        "_loss_ppm",
        "_parked",
        "_rate_bps",
        "_rng",
        "_shapes",
        "_span",
        "_weather",
        "dropped",
        "plain",
    )

    def __init__(self, kernel: Kernel, rng: Rng, weather: Weather) -> None:
        self._kernel = kernel
        self._rng = rng
        self._weather = weather
        self._lo = weather.latency_lo_ns
        self._span = weather.latency_hi_ns - weather.latency_lo_ns + 1
        self._cuts: Dict[int, None] = {}
        self._holds: Dict[int, List[str]] = {}
        self._shapes: Dict[int, Shape] = {}
        self._parked: Deque[Tuple[str, Callable[[], None]]] = deque()
        """What waits for a heal: (kind that is held or "" for a cut, how to send it again)."""
        self._free_ns = 0
        """When a direction with a rate can take the next message."""
        self.dropped = 0
        self.plain = True
        """Nothing but a latency: no fault, loss, duplicate or tail."""
        self._recompute()

    def datagram(self, callback: Callable[[Any], object], argument: Any, msg: Any) -> None:
        """Send `msg`; `callback(argument)` when it arrives, not at all or twice as the link is."""
        kernel = self._kernel
        if self.plain:
            kernel.at(kernel.now + self._lo + self._rng.below(self._span), callback, argument)
            return
        if self._cuts:
            self.dropped += 1
            return
        if self._holds and self._held(msg):
            again = lambda: self.datagram(callback, argument, msg)  # noqa: E731
            self._parked.append((kind_of(msg), again))
            return
        rng = self._rng
        if self._loss_ppm and rng.below(PPM) < self._loss_ppm:
            self.dropped += 1
            return
        kernel.at(kernel.now + self._flight_ns(), callback, argument)
        weather = self._weather
        if weather.duplicate_ppm and rng.below(PPM) < weather.duplicate_ppm:
            kernel.at(kernel.now + self._flight_ns(), callback, argument)

    def stream_delay_ns(self) -> int:
        """How long the next piece of a stream is under way; -1 when the stream must be reset."""
        if self.plain:
            return self._lo + self._rng.below(self._span)
        stall_ns = 0
        for losses in range(RETRANSMITS_MAX):
            if not self._loss_ppm or self._rng.below(PPM) >= self._loss_ppm:
                return stall_ns + self._flight_ns()
            stall_ns += RETRANSMIT_NS << losses
        return -1

    def park(self, msg: Any, again: Callable[[], None]) -> bool:
        """For streams: keep `again` until the heal if nothing, or not this kind, passes now."""
        if self._cuts:
            self._parked.append(("", again))
            return True
        if self._holds and self._held(msg):
            self._parked.append((kind_of(msg), again))
            return True
        return False

    def cut(self, fault: int) -> None:
        self._cuts[fault] = None
        self._recompute()

    def shape(self, fault: int, shape: Shape) -> None:
        self._shapes[fault] = shape
        self._recompute()

    def hold(self, fault: int, kind: str) -> None:
        self._holds.setdefault(fault, []).append(kind)
        self._recompute()

    def heal(self, fault: int) -> None:
        self._cuts.pop(fault, None)
        self._shapes.pop(fault, None)
        self._holds.pop(fault, None)
        self._recompute()
        # Each finds out for itself whether it may pass now; those that may not park again, in
        # order.
        waiting, self._parked = self._parked, deque()
        for _, again in waiting:
            again()

    def faults(self) -> List[int]:
        return [*self._cuts, *self._shapes, *self._holds]

    @property
    def is_cut(self) -> bool:
        return bool(self._cuts)

    def _held(self, msg: Any) -> bool:
        kind = kind_of(msg)
        return any(kind in kinds for kinds in self._holds.values())

    def _flight_ns(self) -> int:
        """Latency of one message under the shapes in force, the wait for the rate included."""
        weather = self._weather
        rng = self._rng
        flight = self._lo + rng.below(self._span)
        if weather.tail_ppm and rng.below(PPM) < weather.tail_ppm:
            flight = self._lo + rng.below(max(1, weather.tail_hi_ns - self._lo))
        if self._delay_ns or self._jitter_ns:
            flight += self._delay_ns + rng.between(-self._jitter_ns, self._jitter_ns)
        if self._rate_bps:
            now = self._kernel.now
            start = max(now, self._free_ns)
            self._free_ns = start + MESSAGE_BYTES * 1_000_000_000 // self._rate_bps
            flight += self._free_ns - now
        return max(flight, 0)

    def _recompute(self) -> None:
        shapes = list(self._shapes.values())
        weather = self._weather
        self._delay_ns = sum(shape.delay_ns for shape in shapes)
        self._jitter_ns = sum(shape.jitter_ns for shape in shapes)
        self._loss_ppm = min(PPM, weather.loss_ppm + sum(shape.loss_ppm for shape in shapes))
        self._rate_bps = min((s.rate_bps for s in shapes if s.rate_bps), default=0)
        lively = self._loss_ppm or weather.duplicate_ppm or weather.tail_ppm
        self.plain = not (self._cuts or self._holds or shapes or lively)


def kind_of(msg: Any) -> str:
    """The name that `hold` knows a message by: its KIND where that is a text, else its class."""
    kind = getattr(msg, "KIND", None)
    return kind if isinstance(kind, str) else type(msg).__name__


class StreamEnd:
    """One direction of a connection: sends pieces in order over a link."""

    __slots__ = ("_kernel", "_last_ns", "_link", "broken", "deliver")

    def __init__(self, kernel: Kernel, link: Link, deliver: Callable[[Any], object]) -> None:
        self._kernel = kernel
        self._link = link
        self._last_ns = 0
        self.deliver = deliver
        self.broken = False
        """Too many losses: nothing passes any more, and a reset is on its way."""

    def send(self, piece: Tuple[str, Any]) -> None:
        """Send `(what, message)`; `deliver` gets it after everything sent before."""
        link = self._link
        if self.broken or (not link.plain and link.park(piece[1], lambda: self.send(piece))):
            return
        delay_ns = link.stream_delay_ns()
        if delay_ns < 0:
            self.broken = True
            piece = (RESET, "too many packets lost")
            delay_ns = RETRANSMIT_NS << RETRANSMITS_MAX
        self._last_ns = max(self._last_ns, self._kernel.now + delay_ns)
        self._kernel.at(self._last_ns, self.deliver, piece)


OPEN, ACCEPTED, REFUSED, DATA, RESET, CLOSE = (
    "open",
    "accepted",
    "refused",
    "data",
    "reset",
    "close",
)
"""What a piece of a stream is."""


class SimConn:
    """The client's end of a connection (`harness.env.Conn`)."""

    __slots__ = ("_inbox", "_kernel", "_state", "_up", "_waiter", "_why", "host", "id", "node")

    def __init__(self, kernel: Kernel, ident: int, host: str, node: str, link: Link) -> None:
        self.id = ident
        self.host = host
        self.node = node
        self._kernel = kernel
        self._up = StreamEnd(kernel, link, _nowhere)
        self._inbox: Deque[Any] = deque()
        self._waiter: Optional[SimTask[Any]] = None
        self._state = OPEN
        self._why = ""

    def route(self, deliver: Callable[[Any], object]) -> None:
        """Where the pieces that it sends arrive."""
        self._up.deliver = deliver

    async def open(self) -> None:
        """Ask for the connection and wait for the answer. Raises NotSent."""
        self._up.send((OPEN, None))
        try:
            while self._state == OPEN:
                await self._wait()
        except BaseException:
            self.close()
            raise
        if self._state != ACCEPTED:
            raise NotSent(f"{self.host} could not connect to {self.node}: {self._why}")

    async def send(self, msg: Any) -> None:
        if self._state != ACCEPTED:
            raise Disconnected(self._gone())
        self._up.send((DATA, msg))

    async def recv(self) -> Any:
        while not self._inbox:
            if self._state != ACCEPTED:
                raise Disconnected(self._gone())
            await self._wait()
        return self._inbox.popleft()

    def close(self) -> None:
        if self._state in (OPEN, ACCEPTED):
            self._up.send((CLOSE, None))
        self._become(CLOSE, "closed by this side")

    def arrive(self, piece: Tuple[str, Any]) -> None:
        """A piece from the node."""
        what, msg = piece
        if self._state in (CLOSE, RESET, REFUSED):
            return
        if what == DATA:
            self._inbox.append(msg)
            self._wake()
        elif what == ACCEPTED:
            if msg is not None:
                self._inbox.append(msg)
            self._become(ACCEPTED, "")
        else:
            self._become(what, str(msg))

    def _become(self, state: str, why: str) -> None:
        self._state = state
        self._why = why
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None:
            self._waiter.wake()

    def _gone(self) -> str:
        return f"connection {self.id} of {self.host} to {self.node}: {self._why}"

    @primitive
    def _wait(self) -> Generator[Any, Any, None]:
        if self._waiter is not None:
            raise InternalError(f"two tasks read {self._gone()}")
        self._waiter = self._kernel.current
        try:
            yield PARK
        finally:
            self._waiter = None


def _nowhere(_: Any) -> None:
    raise InternalError("a connection sends before it is routed")


class Network:
    """All links of a run, and the connections over them."""

    def __init__(self, kernel: Kernel, seed: int, weather: Weather, client: Weather) -> None:
        self._kernel = kernel
        self._seed = seed
        self._weather = weather
        self._client_weather = client
        self._hosts: Dict[str, Optional[Callable[[SimConn, Any], None]]] = {}
        """Host -> what takes pieces of connections to it; None for client hosts."""
        self._links: Dict[Pair, Link] = {}
        self._conns = 0

    def add_host(self, name: str, accept: Optional[Callable[[SimConn, Any], None]]) -> None:
        """Make links between `name` and every host there is. `accept` takes pieces of streams."""
        if name in self._hosts:
            raise UserError(f"host {name!r} exists already")
        for other in self._hosts:
            nodes = accept is not None and self._hosts[other] is not None
            weather = self._weather if nodes else self._client_weather
            for pair in ((name, other), (other, name)):
                rng = Rng(self._seed, f"net/{pair[0]}>{pair[1]}")
                self._links[pair] = Link(self._kernel, rng, weather)
        self._hosts[name] = accept

    def link(self, src: str, dst: str) -> Link:
        """The direction from `src` to `dst`. Raises UserError where there is none."""
        found = self._links.get((src, dst))
        if found is None:
            raise UserError(f"no link from {src!r} to {dst!r} (hosts: {', '.join(self._hosts)})")
        return found

    def links_from(self, src: str) -> Dict[str, Link]:
        """Every link that begins at `src`, by where it ends."""
        return {b: link for (a, b), link in self._links.items() if a == src}

    async def connect(self, host: str, node: str, port: str) -> SimConn:
        """See `Env.connect`. Every named port leads to the node itself."""
        link = self.link(host, node)
        accept = self._hosts[node]
        if accept is None:
            raise UserError(f"{node!r} is a client host: nobody listens there")
        self._conns += 1
        conn = SimConn(self._kernel, self._conns, host, node, link)
        conn.route(lambda piece: accept(conn, piece))
        await conn.open()
        return conn

    def back(self, conn: SimConn) -> StreamEnd:
        """The node's sending end of `conn`."""
        return StreamEnd(self._kernel, self.link(conn.node, conn.host), conn.arrive)


class SimLinks:
    """`harness.cluster.Links` over the simulated network."""

    def __init__(self, env: SimEnv, network: Network) -> None:
        self._env = env
        self._network = network
        self._touched: Dict[int, Dict[Pair, Link]] = {}

    async def cut(self, fault: int, pairs: Iterable[Pair]) -> None:
        for link in self._own(fault, list(pairs)):
            link.cut(fault)

    async def shape(self, fault: int, shapes: Mapping[Pair, Shape]) -> None:
        for pair, shape in shapes.items():
            for link in self._own(fault, [pair]):
                link.shape(fault, shape)

    async def hold(self, fault: int, pair: Pair, kind: str) -> None:
        for link in self._own(fault, [pair]):
            link.hold(fault, kind)

    async def heal(self, fault: int) -> None:
        for link in self._touched.pop(fault, {}).values():
            link.heal(fault)

    async def faults(self) -> List[int]:
        return sorted(
            {f for owned in self._touched.values() for k in owned.values() for f in k.faults()}
        )

    async def probe(self, pairs: Iterable[Pair]) -> List[Reach]:
        """Ping each direction, all at once; the answers come over untouched paths."""
        tasks = [
            self._env.spawn(self._ping(src, dst), f"probe {src}>{dst}") for src, dst in list(pairs)
        ]
        return [await task.join() for task in tasks]

    def _own(self, fault: int, pairs: List[Pair]) -> List[Link]:
        links = {pair: self._network.link(*pair) for pair in pairs}
        self._touched.setdefault(fault, {}).update(links)
        return list(links.values())

    async def _ping(self, src: str, dst: str) -> Reach:
        from dissensus.harness.cluster import Reach

        env = self._env
        link = self._network.link(src, dst)
        began = env.now()
        arrived = env.event()

        async def keep_sending() -> None:
            while True:
                link.datagram(lambda _: arrived.set(), None, "ping")
                await env.sleep(PROBE_RETRY_NS)

        sender = env.spawn(keep_sending(), f"ping {src}>{dst}")
        bound = env.kernel.at(began + PROBE_BOUND_NS, lambda _: arrived.set())
        await arrived.wait()
        sender.cancel()
        env.kernel.cancel(bound)
        passed = env.now() < began + PROBE_BOUND_NS
        rtt_ns = env.now() - began if passed else -1
        return Reach(src=src, dst=dst, open=passed, rtt_ns=rtt_ns)
