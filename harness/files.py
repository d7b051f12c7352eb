"""The file interface that a node's store works on: real files on a machine, or the simulator's
faulty disk.

Everything is synchronous on a buffer except `fsync`, which returns a token whose completion is an
event. What was not fsynced may be lost by a crash (`lose-unsynced`): that is the fault which tells
a correct store from a lucky one.
"""

from __future__ import annotations

import builtins
from typing import Protocol


class Files(Protocol):
    """Names are relative to the node's data directory; folders are not needed."""

    def list(self) -> builtins.list[str]:
        """Names of all files, sorted."""
        ...

    def read(self, name: str) -> bytes:
        """The whole content as the node sees it now, unsynced bytes included."""
        ...

    def append(self, name: str, data: bytes) -> None:
        """Append; creates the file. Durable only after an fsync begun later has completed."""
        ...

    def size(self, name: str) -> int: ...

    def fsync(self, name: str) -> int:
        """Begin to make all bytes of `name` appended so far durable; returns a token.

        The driver reports the completion of the token as an event. Tokens complete in order.
        """
        ...

    def rename(self, old: str, new: str) -> None: ...

    def remove(self, name: str) -> None: ...

    def sync_dir(self) -> int:
        """Begin to make creations, renames, removals durable; returns a token as `fsync` does."""
        ...

    def hold(self, on: bool) -> None:
        """While on, nothing becomes durable and no token completes: a scenario looks at a node
        between its write and its fsync.
        """
        ...
