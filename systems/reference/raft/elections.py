"""Leader election (5.2, 5.4.1) with PreVote and CheckQuorum (thesis 9.6, 6.2), and hand-over.

A node asks first whether it would win (PreVote: no term changes); nobody helps to depose a leader
that it has heard within the minimum election timeout (4.2.3); a leader that has not heard a quorum
for as long steps down. Together they keep a node with bad links from disturbing the others, and a
leader that cannot lead from answering. They would lock out a node whose term is higher than the
leader's, so that one tells the leader, who then steps down (R15).
"""

from __future__ import annotations

from typing import Any, Optional, Union

from dissensus.systems.reference.core.client_messages import DEPOSED, ClientReply
from dissensus.systems.reference.core.durable import NOOP, Entry
from dissensus.systems.reference.core.errors import InvariantError
from dissensus.systems.reference.raft.membership import Membership
from dissensus.systems.reference.raft.messages import (
    Append,
    AppendReply,
    InstallSnapshot,
    InstallSnapshotReply,
    PreVote,
    PreVoteReply,
    TimeoutNow,
    Vote,
    VoteReply,
)
from dissensus.systems.reference.raft.state import (
    CANDIDATE,
    CHECK_QUORUM,
    CONTACT,
    ELECTION,
    FOLLOWER,
    HEARTBEAT,
    LEADER,
    LEASE,
    PRE_CANDIDATE,
    TRANSFER,
)


class Elections(Membership):
    """See the module's first lines."""

    __slots__ = ()

    # -- terms ----------------------------------------------------------------------------------

    def ignores_vote(self, msg: Vote) -> bool:
        """Nobody helps to depose a leader that it has heard within the minimum election timeout,
        unless the leader itself wants it (4.2.3, 3.10). Leases rest on this, so it holds as well
        for a vote in a term that this node has learned of since.
        """
        return not msg.transfer and self.in_contact()

    def enters_term(self, msg: Any) -> bool:
        """Whether a message of a higher term moves this node into it (Fig. 2: Rules for Servers,
        All): PreVote is about a term that has not begun.
        """
        kind = type(msg)
        return not (kind is PreVote or (kind is PreVoteReply and msg.granted))

    def enter_term(self, term: int, vote: Optional[str]) -> None:
        """A higher term begins. `vote`: for whom this node is about to vote in it, so that term
        and vote are one write.
        """
        if term <= self.term:
            raise InvariantError(f"term {self.term} cannot become {term}")
        self.end_transfer(True)
        self.term = term
        self.voted_for = vote
        self.persist_hard()
        self.become_follower()
        self.mark_role()
        if ELECTION not in self.armed:
            self.arm_election()

    def answer_stale(self, src: str, msg: Any) -> None:
        """A message of a lower term: say which term it is (Fig. 2: "reply false if term <
        currentTerm"). An Append is answered too, though its leader has lost nothing yet: it must
        learn of the term, or this node would be stuck above it (R15). Replies are dropped (R5).
        """
        kind = type(msg)
        if kind is PreVote:
            self.send(src, PreVoteReply(self.term, False))
        elif kind is Vote:
            self.send(src, VoteReply(self.term, False))
        elif kind is Append:
            self.send(src, AppendReply(self.term, False, msg.prev_index, 0, 0))
        elif kind is InstallSnapshot:
            self.send(src, InstallSnapshotReply(self.term, msg.last_index, 0, False, 0))

    # -- roles ----------------------------------------------------------------------------------

    def become_follower(self) -> None:
        """Follower without a known leader. What a leader owed to clients is answered: with
        "deposed" where an entry may still be committed by the next leader.
        """
        was_leader = self.role == LEADER
        self.role = FOLLOWER
        self.leader = None
        self.votes = {}
        self.own_vote_at = 0
        self.incoming = None
        if was_leader:
            self.save()
            self.progress = {}
            for name in (HEARTBEAT, CHECK_QUORUM):
                self.cancel_timer(name)
            for round_ in self.lease_rounds:
                self.cancel_timer(f"{LEASE}{round_}")
            self.lease_rounds.clear()
            waiting, self.waiting = self.waiting, {}
            for client, session, seq in waiting.values():
                reply = ClientReply(session, seq, False, None, DEPOSED, None)
                self.answer_client(client, reply)
            self.end_transfer(False)
            self.end_change(False, "deposed")
        self.fail_reads()

    def step_down(self) -> None:
        """A leader without a quorum, or that is no member any more, ends its own term."""
        self.become_follower()
        self.arm_election()
        self.mark_role()

    def follow(self, src: str) -> None:
        """`src` leads this term: it is heard (5.2)."""
        if self.leader != src:
            self.become_follower()
            self.leader = src
            self.mark_role()
        election_ns = self.options.election_ns
        self.set_timer(CONTACT, election_ns, election_ns)
        self.arm_election()

    def in_contact(self) -> bool:
        """Whether this node leads, or heard a leader within the minimum election timeout."""
        return self.role == LEADER or CONTACT in self.armed

    def election_due(self) -> None:
        """Silence for an election timeout (5.2)."""
        self.arm_election()
        if self.may_campaign():
            self.pre_campaign()
        elif self.leader is not None:
            self.become_follower()
            self.mark_role()

    def pre_campaign(self) -> None:
        """Ask whether others would vote for us in the next term (9.6)."""
        self.become_follower()
        self.role = PRE_CANDIDATE
        self.votes = {self.node_id: True}
        self.mark_role()
        if self.elected():
            self.campaign(False)
            return
        log = self.log
        msg = PreVote(self.term + 1, log.last, log.last_term())
        for peer in self.config.members:
            if peer != self.node_id and self.config.is_voter(peer):
                self.send(peer, msg, True)

    def campaign(self, transfer: bool) -> None:
        """Begin an election (Fig. 2: Rules for Servers, Candidates). Its requests, and our own
        vote, wait for the disk.
        """
        self.become_follower()
        self.cancel_timer(CONTACT)
        self.role = CANDIDATE
        self.term += 1
        self.voted_for = self.node_id
        self.persist_hard()
        self.own_vote_at = self.persisted
        self.mark_role()
        log = self.log
        msg = Vote(self.term, log.last, log.last_term(), transfer)
        for peer in self.config.members:
            if peer != self.node_id and self.config.is_voter(peer):
                self.send(peer, msg)
        self.arm_election()

    def become_leader(self) -> None:
        """The first act of a leader is an entry of its own term (thesis 6.4, 3.6.2)."""
        self.role = LEADER
        self.leader = self.node_id
        self.cancel_timer(ELECTION)
        self.cancel_timer(CONTACT)
        self.progress = {}
        self.heard = set()
        self.round = 0
        self.handed_over = False
        self.config_done = 0
        self.term_start = self.log.last + 1
        self.mark_role()
        self.follow_config(self.term_start)
        self.append_entries([Entry(self.term, NOOP, 0, 0, 0, ())])
        self.save()
        self.broadcast()
        self.arm_heartbeat()
        self.arm_check_quorum()

    # -- votes ----------------------------------------------------------------------------------

    def on_pre_vote(self, src: str, msg: PreVote) -> None:
        """Grant iff a vote would be possible, and no leader is there to be deposed (9.6)."""
        granted = msg.term > self.term and not self.in_contact() and self.up_to_date(msg)
        self.send(src, PreVoteReply(msg.term if granted else self.term, granted))

    def on_pre_vote_reply(self, src: str, msg: PreVoteReply) -> None:
        """Enough of them: begin the election proper."""
        if self.role == PRE_CANDIDATE and msg.granted and msg.term == self.term + 1:
            self.count_vote(src, True)
            if self.elected():
                self.campaign(False)

    def on_vote(self, src: str, msg: Vote) -> None:
        """RequestVote, receiver's rule 2 (Fig. 2). Any node votes: one that does not know yet that
        it is a voter may be needed for the quorum (R8).
        """
        granted = self.grants(src, msg)
        if granted:
            if self.voted_for is None:
                self.voted_for = src
                self.persist_hard()
            self.arm_election()
        self.send(src, VoteReply(self.term, granted))

    def grants(self, src: str, msg: Vote) -> bool:
        """Whether the vote of this term goes to `src`: one vote a term, to a complete log only."""
        return self.voted_for in (None, src) and self.may_vote() and self.up_to_date(msg)

    def may_vote(self) -> bool:
        """Everybody who is asked (R8)."""
        return True

    def up_to_date(self, msg: Union[PreVote, Vote]) -> bool:
        """Whether the candidate's log is at least as up to date: by the last term, then by length
        (5.4.1).
        """
        return (msg.last_term, msg.last_index) >= (self.log.last_term(), self.log.last)

    def on_vote_reply(self, src: str, msg: VoteReply) -> None:
        """Count a vote."""
        if self.role == CANDIDATE:
            self.count_vote(src, msg.granted)
            self.win()

    def count_vote(self, src: str, granted: bool) -> None:
        """By sender: a reply that arrives twice is one vote (R5)."""
        self.votes[src] = granted

    def win(self) -> None:
        """Become leader with a quorum of votes (Fig. 2)."""
        if self.role == CANDIDATE and self.elected():
            self.become_leader()

    def elected(self) -> bool:
        """Whether those who granted are a quorum of the configuration in force."""
        return self.config.quorum([node for node, granted in self.votes.items() if granted])

    def count_own_vote(self) -> None:
        """Our own vote counts once it is durable."""
        if self.role == CANDIDATE and self.own_vote_at:
            self.own_vote_at = 0
            self.count_vote(self.node_id, True)
            self.win()

    def campaign_now(self, client: Any) -> None:
        """An operator wants an election: as if the timer had come due. Not while a leader is
        heard: this node has promised to help nobody, itself included, to depose it.
        """
        why = None
        if not self.may_campaign():
            why = "this node leads" if self.role == LEADER else "this node is no voter"
        elif self.in_contact():
            why = f"{self.leader} leads: transfer leadership instead"
        if why is None:
            self.election_due()
            self.answer_client(client, {"ok": True, "role": self.role, "term": self.term})
        else:
            self.answer_client(client, {"ok": False, "error": why, "leader": self.leader})

    # -- the leader's timers --------------------------------------------------------------------

    def arm_heartbeat(self) -> None:
        """Idle leaders are heard too (5.2)."""
        heartbeat_ns = self.options.heartbeat_ns
        self.set_timer(HEARTBEAT, heartbeat_ns, heartbeat_ns)

    def heartbeat_due(self) -> None:
        """Begin a round."""
        self.broadcast()
        self.arm_heartbeat()

    def arm_check_quorum(self) -> None:
        """The leader's own election timeout (6.2)."""
        election_ns = self.options.election_ns
        self.set_timer(CHECK_QUORUM, election_ns, election_ns)

    def check_quorum_due(self) -> None:
        """Step down unless a quorum was heard since the last check (6.2, 9.6)."""
        if self.hears_quorum():
            self.heard = set()
            self.arm_check_quorum()
        else:
            self.step_down()

    def hears_quorum(self) -> bool:
        """Whether those who answered since the last check, with this node, are a quorum."""
        return self.config.quorum({*self.heard, self.node_id})

    # -- hand-over (thesis 3.10) ----------------------------------------------------------------

    def transfer(self, client: Any, target: Optional[str]) -> None:
        """Take no more requests, bring `target` up to date, then let it begin an election."""
        others = [node for node in self.config.voters if node in self.progress]
        why = None
        if self.role != LEADER:
            why = "not_leader"
        elif self.transfer_to is not None:
            why = "leadership is being handed over"
        elif not others or (target is not None and target not in others):
            why = f"{target or 'nobody'} is another voter: {', '.join(others) or 'none'} could be"
        if why is not None:
            self.answer_client(client, {"ok": False, "error": why, "leader": self.leader})
            return
        self.transfer_to = target or max(others, key=lambda node: self.progress[node].match)
        self.transfer_client = client
        election_ns = self.options.election_ns
        self.set_timer(TRANSFER, election_ns, election_ns)
        self.hand_over()

    def hand_over(self) -> None:
        """Send TimeoutNow once the target's log is complete."""
        target = self.transfer_to
        if target is not None and self.progress[target].match == self.log.last:
            self.handed_over = True
            self.send(target, TimeoutNow(self.term))

    def end_transfer(self, deposed: bool) -> None:
        """Handed over, as a higher term shows, or given up after an election timeout."""
        if self.transfer_to is None:
            return
        client, target = self.transfer_client, self.transfer_to
        self.transfer_to = self.transfer_client = None
        self.cancel_timer(TRANSFER)
        if deposed:
            self.answer_client(client, {"ok": True, "to": target})
        else:
            self.answer_client(client, {"ok": False, "error": f"{target} did not take over"})

    def on_timeout_now(self, src: str, msg: TimeoutNow) -> None:
        """The leader hands over: campaign without PreVote."""
        if self.may_campaign():
            self.campaign(True)
