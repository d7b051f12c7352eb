"""`python -m dissensus.reports.picture FILE.png`: the picture of a specimen's report that README
shows.

A screenshot in true colour is twice as large as a repository wants to carry; written with a palette
of its commonest colours it looks the same.
"""

from __future__ import annotations

import contextlib
import struct
import sys
import tempfile
import zlib
from collections import Counter
from pathlib import Path

from dissensus.reports.browser import browser
from dissensus.reports.html import write_report
from dissensus.reports.specimen import write_specimen

WIDTH, HEIGHT = 1320, 1500
"""CSS pixels: down to the end of the timeline."""
STRETCH = "#t=21.5,31"
"""Wide enough for a change of leader and its cost, with the anomaly in it."""
COLOURS = 96
"""Edges of letters have hundreds of shades; nobody misses the rare ones."""
SIGNATURE = b"\x89PNG\r\n\x1a\n"
RGB, PALETTE = 2, 3
"""Colour types of PNG."""


def pixels(png: bytes) -> tuple[int, int, list[bytes]]:
    """(width, height, rows of RGB bytes) of a screenshot: 8 bits, RGB, not interlaced."""
    parts: dict[bytes, bytes] = {}
    at = len(SIGNATURE)
    while at < len(png):
        (size,) = struct.unpack_from(">I", png, at)
        kind = png[at + 4 : at + 8]
        parts[kind] = parts.get(kind, b"") + png[at + 8 : at + 8 + size]
        at += size + 12
    width, height, depth, colour = struct.unpack_from(">IIBB", parts[b"IHDR"])
    assert (depth, colour) == (8, RGB), "not what a browser writes"
    data, stride = zlib.decompress(parts[b"IDAT"]), 3 * width
    rows: list[bytes] = []
    above = bytes(stride)
    for y in range(height):
        start = y * (stride + 1)
        above = unfiltered(data[start], data[start + 1 : start + 1 + stride], above)
        rows.append(above)
    return width, height, rows


def unfiltered(kind: int, line: bytes, above: bytes) -> bytes:
    """A row of RGB bytes from its filtered form (PNG specification, 9.2)."""
    row = bytearray(line)
    for i, value in enumerate(line):
        left = row[i - 3] if i >= 3 else 0
        corner = above[i - 3] if i >= 3 else 0
        if kind == 0:
            continue
        if kind == 4:
            guess = left + above[i] - corner
            near = [abs(guess - left), abs(guess - above[i]), abs(guess - corner)]
            base = (left, above[i], corner)[near.index(min(near))]
        else:
            base = (left, above[i], (left + above[i]) // 2)[kind - 1]
        row[i] = (value + base) & 255
    return bytes(row)


def with_palette(width: int, height: int, rows: list[bytes]) -> bytes:
    """A PNG with the commonest colours; others become the nearest of them."""
    counts = Counter(row[i : i + 3] for row in rows for i in range(0, len(row), 3))
    palette = [colour for colour, _ in counts.most_common(COLOURS)]
    place = {colour: min(range(len(palette)), key=lambda n: distance(palette[n], colour))
             for colour in counts}  # fmt: skip
    lines = b"".join(
        b"\0" + bytes(place[row[i : i + 3]] for i in range(0, len(row), 3)) for row in rows
    )
    header = struct.pack(">IIBBBBB", width, height, 8, PALETTE, 0, 0, 0)
    body = zlib.compress(lines, 9)
    chunks = ((b"IHDR", header), (b"PLTE", b"".join(palette)), (b"IDAT", body), (b"IEND", b""))
    return SIGNATURE + b"".join(chunk(kind, data) for kind, data in chunks)


def distance(one: bytes, other: bytes) -> int:
    """How far two colours are apart."""
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True))


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def make_picture(path: Path) -> None:
    """Write the picture. Raises EnvironmentFault where there is no Chromium."""
    place = path.resolve()
    with tempfile.TemporaryDirectory() as base, contextlib.chdir(base), browser() as page:
        folder = Path("store/raft/20261124T120000-7").absolute()
        folder.mkdir(parents=True)
        page.size(WIDTH, HEIGHT)
        page.theme("light")
        page.open(write_report(*write_specimen(folder)), STRETCH)
        page.evaluate("scrollTo(0, 0)")
        page.picture(place)
    path.write_bytes(with_palette(*pixels(path.read_bytes())))


if __name__ == "__main__":
    make_picture(Path(sys.argv[1]))
