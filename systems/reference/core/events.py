"""What a driver tells a protocol core: the complete list of events.

A core is `step(event) -> list[effect]` and nothing else: no clock, socket, file, randomness,
logging or async. It keeps no time stamp either; each deadline is a named timer that the driver
arms, and what needs a reading asks for it (`Ask`). This module and everything in `core/` is
Python-3.9-clean and imports no third party.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Union


@dataclass
class Start:
    """The first event of an incarnation. `durable` is the fold of every patch that reached the
    disk, or None.
    """

    __slots__ = ("durable",)
    durable: Any


@dataclass
class Recv:
    """A message arrived. `src` comes from the transport (the connection's hello), never from the
    message itself.
    """

    __slots__ = ("msg", "src")
    src: str
    msg: Any


@dataclass
class Timer:
    """The timer `name` is due. A timer that was replaced or cancelled is never delivered."""

    __slots__ = ("name",)
    name: str


@dataclass
class Request:
    """A client asks. `client` is the driver's handle for the reply (opaque to the core); `op` is
    the request message.
    """

    __slots__ = ("client", "op")
    client: Any
    op: Any


@dataclass
class Persisted:
    """Every `Persist` up to and including number `up_to` (counted from 1 in this incarnation) is on
    disk.

    The driver steps it *after* the effects that it frees were sent (`outbox.Outbox`).
    """

    __slots__ = ("up_to",)
    up_to: int


@dataclass
class Answer:
    """The driver's answer to `Ask(token, kind)`: entropy, a clock reading, or a turn's end."""

    __slots__ = ("token", "value")
    token: Any
    value: Any


@dataclass
class Admin:
    """An operator's command: campaign, transfer leadership, change members, snapshot now.

    `client` is a reply handle as in `Request`, or None where nobody waits.
    """

    __slots__ = ("client", "op")
    client: Any
    op: Any


Event = Union[Start, Recv, Timer, Request, Persisted, Answer, Admin]
