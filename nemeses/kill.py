"""Kill: SIGKILL to node processes; the undo starts them again on the data that is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dissensus.harness.cluster import Cluster
from dissensus.harness.env import gather
from dissensus.harness.fault import Fault, FaultContext, Measured
from dissensus.harness.randomness import Rng
from dissensus.nemeses.select import check_nodes, draw_nodes

MIX = {"one": 3, "minority": 2, "leader": 4, "majority": 1, "all": 1}
"""Mostly what a cluster must survive without a stop, the leader first of all."""


class Kill:
    """Nodes die at once and stay dead until the undo starts them."""

    family = "kill"
    needs = frozenset({"kill"})
    stops = True
    nodes_least = 1

    def __init__(self, kind: str, what: str, mix: Mapping[str, int]) -> None:
        self.kind = kind
        self.what = what
        self.mix = mix

    def draw(self, rng: Rng, context: FaultContext) -> Fault | None:
        drawn = draw_nodes(rng, context, self.mix)
        if drawn is None:
            return None
        selector, nodes = drawn
        return Fault(kind=self.kind, targets={"nodes": nodes}, asked={"selector": selector})

    def check(self, fault: Fault, context: FaultContext) -> None:
        check_nodes(fault, context)

    def undo_entry(self, fault: Fault) -> dict[str, Any]:
        return {"do": "start", **fault.targets}

    async def inject(self, cluster: Cluster, fault: Fault) -> None:
        nodes = [cluster.nodes[name] for name in fault.targets["nodes"]]
        await gather(cluster.env, [node.kill() for node in nodes], "kill")

    async def probe(self, cluster: Cluster, fault: Fault) -> Measured:
        facts: dict[str, Any] = {}
        return Measured(effective=await gone(cluster, fault, facts), facts=facts)

    async def undo(self, cluster: Cluster, fault: Fault) -> None:
        """Side by side: some systems are ready only once a majority of them is there."""
        nodes = [cluster.nodes[name] for name in fault.targets["nodes"]]
        down = [node for node in nodes if await node.state() == "down"]
        await gather(cluster.env, [node.start() for node in down], "start")

    async def verify(self, cluster: Cluster, fault: Fault) -> Measured:
        states = await states_of(cluster, fault)
        return Measured(
            effective=all(state != "down" for state in states.values()), facts={"states": states}
        )


async def states_of(cluster: Cluster, fault: Fault) -> dict[str, str]:
    """What the operating system says of each target."""
    return {name: await cluster.nodes[name].state() for name in fault.targets["nodes"]}


async def answering(cluster: Cluster, fault: Fault) -> list[str]:
    """The targets that answer a question for their status."""
    names = fault.targets["nodes"]
    infos = await gather(cluster.env, [cluster.nodes[name].info() for name in names], "info")
    return [name for name, info in zip(names, infos, strict=True) if info is not None]


async def gone(cluster: Cluster, fault: Fault, facts: dict[str, Any]) -> bool:
    """Whether every target is dead: by the operating system's word, and by its own silence."""
    facts["states"] = states = await states_of(cluster, fault)
    facts["answering"] = await answering(cluster, fault)
    return all(state == "down" for state in states.values()) and not facts["answering"]
