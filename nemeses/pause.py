"""Pause: SIGSTOP to node processes, which keep their sockets and their place and do not run."""

from __future__ import annotations

from dissensus.harness.cluster import Cluster
from dissensus.harness.env import gather
from dissensus.harness.fault import Fault, Measured
from dissensus.nemeses.nodes import OnNodes, answering, states_of

MIX = {"one": 2, "minority": 2, "leader": 4, "majority": 1, "all": 1}
"""The leader above all: it comes back and believes that it still leads."""


class Pause(OnNodes):
    """Nodes stand still, alive, until the undo lets them go on."""

    family = "pause"
    needs = frozenset({"pause"})
    undo_step = "resume"

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
