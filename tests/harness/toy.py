"""A toy system for the simulator: registers, kept by a primary and copied to backups. Tests get it
by fixtures, the command line as `tests/harness/toy.py:ToySystem`.

The first node is the primary for ever. It shows and acknowledges a write when it is on its disk,
and answers reads itself: linearizable, whatever happens to disks, links and processes. `bug` breaks
it: "ack-before-fsync", "read-anywhere" (backups answer reads too), "forked-digest", "panics",
"mute" (answers nobody), "stillborn" (the last node does not come up), "dies" (at its first
request).
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Mapping
from typing import Any

from dissensus.harness.env import Cancelled, Conn, Disconnected, Env, NotSent
from dissensus.harness.simnode import SimHost
from dissensus.harness.system import Client, ClientSession, Failed, NodeSpec, Unsure


class ToyNode:
    """A SimNode: messages are tuples, the log is a JSON list of one value a line.

    A torn line never parses, so that one is skipped; the next append begins a new one.
    """

    host: SimHost

    def __init__(self, spec: NodeSpec, bug: str) -> None:
        self.spec = spec
        self.bug = bug
        self.seen: list[tuple[str, Any]] = []
        self.crash()

    def crash(self) -> None:
        self.logs: dict[int, list[Any]] = {}
        self.durable: dict[int, int] = {}
        self.waiting: dict[int, tuple[int, int, int]] = {}
        self.recovering = -1
        self.torn = False

    @property
    def primary(self) -> bool:
        return self.spec.name == self.spec.initial[0]

    def start(self, host: SimHost, incarnation: int) -> None:
        self.host = host
        if self.bug == "stillborn" and self.spec.name == self.spec.initial[-1]:
            raise AssertionError("no configuration fits")
        self.host.set_timer("beat", 10_000_000)
        if not self.primary or "log" not in host.files.list():
            return
        text = host.files.read("log").decode()
        self.torn = not text.endswith("\n")
        for line in text.split("\n"):
            try:
                key, value = json.loads(line)
            except ValueError:
                continue
            self.logs.setdefault(key, []).append(value)
        # What a killed predecessor wrote may be in the page cache alone.
        host.files.sync_dir()
        self.recovering = host.files.fsync("log")

    def receive(self, src: str, msg: Any) -> None:
        self.seen.append((src, msg))
        if msg[0] == "copy" and len(msg[2]) > len(self.logs.get(msg[1], [])):
            self.logs[msg[1]] = list(msg[2])
            self.durable[msg[1]] = len(msg[2])
            self._apply(msg[1])

    def connected(self, conn: int, client_host: str) -> Any:
        return ("hello", self.spec.name)

    def request(self, conn: int, msg: Any) -> None:
        f, key, value = msg
        if self.bug == "mute":
            return
        if self.bug == "dies" or (f == "panic" and self.bug == "panics"):
            raise AssertionError("the register is upside down")
        log = self.logs.get(key, [])
        if self.recovering >= 0:
            self.host.reply(conn, ("busy", None))
        elif not self.primary and not (f == "read" and self.bug == "read-anywhere"):
            self.host.reply(conn, ("redirect", self.spec.initial[0]))
        elif f == "read":
            shown = self.durable.get(key, 0)
            self.host.reply(conn, ("ok", log[shown - 1] if shown else None))
        elif f == "cas" and (not log or log[-1] != value[0]):
            self.host.reply(conn, ("differs", None))
        else:
            self._write(conn, key, value[1] if f == "cas" else value)

    def _write(self, conn: int, key: int, value: Any) -> None:
        log = self.logs.setdefault(key, [])
        log.append(value)
        created = "log" not in self.host.files.list()
        line = ("\n" if self.torn else "") + json.dumps([key, value]) + "\n"
        self.torn = False
        self.host.files.append("log", line.encode())
        if created:
            self.host.files.sync_dir()
        token = self.host.files.fsync("log")
        if self.bug == "ack-before-fsync":
            self.durable[key] = len(log)
            self.host.reply(conn, ("ok", value))
            self._apply(key)
        else:
            self.waiting[token] = (conn, key, len(log))

    def _apply(self, key: int) -> None:
        shown = self.logs[key][: self.durable[key]]
        digest = zlib.crc32(json.dumps(shown).encode())
        if self.bug == "forked-digest" and not self.primary:
            digest += 1
        # Keys are applied in any order: an index of its own for each state of each key.
        index = hashlib.blake2b(f"{key}/{len(shown)}".encode(), digest_size=6).digest()
        self.host.applied(int.from_bytes(index, "big"), digest)
        if self.primary:
            self._copy(key)

    def _copy(self, key: int) -> None:
        for peer in self.spec.initial[1:]:
            self.host.send(peer, ("copy", key, tuple(self.logs[key][: self.durable[key]])))

    def disconnected(self, conn: int) -> None:
        self.seen.append(("gone", conn))

    def admin(self, command: str, args: Mapping[str, Any], done: Callable[[Any], None]) -> None:
        if command == "die":
            self.host.panic("asked to")
        else:
            done({"command": command, **args})

    def timer(self, name: str) -> None:
        self.seen.append(("timer", name))
        self.host.set_timer("beat", 10_000_000)
        if self.primary:
            for peer in self.spec.initial[1:]:
                self.host.send(peer, ("beat", None))

    def synced(self, token: int) -> None:
        if token == self.recovering:
            self.recovering = -1
            for key, log in self.logs.items():
                self.durable[key] = len(log)
                self._copy(key)
        elif token in self.waiting:
            conn, key, length = self.waiting.pop(token)
            self.durable[key] = length
            self.host.reply(conn, ("ok", self.logs[key][length - 1]))
            self._apply(key)

    def status(self) -> dict[str, Any]:
        role = "leader" if self.primary else "follower"
        return {"role": role, "term": 1, "applied": sum(self.durable.values()), "size": 7}


class ToyClient(Client):
    """Connects anew when it lost its connection; follows one redirect."""

    conn: Conn | None = None

    async def open(self, env: Env, session: ClientSession) -> None:
        await super().open(env, session)
        self.node = session.pinned or session.nodes[0]

    async def read(self, key: Any, value: Any) -> Any:
        return await self._ask(("read", key, None))

    async def write(self, key: Any, value: Any) -> Any:
        return await self._ask(("write", key, value))

    async def cas(self, key: Any, value: Any) -> Any:
        await self._ask(("cas", key, value))

    async def close(self) -> None:
        if self.conn is not None:
            self.conn.close()

    async def _ask(self, msg: Any) -> Any:
        for _ in range(2):
            if self.conn is None:
                conn = await self.env.connect(self.session.host, self.node, NoCodec())
                try:
                    assert (await conn.recv())[0] == "hello"
                except Disconnected as error:
                    raise NotSent("lost before the hello") from error
                self.conn = conn
            try:
                await self.conn.send(msg)
                what, value = await self.conn.recv()
            except Disconnected as error:
                self.conn = None
                raise Unsure("disconnected") from error
            except Cancelled:
                # A late answer must not be taken for that to the next question.
                self.conn.close()
                self.conn = None
                raise
            if what == "ok":
                return value
            if what != "redirect":
                raise Failed(what)
            self.conn.close()
            self.conn, self.node = None, value
        raise NotSent("no primary")


class NoCodec:
    """Objects pass as they are on sim."""

    def encode(self, msg: Any) -> bytes:
        raise AssertionError("the simulator encodes nothing")

    def feed(self, data: bytes) -> list[Any]:
        raise AssertionError("the simulator decodes nothing")


class ToySystem:
    """The System around it."""

    name = "toy"
    capabilities = frozenset({"sim", "status", "applied-digest"})
    ports = ("client", "peer")

    def __init__(self, bug: str = "") -> None:
        self.bug = bug

    def version(self) -> str:
        return "toy 1"

    def options(self) -> Mapping[str, Any]:
        return {"bug": self.bug}

    def prepare(self, spec: NodeSpec) -> None:
        raise AssertionError("sim prepares nothing on disk")

    def argv(self, spec: NodeSpec) -> list[str]:
        raise AssertionError("sim starts no process")

    def environ(self, spec: NodeSpec) -> Mapping[str, str]:
        return {}

    async def ready(self, env: Env, spec: NodeSpec) -> bool:
        return True

    async def info(self, env: Env, spec: NodeSpec) -> None:
        return None

    async def admin(self, env: Env, spec: NodeSpec, command: str, args: Mapping[str, Any]) -> Any:
        raise AssertionError("sim asks the node itself")

    def client(self, workload: str) -> Client:
        return ToyClient()

    def sim_node(self, spec: NodeSpec) -> ToyNode:
        return ToyNode(spec, self.bug)
