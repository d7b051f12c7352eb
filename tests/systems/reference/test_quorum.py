"""Quorum arithmetic: intersection for every size, and agreement with brute force."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dissensus.systems.reference.core import quorum


@pytest.mark.parametrize("n", range(1, 101))
def test_byzantine_quorums_share_a_correct_node_and_stay_reachable(n):
    for f in range(quorum.byzantine_faults(n) + 1):
        q = quorum.byzantine(n, f)
        assert 2 * q - n >= f + 1
        assert q <= n - f
        assert 2 * (q - 1) - n < f + 1, "not the smallest"


def test_six_nodes_show_why_2f_plus_1_is_the_wrong_size():
    f = quorum.byzantine_faults(6)
    assert f == 1
    assert 2 * (2 * f + 1) - 6 == 0, "two quorums of 2f+1 can be disjoint"
    assert quorum.byzantine(6, f) == 4


def test_byzantine_refuses_too_many_faults():
    with pytest.raises(ValueError, match=r"0\.\.1"):
        quorum.byzantine(4, 2)


@pytest.mark.parametrize("n", range(1, 8))
def test_majorities_by_brute_force(n):
    nodes = [f"n{i}" for i in range(n)]
    for size in range(n + 1):
        for have in combinations(nodes, size):
            assert quorum.reached(nodes, set(have)) == (size >= quorum.majority(n))
    assert 2 * quorum.majority(n) - n >= 1


def test_no_voters_never_decide():
    assert not quorum.reached((), {"n1"})
    assert quorum.majority_value([]) == 0


@given(st.lists(st.integers(0, 50), min_size=1, max_size=9))
def test_majority_value_is_the_largest_number_a_majority_reached(values):
    best = quorum.majority_value(values)
    need = quorum.majority(len(values))
    assert sum(v >= best for v in values) >= need
    assert sum(v >= best + 1 for v in values) < need


@given(
    st.sets(st.integers(0, 5), min_size=1),
    st.sets(st.integers(0, 5), min_size=1),
    st.sets(st.integers(0, 5)),
    st.lists(st.integers(0, 9), min_size=6, max_size=6),
)
def test_joint_means_both_halves(old, new, have, reach):
    halves = [{str(i) for i in old}, {str(i) for i in new}]
    got = {str(i) for i in have}
    expected = all(2 * len(half & got) > len(half) for half in halves)
    assert quorum.joint_reached(halves, got) == expected
    value = quorum.joint_value(halves, lambda node: reach[int(node)])
    at_least = {str(i) for i in range(6) if reach[i] >= value}
    assert quorum.joint_reached(halves, at_least)
    above = {str(i) for i in range(6) if reach[i] > value}
    assert not quorum.joint_reached(halves, above)


@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 20))
def test_flexible_quorums_meet(n, q1, q2):
    meets = q1 <= n and q2 <= n and q1 + q2 - n >= 1
    assert quorum.flexible_ok(n, q1, q2) == meets


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 9), min_size=1),
    st.sets(st.sampled_from("abcdef")),
)
def test_weighted_quorums_share_more_than_a_third(power, have):
    total = sum(power.values())
    others = set(power) - have
    both = quorum.weighted_reached(power, have) and quorum.weighted_reached(power, others)
    assert not both
    if quorum.weighted_reached(power, have):
        assert not quorum.weighted_some_correct(power, others)
    assert total > 0


def test_grid_row_meets_cover():
    rows = [["a", "b"], ["c", "d"], ["e", "f"]]
    nodes = "abcdef"
    for i in range(7):
        for one in combinations(nodes, i):
            if not quorum.grid_rows(rows, one)[0]:
                continue
            for j in range(7):
                for two in combinations(nodes, j):
                    if quorum.grid_rows(rows, two)[1]:
                        assert set(one) & set(two)
