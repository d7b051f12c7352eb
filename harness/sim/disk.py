"""The disk of a simulated node: what was not fsynced can be lost, and fsync takes virtual time.

What is modelled, per node:
  * a file is an inode: its bytes as the node sees them, and how many of them are durable;
  * names map to inodes twice, as the node sees it and as it is durable. Creations, renames and
    removals become durable by `sync_dir` alone (an fsync of a new file does not make its name
    durable: POSIX promises no more);
  * fsync and sync_dir cover what was there when they began, complete in order, after a time drawn
    from a range;
  * a crash of the process (`kill`) keeps every written byte, as a page cache does, and an fsync in
    progress is not known to have completed. `lose_unsynced` is the power failure: every inode is
    cut to its durable length, every name is what was durable. With a torn tail a random prefix of
    the bytes that are not durable stays.
Not modelled: bit rot, misdirected writes, a full disk, an fsync that lies.
"""

from __future__ import annotations

import builtins
from typing import Any, Callable, Dict, List, Optional

from dissensus.harness.randomness import Rng
from dissensus.harness.sim.kernel import Entry, Kernel


class Inode:
    """A file's content, whatever it is called."""

    __slots__ = ("data", "synced")

    def __init__(self) -> None:
        self.data = bytearray()
        self.synced = 0
        """Length that survives a power failure."""


class Disk:
    """What outlives the incarnations of one node."""

    __slots__ = ("durable", "fsync_hi_ns", "fsync_lo_ns", "kernel", "names", "rng")

    def __init__(self, kernel: Kernel, rng: Rng, *, fsync_lo_ns: int, fsync_hi_ns: int) -> None:
        self.kernel = kernel
        self.rng = rng
        self.fsync_lo_ns = fsync_lo_ns
        self.fsync_hi_ns = fsync_hi_ns
        self.names: Dict[str, Inode] = {}
        """As the node sees them."""
        self.durable: Dict[str, Inode] = {}
        """As they are after a power failure."""

    def lose_unsynced(self, torn: Optional[Rng] = None) -> Dict[str, int]:
        """Power failure: keep what is durable, plus a random prefix of the rest when `torn` is
        given.

        Returns {file: bytes lost} for every file that the node saw, 0 where nothing was lost.
        """
        lost = {}
        for name in sorted(self.names):
            inode = self.names[name]
            if self.durable.get(name) is inode:
                keep = inode.synced
                if torn is not None:
                    keep = torn.between(keep, len(inode.data))
                lost[name] = len(inode.data) - keep
                del inode.data[keep:]
                inode.synced = keep
            else:
                lost[name] = len(inode.data)
        self.names = dict(self.durable)
        for inode in self.names.values():
            # One that was renamed or removed without sync_dir comes back under its old name.
            del inode.data[inode.synced :]
        return lost

    def wipe(self) -> None:
        """Everything is gone, what was durable too."""
        self.names = {}
        self.durable = {}

    def unsynced(self) -> Dict[str, int]:
        """Bytes that a power failure would take now, by file, for the files that would change.

        A file whose name is not durable is among them with all its bytes, and one whose removal is
        not durable, under its old name, with 0.
        """
        found = {}
        for name in sorted({*self.names, *self.durable}):
            inode = self.names.get(name)
            if inode is not self.durable.get(name):
                found[name] = len(inode.data) if inode is not None else 0
            elif inode is not None and len(inode.data) > inode.synced:
                found[name] = len(inode.data) - inode.synced
        return found


class SimFiles:
    """`harness.files.Files` of one incarnation, on the node's disk.

    Completions of tokens go to `completed`, which is not called any more after `detach`.
    """

    __slots__ = ("_completed", "_disk", "_held", "_inflight", "_last_ns", "_late", "_tokens")

    def __init__(self, disk: Disk, completed: Callable[[int], object]) -> None:
        self._disk = disk
        self._completed = completed
        self._tokens = 0
        self._last_ns = 0
        self._inflight: Dict[int, Entry] = {}
        self._held = False
        self._late: List[List[Any]] = []
        """Jobs whose time has come while completions were held."""

    def list(self) -> builtins.list[str]:
        return sorted(self._disk.names)

    def read(self, name: str) -> bytes:
        return bytes(self._inode(name).data)

    def append(self, name: str, data: bytes) -> None:
        inode = self._disk.names.get(name)
        if inode is None:
            inode = self._disk.names[name] = Inode()
        inode.data += data

    def size(self, name: str) -> int:
        return len(self._inode(name).data)

    def fsync(self, name: str) -> int:
        inode = self._inode(name)
        length = len(inode.data)

        def durable() -> None:
            inode.synced = max(inode.synced, length)

        return self._begin(durable)

    def rename(self, old: str, new: str) -> None:
        inode = self._inode(old)
        del self._disk.names[old]
        self._disk.names[new] = inode

    def remove(self, name: str) -> None:
        self._inode(name)
        del self._disk.names[name]

    def sync_dir(self) -> int:
        disk = self._disk
        names = dict(disk.names)

        def durable() -> None:
            disk.durable = names

        return self._begin(durable)

    def hold(self, on: bool) -> None:
        self._held = on
        late, self._late = ([], self._late) if on else (self._late, [])
        kernel = self._disk.kernel
        for job in late:
            self._inflight[job[0]] = kernel.at(kernel.now, self._done, job)

    def detach(self) -> None:
        """The process is gone: what is in progress is never known to have completed."""
        for entry in self._inflight.values():
            self._disk.kernel.cancel(entry)
        self._inflight.clear()
        self._late.clear()

    def _inode(self, name: str) -> Inode:
        inode = self._disk.names.get(name)
        if inode is None:
            raise FileNotFoundError(f"no file {name!r} on this simulated disk")
        return inode

    def _begin(self, durable: Callable[[], None]) -> int:
        disk = self._disk
        kernel = disk.kernel
        self._tokens += 1
        took_ns = disk.rng.between(disk.fsync_lo_ns, disk.fsync_hi_ns)
        self._last_ns = max(self._last_ns, kernel.now + took_ns)
        job: List[Any] = [self._tokens, durable]
        self._inflight[self._tokens] = kernel.at(self._last_ns, self._done, job)
        return self._tokens

    def _done(self, job: builtins.list[Any]) -> None:
        token, durable = job
        del self._inflight[token]
        if self._held:
            self._late.append(job)
            return
        durable()
        self._completed(token)
