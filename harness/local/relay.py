"""The relay of a run: a process of its own that all traffic of nodes and clients passes.

    python -m dissensus.harness.local.relay CONFIG_FILE CONTROL_FD

It listens at an address per node, finds out who calls (`sources`), dials the node's own address and
joins the two (`flow`) under the faults of the two directions (`links`). A call is dialled only
while both directions are open: across a cut it is accepted and silent, as if the packets were lost.
A node that refuses turns into a reset.

The relay outlives a harness that is killed and keeps its faults until `dissensus heal`, or until
its lifetime ends: then it ends the run's nodes and itself.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import msgspec

from dissensus.harness.cluster import Pair
from dissensus.harness.errors import UserError
from dissensus.harness.local.addresses import (
    CLIENT,
    NODE,
    Address,
    AnyBlock,
    Host,
    file_limit,
    listener,
)
from dissensus.harness.local.dialling import Call, Outcomes
from dissensus.harness.local.flow import BUFFER_BYTES, Connection, prepare, reset
from dissensus.harness.local.links import Link
from dissensus.harness.local.loop import READ, Loop
from dissensus.harness.local.processes import end, with_token
from dissensus.harness.local.sources import Sources
from dissensus.harness.randomness import Rng

OWNER_NS_MAX = 30_000_000_000
"""A harness connects within a second; one that was killed in its set-up never."""
ACCEPT_AGAIN_NS = 50_000_000
"""Pause of a listener that could not accept."""
LOG_LINES_MAX = 2000
ACCEPTS_MAX = 64
"""Connections taken in one round of the loop: others have a turn in between."""


class RelayConfig(msgspec.Struct, kw_only=True, frozen=True):
    """The file that the harness writes for its relay."""

    token: str
    seed: int
    block: AnyBlock
    clients: tuple[str, ...]
    framed: bool
    """The nodes speak frames that `hold` knows (`frames`)."""
    reset_after_ns: int
    """How long a connection outlives a cut."""
    lifetime_ns: int
    """How long after its start the relay serves a run whose harness is gone."""


class Relay:
    """Listeners, links and connections; the commands are in `commands`."""

    def __init__(self, config: RelayConfig) -> None:
        self.config = config
        self.loop = Loop()
        self.loop.tick = self._tick
        self.outcomes = Outcomes()
        self.sources = Sources(config.token)
        self.owners = 0
        """Connections of harnesses that own this run: none means that the relay is an orphan."""
        self.owned = False
        """There was an owner."""
        self.deadline_ns = self.loop.now() + config.lifetime_ns
        self._alone_ns = self.loop.now() + OWNER_NS_MAX
        self.connections: set[Connection] = set()
        self.strangers = 0
        """Calls that were reset because nobody knows whose they were."""
        self._links: dict[Pair, Link] = {}
        self._names: dict[Host, str] = {(CLIENT, i): n for i, n in enumerate(config.clients, 1)}
        self._hosts = {name: host for host, name in self._names.items()}
        self._listeners: list[socket.socket] = []

    # -- hosts ----------------------------------------------------------------------------------

    def add_node(self, name: str, number: int) -> None:
        """Listen for callers of a node. Raises EnvironmentFault for an address that is in use."""
        block = self.config.block
        for port in range(block.ports):
            for address, viewer in block.doors(number, port):
                sock = listener(address)
                # Accepted sockets inherit it.
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
                sock.setblocking(False)
                self._listeners.append(sock)
                accept = partial(self._accept, sock, name, block.own(number, port), viewer)
                self.loop.watch(sock.fileno(), READ, accept)
        self._names[NODE, number] = name
        self._hosts[name] = (NODE, number)

    def link(self, src: str, dst: str) -> Link:
        """The direction from `src` to `dst`. Raises UserError for hosts that there are not."""
        link = self._links.get((src, dst))
        if link is None:
            for name in (src, dst):
                if name not in self._hosts:
                    raise UserError(f"no host {name!r} (hosts: {', '.join(self._hosts)})")
            rng = Rng(self.config.seed, f"relay/{src}>{dst}")
            link = self._links[src, dst] = Link(rng)
        return link

    def links(self) -> Iterable[Link]:
        """Every direction that was used so far."""
        return list(self._links.values())

    # -- calls ----------------------------------------------------------------------------------

    def _accept(
        self, sock: socket.socket, callee: str, target: Address, viewer: Host | None, mask: int
    ) -> None:
        for _ in range(ACCEPTS_MAX):
            try:
                near, peer = sock.accept()
            except BlockingIOError:
                return
            except OSError as error:
                # Out of descriptors, mostly: callers wait in the backlog, and the listener would be
                # ready again at once.
                say(f"cannot accept for {callee}: {error}")
                accept = partial(self._accept, sock, callee, target, viewer)
                self.loop.forget(sock.fileno())
                again = partial(self.loop.watch, sock.fileno(), READ, accept)
                self.loop.at(self.loop.now() + ACCEPT_AGAIN_NS, again)
                return
            caller = self._who(viewer, peer, near)
            self._called(near, peer, caller, callee, target)

    def _called(
        self, near: socket.socket, peer: Address, caller: str | None, callee: str, target: Address
    ) -> None:
        prepare(near)
        if caller is None:
            self.strangers += 1
            say(f"reset a call to {callee} from {peer[0]}:{peer[1]}, which is no host of this run")
            reset(near)
            return
        links = self.link(caller, callee), self.link(callee, caller)
        Call(
            self.loop,
            near,
            source=self.config.block.source(self._hosts[caller]),
            target=target,
            links=links,
            joined=partial(self.join, links),
            settle=partial(self.outcomes.settle, peer),
        )

    def _who(self, viewer: Host | None, peer: Address, near: socket.socket) -> str | None:
        host = viewer or self.config.block.caller(peer[0])
        if host is not None:
            return self._names.get(host)
        try:
            return self.sources.find(peer, near.getsockname())
        except OSError as error:
            say(f"cannot find out who calls from {peer[0]}:{peer[1]}: {error}")
            return None

    def join(self, links: tuple[Link, Link], near: socket.socket, far: socket.socket) -> None:
        """Let the caller at `near` and the called at `far` talk over these links."""
        self.connections.add(
            Connection(
                self.loop,
                near,
                far,
                *links,
                framed=self.config.framed,
                on_close=self.connections.discard,
            )
        )

    # -- its life -------------------------------------------------------------------------------

    def _tick(self) -> None:
        now = self.loop.now()
        latest_ns = now - self.config.reset_after_ns
        for link in self.links():
            if link.is_cut and link.cut_ns < latest_ns:
                for traveller in list(link.travellers):
                    if traveller.born_ns < latest_ns:
                        traveller.expire()
        if not self.owners and now > self.deadline_ns and (self.owned or now > self._alone_ns):
            say("the lifetime of this run is over and its harness is gone: ending its nodes")
            left = end(who for who in with_token(self.config.token) if who.pid != os.getpid())
            say(f"ended; {len(left)} processes stay")
            self.loop.stop()


class _Log:
    """relay.log, which a stranger that calls again and again must not fill the disk with."""

    left = LOG_LINES_MAX


def say(text: str) -> None:
    """A line into relay.log."""
    if _Log.left:
        _Log.left -= 1
        print(text if _Log.left else "nothing more is said", file=sys.stderr, flush=True)


def main(argv: list[str]) -> int:
    """The relay process."""
    from dissensus.harness.local.commands import serve

    config = msgspec.json.decode(Path(argv[1]).read_bytes(), type=RelayConfig)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    file_limit()
    relay = Relay(config)
    serve(relay, socket.socket(fileno=int(argv[2])))
    say(f"relay of {config.block}, pid {os.getpid()}")
    relay.loop.run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
