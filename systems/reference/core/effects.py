"""What a protocol core asks of its driver: the complete list of effects.

Held by default: every `Send` and `Reply` waits until the core's latest `Persist` is durable, unless
it is marked `early=True` (a leader's Append, heartbeats, PreVote). So a forgotten argument costs
latency and never safety. Order is kept per destination among held effects; `outbox.Outbox` is the
one implementation of this rule, shared by all drivers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Union


@dataclass
class Persist:
    """Append `patch` to the durable state (see `durable.py`). Persists are numbered 1, 2, 3 ...
    per incarnation.
    """

    __slots__ = ("patch",)
    patch: Any


class Send:
    """Send `msg` to node `dst`. Messages are frozen once sent: the simulator passes the object
    itself.
    """

    __slots__ = ("dst", "early", "msg")

    def __init__(self, dst: str, msg: Any, early: bool = False) -> None:
        self.dst = dst
        self.msg = msg
        self.early = early

    def __repr__(self) -> str:
        return f"Send({self.dst!r}, {self.msg!r}{', early=True' if self.early else ''})"


class Reply:
    """Answer the client behind the handle of a `Request` or `Admin`."""

    __slots__ = ("client", "early", "result")

    def __init__(self, client: Any, result: Any, early: bool = False) -> None:
        self.client = client
        self.result = result
        self.early = early

    def __repr__(self) -> str:
        return f"Reply({self.client!r}, {self.result!r}{', early=True' if self.early else ''})"


@dataclass
class SetTimer:
    """Arm or re-arm the timer `name`. The driver draws the delay from [lo_ns, hi_ns]."""

    __slots__ = ("hi_ns", "lo_ns", "name")
    name: str
    lo_ns: int
    hi_ns: int


@dataclass
class CancelTimer:
    """Disarm the timer `name`; no effect when it is not armed."""

    __slots__ = ("name",)
    name: str


@dataclass
class Ask:
    """Ask the driver for a value, answered by `Answer`. Kinds: "entropy" (int below 2**64), "clock"
    (ns), and "turn" (0, once everything that has arrived was stepped: so a batch knows its end).
    """

    __slots__ = ("kind", "token")
    token: Any
    kind: str


@dataclass
class Applied:
    """The entry `index` was applied and the state machine's digest is now `digest` (an int); for
    oracles. `entry` is the log entry, None where a snapshot stood for everything up to `index`.
    """

    __slots__ = ("digest", "entry", "index")
    index: int
    digest: int
    entry: Any


@dataclass
class Mark:
    """Something worth knowing happened (coverage, status, spec events): a name and a dict of plain
    values.
    """

    __slots__ = ("fields", "name")
    name: str
    fields: "dict[str, Any]"


@dataclass
class Evidence:
    """Proof that `culprit` broke the protocol: messages that no correct node sends together."""

    __slots__ = ("culprit", "proof")
    culprit: str
    proof: Any


Effect = Union[Persist, Send, Reply, SetTimer, CancelTimer, Ask, Applied, Mark, Evidence]
