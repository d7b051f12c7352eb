"""On-line oracles: properties that are checked while a simulation runs, in constant time an event.

State machine safety: no two nodes, and no two incarnations of one, ever have different digests
after applying the same index (Raft, figure 3). Clients often cannot see such a split; the oracle
does, at the second node's `applied`.
"""

from __future__ import annotations

from typing import Dict, Optional, Tuple

INDICES_MAX = 2_000_000
"""Indices that are remembered (300 MB); the oldest go first. A node that restarts and applies from
older ones is compared from there on.
"""


class Split:
    """Two nodes whose state differs after the same index."""

    __slots__ = ("digests", "index", "nodes")

    def __init__(self, index: int, nodes: Tuple[str, str], digests: Tuple[int, int]) -> None:
        self.index = index
        self.nodes = nodes
        self.digests = digests

    def text(self) -> str:
        """One sentence."""
        return (
            f"state machine safety is broken at index {self.index}: {self.nodes[0]} has digest "
            f"{self.digests[0]:#x}, {self.nodes[1]} has {self.digests[1]:#x}"
        )


class StateMachineSafety:
    """Remembers the first digest at every index and compares each later one with it."""

    def __init__(self) -> None:
        self._first: Dict[int, Tuple[int, str]] = {}

    def applied(self, node: str, index: int, digest: int) -> Optional[Split]:
        """`node` applied `index` and now has `digest`; the split, if that is one."""
        first = self._first.get(index)
        if first is None:
            self._first[index] = (digest, node)
            if len(self._first) > INDICES_MAX:
                del self._first[next(iter(self._first))]
            return None
        if first[0] == digest:
            return None
        return Split(index, (first[1], node), (first[0], digest))
