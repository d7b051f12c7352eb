"""Scenarios: choreographies of clients and faults, each one coroutine.

    async def stale_read(t: Stage) -> None:
        leader = await t.leader()
        inside = t.client(pinned=leader)
        rest = [node for node in t.nodes if node != leader]
        outside = t.client(host_beside(rest[0]))
        await t.invoke(outside, "write", "x", 1)
        await t.cut([leader, inside.host], [*rest, outside.host])
        await t.leader(among=rest)
        await t.invoke(outside, "write", "x", 2)
        await t.invoke(inside, "read", "x")

A scenario takes the place of the workload's chaos; set-up, warm-up, heal, last reads and checks are
those of every run, and what it leaves cut or killed is healed. It awaits nothing but what the stage
offers, so it runs in every world. It waits for conditions and not for times: machines differ.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

import msgspec

from dissensus.harness.cluster import Cluster, NodeInfo
from dissensus.harness.drive import Drive
from dissensus.harness.env import gather
from dissensus.harness.errors import SystemFault, UserError, unknown_name
from dissensus.harness.fault import Fault, FaultContext, Measured
from dissensus.harness.injector import Injector
from dissensus.harness.ops import Op
from dissensus.harness.randomness import Rng
from dissensus.harness.registry import class_at, is_place

T = TypeVar("T")

PATIENCE_NS = 10_000_000_000
"""How long a condition is waited for: some elections on a busy machine."""
LOOK_NS = 50_000_000
"""How often it is looked at."""


class Hold:
    """A nemesis for scenarios alone: one kind of message waits, in one direction, until the undo.

    What of it is to be seen from outside is that the links say so: nothing but the system's own
    traffic is of that kind.
    """

    kind = family = "hold"
    what = "hold back one kind of message in one direction"
    needs = frozenset({"hold"})
    stops = False
    nodes_least = 2

    def draw(self, rng: Rng, context: FaultContext) -> Fault | None:
        """Never by chance: it means something to those alone who know the messages."""
        return None

    def check(self, fault: Fault, context: FaultContext) -> None:
        hosts = (*context.nodes, *context.client_hosts)
        for name in ("from", "to"):
            if fault.targets.get(name) not in hosts:
                raise unknown_name(f"host ({name}) of a hold", str(fault.targets.get(name)), hosts)

    def undo_entry(self, fault: Fault) -> dict[str, Any]:
        return {"do": "heal-links"}

    async def inject(self, cluster: Cluster, fault: Fault) -> None:
        pair = (fault.targets["from"], fault.targets["to"])
        await cluster.links.hold(fault.id, pair, fault.asked["message"])

    async def probe(self, cluster: Cluster, fault: Fault) -> Measured:
        return Measured(effective=fault.id in await cluster.links.faults())

    async def undo(self, cluster: Cluster, fault: Fault) -> None:
        await cluster.links.heal(fault.id)

    async def verify(self, cluster: Cluster, fault: Fault) -> Measured:
        return Measured(effective=fault.id not in await cluster.links.faults())


HOLD = Hold()


class Player(msgspec.Struct, frozen=True, kw_only=True):
    """A client that a scenario directs."""

    thread: int
    host: str
    """The client host that it sits on: cut it off together with a node, or not."""
    pinned: str | None
    """The one node that it talks to; None: it roams."""


class Stage:
    """What a scenario may do. Everything is recorded as in any other run."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        drive: Drive,
        injector: Injector,
        concurrency: int,
        write: Callable[[Mapping[str, Any]], None],
    ) -> None:
        self.env = cluster.env
        self.nodes: tuple[str, ...] = tuple(cluster.nodes)
        self._cluster = cluster
        self._drive = drive
        self._injector = injector
        self._write = write
        sessions = [(thread, drive.session(thread)) for thread in range(concurrency)]
        self._players = [Player(thread=t, host=s.host, pinned=s.pinned) for t, s in sessions]
        """Not directed yet."""

    # -- clients --------------------------------------------------------------------------------

    def client(self, host: str | None = None, *, pinned: str | None = None) -> Player:
        """A client of the scenario's own, on this host if one is named: pinned to a node, or
        roaming. Raises UserError where the run has none left: `--concurrency 2n` has one of each
        kind beside every node.
        """
        for player in self._players:
            if player.pinned == pinned and host in (None, player.host):
                self._players.remove(player)
                return player
        left = ", ".join(
            f"{player.host} " + (f"pinned to {player.pinned}" if player.pinned else "roaming")
            for player in self._players
        )
        asked = f"on {host or 'any host'}, " + (f"pinned to {pinned}" if pinned else "roaming")
        raise UserError(f"no client {asked} is left (there are: {left or 'none'})")

    async def invoke(self, client: Player, f: str, key: Any = None, value: Any = None) -> Op:
        """One operation; its completion, whatever that is."""
        return await self._drive.invoke(f, key, value, thread=client.thread)

    async def together(self, *coros: Coroutine[Any, Any, T]) -> list[T]:
        """Several things side by side; their results in order."""
        return await gather(self.env, coros, "scenario")

    # -- faults ---------------------------------------------------------------------------------

    async def cut(self, one: Sequence[str], other: Sequence[str]) -> Fault:
        """Nothing passes between the hosts of one side and those of the other."""
        alone = sum(host in self.nodes for host in one) == 1
        kind = "partition-one" if alone else "partition-halves"
        return await self.fault(kind, sides=[list(one), list(other)])

    async def hold(self, src: str, dst: str, message: str) -> Fault:
        """Messages of this kind (a name of `System.frame_kinds`) wait on their way from one host to
        another. Those of a connection that breaks meanwhile are lost.
        """
        return await self.fault(HOLD.kind, asked={"message": message}, **{"from": src, "to": dst})

    async def fault(
        self, kind: str, *, asked: Mapping[str, Any] | None = None, **targets: Any
    ) -> Fault:
        """Inject a fault on these targets (`nodes=["n1"]`), with its parameters `asked`. Raises
        SystemFault where it has no effect: the rest of a choreography would mean nothing.
        """
        fault = Fault(kind=kind, targets=targets, asked=dict(asked or {}))
        measured = await self._injector.begin(fault)
        if not measured.effective:
            raise SystemFault(f"fault {kind!r} on {targets} had no effect: {measured.facts}")
        return fault

    async def heal(self, *faults: Fault) -> None:
        """Undo these faults, or all that are in force. Raises SystemFault where one stays."""
        for id in [fault.id for fault in faults] or list(reversed(self._injector.in_force())):
            if not await self._injector.end(id):
                raise SystemFault(f"fault {id} could not be undone")

    # -- nodes ----------------------------------------------------------------------------------

    async def leader(self, *, among: Collection[str] | None = None) -> str:
        """Waits until one of these nodes (of all) leads by its own word, in the highest term of
        several. Raises SystemFault where none does in time.
        """
        names = self.nodes if among is None else tuple(among)

        async def leads() -> str | None:
            terms = []
            for name in names:
                info = await self.info(name)
                if info is not None and info.role == "leader":
                    terms.append((info.term, name))
            return max(terms)[1] if terms else None

        return await self.eventually(f"a leader among {', '.join(names)}", leads)

    async def info(self, node: str) -> NodeInfo | None:
        """What a node says of itself, past the links; None where it does not answer."""
        return await self._cluster.nodes[node].info()

    async def admin(self, node: str, command: str, /, **args: Any) -> Any:
        """An operator's command to a node, past the links."""
        return await self._cluster.nodes[node].admin(command, args)

    async def eventually(
        self,
        what: str,
        condition: Callable[[], Awaitable[T | None]],
        *,
        within_ns: int = PATIENCE_NS,
    ) -> T:
        """Waits until `condition` gives something true, and returns it. Raises SystemFault, with
        `what` in it, when that takes longer than `within_ns`.
        """
        give_up = self.env.now() + within_ns
        while True:
            found = await condition()
            if found:
                return found
            if self.env.now() >= give_up:
                raise SystemFault(f"{what} did not come about within {within_ns / 1e9:g} s")
            await self.env.sleep(LOOK_NS)

    async def sleep(self, ns: int) -> None:
        """Let time pass."""
        await self.env.sleep(ns)

    def mark(self, text: str) -> None:
        """A line of the story, for whoever reads the report."""
        self._write({"ev": "mark", "t": self.env.now(), "name": "scenario", "text": text})


Play: TypeAlias = Callable[[Stage], Coroutine[Any, Any, None]]


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """A choreography, and the run that it needs where the user does not say otherwise."""

    play: Play
    """Its first docstring line is what lists show."""
    nodes: int = 3
    workload: str = "register"
    options: Mapping[str, Any] = {}
    """Options of the system (timeouts that leave time for the story)."""


def host_beside(node: str) -> str:
    """The client host with the number of a node: "c2" of "n2"."""
    return f"c{node[1:]}"


def load_scenario(name: str, made: Any) -> Scenario:
    """The scenario of that name that the class `made` of a system brings, or that of
    `path.py:function`. Raises UserError.
    """
    if is_place(name):
        found = class_at(name, "scenario")
        return found if isinstance(found, Scenario) else Scenario(play=found)
    known: Mapping[str, Scenario] = made.scenarios() if hasattr(made, "scenarios") else {}
    if name not in known:
        raise unknown_name("scenario", name, known)
    return known[name]
