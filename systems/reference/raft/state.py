"""The state of a Raft node and the few ways to act on the world: the bottom layer of the core.

The core is one class in layers, a file each, every layer derived from the one before:
`State` < `Snapshots` < `Replication` < `Reads` < `Membership` < `Elections` < `core.Raft`. Rules of
the paper are small methods, so that a known bug is a subclass that overrides one of them.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Deque, Dict, List, Optional, Sequence, Set, Tuple

from dissensus.systems.reference.core.client_messages import (
    NOT_LEADER,
    ClientReply,
    ClientRequest,
    failure,
)
from dissensus.systems.reference.core.durable import Hard, Patch, Snapshot
from dissensus.systems.reference.core.effects import (
    Ask,
    CancelTimer,
    Effect,
    Mark,
    Persist,
    Reply,
    Send,
    SetTimer,
)
from dissensus.systems.reference.raft.config import Config
from dissensus.systems.reference.raft.log import Log
from dissensus.systems.reference.raft.options import DEFAULTS, Options
from dissensus.systems.reference.raft.progress import Progress
from dissensus.systems.reference.statemachine.kv import KeyValue

FOLLOWER = "follower"
PRE_CANDIDATE = "pre-candidate"
CANDIDATE = "candidate"
LEADER = "leader"

# Timers. A lease has a timer of its own per round: "lease/<round>".
ELECTION = "election"  # silence so far; then this node asks for votes
CONTACT = "contact"  # while it is armed, a leader was heard within the minimum election timeout
HEARTBEAT = "heartbeat"
CHECK_QUORUM = "check-quorum"  # empties `heard`
TRANSFER = "transfer"  # gives up handing over
ASK_AGAIN = "ask-again"  # a follower's reads have no answer yet
LEASE = "lease/"

# Tokens of `Ask`.
READ_ID = "read-id"
TURN = "turn"

Client = Any
"""The driver's handle for a reply."""
Read = Tuple[Client, ClientRequest]


class State:
    """Everything that a node knows, and how effects are made."""

    __slots__ = (
        "applied",
        "armed",
        "asked",
        "asked_id",
        "commit",
        "config",
        "config_client",
        "config_done",
        "configs",
        "durable",
        "early_reads",
        "effects",
        "handed_over",
        "heard",
        "incoming",
        "leader",
        "lease_rounds",
        "log",
        "machine",
        "node_id",
        "options",
        "own_vote_at",
        "persisted",
        "progress",
        "read_id",
        "reads",
        "role",
        "round",
        "snapshot",
        "stored",
        "term",
        "term_start",
        "to_ask",
        "transfer_client",
        "transfer_to",
        "turn_asked",
        "unapplied_reads",
        "voted_for",
        "votes",
        "waiting",
        "writing",
    )

    def __init__(self, node_id: str, voters: Sequence[str], options: Options = DEFAULTS) -> None:
        """`voters`: the first members of the cluster; none for a node that is added later."""
        self.node_id = node_id
        self.options = options
        self.armed: Dict[str, Tuple[int, int]] = {}
        self.effects: List[Effect] = []
        self.machine = KeyValue(options.session_ttl)
        self.log = Log()
        self.term = 0
        self.voted_for: Optional[str] = None
        self.role = FOLLOWER
        self.leader: Optional[str] = None
        """The leader of this term, as far as this node has heard of one."""
        self.commit = 0
        self.applied = 0
        self.config = Config(voters)
        """The configuration in force: the latest in the log, committed or not (R7)."""
        self.configs: List[Tuple[int, Config]] = [(0, self.config)]
        """(index, configuration) from the one in force at the base of the log on."""
        self.snapshot: Optional[Snapshot] = None
        self._init_disk()
        self._init_leader()
        self._init_follower()

    def _init_disk(self) -> None:
        self.persisted = 0
        """Number of the latest Persist."""
        self.stored = 0
        """Last index of the log that was given to the disk."""
        self.durable = 0
        """Last index of the log that is on disk."""
        self.writing: Deque[Tuple[int, int]] = deque()
        """(number of a Persist, last index that it makes durable), oldest first."""

    def _init_leader(self) -> None:
        """And candidate."""
        self.votes: Dict[str, bool] = {}
        self.own_vote_at = 0
        """The Persist after which its vote for itself counts."""
        self.progress: Dict[str, Progress] = {}
        self.term_start = 0
        """Index of the no-op that began the term."""
        self.heard: Set[str] = set()
        """Who answered since the last check of the quorum."""
        self.round = 0
        self.waiting: Dict[int, Tuple[Client, int, int]] = {}
        """Index -> (client, session, seq) that is answered when it is applied."""
        self.turn_asked = False
        self.reads: Deque[Tuple[int, int, Any]] = deque()
        """(round that must be confirmed, index, who reads), by round. Who reads is a `Read` or
        (follower, id).
        """
        self.early_reads: List[Any] = []
        """Reads that wait for the first entry of this term to be committed."""
        self.lease_rounds: Deque[int] = deque()
        """Rounds whose lease timer is armed."""
        self.transfer_to: Optional[str] = None
        self.transfer_client: Client = None
        self.handed_over = False
        """A TimeoutNow left in this term: from here on leases mean nothing."""
        self.config_client: Client = None
        """Who waits for the end of a change of members."""
        self.config_done = 0
        """Index of the latest configuration whose commitment was acted on."""

    def _init_follower(self) -> None:
        self.read_id = 0
        """Id of the latest ReadIndex; begins at a random number, so that a late answer to an
        earlier incarnation is none to this one.
        """
        self.asked_id = 0
        """Id of the ReadIndex under way, 0 for none."""
        self.asked: List[Read] = []
        self.to_ask: List[Read] = []
        self.unapplied_reads: List[Tuple[int, List[Read]]] = []
        """(index, reads) that are answered when the index is applied."""
        self.incoming: Any = None
        """The snapshot that is being received."""

    # -- effects --------------------------------------------------------------------------------

    def send(self, dst: str, msg: Any, early: bool = False) -> None:
        """Send `msg`: after everything persisted so far is durable, unless `early`."""
        self.effects.append(Send(dst, msg, early))

    def persist(self, patch: Patch) -> None:
        """Give `patch` to the disk."""
        self.persisted += 1
        self.effects.append(Persist(patch))

    def persist_hard(self) -> None:
        """Term and vote reach the disk in one write, before any answer leaves (Fig. 2: updated on
        stable storage before responding to RPCs; R4).
        """
        self.persist(Hard(self.term, self.voted_for))

    def set_timer(self, name: str, lo_ns: int, hi_ns: int) -> None:
        """Arm or re-arm."""
        self.armed[name] = (lo_ns, hi_ns)
        self.effects.append(SetTimer(name, lo_ns, hi_ns))

    def cancel_timer(self, name: str) -> None:
        """Disarm."""
        if self.armed.pop(name, None) is not None:
            self.effects.append(CancelTimer(name))

    def arm_election(self) -> None:
        """Elections begin after T to 2T of silence (5.2)."""
        election_ns = self.options.election_ns
        self.set_timer(ELECTION, election_ns, 2 * election_ns)

    def ask_turn(self) -> None:
        """Come back once everything that has arrived was stepped: what it brings is one batch."""
        if not self.turn_asked:
            self.turn_asked = True
            self.effects.append(Ask(TURN, "turn"))

    def mark_role(self) -> None:
        """Role, term or leader has changed."""
        fields = {"role": self.role, "term": self.term, "leader": self.leader}
        self.effects.append(Mark("role", fields))

    def answer_client(self, client: Client, reply: Any) -> None:
        """Reply now: what is said rests on commitment or on nothing, never on our own disk."""
        if client is not None:
            self.effects.append(Reply(client, reply, True))

    def refuse(self, client: Client, request: Any, error: str, why: Any = None) -> None:
        """Answer `request` with an error and a hint where the leader is."""
        session = request.session if type(request) is ClientRequest else 0
        hint = self.leader if error == NOT_LEADER else None
        self.answer_client(client, failure(session, request.seq, error, leader=hint, why=why))

    def answer_read(self, read: Read) -> None:
        """Answer a read from the applied state."""
        client, request = read
        ok, result, error = self.machine.query(request.op)
        reply = ClientReply(request.session, request.seq, ok, result, error, None)
        self.answer_client(client, reply)

    # -- what other layers ask for; defined in the layer that is named --------------------------

    def step_down(self) -> None:
        """Become a follower of this term without a leader (`Elections`)."""
        raise NotImplementedError

    def follow(self, src: str) -> None:
        """`src` leads this term (`Elections`)."""
        raise NotImplementedError

    def feed(self, peer: str, progress: Progress) -> bool:
        """Send entries that `peer` lacks, as far as its pipeline allows (`Replication`)."""
        raise NotImplementedError

    def log_reached(self, peer: str, progress: Progress, index: int) -> None:
        """The log of `peer` matches up to `index` (`Replication`)."""
        raise NotImplementedError

    def applied_more(self) -> None:
        """The state machine has moved on: answer reads that waited for it (`Reads`)."""
        raise NotImplementedError

    def answered(self, src: str, round_: int) -> Optional[Progress]:
        """A follower answered in this term, which confirms `round_` (`Reads`)."""
        raise NotImplementedError

    def committed_more(self) -> None:
        """The leader's commit index has moved on (`Membership`)."""
        raise NotImplementedError

    def hand_over(self) -> None:
        """Let the target of a transfer campaign once its log is complete (`Elections`)."""
        raise NotImplementedError

    def end_transfer(self, deposed: bool) -> None:
        """A transfer is over (`Elections`)."""
        raise NotImplementedError

    def begin_due_round(self) -> None:
        """Begin a round if reads wait for one (`Reads`)."""
        raise NotImplementedError

    def broadcast(self) -> None:
        """Begin a round: everybody is asked whether they still follow (`Reads`)."""
        raise NotImplementedError
