"""Slow: links with a delay and its jitter, at times with losses (stalls, to a stream) or a low rate
as well.

Targets are {"nodes": [...], "clients": [...]}: both directions between these nodes and every other
node, and between them and these client hosts.
"""

from __future__ import annotations

from collections.abc import Collection
from statistics import median
from typing import Any

import msgspec

from dissensus.harness.cluster import Cluster, Pair, Reach, Shape
from dissensus.harness.errors import UserError, unknown_name
from dissensus.harness.fault import Fault, FaultContext, Measured
from dissensus.harness.plan import within
from dissensus.harness.randomness import Rng
from dissensus.nemeses.select import check_hosts, draw_nodes

MS = 1_000_000

DELAY_NS = (20 * MS, 400 * MS)
"""Below it a busy machine's own noise hides the effect; above it a probe takes it for a cut."""
JITTER_NS = (0, 400 * MS)
LOSS_PPM = (0, 300_000)
"""Beyond it streams stall longer than a fault lasts."""
RATE_BPS = (16_000, 1_000_000_000)
"""Below it heartbeats alone fill a link; above it no loopback goes."""
DRAWN_DELAY_NS = (50 * MS, 250 * MS)
DRAWN_LOSS_PPM = (10_000, 150_000)
DRAWN_RATE_BPS = (64_000, 1_000_000)
"""What is drawn: worse than a wide-area network, and still one that gets something done."""

MIX = {"one": 3, "minority": 2, "leader": 3, "all": 2}

ROUNDS = 3
"""Probes of each direction: the quickest counts, so that a stall of this machine is not taken for
a slow link.
"""
PAIRS_MAX = 12
"""Directions that are measured: a median needs no more."""
VERIFY_NS = 5_000 * MS
"""How long links may take to be quick again: nodes that come back keep a small machine busy."""
VERIFY_AGAIN_NS = 200 * MS


class Slow:
    """Links are slow until the undo."""

    kind = "slow"
    family = "slow"
    what = "delay links of some nodes with jitter, at times with losses or a low rate"
    needs = frozenset({"shape"})
    stops = False
    nodes_least = 1

    def draw(self, rng: Rng, context: FaultContext) -> Fault | None:
        # A node that is down has links all the same.
        drawn = draw_nodes(rng, msgspec.structs.replace(context, down=frozenset()), MIX)
        if drawn is None:
            return None
        selector, nodes = drawn
        clients = [host for host in context.client_hosts if rng.chance(1, 2)]
        if len(context.nodes) == 1:
            clients = list(context.client_hosts)
        delay_ns = rng.between(*DRAWN_DELAY_NS)
        asked = {
            "selector": selector,
            "delay_ns": delay_ns,
            "jitter_ns": rng.between(0, delay_ns // 2),
        }
        more = rng.below(4)
        if more == 0:
            asked["loss_ppm"] = rng.between(*DRAWN_LOSS_PPM)
        elif more == 1:
            asked["rate_bps"] = rng.between(*DRAWN_RATE_BPS)
        targets = {"nodes": nodes, "clients": clients}
        if not slowed(targets, context.nodes):
            return None
        return Fault(kind=self.kind, targets=targets, asked=asked)

    def check(self, fault: Fault, context: FaultContext) -> None:
        targets, asked = fault.targets, fault.asked
        if set(targets) - {"clients"} != {"nodes"}:
            raise UserError(
                f"fault 'slow' has targets {targets!r}: "
                "they are written {'nodes': ['n1', ...], 'clients': ['c1', ...]}"
            )
        check_hosts(fault, targets["nodes"], context.nodes)
        if targets.get("clients"):
            check_hosts(fault, targets["clients"], context.client_hosts)
        bounds = {
            "delay_ns": DELAY_NS,
            "jitter_ns": JITTER_NS,
            "loss_ppm": LOSS_PPM,
            "rate_bps": RATE_BPS,
        }
        for name, value in asked.items():
            if name in bounds:
                within(f"{name} of fault 'slow'", value, *bounds[name])
            elif name != "selector":
                raise unknown_name("parameter of fault 'slow'", name, bounds)
        if "delay_ns" not in asked:
            raise UserError("fault 'slow' has no delay_ns: its effect is measured by it")
        if asked.get("jitter_ns", 0) > asked["delay_ns"] // 2:
            raise UserError(
                f"jitter_ns {asked['jitter_ns']} of fault 'slow' is out of range: "
                f"at most half of delay_ns, {asked['delay_ns'] // 2}"
            )
        if not slowed(targets, context.nodes):
            raise UserError(f"fault 'slow' has no link to slow down: {targets!r}")

    def undo_entry(self, fault: Fault) -> dict[str, Any]:
        return {"do": "heal-links"}

    async def inject(self, cluster: Cluster, fault: Fault) -> None:
        pairs = slowed(fault.targets, cluster.nodes)
        fault.seen["rtt_ns"] = (await measure(cluster, pairs))["rtt_ns"]
        shape = Shape(**{k: v for k, v in fault.asked.items() if k != "selector"})
        await cluster.links.shape(fault.id, dict.fromkeys(pairs, shape))

    async def probe(self, cluster: Cluster, fault: Fault) -> Measured:
        """The effect is a median round trip that rose by a quarter of the delay at the least: with
        the greatest jitter no probe is quicker than half of it.
        """
        before = fault.seen.get("rtt_ns", -1)
        found = await measure(cluster, slowed(fault.targets, cluster.nodes))
        risen = before >= 0 and found["rtt_ns"] >= before + fault.asked["delay_ns"] // 4
        return Measured(effective=risen, facts={"rtt_before_ns": before, **found})

    async def undo(self, cluster: Cluster, fault: Fault) -> None:
        await cluster.links.heal(fault.id)

    async def verify(self, cluster: Cluster, fault: Fault) -> Measured:
        """Links may stay slow or shut by another fault that lasts: that is told as `shared`."""
        before = fault.seen.get("rtt_ns", -1)
        found: dict[str, Any] = {}
        quick = before < 0  # nothing was measured before, so nothing was shaped
        holding = await cluster.links.faults()
        give_up = cluster.env.now() + (0 if holding else VERIFY_NS)
        while not quick:
            found = await measure(cluster, slowed(fault.targets, cluster.nodes))
            quick = 0 <= found["rtt_ns"] < before + fault.asked["delay_ns"] // 3
            if quick or cluster.env.now() > give_up:
                break
            await cluster.env.sleep(VERIFY_AGAIN_NS)
        facts: dict[str, Any] = {"rtt_before_ns": before, **found}
        if not quick:
            facts["shared"] = bool(holding)
        return Measured(effective=fault.id not in holding and (quick or bool(holding)), facts=facts)


def slowed(targets: dict[str, Any], nodes: Collection[str]) -> list[Pair]:
    """The directions that are slow: both of each link."""
    pairs: dict[Pair, None] = {}
    for node in targets["nodes"]:
        for other in (*nodes, *targets.get("clients", ())):
            if other != node:
                pairs[(node, other)] = pairs[(other, node)] = None
    return list(pairs)


async def measure(cluster: Cluster, pairs: list[Pair]) -> dict[str, Any]:
    """Median over some of the directions of the quickest of a few probes, and the slowest probe of
    all; -1 when nothing passes (another fault has cut them).
    """
    step = max(1, len(pairs) // PAIRS_MAX)
    some = pairs[::step][:PAIRS_MAX]
    rounds: list[list[Reach]] = [await cluster.links.probe(some) for _ in range(ROUNDS)]
    quickest = [
        min(passed)
        for direction in zip(*rounds, strict=True)
        if (passed := [reach.rtt_ns for reach in direction if reach.open])
    ]
    slowest = max((reach.rtt_ns for reached in rounds for reach in reached), default=-1)
    return {
        "rtt_ns": int(median(quickest)) if quickest else -1,
        "slowest_ns": slowest,
        "directions": len(some),
        "open": len(quickest),
    }
