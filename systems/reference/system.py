"""The bundled Raft as a system under test: nodes are processes, or cores in the simulator."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec

from dissensus.harness.cluster import NodeInfo
from dissensus.harness.env import Env
from dissensus.harness.errors import SystemFault, UserError
from dissensus.harness.scenario import Scenario
from dissensus.harness.simnode import SimNode
from dissensus.harness.system import Client, NodeSpec, System
from dissensus.systems.reference.client import KeyValueClient
from dissensus.systems.reference.host.config import NodeConfig
from dissensus.systems.reference.host.raft_kit import KIT, core_class, options_of
from dissensus.systems.reference.host.sim import CoreNode
from dissensus.systems.reference.raft.messages import MESSAGES
from dissensus.systems.reference.wire.frames import (
    AdminHello,
    AdminReply,
    AdminRequest,
    ServerHello,
    admin_codec,
)

CONFIG_FILE = "node.json"
ADMIN_TIMEOUT_S = 5.0
"""A change of members takes some elections at worst; who waits longer polls `config`."""
INFO_TIMEOUT_S = 1.0
READ_BYTES = 65536

_INFO_FIELDS = ("role", "term", "leader", "commit", "applied", "digest")


class RaftSystem(System):
    """Raft with a key-value store, sessions and linearizable reads at every node."""

    name = "raft"
    capabilities = frozenset(
        {
            "status",
            "leader",
            "members",
            "lose-unsynced",
            "applied-digest",
            "decisions",
            "sim",
            "election-safety",
        }
    )
    ports = ("client",)

    def __init__(self, mutant: str | None = None, **options: Any) -> None:
        """`mutant`: id of a known bug; `options`: those of
        `raft.options.Options`, times in ms (`election_ms`, `heartbeat_ms`). Raises UserError.
        """
        core_class(mutant)
        options_of(options)
        self._mutant = mutant
        self._options = options

    def version(self) -> str:
        from importlib.metadata import version

        return f"dissensus {version('dissensus')}"

    def options(self) -> Mapping[str, Any]:
        mutant = {} if self._mutant is None else {"mutant": self._mutant}
        return {**mutant, **self._options}

    @staticmethod
    def scenarios() -> Mapping[str, Scenario]:
        from dissensus.systems.reference.scenarios import SCENARIOS

        return SCENARIOS

    # -- processes ------------------------------------------------------------------------------

    def node_config(self, spec: NodeSpec) -> NodeConfig:
        """The configuration of a node."""
        members = {node: ports["client"] for node, ports in spec.peers.items()}
        return NodeConfig(
            node=spec.name,
            protocol=KIT.name,
            members=members,
            listen=spec.listen["client"],
            data_dir=str(spec.data_dir),
            initial=spec.initial,
            join=spec.join,
            seed=spec.seed,
            mutant=self._mutant,
            options=dict(self._options),
            log_decided=True,
            run_token=token_of(spec),
        )

    def prepare(self, spec: NodeSpec) -> None:
        spec.data_dir.mkdir(parents=True, exist_ok=True)
        self._file(spec).write_bytes(msgspec.json.encode(self.node_config(spec)))

    def argv(self, spec: NodeSpec) -> Sequence[str]:
        module = "dissensus.systems.reference"
        return [sys.executable, "-m", module, "--config", str(self._file(spec))]

    def _file(self, spec: NodeSpec) -> Path:
        return spec.data_dir / CONFIG_FILE

    # -- operators ------------------------------------------------------------------------------

    async def ready(self, env: Env, spec: NodeSpec) -> bool:
        return await self.info(env, spec) is not None

    async def info(self, env: Env, spec: NodeSpec) -> NodeInfo | None:
        try:
            reply = await self._ask(spec, "status", {}, INFO_TIMEOUT_S)
        except (OSError, TimeoutError, EOFError):
            return None
        status = json.loads(reply.result)
        known = {name: status.pop(name) for name in _INFO_FIELDS}
        return NodeInfo(up=True, **known, extra=status)

    async def admin(self, env: Env, spec: NodeSpec, command: str, args: Mapping[str, Any]) -> Any:
        """Commands of `host/raft_kit.py`, and status, metrics, hold-fsync. Raises UserError for one
        that is refused, SystemFault when there is no answer.
        """
        try:
            reply = await self._ask(spec, command, args, ADMIN_TIMEOUT_S)
        except (OSError, TimeoutError, EOFError) as error:
            raise SystemFault(f"{spec.name} does not answer {command!r}: {error!r}") from error
        result = json.loads(reply.result)
        if not reply.ok:
            raise UserError(f"{spec.name}: {result}")
        return result

    async def _ask(
        self, spec: NodeSpec, command: str, args: Mapping[str, Any], timeout_s: float
    ) -> AdminReply:
        """One command over a connection of its own."""
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(*spec.listen["client"])
            try:
                codec = admin_codec()
                request = AdminRequest(1, command, json.dumps(dict(args)))
                for msg in (AdminHello(token_of(spec)), request):
                    writer.write(codec.encode(msg))
                while data := await reader.read(READ_BYTES):
                    for msg in codec.feed(data):
                        if type(msg) is AdminReply:
                            return msg
                        assert type(msg) is ServerHello, msg
                raise EOFError(f"{spec.name} closed the connection")
            finally:
                writer.close()

    def frame_kinds(self) -> Mapping[str, int]:
        return {message.__name__: message.KIND for message in MESSAGES}

    # -- clients and the simulator --------------------------------------------------------------

    def client(self, workload: str) -> Client:
        return KeyValueClient()

    def sim_node(self, spec: NodeSpec) -> SimNode:
        config = NodeConfig(
            node=spec.name,
            members={node: ("", 0) for node in spec.peers},
            listen=("", 0),
            data_dir="",
            initial=spec.initial,
            join=spec.join,
            mutant=self._mutant,
            options=dict(self._options),
        )
        return CoreNode(spec.name, lambda: KIT.make(config), KIT.form(), KIT.admin_op)


def token_of(spec: NodeSpec) -> str:
    """The same for all nodes of a run, another one for every other run: a node that is left over
    somewhere is no peer.
    """
    place = str(spec.data_dir.parent.absolute())
    return blake2b(place.encode(), digest_size=8).hexdigest()
