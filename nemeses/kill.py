"""Kill: SIGKILL to node processes; the undo starts them again on the data that is there."""

from __future__ import annotations

from typing import Any

from dissensus.harness.cluster import Cluster
from dissensus.harness.env import gather
from dissensus.harness.fault import Fault, Measured
from dissensus.nemeses.nodes import OnNodes, answering, states_of

MIX = {"one": 3, "minority": 2, "leader": 4, "majority": 1, "all": 1}
"""Mostly what a cluster must survive without a stop, the leader first of all."""


class Kill(OnNodes):
    """Nodes die at once and stay dead until the undo starts them."""

    family = "kill"
    needs = frozenset({"kill"})
    undo_step = "start"

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


async def gone(cluster: Cluster, fault: Fault, facts: dict[str, Any]) -> bool:
    """Whether every target is dead: by the operating system's word, and by its own silence."""
    facts["states"] = states = await states_of(cluster, fault)
    facts["answering"] = await answering(cluster, fault)
    return all(state == "down" for state in states.values()) and not facts["answering"]
