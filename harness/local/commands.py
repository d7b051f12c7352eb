"""The relay's side of its commands (`control` has their form): each is a method of `Operator`."""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import partial
from hmac import compare_digest
from typing import Any

import msgspec

from dissensus.harness.cluster import Shape
from dissensus.harness.errors import EnvironmentFault, UserError
from dissensus.harness.local.addresses import Address
from dissensus.harness.local.control import LINE_BYTES_MAX, line, parse
from dissensus.harness.local.flow import prepare
from dissensus.harness.local.loop import READ, WRITE
from dissensus.harness.local.relay import Relay

DIAL_S_MAX = 1.0
"""The harness accepts probes from its backlog; the kernel answers for it at once."""

Pairs = list[tuple[str, str]]


class Operator:
    """One connection that gives commands."""

    def __init__(self, relay: Relay, sock: socket.socket) -> None:
        self._relay = relay
        self._sock = sock
        self._rest = b""
        self._out = b""
        self._trusted = False
        self._owner = False
        self._asked: dict[int, Callable[[str], object]] = {}
        sock.setblocking(False)
        self._watch()

    # -- the connection -------------------------------------------------------------------------

    def _watch(self) -> None:
        self._relay.loop.watch(self._sock.fileno(), READ | (WRITE if self._out else 0), self._ready)

    def _ready(self, mask: int) -> None:
        if mask & WRITE and self._out:
            self._flush()
        if mask & READ and self._sock.fileno() >= 0:
            self._read()

    def _read(self) -> None:
        try:
            data = self._sock.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for text in lines:
            if self._sock.fileno() >= 0:
                self._obey(text)
        if not data or len(self._rest) > LINE_BYTES_MAX:
            self._close()

    def _obey(self, text: bytes) -> None:
        try:
            message = parse(text)
            number, do = message.pop("id"), message.pop("do")
        except (ValueError, KeyError):
            self._close()
            return
        if not self._trusted and do != "hello":
            self._close()
            return
        command = COMMANDS.get(do)
        if command is None:
            self._say({"id": number, "error": f"unknown command {do!r}"})
            return
        try:
            if do == "outcome":  # the only one whose answer waits
                self._outcome(number, **message)
            else:
                self._say({"id": number, "result": command(self, **message)})
        except (EnvironmentFault, OSError) as error:
            self._say({"id": number, "error": str(error), "environment": True})
        except (UserError, TypeError, ValueError) as error:
            self._say({"id": number, "error": str(error)})

    def _say(self, message: dict[str, Any]) -> None:
        self._out += line(message)
        self._flush()

    def _flush(self) -> None:
        if self._sock.fileno() < 0:
            return
        try:
            self._out = self._out[self._sock.send(self._out) :]
        except BlockingIOError:
            pass
        except OSError:
            self._close()
            return
        self._watch()

    def _close(self) -> None:
        if self._sock.fileno() < 0:
            return
        relay = self._relay
        relay.loop.forget(self._sock.fileno())
        self._sock.close()
        for tell in self._asked.values():
            relay.outcomes.forget(tell)
        if self._owner:
            self._owner = False
            relay.owners -= 1

    # -- commands -------------------------------------------------------------------------------

    def _hello(self, token: str, owner: bool = False) -> None:
        """Begins a connection. `owner`: while it lasts, the relay is no orphan."""
        if not compare_digest(token, self._relay.config.token):
            self._close()
            return
        self._trusted = True
        if owner and not self._owner:
            self._owner = self._relay.owned = True
            self._relay.owners += 1

    def _node(self, name: str, number: int) -> None:
        """Listen for callers of a node."""
        self._relay.add_node(name, number)

    def _process(self, node: str, pid: int) -> None:
        """A node runs as this process now."""
        self._relay.sources.add(pid, node)

    def _cut(self, fault: int, pairs: Pairs) -> None:
        relay = self._relay
        for link in [relay.link(src, dst) for src, dst in pairs]:
            link.cut(fault, relay.loop.now())

    def _shape(self, fault: int, shapes: list[tuple[str, str, dict[str, int]]]) -> None:
        relay = self._relay
        found = [(relay.link(src, dst), msgspec.convert(how, Shape)) for src, dst, how in shapes]
        for link, shape in found:
            link.shape(fault, shape)

    def _hold(self, fault: int, src: str, dst: str, kind: int) -> None:
        self._relay.link(src, dst).hold(fault, kind)

    def _heal(self, fault: int) -> None:
        for link in self._relay.links():
            link.heal(fault)

    def _heal_all(self) -> list[int]:
        """Heal every fault; returns their ids."""
        found = self._faults()
        for fault in found:
            self._heal(fault)
        return found

    def _faults(self) -> list[int]:
        """Ids of the faults that change something."""
        return sorted({fault for link in self._relay.links() for fault in link.faults()})

    def _outcome(self, number: int, caller: tuple[str, int]) -> None:
        """How the call from this address came out; the answer waits for that."""

        def tell(outcome: str) -> None:
            self._asked.pop(number, None)
            self._say({"id": number, "result": outcome})

        self._asked[number] = tell
        self._relay.outcomes.ask((caller[0], caller[1]), tell)

    def _probe(self, pairs: Pairs, at: Address) -> list[tuple[int, int]]:
        """Per pair a connection between two sockets that both end at `at`.

        Returns the ports that they call from: of `src`'s end, and of `dst`'s.
        """
        relay = self._relay
        ports = []
        for src, dst in pairs:
            links = relay.link(src, dst), relay.link(dst, src)
            ends = _dial_twice((at[0], at[1]))
            ports.append((ends[0].getsockname()[1], ends[1].getsockname()[1]))
            relay.join(links, *ends)
        return ports

    def _status(self) -> dict[str, Any]:
        relay = self._relay
        return {
            "connections": len(relay.connections),
            "strangers": relay.strangers,
            "bytes": sum(link.bytes for link in relay.links()),
            "faults": self._faults(),
        }

    def _keep(self, lifetime_ns: int) -> None:
        """Serve so much longer without a harness."""
        self._relay.deadline_ns = self._relay.loop.now() + lifetime_ns

    def _quit(self) -> None:
        self._relay.loop.stop()


def _dial_twice(at: Address) -> tuple[socket.socket, socket.socket]:
    one = socket.create_connection(at, timeout=DIAL_S_MAX)
    try:
        other = socket.create_connection(at, timeout=DIAL_S_MAX)
    except OSError:
        one.close()
        raise
    prepare(one)
    prepare(other)
    return one, other


COMMANDS: dict[str, Callable[..., Any]] = {
    "hello": Operator._hello,
    "node": Operator._node,
    "process": Operator._process,
    "cut": Operator._cut,
    "shape": Operator._shape,
    "hold": Operator._hold,
    "heal": Operator._heal,
    "heal-all": Operator._heal_all,
    "faults": Operator._faults,
    "outcome": Operator._outcome,
    "probe": Operator._probe,
    "status": Operator._status,
    "keep": Operator._keep,
    "quit": Operator._quit,
}


def serve(relay: Relay, sock: socket.socket) -> None:
    """Take commands at a listening socket."""
    sock.setblocking(False)
    relay.loop.watch(sock.fileno(), READ, partial(_accept, relay, sock))


def _accept(relay: Relay, sock: socket.socket, mask: int) -> None:
    try:
        accepted, _ = sock.accept()
    except BlockingIOError:
        return
    Operator(relay, accepted)
