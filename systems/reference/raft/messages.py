"""The messages of Raft. Field order is wire order; KIND is the number in the frame header.

A message is frozen once sent (the simulator passes the object itself). `round` numbers the rounds
in which a leader asks "do you still follow me?" (0: nobody asks); any reply of the same term to
such a message answers it. The sender is never a field: the transport knows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Tuple

from dissensus.systems.reference.core.durable import Entry


@dataclass
class PreVote:
    """Would you vote for me in `term` (which I have not entered yet)? Thesis 9.6."""

    __slots__ = ("last_index", "last_term", "term")
    KIND = 1
    term: int
    last_index: int
    last_term: int


@dataclass
class PreVoteReply:
    """Granted: `term` is the proposed one. Refused: `term` is the refuser's own."""

    __slots__ = ("granted", "term")
    KIND = 2
    term: int
    granted: bool


@dataclass
class Vote:
    """RequestVote (Fig. 2). `transfer`: the old leader asked for this election (thesis 3.10)."""

    __slots__ = ("last_index", "last_term", "term", "transfer")
    KIND = 3
    term: int
    last_index: int
    last_term: int
    transfer: bool


@dataclass
class VoteReply:
    """The answer to Vote."""

    __slots__ = ("granted", "term")
    KIND = 4
    term: int
    granted: bool


@dataclass
class Append:
    """AppendEntries (Fig. 2); without entries it is a heartbeat, a probe, or news of the commit
    index.
    """

    __slots__ = ("commit", "entries", "prev_index", "prev_term", "round", "term")
    KIND = 5
    term: int
    prev_index: int
    prev_term: int
    commit: int
    round: int
    entries: List[Entry]


@dataclass
class AppendReply:
    """ok: the log matches up to `index`. Refused: `index` is the refused prev_index, `hint` where
    to go on.
    """

    __slots__ = ("hint", "index", "ok", "round", "term")
    KIND = 6
    term: int
    ok: bool
    index: int
    hint: int
    round: int


@dataclass
class InstallSnapshot:
    """One chunk of a snapshot (Fig. 13). `config` is `Config.pack()` at last_index."""

    __slots__ = ("config", "data", "done", "last_index", "last_term", "offset", "round", "term")
    KIND = 7
    term: int
    last_index: int
    last_term: int
    config: Tuple[Tuple[str, ...], ...]
    offset: int
    data: bytes
    done: bool
    round: int


@dataclass
class InstallSnapshotReply:
    """`offset`: the byte wanted next. `done`: my log and state now reach at least `index`."""

    __slots__ = ("done", "index", "offset", "round", "term")
    KIND = 8
    term: int
    index: int
    offset: int
    done: bool
    round: int


@dataclass
class TimeoutNow:
    """The leader hands over: start an election at once (thesis 3.10)."""

    __slots__ = ("term",)
    KIND = 9
    term: int


@dataclass
class ReadIndex:
    """A follower asks up to where it must have applied to answer the reads of batch `id` (thesis
    6.4).
    """

    __slots__ = ("id", "term")
    KIND = 10
    term: int
    id: int


@dataclass
class ReadIndexReply:
    """The answer to ReadIndex."""

    __slots__ = ("id", "index", "term")
    KIND = 11
    term: int
    id: int
    index: int


MESSAGES = (
    PreVote,
    PreVoteReply,
    Vote,
    VoteReply,
    Append,
    AppendReply,
    InstallSnapshot,
    InstallSnapshotReply,
    TimeoutNow,
    ReadIndex,
    ReadIndexReply,
)
