"""The plug-in contract: a `System` says how nodes are run, a `Client` how to talk to them, a
`Workload` what to ask.

Implement `System` (start, ready) and `Client` (one async method per operation) and everything else
works: faults, histories, checkers, reports. Whatever a system can do beyond that is a capability
flag, not a base class.
"""

from __future__ import annotations

import traceback
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import msgspec

from dissensus.harness.cluster import NodeInfo
from dissensus.harness.env import DeadlineExceeded, Disconnected, Env, NotSent
from dissensus.harness.errors import EnvironmentFault, SystemFault, UserError
from dissensus.harness.ops import OpType
from dissensus.harness.simnode import SimNode

if TYPE_CHECKING:
    from dissensus.harness.scenario import Scenario


class NodeSpec(msgspec.Struct, kw_only=True, frozen=True):
    """What a system needs to know to run one node."""

    name: str
    listen: Mapping[str, tuple[str, int]]
    """port name -> (address, port) to listen on."""
    peers: Mapping[str, Mapping[str, tuple[str, int]]]
    """node -> port name -> (address, port) to reach it by, itself included; the same for every
    viewer.
    """
    data_dir: Path
    initial: tuple[str, ...]
    """The first members of the cluster, in order."""
    join: bool = False
    """True for a node that is added later: it must wait to be taken in."""
    seed: int = 0


class Failed(Exception):
    """Raise in a client method: the operation certainly did not happen (a cas whose expectation
    was wrong ...).
    """

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error


class Unsure(Exception):
    """Raise in a client method: the operation may have happened, now or later."""

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error


class ClientSession(msgspec.Struct, kw_only=True):
    """Who a client is and where it sits."""

    process: int
    host: str
    """The client host that it runs on ("c1" ...): its source on the network."""
    pinned: str | None
    """The one node it talks to, or None: it may roam."""
    nodes: tuple[str, ...]


class Client:
    """A connection of one process. Subclass it; write one async method per operation `f`: `(key,
    value) -> result`.

    The method's name is `f` with "-" as "_". What it returns becomes the completed value of the
    operation (None keeps the invoked one). Errors become outcomes by these tables: `Failed` and
    everything in `definite` is `fail`; everything in `indefinite` is `fail` for operations in
    `idempotent` (reads), for which it does not matter, else `info`. Any other error is a bug of the
    client and ends the run: `indefinite = (*Client.indefinite, TheirError)` adds those of a client
    library. One instance serves one process from `open` to `close`, one operation at a time;
    a Cancelled in the middle of an operation must be let through.
    """

    definite: ClassVar[Mapping[type[BaseException], str]] = {NotSent: "not-sent"}
    indefinite: ClassVar[tuple[type[BaseException], ...]] = (
        Unsure,
        DeadlineExceeded,
        Disconnected,
        NotSent,
        OSError,
        EOFError,
    )
    idempotent: ClassVar[frozenset[str]] = frozenset({"read", "get"})

    async def open(self, env: Env, session: ClientSession) -> None:
        """Get ready. Connecting lazily is fine; an error here fails the operation as not sent."""
        self.env = env
        self.session = session

    async def close(self) -> None:
        """Let go of connections. Called after an `open` that failed, too."""

    def hints(self) -> tuple[str | None, dict[str, Any] | None]:
        """(node that served the last operation, hints such as revision or term), read after each
        operation.
        """
        return None, None


def outcome_of(client: Client, f: str, error: Exception) -> tuple[OpType, str]:
    """What an error of a client's method means for the operation: (type, short name of the error).

    Raises SystemFault where the client's tables do not know it: an adapter with a bug.
    """
    if isinstance(error, Failed):
        return "fail", error.error
    for kind, name in client.definite.items():
        if isinstance(error, kind):
            return "fail", name
    if not isinstance(error, client.indefinite):
        raise bug_of(client, f, error) from error
    outcome: OpType = "fail" if f in client.idempotent else "info"
    if isinstance(error, Unsure):
        return outcome, error.error
    return outcome, NAMES.get(type(error), type(error).__name__)


def bug_of(client: Client, what: str, error: Exception) -> SystemFault:
    """The fault that an error is which no table of the client names."""
    *_, frame = traceback.extract_tb(error.__traceback__) or [None]
    place = f" at {frame.filename}:{frame.lineno}" if frame else ""
    fault = SystemFault(
        f"{type(client).__name__}.{what} raised {type(error).__name__}: {error}{place}. A client "
        "raises Failed, Unsure, or what its tables `definite` and `indefinite` name"
    )
    fault.__cause__ = error
    return fault


NAMES: Mapping[type[Exception], str] = {
    DeadlineExceeded: "timeout",
    Disconnected: "disconnected",
    NotSent: "not-sent",
    TimeoutError: "timeout",
}
"""How errors are called in a history; others by the name of their class."""


class System(Protocol):
    """A consensus system that can be put under test.

    Derive from it and write `argv` and `client`: the other methods have defaults that claim nothing
    (a class of the same shape does as well). Capabilities it may claim: "status" (`info`),
    "leader", "members", "lose-unsynced" (keeps the `synced` file), "applied-digest" (agreement is
    checked), "decisions" (logs have the lines of `harness/decided.py`), "sim" (`sim_node`),
    "election-safety" (a term has one node with role "leader").
    """

    name: str
    capabilities: frozenset[str] = frozenset()
    ports: tuple[str, ...] = ("client",)
    """Named ports that a node listens on; "client" is among them."""

    def version(self) -> str:
        """For the provenance: what exactly is under test."""
        return "unknown"

    def options(self) -> Mapping[str, Any]:
        """The options in force (mutant, flags), for provenance and for "how to run it again"."""
        return {}

    def prepare(self, spec: NodeSpec) -> None:
        """Write configuration below `spec.data_dir` before the first start."""
        return None

    @abstractmethod
    def argv(self, spec: NodeSpec) -> Sequence[str]:
        """The command that runs the node in the foreground, in its data directory."""
        ...

    def environ(self, spec: NodeSpec) -> Mapping[str, str]:
        """Environment variables to add."""
        return {}

    async def ready(self, env: Env, spec: NodeSpec) -> bool:
        """True once the node can serve (it need not have a leader yet): here, once its client port
        takes connections.
        """
        import asyncio

        try:
            _, writer = await asyncio.open_connection(*spec.listen["client"])
        except OSError:
            return False
        writer.close()
        return True

    async def info(self, env: Env, spec: NodeSpec) -> NodeInfo | None:
        """The node's own status, asked directly at `spec.listen`, None when it does not answer."""
        return None

    async def admin(self, env: Env, spec: NodeSpec, command: str, args: Mapping[str, Any]) -> Any:
        """An operator's command to the node, asked directly."""
        raise UserError(f"system {self.name!r} takes no operator's command, {command!r} included")

    @staticmethod
    def scenarios() -> Mapping[str, Scenario]:
        """Scripted scenarios that this system brings, by name (`dissensus run --scenario NAME`)."""
        return {}

    def frame_kinds(self) -> Mapping[str, int]:
        """For systems whose nodes speak frames `length u32 | version u8 | kind u8 | ...` (big
        endian, `length` counts what follows it): message name -> kind. Then a real network can hold
        back one kind of message too; on `sim` the name is the message's class.
        """
        return {}

    @abstractmethod
    def client(self, workload: str) -> Client:
        """A new client for one process of the named workload."""
        ...

    def sim_node(self, spec: NodeSpec) -> SimNode:
        """The node for the simulator. Raises EnvironmentFault where there is none."""
        raise EnvironmentFault(f"system {self.name!r} has no simulated node: try --on local")


class Workload(Protocol):
    """What is asked of the system. The methods give what `generators.lift` takes; `concurrency` is
    the number of threads.
    """

    name: str
    fs: tuple[str, ...]
    """Every f that it invokes: the run is vacuous unless each succeeded during chaos."""
    model: str
    """Name of the model for linearizability ("register", "cas-register"), "" where none applies."""

    def warmup(self, concurrency: int) -> Any:
        """Operations until one of every f has succeeded, then no more; the chaos begins after that.
        Space them (`stagger`): they are tried until the system serves.
        """
        ...

    def generator(self, concurrency: int) -> Any:
        """Operations for the chaos phase, without end; the runner bounds rate and time."""
        ...

    def final(self, concurrency: int, keys: Sequence[Any]) -> Any:
        """The last reads, after the verified heal. `keys`: those used in the run, latest last."""
        ...
