"""Partitions: directions between hosts through which nothing passes, in seven shapes.

What is cut follows from the targets alone:

    {"sides": [["n1", "c2"], ["n2", "n3", "c1"]]}       nothing passes between the two sides
    {"from": ["n1"], "to": ["n2", "n3", "c1"]}          nothing passes in this direction
    {"hears": {"n1": ["n2"], "c1": ["n1"], ...}}        each host hears these nodes; a client host
                                                        also talks to nobody else

A host that is named nowhere is not touched (`"bridge"` names the one that both sides reach). Client
hosts fall on the sides too: three times in four one whose clients are pinned goes where its node
goes, because else they see nothing but silence.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from dissensus.harness.cluster import Cluster, Pair, Reach, majority, pairs_between
from dissensus.harness.errors import UserError
from dissensus.harness.fault import Fault, FaultContext, Measured
from dissensus.harness.randomness import Rng
from dissensus.nemeses.select import check_hosts

CONTROLS_MAX = 8
"""Untouched directions that a probe measures beside the cut ones: one that is open will do."""
VERIFY_TRIES = 5
"""Probes of a healed direction: on a busy machine a single one may come too late."""
NAMED_MAX = 8
"""Directions that a measured fact lists by name."""

Targets = dict[str, Any]
Draw = Callable[[Rng, FaultContext], Targets | None]


class Partition:
    """Nothing passes in some directions until the undo opens them."""

    family = "partition"
    needs = frozenset({"cut"})
    stops = False

    def __init__(self, kind: str, what: str, draw_targets: Draw, nodes_least: int) -> None:
        self.kind = kind
        self.what = f"cut links: {what}"
        self.nodes_least = nodes_least
        self._draw_targets = draw_targets

    def draw(self, rng: Rng, context: FaultContext) -> Fault | None:
        if len(context.nodes) < self.nodes_least:
            return None
        targets = self._draw_targets(rng, context)
        return None if targets is None else Fault(kind=self.kind, targets=targets)

    def check(self, fault: Fault, context: FaultContext) -> None:
        if set(fault.targets) - {"bridge"} not in ({"sides"}, {"from", "to"}, {"hears"}):
            raise UserError(
                f"fault {fault.kind!r} has targets {fault.targets!r}: they are written "
                "{'sides': [[...], [...]]}, {'from': [...], 'to': [...]} or {'hears': {...}}"
            )
        check_hosts(fault, hosts_of(fault.targets), (*context.nodes, *context.client_hosts))
        if not cuts(fault.targets, context.nodes):
            raise UserError(f"fault {fault.kind!r} cuts nothing: {fault.targets!r}")

    def undo_entry(self, fault: Fault) -> dict[str, Any]:
        return {"do": "heal-links"}

    async def inject(self, cluster: Cluster, fault: Fault) -> None:
        await cluster.links.cut(fault.id, cuts(fault.targets, cluster.nodes))

    async def probe(self, cluster: Cluster, fault: Fault) -> Measured:
        closed = cuts(fault.targets, cluster.nodes)
        controls = spread(untouched(fault.targets, cluster.nodes), CONTROLS_MAX)
        reached = await cluster.links.probe([*closed, *controls])
        leaks = [r for r in reached[: len(closed)] if r.open]
        control = [r for r in reached[len(closed) :] if r.open]
        facts: dict[str, Any] = {
            "directions": len(closed),
            "closed": len(closed) - len(leaks),
            "not_closed": named(leaks),
            "controls": len(controls),
            "controls_open": len(control),
        }
        # Without an open control the probe may be what is broken.
        return Measured(effective=not leaks and (bool(control) or not controls), facts=facts)

    async def undo(self, cluster: Cluster, fault: Fault) -> None:
        await cluster.links.heal(fault.id)

    async def verify(self, cluster: Cluster, fault: Fault) -> Measured:
        """A direction may stay closed by another fault that lasts: that is told as `shared`."""
        pairs = cuts(fault.targets, cluster.nodes)
        left = pairs
        holding = await cluster.links.faults()
        for _ in range(1 if holding else VERIFY_TRIES):
            reached = await cluster.links.probe(left)
            shut = [r for r in reached if not r.open]
            left = [(r.src, r.dst) for r in shut]
            if not left:
                break
        facts: dict[str, Any] = {"directions": len(pairs), "open": len(pairs) - len(left)}
        if left:
            facts |= {"not_open": named(shut), "shared": bool(holding)}
        return Measured(
            effective=fault.id not in holding and (not left or bool(holding)), facts=facts
        )


def hosts_of(targets: Targets) -> list[str]:
    """Every host that the targets name, once for each time."""
    if "hears" in targets:
        return list(targets["hears"])
    groups = [*targets.get("sides", ()), targets.get("from", ()), targets.get("to", ())]
    return [host for group in (*groups, targets.get("bridge", ())) for host in group]


def cuts(targets: Targets, nodes: Collection[str]) -> list[Pair]:
    """The directions that are cut. Client hosts have none between them."""
    if "sides" in targets:
        left, right = targets["sides"]
        pairs = pairs_between(left, right)
    elif "from" in targets:
        pairs = [(src, dst) for src in targets["from"] for dst in targets["to"]]
    else:
        hears = targets["hears"]
        deaf = [(n, h) for h, heard in hears.items() for n in nodes if n not in (*heard, h)]
        mute = [(h, n) for n, h in deaf if h not in nodes]
        pairs = deaf + mute
    return [(src, dst) for src, dst in pairs if src in nodes or dst in nodes]


def untouched(targets: Targets, nodes: Collection[str]) -> list[Pair]:
    """Directions between the same hosts that the fault leaves open. Of a one-way cut they are the
    way back: if that is closed too, it is another fault than the one that was asked for.
    """
    hosts = hosts_of(targets)
    closed = cuts(targets, nodes)
    shut = set(closed)
    if "from" in targets:
        return [(dst, src) for src, dst in closed if (dst, src) not in shut]
    pairs = [(a, b) for a in hosts for b in hosts if a != b and (a in nodes or b in nodes)]
    return [pair for pair in pairs if pair not in shut]


def spread(pairs: Sequence[Pair], most: int) -> list[Pair]:
    """At most `most` of them, evenly spread."""
    if len(pairs) <= most:
        return list(pairs)
    return [pairs[i * len(pairs) // most] for i in range(most)]


def named(reached: Sequence[Reach]) -> list[str]:
    """Directions as people read them, not too many."""
    return [f"{r.src}>{r.dst}" for r in reached[:NAMED_MAX]]


def leader_often_first(rng: Rng, context: FaultContext) -> list[str]:
    """The nodes in random order, and every other time the leader at their head: what a cut breaks
    shows most where the leader is on the side that should stop.
    """
    nodes = rng.sample(context.nodes, len(context.nodes))
    if context.leader is not None and rng.chance(1, 2):
        nodes.remove(context.leader)
        nodes.insert(0, context.leader)
    return nodes


def halves(rng: Rng, context: FaultContext) -> Targets:
    """Two halves; of an odd number one has a node more, and often the leader is in the other."""
    nodes = leader_often_first(rng, context)
    middle = len(nodes) // 2
    return {"sides": populate(rng, context, nodes[:middle], nodes[middle:])}


def minority_apart(rng: Rng, context: FaultContext) -> Targets:
    """A random minority against a majority; often the leader is in it."""
    nodes = leader_often_first(rng, context)
    size = rng.between(1, len(nodes) - majority(len(nodes)))
    return {"sides": populate(rng, context, nodes[:size], nodes[size:])}


def one_apart(rng: Rng, context: FaultContext) -> Targets:
    """One node against all others."""
    nodes = rng.sample(context.nodes, len(context.nodes))
    return {"sides": populate(rng, context, nodes[:1], nodes[1:])}


def leader_apart(rng: Rng, context: FaultContext) -> Targets | None:
    """The leader, with some client hosts, against all others."""
    leader = context.leader
    if leader is None:
        return None
    others = [node for node in context.nodes if node != leader]
    return {"sides": populate(rng, context, [leader], others)}


def bridge(rng: Rng, context: FaultContext) -> Targets:
    """Two sides that only one node can talk to, both of them."""
    middle, *nodes = rng.sample(context.nodes, len(context.nodes))
    half = len(nodes) // 2
    sides = populate(rng, context, nodes[:half], nodes[half:])
    return {"bridge": [middle], "sides": sides}


def one_way(rng: Rng, context: FaultContext) -> Targets:
    """Some nodes are not heard by the others, or do not hear them: often the leader alone, one
    node, or a half.
    """
    nodes = leader_often_first(rng, context)
    size = 1 if rng.chance(2, 3) else len(nodes) // 2
    sides = populate(rng, context, nodes[:size], nodes[size:])
    if rng.chance(1, 2):
        sides.reverse()
    return {"from": sides[0], "to": sides[1]}


def ring(rng: Rng, context: FaultContext) -> Targets:
    """Each node hears a majority, itself included, and no two the same one: a window over a ring
    of the nodes, with the node in its middle. A client host reaches the window of one node.
    """
    nodes = rng.sample(context.nodes, len(context.nodes))
    size = majority(len(nodes))
    views = {}
    for first in range(len(nodes)):
        window = [nodes[(first + i) % len(nodes)] for i in range(size)]
        views[window[size // 2]] = window
    hears: dict[str, list[str]] = {}
    for node in context.nodes:
        hears[node] = [other for other in context.nodes if other in views[node] and other != node]
    for host in context.client_hosts:
        pinned = context.clients_of.get(host)
        if pinned is None or not rng.chance(3, 4):
            pinned = rng.choice(context.nodes)
        hears[host] = [node for node in context.nodes if node in views[pinned]]
    return {"hears": hears}


def populate(
    rng: Rng, context: FaultContext, left: Sequence[str], right: Sequence[str]
) -> list[list[str]]:
    """The two sides with client hosts: none is without one where there are two or more."""
    nodes = (left, right)
    hosts: tuple[list[str], list[str]] = ([], [])
    for host in context.client_hosts:
        pinned = context.clients_of.get(host)
        at_home = [side for side in (0, 1) if pinned in nodes[side]]
        side = at_home[0] if at_home and rng.chance(3, 4) else rng.below(2)
        hosts[side].append(host)
    for side in (0, 1):
        if not hosts[side] and len(hosts[1 - side]) > 1:
            hosts[side].append(hosts[1 - side].pop(rng.below(len(hosts[1 - side]))))
    return [
        [node for node in context.nodes if node in nodes[side]] + hosts[side] for side in (0, 1)
    ]


PARTITIONS = (
    Partition("partition-halves", "two halves", halves, 2),
    Partition("partition-majority", "a random minority from the majority", minority_apart, 3),
    Partition("partition-one", "one node from all others", one_apart, 2),
    Partition(
        "partition-leader", "the leader, with some clients, from all others", leader_apart, 2
    ),
    Partition("partition-bridge", "two sides, and one node that both can talk to", bridge, 3),
    Partition("partition-ring", "every node hears a majority, no two the same", ring, 3),
    Partition("partition-one-way", "some nodes cannot be heard, or cannot hear", one_way, 2),
)
"""One for each shape; client hosts fall on the sides as well."""
