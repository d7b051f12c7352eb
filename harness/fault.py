"""The interface of a nemesis: one kind of fault, from drawing its targets to proving that it is
gone.

The injector drives every fault through the same steps, each recorded: `draw` (pure, from the
schedule's random stream), `check`, the undo entry into the run's journal, `inject`, `probe` (what
was asked against what was measured), a while later `undo`, `verify`. A fault that had no effect is
recorded as such, and a run without effects is vacuous.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from dissensus.harness.cluster import Cluster
from dissensus.harness.randomness import Rng


class Fault(msgspec.Struct, kw_only=True):
    """One fault to inject: what, on whom, how."""

    id: int = -1
    """The injector numbers it, after `draw` and `check`: links know it by this number."""
    kind: str
    """Name of the nemesis: "kill", "partition" ..."""
    targets: dict[str, Any]
    """Who is hit, by name, in a form that people read ({"nodes": ["n1"]}, {"halves": [["n1"],
    ["n2", "n3"]]}).
    """
    asked: dict[str, Any] = {}
    """Parameters: selector, delay_ns ..."""
    seen: dict[str, Any] = {}
    """What `inject` saw on its way (round trips before, bytes lost), for `probe` and `verify`."""


class Measured(msgspec.Struct, kw_only=True):
    """What a probe found."""

    effective: bool
    facts: dict[str, Any] = {}
    """"n1 cannot reach n3", offsets, bytes lost ...: what the report prints beside `asked`."""


class FaultContext(msgspec.Struct, kw_only=True):
    """What a nemesis may look at when it draws targets."""

    nodes: tuple[str, ...]
    client_hosts: tuple[str, ...]
    leader: str | None
    down: frozenset[str]
    """Nodes that do not run (killed, paused, fallen): they cannot be killed or paused again."""
    clients_of: Mapping[str, str]
    """Client host -> the node its clients are pinned to, for the ones that are."""


class Nemesis(Protocol):
    """One kind of fault. Stateless: all that a fault needs lies in the `Fault`."""

    kind: str
    family: str
    """"partition", "kill", "pause", "slow", "lose-unsynced" ...: the name that `--faults` takes for
    all its kinds, and the report colours by.
    """
    what: str
    """What it does, in one line for `dissensus faults`."""
    needs: frozenset[str]
    """Capabilities of the cluster that it needs."""
    stops: bool
    """Its targets {"nodes": [...]} do not run while it lasts."""
    nodes_least: int
    """With fewer nodes it has no fair target, ever."""

    def draw(self, rng: Rng, context: FaultContext) -> Fault | None:
        """Choose targets and parameters; None when there is no fair target now. Pure."""
        ...

    def check(self, fault: Fault, context: FaultContext) -> None:
        """Raises UserError for a fault, written by hand, that names unknown hosts or parameters out
        of range. Pure.
        """
        ...

    def undo_entry(self, fault: Fault) -> dict[str, Any]:
        """What `dissensus heal` needs to undo it when the harness is gone: "do" names the step,
        "nodes" those that the fault stops. Written before `inject`.
        """
        ...

    async def inject(self, cluster: Cluster, fault: Fault) -> None:
        """Break it. A DissensusError (SystemFault, EnvironmentFault), here or in `probe`, makes it
        a fault without effect, which is undone at once; any other error ends the run.
        """
        ...

    async def probe(self, cluster: Cluster, fault: Fault) -> Measured:
        """Measure the effect, with traffic or state of its own."""
        ...

    async def undo(self, cluster: Cluster, fault: Fault) -> None:
        """Take it back. Called once after inject, also when inject or probe failed half-way; once
        more, in the final heal, where it failed or was cancelled.
        """
        ...

    async def verify(self, cluster: Cluster, fault: Fault) -> Measured:
        """Prove that it is gone: `effective` is True when the system is whole again in this
        respect. Where another fault that lasts may hide that, say so by `facts["shared"]` = True:
        it is verified again when all are undone.
        """
        ...
