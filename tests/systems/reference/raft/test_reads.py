"""Reads: one round for many, at followers too, by leases, and never from a leader of the past."""

from __future__ import annotations

from typing import Any

from dissensus.systems.reference.core.client_messages import (
    BAD_REQUEST,
    BUSY,
    NOT_LEADER,
    ClientRequest,
)
from dissensus.systems.reference.core.effects import Send
from dissensus.systems.reference.core.events import Answer, Recv, Request
from dissensus.systems.reference.raft.messages import (
    Append,
    PreVoteReply,
    ReadIndex,
    ReadIndexReply,
    Vote,
)
from dissensus.systems.reference.raft.state import TURN


def rounds(c: Any, name: str) -> int:
    return int(c.core(name).round)


def test_a_read_waits_for_a_round_that_began_after_it(cluster: Any) -> None:
    c = cluster()
    c.elect("n1")
    c.put("n1", "k", 1)
    c.world.fire("n1", "heartbeat")  # a round is under way
    under_way = [c.flying("n1", peer).pop() for peer in ("n2", "n3")]
    client = c.ask("n1", "get", "k")
    assert [msg.round for msg in under_way] == [rounds(c, "n1") - 1] * 2
    for peer, msg in zip(("n2", "n3"), under_way, strict=True):
        c.world.flight["n1", peer].insert(0, msg)
        c.world.deliver("n1", peer)
        c.world.deliver(peer, "n1")
    assert client not in c.replies
    c.settle()
    assert c.replies[client].result == 1


def test_reads_of_one_turn_share_a_round(cluster: Any) -> None:
    c = cluster()
    c.elect("n1")
    c.put("n1", "k", 1)
    core = c.core("n1")
    before = core.round
    sent = []
    for i in range(5):
        sent += core.step(Request(f"r{i}", ClientRequest(0, i, 0, ("get", "k"))))
    assert not [e for e in sent if type(e) is Send]
    effects = core.step(Answer(TURN, 0))
    appends = [e for e in effects if type(e) is Send and type(e.msg) is Append]
    assert len(appends) == 2
    assert core.round == before + 1
    assert len(core.reads) == 5


def test_a_leader_without_its_quorum_answers_no_read(cluster: Any) -> None:
    c = cluster()
    c.elect("n1")
    c.put("n1", "k", 1)
    lost = c.ask("n1", "get", "k")
    c.settle("n1")
    c.elect("n2", "n1")
    assert c.put("n2", "k", 2, "n1").ok
    assert lost not in c.replies
    c.world.fire("n1", "check-quorum")  # the answers to its no-op count for the first one
    c.world.fire("n1", "check-quorum")
    assert c.replies[lost].error == NOT_LEADER


def test_a_new_leader_reads_once_its_no_op_is_committed(cluster: Any) -> None:
    c = cluster()
    c.elect("n1")
    c.put("n1", "k", 1)
    c.silence("n2", "n3")
    c.world.fire("n2", "election")
    while c.core("n2").role != "leader":
        for src, dst in (("n2", "n3"), ("n3", "n2")):
            while c.flying(src, dst) and c.core("n2").role != "leader":
                c.world.deliver(src, dst)
    waiting = c.ask("n2", "get", "k")
    assert c.core("n2").early_reads
    assert waiting not in c.replies
    c.settle("n1")
    assert c.replies[waiting].result == 1


def test_a_follower_asks_and_waits_until_it_has_applied_as_much(cluster: Any) -> None:
    c = cluster()
    c.elect("n1")
    assert c.put("n1", "k", 1, "n3").ok
    client = c.ask("n3", "get", "k")
    c.world.deliver("n3", "n1")
    while c.flying("n1", "n2"):
        c.world.deliver("n1", "n2")
    while c.flying("n2", "n1"):
        c.world.deliver("n2", "n1")
    queue = c.flying("n1", "n3")
    place = next(i for i, m in enumerate(queue) if type(m) is ReadIndexReply)
    c.world.deliver("n1", "n3", place)
    assert client not in c.replies  # it has the index and not the entry
    assert c.core("n3").unapplied_reads
    c.settle()
    assert c.replies[client].result == 1


def test_a_followers_question_is_asked_again_until_it_is_answered(cluster: Any) -> None:
    c = cluster()
    c.elect("n1")
    c.put("n1", "k", 1)
    first = c.ask("n2", "get", "k")
    c.world.drop("n2", "n1")
    later = c.ask("n2", "get", "k")  # waits for a question of its own
    c.world.fire("n2", "ask-again")
    assert len(c.flying("n2", "n1")) == 1
    c.settle()
    assert c.replies[first].result == c.replies[later].result == 1
    assert "ask-again" not in c.core("n2").armed


def test_an_answer_to_an_earlier_incarnation_is_none(cluster: Any) -> None:
    c = cluster()
    c.elect("n1")
    c.put("n1", "k", 1)
    c.ask("n2", "get", "k")
    old = c.flying("n2", "n1")[0]
    assert type(old) is ReadIndex
    c.world.crash("n2")
    c.world.start("n2")
    c.beat("n1")
    c.ask("n2", "get", "k")
    new = c.flying("n2", "n1")[-1]
    assert new.id != old.id


def test_reads_fail_where_nobody_leads(cluster: Any) -> None:
    c = cluster()
    assert c.get("n1", "k").error == NOT_LEADER
    c.elect("n1")
    client = c.ask("n2", "get", "k")
    c.silence("n2")
    c.world.fire("n2", "election")
    assert c.replies[client].error == NOT_LEADER


def test_what_is_malformed_or_too_much_is_refused_at_once(cluster: Any) -> None:
    c = cluster(max_pending=2)
    c.elect("n1")
    reply = c.get("n1", 5)
    assert (reply.error, reply.result) == (BAD_REQUEST, "a key is a string, not 5")
    clients = [c.ask("n1", "get", "k") for _ in range(3)]
    assert c.replies[clients[2]].error == BUSY
    c.settle()
    assert c.replies[clients[1]].ok


def test_a_lone_node_reads_at_once(cluster: Any) -> None:
    c = cluster(1)
    c.elect("n1")
    assert c.put("n1", "k", 1).ok
    assert c.get("n1", "k").result == 1


# -- leases ---------------------------------------------------------------------------------------


def leased(cluster: Any, **options: Any) -> Any:
    c = cluster(lease_reads=True, **options)
    c.elect("n1")
    c.put("n1", "k", 1)
    c.beat("n1")
    return c


def test_while_a_lease_holds_a_read_needs_no_message(cluster: Any) -> None:
    c = leased(cluster)
    before = rounds(c, "n1")
    assert c.replies[c.ask("n1", "get", "k")].result == 1
    assert rounds(c, "n1") == before
    assert not any(c.world.flight.values())


def test_a_lease_is_shorter_than_the_promise_by_what_clocks_may_differ(cluster: Any) -> None:
    c = leased(cluster, election_ns=1_050_000_000, clock_drift_ppm=50_000)
    timers = [v for k, v in c.core("n1").armed.items() if k.startswith("lease/")]
    assert timers == [(950_000_000, 950_000_000)]
    assert c.core("n2").armed["contact"] == (1_050_000_000, 1_050_000_000)


def test_an_expired_lease_means_a_round(cluster: Any) -> None:
    c = leased(cluster)
    for name in [k for k in c.core("n1").armed if k.startswith("lease/")]:
        c.world.fire("n1", name)
    client = c.ask("n1", "get", "k")
    assert client not in c.replies
    c.settle()
    assert c.replies[client].result == 1


def test_a_round_that_nobody_answered_is_no_lease(cluster: Any) -> None:
    c = leased(cluster)
    for name in [k for k in c.core("n1").armed if k.startswith("lease/")]:
        c.world.fire("n1", name)
    c.beat("n1", "n1")
    assert any(k.startswith("lease/") for k in c.core("n1").armed)
    assert c.ask("n1", "get", "k") not in c.replies


def test_after_a_hand_over_began_leases_mean_nothing(cluster: Any) -> None:
    c = leased(cluster)
    c.command("n1", "transfer", node="n2")
    c.settle("n1")
    c.world.fire("n1", "transfer")
    assert c.core("n1").role == "leader"
    assert c.ask("n1", "get", "k") not in c.replies


def test_a_restarted_node_upholds_the_lease_of_whom_it_may_have_heard(cluster: Any) -> None:
    c = leased(cluster)
    c.world.crash("n2")
    c.world.start("n2")
    c.silence("n3")
    c.world.fire("n3", "election")
    c.settle("n1")
    assert c.core("n3").role == "pre-candidate"


def test_a_vote_is_refused_in_contact_whatever_its_term(cluster: Any) -> None:
    """A node that learned of a higher term by the way must not help to win it meanwhile."""
    c = leased(cluster)
    core = c.core("n2")
    core.step(Recv("n3", PreVoteReply(5, False)))
    assert core.term == 5
    core.step(Recv("n3", Vote(5, 99, 5, False)))
    assert core.voted_for is None
    core.step(Recv("n3", Vote(5, 99, 5, True)))
    assert core.voted_for == "n3"
