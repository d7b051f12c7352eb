"""Log replication (5.3), the commitment rule (5.4.2), applying, and compaction's trigger.

The leader gives new entries to its disk and to the followers at the same time (thesis 10.2.1), in
batches that end when all that has arrived was looked at, and without waiting for earlier batches.
It counts itself only for what its own disk has confirmed.
"""

from __future__ import annotations

from typing import Any, List

from dissensus.systems.reference.core.client_messages import (
    BAD_REQUEST,
    BUSY,
    NOT_LEADER,
    ClientReply,
    ClientRequest,
)
from dissensus.systems.reference.core.durable import (
    COMMAND,
    CONFIG,
    OPEN_SESSION,
    Entry,
)
from dissensus.systems.reference.core.durable import Append as AppendPatch
from dissensus.systems.reference.core.effects import Applied
from dissensus.systems.reference.core.errors import InvariantError, PeerError
from dissensus.systems.reference.raft.config import Config
from dissensus.systems.reference.raft.messages import Append, AppendReply
from dissensus.systems.reference.raft.progress import PROBE, REPLICATE, SNAPSHOT, Progress
from dissensus.systems.reference.raft.snapshots import Snapshots
from dissensus.systems.reference.raft.state import LEADER, Client


class Replication(Snapshots):
    """See the module's first lines."""

    __slots__ = ()

    # -- the log --------------------------------------------------------------------------------

    def append_entries(self, entries: List[Entry]) -> None:
        """Append to the log in memory. A configuration is in force from here on (R7)."""
        index = self.log.last
        if entries and entries[0].term < self.log.last_term():
            raise InvariantError(f"{entries[0]} cannot follow term {self.log.last_term()}")
        self.log.extend(entries)
        for entry in entries:
            index += 1
            if entry.kind == CONFIG:
                self.config_appended(index, Config.unpack(entry.op))

    def truncate(self, first: int) -> None:
        """Drop the entries from `first` on: they conflict with the leader's (Fig. 2
        AppendEntries rule 3). A configuration among them is no longer in force.
        """
        if first <= self.commit:
            raise InvariantError(f"entry {first} is committed (commit {self.commit}) and conflicts")
        self.log.truncate(first)
        self.cut_writing(first)
        while len(self.configs) > 1 and self.configs[-1][0] >= first:
            self.configs.pop()
        self.adopt_configs(self.configs)

    def cut_writing(self, first: int) -> None:
        """What the disk will report as written from `first` on is not the log any more: a late
        report must not count for the entries that take its place (ABA, R10).
        """
        self.durable = min(self.durable, first - 1)
        self.stored = min(self.stored, first - 1)
        for at, (number, index) in enumerate(self.writing):
            if index >= first:
                self.writing[at] = (number, first - 1)

    def save(self) -> None:
        """Give the disk what it does not have."""
        last = self.log.last
        if self.stored < last:
            first = self.stored + 1
            self.persist(AppendPatch(first, self.log.slice(first, last)))
            self.writing.append((self.persisted, last))
            self.stored = last

    def persisted_up_to(self, number: int) -> None:
        """The disk has confirmed Persists up to `number`."""
        writing = self.writing
        while writing and writing[0][0] <= number:
            self.durable = max(self.durable, writing.popleft()[1])
        if not self.durable <= self.stored <= self.log.last:
            raise InvariantError(
                f"on disk {self.durable}, given to it {self.stored}, in the log {self.log.last}"
            )

    # -- clients --------------------------------------------------------------------------------

    def update(self, client: Client, request: ClientRequest) -> None:
        """Put a client's update into the log."""
        if self.role != LEADER:
            self.refuse(client, request, NOT_LEADER)
            return
        why = self.machine.check(request.op)
        if why is not None:
            self.refuse(client, request, BAD_REQUEST, why)
            return
        session, seq = request.session, request.seq
        known = self.machine.cached(session, seq) if session else None
        if known is not None:
            # Applied already (thesis 6.3): the client has lost the reply, not the effect.
            self.answer_client(client, ClientReply(session, seq, *known, None))
            return
        entry = Entry(self.term, COMMAND, session, seq, request.acked, request.op)
        self.accept(client, request, entry)

    def open_session(self, client: Client, request: Any) -> None:
        """Put the opening of a session into the log: its index becomes the session's id."""
        if self.role != LEADER:
            self.refuse(client, request, NOT_LEADER)
            return
        self.accept(client, request, Entry(self.term, OPEN_SESSION, 0, request.seq, 0, ()))

    def accept(self, client: Client, request: Any, entry: Entry) -> None:
        """Propose a client's entry, unless too many wait or leadership is being handed over."""
        if self.transfer_to is not None or len(self.waiting) >= self.options.max_pending:
            self.refuse(client, request, BUSY)
            return
        index = self.propose(entry)
        self.waiting[index] = (client, entry.session, entry.seq)

    def propose(self, entry: Entry) -> int:
        """Append to the leader's log; it leaves at the end of this turn. Returns its index."""
        self.append_entries([entry])
        self.ask_turn()
        return self.log.last

    # -- sending --------------------------------------------------------------------------------

    def ship(self) -> None:
        """The end of a turn: give new entries to the disk and to every follower, in a new round if
        reads wait for one.
        """
        self.save()
        self.begin_due_round()
        for peer, progress in self.progress.items():
            self.feed(peer, progress)

    def feed(self, peer: str, progress: Progress) -> bool:
        """Send entries that `peer` lacks, as far as its pipeline allows; whether any left."""
        fed = False
        last = self.log.last
        while progress.next <= last:
            if progress.state == REPLICATE:
                if len(progress.inflight) >= self.options.max_inflight:
                    break
            elif progress.paused or progress.state == SNAPSHOT:
                break
            self.send_append(peer, progress, self.options.max_entries)
            fed = True
        return fed

    def send_append(self, peer: str, progress: Progress, limit: int) -> None:
        """One Append with at most `limit` entries, or the snapshot where the log is too short."""
        log = self.log
        previous = progress.next - 1
        if previous < log.first - 1:
            self.start_snapshot(peer, progress)
            return
        entries = log.slice(previous + 1, min(log.last, previous + limit)) if limit else []
        term = log.term_at(previous)
        msg = Append(self.term, previous, term, self.commit, self.round, entries)
        self.send(peer, msg, True)
        if progress.state == PROBE:
            progress.paused = True
        elif entries:
            progress.next = previous + 1 + len(entries)
            progress.inflight.append(progress.next - 1)

    def heartbeat(self, peer: str, progress: Progress) -> None:
        """Ask `peer` whether it follows, and whether its log reaches as far as was sent: an Append
        without entries (5.2). It is small because the peer may be away.
        """
        if progress.state == SNAPSHOT:
            self.nudge_snapshot(peer, progress)
        else:
            self.send_append(peer, progress, 0)

    # -- receiving ------------------------------------------------------------------------------

    def on_append(self, src: str, msg: Append) -> None:
        """AppendEntries, receiver's rules 2 to 5 (Fig. 2)."""
        if self.role == LEADER:
            raise PeerError(f"{src} leads term {msg.term}, which this node leads")
        self.follow(src)
        log = self.log
        previous = msg.prev_index
        entries = msg.entries
        reach = previous + len(entries)
        covered = self.covered(previous)
        if covered > 0:
            entries = entries[covered:]
            previous = min(reach, previous + covered)
        elif not self.matches(previous, msg.prev_term):
            hint = self.refusal_hint(previous)
            self.send(src, AppendReply(self.term, False, previous, hint, msg.round))
            return
        new = self.first_new(previous, entries)
        if new < len(entries):
            if previous + new < log.last:
                self.truncate(previous + new + 1)
            self.append_entries(entries[new:] if new else entries)
            self.save()
        commit = self.commit_bound(msg, reach)
        if commit > self.commit:
            self.commit_to(commit)
        self.acknowledge(src, AppendReply(self.term, True, reach, 0, msg.round))

    def covered(self, previous: int) -> int:
        """How many of the entries behind `previous` lie before the log's first: a snapshot covers
        them, so they are committed. They are skipped, they are no conflict (R11).
        """
        return self.log.first - 1 - previous

    def matches(self, index: int, term: int) -> bool:
        """Whether the log holds an entry of this term at `index` (Fig. 2 AppendEntries rule 2)."""
        return self.log.term_at(index) == term

    def first_new(self, previous: int, entries: List[Entry]) -> int:
        """Position of the first entry behind `previous` that the log lacks or that conflicts with
        it. Entries that match stay, whatever follows them: an old Append must not cut off what a
        later one brought (R2).
        """
        log = self.log
        if previous == log.last:
            return 0
        for at, entry in enumerate(entries, 1):
            if log.term_at(previous + at) != entry.term:
                return at - 1
        return len(entries)

    def commit_bound(self, msg: Append, reach: int) -> int:
        """Up to where this message proves commitment: min(leaderCommit, index of last new entry),
        for what lies behind may not be the leader's (Fig. 2 AppendEntries rule 5, R3).
        """
        return min(msg.commit, reach)

    def refusal_hint(self, previous: int) -> int:
        """Where the leader should go on: behind our log's end, or at the first entry of the term
        that conflicts (5.3, last paragraphs).
        """
        log = self.log
        if previous > log.last:
            return log.last + 1
        return log.first_of_term(previous, self.commit + 1)

    def acknowledge(self, src: str, reply: AppendReply) -> None:
        """Say that the log matches: once it is durable, so not early."""
        self.send(src, reply)

    def on_append_reply(self, src: str, msg: AppendReply) -> None:
        """The leader's rules for AppendEntries results (Fig. 2: Rules for Servers, Leaders)."""
        progress = self.answered(src, msg.round)
        if progress is None:
            return
        if msg.ok:
            self.log_reached(src, progress, msg.index)
        elif msg.index > progress.match and progress.state != SNAPSHOT:
            # "If AppendEntries fails because of log inconsistency: decrement nextIndex and retry".
            if progress.state == PROBE and msg.index != progress.next - 1:
                return  # the answer to an earlier probe
            progress.probe(min(msg.index, msg.hint))
            self.feed(src, progress)

    def log_reached(self, peer: str, progress: Progress, index: int) -> None:
        """The log of `peer` matches up to `index`."""
        if index > self.log.last:
            raise PeerError(f"{peer} acknowledges {index}, the log ends at {self.log.last}")
        if progress.acknowledged(index):
            snapshot = progress.snapshot
            if snapshot is not None and index >= snapshot.last_index:
                progress.probe(index + 1)
                progress.acknowledged(index)
            self.advance_commit()
        if self.role == LEADER:
            self.feed(peer, progress)
            if self.transfer_to == peer:
                self.hand_over()

    # -- commitment -----------------------------------------------------------------------------

    def advance_commit(self) -> None:
        """Commit what a quorum has (Fig. 2: Rules for Servers, Leaders, last rule)."""
        index = self.quorum_match()
        if index > self.commit and self.commits(index):
            self.commit_to(index)
            self.committed_more()

    def quorum_match(self) -> int:
        """The highest index that a quorum of the configuration in force has durably (R12)."""
        return self.config.value(self.match_of)

    def match_of(self, node: str) -> int:
        """The highest index that `node` is known to have."""
        if node == self.node_id:
            return self.own_match()
        progress = self.progress.get(node)
        return 0 if progress is None else progress.match

    def own_match(self) -> int:
        """A leader counts itself only for what its disk has confirmed (R14)."""
        return self.durable

    def commits(self, index: int) -> bool:
        """Only entries of the leader's own term are committed by counting; older ones are with
        them (5.4.2, Fig. 8, R1).
        """
        return self.log.term_at(index) == self.term

    def commit_to(self, index: int) -> None:
        """Everything up to `index` is committed: apply it (Fig. 2: Rules for Servers, All)."""
        if index > self.log.last:
            raise InvariantError(f"commit {index} lies behind the end of the log {self.log.last}")
        self.commit = index
        log, machine, waiting = self.log, self.machine, self.waiting
        effects = self.effects
        while self.applied < index:
            at = self.applied + 1
            entry = log.entry(at)
            outcome = machine.apply(at, entry)
            self.applied = at
            effects.append(Applied(at, machine.digest, entry))
            asker = waiting.pop(at, None)
            if asker is not None:
                client, session, seq = asker
                self.answer_client(client, ClientReply(session, seq, *outcome, None))
        self.applied_more()
        self.compact_if_due()

    def config_appended(self, index: int, config: Config) -> None:
        """A configuration entered the log (`Membership`)."""
        raise NotImplementedError
