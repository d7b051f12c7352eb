"""On-line oracles: properties that are checked while a simulation runs, in constant time an event.

State machine safety: no two nodes, and no two incarnations of one, ever have different digests
after applying the same index (Raft, figure 3). Clients often cannot see such a split; the oracle
does, at the second node's `applied`.

Election safety: a term has one leader (same figure). Broken, it mostly heals before it costs data,
so the oracle sees the bug in a fraction of the runs. Only for systems that promise it, by the
capability "election-safety", and say so by `report`.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional, Tuple

INDICES_MAX = 2_000_000
"""Indices that are remembered (300 MB); the oldest go first. A node that restarts and applies from
older ones is compared from there on.
"""

TERMS_MAX = 100_000
"""Terms whose leaders are remembered: days of elections; the oldest go first."""


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


class ElectionSafety:
    """Remembers who led each term, from what nodes report of themselves."""

    def __init__(self) -> None:
        self._leaders: Dict[int, str] = {}

    def reported(self, node: str, fields: Mapping[str, Any]) -> Optional[str]:
        """`node` said this of itself; the sentence about a second leader, if it is one."""
        if fields.get("role") != "leader":
            return None
        term = fields.get("term")
        if not isinstance(term, int):
            return None
        first = self._leaders.setdefault(term, node)
        if len(self._leaders) > TERMS_MAX:
            del self._leaders[next(iter(self._leaders))]
        if first == node:
            return None
        return f"election safety is broken: {first} and {node} both lead term {term}"
