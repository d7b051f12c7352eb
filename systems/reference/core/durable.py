"""The durable state of a log-replicating core as a pure fold of patches.

A core never sees a disk: it emits `Persist(patch)`. The store writes patches as records, and on
restart folds the records that reached the disk into a `Durable`, which the driver hands to the core
in `Start`. The store, the simulator and the tests share this one fold, so "what survived the crash"
has one meaning.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, List, NamedTuple, Optional, Tuple, Union

from dissensus.systems.reference.core.errors import InvariantError

# Kinds of log entries.
NOOP = 0
COMMAND = 1
OPEN_SESSION = 2
CONFIG = 3

KIND_NAMES = ("noop", "command", "open", "config")

Scalar = Union[str, int, bool, None]
if TYPE_CHECKING:
    OpFields = Tuple[Any, ...]
else:
    # What an `op` is made of: the codec checks it, and reads nested arrays back as tuples.
    OpFields = Tuple[Union[str, int, bool, Tuple[str, ...], None], ...]


class Entry(NamedTuple):
    """A log entry. Its index is its position; `op` is a flat tuple of scalars.

    A tuple and not a class: it is built once per write, shared by log, patches and messages, and
    coded as an array. For kind CONFIG `op` is the tuples of `raft.config.Config.pack`; else
    strings, integers, booleans and None.
    """

    term: int
    kind: int
    session: int
    seq: int
    acked: int
    op: OpFields


@dataclass
class Hard:
    """Term and vote, always written together (a crash between them could vote twice)."""

    __slots__ = ("term", "voted_for")
    KIND = 1
    term: int
    voted_for: Optional[str]


@dataclass
class Append:
    """Cut the log so that it ends before index `first`, then append `entries`."""

    __slots__ = ("entries", "first")
    KIND = 2
    first: int
    entries: List[Entry]


@dataclass
class Snapshot:
    """The state after `last_index`, with the configuration in force there
    (`raft.config.Config.pack()`).
    """

    __slots__ = ("config", "data", "last_index", "last_term")
    KIND = 3
    last_index: int
    last_term: int
    config: Tuple[Tuple[str, ...], ...]
    data: bytes


Patch = Union[Hard, Append, Snapshot]


class Durable:
    """What a disk holds. `first` is the index of `entries[0]`: one past the snapshot."""

    __slots__ = ("entries", "first", "snapshot", "term", "voted_for")

    def __init__(self) -> None:
        self.term = 0
        self.voted_for: Optional[str] = None
        self.snapshot: Optional[Snapshot] = None
        self.first = 1
        self.entries: List[Entry] = []

    @property
    def last_index(self) -> int:
        """Index of the last entry, or of the snapshot when the log is empty."""
        return self.first + len(self.entries) - 1

    def apply(self, patch: Patch) -> Durable:
        """Fold one patch into this value (in place) and return it."""
        kind = type(patch)
        if kind is Append:
            self._append(patch)  # type: ignore[arg-type]
        elif kind is Hard:
            if patch.term < self.term:  # type: ignore[union-attr]
                raise InvariantError(f"durable term went back from {self.term} to {patch!r}")
            self.term = patch.term  # type: ignore[union-attr]
            self.voted_for = patch.voted_for  # type: ignore[union-attr]
        elif kind is Snapshot:
            self._snapshot(patch)  # type: ignore[arg-type]
        else:
            raise InvariantError(f"unknown patch {patch!r}")
        return self

    def _append(self, patch: Append) -> None:
        entries = patch.entries
        keep = patch.first - self.first
        if keep < 0:
            # A snapshot overtook this patch: what it covers is already part of the snapshot.
            entries = entries[-keep:]
            keep = 0
        if keep > len(self.entries):
            raise InvariantError(
                f"gap in the durable log: ends at {self.last_index}, patch starts at {patch.first}"
            )
        del self.entries[keep:]
        self.entries += entries

    def _snapshot(self, patch: Snapshot) -> None:
        if self.snapshot is not None and patch.last_index < self.snapshot.last_index:
            raise InvariantError("a snapshot replaces a newer one")
        covered = patch.last_index - self.first + 1
        matches = 0 < covered <= len(self.entries) and (
            self.entries[covered - 1].term == patch.last_term
        )
        if matches:
            del self.entries[:covered]  # Fig. 13 rule 6: the suffix behind the snapshot stays
        elif covered != 0 or self.entries:
            self.entries = []  # Fig. 13 rule 7: the whole log conflicts or is covered
        self.first = patch.last_index + 1
        self.snapshot = patch

    def clone(self) -> Durable:
        """An independent copy; entries and snapshots are immutable and shared."""
        other = Durable()
        other.term = self.term
        other.voted_for = self.voted_for
        other.snapshot = self.snapshot
        other.first = self.first
        other.entries = self.entries[:]
        return other

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Durable) and self.key() == other.key()

    __hash__ = None  # type: ignore[assignment]

    def key(self) -> Tuple[Any, ...]:
        """The whole value as nested tuples (for comparison and fingerprints)."""
        snap = self.snapshot
        packed = None
        if snap is not None:
            packed = (snap.last_index, snap.last_term, snap.config, snap.data)
        return (self.term, self.voted_for, packed, self.first, tuple(self.entries))

    def __repr__(self) -> str:
        at = 0 if self.snapshot is None else self.snapshot.last_index
        return (
            f"Durable(term={self.term}, voted_for={self.voted_for!r}, snapshot={at},"
            f" log={self.first}..{self.last_index})"
        )
