"""The interface of a nemesis: one kind of fault, from drawing its targets to proving that it is
gone.

The runner drives every fault through the same steps, each recorded: `draw` (pure, from the
schedule's random stream), the undo entry into the run's journal, `inject`, `probe` (what was asked
against what was measured), a while later `undo`, `verify`. A fault that had no effect is recorded
as such, and a run without effects is vacuous.
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
    kind: str
    """Name of the nemesis: "kill", "partition" ..."""
    targets: dict[str, Any]
    """Who is hit, by name, in a form that people read ({"nodes": ["n1"]}, {"halves": [["n1"],
    ["n2", "n3"]]}).
    """
    asked: dict[str, Any] = {}
    """Parameters: shape, delay_ns ..."""


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
    """Nodes that another fault holds down or paused: they cannot be killed or paused again."""
    clients_of: Mapping[str, str]
    """Client host -> the node its clients are pinned to, for the ones that are."""


class Nemesis(Protocol):
    """One kind of fault. Stateless: all that a fault needs lies in the `Fault`."""

    kind: str
    needs: frozenset[str]
    """Capabilities of the cluster that it needs."""
    family: str
    """"partition", "kill", "pause", "link", "disk" ...: the name that `--faults` takes and the
    report colours by.
    """

    def draw(self, rng: Rng, context: FaultContext) -> Fault | None:
        """Choose targets and parameters; None when there is no fair target now. Pure."""
        ...

    def undo_entry(self, fault: Fault) -> dict[str, Any]:
        """What `dissensus heal` needs to undo it when the harness is gone. Written before
        `inject`.
        """
        ...

    async def inject(self, cluster: Cluster, fault: Fault) -> None: ...

    async def probe(self, cluster: Cluster, fault: Fault) -> Measured:
        """Measure the effect, with traffic or state of its own."""
        ...

    async def undo(self, cluster: Cluster, fault: Fault) -> None:
        """Take it back. Called once after inject, also when inject or probe failed half-way."""
        ...

    async def verify(self, cluster: Cluster, fault: Fault) -> Measured:
        """Prove that it is gone: `effective` is True when the system is whole again in this
        respect.
        """
        ...
