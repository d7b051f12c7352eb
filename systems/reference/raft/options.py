"""The options of a Raft node: timeouts, limits and flags, the same on every node of a cluster."""

from __future__ import annotations

from typing import NamedTuple

MS = 1_000_000


class Options(NamedTuple):
    """Times in ns. What follows from them is stated where it is used."""

    election_ns: int = 300 * MS
    """Minimum election timeout T: elections begin after T to 2T of silence, and within T of a
    leader's word nobody helps to depose it.
    """
    heartbeat_ns: int = 50 * MS
    """Broadcast << election << mean time between failures (Fig. 2's timing requirement)."""
    max_entries: int = 512
    """Entries in one Append."""
    max_inflight: int = 16
    """Appends under way to one follower: the depth of the pipeline."""
    max_pending: int = 32_768
    """Requests that may wait at one node; beyond it answers BUSY."""
    snapshot_entries: int = 10_000
    """Applied entries between two snapshots."""
    keep_entries: int = 1_000
    """Entries behind the snapshot that stay in memory for followers who are only a little late."""
    chunk_bytes: int = 256 * 1024
    """Bytes of a snapshot in one message."""
    lease_reads: bool = False
    """The leader answers reads without a round while a lease holds (thesis 6.4.1)."""
    clock_drift_ppm: int = 50_000
    """Bound of lease reads: in one second of one node's clock, another's passes at least
    1 - 0.05 and at most 1 + 0.05 s.
    """
    single_server: bool = False
    """Members change one at a time (thesis 4.1) and not by joint consensus (thesis 4.3)."""
    session_ttl: int = 1_000_000
    """Entries after which an unused session expires."""


DEFAULTS = Options()
