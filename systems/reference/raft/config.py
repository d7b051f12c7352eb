"""Who is a member: the configuration of a Raft cluster, its quorums, and how it may change.

A *joint* configuration (thesis 4.3) has two halves, `voters` (the new ones) and `outgoing` (the
old ones), and every decision needs a majority of each, counted apart. Learners receive the log and
have no say. `next_learners` are old voters that become learners when the joint configuration ends:
until then they vote, and a node is never voter and learner at once.

A member that leaves is listed in `removed` for ever, because its id must not come back on a blank
disk: it would have forgotten its votes and acknowledgements (bug R9).
"""

from __future__ import annotations

from typing import AbstractSet, Callable, Collection, Iterable, Tuple

from dissensus.systems.reference.core.quorum import (
    joint_reached,
    joint_value,
    majority_value,
    reached,
)

Names = Tuple[str, ...]
Packed = Tuple[Names, ...]

PARTS = ("voters", "outgoing", "learners", "next_learners", "removed")
"""What is packed, in this order."""


class Config:
    """One configuration; never changed once made."""

    __slots__ = ("learners", "members", "next_learners", "outgoing", "removed", "voters")

    def __init__(
        self,
        voters: Iterable[str] = (),
        outgoing: Iterable[str] = (),
        learners: Iterable[str] = (),
        next_learners: Iterable[str] = (),
        removed: Iterable[str] = (),
    ) -> None:
        self.voters: Names = tuple(sorted(voters))
        self.outgoing: Names = tuple(sorted(outgoing))
        self.learners: Names = tuple(sorted(learners))
        self.next_learners: Names = tuple(sorted(next_learners))
        self.removed: Names = tuple(sorted(removed))
        self.members: Names = tuple(sorted({*self.voters, *self.outgoing, *self.learners}))
        """Everybody who receives the log."""

    @property
    def joint(self) -> bool:
        """Whether two halves decide."""
        return bool(self.outgoing)

    def is_voter(self, node: str) -> bool:
        """Whether `node` has a vote in either half."""
        return node in self.voters or node in self.outgoing

    def quorum(self, have: Collection[str]) -> bool:
        """Whether `have` decides: in a joint configuration a majority of each half (R17)."""
        if self.outgoing:
            return joint_reached((self.voters, self.outgoing), have)
        return reached(self.voters, have)

    def value(self, of: Callable[[str], int]) -> int:
        """The largest number that a quorum has reached; learners are not asked (R12)."""
        if self.outgoing:
            return joint_value((self.voters, self.outgoing), of)
        return majority_value([of(node) for node in self.voters])

    # -- changes --------------------------------------------------------------------------------

    def joint_to(self, voters: AbstractSet[str], learners: AbstractSet[str]) -> Config:
        """Cold,new: the joint configuration on the way to these members. ValueError: why not."""
        self._check(voters, learners)
        old = set(self.voters)
        return Config(
            voters,
            old,
            learners - old,
            learners & old,
            {*self.removed, *(set(self.members) - voters - learners)},
        )

    def after_joint(self) -> Config:
        """Cnew: what a joint configuration ends in."""
        learners = {*self.learners, *self.next_learners}
        return Config(self.voters, (), learners, (), self.removed)

    def single_to(self, voters: AbstractSet[str], learners: AbstractSet[str]) -> Config:
        """The configuration with these members, at most one voter apart (thesis 4.1)."""
        self._check(voters, learners)
        apart = sorted(voters ^ set(self.voters))
        if len(apart) > 1:
            raise ValueError(f"voters change one at a time, not {', '.join(apart)} together")
        gone = set(self.members) - voters - learners
        return Config(voters, (), learners, (), {*self.removed, *gone})

    def _check(self, voters: AbstractSet[str], learners: AbstractSet[str]) -> None:
        if self.joint:
            raise ValueError("the previous change has not ended")
        if not voters:
            raise ValueError("at least one voter must stay")
        both = sorted(voters & learners)
        if both:
            raise ValueError(f"{both[0]} cannot be voter and learner at once")

    # -- plain form -----------------------------------------------------------------------------

    def pack(self) -> Packed:
        """As nested tuples: the `op` of a CONFIG entry, and part of snapshots."""
        return (self.voters, self.outgoing, self.learners, self.next_learners, self.removed)

    @staticmethod
    def unpack(packed: Packed) -> Config:
        """The configuration of `pack`. ValueError if it is none."""
        if len(packed) != len(PARTS) or not all(type(names) is tuple for names in packed):
            raise ValueError(f"not a configuration: {packed!r:.100}")
        return Config(*packed)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Config) and self.pack() == other.pack()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        parts = [f"{name}={'+'.join(getattr(self, name))}" for name in PARTS if getattr(self, name)]
        return f"Config({', '.join(parts)})"
