"""One direction between two hosts inside the relay: the faults on it, and what they add up to."""

from __future__ import annotations

from typing import Protocol

from dissensus.harness.cluster import Shape
from dissensus.harness.randomness import Rng

PPM = 1_000_000
RETRANSMIT_NS = 200_000_000
"""Linux's lowest retransmission timeout: what one lost packet costs a stream."""
RETRANSMITS_MAX = 6
"""Losses in a row after which a stream is reset (12.6 s of doubling stalls)."""
GIVE_UP_NS = RETRANSMIT_NS << RETRANSMITS_MAX
PACKET_BYTES = 1448
"""What a packet of an Ethernet carries: a piece of a stream is lost by the packet."""
READ_BYTES = 1 << 16
RATED_READ_NS = 20_000_000
"""A direction with a rate is read in pieces of this duration, so that it trickles."""
RATED_READ_BYTES_MIN = 64


class Traveller(Protocol):
    """A flow, or a connection that is not open yet: it must know when its link changes."""

    def changed(self) -> None: ...

    born_ns: int
    """When it began."""

    def expire(self) -> None:
        """The link was cut for longer than a connection lives."""
        ...


class Link:
    """All flows in one direction, and the faults that hold for them. Faults are known by id."""

    __slots__ = (
        "_free_ns",
        "_rng",
        "bytes",
        "cut_ns",
        "cuts",
        "delay_ns",
        "holds",
        "is_cut",
        "jitter_ns",
        "kinds",
        "loss_ppm",
        "plain",
        "rate_bps",
        "read_bytes",
        "shapes",
        "travellers",
    )

    def __init__(self, rng: Rng) -> None:
        self._rng = rng
        self._free_ns = 0
        """When a direction with a rate can take the next byte."""
        self.travellers: dict[Traveller, None] = {}
        self.cuts: set[int] = set()
        self.shapes: dict[int, Shape] = {}
        self.holds: dict[int, set[int]] = {}
        self.bytes = 0
        """Read from the source so far."""
        self.cut_ns = 0
        """Since when nothing passes."""
        self._add_up()

    def faults(self) -> set[int]:
        """Ids of the faults that change something here."""
        return {*self.cuts, *self.shapes, *self.holds}

    def cut(self, fault: int, now: int) -> None:
        if not self.cuts:
            self.cut_ns = now
        self.cuts.add(fault)
        self._add_up()

    def shape(self, fault: int, shape: Shape) -> None:
        self.shapes[fault] = shape
        self._add_up()

    def hold(self, fault: int, kind: int) -> None:
        self.holds.setdefault(fault, set()).add(kind)
        self._add_up()

    def heal(self, fault: int) -> None:
        self.cuts.discard(fault)
        self.shapes.pop(fault, None)
        self.holds.pop(fault, None)
        self._add_up()

    def release_ns(self, size: int, now: int) -> int:
        """When a piece of `size` bytes read now arrives; -1 when its stream must be reset."""
        at = now + self.delay_ns
        if self.jitter_ns:
            at += self._rng.between(-self.jitter_ns, self.jitter_ns)
        if self.rate_bps:
            self._free_ns = max(self._free_ns, now) + size * 1_000_000_000 // self.rate_bps
            at += self._free_ns - now
        if self.loss_ppm:
            stalls = [self._stall_ns() for _ in range(-(-size // PACKET_BYTES))]
            return -1 if -1 in stalls else at + max(stalls, default=0)
        return at

    def _stall_ns(self) -> int:
        """How much later a packet arrives for its losses; -1 when its sender gives up."""
        stall_ns = 0
        for losses in range(RETRANSMITS_MAX):
            if self._rng.below(PPM) >= self.loss_ppm:
                return stall_ns
            stall_ns += RETRANSMIT_NS << losses
        return -1

    def _add_up(self) -> None:
        shapes = self.shapes.values()
        self.is_cut = bool(self.cuts)
        self.delay_ns = sum(shape.delay_ns for shape in shapes)
        self.jitter_ns = sum(shape.jitter_ns for shape in shapes)
        self.loss_ppm = min(PPM, sum(shape.loss_ppm for shape in shapes))
        self.rate_bps = min((s.rate_bps for s in shapes if s.rate_bps), default=0)
        self.kinds = frozenset(kind for kinds in self.holds.values() for kind in kinds)
        self.plain = not (self.cuts or self.shapes or self.holds)
        """Nothing is done to what passes."""
        self.read_bytes = READ_BYTES
        if self.rate_bps:
            piece = self.rate_bps * RATED_READ_NS // 1_000_000_000
            self.read_bytes = min(READ_BYTES, max(RATED_READ_BYTES_MIN, piece))
        for traveller in list(self.travellers):
            traveller.changed()
