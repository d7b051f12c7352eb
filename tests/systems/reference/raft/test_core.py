"""What a core owes to its drivers and clients, whatever the protocol does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dissensus.systems.reference.core.client_messages import BUSY, DEPOSED, NOT_LEADER, ClientReply
from dissensus.systems.reference.core.durable import COMMAND, CONFIG, Durable, Entry, Hard
from dissensus.systems.reference.core.effects import Persist
from dissensus.systems.reference.core.errors import InvariantError, PeerError
from dissensus.systems.reference.core.events import Persisted, Recv, Start, Timer
from dissensus.systems.reference.raft.core import Raft
from dissensus.systems.reference.raft.messages import (
    Append,
    AppendReply,
    InstallSnapshot,
    InstallSnapshotReply,
    TimeoutNow,
)


def busy(cluster: Any) -> Any:
    """A cluster with something in every corner of its leader's state."""
    c = cluster(blank=1, snapshot_entries=3, keep_entries=1, lease_reads=True)
    c.elect("n1")
    session = c.open("n1")
    c.ask("n1", "put", "k", 1, session=session, seq=1)
    c.settle("n3")
    c.ask("n1", "append", "l", 2)
    c.ask("n1", "get", "k")
    c.ask("n2", "get", "k")
    c.command("n1", "add", node="n4", learner=True)
    return c


def test_a_clone_is_equal_and_independent(cluster: Any) -> None:
    c = busy(cluster)
    for name in c.names:
        core = c.core(name)
        other = core.clone()
        assert type(other) is type(core)
        assert other.abstract() == core.abstract()
        assert other.fingerprint() == core.fingerprint()
        before = core.fingerprint()
        for timer in list(other.armed):
            if timer in other.armed:
                other.step(Timer(timer))
        log = other.log
        entry = Entry(9, COMMAND, 0, 1, 0, ("put", "x", 1))
        other.step(Recv("n2", Append(9, log.last, log.last_term(), 0, 1, [entry])))
        assert core.fingerprint() == before
        assert other.fingerprint() != before


def test_equal_histories_have_equal_fingerprints_and_a_timer_makes_a_difference(
    cluster: Any,
) -> None:
    one, two = busy(cluster), busy(cluster)
    for name in one.names:
        assert one.core(name).fingerprint() == two.core(name).fingerprint()
    two.world.fire("n1", "heartbeat")
    assert one.core("n1").fingerprint() != two.core("n1").fingerprint()


def test_status_is_plain(cluster: Any) -> None:
    c = busy(cluster)
    for name in c.names:
        status = c.core(name).status()
        assert json.loads(json.dumps(status)) == status
    assert c.core("n1").status()["role"] == "leader"


def test_a_lost_reply_is_given_again_and_nothing_happens_twice(cluster: Any) -> None:
    c = cluster()
    c.elect("n1")
    session = c.open("n1")
    for _ in range(2):
        client = c.ask("n1", "append", "l", "x", session=session, seq=1)
        c.settle()
        assert c.replies[client] == ClientReply(session, 1, True, 1, "", None)
    c.elect("n2")
    client = c.ask("n2", "append", "l", "x", session=session, seq=1)
    c.settle()
    assert c.replies[client].result == 1
    assert c.core("n2").machine.data == {"l": ("x",)}


def test_requests_that_are_in_the_log_of_a_deposed_leader_are_open(cluster: Any) -> None:
    c = cluster()
    assert c.put("n2", "k", 1).error == NOT_LEADER
    c.elect("n1")
    reply = c.put("n2", "k", 1)
    assert (reply.error, reply.leader) == (NOT_LEADER, "n1")
    lost = c.ask("n1", "put", "k", 1)
    c.settle("n1")
    c.elect("n2", "n1")
    c.beat("n2")
    assert c.replies[lost].error == DEPOSED
    assert c.get("n2", "k").result is None


def test_too_many_requests_are_refused(cluster: Any) -> None:
    c = cluster(max_pending=2)
    c.elect("n1")
    clients = [c.ask("n1", "put", "k", i) for i in range(3)]
    assert c.replies[clients[2]].error == BUSY
    c.settle()
    assert all(c.replies[client].ok for client in clients[:2])


def test_hand_over(cluster: Any) -> None:
    c = cluster()
    c.elect("n1")
    c.put("n1", "k", 1, "n2")
    client = c.command("n1", "transfer", node="n2")
    assert c.put("n1", "k", 2, "n1").error == BUSY
    assert "handed over" in c.change("n1", "transfer", node="n3")["error"]
    c.beat("n1")
    assert c.replies[client] == {"ok": True, "to": "n2"}
    assert c.core("n2").role == "leader"
    assert c.change("n2", "transfer", node=None)["ok"]
    assert "is another voter" in c.change(leader(c), "transfer", node="n9")["error"]


def test_a_hand_over_that_fails_ends(cluster: Any) -> None:
    c = cluster()
    c.elect("n1")
    client = c.command("n1", "transfer", node="n2")
    c.settle("n2")
    c.world.fire("n1", "transfer")
    assert c.replies[client] == {"ok": False, "error": "n2 did not take over"}
    assert c.put("n1", "k", 1).ok


def leader(c: Any) -> str:
    return next(name for name in c.names if c.core(name).role == "leader")


def test_an_operator_may_call_an_election_where_nobody_leads(cluster: Any) -> None:
    c = cluster(blank=1)
    assert c.change("n2", "campaign")["ok"]
    assert c.core("n2").role == "leader"
    assert "this node leads" in c.change("n2", "campaign")["error"]
    assert "transfer leadership" in c.change("n1", "campaign")["error"]
    assert "no voter" in c.change("n4", "campaign")["error"]


@pytest.mark.parametrize(
    "msg",
    [
        Append(1, -1, 0, 0, 1, []),
        Append(1, 1, -1, 0, 1, []),
        Append(1, 0, 0, 0, 1, [Entry(2, COMMAND, 0, 1, 0, ("put", "k", 1))]),
        Append(1, 0, 0, 0, 1, [Entry(1, CONFIG, 0, 0, 0, ("n1",))]),
    ],
)
def test_what_no_correct_node_sends_is_the_peers_fault(cluster: Any, msg: Any) -> None:
    c = cluster()
    core = c.core("n2")
    before = core.fingerprint()
    with pytest.raises(PeerError):
        core.step(Recv("n1", msg))
    assert core.fingerprint() == before


def test_what_nobody_answers_a_leader(cluster: Any) -> None:
    c = cluster(snapshot_entries=2, keep_entries=0, chunk_bytes=8)
    c.elect("n1", "n3")
    for i in range(4):
        c.put("n1", "k", i, "n3")
    c.world.fire("n1", "heartbeat")
    c.world.deliver("n1", "n3")
    core = c.core("n1")
    c.world.deliver("n3", "n1")
    assert core.progress["n3"].snapshot is not None
    at = core.progress["n3"].snapshot.last_index
    for wrong in (
        Append(1, 0, 0, 0, 1, []),
        AppendReply(1, True, 99, 0, 1),
        AppendReply(1, True, 1, 0, 99),
        InstallSnapshotReply(1, at, 9_999, False, 1),
    ):
        with pytest.raises(PeerError):
            core.step(Recv("n3", wrong))
    c.beat("n1")
    assert c.core("n3").applied == core.applied


def test_what_came_before_a_peer_error_is_not_lost(cluster: Any) -> None:
    """A new term in a message whose rest is wrong: term and effects stay together."""
    c = cluster()
    c.elect("n1")
    core = c.core("n2")
    first = core.snapshot
    with pytest.raises(PeerError):
        core.step(Recv("n3", snapshot_that_cannot_be_read(core, 7)))
    assert core.term == 7
    assert core.snapshot is first
    effects = core.step(Recv("n3", TimeoutNow(2)))
    persists = [e.patch for e in effects if type(e) is Persist]
    assert persists == [Hard(7, None)]


def snapshot_that_cannot_be_read(core: Any, term: int) -> Any:
    return InstallSnapshot(term, 50, 1, core.config.pack(), 0, b"?", True, 1)


def test_broken_invariants_stop_the_node(cluster: Any) -> None:
    c = cluster()
    c.elect("n1")
    c.put("n1", "k", 1)
    c.beat("n1")
    core = c.core("n2")
    with pytest.raises(InvariantError, match="is committed"):
        core.step(Recv("n3", Append(5, 1, 1, 0, 1, [Entry(5, COMMAND, 0, 1, 0, ("put", "k", 2))])))
    core = c.core("n3")
    with pytest.raises(InvariantError, match="unknown timer"):
        core.step(Timer("lunch"))
    with pytest.raises(InvariantError, match="cannot become"):
        core.enter_term(1, None)
    with pytest.raises(InvariantError, match="behind the end"):
        core.commit_to(99)


def test_a_candidate_votes_for_itself_only_when_that_is_durable() -> None:
    core = Raft("n1", ("n1",))
    durable = Durable()
    core.step(Start(durable))
    effects = core.step(Timer("election"))
    assert [type(e) for e in effects].count(Persist) == 1
    assert core.role == "candidate"
    core.step(Persisted(1))
    assert core.role == "leader"
    core.step(Persisted(2))
    assert core.commit == 1


def test_a_probe_that_is_lost_is_followed_by_a_small_one(cluster: Any) -> None:
    """A follower that is away is asked with empty Appends: no entries pile up on the way to it."""
    c = cluster()
    c.elect("n1", "n3")
    for i in range(5):
        c.put("n1", "k", i, "n3")
    for _ in range(10):
        c.world.fire("n1", "heartbeat")
    waiting = c.flying("n1", "n3")
    assert sum(len(msg.entries) for msg in waiting) == 0
    c.settle()
    assert c.core("n3").log.last == 6


def test_appends_are_pipelined_and_bounded(cluster: Any) -> None:
    c = cluster(max_entries=1, max_inflight=3)
    c.elect("n1")
    c.put("n1", "k", 0)
    clients = [c.ask("n1", "put", "k", i) for i in range(6)]
    assert [len(m.entries) for m in c.flying("n1", "n2")] == [1, 1, 1]
    c.settle()
    assert all(c.replies[client].ok for client in clients)
    assert c.core("n3").log.last == 8


def test_a_lost_append_is_noticed_by_the_next_one(cluster: Any) -> None:
    c = cluster()
    c.elect("n1")
    c.put("n1", "k", 0)
    c.ask("n1", "put", "k", 1)
    c.world.drop("n1", "n3")
    c.ask("n1", "put", "k", 2)
    c.settle()
    assert c.core("n3").log.last == 4
    assert not c.errors
