"""Snapshots: taking them, forgetting the log behind them, and sending them in chunks (thesis 5).

Every node takes its own snapshots (thesis 5.1.3); a leader sends its latest one to a follower that
needs entries which the log no longer holds. One chunk is under way at a time. A heartbeat to such a
follower is an empty chunk: its answer says which byte is wanted, and that is how a lost chunk is
noticed and sent again.
"""

from __future__ import annotations

from typing import Any, List, Tuple

from dissensus.systems.reference.core.durable import Snapshot
from dissensus.systems.reference.core.effects import Applied, Mark
from dissensus.systems.reference.core.errors import InvariantError, PeerError
from dissensus.systems.reference.raft.config import Config
from dissensus.systems.reference.raft.log import UNKNOWN
from dissensus.systems.reference.raft.messages import InstallSnapshot, InstallSnapshotReply
from dissensus.systems.reference.raft.progress import SNAPSHOT, Progress
from dissensus.systems.reference.raft.state import LEADER, State
from dissensus.systems.reference.statemachine.kv import KeyValue


class Incoming:
    """A snapshot of which a follower has the first bytes."""

    __slots__ = ("data", "identity")

    def __init__(self, identity: Tuple[Any, ...]) -> None:
        self.identity = identity
        """(term of the sender, last index, last term)."""
        self.data = bytearray()

    def clone(self) -> Incoming:
        """An independent copy."""
        other = Incoming(self.identity)
        other.data = self.data[:]
        return other


class Snapshots(State):
    """See the module's first lines."""

    __slots__ = ()

    # -- taking ---------------------------------------------------------------------------------

    def compact_if_due(self) -> None:
        """Take a snapshot after so many applied entries (thesis 5.1.2)."""
        base = 0 if self.snapshot is None else self.snapshot.last_index
        if self.applied - base >= self.options.snapshot_entries:
            self.take_snapshot()

    def take_snapshot(self) -> bool:
        """Persist the applied state and forget entries behind it. False where nothing is new."""
        index = self.applied
        if index == (0 if self.snapshot is None else self.snapshot.last_index):
            return False
        config = self.config_at(index)
        data = self.machine.snapshot()
        patch = Snapshot(index, self.log.term_at(index), config.pack(), data)
        if index > self.stored:
            raise InvariantError(f"entry {index} is applied, the disk was given {self.stored}")
        self.persist(patch)
        self.snapshot = patch
        self.log.compact(max(0, index - self.options.keep_entries))
        while len(self.configs) > 1 and self.configs[1][0] <= index:
            del self.configs[0]
        self.effects.append(Mark("snapshot", {"index": index, "bytes": len(data)}))
        return True

    def config_at(self, index: int) -> Config:
        """The configuration in force at `index`, which is not behind the snapshot."""
        for at, config in reversed(self.configs):
            if at <= index:
                return config
        raise InvariantError(f"the configuration at {index} is forgotten")

    # -- sending --------------------------------------------------------------------------------

    def start_snapshot(self, peer: str, progress: Progress) -> None:
        """`peer` needs entries that are gone: send it the latest snapshot from its first byte."""
        if self.snapshot is None:
            raise InvariantError(f"the log begins at {self.log.first} and there is no snapshot")
        progress.state = SNAPSHOT
        progress.snapshot = self.snapshot
        progress.inflight.clear()
        self.send_chunk(peer, progress, 0)

    def send_chunk(self, peer: str, progress: Progress, offset: int) -> None:
        """Send the chunk that begins at `offset`."""
        assert progress.snapshot is not None
        progress.offset = offset
        progress.moved = True
        end = offset + self.options.chunk_bytes
        data = progress.snapshot.data[offset:end]
        self.send_part(peer, progress, data, end >= len(progress.snapshot.data))

    def nudge_snapshot(self, peer: str, progress: Progress) -> None:
        """The heartbeat of a follower that receives a snapshot."""
        progress.moved = False
        self.send_part(peer, progress, b"", False)

    def send_part(self, peer: str, progress: Progress, data: bytes, done: bool) -> None:
        snapshot = progress.snapshot
        assert snapshot is not None
        msg = InstallSnapshot(
            self.term,
            snapshot.last_index,
            snapshot.last_term,
            snapshot.config,
            progress.offset,
            data,
            done,
            self.round,
        )
        self.send(peer, msg, True)

    def on_install_snapshot_reply(self, src: str, msg: InstallSnapshotReply) -> None:
        """A follower says which byte it wants, or that it is done."""
        progress = self.answered(src, msg.round)
        if progress is None:
            return
        if msg.done:
            self.log_reached(src, progress, msg.index)
            return
        snapshot = progress.snapshot
        if snapshot is None or snapshot.last_index != msg.index:
            return
        if msg.offset > len(snapshot.data):
            raise PeerError(f"{src} wants byte {msg.offset} of {len(snapshot.data)}")
        if msg.offset != progress.offset or not progress.moved:
            self.send_chunk(src, progress, msg.offset)

    # -- receiving ------------------------------------------------------------------------------

    def on_install_snapshot(self, src: str, msg: InstallSnapshot) -> None:
        """InstallSnapshot (Fig. 13)."""
        if self.role == LEADER:
            raise PeerError(f"{src} leads term {msg.term}, which this node leads")
        self.follow(src)
        done = self.needless_snapshot(msg)
        offset = 0
        if not done:
            incoming = self.incoming
            identity = (msg.term, msg.last_index, msg.last_term)
            if (incoming is None or incoming.identity != identity) and msg.offset == 0:
                incoming = self.incoming = Incoming(identity)  # rule 2
            if incoming is not None and incoming.identity == identity:
                if msg.offset == len(incoming.data):
                    incoming.data += msg.data  # rule 3
                    done = msg.done
                offset = len(incoming.data)
            if done:
                self.install(src, msg, bytes(incoming.data))
        if done:
            self.incoming = None
        reply = InstallSnapshotReply(self.term, msg.last_index, offset, done, msg.round)
        self.send(src, reply)

    def needless_snapshot(self, msg: InstallSnapshot) -> bool:
        """Whether state or log reach as far already: an old snapshot must not replace newer state,
        and where the log has its last entry nothing is dropped (Fig. 13 rule 6).
        """
        if msg.last_index <= self.commit:
            return True
        if self.log.term_at(msg.last_index) == msg.last_term != UNKNOWN:
            self.commit_to(msg.last_index)
            return True
        return False

    def install(self, src: str, msg: InstallSnapshot, data: bytes) -> None:
        """Discard the entire log and become the snapshot (Fig. 13 rules 5, 7, 8)."""
        machine = KeyValue(self.options.session_ttl)
        try:
            machine.restore(data)
            config = Config.unpack(msg.config)
        except ValueError as error:
            self.incoming = None
            raise PeerError(f"the snapshot from {src} cannot be read: {error}") from error
        index = msg.last_index
        if machine.applied != index:
            raise PeerError(f"{src}: a snapshot of {machine.applied} that is said to be of {index}")
        self.durable = min(self.durable, self.commit)
        self.writing.clear()
        self.log.reset(index, msg.last_term)
        self.snapshot = Snapshot(index, msg.last_term, msg.config, data)
        self.persist(self.snapshot)
        self.writing.append((self.persisted, index))
        self.stored = index
        self.machine = machine
        self.commit = self.applied = index
        self.adopt_configs([(index, config)])
        self.effects.append(Applied(index, machine.digest, None))
        self.effects.append(Mark("installed", {"index": index, "from": src}))
        self.applied_more()

    def adopt_configs(self, configs: List[Tuple[int, Config]]) -> None:
        """These configurations, the last of which is in force; a snapshot brings its own (R16)."""
        self.configs = configs
        self.config = configs[-1][1]

    def commit_to(self, index: int) -> None:
        """Everything up to `index` is committed: apply it (`Replication`)."""
        raise NotImplementedError
