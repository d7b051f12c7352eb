"""Pause: SIGSTOP to node processes, which keep their sockets and their place and do not run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dissensus.harness.cluster import Cluster
from dissensus.harness.env import gather
from dissensus.harness.fault import Fault, FaultContext, Measured
from dissensus.harness.randomness import Rng
from dissensus.nemeses.kill import answering, states_of
from dissensus.nemeses.select import check_nodes, draw_nodes

MIX = {"one": 2, "minority": 2, "leader": 4, "majority": 1, "all": 1}
"""The leader above all: it comes back and believes that it still leads."""


class Pause:
    """Nodes stand still, alive, until the undo lets them go on."""

    family = "pause"
    needs = frozenset({"pause"})
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
        return {"do": "resume", **fault.targets}

    async def inject(self, cluster: Cluster, fault: Fault) -> None:
        nodes = [cluster.nodes[name] for name in fault.targets["nodes"]]
        await gather(cluster.env, [node.pause() for node in nodes], "pause")

    async def probe(self, cluster: Cluster, fault: Fault) -> Measured:
        states = await states_of(cluster, fault)
        silent = not (answers := await answering(cluster, fault))
        return Measured(
            effective=silent and all(state == "paused" for state in states.values()),
            facts={"states": states, "answering": answers},
        )

    async def undo(self, cluster: Cluster, fault: Fault) -> None:
        nodes = [cluster.nodes[name] for name in fault.targets["nodes"]]
        paused = [node for node in nodes if await node.state() == "paused"]
        await gather(cluster.env, [node.resume() for node in paused], "resume")

    async def verify(self, cluster: Cluster, fault: Fault) -> Measured:
        """A node that fell while it was paused is not paused any more: that is its own affair."""
        states = await states_of(cluster, fault)
        return Measured(
            effective=all(state != "paused" for state in states.values()), facts={"states": states}
        )
