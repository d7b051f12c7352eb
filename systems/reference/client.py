"""Clients of the reference's key-value machine: the core of `core/client.py` on `env.connect`.

Reads are linearizable at any node (a follower asks the leader for a read index). A pinned client
talks to its one node: what needs the leader fails there as "not_leader". A roaming client follows
hints and retries in a session. Keys become strings; a missing key reads as None.
"""

from __future__ import annotations

from typing import Any

from dissensus.harness.env import Conn, DeadlineExceeded, Disconnected, Env, NotSent
from dissensus.harness.system import Client, ClientSession, Failed, Unsure
from dissensus.systems.reference.core.client import (
    CONNECTED,
    LOST,
    NOT_CONNECTED,
    PAUSED,
    TIMED_OUT,
    ClientCore,
    Connect,
    Done,
    Pause,
    Transmit,
)
from dissensus.systems.reference.core.client_messages import ClientReply
from dissensus.systems.reference.wire.frames import ClientHello, ServerHello, client_codec

CONNECT_TIMEOUT_NS = 500_000_000
"""A connect across a cut link hangs: a roaming client goes elsewhere after this."""
ATTEMPT_TIMEOUT_NS = 1_500_000_000
"""How long a roaming client waits for one reply: some elections. A pinned one waits on."""
MISMATCH = "mismatch"
"""Error of a cas whose expectation was wrong."""


class KeyValueClient(Client):
    """read, write, cas, append, delete."""

    async def open(self, env: Env, session: ClientSession) -> None:
        await super().open(env, session)
        rng = env.rand(f"client/{session.process}")
        self._core = ClientCore(session.nodes, session.pinned, rng.below)
        self._conn: Conn | None = None
        self._incarnation = 0

    async def close(self) -> None:
        self._drop()

    def hints(self) -> tuple[str | None, dict[str, Any] | None]:
        """The node that answered; session and seq for whoever follows an update through the log."""
        core = self._core
        hint = {"session": core.session, "seq": core.seq} if core.session else None
        return core.served_by or self.session.pinned, hint

    async def read(self, key: Any, value: Any) -> Any:
        """The value at `key`; a tuple that was appended to comes back as a list."""
        found = await self._call(("get", _name(key)), update=False)
        return list(found) if isinstance(found, tuple) else found

    async def write(self, key: Any, value: Any) -> Any:
        """Set `key` to `value`, a scalar."""
        await self._call(("put", _name(key), value), update=True)
        return value

    async def cas(self, key: Any, value: Any) -> Any:
        """`value` is (expected, new). Fails definitely with "mismatch"."""
        expected, new = value
        if not await self._call(("cas", _name(key), expected, new), update=True):
            raise Failed(MISMATCH)
        return value

    async def append(self, key: Any, value: Any) -> Any:
        """Append `value`, a scalar, to the list at `key`."""
        await self._call(("append", _name(key), value), update=True)
        return value

    async def delete(self, key: Any, value: Any) -> Any:
        """Remove `key`; no error when it is absent."""
        await self._call(("delete", _name(key)), update=True)
        return value

    # -- the driver of the core -----------------------------------------------------------------

    async def _call(self, op: tuple[Any, ...], *, update: bool) -> Any:
        action = self._core.begin(op, update)
        while not isinstance(action, Done):
            if isinstance(action, Connect):
                event: Any = await self._connect(action.node)
            elif isinstance(action, Transmit):
                event = await self._transmit(action.msg)
            else:
                assert isinstance(action, Pause)
                await self.env.sleep(action.ns)
                event = PAUSED
            action = self._core.step(event)
        if action.kind == "ok":
            return action.value
        raise (Failed if action.kind == "fail" else Unsure)(action.value)

    async def _connect(self, node: str) -> str:
        self._drop()
        coro = self._greet(node)
        try:
            if self.session.pinned is None:
                self._conn = await self.env.timeout(CONNECT_TIMEOUT_NS, coro)
            else:
                self._conn = await coro
        except (NotSent, Disconnected, DeadlineExceeded):
            return NOT_CONNECTED
        return CONNECTED

    async def _greet(self, node: str) -> Conn:
        """Connect; nothing is sent before the server has said who it is."""
        conn = await self.env.connect(self.session.host, node, client_codec())
        try:
            hello = await conn.recv()
            if type(hello) is not ServerHello or hello.node != node:
                raise NotSent(f"{hello!r:.100} instead of the hello of {node}")
            self._incarnation = hello.incarnation
            await conn.send(ClientHello(f"p{self.session.process}"))
        except BaseException:
            conn.close()
            raise
        return conn

    async def _transmit(self, msg: Any) -> str | ClientReply:
        conn = self._conn
        if conn is None:
            return LOST
        try:
            await conn.send(msg)
            waiting = _reply_to(conn, getattr(msg, "session", 0), msg.seq)
            if self.session.pinned is None:
                return await self.env.timeout(ATTEMPT_TIMEOUT_NS, waiting)
            return await waiting
        except Disconnected:
            self._drop()
            return LOST
        except DeadlineExceeded:
            return TIMED_OUT

    def _drop(self) -> None:
        conn, self._conn = self._conn, None
        if conn is not None:
            conn.close()
            self._core.disconnected()


async def _reply_to(conn: Conn, session: int, seq: int) -> ClientReply:
    """The reply to this request; late ones, to requests given up, are passed over."""
    while True:
        reply = await conn.recv()
        if type(reply) is ClientReply and reply.seq == seq and reply.session == session:
            return reply


def _name(key: Any) -> str:
    return "register" if key is None else str(key)
