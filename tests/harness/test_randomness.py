"""Streams of draws: fixed for ever by (seed, path), with and without state."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dissensus.harness.randomness import Rng, draw, stream_of

SEEDS = st.integers(0, 2**63 - 1)
PATHS = st.text(max_size=20)


@given(SEEDS, PATHS, st.integers(1, 2**40), st.integers(0, 50))
def test_draw_is_what_the_stream_gives_at_that_place(
    seed: int, path: str, bound: int, n: int
) -> None:
    rng = Rng(seed, path)
    for _ in range(n):
        rng.below(bound)
    assert rng.below(bound) == draw(stream_of(seed, path), n, bound)


def test_streams_are_the_same_on_every_machine() -> None:
    rng = Rng(7, "nemesis/3")
    assert [rng.bits64() for _ in range(3)] == [
        draw(stream_of(7, "nemesis/3"), n, 2**64) for n in range(3)
    ]
    assert stream_of(7, "nemesis/3") == 0x804DCC38487FA246


@given(SEEDS, PATHS)
def test_a_split_does_not_depend_on_how_much_was_drawn(seed: int, path: str) -> None:
    fresh, used = Rng(seed, path), Rng(seed, path)
    used.bits64()
    assert fresh.split("x").bits64() == used.split("x").bits64() != fresh.bits64()


@given(SEEDS, st.lists(st.integers()), st.integers(0, 5))
def test_shuffle_and_sample_keep_what_they_are_given(seed: int, items: list[int], k: int) -> None:
    shuffled = list(items)
    Rng(seed, "s").shuffle(shuffled)
    assert sorted(shuffled) == sorted(items)
    assert len(Rng(seed, "s").sample(items, k)) == min(k, len(items))
