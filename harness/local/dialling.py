"""A call: a connection that the relay has accepted and not joined yet, and how calls came out.

The kernel completes the caller's handshake before the relay knows of it. So whoever must know
whether a node was reached (`env.connect`) asks the relay for the outcome of its call.
"""

from __future__ import annotations

import errno
import socket
from collections import OrderedDict
from collections.abc import Callable

from dissensus.harness.local.addresses import Address
from dissensus.harness.local.flow import BUFFER_BYTES, prepare, reset
from dissensus.harness.local.links import Link
from dissensus.harness.local.loop import READ, WRITE, Loop

OUTCOMES_MAX = 4096
"""Outcomes kept until somebody asks: the question follows the call within a millisecond or two."""

OPEN, REFUSED, GONE = "open", "refused", "gone"
"""How a call came out: joined; refused or given up by the network; given up by the caller."""


class Outcomes:
    """Outcomes of clients' calls, by the caller's address: told once, to whoever asks."""

    def __init__(self) -> None:
        self._known: OrderedDict[Address, str] = OrderedDict()
        self._asked: dict[Address, Callable[[str], object]] = {}

    def ask(self, caller: Address, tell: Callable[[str], object]) -> None:
        """`tell(outcome)` now or when it is known."""
        known = self._known.pop(caller, None)
        if known is None:
            self._asked[caller] = tell
        else:
            tell(known)

    def forget(self, tell: Callable[[str], object]) -> None:
        """Nobody waits for this any more."""
        self._asked = {caller: t for caller, t in self._asked.items() if t is not tell}

    def settle(self, caller: Address, outcome: str) -> None:
        """The call from `caller` came out."""
        tell = self._asked.pop(caller, None)
        if tell is not None:
            tell(outcome)
            return
        self._known[caller] = outcome
        if len(self._known) > OUTCOMES_MAX:
            self._known.popitem(last=False)


class Call:
    """Waits for open links, dials, and hands both sockets to `joined`; else resets the caller."""

    __slots__ = (
        "_backward",
        "_due",
        "_far",
        "_forward",
        "_joined",
        "_loop",
        "_near",
        "_settle",
        "_source",
        "_target",
        "born_ns",
    )

    def __init__(
        self,
        loop: Loop,
        near: socket.socket,
        *,
        source: str,
        target: Address,
        links: tuple[Link, Link],
        joined: Callable[[socket.socket, socket.socket], object],
        settle: Callable[[str], object],
    ) -> None:
        """`source`: the IP address that the node sees; `links`: from the caller, and to it."""
        self._loop = loop
        self.born_ns = loop.now()
        self._near = near
        self._far: socket.socket | None = None
        self._source = source
        self._target = target
        self._forward, self._backward = links
        self._joined = joined
        self._settle = settle
        self._due = False
        """The handshake is on its way through the shapes, or beyond."""
        self._forward.travellers[self] = self._backward.travellers[self] = None
        loop.watch(near.fileno(), READ, self._near_ready)
        self.changed()

    def changed(self) -> None:
        """A link has other faults now: perhaps both are open."""
        if self._due or self._forward.is_cut or self._backward.is_cut:
            return
        now = self._loop.now()
        due_ns = self._forward.release_ns(0, now) if self._forward.shapes else now
        self._due = True
        if due_ns > now:
            self._loop.at(due_ns, self._dial)
        else:
            self._dial()

    def expire(self) -> None:
        """The links were cut for too long."""
        self._end(REFUSED)

    def _dial(self) -> None:
        if self._settled():
            return
        if self._forward.is_cut or self._backward.is_cut:
            self._due = False
            return
        try:
            far = self._far = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            prepare(far)
            far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
            far.bind((self._source, 0))
        except OSError:  # out of descriptors or ports
            self._end(REFUSED)
            return
        code = far.connect_ex(self._target)
        if code == 0:
            self._join()
        elif code == errno.EINPROGRESS:
            self._loop.watch(far.fileno(), WRITE, self._far_ready)
        else:
            self._end(REFUSED)

    def _far_ready(self, mask: int) -> None:
        assert self._far is not None
        if self._far.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._end(REFUSED)
        else:
            self._join()

    def _near_ready(self, mask: int) -> None:
        """The caller sends before it was answered, or gives up."""
        try:
            waiting = self._near.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            waiting = b""
        if waiting:
            self._loop.forget(self._near.fileno())
        else:
            self._end(GONE)

    def _settled(self) -> bool:
        return self not in self._forward.travellers

    def _leave(self) -> None:
        self._loop.forget(self._near.fileno())
        if self._far is not None:
            self._loop.forget(self._far.fileno())
        self._forward.travellers.pop(self, None)
        self._backward.travellers.pop(self, None)

    def _join(self) -> None:
        assert self._far is not None
        self._leave()
        self._joined(self._near, self._far)
        self._settle(OPEN)

    def _end(self, outcome: str) -> None:
        self._leave()
        reset(self._near)
        if self._far is not None:
            self._far.close()
        self._settle(outcome)
