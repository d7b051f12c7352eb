"""Members come, go and change roles, jointly and one at a time, and the cluster goes on."""

from __future__ import annotations

from typing import Any

import pytest


def test_a_learner_catches_up_and_becomes_a_voter(cluster: Any) -> None:
    c = cluster(blank=1, max_entries=2)
    c.elect("n1")
    for i in range(6):
        c.put("n1", "k", i)
    assert c.change("n1", "add", node="n4", learner=True)["ok"]
    c.beat("n1")
    assert c.core("n4").machine.data == {"k": 5}
    assert c.core("n4").config.learners == ("n4",)
    done = c.change("n1", "promote", node="n4")
    assert done["config"]["voters"] == ["n1", "n2", "n3", "n4"]
    assert not done["config"]["outgoing"]
    # Three of four are a quorum now, two are not.
    assert c.put("n1", "k", "three", "n2") is not None
    assert c.put("n1", "k", "two", "n2", "n3") is None


def test_a_learner_far_behind_is_not_promoted(cluster: Any) -> None:
    c = cluster(blank=1, max_entries=2)
    c.elect("n1")
    for i in range(6):
        c.put("n1", "k", i)
    assert c.change("n1", "add", "n4", node="n4", learner=True)["ok"]
    answer = c.change("n1", "promote", "n4", node="n4")
    assert not answer["ok"]
    assert answer["error"] == "n4 lags behind: it has 0 of 9 entries"


@pytest.mark.parametrize("single", [False, True])
def test_a_leader_that_removes_itself_steps_down_when_that_is_committed(
    cluster: Any, single: bool
) -> None:
    c = cluster(single_server=single)
    c.elect("n1")
    client = c.command("n1", "remove", node="n1")
    assert c.core("n1").role == "leader"
    c.settle()
    assert c.replies[client]["ok"]
    assert c.core("n1").role == "follower"
    c.elect("n2", "n1")
    assert c.core("n2").config.voters == ("n2", "n3")
    assert c.core("n1").status()["config"]["committed"]  # it was told
    assert not c.core("n1").may_campaign()
    assert "was removed" in c.change("n2", "add", node="n1", learner=False)["error"]


def test_a_leader_with_its_own_removal_in_its_log_alone_may_be_needed_once_more(
    cluster: Any,
) -> None:
    """Thesis 4.2.2: without it nobody could be elected, for its log is the longest of both."""
    c = cluster(2, single_server=True)
    c.elect("n1")
    c.command("n1", "remove", node="n1")
    c.settle("n2")
    c.world.crash("n1")
    c.world.start("n1")
    c.silence("n2")
    c.world.fire("n2", "election")
    c.settle()
    assert c.core("n2").role == "pre-candidate"
    c.world.fire("n1", "election")
    c.settle()  # it leads, commits its removal, and steps down
    assert ("n1", "leader") in [(node, fields.get("role")) for node, _, fields in c.marks[-9:]]
    assert c.core("n1").role == "follower"
    c.elect("n2")
    assert c.core("n2").config.voters == ("n2",)


def test_a_truncated_configuration_is_no_longer_in_force(cluster: Any) -> None:
    c = cluster(5)
    c.elect("n1")
    client = c.command("n1", "config", voters=["n1", "n2"], learners=[])
    c.settle("n2", "n3", "n4", "n5")
    assert c.core("n1").config.joint
    c.elect("n3", "n1")
    assert c.put("n3", "k", 1, "n1") is not None
    c.beat("n3")
    answer = c.replies[client]
    assert (answer["ok"], answer["error"]) == (False, "deposed")
    assert answer["config"]["voters"] == ["n1", "n2"]
    assert c.core("n1").config.voters == c.voters
    assert not c.core("n1").config.joint


def test_one_change_at_a_time_and_by_the_leader(cluster: Any) -> None:
    c = cluster(blank=1)
    assert c.change("n1", "add", node="n4", learner=True)["error"] == "not_leader"
    c.elect("n1")
    first = c.command("n1", "add", node="n4", learner=True)
    assert "not ended" in c.change("n1", "remove", node="n2")["error"]
    assert c.replies[first]["ok"]
    assert "is a member already" in c.change("n1", "add", node="n4", learner=False)["error"]
    assert "is no member" in c.change("n1", "remove", node="n9")["error"]
    assert "is no learner" in c.change("n1", "promote", node="n2")["error"]


def test_a_new_leader_does_not_change_members_before_its_no_op_is_committed(cluster: Any) -> None:
    c = cluster()
    c.silence(*c.names)
    c.world.fire("n1", "election")
    while c.core("n1").role != "leader":
        for src, dst in (("n1", "n2"), ("n2", "n1")):
            while c.flying(src, dst) and c.core("n1").role != "leader":
                c.world.deliver(src, dst)
    answer = c.command("n1", "remove", node="n3")
    assert c.replies[answer]["error"] == "no entry of this term is committed yet"
    c.settle()
    assert c.change("n1", "remove", node="n3")["ok"]


def test_a_new_leader_ends_the_joint_configuration_of_the_old_one(cluster: Any) -> None:
    c = cluster(blank=2)
    c.elect("n1")
    c.put("n1", "k", 1)
    c.command("n1", "config", voters=["n3", "n4", "n5"], learners=["n1"])
    for peer in ("n2", "n3", "n4", "n5"):
        while c.flying("n1", peer):
            c.world.deliver("n1", peer)
    c.world.crash("n1")
    for queue in c.world.flight.values():
        queue.clear()
    assert c.core("n3").config.joint
    c.elect("n3", "n1")
    c.beat("n3", "n1")
    assert c.core("n3").config.voters == ("n3", "n4", "n5")
    assert c.core("n3").config.learners == ("n1",)
    assert c.core("n5").machine.data == {"k": 1}


def test_a_restarted_node_knows_its_configuration(cluster: Any) -> None:
    c = cluster(blank=1, snapshot_entries=4, keep_entries=0)
    c.elect("n1")
    assert c.change("n1", "add", node="n4", learner=False)["ok"]
    for name in ("n1", "n4"):
        before = c.core(name).config
        c.world.crash(name)
        c.world.start(name)
        assert c.core(name).config == before
    c.elect("n2")
    for i in range(9):
        c.put("n2", "k", i)
    assert c.core("n4").snapshot.last_index > 0
    c.world.crash("n4")
    c.world.start("n4")
    assert c.core("n4").config.voters == ("n1", "n2", "n3", "n4")
