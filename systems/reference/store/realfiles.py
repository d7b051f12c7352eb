"""Files on this machine: appends go to the kernel at once, fsyncs run in one worker thread.

The worker takes jobs in order, so tokens complete in order. After each it notes in
`DATA_DIR/synced` (`harness.synced`) which bytes a power cut would spare, and only then reports the
token: whatever the node says because of it, it says later. `hold` stops the reports, so that a
scenario can look at a node between its write and its fsync.

A failed fsync is final: the kernel may have dropped the bytes and will not say so again, so the
node must stop (the lesson of PostgreSQL's "fsyncgate").
"""

from __future__ import annotations

import json
import os
import threading
from builtins import list as List  # `list` is a method of Files
from pathlib import Path
from typing import Callable, Dict, Optional, Set, Tuple

from dissensus.harness.synced import FILE as SYNCED
from dissensus.harness.synced import SCHEMA as SYNCED_SCHEMA

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
SYNCED_PAD = 512  # the file is rewritten in place by one write: pad, so that it need not shrink

_Job = Tuple[int, str, int, "List[str]"]
"""(token, name or "" for the directory, length, names that the directory had)."""

_fsync = getattr(os, "fdatasync", os.fsync)  # sizes of appended files are covered by both


class RealFiles:
    """`Files` in the folder `data_dir/folder`."""

    def __init__(
        self,
        data_dir: Path,
        *,
        completed: "Callable[[int], None]",
        failed: "Callable[[str], None]",
        folder: str = "store",
    ) -> None:
        """`completed(token)` and `failed(reason)` are called in the worker thread."""
        self._data_dir = data_dir
        self._folder = folder
        self._dir = data_dir / folder
        self._dir.mkdir(parents=True, exist_ok=True)
        self._completed = completed
        self._failed = failed
        self._fds: "Dict[str, int]" = {}
        self._sizes: "Dict[str, int]" = {}
        self._token = 0
        self._jobs: "List[_Job]" = []
        self._condition = threading.Condition()
        self._held = False
        self._closed = False
        self._retired: "List[int]" = []
        """Descriptors of removed files; the worker closes them, since it may be using one."""
        self._width = 0
        self._boot = BOOT_ID.read_text().strip() if BOOT_ID.exists() else ""
        self._durable = self._read_synced()
        """Durable bytes per file."""
        self._named: "Set[str]" = set(self._durable)
        """Files whose names are durable."""
        self._synced_fd = os.open(data_dir / SYNCED, os.O_WRONLY | os.O_CREAT, 0o644)
        self._note()
        self._thread = threading.Thread(target=self._work, name="fsync", daemon=True)
        self._thread.start()

    # -- Files ----------------------------------------------------------------------------------

    def list(self) -> "List[str]":
        return sorted(entry.name for entry in os.scandir(self._dir) if entry.is_file())

    def read(self, name: str) -> bytes:
        return (self._dir / name).read_bytes()

    def append(self, name: str, data: bytes) -> None:
        fd = self._fd(name)
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        self._sizes[name] += len(data)

    def size(self, name: str) -> int:
        known = self._sizes.get(name)
        return (self._dir / name).stat().st_size if known is None else known

    def fsync(self, name: str) -> int:
        self._fd(name)
        return self._submit(name, self._sizes[name], [])

    def rename(self, old: str, new: str) -> None:
        """An fsync of `old` that is in progress will not be noted: wait for it first."""
        with self._condition:
            os.rename(self._dir / old, self._dir / new)
            for table in (self._fds, self._sizes, self._durable):
                if old in table:
                    table[new] = table.pop(old)
            self._named.discard(old)

    def remove(self, name: str) -> None:
        with self._condition:
            self._named.discard(name)
            self._durable.pop(name, None)
            self._note()  # before the file goes: what is listed must be there
            fd = self._fds.pop(name, None)
            self._sizes.pop(name, None)
            if fd is not None:
                self._retired.append(fd)
            os.unlink(self._dir / name)

    def sync_dir(self) -> int:
        return self._submit("", 0, self.list())

    # -- beyond Files ---------------------------------------------------------------------------

    def known_durable(self) -> "Dict[str, int]":
        """What the last incarnation noted in `synced`, for `Store`."""
        with self._condition:
            return {name: self._durable.get(name, 0) for name in self._named}

    def hold(self, on: bool) -> None:
        """While on, no fsync is reported or noted, whether it has begun or not."""
        with self._condition:
            self._held = on
            self._condition.notify_all()

    def close(self) -> None:
        """Stop the worker and let go of all files. What is not synced stays so."""
        with self._condition:
            if self._closed:
                return
            self._closed = True
            self._condition.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join()
        for fd in (*self._fds.values(), *self._retired, self._synced_fd):
            os.close(fd)
        self._fds.clear()
        self._retired.clear()

    # -- the worker -----------------------------------------------------------------------------

    def _submit(self, name: str, length: int, names: "List[str]") -> int:
        with self._condition:
            self._token += 1
            self._jobs.append((self._token, name, length, names))
            self._condition.notify_all()
            return self._token

    def _work(self) -> None:
        while True:
            with self._condition:
                while not self._closed and (self._held or not self._jobs):
                    self._condition.wait()
                if self._closed:
                    return
                token, name, length, names = self._jobs.pop(0)
                fd = self._fds.get(name)
            try:
                self._sync(name, fd)
            except OSError as error:
                self._failed(f"fsync of {name or 'the directory'} failed: {error}")
                return
            with self._condition:
                while self._held and not self._closed:
                    self._condition.wait()
                if self._closed:
                    return
                if name:
                    if name in self._sizes:
                        self._durable[name] = length
                else:
                    self._named.update(n for n in names if n in self._durable)
                self._note()
                while self._retired:
                    os.close(self._retired.pop())
            self._completed(token)

    def _sync(self, name: str, fd: "Optional[int]") -> None:
        if name:
            if fd is not None:  # None: removed since, and nobody waits for it
                _fsync(fd)
            return
        place = os.open(self._dir, os.O_RDONLY)
        try:
            os.fsync(place)
        finally:
            os.close(place)

    def _fd(self, name: str) -> int:
        fd = self._fds.get(name)
        if fd is None:
            fd = os.open(self._dir / name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            self._sizes[name] = os.fstat(fd).st_size
            self._fds[name] = fd
        return fd

    def _note(self) -> None:
        """Rewrite `synced`. One write of less than a page is not torn by a kill."""
        files = {f"{self._folder}/{n}": self._durable.get(n, 0) for n in sorted(self._named)}
        value = {
            "schema": SYNCED_SCHEMA,
            "boot": self._boot,
            "dirs": [self._folder],
            "files": files,
        }
        text = json.dumps(value).encode()
        self._width = max(self._width, -(-len(text) // SYNCED_PAD) * SYNCED_PAD)
        os.pwrite(self._synced_fd, text.ljust(self._width), 0)

    def _read_synced(self) -> "Dict[str, int]":
        """What the last incarnation noted, if the machine runs since then; else nothing is known.

        The note is not fsynced, so after a power cut it may be older than the removal of a file.
        """
        path = self._data_dir / SYNCED
        if not path.exists():
            return {}
        content = path.read_bytes()
        self._width = len(content)
        try:
            value = json.loads(content)
        except ValueError:
            return {}  # garbled by a power cut: an advice less
        if not self._boot or value.get("boot") != self._boot:
            return {}
        prefix = self._folder + "/"
        files = value["files"].items()
        return {n[len(prefix) :]: size for n, size in files if n.startswith(prefix)}
