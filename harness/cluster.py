"""Where nodes live: the interface that `sim`, `local`, `netns`, `docker` and `ssh` implement, one
file each.

A new kind of cluster adds a file, not methods. What a kind cannot do it refuses with a reason
(`refusals`), and the faults that need it are not offered. Everything is async; the cluster's `env`
says what time means.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from dissensus.harness.env import Env

T = TypeVar("T")

Pair = tuple[str, str]
"""A direction: (source host, destination host). Hosts are nodes ("n1") and client hosts ("c1")."""

CAPABILITIES = (
    "kill",
    "pause",
    "cut",
    "shape",
    "hold",
    "lose-unsynced",
    "wipe",
    "signal",
    "exec",
    "files",
    "foreign-clients",
)
"""Everything that a cluster may be able to do. `foreign-clients`: clients may await things outside
`env`.
"""


class Shape(msgspec.Struct, kw_only=True, frozen=True):
    """How a direction of a link is made worse. Zero means untouched."""

    delay_ns: int = 0
    jitter_ns: int = 0
    """Uniform in [-jitter, +jitter] around the delay."""
    loss_ppm: int = 0
    """Share of packets lost, in millionths. Over a stream a loss appears as a stall or, at times,
    a reset.
    """
    rate_bps: int = 0
    """Bytes per second."""


class Reach(msgspec.Struct, kw_only=True, frozen=True):
    """What a probe of one direction found."""

    src: str
    dst: str
    open: bool
    """False: nothing passed within the probe's bound."""
    rtt_ns: int = -1
    """Time that the probe took there (and back over an untouched path), -1 when nothing passed."""


class NodeInfo(msgspec.Struct, kw_only=True):
    """What a node says of itself, asked out of band (never through the run's links)."""

    up: bool
    role: str = ""
    term: int = -1
    leader: str | None = None
    commit: int = -1
    applied: int = -1
    digest: int = 0
    extra: dict[str, Any] = {}


class Node(Protocol):
    """One member of the cluster and the place that it runs in."""

    name: str
    data_dir: Path | None
    """Where its data lies on this machine; None where it does not."""

    async def start(self) -> None:
        """Start the process on the data that is there. Raises SystemFault when it does not come
        up.
        """
        ...

    async def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        ...

    async def pause(self) -> None:
        """SIGSTOP: alive, holding its sockets, not running."""
        ...

    async def resume(self) -> None:
        """SIGCONT: the end of a pause."""
        ...

    async def lose_unsynced(self) -> dict[str, int]:
        """With the process dead: cut every file to what was fsynced. Returns {file: bytes lost}."""
        ...

    async def unsynced(self) -> dict[str, int]:
        """With the process dead: {file: bytes that differ from what was fsynced}, for the files
        that differ (0 for one whose name alone does). Empty after `lose_unsynced`.
        """
        ...

    async def wipe(self) -> None:
        """With the process dead: its data is gone, and so is its name: it cannot be started again,
        because a blank node that comes back under its old id breaks a correct protocol.
        `Cluster.add_node` brings one under a new name. Raises UserError when it is not down.
        """
        ...

    async def state(self) -> str:
        """ "up", "paused" or "down": what the operating system says, for probes."""
        ...

    def exit_code(self) -> int | None:
        """How its last process ended: the exit code, the negative number of a signal; None while
        one runs, before the first, and where nobody knows.
        """
        ...

    async def info(self) -> NodeInfo | None:
        """What the system's status says, None when it does not answer."""
        ...

    async def admin(self, command: str, args: Mapping[str, Any]) -> Any:
        """An operator's command, out of band (campaign, transfer, add or remove a member)."""
        ...

    def logs(self) -> Iterable[Path]:
        """Log files on this machine."""
        ...


class Links(Protocol):
    """The network between hosts. Each fault owns what it did by its id; overlapping faults
    compose.
    """

    async def cut(self, fault: int, pairs: Iterable[Pair]) -> None:
        """Nothing passes in these directions while the fault lasts."""
        ...

    async def shape(self, fault: int, shapes: Mapping[Pair, Shape]) -> None:
        """Worsen these directions while the fault lasts; several shapes on a direction add up."""
        ...

    async def hold(self, fault: int, pair: Pair, kind: str) -> None:
        """Hold back one kind of message in one direction, for scenarios."""
        ...

    async def heal(self, fault: int) -> None:
        """Undo what this fault did. Healing twice is no error."""
        ...

    async def probe(self, pairs: Iterable[Pair]) -> list[Reach]:
        """Measure each direction with traffic of its own: a Reach for each pair, in their order.
        Bounded in time: a direction that is cut is one that is not `open`, never an error.
        """
        ...

    async def faults(self) -> list[int]:
        """Ids of the faults that still change something: empty after a verified heal."""
        ...


class Healing(msgspec.Struct, kw_only=True):
    """What a heal did, in sentences for people."""

    undone: list[str] = []
    left: list[str] = []
    """What is still there; empty when all is healed."""


class ClusterSpec(msgspec.Struct, kw_only=True):
    """What a cluster is made of, before it exists."""

    nodes: tuple[str, ...]
    client_hosts: tuple[str, ...]
    seed: int
    run_dir: Path
    keep: bool = False
    """Leave nodes up and data in place after the run."""
    plan_ns: int = 0
    """How long the run is meant to take: what a killed harness leaves does not outlive it by much.
    """


class Cluster(Protocol):
    """A set of nodes, the links between them, and the world's `env`.

    The registry makes one as `Kind(spec, system)`: a ClusterSpec and the System whose nodes it
    runs; nothing is started by that. Nodes are started, asked and commanded by what the system
    says (`System.ready`, `info`, `admin`). A method behind a capability that the cluster refuses
    raises UserError with the reason. Type checkers take attributes exactly: write `self.nodes:
    Mapping[str, Node] = ...` where yours are of a class of your own.
    """

    kind: str
    nodes: Mapping[str, Node]
    """The nodes that exist: a cluster of processes has none before `setup`."""
    links: Links
    env: Env
    capabilities: frozenset[str]
    refusals: Mapping[str, str]
    """capability -> why this cluster cannot do it, for every one that it cannot."""
    observe: Callable[[str, dict[str, Any]], None] | None
    """Set it to hear what the cluster sees itself, as it happens: (kind of event, its fields).
    Kinds are "node" (a process that ended unasked: up=False, exit_code, log) and "mark".
    """

    async def setup(self) -> None:
        """Create and start all nodes. What is left behind when it fails, `teardown` removes."""
        ...

    async def teardown(self) -> list[str]:
        """Stop and remove all; returns what could not be removed (empty when clean)."""
        ...

    async def add_node(self, name: str) -> Node:
        """A blank node under a name that was never used in this run."""
        ...

    def provenance(self) -> dict[str, Any]:
        """What this run really used: backends, versions, addresses."""
        ...

    @classmethod
    def heal(cls, run_dir: Path, *, keep: bool = False) -> Healing:
        """Undo what a killed harness left of the run in `run_dir`, from another process. It is
        found by a note of `setup` in the run's journal, before anything is started:
        `Journal(run_dir).note("run", kind=self.kind)`. A cluster that leaves nothing needs none.
        """
        ...

    def run(self, coro: Coroutine[Any, Any, T]) -> T:
        """Drive a coroutine to its end in the cluster's world (virtual time, an event loop)."""
        ...


def majority(n: int) -> int:
    """Smallest number of nodes that is more than half of n."""
    return n // 2 + 1


def pairs_between(a: Sequence[str], b: Sequence[str]) -> list[Pair]:
    """Both directions between every host of `a` and every host of `b`."""
    return [pair for x in a for y in b for pair in ((x, y), (y, x))]
