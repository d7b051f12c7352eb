"""Snapshots: taken, sent in chunks that may be lost, installed, and never in the way of the log."""

from __future__ import annotations

from typing import Any

import pytest

from dissensus.systems.reference.core.durable import NOOP, Entry
from dissensus.systems.reference.core.errors import PeerError
from dissensus.systems.reference.core.events import Recv
from dissensus.systems.reference.raft.config import Config
from dissensus.systems.reference.raft.messages import Append, InstallSnapshot, InstallSnapshotReply

SMALL: dict[str, Any] = {"snapshot_entries": 5, "keep_entries": 0, "chunk_bytes": 16}


def behind(cluster: Any, **options: Any) -> Any:
    """n1 leads and has compacted what n3 lacks."""
    c = cluster(**{**SMALL, **options})
    c.elect("n1", "n3")
    for i in range(12):
        assert c.put("n1", f"k{i}", i, "n3").ok
    assert c.core("n1").log.first > 1
    assert c.core("n3").log.last == 0
    return c


def test_every_node_compacts_its_log_and_recovers_from_snapshot_and_log(cluster: Any) -> None:
    c = cluster(**SMALL)
    c.elect("n1")
    for i in range(12):
        c.put("n1", f"k{i}", i)
    c.beat("n1")
    for name in c.names:
        core = c.core(name)
        assert (core.snapshot.last_index, core.log.first, core.applied) == (10, 11, 13)
        before = core.machine.data
        c.world.crash(name)
        c.world.start(name)
        assert c.core(name).applied == 10
        assert c.core(name).log.last == 13
    c.elect("n2")
    assert c.core("n2").machine.data == before


def test_entries_behind_the_snapshot_are_kept_for_followers_a_little_late(cluster: Any) -> None:
    c = behind(cluster, keep_entries=8)
    core = c.core("n1")
    assert core.snapshot.last_index == 10
    assert core.log.first == 3
    assert core.log.term_at(2) == 1
    assert core.log.term_at(1) == -1


def test_a_follower_far_behind_gets_the_snapshot_chunk_by_chunk(cluster: Any) -> None:
    c = behind(cluster)
    c.beat("n1")
    follower = c.core("n3")
    assert follower.machine.data == {f"k{i}": i for i in range(12)}
    assert follower.applied == follower.commit == 13
    assert ("n3", "installed") in [(node, name) for node, name, _ in c.marks]
    assert c.core("n1").progress["n3"].match == 13
    assert c.put("n1", "more", 1, "n2").ok  # n3 makes the quorum now
    c.world.crash("n3")
    c.world.start("n3")
    assert c.core("n3").machine.data["k7"] == 7


def test_a_lost_chunk_is_sent_again_after_a_heartbeat(cluster: Any) -> None:
    c = behind(cluster)
    c.world.fire("n1", "heartbeat")
    lost = 0
    for _ in range(200):
        for src, dst in (("n1", "n3"), ("n3", "n1")):
            while c.flying(src, dst):
                if type(c.flying(src, dst)[0]) is InstallSnapshot and lost < 4:
                    lost += 1
                    c.world.drop(src, dst)
                else:
                    c.world.deliver(src, dst)
        c.world.fire("n1", "heartbeat")
    assert lost == 4
    assert c.core("n3").applied == 13


def test_a_follower_that_restarts_in_the_middle_begins_again(cluster: Any) -> None:
    c = behind(cluster)
    c.world.fire("n1", "heartbeat")
    for _ in range(4):
        for src, dst in (("n1", "n3"), ("n3", "n1")):
            while c.flying(src, dst):
                c.world.deliver(src, dst)
    assert len(c.core("n3").incoming.data) > 0
    c.world.crash("n3")
    c.world.start("n3")
    c.beat("n1")
    c.beat("n1")
    assert c.core("n3").applied == 13


def test_an_old_snapshot_changes_nothing(cluster: Any) -> None:
    c = behind(cluster)
    c.beat("n1")
    core = c.core("n3")
    before = core.abstract()
    old = InstallSnapshot(1, 4, 1, core.config.pack(), 0, b"whatever", True, 1)
    effects = core.step(Recv("n1", old))
    assert core.abstract() == before
    reply = effects[-1].msg
    assert reply == InstallSnapshotReply(1, 4, 0, True, 1)


def test_a_snapshot_that_the_log_already_covers_only_moves_the_commit_index(cluster: Any) -> None:
    """Fig. 13 rule 6: entries behind its last one stay."""
    c = cluster(**SMALL)
    c.elect("n1")
    c.ask("n1", "put", "a", 1)
    c.ask("n1", "put", "b", 2)
    c.settle("n2")
    core = c.core("n3")
    assert (core.log.last, core.commit) == (3, 1)
    covered = InstallSnapshot(1, 2, 1, core.config.pack(), 0, b"x", False, 1)
    core.step(Recv("n1", covered))
    assert (core.log.last, core.commit, core.applied) == (3, 2, 2)
    assert core.machine.data == {"a": 1}


@pytest.mark.parametrize("wrong", ["data", "config", "index", "offset"])
def test_a_snapshot_that_no_correct_node_sends_is_the_peers_fault(cluster: Any, wrong: str) -> None:
    c = behind(cluster)
    snapshot = c.core("n1").snapshot
    core = c.core("n3")
    msg = InstallSnapshot(
        1,
        snapshot.last_index + (wrong == "index"),
        1,
        () if wrong == "config" else snapshot.config,
        -1 if wrong == "offset" else 0,
        b"?" if wrong == "data" else snapshot.data,
        True,
        1,
    )
    with pytest.raises(PeerError):
        core.step(Recv("n1", msg))
    assert core.applied == 0
    c.beat("n1")
    assert core.applied == 13


def test_an_operator_may_want_one_now(cluster: Any) -> None:
    c = cluster()
    c.elect("n1")
    c.put("n1", "k", 1)
    assert c.change("n1", "snapshot") == {"ok": True, "taken": True, "index": 2}
    assert c.change("n1", "snapshot") == {"ok": True, "taken": False, "index": 2}


def test_a_late_fsync_of_what_a_snapshot_replaced_counts_for_nothing(cluster: Any) -> None:
    c = behind(cluster)
    c.world.hold("n3", True)
    entries = [Entry(1, NOOP, 0, 0, 0, ())] * 20
    c.world.flight["n2", "n3"] = [Append(1, 0, 0, 0, 0, entries)]
    c.world.deliver("n2", "n3")
    assert c.core("n3").log.last == 20
    assert c.core("n3").durable == 0
    snapshot = c.core("n1").snapshot
    whole = InstallSnapshot(2, snapshot.last_index, 2, snapshot.config, 0, snapshot.data, True, 0)
    c.world.flight["n1", "n3"] = [whole]
    c.world.deliver("n1", "n3")
    assert c.core("n3").log.last == snapshot.last_index
    written = len(c.world.nodes["n3"].written)
    c.world.persist("n3", written - 1)
    assert c.core("n3").durable == 0
    c.world.persist("n3")
    assert c.core("n3").durable == snapshot.last_index


def test_a_snapshot_holds_the_members_at_its_index_and_no_later_ones(cluster: Any) -> None:
    c = cluster(blank=1)
    c.elect("n1")
    c.put("n1", "k", 1)
    c.command("n1", "add", node="n4", learner=True)
    assert "n4" in c.core("n1").config.members
    c.command("n1", "snapshot")
    assert Config.unpack(c.core("n1").snapshot.config).members == ("n1", "n2", "n3")
