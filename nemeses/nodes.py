"""What the nemeses of nodes share: how targets are drawn and named, and what is asked of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from dissensus.harness.cluster import Cluster
from dissensus.harness.env import gather
from dissensus.harness.fault import Fault, FaultContext
from dissensus.harness.randomness import Rng
from dissensus.nemeses.select import check_nodes, draw_nodes


class OnNodes:
    """A fault whose targets are nodes that it stops: `{"nodes": [...]}`, by a mix of selectors."""

    undo_step: ClassVar[str]
    """What `dissensus heal` does to the targets."""
    stops = True
    nodes_least = 1

    def __init__(self, kind: str, what: str, mix: Mapping[str, int]) -> None:
        """`mix`: selector -> its weight (`select.draw_nodes`)."""
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
        return {"do": self.undo_step, **fault.targets}


async def states_of(cluster: Cluster, fault: Fault) -> dict[str, str]:
    """What the operating system says of each target."""
    return {name: await cluster.nodes[name].state() for name in fault.targets["nodes"]}


async def answering(cluster: Cluster, fault: Fault) -> list[str]:
    """The targets that answer a question for their status."""
    names = fault.targets["nodes"]
    infos = await gather(cluster.env, [cluster.nodes[name].info() for name in names], "info")
    return [name for name, info in zip(names, infos, strict=True) if info is not None]
