"""Clusters of Raft cores on the untimed driver, with the few moves that the tests here repeat, and
their stage for golden scripts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dissensus.systems.reference.core.client_messages import ClientReply, ClientRequest, OpenSession
from dissensus.systems.reference.core.effects import Mark, Reply
from dissensus.systems.reference.core.errors import CoreError
from dissensus.systems.reference.core.untimed import Untimed
from dissensus.systems.reference.golden import Dialect, Stage, play
from dissensus.systems.reference.host.raft_kit import admin_op
from dissensus.systems.reference.raft.core import Raft
from dissensus.systems.reference.raft.messages import MESSAGES, PreVote, Vote
from dissensus.systems.reference.raft.options import Options
from dissensus.systems.reference.raft.state import CHECK_QUORUM, CONTACT, ELECTION, HEARTBEAT


class Cluster:
    """Nodes n1, n2 ...; those beyond `voters` are blank and wait to be added."""

    def __init__(self, voters: int = 3, blank: int = 0, **options: Any) -> None:
        self.voters = tuple(f"n{i + 1}" for i in range(voters))
        self.names = tuple(f"n{i + 1}" for i in range(voters + blank))
        self.options = Options(**options)
        self.replies: dict[str, Any] = {}
        self.marks: list[tuple[str, str, dict[str, Any]]] = []
        self.errors: list[tuple[str, CoreError]] = []
        self.world = Untimed(self.make, self.observe)
        self.seq = 0
        for name in self.names:
            self.world.start(name)

    def make(self, name: str) -> Raft:
        voters = self.voters if name in self.voters else ()
        return Raft(name, voters, self.options)

    def observe(self, node: str, what: Any) -> None:
        if isinstance(what, Reply):
            assert what.client not in self.replies, what
            self.replies[what.client] = what.result
        elif isinstance(what, Mark):
            self.marks.append((node, what.name, what.fields))
        elif isinstance(what, CoreError):
            self.errors.append((node, what))

    def core(self, name: str) -> Any:
        core = self.world.nodes[name].core
        assert core is not None, f"{name} is down"
        return core

    def flying(self, src: str, dst: str) -> list[Any]:
        return self.world.flight.get((src, dst), [])

    def settle(self, *cut: str) -> None:
        """Deliver everything, until nothing is in flight; what goes to or from `cut` is lost."""
        moved = True
        while moved:
            moved = False
            for (src, dst), queue in list(self.world.flight.items()):
                while queue:
                    moved = True
                    if {src, dst} & {*cut}:
                        self.world.drop(src, dst)
                    else:
                        self.world.deliver(src, dst)

    def silence(self, *names: str) -> None:
        """These nodes have not heard a leader for the minimum election timeout."""
        for name in names:
            if CONTACT in self.world.nodes[name].armed:
                self.world.fire(name, CONTACT)

    def elect(self, name: str, *cut: str) -> None:
        """`name` becomes leader without the help of `cut`."""
        self.silence(*(n for n in self.names if n not in cut and self.up(n)))
        self.world.fire(name, ELECTION)
        self.settle(*cut)
        assert self.core(name).role == "leader", self.core(name).status()

    def up(self, name: str) -> bool:
        return self.world.nodes[name].core is not None

    def beat(self, name: str, *cut: str) -> None:
        """A heartbeat of the leader and what follows from it."""
        self.world.fire(name, HEARTBEAT)
        self.settle(*cut)

    def ask(self, name: str, *op: Any, session: int = 0, seq: int = 0) -> str:
        """A request whose reply will lie in `replies` under the handle that is returned."""
        self.seq += 1
        client = f"c{self.seq}"
        self.world.request(name, client, ClientRequest(session, seq or self.seq, 0, op))
        return client

    def put(self, name: str, key: str, value: Any, *cut: str) -> ClientReply | None:
        """Ask for a put and settle; the reply, if there is one."""
        client = self.ask(name, "put", key, value)
        self.settle(*cut)
        return self.replies.get(client)

    def get(self, name: str, key: str, *cut: str) -> ClientReply | None:
        client = self.ask(name, "get", key)
        self.settle(*cut)
        return self.replies.get(client)

    def open(self, name: str) -> int:
        """The id of a new session."""
        self.seq += 1
        client = f"c{self.seq}"
        self.world.request(name, client, OpenSession(self.seq))
        self.settle()
        found: int = self.replies[client].result
        return found

    def command(self, name: str, command: str, **args: Any) -> str:
        self.seq += 1
        client = f"c{self.seq}"
        self.world.admin(name, client, (command, args))
        return client

    def change(self, name: str, command: str, *cut: str, **args: Any) -> Any:
        """A command and its answer, if there is one."""
        client = self.command(name, command, **args)
        self.settle(*cut)
        return self.replies.get(client)


@pytest.fixture
def cluster() -> Callable[..., Cluster]:
    return Cluster


ATTEMPTS_MAX = 4
"""A candidate learns of a newer term by its first attempt, and of one more in odd cases."""


def elect(stage: Stage, line: list[str]) -> None:
    """elect NAME VOTER ...: time passes for these nodes, until leaders without a quorum step down
    and NAME is elected by the others. What it asked of anybody else is lost.
    """
    candidate, *voters = line
    cluster = stage.cluster
    for _ in range(ATTEMPTS_MAX):
        for name in line:
            armed = cluster.node(name).armed
            for timer in (CONTACT, CHECK_QUORUM, CHECK_QUORUM):
                if timer in armed:
                    cluster.fire(name, timer)
        cluster.fire(candidate, ELECTION)
        stage.settle([*line, "only=PreVote,PreVoteReply,Vote,VoteReply"])
        for (src, dst), queue in cluster.flight.items():
            if src == candidate and dst not in voters:
                queue[:] = [msg for msg in queue if type(msg) not in (PreVote, Vote)]
        core = cluster.node(candidate).core
        if core is not None and core.status()["role"] == "leader":
            return
    raise ValueError(f"{candidate} was not elected")


@pytest.fixture
def stage() -> Callable[..., str]:
    """Plays a script with nodes of this class, and returns it with what came of it now."""

    def run(text: str, core: type[Raft] = Raft) -> str:
        def make(node: str, members: tuple[str, ...], options: dict[str, Any]) -> Raft:
            return core(node, members, Options(**options))

        return play(
            text,
            Dialect(messages=MESSAGES, make=make, admin_op=admin_op, commands={"elect": elect}),
        )

    return run
