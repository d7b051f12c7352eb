"""The report's data block: a run as compressed columns, behind a schema number.

A block is JSON that holds names of ours, numbers and base64 only, so that nothing which the system
under test wrote appears in the page as text:

    {"schema": 1, "rows": 2, "columns": {"t": COLUMN, ...}, "texts": BLOB, "run": BLOB}

A COLUMN is `{"width": w, "base": b, "delta": bool, "data": BLOB}`: unsigned little-endian integers
of w bytes, `base` taken off, stored plane by plane (all lowest bytes, then all second bytes ...),
because planes of slowly changing numbers compress three times better. With `delta` each is the
difference to the one before. Width 0 is a column in which every row is `base`. A BLOB is base64 of
a zlib stream, which browsers inflate by themselves (`DecompressionStream`). "texts" (the intern
tables: name -> list of strings) and "run" are UTF-8 JSON. `static/decode.js` is the other reader.
"""

from __future__ import annotations

import sys
import zlib
from array import array
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import msgspec

from dissensus.harness.errors import UserError

SCHEMA = 1
LEVEL = 6
"""zlib's: level 9 takes more than twice as long and saves one percent."""
WIDTHS = {0: "B", 1: "B", 2: "H", 4: "I", 8: "Q"}


class Column(msgspec.Struct, kw_only=True, frozen=True):
    """Integers, as the block holds them."""

    width: int
    base: int
    delta: bool
    data: str


class Block(msgspec.Struct, kw_only=True, frozen=True):
    """The whole data block."""

    schema: int
    rows: int
    columns: dict[str, Column]
    texts: str
    run: str


def blob(data: bytes) -> str:
    """Bytes as compressed base64."""
    return b64encode(zlib.compress(data, LEVEL)).decode("ascii")


def unblob(text: str) -> bytes:
    """The inverse of `blob`."""
    return zlib.decompress(b64decode(text))


def pack(values: Sequence[int], *, delta: bool = False) -> Column:
    """A column of any integers that lie within 2**64 of each other."""
    found: Sequence[int] = values
    if delta and len(values):
        found = [values[0], *(b - a for a, b in pairwise(values))]
    base = min(found, default=0)
    span = max(found, default=0) - base
    width = next(w for w in WIDTHS if span < 256**w)
    flat = array(WIDTHS[width], [value - base for value in found] if width else [])
    if sys.byteorder == "big":
        flat.byteswap()
    raw = flat.tobytes()
    planes = b"".join(raw[plane::width] for plane in range(width))
    return Column(width=width, base=base, delta=delta, data=blob(planes))


def unpack(column: Column, rows: int) -> list[int]:
    """The inverse of `pack`."""
    if not column.width:
        values = [column.base] * rows
    else:
        planes = unblob(column.data)
        raw = bytearray(len(planes))
        for plane in range(column.width):
            raw[plane :: column.width] = planes[plane * rows : (plane + 1) * rows]
        flat = array(WIDTHS[column.width], bytes(raw))
        if sys.byteorder == "big":
            flat.byteswap()
        values = [value + column.base for value in flat]
    if column.delta:
        for row in range(1, rows):
            values[row] += values[row - 1]
    return values


def encode(
    columns: Mapping[str, tuple[Sequence[int], bool]],
    texts: Mapping[str, Sequence[str]],
    run: Mapping[str, Any],
) -> str:
    """A block. `columns`: name -> (one number a row, whether they are stored as differences)."""
    rows = {len(values) for values, _ in columns.values()}
    assert len(rows) == 1, "columns of one history are equally long"
    block = Block(
        schema=SCHEMA,
        rows=rows.pop(),
        columns={name: pack(values, delta=delta) for name, (values, delta) in columns.items()},
        texts=blob(msgspec.json.encode(texts)),
        run=blob(msgspec.json.encode(run)),
    )
    return msgspec.json.encode(block).decode("ascii")


def decode(text: str) -> tuple[dict[str, list[int]], dict[str, list[str]], dict[str, Any]]:
    """(columns, texts, run) of a block. Raises UserError for a schema that is not ours."""
    block = msgspec.json.decode(text, type=Block)
    if block.schema != SCHEMA:
        raise UserError(f"data block of schema {block.schema}, this version reads {SCHEMA}")
    columns = {name: unpack(column, block.rows) for name, column in block.columns.items()}
    texts = msgspec.json.decode(unblob(block.texts), type=dict[str, list[str]])
    return columns, texts, msgspec.json.decode(unblob(block.run), type=dict[str, Any])
