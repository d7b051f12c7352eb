"""The client's side of a log-replicating protocol as a pure core: sessions, retries, discovery.

A driver calls `begin` for an operation and then `step` with what happened, and does what the
returned action says, until that is `Done`. One operation at a time; no clock, no socket.

A *pinned* client sends everything to its one node, once, without a session: what that node cannot
answer fails there. A *roaming* one follows leader hints and tries again elsewhere; its updates
carry a session and the same seq in every attempt, so that a retry is executed at most once.

An outcome is definite ("fail") only while no attempt may have been executed: as soon as one was
sent without an answer, an error is "info".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, List, Optional, Sequence, Tuple, Union

from dissensus.systems.reference.core.client_messages import (
    BUSY,
    DEFINITE,
    EXPIRED,
    NOT_LEADER,
    STALE_SEQ,
    ClientReply,
    ClientRequest,
    OpenSession,
)

ATTEMPTS_MAX = 12  # of one operation of a roaming client: two rounds over a cluster of five
PAUSE_NS = 50_000_000  # before asking again when nobody leads: a tenth of an election


@dataclass
class Connect:
    """Close what is open; connect to `node` and wait for its hello."""

    __slots__ = ("node",)
    node: str


@dataclass
class Transmit:
    """Send `msg` over the connection and wait for the reply with its session and seq."""

    __slots__ = ("msg",)
    msg: Any


@dataclass
class Pause:
    """Wait."""

    __slots__ = ("ns",)
    ns: int


@dataclass
class Done:
    """The operation is over. kind: "ok" (value: its result), "fail" or "info" (value: why)."""

    __slots__ = ("kind", "value")
    kind: str
    value: Any


Action = Union[Connect, Transmit, Pause, Done]

# What may happen.
CONNECTED = "connected"
NOT_CONNECTED = "not-connected"
LOST = "lost"
TIMED_OUT = "timed-out"
PAUSED = "paused"


class ClientCore:
    """The memory of one client: where it is connected, its session, its operation."""

    def __init__(
        self, nodes: Sequence[str], pinned: Optional[str], below: Callable[[int], int]
    ) -> None:
        """`below(n)` draws from [0, n)."""
        self.nodes = list(nodes)
        self.pinned = pinned
        self.connected: Optional[str] = None
        self.session = 0
        self.seq = 0
        self.served_by: Optional[str] = None
        """The node that gave the last reply."""
        self._below = below
        self._unnamed = 0
        """Number of the latest request without a session."""
        self._target: Optional[str] = pinned
        self._op: Tuple[Any, ...] = ()
        self._update = False
        self._attempts = 0
        self._maybe = False
        """An attempt of the present operation may have been executed."""
        self._mine = 0
        """The seq of the present operation in the session, 0 before it has one."""
        self._sent: Any = None
        self._error = ""

    def begin(self, op: Tuple[Any, ...], update: bool) -> Action:
        """Start an operation. What was still under way (its caller gave up) is abandoned."""
        self._op = op
        self._update = update
        self._attempts = 0
        self._maybe = False
        self._mine = 0
        self._sent = None
        self._error = ""
        self.served_by = None
        return self._attempt()

    def step(self, event: Union[str, ClientReply]) -> Action:
        """Take what happened, say what to do next."""
        if isinstance(event, ClientReply):
            return self._reply(event)
        if event == PAUSED:
            return self._attempt()
        if event == CONNECTED:
            self.connected = self._target
            return self._transmit()
        if event in (LOST, TIMED_OUT):
            self._maybe = self._maybe or isinstance(self._sent, ClientRequest)
            if event == LOST:
                self.connected = None
        else:
            self.connected = None
        self._error = event
        return self._elsewhere(None)

    def disconnected(self) -> None:
        """The connection went away between operations."""
        self.connected = None

    # -- attempts -------------------------------------------------------------------------------

    def _attempt(self) -> Action:
        if self._target is None:
            self._target = self.nodes[self._below(len(self.nodes))]
        if self.connected != self._target:
            self.connected = None
            return Connect(self._target)
        return self._transmit()

    def _transmit(self) -> Action:
        if not self._update or self.pinned is not None:
            self._unnamed += 1
            msg: Any = ClientRequest(0, self._unnamed, 0, self._op)
        elif not self.session:
            self._unnamed += 1
            msg = OpenSession(self._unnamed)
        else:
            if not self._mine:
                self.seq += 1
                self._mine = self.seq
            msg = ClientRequest(self.session, self._mine, self._mine - 1, self._op)
        self._sent = msg
        return Transmit(msg)

    def _elsewhere(self, hint: Optional[str]) -> Action:
        """Try again at `hint`, or at another node; or give up."""
        self._attempts += 1
        if self.pinned is not None or self._attempts >= ATTEMPTS_MAX:
            return self._failed()
        before = self._target
        if hint is not None and hint in self.nodes and hint != before:
            self._target = hint
            return self._attempt()
        others: List[str] = [node for node in self.nodes if node != before] or self.nodes
        self._target = others[self._below(len(others))]
        return Pause(PAUSE_NS)

    def _failed(self) -> Done:
        return Done("info" if self._maybe else "fail", self._error)

    # -- replies --------------------------------------------------------------------------------

    def _reply(self, reply: ClientReply) -> Action:
        self.served_by = self.connected
        if reply.ok:
            if isinstance(self._sent, OpenSession):
                self.session = reply.result  # type: ignore[assignment]
                self.seq = 0
                return self._transmit()
            return Done("ok", reply.result)
        error = self._error = reply.error
        if error in (EXPIRED, STALE_SEQ):
            self.session = 0
            self._mine = 0
            if self._maybe:
                return Done("info", error)  # in a new session a retry could be a second time
            self._attempts += 1
            return self._failed() if self._attempts >= ATTEMPTS_MAX else self._attempt()
        if error in (NOT_LEADER, BUSY):
            return self._elsewhere(reply.leader)
        if error not in DEFINITE:
            self._maybe = self._maybe or isinstance(self._sent, ClientRequest)
            return self._elsewhere(reply.leader)
        return self._failed()
