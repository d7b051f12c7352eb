"""Raft: the core that a host drives, `step(event) -> effects`.

Model: crash-stop with recovery, n = 2f + 1; asynchronous network that loses, doubles and reorders;
safety never depends on time, except for lease reads (off by default; `Options.clock_drift_ppm`).
Source: Ongaro, Ousterhout, "In Search of an Understandable Consensus Algorithm" (ATC 2014: "Fig."
and 5.x below), and Ongaro's thesis "Consensus: Bridging Theory and Practice" (2014: the rest).

Messages (`messages.py`): PreVote, Vote, Append, InstallSnapshot, each with its reply; TimeoutNow;
ReadIndex and its reply. Durable (`core/durable.py`): term and vote, log, snapshot with its
configuration. Everything else is volatile, the commit index included.

Rules live in layers, each with the paper's numbers: `elections.py` (5.2, 5.4.1, 9.6, 3.10),
`membership.py` (4), `reads.py` (6.4), `replication.py` (5.3, 5.4.2), `snapshots.py` (5).

Known bugs and where each is guarded (one small method each; ids of `R1` to `R17` in the comments):
    R1   old-term entries committed by counting          `commits`
    R2   log cut without a conflict                      `first_new`
    R3   follower commits past the last new entry        `commit_bound`
    R4   term and vote not durable before the answer     `persist_hard`
    R5   votes or acknowledgements counted twice or late `count_vote`, `answer_stale`
    R6   members changed before an own-term commit       `may_change`
    R7   configuration used when applied                 `config_appended`, `adopt_configs`
    R8   a learner refuses to vote                       `may_vote`
    R9   a removed id comes back blank                   `check_ids`
    R10  late disk report counts for other entries       `cut_writing`
    R11  compacted previous entry taken for a conflict   `covered`
    R12  commitment by less than a quorum                `quorum_match`
    R13  lease outlives what clocks guarantee            `lease_ns`, `lease_holds`
    R14  leader counts itself before its fsync           `own_match`
    R15  node of a higher term stuck                     `answer_stale`
    R16  snapshot restored without its configuration     `adopt_configs`
    R17  one counter for both halves of a joint quorum   `elected`, `quorum_match`
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, Dict, List

from dissensus.systems.reference.core.client_messages import ClientRequest
from dissensus.systems.reference.core.durable import CONFIG
from dissensus.systems.reference.core.effects import Applied, Ask, Effect
from dissensus.systems.reference.core.errors import InvariantError, PeerError
from dissensus.systems.reference.core.events import (
    Admin,
    Answer,
    Event,
    Persisted,
    Recv,
    Request,
    Start,
    Timer,
)
from dissensus.systems.reference.raft.config import Config
from dissensus.systems.reference.raft.elections import Elections
from dissensus.systems.reference.raft.messages import (
    Append,
    AppendReply,
    InstallSnapshot,
    InstallSnapshotReply,
    PreVote,
    PreVoteReply,
    ReadIndex,
    ReadIndexReply,
    TimeoutNow,
    Vote,
    VoteReply,
)
from dissensus.systems.reference.raft.state import (
    ASK_AGAIN,
    CHECK_QUORUM,
    CONTACT,
    ELECTION,
    HEARTBEAT,
    LEADER,
    LEASE,
    READ_ID,
    TRANSFER,
    State,
)

ON_EVENT = {
    Start: "on_start",
    Recv: "on_recv",
    Timer: "on_timer",
    Request: "on_request",
    Persisted: "on_persisted",
    Answer: "on_answer",
    Admin: "on_admin",
}
ON_MESSAGE = {
    PreVote: "on_pre_vote",
    PreVoteReply: "on_pre_vote_reply",
    Vote: "on_vote",
    VoteReply: "on_vote_reply",
    Append: "on_append",
    AppendReply: "on_append_reply",
    InstallSnapshot: "on_install_snapshot",
    InstallSnapshotReply: "on_install_snapshot_reply",
    TimeoutNow: "on_timeout_now",
    ReadIndex: "on_read_index",
    ReadIndexReply: "on_read_index_reply",
}
REPLIES = (PreVoteReply, VoteReply, AppendReply, InstallSnapshotReply, ReadIndexReply)


class Raft(Elections):
    """One node. See `core.protocol.Protocol` for the interface, `state.State` for the arguments.

    After a PeerError what was done before it still counts: its effects leave with the next step's.
    """

    __slots__ = ()

    def step(self, event: Event) -> List[Effect]:
        """Take one event, return the effects in order. PeerError, InvariantError."""
        getattr(self, ON_EVENT[type(event)])(event)
        effects, self.effects = self.effects, []
        return effects

    # -- events ---------------------------------------------------------------------------------

    def on_start(self, event: Start) -> None:
        """Begin an incarnation on what the disk holds."""
        durable = event.durable
        if durable is not None:
            self.term = durable.term
            self.voted_for = durable.voted_for
            self.restore(durable)
        self.effects.append(Ask(READ_ID, "entropy"))
        self.mark_role()
        self.arm_election()
        if self.options.lease_reads:
            # Before the crash a leader may have been heard, whose lease this node upholds.
            election_ns = self.options.election_ns
            self.set_timer(CONTACT, election_ns, election_ns)

    def restore(self, durable: Any) -> None:
        """Snapshot, log and configurations from the disk."""
        snapshot = durable.snapshot
        if snapshot is not None:
            self.snapshot = snapshot
            self.machine.restore(snapshot.data)
            self.log.reset(snapshot.last_index, snapshot.last_term)
            self.adopt_configs([(snapshot.last_index, Config.unpack(snapshot.config))])
            self.commit = self.applied = snapshot.last_index
            self.effects.append(Applied(self.applied, self.machine.digest, None))
        self.append_entries(durable.entries)
        self.stored = self.durable = self.log.last

    def on_recv(self, event: Recv) -> None:
        """A message: first what its term means (Fig. 2: Rules for Servers, All), then itself."""
        src, msg = event.src, event.msg
        kind = type(msg)
        if kind is Append or kind is InstallSnapshot:
            check_form(src, msg)
        if msg.term < self.term:
            self.answer_stale(src, msg)
            return
        if kind is Vote and self.ignores_vote(msg):
            return
        if msg.term > self.term and self.enters_term(msg):
            grants = kind is Vote and self.may_vote() and self.up_to_date(msg)
            self.enter_term(msg.term, src if grants else None)
        getattr(self, ON_MESSAGE[kind])(src, msg)

    def on_timer(self, event: Timer) -> None:
        """A timer came due."""
        name = event.name
        self.armed.pop(name, None)
        if name == ELECTION:
            self.election_due()
        elif name == HEARTBEAT:
            self.heartbeat_due()
        elif name == CHECK_QUORUM:
            self.check_quorum_due()
        elif name == TRANSFER:
            self.end_transfer(False)
        elif name == ASK_AGAIN:
            self.ask_again()
        elif name.startswith(LEASE):
            self.lease_expired(int(name[len(LEASE) :]))
        elif name != CONTACT:  # that one only has to be gone
            raise InvariantError(f"unknown timer {name!r}")

    def on_request(self, event: Request) -> None:
        """A client's message."""
        request = event.op
        if type(request) is not ClientRequest:
            self.open_session(event.client, request)
        elif request.op[:1] == ("get",):
            self.read(event.client, request)
        else:
            self.update(event.client, request)

    def on_persisted(self, event: Persisted) -> None:
        """The disk has confirmed Persists."""
        self.persisted_up_to(event.up_to)
        if self.role == LEADER:
            self.advance_commit()
        elif self.own_vote_at and self.own_vote_at <= event.up_to:
            self.count_own_vote()

    def on_answer(self, event: Answer) -> None:
        """The driver's answer: a random number for ids, or the end of a turn."""
        if event.token == READ_ID:
            self.read_id = (event.value >> 1) + 1  # room to count up within 64 bits; not 0
            return
        self.turn_asked = False
        if self.role == LEADER:
            self.ship()
        else:
            self.ask_leader()

    def on_admin(self, event: Admin) -> None:
        """An operator's command: (name, arguments), checked by `host/raft_kit.py`."""
        command, args = event.op
        client = event.client
        if command in ("add", "promote", "remove") or (command == "config" and args):
            self.change_members(client, command, args)
        elif command == "config":
            self.answer_client(client, {"ok": True, "config": self.config_fields()})
        elif command == "snapshot":
            taken = self.take_snapshot()
            self.answer_client(client, {"ok": True, "taken": taken, "index": self.applied})
        elif command == "transfer":
            self.transfer(client, args["node"])
        else:
            self.campaign_now(client)

    # -- for drivers ----------------------------------------------------------------------------

    def abstract(self) -> Any:
        """(role, term, vote, log, commit, configuration, votes, next and match): the variables of
        raft.tla as nested tuples.
        """
        log = tuple((entry.term, entry.kind, entry.op) for entry in self.log.entries)
        votes = tuple(sorted(node for node, granted in self.votes.items() if granted))
        progress = tuple((peer, p.next, p.match) for peer, p in sorted(self.progress.items()))
        return (
            self.role,
            self.term,
            self.voted_for,
            (self.log.first, self.log.base_term, log),
            self.commit,
            self.config.pack(),
            votes,
            progress,
        )

    def fingerprint(self) -> int:
        """64 bits of everything: numbers that only grow are taken relative to the latest."""
        latest, round_ = self.persisted, self.round
        leases = [name for name in self.armed if name.startswith(LEASE)]
        armed = sorted((k, v) for k, v in self.armed.items() if k not in leases)
        reads = [(need - round_, index, who) for need, index, who in self.reads]
        followers = [
            (peer, p.acked - round_, p.key()[:4], p.key()[5:])
            for peer, p in sorted(self.progress.items())
        ]
        incoming = self.incoming and (self.incoming.identity, self.incoming.data)
        state = (
            (self.abstract(), self.leader, self.applied, self.machine.digest, armed),
            (self.stored, self.durable, [(n - latest, index) for n, index in self.writing]),
            (self.own_vote_at and self.own_vote_at - latest, sorted(self.votes.items())),
            (followers, self.term_start, sorted(self.heard), sorted(self.waiting.items())),
            (reads, self.early_reads, [r - round_ for r in self.lease_rounds], self.turn_asked),
            (self.transfer_to, self.transfer_client, self.handed_over),
            (self.config_client, self.config_done, self.configs),
            (self.asked_id and self.asked_id - self.read_id, self.asked, self.to_ask),
            (self.unapplied_reads, incoming, self.snapshot and self.snapshot.last_index),
        )
        return int.from_bytes(blake2b(repr(state).encode(), digest_size=8).digest(), "big")

    def clone(self) -> Raft:
        """An independent copy: immutable values are shared, containers are copied."""
        cls = type(self)
        other = cls.__new__(cls)
        for name in SHARED:
            setattr(other, name, getattr(self, name))
        for name in COPIED:
            setattr(other, name, getattr(self, name).copy())
        other.log = self.log.clone()
        other.machine = self.machine.clone()
        other.incoming = self.incoming and self.incoming.clone()
        other.progress = {peer: progress.clone() for peer, progress in self.progress.items()}
        return other

    def status(self) -> Dict[str, Any]:
        """Plain values for people and status files."""
        return {
            "role": self.role,
            "term": self.term,
            "leader": self.leader,
            "commit": self.commit,
            "applied": self.applied,
            "digest": self.machine.digest,
            "last": self.log.last,
            "durable": self.durable,
            "snapshot": 0 if self.snapshot is None else self.snapshot.last_index,
            "voted_for": self.voted_for,
            "waiting": len(self.waiting),
            "sessions": len(self.machine.sessions),
            "config": self.config_fields(),
        }


COPIED = (
    "armed",
    "asked",
    "configs",
    "early_reads",
    "effects",
    "heard",
    "lease_rounds",
    "reads",
    "to_ask",
    "unapplied_reads",
    "votes",
    "waiting",
    "writing",
)
"""Containers of immutable values."""
SHARED = tuple(sorted({*State.__slots__} - {*COPIED, "incoming", "log", "machine", "progress"}))
"""Scalars, tuples and objects that are never changed."""


def check_form(src: str, msg: Any) -> None:
    """PeerError for an Append or InstallSnapshot that no correct node sends."""
    if type(msg) is InstallSnapshot:
        if msg.last_index < 1 or msg.last_term < 0 or msg.offset < 0:
            raise PeerError(f"{src} sent a snapshot of {msg.last_index} from byte {msg.offset}")
        return
    entries = msg.entries
    if min(msg.prev_index, msg.prev_term, msg.commit) < 0:
        raise PeerError(f"{src} sent an Append behind {msg.prev_index} of {msg.prev_term}")
    if entries and entries[-1].term > msg.term:
        raise PeerError(f"{src} sent an entry of term {entries[-1].term} in term {msg.term}")
    try:
        for entry in entries:
            if entry.kind == CONFIG:
                Config.unpack(entry.op)
    except ValueError as error:
        raise PeerError(f"{src}: {error}") from error
