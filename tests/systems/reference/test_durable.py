"""The durable fold: truncation, snapshots over every position of the log, gaps."""

import pytest

from dissensus.systems.reference.core.durable import NOOP, Append, Durable, Entry, Hard, Snapshot
from dissensus.systems.reference.core.errors import InvariantError


def entry(term):
    return Entry(term, NOOP, 0, 0, 0, ())


def log(*terms):
    return Durable().apply(Append(1, [entry(t) for t in terms]))


def terms(durable):
    return [e.term for e in durable.entries]


def test_append_truncates_from_first():
    d = log(1, 1, 1).apply(Append(2, [entry(2)]))
    assert terms(d) == [1, 2]
    assert d.last_index == 2


def test_a_gap_is_an_error():
    with pytest.raises(InvariantError, match="gap"):
        log(1).apply(Append(3, [entry(1)]))


def test_term_never_goes_back():
    d = Durable().apply(Hard(3, "n1"))
    with pytest.raises(InvariantError, match="went back"):
        d.apply(Hard(2, None))


@pytest.mark.parametrize(
    ("at", "term", "left", "first"),
    [(2, 1, [2], 3), (2, 9, [], 3), (3, 2, [], 4), (7, 3, [], 8)],
)
def test_snapshot_keeps_the_suffix_only_behind_a_matching_entry(at, term, left, first):
    d = log(1, 1, 2).apply(Snapshot(at, term, (), b""))
    assert terms(d) == left
    assert d.first == first
    assert d.last_index == first + len(left) - 1


def test_append_below_a_snapshot_keeps_what_is_not_covered():
    d = log(1, 1).apply(Snapshot(2, 1, (), b"")).apply(Append(2, [entry(1), entry(1)]))
    assert (d.first, terms(d)) == (3, [1])


def test_older_snapshot_never_replaces_a_newer_one():
    d = log(1, 1).apply(Snapshot(2, 1, (), b""))
    with pytest.raises(InvariantError, match="newer"):
        d.apply(Snapshot(1, 1, (), b""))


def test_clone_is_independent():
    d = log(1, 1)
    c = d.clone()
    assert c == d
    c.apply(Append(3, [entry(2)]))
    assert c != d
