"""Splittable randomness: every draw is keyed by (seed, path), so that adding one stream never
shifts another.

A stream is SplitMix64 over a state derived from blake2b(seed, path): integers only, so every
machine and every Python draws the same. No module of Dissensus uses the global `random`.
"""

from __future__ import annotations

from collections.abc import MutableSequence, Sequence
from hashlib import blake2b
from math import log
from typing import TypeVar

T = TypeVar("T")

_MASK = (1 << 64) - 1
_GAMMA = 0x9E3779B97F4A7C15


def stream_of(seed: int, path: str) -> int:
    """The stream for (seed, path): where `Rng` starts, and what `draw` counts from."""
    digest = blake2b(f"{seed}/{path}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def draw(stream: int, n: int, bound: int) -> int:
    """Uniform integer in [0, bound): draw number n (from 0) of a stream, without state.

    It is what the (n+1)-th `below(bound)` of the `Rng` gives: pure code keeps n, or takes it from
    what is numbered anyway.
    """
    z = (stream + (n + 1) * _GAMMA) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return ((z ^ (z >> 31)) * bound) >> 64


class Rng:
    """One stream of draws."""

    __slots__ = ("_state", "path", "seed")

    def __init__(self, seed: int, path: str) -> None:
        self.seed = seed
        self.path = path
        self._state = stream_of(seed, path)

    def split(self, path: str) -> Rng:
        """The stream below this one; independent of how much was drawn here."""
        return Rng(self.seed, f"{self.path}/{path}")

    def bits64(self) -> int:
        """Uniform integer in [0, 2**64)."""
        self._state = z = (self._state + _GAMMA) & _MASK
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        return z ^ (z >> 31)

    def below(self, n: int) -> int:
        """Uniform integer in [0, n). The bias is below n / 2**64."""
        if n <= 0:
            raise ValueError(f"below() needs a positive bound, got {n}")
        return (self.bits64() * n) >> 64

    def between(self, lo: int, hi: int) -> int:
        """Uniform integer in [lo, hi], both ends included."""
        return lo + self.below(hi - lo + 1)

    def chance(self, numerator: int, denominator: int) -> bool:
        """True with probability numerator/denominator."""
        return self.below(denominator) < numerator

    def choice(self, items: Sequence[T]) -> T:
        """One item, uniformly."""
        return items[self.below(len(items))]

    def shuffle(self, items: MutableSequence[T]) -> None:
        """Fisher-Yates, in place."""
        for i in range(len(items) - 1, 0, -1):
            j = self.below(i + 1)
            items[i], items[j] = items[j], items[i]

    def sample(self, items: Sequence[T], k: int) -> list[T]:
        """k distinct items in random order."""
        pool = list(items)
        self.shuffle(pool)
        return pool[:k]

    def exponential_ns(self, mean_ns: int) -> int:
        """An exponentially distributed time with the given mean, rounded to microseconds.

        Rounding hides the last bits of `math.log`, which differ between C libraries.
        """
        u = (self.bits64() >> 11) + 1
        return int(-log(u / (1 << 53)) * mean_ns / 1000 + 0.5) * 1000
