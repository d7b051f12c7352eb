"""Linearizable reads without the log (thesis 6.4): ReadIndex, leases, and reads at followers.

ReadIndex: the leader notes its commit index, then begins a *round*, in which it asks everybody
whether they still follow it; once a quorum has answered in this term, no other leader can have
committed anything before the read began. One round serves all reads that arrived before it. Every
Append and chunk carries the number of the latest round, and every answer of the same term returns
it, whatever else it says.

A follower asks its leader for such an index, waits until it has applied as far, and answers from
its own state.

Leases (6.4.1): when a round is *sent*, its lease timer is set to the minimum election timeout,
shortened by what clocks may differ. While that timer is armed and a quorum has answered the round,
each of them has heard this leader so recently that it helps nobody to be elected (`Elections`: the
contact timer), so the leader reads at once. A hand-over ends all leases of the term: the vote that
it asks for is given in spite of the contact.
"""

from __future__ import annotations

from typing import Any, List, Optional

from dissensus.systems.reference.core.client_messages import (
    BAD_REQUEST,
    BUSY,
    NOT_LEADER,
    ClientRequest,
)
from dissensus.systems.reference.core.errors import PeerError
from dissensus.systems.reference.raft.messages import ReadIndex, ReadIndexReply
from dissensus.systems.reference.raft.progress import Progress
from dissensus.systems.reference.raft.replication import Replication
from dissensus.systems.reference.raft.state import ASK_AGAIN, LEADER, LEASE, Client, Read

PPM = 1_000_000


class Reads(Replication):
    """See the module's first lines. Who reads is a `Read` of our own client, or (follower, id)."""

    __slots__ = ()

    # -- clients --------------------------------------------------------------------------------

    def read(self, client: Client, request: ClientRequest) -> None:
        """A client of this node reads."""
        why = self.machine.check(request.op)
        if why is not None:
            self.refuse(client, request, BAD_REQUEST, why)
        elif self.pending_reads() >= self.options.max_pending:
            self.refuse(client, request, BUSY)
        elif self.role == LEADER:
            self.read_at_leader((client, request))
        elif self.leader is None or not self.read_id:
            self.refuse(client, request, NOT_LEADER)
        else:
            self.to_ask.append((client, request))
            self.ask_turn()

    def pending_reads(self) -> int:
        """Reads that have no answer yet."""
        waiting = sum(len(reads) for _, reads in self.unapplied_reads)
        early = len(self.early_reads)
        return len(self.reads) + early + len(self.asked) + len(self.to_ask) + waiting

    def fail_reads(self) -> None:
        """Leader or term has changed: reads that have no index yet fail, which harms nothing."""
        ours = [who for _, _, who in self.reads] + self.early_reads
        for who in [*ours, *self.asked, *self.to_ask]:
            if type(who[1]) is ClientRequest:
                self.refuse(who[0], who[1], NOT_LEADER)
        self.reads.clear()
        self.early_reads = []
        self.asked = []
        self.to_ask = []
        self.asked_id = 0
        self.cancel_timer(ASK_AGAIN)

    # -- the leader's side ----------------------------------------------------------------------

    def read_at_leader(self, who: Any) -> None:
        """Find an index for a read, by a lease or by a round."""
        if not self.knows_commit():
            self.early_reads.append(who)
        elif self.options.lease_reads and self.lease_holds():
            self.give_index(who, self.commit)
        else:
            # A round that is under way may have been answered before this read began.
            self.reads.append((self.round + 1, self.commit, who))
            self.ask_turn()

    def knows_commit(self) -> bool:
        """Whether the commit index covers everything committed in earlier terms: once an entry of
        this term is committed (6.4 step 1).
        """
        return self.commit >= self.term_start

    def release_early_reads(self) -> None:
        """The first entry of the term is committed."""
        if self.early_reads:
            early, self.early_reads = self.early_reads, []
            for who in early:
                self.read_at_leader(who)

    def begin_due_round(self) -> None:
        """Begin a round if reads wait for one and none is under way for earlier reads."""
        if self.reads and self.reads[0][0] > self.round:
            self.broadcast()

    def broadcast(self) -> None:
        """Begin a round: ask everybody, with the entries they lack or with a heartbeat."""
        self.round += 1
        if self.options.lease_reads:
            lease_ns = self.lease_ns()
            self.set_timer(f"{LEASE}{self.round}", lease_ns, lease_ns)
            self.lease_rounds.append(self.round)
        for peer, progress in self.progress.items():
            if not self.feed(peer, progress):
                self.heartbeat(peer, progress)
        self.round_answered()

    def answered(self, src: str, round_: int) -> Optional[Progress]:
        """A follower answered in this term, to something sent in `round_` or later."""
        if self.role != LEADER:
            return None
        progress = self.progress.get(src)
        if progress is None:
            return None
        if round_ > self.round:
            raise PeerError(f"{src} answers round {round_}, the latest is {self.round}")
        self.heard.add(src)
        if round_ > progress.acked:
            progress.acked = round_
            self.round_answered()
        return progress

    def round_answered(self) -> None:
        """Give an index to the reads whose round is confirmed."""
        reads = self.reads
        leases = self.lease_rounds
        if not reads and not leases:
            return
        confirmed = self.confirmed_round()
        while len(leases) > 1 and leases[1] <= confirmed:
            self.cancel_timer(f"{LEASE}{leases.popleft()}")
        while reads and reads[0][0] <= confirmed:
            _, index, who = reads.popleft()
            self.give_index(who, index)
        self.begin_due_round()

    def confirmed_round(self) -> int:
        """The latest round in which a quorum answered, this node included (6.4 step 3)."""
        return self.config.value(self.round_of)

    def round_of(self, node: str) -> int:
        """The latest round that `node` answered."""
        if node == self.node_id:
            return self.round
        progress = self.progress.get(node)
        return 0 if progress is None else progress.acked

    def give_index(self, who: Any, index: int) -> None:
        """A read may be answered by whoever has applied `index`."""
        if type(who[1]) is ClientRequest:
            self.answer_when_applied(index, [who])
        else:
            follower, id_ = who
            self.send(follower, ReadIndexReply(self.term, id_, index), True)

    def on_read_index(self, src: str, msg: ReadIndex) -> None:
        """A follower asks for an index. It asks again where it gets no answer."""
        if self.role == LEADER and self.pending_reads() < self.options.max_pending:
            self.read_at_leader((src, msg.id))

    # -- leases ---------------------------------------------------------------------------------

    def lease_ns(self) -> int:
        """How long a lease lasts on this node's clock (6.4.1: "election timeout / clock drift
        bound"). This clock may be slow and a follower's fast, each by the drift: a second here may
        be (1 + d) / (1 - d) seconds there. Lease reads are safe only while that bound holds (R13).
        """
        drift = self.options.clock_drift_ppm
        return self.options.election_ns * (PPM - drift) // (PPM + drift)

    def lease_holds(self) -> bool:
        """Whether the timer of a confirmed round is armed, and leadership was not handed over."""
        if self.handed_over or not self.lease_rounds:
            return False
        return self.lease_rounds[0] <= self.confirmed_round()

    def lease_expired(self, round_: int) -> None:
        """The lease timer of a round came due."""
        if round_ in self.lease_rounds:
            self.lease_rounds.remove(round_)

    # -- the follower's side --------------------------------------------------------------------

    def ask_leader(self) -> None:
        """Ask for the waiting reads, unless a question is under way: its answer would not do for
        reads that came after it was asked.
        """
        if self.to_ask and not self.asked:
            self.asked, self.to_ask = self.to_ask, []
            self.read_id += 1
            self.asked_id = self.read_id
            self.ask_again()

    def ask_again(self) -> None:
        """Send the question, the same one as long as it has no answer."""
        if self.asked and self.leader is not None:
            self.send(self.leader, ReadIndex(self.term, self.asked_id))
            wait_ns = 2 * self.options.heartbeat_ns
            self.set_timer(ASK_AGAIN, wait_ns, wait_ns)

    def on_read_index_reply(self, src: str, msg: ReadIndexReply) -> None:
        """The leader's answer: wait until as much is applied here."""
        if msg.id != self.asked_id:
            return
        asked, self.asked = self.asked, []
        self.asked_id = 0
        self.cancel_timer(ASK_AGAIN)
        self.answer_when_applied(msg.index, asked)
        self.ask_leader()

    def answer_when_applied(self, index: int, reads: List[Read]) -> None:
        """6.4 step 4: wait for the state machine to reach the index."""
        if self.applied >= index:
            for read in reads:
                self.answer_read(read)
        else:
            self.unapplied_reads.append((index, reads))

    def applied_more(self) -> None:
        """Answer what waited for the state machine."""
        if self.unapplied_reads:
            ready = [reads for index, reads in self.unapplied_reads if index <= self.applied]
            self.unapplied_reads = [w for w in self.unapplied_reads if w[0] > self.applied]
            for reads in ready:
                for read in reads:
                    self.answer_read(read)
