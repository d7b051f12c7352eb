"""A disk in memory whose every possible crash can be listed, and patches to write on it."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from typing import Any

import pytest

from dissensus.systems.reference.core.durable import Append, Durable, Entry, Hard, Snapshot
from dissensus.systems.reference.store.log import Store
from dissensus.systems.reference.wire.patches import LogFormat


class MemFiles:
    """`Files` whose tokens complete when told."""

    def __init__(self, content: dict[str, bytes] | None = None) -> None:
        self.data = {name: bytearray(text) for name, text in (content or {}).items()}
        self.synced = {name: len(text) for name, text in self.data.items()}
        self.names = set(self.data)
        """Names that are durable."""
        self.tokens = 0
        self.pending: list[tuple[int, str, int, set[str]]] = []

    def list(self) -> builtins.list[str]:
        return sorted(self.data)

    def read(self, name: str) -> bytes:
        return bytes(self.data[name])

    def append(self, name: str, data: bytes) -> None:
        self.data.setdefault(name, bytearray()).extend(data)
        self.synced.setdefault(name, 0)

    def size(self, name: str) -> int:
        return len(self.data[name])

    def fsync(self, name: str) -> int:
        self.tokens += 1
        self.pending.append((self.tokens, name, len(self.data[name]), set()))
        return self.tokens

    def rename(self, old: str, new: str) -> None:
        self.data[new] = self.data.pop(old)
        self.synced[new] = self.synced.pop(old)

    def remove(self, name: str) -> None:
        del self.data[name]
        del self.synced[name]
        self.names.discard(name)

    def sync_dir(self) -> int:
        self.tokens += 1
        self.pending.append((self.tokens, "", 0, set(self.data)))
        return self.tokens

    def complete(self) -> int:
        """The oldest token becomes durable."""
        token, name, length, names = self.pending.pop(0)
        if name in self.data:
            self.synced[name] = max(self.synced[name], length)
        self.names |= names & set(self.data)
        return token

    def crashes(self) -> Iterator[dict[str, bytes]]:
        """What may be left: names visible or only durable ones, one file cut at every length while
        the others are whole, or cut to what is durable.
        """
        for names in (sorted(self.data), sorted(self.names & set(self.data))):
            floor = {n: bytes(self.data[n][: self.synced[n]]) for n in names}
            whole = {n: bytes(self.data[n]) for n in names}
            yield floor
            for name in names:
                for length in range(self.synced[name], len(self.data[name]) + 1):
                    cut = bytes(self.data[name][:length])
                    yield {**floor, name: cut}
                    yield {**whole, name: cut}


def recovered(content: dict[str, bytes], **options: Any) -> tuple[Store, Durable]:
    """Boot on a disk with this content."""
    files = MemFiles(content)
    store = Store(files, LogFormat(), **options)
    durable = store.recover()
    while files.pending:
        store.synced(files.complete())
    assert store.booted
    return store, durable


def history(count: int) -> list[Any]:
    """Patches as Raft makes them: terms rise, logs grow and are truncated, snapshots are taken."""
    patches: list[Any] = []
    state = Durable()
    for i in range(count):
        last = state.last_index
        if i % 11 == 5:
            patch: Any = Hard(state.term + 1, "n1" if i % 2 else None)
        elif i % 13 == 8 and state.entries:
            patch = Append(last, [entry(i, state.term)])  # truncates one
        elif i % 17 == 16 and state.entries:
            keep = max(last - 2, state.first)
            term = state.entries[keep - state.first].term
            patch = Snapshot(keep, term, (("n1",), (), (), ()), b"state %d" % i)
        else:
            patch = Append(last + 1, [entry(i + j, state.term) for j in range(1 + i % 3)])
        patches.append(patch)
        state.apply(patch)
    return patches


def entry(number: int, term: int) -> Entry:
    return Entry(term, 1, 7, number, number - 1, ("put", "k", number))


def folds(patches: list[Any]) -> list[Any]:
    """Key of the state after each prefix of `patches`."""
    state = Durable()
    keys = [state.key()]
    for patch in patches:
        keys.append(state.apply(patch).key())
    return keys


class Kit:
    """What the tests of this folder share."""

    Files = MemFiles
    recovered = staticmethod(recovered)
    history = staticmethod(history)
    folds = staticmethod(folds)


@pytest.fixture(scope="session")
def kit() -> type[Kit]:
    return Kit
