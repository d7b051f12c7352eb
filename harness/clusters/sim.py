"""Cluster `sim`: the nodes of a system inside one process, in virtual time, with a network and
disks that can be broken at will; a run is a function of its seed.

The system under test hands out a `SimNode` per node (`System.sim_node`); everything else is the
same as on real clusters: the same clients, workloads, nemeses, scenarios, runner. `run` drives a
coroutine (usually the runner's) to its end. What nodes do is watched while they do it: a panic
stands in the node's log, a break of state machine safety (`sim.oracles`) becomes a `mark` and two
`node` events, one of election safety a `mark`; `violations` holds all.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from dissensus.harness.cluster import ClusterSpec, Healing, Links, Node, NodeInfo
from dissensus.harness.env import Env
from dissensus.harness.errors import DissensusError, EnvironmentFault, SystemFault, UserError
from dissensus.harness.randomness import Rng
from dissensus.harness.sim.disk import Disk
from dissensus.harness.sim.env import SimEnv
from dissensus.harness.sim.kernel import Kernel
from dissensus.harness.sim.machine import DOWN, PAUSED, Machine
from dissensus.harness.sim.network import Network, SimLinks, Weather
from dissensus.harness.sim.oracles import ElectionSafety, StateMachineSafety
from dissensus.harness.system import NodeSpec, System

T = TypeVar("T")

CAPABLE = frozenset({"kill", "pause", "cut", "shape", "hold", "lose-unsynced", "wipe"})
REFUSALS = {
    "signal": "simulated nodes are objects, not processes: there is nothing to signal",
    "exec": "simulated nodes have no machine on which a command could run",
    "files": "simulated disks are in memory and hold what the node's store wrote, nothing else",
    "foreign-clients": "in virtual time a client may await nothing but env",
}
FSYNC_LO_NS, FSYNC_HI_NS = 50_000, 3_000_000
"""How long an fsync takes: from a good SSD to a busy one."""
LOG_LINES_HELD = 1000
"""Lines of a node's log that are written at once: opening the file costs as much as 50 of them."""

_INFO_FIELDS = frozenset(NodeInfo.__struct_fields__) - {"up", "extra"}


class OracleAlarm(DissensusError):
    """An on-line oracle saw a violation, and the cluster was asked to stop at the first."""


class SimNodeHandle:
    """`harness.cluster.Node` of a simulated node."""

    data_dir: Path | None = None

    def __init__(self, cluster: SimCluster, machine: Machine, log: Path) -> None:
        self.name = machine.name
        self.machine = machine
        self._cluster = cluster
        self._log = log
        self._wiped = False

    async def start(self) -> None:
        if self._wiped:
            raise UserError(f"{self.name} was wiped: a blank node comes back under a new name")
        self.machine.start()
        if self.machine.state == DOWN:
            raise SystemFault(f"{self.name} did not come up: {self._cluster.last_words(self.name)}")

    async def kill(self) -> None:
        self.machine.kill()

    async def pause(self) -> None:
        self.machine.pause()

    async def resume(self) -> None:
        self.machine.resume()

    async def lose_unsynced(self) -> dict[str, int]:
        if self.machine.state != DOWN:
            raise UserError(f"{self.name} is {self.machine.state}: only a dead node loses data")
        rng = Rng(self._cluster.spec.seed, f"disk/{self.name}/torn/{self.machine.incarnation}")
        return self.machine.disk.lose_unsynced(rng if self._cluster.torn_tail else None)

    async def unsynced(self) -> dict[str, int]:
        if self.machine.state != DOWN:
            raise UserError(f"{self.name} is {self.machine.state}: a running node's files change")
        return self.machine.disk.unsynced()

    async def wipe(self) -> None:
        if self.machine.state != DOWN:
            raise UserError(f"{self.name} is {self.machine.state}: only a dead node can be wiped")
        self._wiped = True
        self.machine.disk.wipe()

    async def state(self) -> str:
        return self.machine.state

    def exit_code(self) -> int | None:
        return None

    async def info(self) -> NodeInfo | None:
        if self.machine.state in (DOWN, PAUSED):
            return None
        status = self.machine.node.status()
        known = {name: status[name] for name in status if name in _INFO_FIELDS}
        extra = {
            name: value
            for name, value in status.items()
            if name not in _INFO_FIELDS and name not in ("up", "extra")
        }
        return NodeInfo(up=True, **known, extra={**extra, **status.get("extra", {})})

    async def admin(self, command: str, args: Mapping[str, Any]) -> Any:
        """Waits while the node is paused. Raises SystemFault when it is down or dies first, and the
        UserError of a node that does not know the command.
        """
        if self.machine.state == DOWN:
            raise SystemFault(f"{self.name} is down: it takes no command {command!r}")
        answers = self._cluster.env.queue(1)
        life = self.machine.incarnation
        self.machine.admin(command, args, answers.put)
        while not len(answers):
            if self.machine.state == DOWN or self.machine.incarnation != life:
                raise SystemFault(f"{self.name} died before it answered {command!r}")
            await self._cluster.env.sleep(ADMIN_POLL_NS)
        answer = await answers.get()
        if isinstance(answer, UserError):
            raise answer
        return answer

    def logs(self) -> Iterable[Path]:
        return [self._log] if self._log.exists() else []


ADMIN_POLL_NS = 1_000_000
"""How often an operator looks for the answer to a command: the granularity is virtual."""


class SimCluster:
    """`harness.cluster.Cluster` in virtual time.

    `weather` is how links between nodes behave without faults, `client_weather` those of clients
    (no duplicates: they are streams). `torn_tail`: a power failure keeps a random prefix of the
    bytes that were not fsynced. `stop_on_violation`: `run` raises OracleAlarm at the first one.
    `frozen_messages` makes it a panic when a node changes a message that it has sent (slower).
    `logs=False` writes no log files, for explorers that make thousands of runs.
    """

    kind: str = "sim"
    capabilities: frozenset[str] = CAPABLE
    refusals: Mapping[str, str] = REFUSALS

    def __init__(
        self,
        spec: ClusterSpec,
        system: System,
        *,
        weather: Weather | None = None,
        client_weather: Weather | None = None,
        fsync_ns: tuple[int, int] = (FSYNC_LO_NS, FSYNC_HI_NS),
        torn_tail: bool = False,
        stop_on_violation: bool = False,
        frozen_messages: bool = False,
        logs: bool = True,
    ) -> None:
        if "sim" not in system.capabilities:
            raise EnvironmentFault(
                f"system {system.name!r} has no simulated node: it cannot run on sim, try local"
            )
        self.spec = spec
        self.system = system
        self.torn_tail = torn_tail
        self.stop_on_violation = stop_on_violation
        self.kernel = Kernel()
        self.weather = weather or Weather()
        self.client_weather = client_weather or Weather()
        self.network = Network(self.kernel, spec.seed, self.weather, self.client_weather)
        self._env = SimEnv(self.kernel, spec.seed, self.network)
        self.env: Env = self._env
        self.links: Links = SimLinks(self._env, self.network)
        self.handles: dict[str, SimNodeHandle] = {}
        self.nodes: Mapping[str, Node] = self.handles
        self.safety = StateMachineSafety()
        self.elections = ElectionSafety() if "election-safety" in system.capabilities else None
        self.violations: list[dict[str, Any]] = []
        """Splits and panics, in order: {"name": ..., "text": ..., "t": ns, ...}."""
        self.observe: Callable[[str, dict[str, Any]], None] | None = None
        """Where `mark` and `node` events go as they happen: (kind of line, fields)."""
        self._fsync_ns = fsync_ns
        self._frozen_messages = frozen_messages
        self.logs = logs
        self._log_lines: dict[str, list[str]] = {}
        """Node -> lines that are not in its log yet."""
        for host in spec.client_hosts:
            self.network.add_host(host, None)
        for name in spec.nodes:
            self._add_machine(name, join=False)

    async def setup(self) -> None:
        for node in self.nodes.values():
            await node.start()

    async def teardown(self) -> list[str]:
        for node in self.handles.values():
            node.machine.kill()
        for name in list(self._log_lines):
            self._write_log(name)
        return []

    async def add_node(self, name: str) -> SimNodeHandle:
        """A blank node, started, that waits to be taken in."""
        node = self._add_machine(name, join=True)
        await node.start()
        return node

    def provenance(self) -> dict[str, Any]:
        weather = {name: getattr(self.weather, name) for name in Weather.__slots__}
        return {"cluster": self.kind, "weather": weather, "fsync_ns": list(self._fsync_ns)}

    @classmethod
    def heal(cls, run_dir: Path, *, keep: bool = False) -> Healing:
        """A killed simulation leaves nothing behind."""
        return Healing(undone=[], left=[])

    def run(self, coro: Coroutine[Any, Any, T]) -> T:
        """Drive `coro` to its end in virtual time (`SimEnv.run`)."""
        return self._env.run(coro)

    def reported(self, node: str, fields: dict[str, Any]) -> None:
        """For machines: a node said something of itself."""
        if self.observe is not None:
            self.observe("node", {"node": node, **fields})
        if self.elections is not None:
            text = self.elections.reported(node, fields)
            if text is not None:
                self._violation("election-safety", text, {"node": node, **fields})

    def applied(self, node: str, index: int, digest: int) -> None:
        """For machines: a node applied `index`."""
        split = self.safety.applied(node, index, digest)
        if split is None:
            return
        fields = {"index": index, "nodes": list(split.nodes), "digests": list(split.digests)}
        if self.observe is not None:
            for name, value in zip(split.nodes, split.digests, strict=True):
                self.observe("node", {"node": name, "applied": index, "digest": value})
        self._violation("state-machine-safety", split.text(), fields)

    def logged(self, node: str, text: str) -> None:
        """For machines: a line for the node's log."""
        lines = self._log_lines.setdefault(node, [])
        lines.append(f"{self.kernel.now} {text}\n")
        if len(lines) >= LOG_LINES_HELD:
            self._write_log(node)

    def _write_log(self, node: str) -> None:
        path = self._log_of(node)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as log:
            log.writelines(self._log_lines.pop(node))

    def panicked(self, node: str, reason: str) -> None:
        """For machines: a node stopped itself."""
        if self.logs:
            self.logged(node, f"PANIC {reason}")
            self._write_log(node)
        self._violation("panic", f"{node} panicked: {reason}", {"node": node})
        if self.observe is not None:
            self.observe("node", {"node": node, "up": False})

    def last_words(self, node: str) -> str:
        """What the node's last panic said."""
        panics = [v["text"] for v in self.violations if v.get("node") == node]
        return panics[-1] if panics else "no panic was seen"

    def _violation(self, name: str, text: str, fields: dict[str, Any]) -> None:
        found = {"name": name, "text": text, "t": self.kernel.now, **fields}
        self.violations.append(found)
        if self.observe is not None:
            self.observe("mark", {"name": name, "text": text, **fields})
        if self.stop_on_violation:
            self.kernel.halt(OracleAlarm(text))

    def _log_of(self, node: str) -> Path:
        return self.spec.run_dir / "nodes" / node / "node.log"

    def _add_machine(self, name: str, *, join: bool) -> SimNodeHandle:
        spec = self.spec
        addresses = {n: dict.fromkeys(self.system.ports, (n, 0)) for n in (*self.nodes, name)}
        addresses.update({n: dict.fromkeys(self.system.ports, (n, 0)) for n in spec.nodes})
        node = self.system.sim_node(
            NodeSpec(
                name=name,
                listen=addresses[name],
                peers=addresses,
                data_dir=spec.run_dir / "nodes" / name,
                initial=spec.nodes,
                join=join,
                seed=spec.seed,
            )
        )
        low, high = self._fsync_ns
        disk = Disk(self.kernel, Rng(spec.seed, f"disk/{name}"), fsync_lo_ns=low, fsync_hi_ns=high)
        machine = Machine(
            name,
            node,
            kernel=self.kernel,
            network=self.network,
            disk=disk,
            observer=self,
            seed=spec.seed,
        )
        machine.frozen_messages = self._frozen_messages
        self.network.add_host(name, machine.stream)
        for other in self.handles.values():
            there = other.machine
            machine.links[there.name] = (
                self.network.link(name, there.name),
                there.datagram,
                there.frozen_datagram,
            )
            there.links[name] = (
                self.network.link(there.name, name),
                machine.datagram,
                machine.frozen_datagram,
            )
        handle = SimNodeHandle(self, machine, self._log_of(name))
        self.handles[name] = handle
        return handle
