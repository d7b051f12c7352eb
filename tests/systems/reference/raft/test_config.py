"""Configurations: their quorums, and the changes that are and are not allowed."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dissensus.systems.reference.raft.config import Config

IDS = tuple("abcdefg")
SETS = st.sets(st.sampled_from(IDS))


def test_a_joint_configuration_needs_a_majority_of_each_half() -> None:
    config = Config("abc", "cde", "f")
    assert config.joint
    assert not config.quorum({"a", "b"})
    assert not config.quorum({"a", "d", "e"})  # three of five, and of one half a minority
    assert config.quorum({"a", "c", "d"})
    match = {"a": 9, "b": 7, "c": 5, "d": 3, "e": 1, "f": 99}
    assert config.value(match.__getitem__) == 3
    assert Config("abc", (), "f").value(match.__getitem__) == 7
    assert Config().value(match.__getitem__) == 0
    assert not Config().quorum(set(IDS))


def test_old_voters_that_become_learners_vote_until_the_joint_configuration_ends() -> None:
    joint = Config("abc", (), "e").joint_to({"a", "d"}, {"b", "e"})
    assert (joint.voters, joint.outgoing) == (("a", "d"), ("a", "b", "c"))
    assert (joint.learners, joint.next_learners, joint.removed) == (("e",), ("b",), ("c",))
    assert joint.members == ("a", "b", "c", "d", "e")
    assert joint.is_voter("b")
    after = joint.after_joint()
    assert after == Config("ad", (), "be", (), "c")
    assert not after.is_voter("b")


@pytest.mark.parametrize(
    ("voters", "learners", "why"),
    [
        ("", "", "at least one voter"),
        ("ab", "b", "voter and learner at once"),
    ],
)
def test_what_cannot_be(voters: str, learners: str, why: str) -> None:
    config = Config("abc", removed="z")
    for change in (config.joint_to, config.single_to):
        with pytest.raises(ValueError, match=why):
            change(set(voters), set(learners))


def test_single_changes_are_single() -> None:
    config = Config("abc", (), "d")
    assert config.single_to(set("abcd"), set()) == Config("abcd")
    assert config.single_to(set("ab"), set("c")) == Config("ab", (), "c", (), "d")
    with pytest.raises(ValueError, match="one at a time, not c, d"):
        config.single_to(set("abd"), set())
    with pytest.raises(ValueError, match="has not ended"):
        config.joint_to(set("a"), set()).single_to(set("a"), set())


def test_packing() -> None:
    config = Config("ba", "c", "d", "c", "x")
    assert Config.unpack(config.pack()) == config
    assert repr(config) == "Config(voters=a+b, outgoing=c, learners=d, next_learners=c, removed=x)"
    for wrong in ((), (("a",),) * 4, ("a",) * 5):
        with pytest.raises(ValueError, match="not a configuration"):
            Config.unpack(wrong)  # type: ignore[arg-type]


@given(SETS.filter(bool), SETS, SETS.filter(bool), SETS)
def test_quorums_of_neighbours_meet(
    old: set[str], old_learners: set[str], new: set[str], new_learners: set[str]
) -> None:
    """Any quorum of a configuration meets any quorum of the next, on every step of a change."""
    before = Config(old, (), old_learners - old)
    joint = before.joint_to(new, new_learners - new)
    steps = [before, joint, joint.after_joint()]
    if len(old ^ new) <= 1:
        steps = [before, before.single_to(new, new_learners - new)]
    subsets = [{n for i, n in enumerate(IDS) if mask >> i & 1} for mask in range(1 << len(IDS))]
    for one, other in pairwise(steps):
        for have in subsets:
            rest = set(IDS) - have
            assert not (one.quorum(have) and other.quorum(rest))
