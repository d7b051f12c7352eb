"""A replicated key-value store with client sessions: pure, deterministic, cheap to compare.

Operations (flat tuples of scalars: str, int, bool, None) and their results:
    ("get", key)                    value or None
    ("put", key, value)             None
    ("cas", key, expected, value)   True, or False and no change; expected None means "absent"
    ("delete", key)                 True if it was there
    ("append", key, item)           new length; the value becomes a tuple; on a scalar: bad_request
Sessions (Raft thesis 6.3): the table keeps, per session, the replies to seq > acked, so a retried
update is answered from it and not executed again. Sessions expire by *log index*, the only clock
that replicas share: a session unused for `session_ttl` entries is dropped, oldest first, and so is
the oldest beyond MAX_SESSIONS.

The digest is a CRC chain over the applied entries, not over the state: it costs one step per
entry, and two replicas whose digests agree at an index have applied the same entries up to there.
It travels in snapshots.
"""

from __future__ import annotations

import zlib
from collections import OrderedDict
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

from dissensus.systems.reference.core.client_messages import BAD_REQUEST, EXPIRED, STALE_SEQ
from dissensus.systems.reference.core.durable import COMMAND, OPEN_SESSION, Entry
from dissensus.systems.reference.statemachine import flat

VERSION = 1
MAX_SESSIONS = 65_536  # bounds the table at some 20 MB; the oldest goes first
MAX_RESULTS = 1_024  # replies kept per session; a client with more in flight may get stale_seq
SESSION_TTL = 1_000_000  # entries; minutes at full load, days when idle

Outcome = Tuple[bool, Any, str]
"""(ok, result, error): what the reply to the client says."""

DONE: Outcome = (True, None, "")


class Session:
    """Replies that a client may still ask for."""

    __slots__ = ("floor", "last_index", "results")

    def __init__(self, last_index: int) -> None:
        self.last_index = last_index
        self.floor = 0
        self.results: "Dict[int, Outcome]" = {}


class KeyValue:
    """The state machine. `apply` is called once per log entry, in order, whatever its kind."""

    __slots__ = ("applied", "data", "digest", "session_ttl", "sessions")

    def __init__(self, session_ttl: int = SESSION_TTL) -> None:
        self.session_ttl = session_ttl
        self.data: "Dict[str, Any]" = {}
        self.sessions: "OrderedDict[int, Session]" = OrderedDict()
        self.applied = 0
        self.digest = 0

    # -- operations -----------------------------------------------------------------------------

    def check(self, op: Tuple[Any, ...]) -> Optional[str]:
        """Why `op` is malformed, or None. Called before it enters the log."""
        if not op or op[0] not in ARITY:
            return f"unknown operation {op[:1]!r}; known: {', '.join(ARITY)}"
        if len(op) != ARITY[op[0]]:
            return f"{op[0]} takes {ARITY[op[0]] - 1} arguments, not {len(op) - 1}"
        if type(op[1]) is not str:
            return f"a key is a string, not {op[1]!r}"
        for value in op[2:]:
            if type(value) not in SCALARS:
                return f"a value is a string, an integer, a boolean or None, not {value!r}"
        return None

    def query(self, op: Tuple[Any, ...]) -> Outcome:
        """Answer a read from the applied state."""
        return (True, self.data.get(op[1]), "")

    def apply(self, index: int, entry: Entry) -> Outcome:
        """Apply the entry at `index` and return what its client is told."""
        self.applied = index
        # The tuple is rebuilt because the repr of a named one is three times slower.
        self.digest = zlib.crc32(repr((index, *entry)).encode(), self.digest)
        kind = entry.kind
        if kind == COMMAND:
            if entry.session:
                return self._once(index, entry)
            return OPERATIONS[entry.op[0]](self.data, entry.op)
        if kind == OPEN_SESSION:
            self.sessions[index] = Session(index)
            self._expire(index)
            return (True, index, "")
        return DONE

    # -- sessions -------------------------------------------------------------------------------

    def cached(self, session: int, seq: int) -> Optional[Outcome]:
        """The reply to an update that was applied already, or None."""
        known = self.sessions.get(session)
        return None if known is None else known.results.get(seq)

    def _once(self, index: int, entry: Entry) -> Outcome:
        self._expire(index)
        session = self.sessions.get(entry.session)
        if session is None:
            return (False, None, EXPIRED)
        session.last_index = index
        self.sessions.move_to_end(entry.session)
        results = session.results
        seq = entry.seq
        known = results.get(seq)
        if known is not None:
            return known
        if seq <= session.floor:
            return (False, None, STALE_SEQ)
        if entry.acked > session.floor:
            floor = session.floor = entry.acked
            for old in [s for s in results if s <= floor]:
                del results[old]
        elif len(results) >= MAX_RESULTS:
            oldest = min(results)
            session.floor = max(session.floor, oldest)
            del results[oldest]
        result = results[seq] = OPERATIONS[entry.op[0]](self.data, entry.op)
        return result

    def _expire(self, index: int) -> None:
        """Drop sessions that were unused for too many entries: the same ones on every replica."""
        sessions = self.sessions
        horizon = index - self.session_ttl
        while sessions:
            oldest = next(iter(sessions))
            if sessions[oldest].last_index >= horizon and len(sessions) <= MAX_SESSIONS:
                return
            del sessions[oldest]

    # -- snapshots ------------------------------------------------------------------------------

    def snapshot(self) -> bytes:
        """The whole state as bytes; equal states that saw the same entries give equal bytes."""
        out: List[Any] = [VERSION, self.applied, self.digest, len(self.data)]
        for key, value in self.data.items():
            out.append(key)
            _put_value(out, value)
        out.append(len(self.sessions))
        for sid, session in self.sessions.items():
            out += (sid, session.last_index, session.floor, len(session.results))
            for seq, (ok, value, error) in session.results.items():
                out += (seq, ok, error)
                _put_value(out, value)
        return flat.pack(out)

    def restore(self, blob: bytes) -> None:
        """Become the state of `snapshot()`. ValueError if the bytes are not one."""
        values: Iterator[Any] = iter(flat.unpack(blob))
        try:
            version = next(values)
            if version != VERSION:
                raise ValueError(f"snapshot of version {version}; this code reads {VERSION}")
            self.applied, self.digest = next(values), next(values)
            self.data = {next(values): _take_value(values) for _ in range(next(values))}
            self.sessions = OrderedDict()
            for _ in range(next(values)):
                sid = next(values)
                session = self.sessions[sid] = Session(next(values))
                session.floor = next(values)
                for _ in range(next(values)):
                    seq, ok, error = next(values), next(values), next(values)
                    session.results[seq] = (ok, _take_value(values), error)
        except (StopIteration, RuntimeError, TypeError) as error:
            raise ValueError("the snapshot ends too early, or is none") from error

    def clone(self) -> KeyValue:
        """An independent copy (values are immutable and shared)."""
        other = KeyValue(self.session_ttl)
        other.data = dict(self.data)
        other.applied = self.applied
        other.digest = self.digest
        for sid, session in self.sessions.items():
            copy = other.sessions[sid] = Session(session.last_index)
            copy.floor = session.floor
            copy.results = dict(session.results)
        return other


def _put_value(out: "List[Any]", value: Any) -> None:
    """A scalar is preceded by None, a list by its length."""
    if type(value) is tuple:
        out.append(len(value))
        out += value
    else:
        out += (None, value)


def _take_value(values: "Iterator[Any]") -> Any:
    length = next(values)
    if length is None:
        return next(values)
    return tuple([next(values) for _ in range(length)])


def _get(data: "Dict[str, Any]", op: Tuple[Any, ...]) -> Outcome:
    return (True, data.get(op[1]), "")


def _put(data: "Dict[str, Any]", op: Tuple[Any, ...]) -> Outcome:
    data[op[1]] = op[2]
    return DONE


def _cas(data: "Dict[str, Any]", op: Tuple[Any, ...]) -> Outcome:
    _, key, expected, value = op
    current = data.get(key)
    # 1 == True in Python; on replicas and in checkers they are different values.
    if current != expected or type(current) is not type(expected):
        return (True, False, "")
    data[key] = value
    return (True, True, "")


def _delete(data: "Dict[str, Any]", op: Tuple[Any, ...]) -> Outcome:
    if op[1] in data:
        del data[op[1]]
        return (True, True, "")
    return (True, False, "")


def _append(data: "Dict[str, Any]", op: Tuple[Any, ...]) -> Outcome:
    current = data.get(op[1], ())
    if type(current) is not tuple:
        return (False, f"{op[1]!r} holds {current!r}, not a list", BAD_REQUEST)
    data[op[1]] = (*current, op[2])
    return (True, len(current) + 1, "")


OPERATIONS: "Dict[str, Callable[[Dict[str, Any], Tuple[Any, ...]], Outcome]]" = {
    "get": _get,
    "put": _put,
    "cas": _cas,
    "delete": _delete,
    "append": _append,
}
ARITY = {"get": 2, "put": 3, "cas": 4, "delete": 2, "append": 3}
SCALARS = (str, int, bool, type(None))
