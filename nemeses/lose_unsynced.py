"""Lose-unsynced: the power fails. Nodes die, and their files keep what was fsynced and no more.

The effect is that every file is as long as the node reported durable; the bytes lost are told, and
may be 0 where a node was killed right after an fsync.
"""

from __future__ import annotations

from typing import Any

from dissensus.harness.cluster import Cluster
from dissensus.harness.env import gather
from dissensus.harness.fault import Fault, Measured
from dissensus.nemeses.kill import Kill, gone

MIX = {"one": 1, "minority": 1, "leader": 2, "majority": 2, "all": 4}
"""Mostly more than a minority: a write that was acknowledged too early is on no other disk then."""


class LoseUnsynced(Kill):
    """Nodes die, and what they wrote without fsync goes with them."""

    family = "lose-unsynced"
    needs = frozenset({"kill", "lose-unsynced"})

    async def inject(self, cluster: Cluster, fault: Fault) -> None:
        await super().inject(cluster, fault)
        lost = {name: await cluster.nodes[name].lose_unsynced() for name in fault.targets["nodes"]}
        fault.seen["lost_bytes"] = {name: sum(files.values()) for name, files in lost.items()}

    async def probe(self, cluster: Cluster, fault: Fault) -> Measured:
        facts: dict[str, Any] = {"lost_bytes": fault.seen.get("lost_bytes", {})}
        if not await gone(cluster, fault, facts):
            return Measured(effective=False, facts=facts)
        names = fault.targets["nodes"]
        left = await gather(cluster.env, [cluster.nodes[n].unsynced() for n in names], "unsynced")
        facts["unsynced_left"] = {n: files for n, files in zip(names, left, strict=True) if files}
        return Measured(effective=not facts["unsynced_left"], facts=facts)
