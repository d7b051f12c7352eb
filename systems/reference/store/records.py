"""Records: how one piece of durable state lies in a file, and how a file of records is read back.

    length u32 | crc32 u32 | kind u8 | body            (little endian; length is that of the body)

The checksum covers kind, length and body, and starts from a constant, so that a run of zeros is no
record. Reading tells two states apart that look alike:
  * a *torn tail*: the last write did not finish; nothing valid follows; what precedes counts;
  * *corruption*: a bad record with a valid one behind it, or below a length that is known to be
    durable. Going on would lose data silently, so it is an error with file and offset.
"""

from __future__ import annotations

from struct import Struct
from typing import List, Tuple
from zlib import crc32

_HEAD = Struct("<IIB")
HEAD_BYTES = _HEAD.size
BODY_MAX = 1 << 30  # a longer body is a bad length: a state of 1 GiB would not fit the memory
_SALT = 0x5EED5EED

KIND_SEGMENT = 0
KIND_SNAPSHOT = 1
KIND_PATCH = 16
"""Kinds from here to KIND_MAX are patches of the protocol, numbered by its `Format`."""
KIND_MAX = 63

Record = Tuple[int, bytes, int]
"""(kind, body, offset one past the record)."""


class StoreError(Exception):
    """The store cannot be used as it lies on the disk."""


class CorruptionError(StoreError):
    """Bytes that were durable are not what was written. Names the file and the offset."""

    def __init__(self, name: str, offset: int, why: str) -> None:
        super().__init__(f"{name}: corrupt at offset {offset}: {why}")
        self.name = name
        self.offset = offset


def encode(kind: int, body: bytes) -> bytes:
    """One record as bytes."""
    return _HEAD.pack(len(body), crc32(body, _seed(kind, len(body))), kind) + body


def _seed(kind: int, length: int) -> int:
    return (length << 8 ^ kind ^ _SALT) & 0xFFFFFFFF


def _known(kind: int) -> bool:
    return kind in (KIND_SEGMENT, KIND_SNAPSHOT) or KIND_PATCH <= kind <= KIND_MAX


def read_at(data: bytes, offset: int) -> "Record | str":
    """The record at `offset`, or why there is none."""
    start = offset + HEAD_BYTES
    if start > len(data):
        return f"{len(data) - offset} bytes are no record's head"
    length, crc, kind = _HEAD.unpack_from(data, offset)
    end = start + length
    if length > BODY_MAX or end > len(data):
        return f"a record of {length} bytes ends beyond the file"
    if not _known(kind):
        return f"unknown kind {kind}"
    body = data[start:end]
    if crc32(body, _seed(kind, length)) != crc:
        return f"checksum of a record of kind {kind} and {length} bytes does not match"
    return (kind, body, end)


def read_all(name: str, data: bytes, durable: int) -> "Tuple[List[Record], int]":
    """(records, length of the valid prefix) of a file whose end may be torn.

    `durable`: every byte below is known to have been durable, so it must be good.
    """
    records: "List[Record]" = []
    offset = 0
    while offset < len(data):
        found = read_at(data, offset)
        if isinstance(found, str):
            if offset < durable:
                raise CorruptionError(name, offset, f"{found}; {durable} bytes were durable")
            later = _valid_after(data, offset + 1)
            if later >= 0:
                raise CorruptionError(name, offset, f"{found}; a valid record follows at {later}")
            return records, offset
        records.append(found)
        offset = found[2]
    if len(data) < durable:
        raise CorruptionError(name, len(data), f"the file ends, but {durable} bytes were durable")
    return records, offset


def _valid_after(data: bytes, offset: int) -> int:
    """Offset of the first valid record from `offset` on, -1 for none. Slow, rare."""
    for at in range(offset, len(data) - HEAD_BYTES + 1):
        if _known(data[at + 8]) and not isinstance(read_at(data, at), str):
            return at
    return -1
