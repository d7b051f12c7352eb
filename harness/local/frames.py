"""Finds the frames in a passing stream, so that one kind of message can be held back.

It knows frames of the reference's form (`length u32 | version u8 | kind u8 | ...`, big endian,
`length` counts what follows it) and nothing of their bodies. It follows a stream from its first
byte, since nobody can find a boundary later. What passes is what came, but for the few bytes of a
header that is not whole yet, which are of no use to a receiver.
"""

from __future__ import annotations

from collections.abc import Collection
from struct import Struct

_HEAD = Struct(">IBB")
HEAD_BYTES = _HEAD.size
_LENGTH_BYTES = 4
FRAME_MAX = 64 << 20
"""A longer frame is none: this stream speaks something else, and everything passes from here."""
HELD_BYTES_MAX = 16 << 20
"""Of one stream; beyond, held frames would be the relay's memory: later ones pass."""


class Framer:
    """One direction of one connection."""

    __slots__ = ("_head", "_held", "_held_bytes", "_left", "_taking", "broken")

    def __init__(self) -> None:
        self._head = b""
        """Bytes of a header that is not whole."""
        self._left = 0
        """Bytes of the current frame that are still to come."""
        self._taking: tuple[int, bytearray] | None = None
        """The frame that is being held back, while it is not whole."""
        self._held: list[tuple[int, bytes]] = []
        self._held_bytes = 0
        self.broken = False
        """What came is no frame: nothing is held on this stream."""

    @property
    def between(self) -> bool:
        """Whether what has passed ends with a whole frame: only then may others be put in."""
        return self._left == 0 or self._taking is not None

    def feed(self, data: bytes, kinds: Collection[int]) -> bytes:
        """Take what came; return what passes now while `kinds` are held."""
        if self.broken:
            return data
        size = len(data)
        left = self._left
        if left >= size and self._taking is None:
            self._left = left - size
            return data
        if self._head:
            data = self._head + data
            self._head = b""
            size = len(data)
        if not kinds and self._taking is None:
            return self._follow(data, left, size)
        passing = bytearray()
        at = 0
        while at < size:
            if self._left:
                piece = data[at : at + self._left]
                self._left -= len(piece)
                at += len(piece)
                if self._taking is None:
                    passing += piece
                else:
                    self._take(piece)
                continue
            if size - at < HEAD_BYTES:
                self._head = data[at:]
                break
            length, _, kind = _HEAD.unpack_from(data, at)
            if not 2 <= length <= FRAME_MAX:
                return bytes(passing) + self._give_up(data[at:])
            self._left = _LENGTH_BYTES + length
            if kind in kinds and self._held_bytes < HELD_BYTES_MAX:
                self._taking = (kind, bytearray())
        return bytes(passing)

    def release(self, kinds: Collection[int]) -> bytes:
        """The held frames that are not of `kinds`, in their order; only while `between`."""
        free = b"".join(frame for kind, frame in self._held if kind not in kinds)
        self._held = [(kind, frame) for kind, frame in self._held if kind in kinds]
        self._held_bytes -= len(free)
        return free

    def rest(self) -> bytes:
        """The stream is at its end: what waited for more of it."""
        rest, self._head = self._head, b""
        return rest

    @property
    def held(self) -> int:
        """Number of whole frames that are held back."""
        return len(self._held)

    def _follow(self, data: bytes, at: int, size: int) -> bytes:
        """Nothing is held: find where the frames end, let all pass but half a header."""
        unpack = _HEAD.unpack_from
        while size - at >= HEAD_BYTES:
            length = unpack(data, at)[0]
            if not 2 <= length <= FRAME_MAX:
                self._left = 0
                self.broken = True
                return data
            at += _LENGTH_BYTES + length
        if at >= size:
            self._left = at - size
            return data
        self._left = 0
        self._head = data[at:]
        return data[:at]

    def _take(self, piece: bytes) -> None:
        assert self._taking is not None
        kind, frame = self._taking
        frame += piece
        if not self._left:
            self._held.append((kind, bytes(frame)))
            self._held_bytes += len(frame)
            self._taking = None

    def _give_up(self, rest: bytes) -> bytes:
        self.broken = True
        return rest
