"""Known bugs of Raft, one small override each: what a test of consensus must be able to find.

`dissensus run raft --mutant R13`. The ids are shared with other zoos of Raft bugs and have gaps;
they are not those of `raft/core.py`, whose R1 to R17 name the guards inside the core.
"""

from __future__ import annotations

from typing import Any, Dict, NamedTuple, Tuple, Type

from dissensus.systems.reference.core.durable import Hard
from dissensus.systems.reference.raft.core import Raft
from dissensus.systems.reference.raft.messages import AppendReply


class VoteForgotten(Raft):
    """The term is written down, the vote is not (section 5.2, figure 2: votedFor is persistent)."""

    __slots__ = ()

    def persist_hard(self) -> None:
        self.persist(Hard(self.term, None))


class OldTermCounted(Raft):
    """Entries of earlier terms are committed by counting replicas (section 5.4.2, figure 8)."""

    __slots__ = ()

    def commits(self, index: int) -> bool:
        return True


class SmallElection(Raft):
    """One vote less than a majority wins an election, and the question before it (5.2, 9.6)."""

    __slots__ = ()

    def elected(self) -> bool:
        return sum(self.votes.values()) >= len(self.config.voters) // 2


class AckBeforeFsync(Raft):
    """A follower acknowledges entries that its disk does not have yet (figure 2)."""

    __slots__ = ()

    def acknowledge(self, src: str, reply: AppendReply) -> None:
        self.send(src, reply, True)


class StaleRead(Raft):
    """A leader answers reads without asking whether it still leads, and never steps down for want
    of a quorum (thesis 6.4, 6.2).
    """

    __slots__ = ()

    def read_at_leader(self, who: Any) -> None:
        self.give_index(who, self.commit)

    def hears_quorum(self) -> bool:
        return True


class Mutant(NamedTuple):
    """A bug and how it shows."""

    core: Type[Raft]
    breaks: str
    """What no longer holds, in one line."""
    found_by: Tuple[str, ...]
    """Checkers and on-line oracles, any of which may find it; nothing else counts."""
    nodes: int
    """The smallest cluster in which it can show."""


MUTANTS: Dict[str, Mutant] = {
    "R01": Mutant(
        OldTermCounted,
        "a committed entry of an earlier term can be overwritten (figure 8)",
        ("state-machine-safety",),
        3,
    ),
    "R02": Mutant(
        VoteForgotten,
        "a node that restarts votes twice in one term, and two leaders are elected",
        ("election-safety", "state-machine-safety", "no-panic"),
        3,
    ),
    "R07": Mutant(
        SmallElection,
        "two leaders are elected in one term, or one whose log lacks committed entries",
        ("election-safety", "state-machine-safety", "no-panic", "linearizability"),
        3,
    ),
    "R12": Mutant(
        AckBeforeFsync,
        "an acknowledged update is lost when nodes lose power",
        ("linearizability", "state-machine-safety"),
        3,
    ),
    "R13": Mutant(
        StaleRead,
        "a leader that is cut off answers reads with values that were overwritten",
        ("linearizability",),
        3,
    ),
}
"""By id, the short names in the command line."""
