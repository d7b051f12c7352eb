"""A toy protocol, so that the host is tested without Raft, and a client that speaks raw frames."""

from __future__ import annotations

import asyncio
import io
import json
import socket
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dissensus.systems.reference.core.client_messages import ClientReply, ClientRequest
from dissensus.systems.reference.core.effects import (
    Applied,
    Ask,
    CancelTimer,
    Effect,
    Mark,
    Persist,
    Reply,
    Send,
    SetTimer,
)
from dissensus.systems.reference.core.errors import InvariantError, PeerError
from dissensus.systems.reference.core.events import Admin, Answer, Recv, Request, Start, Timer
from dissensus.systems.reference.host.config import NodeConfig
from dissensus.systems.reference.host.kits import ProtocolKit
from dissensus.systems.reference.host.log import StructuredLog
from dissensus.systems.reference.host.node import NodeHost
from dissensus.systems.reference.wire.frames import Codec, node_schema

WAIT_S = 10


@dataclass
class Note:
    """A message of the toy."""

    __slots__ = ("text",)
    KIND = 1
    text: str


class Toy:
    """Keeps a durable dict, passes notes, has a lease: one request for each duty of a host."""

    def __init__(self, node_id: str) -> None:
        self.node_id = node_id
        self.armed: dict[str, tuple[int, int]] = {}
        self.data: dict[str, Any] = {}
        self.notes: list[str] = []
        self.leased = False
        self.beats = 0
        self.index = 0
        self.asked: Any = None

    def step(self, event: Any) -> list[Effect]:
        if type(event) is Start:
            self.data = dict(event.durable)
            return [Mark("started", {"keys": len(self.data)}), SetTimer("beat", 10**7, 2 * 10**7)]
        if type(event) is Recv:
            return self._note(event.src, event.msg.text)
        if type(event) is Timer:
            if event.name == "lease":
                self.leased = False
                return []
            self.beats += 1
            return [SetTimer("beat", 10**7, 2 * 10**7)]
        if type(event) is Request:
            return self._request(event.client, event.op)
        if type(event) is Answer:
            client, op = self.asked
            return [Reply(client, _reply(op, event.value))]
        if type(event) is Admin:
            return [Reply(event.client, {"ok": True, "echo": event.op})]
        return []

    def _note(self, src: str, text: str) -> list[Effect]:
        if text == "bad":
            raise PeerError(f"{src} sent a bad note")
        if text == "crash":
            raise InvariantError("a note said so")
        self.notes.append(f"{src}:{text}")
        return []

    def _request(self, client: Any, op: ClientRequest) -> list[Effect]:
        name, *args = op.op
        if name == "put":
            self.data[args[0]] = args[1]
            self.index += 1
            return [
                Persist((args[0], args[1])),
                Applied(self.index, self.index * 7, None),
                Reply(client, _reply(op, True)),
            ]
        if name == "lease":
            self.leased = True
            ns = int(args[0]) * 1_000_000
            return [SetTimer("lease", ns, ns), Reply(client, _reply(op, True))]
        if name == "unlease":
            return [CancelTimer("lease"), Reply(client, _reply(op, True))]
        if name == "tell":
            return [Send(args[0], Note(args[1])), Reply(client, _reply(op, True), True)]
        if name == "ask":
            self.asked = (client, op)
            return [Ask("token", args[0])]
        values = {
            "get": lambda: self.data.get(args[0]),
            "leased": lambda: self.leased,
            "notes": lambda: tuple(self.notes),
            "beats": lambda: self.beats,
        }
        return [Reply(client, _reply(op, values[name]()), True)]

    def abstract(self) -> Any:
        return tuple(sorted(self.data.items()))

    def fingerprint(self) -> int:
        return len(self.data)

    def clone(self) -> Toy:
        raise NotImplementedError

    def status(self) -> dict[str, Any]:
        return {"role": "toy", "term": 0, "applied": self.index, "keys": len(self.data)}


def _reply(op: ClientRequest, result: Any) -> ClientReply:
    return ClientReply(op.session, op.seq, True, result, "", None)


class ToyFormat:
    """A dict of puts; no snapshots."""

    def empty(self) -> dict[str, Any]:
        return {}

    def apply(self, durable: dict[str, Any], patch: Any) -> dict[str, Any]:
        durable[patch[0]] = patch[1]
        return durable

    def copy(self, durable: dict[str, Any]) -> dict[str, Any]:
        return dict(durable)

    def encode(self, patch: Any) -> tuple[int, bytes]:
        return 16, json.dumps(patch).encode()

    def decode(self, kind: int, body: bytes) -> Any:
        return json.loads(body)

    def is_snapshot(self, patch: Any) -> bool:
        return False

    def statement(self, durable: dict[str, Any]) -> list[Any]:
        return list(durable.items())


def _admin_op(command: str, args: Mapping[str, Any]) -> Any:
    return (command, dict(args))


KIT = ProtocolKit(
    name="toy",
    messages=(Note,),
    form=ToyFormat,
    make=lambda config: Toy(config.node),
    admin_op=_admin_op,
)


class Talker:
    """One connection that says and hears frames."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.codec = Codec(node_schema(KIT.messages))
        self.heard: list[Any] = []
        self.seq = 0

    def say(self, *messages: Any) -> None:
        self.writer.write(b"".join(self.codec.encode(msg) for msg in messages))

    async def hear(self) -> Any:
        """The next message; None when the node has closed the connection."""
        while not self.heard:
            data = await asyncio.wait_for(self.reader.read(65536), WAIT_S)
            if not data:
                return None
            self.heard += self.codec.feed(data)
        return self.heard.pop(0)

    async def closed(self) -> bool:
        """Whether the node closes, saying nothing more."""
        try:
            return await self.hear() is None
        except ConnectionError:
            return True

    async def ask(self, *op: Any) -> Any:
        """The result of one request."""
        self.seq += 1
        self.say(ClientRequest(0, self.seq, 0, op))
        reply = await self.hear()
        assert reply.seq == self.seq, reply
        assert reply.ok, reply
        return reply.result


class Cluster:
    """Toy nodes in this process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hosts: dict[str, NodeHost] = {}
        self.logs: dict[str, io.StringIO] = {}
        self.talkers: list[Talker] = []
        self.members = dict(zip(("n1", "n2", "n3"), free_ports(3), strict=True))

    async def start(self, *names: str, **options: Any) -> NodeHost:
        for name in names:
            config = NodeConfig(
                node=name,
                protocol="toy",
                members=self.members,
                listen=self.members[name],
                data_dir=str(self.folder / name),
                run_token="run",
            )
            self.logs[name] = io.StringIO()
            log = StructuredLog(name, self.logs[name])
            host = self.hosts[name] = NodeHost(config, KIT, log=log, **options)
            await host.start()
        return host

    async def talk(self, name: str, hello: Any = None) -> Talker:
        reader, writer = await asyncio.open_connection(*self.members[name])
        talker = Talker(reader, writer)
        self.talkers.append(talker)
        talker.hello = await talker.hear()  # type: ignore[attr-defined]
        if hello is not None:
            talker.say(hello)
        return talker

    async def end(self) -> None:
        for talker in self.talkers:
            talker.writer.close()
        for host in self.hosts.values():
            host.stop()
        await asyncio.sleep(0.01)


def free_ports(count: int) -> list[tuple[str, int]]:
    """Addresses on loopback that were free a moment ago."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    addresses = [one.getsockname() for one in sockets]
    for one in sockets:
        one.close()
    return addresses


class Kit:
    """What the tests of this folder share."""

    Note = Note
    Toy = Toy
    ToyFormat = ToyFormat
    kit = KIT
    free_ports = staticmethod(free_ports)

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, story: Any) -> Any:
        """Run `async def story(cluster)`, and take the cluster down whatever happens."""

        async def whole() -> Any:
            cluster = Cluster(self.folder)
            try:
                return await asyncio.wait_for(story(cluster), 3 * WAIT_S)
            finally:
                await cluster.end()

        coroutine: Coroutine[Any, Any, Any] = whole()
        return asyncio.run(coroutine)


@pytest.fixture
def toys(tmp_path: Path) -> Kit:
    return Kit(tmp_path)
