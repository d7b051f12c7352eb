"""The store of a node: patches go in, become durable in groups, and fold back after a crash.

Files (all names are below the node's data directory):
    0000000012.seg   a segment: records, first of all its own head (number, base or predecessor)
    0000000012.snap  a snapshot, one record; counts only if a base segment refers to it
    *.tmp            a snapshot on its way; worthless after a crash

A *base* segment restates everything that a snapshot leaves over (term, vote, the log behind it), so
whatever is older can go. Other segments name their predecessor and its valid length: a torn tail is
never overwritten or cut, the next segment just says where it begins. Every boot starts a new
segment, whose number is the node's incarnation. The newest chain of segments back to a base is the
state; a base whose statement is torn was never durable, and then its predecessors still lie there.

Writing: `append` folds and encodes, `flush` hands the bytes to the file and begins an fsync if none
is running; what arrives meanwhile is covered by the next one. A snapshot goes file, directory, base
segment, each durable before the next, and only then are older files removed.

The store is driven by tokens (`harness.files`), so it never waits. Python-3.9-clean, no third
party.
"""

from __future__ import annotations

import re
from struct import Struct
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Protocol, Tuple
from zlib import crc32

from dissensus.harness.files import Files
from dissensus.systems.reference.store.records import (
    KIND_PATCH,
    KIND_SEGMENT,
    KIND_SNAPSHOT,
    CorruptionError,
    Record,
    StoreError,
    encode,
    read_all,
)

SEGMENT_BYTES = 8 << 20  # a segment is read whole at a restart, and scanned bytewise when torn
SEGMENTS_MAX = 64  # a longer chain (a crash loop) is rewritten as a base at the next boot

_SEGMENT = Struct("<4sHBIQQQ")  # magic, schema, base?, statement records, number, previous, length
_MAGIC = b"DSeg"
_SCHEMA = 1
_REFERENCE = Struct("<QQI")  # number, size, crc32 of a snapshot file
_NAME = re.compile(r"(\d{10})\.(seg|snap)(\.tmp)?")


class Format(Protocol):
    """What the store must know of a protocol's durable state: its fold and its bytes."""

    def empty(self) -> Any:
        """The state of a blank disk."""
        ...

    def apply(self, durable: Any, patch: Any) -> Any:
        """Fold `patch` into `durable`, in place; returns it."""
        ...

    def copy(self, durable: Any) -> Any:
        """A copy that the core may keep."""
        ...

    def encode(self, patch: Any) -> "Tuple[int, bytes]":
        """(kind in 16..63, body)."""
        ...

    def decode(self, kind: int, body: bytes) -> Any:
        """The patch. Raises ValueError."""
        ...

    def is_snapshot(self, patch: Any) -> bool:
        """Whether `patch` gets a file of its own and makes older patches needless."""
        ...

    def statement(self, durable: Any) -> "List[Any]":
        """The patches that, applied behind the latest snapshot, give `durable`."""
        ...


class _Head(NamedTuple):
    number: int
    base: bool
    statement: int
    """Records behind the head that make the base whole."""
    previous: int
    length: int
    """Valid bytes of the previous segment."""

    def encode(self) -> bytes:
        fields = (int(self.base), self.statement, self.number, self.previous, self.length)
        return encode(KIND_SEGMENT, _SEGMENT.pack(_MAGIC, _SCHEMA, *fields))


class _Base:
    """A snapshot in the queue: the snapshot file's record, and the statement as of its patch."""

    __slots__ = ("covers", "reference", "snapshot", "statement")

    def __init__(self, covers: int, snapshot: bytes, statement: "List[bytes]") -> None:
        self.covers = covers
        """Number of its patch."""
        self.snapshot = snapshot
        self.statement = statement
        self.reference = b""


# Stages of the writer: at most one group of tokens is outstanding.
_IDLE, _LOG, _SNAPSHOT, _INSTALL, _BASE = range(5)


class Store:
    """One per incarnation. Call `recover` first; effects may leave once `booted`."""

    def __init__(
        self,
        files: Files,
        form: Format,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        known_durable: "Optional[Mapping[str, int]]" = None,
    ) -> None:
        """`known_durable`: lengths that an earlier incarnation saw synced; bytes below must be
        good.
        """
        self._files = files
        self._form = form
        self._segment_bytes = segment_bytes
        self._known: "Mapping[str, int]" = known_durable or {}
        self.durable: Any = None
        """The fold of everything appended (not all of it on disk yet)."""
        self.appended = 0
        """Number of the latest patch, counted from 1 in this incarnation."""
        self.durable_up_to = 0
        self.booted = False
        self.repairs: "List[str]" = []
        """What recovery left out, in words."""
        self.counters: "Dict[str, int]" = {"syncs": 0, "bytes": 0, "segments": 0, "snapshots": 0}
        self._queue: "List[Any]" = []
        self._bases = 0
        self._written = 0
        self._covers = 0
        self._stage = _IDLE
        self._token = -1
        self._number = 0
        self._size = 0
        self._fresh = False
        """The segment's name is not durable yet."""
        self._garbage: "List[str]" = []
        self._installing: "Optional[_Base]" = None
        self._snapshot_number = 0
        self._snapshot_name = ""
        self._reference = b""
        self._boot_number = 0
        self._tail = 0

    @property
    def incarnation(self) -> int:
        """Number of this boot: larger than that of every earlier one whose boot was durable."""
        return self._boot_number

    # -- recovery -------------------------------------------------------------------------------

    def recover(self) -> Any:
        """Fold what the disk holds, begin a new segment, and return a copy of the state (for
        `Start`).

        Raises CorruptionError, and StoreError for files of another schema.
        """
        segments, snapshots = self._present()
        chain = self._chain(segments)
        self.durable = self._form.empty()
        for _, records in chain:
            self._fold(records, snapshots)
        used = [number for number, _ in chain]
        keep = {_seg(number) for number in used}
        if self._snapshot_number:
            keep.add(_snap(self._snapshot_number))
        for name in sorted(keep):
            # The kernel may hold what the last incarnation never synced: make it durable first.
            if self._known.get(name, -1) < self._files.size(name):
                self._files.fsync(name)
        self._garbage = [n for n in self._files.list() if _NAME.fullmatch(n) and n not in keep]
        top = max([0, *segments, *snapshots])
        self._begin_segment(top + 1, used, chain)
        self._boot_number = self._number
        return self._form.copy(self.durable)

    def _present(self) -> "Tuple[Dict[int, str], Dict[int, str]]":
        names = self._files.list()
        for name, length in sorted(self._known.items()):
            if name not in names and length > 0 and _NAME.fullmatch(name):
                raise CorruptionError(name, 0, f"the file is gone; {length} bytes were durable")
        found: "Dict[str, Dict[int, str]]" = {"seg": {}, "snap": {}}
        for name in names:
            match = _NAME.fullmatch(name)
            if match and not match.group(3):
                found[match.group(2)][int(match.group(1))] = name
        return found["seg"], found["snap"]

    def _chain(self, segments: "Dict[int, str]") -> "List[Tuple[int, List[Record]]]":
        """The newest chain of (number, records behind the head), oldest first."""
        for newest in sorted(segments, reverse=True):
            number = newest
            parsed = self._parse(number, segments[number])
            if parsed is None:
                continue  # its head or statement was never durable
            head, records, length = parsed
            self._tail = length
            chain = [(number, records)]
            while not head.base:
                name = _seg(head.previous)
                if head.previous not in segments:
                    raise CorruptionError(name, 0, f"the file is gone; {_seg(number)} follows it")
                data = self._files.read(name)
                if len(data) > head.length:
                    data = data[: head.length]  # what is behind was torn when the next one began
                records, _ = read_all(name, data, head.length)
                number = head.previous
                head = self._head(name, records, number)
                chain.append((number, records[1:]))
            chain.reverse()
            return chain
        if segments and max(segments) > 1:
            name = segments[max(segments)]
            raise CorruptionError(name, 0, "no segment begins with a valid head")
        return []

    def _parse(self, number: int, name: str) -> "Optional[Tuple[_Head, List[Record], int]]":
        """(head, records, valid length) of a newest segment; None where nothing of it counts."""
        data = self._files.read(name)
        records, length = read_all(name, data, self._known.get(name, 0))
        if length < len(data):
            self.repairs.append(f"{name}: torn after {length} of {len(data)} bytes")
        if not records:
            return None
        head = self._head(name, records, number)
        if head.base and len(records) <= head.statement:
            self.repairs.append(f"{name}: its base was not whole, so it never counted")
            return None
        return head, records[1:], length

    def _head(self, name: str, records: "List[Record]", number: int) -> _Head:
        kind, body, _ = records[0]
        if kind != KIND_SEGMENT or len(body) != _SEGMENT.size:
            raise CorruptionError(name, 0, "the first record is not a segment's head")
        magic, schema, base, statement, own, previous, length = _SEGMENT.unpack(body)
        if magic != _MAGIC or own != number:
            raise CorruptionError(name, 0, f"the head is that of segment {own}")
        if schema != _SCHEMA:
            raise StoreError(f"{name}: schema {schema}; this code reads schema {_SCHEMA}")
        return _Head(own, bool(base), statement, previous, length)

    def _fold(self, records: "List[Record]", snapshots: "Dict[int, str]") -> None:
        form = self._form
        for kind, body, _ in records:
            if kind >= KIND_PATCH:
                self.durable = form.apply(self.durable, form.decode(kind, body))
            elif kind == KIND_SNAPSHOT:
                self._reference = body
                self.durable = form.apply(self.durable, self._read_snapshot(body, snapshots))
            else:
                raise StoreError("a segment's head in the middle of a segment")

    def _read_snapshot(self, reference: bytes, snapshots: "Dict[int, str]") -> Any:
        number, size, crc = _REFERENCE.unpack(reference)
        name = _snap(number)
        if number not in snapshots:
            raise CorruptionError(name, 0, "the file is gone; a durable segment refers to it")
        data = self._files.read(name)
        if len(data) != size or crc32(data) != crc:
            raise CorruptionError(
                name, 0, f"{len(data)} bytes are not the {size} that were written"
            )
        self._snapshot_number = number
        records, _ = read_all(name, data, size)
        kind, body, _ = records[0]
        return self._form.decode(kind, body)

    def _begin_segment(
        self, number: int, used: "List[int]", chain: "List[Tuple[int, List[Record]]]"
    ) -> None:
        """The boot's segment; its fsync covers nothing but makes the incarnation unique."""
        self._number = number
        if used and len(used) < SEGMENTS_MAX:
            head = _Head(number, False, 0, used[-1], self._tail).encode()
        else:
            statement = [encode(*self._form.encode(p)) for p in self._form.statement(self.durable)]
            if self._reference:
                statement.insert(0, encode(KIND_SNAPSHOT, self._reference))
            head = _Head(number, True, len(statement), 0, 0).encode() + b"".join(statement)
            self._garbage += [_seg(old) for old in used]
        self._write_file(head)
        self._sync_segment(0)

    # -- writing --------------------------------------------------------------------------------

    def append(self, patch: Any) -> int:
        """Take `patch` into the state and the queue; returns its number."""
        self.appended += 1
        form = self._form
        self.durable = form.apply(self.durable, patch)
        if form.is_snapshot(patch):
            statement = [encode(*form.encode(p)) for p in form.statement(self.durable)]
            snapshot = encode(*form.encode(patch))
            self._queue.append(_Base(self.appended, snapshot, statement))
            self._bases += 1
        else:
            self._queue.append(encode(*form.encode(patch)))
        return self.appended

    def flush(self) -> None:
        """Write what was appended; begin an fsync unless one is running."""
        if self._stage <= _LOG and self._queue:
            self._write()
        if self._stage == _IDLE:
            if self._written > self.durable_up_to:
                self._sync_segment(self._written)
            elif self._queue:
                self._begin_base(self._queue.pop(0))

    def synced(self, token: int) -> "Optional[int]":
        """A token completed. Returns n when patches up to n became durable with it, else None."""
        if token != self._token:
            return None
        self._token = -1
        stage, self._stage = self._stage, _IDLE
        base = self._installing
        progress = None
        if stage in (_LOG, _BASE):
            self._fresh = False
            if not self.booted or stage == _BASE:
                self.booted = True
                self._collect()
            if self._covers > self.durable_up_to:
                progress = self.durable_up_to = self._covers
            self._installing = None
        elif stage == _SNAPSHOT and base is not None:
            self._files.rename(self._snapshot_name + ".tmp", self._snapshot_name)
            self._stage = _INSTALL
            self._token = self._files.sync_dir()
        elif stage == _INSTALL and base is not None:
            self._install(base)
        self.flush()
        return progress

    def _write(self) -> None:
        """Hand queued records to the segment, up to the first snapshot."""
        if self._size >= self._segment_bytes:
            if self._stage != _IDLE or self._written > self.durable_up_to:
                return  # the old segment must be durable before a new one names its length
            head = _Head(self._number + 1, False, 0, self._number, self._size).encode()
            self._number += 1
            self._write_file(head)
        queue = self._queue
        count = len(queue)
        if self._bases:
            count = next(i for i, item in enumerate(queue) if type(item) is _Base)
            if count == 0:
                return
        data = b"".join(queue[:count])
        del queue[:count]
        self._files.append(_seg(self._number), data)
        self._size += len(data)
        self._written += count
        self.counters["bytes"] += len(data)

    def _write_file(self, head: bytes) -> None:
        self._files.append(_seg(self._number), head)
        self._size = len(head)
        self._fresh = True
        self.counters["segments"] += 1

    def _sync_segment(self, covers: int) -> None:
        self._covers = covers
        self._token = self._files.fsync(_seg(self._number))
        if self._fresh:
            self._token = self._files.sync_dir()
        self._stage = _LOG
        self.counters["syncs"] += 1

    def _begin_base(self, base: _Base) -> None:
        self._bases -= 1
        self._installing = base
        number = self._number + 1
        self._snapshot_name = _snap(number)
        base.reference = _REFERENCE.pack(number, len(base.snapshot), crc32(base.snapshot))
        name = self._snapshot_name + ".tmp"
        self._files.append(name, base.snapshot)
        self._token = self._files.fsync(name)
        self._stage = _SNAPSHOT
        self.counters["snapshots"] += 1

    def _install(self, base: _Base) -> None:
        """The snapshot lies there for good: the base segment that refers to it makes it count."""
        old = [_seg(self._number)] + [
            name
            for name in self._files.list()
            if _NAME.fullmatch(name) and name not in (_seg(self._number), self._snapshot_name)
        ]
        self._number += 1
        self._garbage = old
        statement = [encode(KIND_SNAPSHOT, base.reference), *base.statement]
        self._write_file(
            _Head(self._number, True, len(statement), 0, 0).encode() + b"".join(statement)
        )
        self._written = base.covers
        self._sync_segment(base.covers)
        self._stage = _BASE

    def _collect(self) -> None:
        """Remove what the durable chain does not need. Unfinished removals are redone at a boot."""
        if self._garbage:
            for name in self._garbage:
                self._files.remove(name)
            self._garbage = []
            self._files.sync_dir()


def _seg(number: int) -> str:
    return f"{number:010d}.seg"


def _snap(number: int) -> str:
    return f"{number:010d}.snap"
