"""Cluster `local`: nodes are processes of this machine on loopback addresses of the run's own, and
a relay between them stands for the network.

Every node has its own session, process group and folder. What a run leaves when its harness is
killed is known by its journal and by the token in the environment of its processes; `heal` undoes
it. Without root: kill, pause, cut and slow links, loss of what was not synced.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from dissensus.harness.aio import AsyncioEnv, foreign
from dissensus.harness.cluster import ClusterSpec, Healing, Links, Node
from dissensus.harness.env import Env
from dissensus.harness.errors import EnvironmentFault, InternalError, UserError, unknown_name
from dissensus.harness.journal import Journal
from dissensus.harness.local import healing, processes
from dissensus.harness.local.addresses import (
    CLIENT,
    NODE,
    Address,
    AnyBlock,
    Host,
    candidates,
    claim,
    file_limit,
)
from dissensus.harness.local.children import Child
from dissensus.harness.local.connector import RelayConnector
from dissensus.harness.local.control import RelayClient
from dissensus.harness.local.network import LocalLinks
from dissensus.harness.local.node import LocalNode
from dissensus.harness.local.relay import RelayConfig
from dissensus.harness.monitor import last_lines
from dissensus.harness.system import NodeSpec, System

T = TypeVar("T")

CAPABLE = frozenset(
    {"kill", "pause", "cut", "shape", "hold", "lose-unsynced", "wipe", "foreign-clients"}
)
REFUSALS = {
    "signal": "nodes of a run are killed, stopped and continued; other signals are not offered",
    "exec": "nodes are processes of this machine: there is nothing to log in to",
    "files": "a node's files lie in Node.data_dir on this machine",
}
RESET_AFTER_NS = 60_000_000_000
"""How long a connection outlives a cut: what many systems set as their TCP user timeout."""
ORPHAN_NS = 600_000_000_000
"""How long after the planned end an orphaned relay keeps its faults: time to look, and to heal."""

RELAY_FILE, RELAY_LOG = "relay.json", "relay.log"


class LocalCluster:
    """`harness.cluster.Cluster` of real processes."""

    kind: str = "local"
    capabilities: frozenset[str] = CAPABLE
    refusals: Mapping[str, str] = REFUSALS

    def __init__(
        self, spec: ClusterSpec, system: System, *, reset_after_ns: int = RESET_AFTER_NS
    ) -> None:
        """`reset_after_ns`: how long a connection outlives a cut."""
        self.spec = spec
        self.system = system
        if "lose-unsynced" not in system.capabilities:
            why = f"system {system.name!r} does not say what it has fsynced"
            self.capabilities = CAPABLE - {"lose-unsynced"}
            self.refusals = {**REFUSALS, "lose-unsynced": why}
        self.token = secrets.token_hex(16)
        self.journal = Journal(spec.run_dir)
        self.observe: Callable[[str, dict[str, Any]], None] | None = None
        """Where `node` lines go as they happen: (kind of line, fields)."""
        self.handles: dict[str, LocalNode] = {}
        self.nodes: Mapping[str, Node] = self.handles
        self._connector = RelayConnector(self._client, self._way)
        self._env = AsyncioEnv(spec.seed, self._connector)
        self.env: Env = self._env
        self.links: Links = LocalLinks(
            self._client,
            lambda: (*self.handles, *spec.client_hosts),
            system.frame_kinds,
            lambda: self.block.control[0],
        )
        self._numbers: dict[str, Host] = {
            name: (CLIENT, i) for i, name in enumerate(spec.client_hosts, 1)
        }
        self._numbers |= {name: (NODE, i) for i, name in enumerate(spec.nodes, 1)}
        self._reset_after_ns = reset_after_ns
        self._block: AnyBlock | None = None
        self._relay: Child | None = None
        self._connection: RelayClient | None = None

    @property
    def block(self) -> AnyBlock:
        """The addresses of this run. Raises InternalError before `setup`."""
        if self._block is None:
            raise InternalError("the cluster is not set up")
        return self._block

    async def setup(self) -> None:
        """Raises EnvironmentFault when no addresses are free, SystemFault when a node does not
        come up.
        """
        await foreign(self._setup())

    async def teardown(self) -> list[str]:
        return await foreign(self._teardown())

    async def add_node(self, name: str) -> LocalNode:
        """A blank node, started, that waits to be taken in."""
        if name in self.handles or name in self.spec.client_hosts:
            raise UserError(f"host {name!r} exists already; a blank node needs a new name")
        node = self._make_node(name, join=True)
        await foreign(self._open_relay_for(node))
        await node.start()
        return node

    def provenance(self) -> dict[str, Any]:
        return {
            "cluster": self.kind,
            "network": "tcp-relay",
            "addresses": {
                "block": str(self.block),
                "nodes": {name: node.spec.listen for name, node in self.handles.items()},
                "relay": {name: node.spec.peers[name] for name, node in self.handles.items()},
                "clients": {n: self.block.source(self._numbers[n]) for n in self.spec.client_hosts},
            },
            "system": self.system.version(),
            "reset_after_ns": self._reset_after_ns,
        }

    @classmethod
    def heal(cls, run_dir: Path, *, keep: bool = False) -> Healing:
        """Undo what a killed harness left of the run (`harness.heal.heal`)."""
        return healing.heal(run_dir, keep=keep)

    def run(self, coro: Coroutine[Any, Any, T]) -> T:
        """Drive `coro` to its end on an event loop of its own (`AsyncioEnv.run`)."""
        return self._env.run(self._in_this_loop(coro))

    async def _in_this_loop(self, coro: Coroutine[Any, Any, T]) -> T:
        for child in self._children():
            child.watch()
        if self._relay is not None and self._relay.exit_code() is None:
            await self._connect()
        try:
            return await coro
        finally:
            self._leave_loop()
            await asyncio.sleep(0)  # closed transports tell their protocols in the next round

    def _leave_loop(self) -> None:
        """Nothing of this cluster belongs to a loop after this."""
        self._connector.close()
        for child in self._children():
            child.unwatch()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # -- set-up ---------------------------------------------------------------------------------

    async def _setup(self) -> None:
        spec = self.spec
        spec.run_dir.mkdir(parents=True, exist_ok=True)
        file_limit()
        me = processes.identify(os.getpid(), self.token)
        self.journal.note("run", kind=self.kind, token=self.token, harness=me)
        self._start_relay()
        await self._connect()
        for name in spec.nodes:
            self._make_node(name, join=False)
        for node in self.handles.values():
            await self._open_relay_for(node)
        started = await asyncio.gather(
            *(node.start() for node in self.handles.values()), return_exceptions=True
        )
        for result in started:
            if isinstance(result, BaseException):
                raise result

    def _start_relay(self) -> None:
        spec = self.spec
        blocks = candidates(self.token, len(self.system.ports))
        block, control = claim(blocks, len(spec.nodes))
        self._block = block
        file = spec.run_dir / RELAY_FILE
        config = RelayConfig(
            token=self.token,
            seed=spec.seed,
            block=block,
            clients=spec.client_hosts,
            framed=bool(self.system.frame_kinds()),
            reset_after_ns=self._reset_after_ns,
            lifetime_ns=spec.plan_ns + ORPHAN_NS,
        )
        with control:
            write_private(file, msgspec.json.encode(config))
            self.journal.note("relay", control=block.control)
            command = [sys.executable, "-m", "dissensus.harness.local.relay", str(file)]
            self._relay = Child.start(
                [*command, str(control.fileno())],
                log=spec.run_dir / RELAY_LOG,
                ended=self._relay_ended,
                token=self.token,
                fds=[control.fileno()],
            )
        self._relay.watch()

    async def _connect(self) -> None:
        """From the loop that runs now: while the connection lasts, the relay is no orphan."""
        self._connection = await RelayClient.open(self.block.control, self.token)

    def _client(self) -> RelayClient:
        if self._connection is None:
            raise InternalError("the cluster is not set up")
        return self._connection

    def _make_node(self, name: str, *, join: bool) -> LocalNode:
        spec, block = self.spec, self.block
        ports = self.system.ports
        host = self._numbers.setdefault(name, (NODE, len(self.handles) + 1))
        nodes = [n for n, (kind, _) in self._numbers.items() if kind == NODE]
        node = LocalNode(
            NodeSpec(
                name=name,
                listen={port: block.own(host[1], i) for i, port in enumerate(ports)},
                peers={other: self._addresses(host, other) for other in nodes},
                data_dir=(spec.run_dir / "nodes" / name).absolute(),
                initial=spec.nodes,
                join=join,
                seed=spec.seed,
            ),
            self.system,
            self.env,
            token=self.token,
            announce=self._announce,
            ended=self._node_ended,
        )
        self.handles[name] = node
        return node

    async def _open_relay_for(self, node: LocalNode) -> None:
        relay = self._client()
        await relay.call("node", name=node.name, number=self._numbers[node.name][1])

    async def _announce(self, node: str, pid: int) -> None:
        relay = self._client()
        await relay.call("process", node=node, pid=pid)

    def _node_ended(self, node: LocalNode, log: list[str]) -> None:
        if self.observe is not None:
            fields = {"node": node.name, "up": False, "exit_code": node.exit_code(), "log": log}
            self.observe("node", fields)

    def _relay_ended(self) -> None:
        if self.observe is not None:
            log = last_lines([self.spec.run_dir / RELAY_LOG])
            text = f"the relay of the run ended by itself: {' / '.join(log)}"
            self.observe("mark", {"name": "relay-died", "text": text, "log": log})

    # -- where hosts are ------------------------------------------------------------------------

    def _addresses(self, viewer: Host, node: str) -> dict[str, Address]:
        """Named port -> where `viewer` reaches a node."""
        number = self._numbers[node][1]
        ports = enumerate(self.system.ports)
        return {port: self.block.reached(viewer, number, i) for i, port in ports}

    def _client_host(self, name: str) -> Host:
        if name not in self.spec.client_hosts:
            raise unknown_name("client host", name, self.spec.client_hosts)
        return self._numbers[name]

    def _way(self, host: str, node: str, port: str) -> tuple[str, Address]:
        """(the IP address that a client host calls from, where it reaches a node's port)."""
        viewer = self._client_host(host)
        if node not in self.handles:
            raise unknown_name("node", node, self.handles)
        if port not in self.system.ports:
            raise unknown_name("port", port, self.system.ports)
        return self.block.source(viewer), self._addresses(viewer, node)[port]

    # -- the end --------------------------------------------------------------------------------

    async def _teardown(self) -> list[str]:
        self._connector.close()
        if self.spec.keep and self._relay is not None and self._relay.exit_code() is None:
            return await self._keep()
        self._leave_loop()
        left = await asyncio.to_thread(self._end_all)
        try:
            self.journal.note("teardown", left=left)
        except EnvironmentFault as fault:
            left.append(f"the end is not in the journal: {fault}")
        return left

    async def _keep(self) -> list[str]:
        relay = self._client()
        await relay.call("heal-all")
        await relay.call("keep", lifetime_ns=healing.KEPT_NS)
        up = [node.name for node in self.handles.values() if node.pid]
        self._leave_loop()
        for child in self._children():
            child.release()
        self.journal.note("kept", nodes=up)
        return []

    def _children(self) -> list[Child]:
        found = [*(node.child for node in self.handles.values()), self._relay]
        return [child for child in found if child is not None]

    def _end_all(self) -> list[str]:
        left = processes.end(processes.with_token(self.token))
        for child in self._children():
            child.reap()
        return [f"process {who.pid} of the run does not end" for who in left]


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only this user can read: the run's token is in it."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
