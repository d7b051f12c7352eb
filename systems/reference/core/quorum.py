"""Quorum arithmetic: which sets of nodes may decide, and what value a quorum has reached.

Every system here answers two questions: `reached(nodes)`: do these nodes form a quorum? and
`value(of)`: the largest number that a quorum has reached, where `of(node)` is what each node has
reached. A *blocked* question (no quorum is possible any more) is `reached` of the complement's
complement, so it needs no third one.

Intersection is the safety property: any two deciding quorums share a node (crash faults) or at
least f + 1 nodes, one of them correct (Byzantine faults). Note that 2f + 1 is the wrong size unless
n = 3f + 1: n = 6 has f = 1, and two disjoint sets of 3.
"""

from __future__ import annotations

from typing import Callable, Collection, Dict, Iterable, Sequence, Tuple


def majority(n: int) -> int:
    """Smallest q with two sets of q out of n sharing a node: floor(n/2) + 1."""
    return n // 2 + 1


def byzantine_faults(n: int) -> int:
    """Largest f with n >= 3f + 1."""
    return (n - 1) // 3


def byzantine(n: int, f: int) -> int:
    """Smallest q with two sets of q out of n sharing f + 1 nodes: ceil((n + f + 1) / 2)."""
    if not 0 <= f <= byzantine_faults(n):
        raise ValueError(f"f must lie in 0..{byzantine_faults(n)} for n={n}, not {f}")
    return (n + f + 2) // 2


def flexible_ok(n: int, q1: int, q2: int) -> bool:
    """Flexible Paxos: election quorums of q1 meet replication quorums of q2 (Howard 2016)."""
    return 1 <= q1 <= n and 1 <= q2 <= n and q1 + q2 > n


def reached(voters: Collection[str], have: Collection[str]) -> bool:
    """Whether `have` holds a majority of `voters`; an empty set of voters never decides."""
    count = 0
    for node in voters:
        if node in have:
            count += 1
    return count > len(voters) // 2


def majority_value(values: Sequence[int]) -> int:
    """The largest number that a majority of `values` has reached; 0 for none."""
    if not values:
        return 0
    # Ascending, the majority-th largest sits at (n - 1) // 2.
    return sorted(values)[(len(values) - 1) // 2]


def joint_reached(halves: Iterable[Collection[str]], have: Collection[str]) -> bool:
    """Joint consensus: a majority of each half, counted apart (one counter for both is bug R17)."""
    return all(reached(half, have) for half in halves)


def joint_value(halves: Iterable[Collection[str]], of: Callable[[str], int]) -> int:
    """The largest number that a majority of each half has reached."""
    return min(majority_value([of(node) for node in half]) for half in halves)


def weighted_reached(power: Dict[str, int], have: Collection[str]) -> bool:
    """More than 2/3 of the voting power (by power, never by count)."""
    total = sum(power.values())
    return 3 * sum(weight for node, weight in power.items() if node in have) > 2 * total


def weighted_some_correct(power: Dict[str, int], have: Collection[str]) -> bool:
    """More than 1/3 of the voting power: at least one correct node is among `have`."""
    total = sum(power.values())
    return 3 * sum(weight for node, weight in power.items() if node in have) > total


def grid_rows(rows: Sequence[Sequence[str]], have: Collection[str]) -> Tuple[bool, bool]:
    """(a full row, one node of every row): the two phases of a grid quorum, which always meet."""
    full = any(all(node in have for node in row) for row in rows)
    cover = all(any(node in have for node in row) for row in rows)
    return full, cover
