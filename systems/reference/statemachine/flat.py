"""A flat list of scalars (str, int, bool, None) as bytes and back, one scalar a line.

Snapshots are written with it: the cores import neither json nor a third party, and equal values
give equal bytes. `unicode_escape` keeps line ends out of strings and takes any string, lone
surrogates included.
"""

from __future__ import annotations

from typing import Iterable, List, Optional, Union

Scalar = Optional[Union[str, int, bool]]


def pack(values: Iterable[Scalar]) -> bytes:
    """The values as lines: a letter for the type, then the value."""
    lines: List[bytes] = []
    for value in values:
        kind = type(value)
        if kind is str:
            lines.append(b"s" + value.encode("unicode_escape"))  # type: ignore[union-attr]
        elif kind is int:
            lines.append(b"i%d" % value)  # type: ignore[str-format]
        elif kind is bool:
            lines.append(b"b1" if value else b"b0")
        elif value is None:
            lines.append(b"n")
        else:
            raise TypeError(f"not a scalar: {value!r}")
    return b"\n".join(lines)


def unpack(blob: bytes) -> List[Scalar]:
    """The values of `pack`. ValueError if the bytes are not its work."""
    values: List[Scalar] = []
    if not blob:
        return values
    for number, line in enumerate(blob.split(b"\n"), 1):
        kind = line[:1]
        if kind == b"s":
            values.append(line[1:].decode("unicode_escape"))
        elif kind == b"i":
            values.append(int(line[1:]))
        elif kind == b"b" and line in (b"b0", b"b1"):
            values.append(line == b"b1")
        elif line == b"n":
            values.append(None)
        else:
            raise ValueError(f"line {number} is no scalar: {line[:40]!r}")
    return values
