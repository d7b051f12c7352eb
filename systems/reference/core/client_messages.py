"""What clients and nodes say to each other, for every log-replicating protocol.

How a client works: `OpenSession(seq)` is answered with `ok` and the session id as result (the log
index of the entry that opened it: unique for ever, Raft thesis 6.3). Each update is
`ClientRequest(session, seq, acked, op)` with its own `seq` (counted from 1 in the session); a retry
repeats the same `seq`, to any node, and is executed at most once. `acked` says that the client has
the replies to all seq <= acked, so that nodes may forget them: a client with one request in flight
sends seq - 1. Session 0 means "no session": such an update is executed as often as it is committed.
Reads (`get`) never enter the log; their session is ignored and `seq` only names the request. A
reply carries the session and seq of its request. Leader hints are node ids.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional, Tuple, Union

from dissensus.systems.reference.core.durable import OpFields, Scalar

# Errors of a ClientReply. Definite: the request was not and will not be executed (by this attempt).
NOT_LEADER = "not_leader"  # definite; `leader` is a node id or None
BUSY = "busy"  # definite; too many requests in flight, or leadership is being handed over
BAD_REQUEST = "bad_request"  # definite; `result` says what is wrong
EXPIRED = "session_expired"  # this attempt was not executed; an earlier one may have been
STALE_SEQ = "stale_seq"  # this attempt was not executed; the result of an earlier one is forgotten
DEPOSED = "deposed"  # indefinite: leadership was lost with the request in the log

DEFINITE = frozenset((NOT_LEADER, BUSY, BAD_REQUEST))
"""Errors after which a first attempt certainly had no effect."""

Result = Union[str, int, bool, None, Tuple[Scalar, ...]]
"""What an operation gives: a scalar, or a tuple of scalars for a key that was appended to."""


@dataclass
class OpenSession:
    """Open a client session. A retry opens another one; the unused one expires."""

    __slots__ = ("seq",)
    KIND = 32
    seq: int


@dataclass
class ClientRequest:
    """One operation of a client; see the module's first lines."""

    __slots__ = ("acked", "op", "seq", "session")
    KIND = 33
    session: int
    seq: int
    acked: int
    op: OpFields


@dataclass
class ClientReply:
    """`ok` with a result, or an error of this module with a hint where the leader is."""

    __slots__ = ("error", "leader", "ok", "result", "seq", "session")
    KIND = 34
    session: int
    seq: int
    ok: bool
    result: Result
    error: str
    leader: Optional[str]


def failure(
    session: int, seq: int, error: str, *, leader: Optional[str] = None, why: Any = None
) -> ClientReply:
    """A ClientReply that says no."""
    return ClientReply(session, seq, False, why, error, leader)
