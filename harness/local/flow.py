"""What the relay does with a connection: two flows, one per direction, each under the faults of its
link.

A flow reads from one socket and writes to the other. Untouched, a piece goes from `recv` to `send`
at once. Under a shape it waits in a queue for its time; while the link is cut nothing is read and
nothing written, and the sockets stay open. The end of a stream (FIN, RST) travels in the flow like
data, so a peer behind a cut learns of a death when the cut heals, not before.

Backpressure is the kernels': a flow whose peer does not take bytes, or whose queue is full, is not
read.
"""

from __future__ import annotations

import socket
import struct
from collections import deque
from collections.abc import Callable

from dissensus.harness.local.frames import Framer
from dissensus.harness.local.links import GIVE_UP_NS, Link
from dissensus.harness.local.loop import READ, WRITE, Loop, Timer

QUEUE_BYTES_MAX = 1 << 20
"""Bytes of one flow under way in a shape: 10 MB/s at 100 ms. Beyond it the sender waits."""
BUFFER_BYTES = 1 << 18
"""Kernel buffer of a relay's socket: what a cut link swallows before its sender notices."""
_LINGER_NOT = struct.pack("ii", 1, 0)
"""With it `close` sends RST and forgets what was not sent."""

FIN, RST = b"", None
"""Ends of a stream, as the last items of a flow."""


def prepare(sock: socket.socket) -> None:
    """Options of every socket that carries a flow."""
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def reset(sock: socket.socket) -> None:
    """Close with RST."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
    except OSError:  # its peer is gone already: there is nobody to tell
        sock.close()
        return
    sock.close()


class End:
    """One socket of a connection: where one flow begins and the other one ends."""

    __slots__ = ("_loop", "_mask", "fd", "inward", "outward", "sock")

    inward: Flow
    """From this socket into the relay."""
    outward: Flow
    """From the relay to this socket."""

    def __init__(self, loop: Loop, sock: socket.socket) -> None:
        self._loop = loop
        self._mask = 0
        self.sock = sock
        self.fd = sock.fileno()

    def ready(self, mask: int) -> None:
        """For the loop."""
        if mask & WRITE and self._mask & WRITE:
            self.outward.flush()
        if mask & READ and self._mask & READ:
            self.inward.read()

    def update(self) -> None:
        """Watch for what the two flows want now."""
        mask = (READ if self.inward.wants_read() else 0) | (
            WRITE if self.outward.wants_write() else 0
        )
        if mask == self._mask:
            return
        self._mask = mask
        if mask:
            self._loop.watch(self.fd, mask, self.ready)
        else:
            self._loop.forget(self.fd)

    def close(self, *, hard: bool) -> None:
        self._mask = 0
        self._loop.forget(self.fd)
        if hard:
            reset(self.sock)
        else:
            self.sock.close()


class Flow:
    """One direction of a connection."""

    __slots__ = (
        "_connection",
        "_dst",
        "_framer",
        "_last_ns",
        "_loop",
        "_out",
        "_queue",
        "_queued",
        "_src",
        "_timer",
        "back",
        "born_ns",
        "dead",
        "ended",
        "link",
        "over",
    )

    back: Flow
    """The other direction."""

    def __init__(self, connection: Connection, link: Link, src: End, dst: End) -> None:
        self._connection = connection
        self._loop = connection.loop
        self._src = src
        self._dst = dst
        self._framer = Framer() if connection.framed else None
        self._queue: deque[tuple[int, bytes | None]] = deque()
        self._queued = 0
        self._last_ns = 0
        self._out: memoryview | bytes = b""
        """Read, due, not taken by the destination's kernel."""
        self._timer: Timer | None = None
        self.link = link
        self.born_ns = connection.loop.now()
        self.ended = False
        """The source has said its last."""
        self.over = False
        """The destination knows that."""
        self.dead = False
        """The destination takes nothing any more."""

    def wants_read(self) -> bool:
        return not (
            self.ended
            or self.dead
            or self.link.is_cut
            or self._out
            or self._queued >= QUEUE_BYTES_MAX
        )

    def wants_write(self) -> bool:
        return bool(self._out) and not self.dead and not self.link.is_cut

    def read(self) -> None:
        """The source has something."""
        link = self.link
        try:
            data = self._src.sock.recv(link.read_bytes)
        except BlockingIOError:
            return
        except OSError:
            self.end(RST)
            return
        if not data:
            self.end(FIN)
            return
        link.bytes += len(data)
        if self._framer is not None:
            data = self._framer.feed(data, link.kinds)
            if self._framer.held:
                self._free()
            if not data:
                return
        if link.plain and not self._queue and not self._out:
            self._write(data)
        else:
            self._push(data)

    def end(self, how: bytes | None) -> None:
        """The source has ended its stream, or is gone."""
        if self._connection.closed or (self.ended and how is FIN):
            return
        again, self.ended = self.ended, True
        if how is FIN and self._framer is not None:
            if self._framer.held:
                self._src.update()
                return  # what is held comes before the end: `changed` goes on
            rest = self._framer.rest()
            if rest:
                self._push(rest)
        if not again or how is RST:
            self._push(how)
        self._src.update()

    def changed(self) -> None:
        """The link's faults are others than before."""
        if self._framer is not None and self._framer.held:
            self._free()
        self._pump()
        self._refresh()

    def expire(self) -> None:
        """The link was cut for too long."""
        self._connection.abort()

    def flush(self) -> None:
        """The destination takes bytes again."""
        out, self._out = self._out, b""
        self._write(out)
        self._pump()
        self._refresh()

    def close(self) -> None:
        """The connection is closed."""
        self.ended = self.over = self.dead = True
        self._queue.clear()
        self._out = b""
        self.link.travellers.pop(self, None)
        if self._timer is not None:
            self._timer.cancel()

    def _free(self) -> None:
        """Let held frames go whose kind is held no longer, where they fit in."""
        framer = self._framer
        assert framer is not None
        if not framer.between:
            return
        free = framer.release(self.link.kinds)
        if free:
            self._push(free)
        if self.ended and not framer.held:
            self._push(FIN)

    def _push(self, data: bytes | None) -> None:
        now = self._loop.now()
        due_ns = now if self.link.plain else self.link.release_ns(len(data or b""), now)
        if due_ns < 0:
            self.ended = True
            self._src.update()
            self._loop.at(now + GIVE_UP_NS, self._connection.abort)
            return
        # A stream keeps its order whatever jitter draws.
        self._last_ns = due_ns = max(self._last_ns, due_ns)
        self._queue.append((due_ns, data))
        self._queued += len(data or b"")
        self._pump()
        if self._queued >= QUEUE_BYTES_MAX:
            self._src.update()

    def _pump(self) -> None:
        """Let go what is due."""
        queue = self._queue
        link = self.link
        full = self._queued >= QUEUE_BYTES_MAX
        while queue and not link.is_cut and not self._out:
            due_ns, data = queue[0]
            if link.shapes and due_ns > self._loop.now():
                self._wake_at(due_ns)
                break
            queue.popleft()
            if data:
                self._queued -= len(data)
                self._write(data)
            else:
                self._finish(hard=data is RST)
        if full and self._queued < QUEUE_BYTES_MAX:
            self._src.update()

    def _wake_at(self, due_ns: int) -> None:
        if self._timer is None:
            self._timer = self._loop.at(due_ns, self._due)

    def _due(self) -> None:
        self._timer = None
        self._pump()

    def _write(self, data: bytes | memoryview) -> None:
        if self.dead:
            return
        try:
            taken = self._dst.sock.send(data)
        except BlockingIOError:
            taken = 0
        except OSError:
            # Whoever was there is gone; its end of the stream travels the other way.
            self.dead = True
            self._queue.clear()
            self._refresh()
            self.back.end(RST)
            return
        if taken < len(data):
            self._out = memoryview(data)[taken:]
            self._refresh()

    def _finish(self, *, hard: bool) -> None:
        """The end of the stream arrives."""
        self.over = True
        if hard:
            self._connection.abort()
            return
        try:
            self._dst.sock.shutdown(socket.SHUT_WR)
        except OSError:  # it has closed as well
            self._connection.abort()
            return
        if self.back.over:
            self._connection.close(hard=False)

    def _refresh(self) -> None:
        self._src.update()
        self._dst.update()


class Connection:
    """Two sockets and the flows between them."""

    __slots__ = ("_backward", "_far", "_forward", "_near", "closed", "framed", "loop", "on_close")

    def __init__(
        self,
        loop: Loop,
        near: socket.socket,
        far: socket.socket,
        forward: Link,
        backward: Link,
        *,
        framed: bool,
        on_close: Callable[[Connection], object],
    ) -> None:
        """`near` belongs to who called, `far` to who was called; both ready for use."""
        self.loop = loop
        self.framed = framed
        self.on_close = on_close
        self.closed = False
        self._near = End(loop, near)
        self._far = End(loop, far)
        self._forward = Flow(self, forward, self._near, self._far)
        self._backward = Flow(self, backward, self._far, self._near)
        self._near.inward = self._far.outward = self._forward
        self._far.inward = self._near.outward = self._backward
        self._forward.back = self._backward
        self._backward.back = self._forward
        for flow in (self._forward, self._backward):
            flow.link.travellers[flow] = None
        self._near.update()
        self._far.update()

    @property
    def links(self) -> tuple[Link, Link]:
        """(from the caller, to the caller)."""
        return self._forward.link, self._backward.link

    def abort(self) -> None:
        """Reset both sides."""
        self.close(hard=True)

    def close(self, *, hard: bool) -> None:
        """Close both sockets. Twice is no error."""
        if self.closed:
            return
        self.closed = True
        self._forward.close()
        self._backward.close()
        self._near.close(hard=hard)
        self._far.close(hard=hard)
        self.on_close(self)
