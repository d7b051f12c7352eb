"""The log of a Raft node in memory: entries behind a base that is covered by a snapshot."""

from __future__ import annotations

from typing import List

from dissensus.systems.reference.core.durable import Entry
from dissensus.systems.reference.core.errors import InvariantError

UNKNOWN = -1
"""Term of an index that the log does not reach, or no longer holds."""


class Log:
    """`entries[0]` has the index `first`; `base_term` is the term of the entry before it."""

    __slots__ = ("base_term", "entries", "first", "last")

    def __init__(self) -> None:
        self.first = 1
        self.base_term = 0
        self.entries: List[Entry] = []
        self.last = 0
        """Index of the last entry, or of the base when there is none."""

    def term_at(self, index: int) -> int:
        """Term of the entry at `index`; 0 at 0, UNKNOWN where there is none."""
        at = index - self.first
        if 0 <= at < len(self.entries):
            return self.entries[at].term
        return self.base_term if at == -1 else UNKNOWN

    def last_term(self) -> int:
        """Term of the last entry."""
        return self.entries[-1].term if self.entries else self.base_term

    def entry(self, index: int) -> Entry:
        """The entry at `index`, which must be held."""
        at = index - self.first
        if at < 0:
            raise InvariantError(f"entry {index} is gone: the log begins at {self.first}")
        return self.entries[at]

    def slice(self, lo: int, hi: int) -> List[Entry]:
        """A new list of the entries lo..hi, both included."""
        first = self.first
        if lo < first:
            raise InvariantError(f"entry {lo} is gone: the log begins at {first}")
        return self.entries[lo - first : hi - first + 1]

    def extend(self, entries: List[Entry]) -> None:
        """Append entries."""
        self.entries += entries
        self.last += len(entries)

    def truncate(self, first: int) -> None:
        """Drop the entries from index `first` on."""
        del self.entries[first - self.first :]
        self.last = first - 1

    def compact(self, index: int) -> None:
        """Forget the entries up to `index`, which must be held."""
        if index >= self.first:
            self.base_term = self.term_at(index)
            del self.entries[: index - self.first + 1]
            self.first = index + 1

    def reset(self, index: int, term: int) -> None:
        """Drop everything; the base is now `index`."""
        self.entries = []
        self.first = index + 1
        self.last = index
        self.base_term = term

    def first_of_term(self, index: int, floor: int) -> int:
        """First index of the run of entries that have the term of `index`, not below `floor`."""
        term = self.term_at(index)
        while index > floor and self.term_at(index - 1) == term:
            index -= 1
        return index

    def clone(self) -> Log:
        """An independent copy; entries are shared."""
        other = Log()
        other.first = self.first
        other.base_term = self.base_term
        other.entries = self.entries[:]
        other.last = self.last
        return other
