"""Random walks over what may happen next, without time: every step is looked at by oracles.

Each walk draws a cluster, options, and how likely each kind of action is; then it takes actions
that are possible at the moment, uniformly within a kind. Timers fire at any time, so nothing here
may rest on time (no leases). The oracles are the paper's figure 3, and what a reader is owed.
"""

from __future__ import annotations

from typing import Any

import pytest

from dissensus.harness.randomness import Rng
from dissensus.systems.reference.core.client_messages import ClientReply, ClientRequest
from dissensus.systems.reference.core.effects import Applied, Mark, Reply
from dissensus.systems.reference.core.errors import InvariantError
from dissensus.systems.reference.core.untimed import Untimed
from dissensus.systems.reference.raft.core import Raft
from dissensus.systems.reference.raft.options import Options
from dissensus.systems.reference.raft.state import CONTACT, ELECTION, LEADER

ACTIONS: dict[str, tuple[int, ...]] = {
    "deliver": (40, 80),
    "drop": (0, 1, 5),
    "copy": (0, 1, 5),
    "reorder": (0, 5, 20),
    "fire": (5, 15, 30),
    "crash": (0, 1, 2),
    "restart": (2, 5),
    "hold": (0, 2),
    "persist": (5, 10),
    "put": (5, 15),
    "get": (0, 5, 15),
    "command": (0, 1, 5),
}
"""Action -> weights to draw from: a walk that never does a thing goes further with the others."""
SETTLE_EVERY = 60
"""Now and then everything arrives, so that leaders get something done."""
FLIGHT_MAX = 30


class Walk:
    """One walk and its oracles."""

    def __init__(self, seed: int, made: type[Raft] = Raft) -> None:
        self.rng = rng = Rng(seed, "walk")
        self.made = made
        size = rng.choice((2, 3, 3, 4, 5))
        self.voters = tuple(f"n{i + 1}" for i in range(size))
        self.names = (*self.voters, *(f"b{i + 1}" for i in range(rng.below(3))))
        self.options = Options(
            max_entries=rng.choice((1, 2, 100)),
            max_inflight=rng.choice((1, 2, 8)),
            snapshot_entries=rng.choice((2, 5, 1000)),
            keep_entries=rng.choice((0, 2)),
            chunk_bytes=rng.choice((20, 1000)),
            single_server=rng.chance(1, 2),
        )
        self.weights = {name: rng.choice(weights) for name, weights in ACTIONS.items()}
        self.world = Untimed(self.make, self.observe)
        self.alarm = ""
        self.leaders: dict[int, str] = {}
        self.digests: dict[int, int] = {}
        self.committed: dict[int, Any] = {}
        """Index -> entry, as the first node that committed it had it."""
        self.commit = 0
        """Highest index that any node ever committed."""
        self.commit_term = 0
        """Term of the node that committed it."""
        self.reads: dict[int, int] = {}
        """Client -> the commit index when it asked."""
        self.asked = 0
        self.answered = 0
        for name in self.names:
            self.world.start(name)

    def make(self, name: str) -> Raft:
        return self.made(name, self.voters if name in self.voters else (), self.options)

    # -- oracles --------------------------------------------------------------------------------

    def say(self, text: str) -> None:
        self.alarm = self.alarm or text

    def observe(self, node: str, what: Any) -> None:
        kind = type(what)
        if kind is Mark and what.name == "role" and what.fields["role"] == LEADER:
            first = self.leaders.setdefault(what.fields["term"], node)
            if first != node:
                self.say(f"{first} and {node} lead term {what.fields['term']}")
        elif kind is Applied:
            if self.digests.setdefault(what.index, what.digest) != what.digest:
                self.say(f"{node} has another state at {what.index}")
        elif kind is Reply:
            self.reply(node, what.client, what.result)
        elif kind is InvariantError:
            self.say(f"{node}: {what}")

    def reply(self, node: str, client: Any, result: Any) -> None:
        owed = self.reads.get(client)
        if owed is None or type(result) is not ClientReply or not result.ok:
            return
        self.answered += 1
        core: Any = self.world.nodes[node].core
        if core.applied < owed:
            self.say(f"{node} answered a read from {core.applied}, {owed} was committed before")

    def check(self) -> None:
        """Log matching of what is committed, and leader completeness."""
        for name, node in self.world.nodes.items():
            core: Any = node.core
            if core is None:
                continue
            log = core.log
            for index in range(max(self.commit - 20, log.first), core.commit + 1):
                entry = log.entry(index)
                if self.committed.setdefault(index, entry) != entry:
                    self.say(f"{name} committed another entry at {index}")
            if core.commit > self.commit:
                self.commit, self.commit_term = core.commit, core.term
        for name, node in self.world.nodes.items():
            core = node.core
            if core is not None and core.role == LEADER and core.term > self.commit_term:
                for index in range(max(core.log.first, self.commit - 20), self.commit + 1):
                    known = self.committed.get(index)
                    if known is None:
                        continue
                    if index > core.log.last or core.log.entry(index) != known:
                        self.say(f"{name} leads term {core.term} without entry {index}")

    # -- actions --------------------------------------------------------------------------------

    def run(self, actions: int) -> str:
        """Walk; the first alarm, or ""."""
        names = [name for name, weight in self.weights.items() for _ in range(weight)]
        for number in range(actions):
            getattr(self, self.rng.choice(names))()
            if number % SETTLE_EVERY == 0 and self.rng.chance(1, 2):
                self.settle()
            self.check()
            if self.alarm:
                return f"after {number} actions: {self.alarm}"
        return ""

    def up(self) -> list[str]:
        return [name for name, node in self.world.nodes.items() if node.core is not None]

    def leading(self, names: list[str]) -> list[str]:
        cores: dict[str, Any] = {name: self.world.nodes[name].core for name in names}
        return [name for name, core in cores.items() if core.role == LEADER]

    def way(self) -> tuple[str, str, int] | None:
        ways = [(way, len(queue)) for way, queue in self.world.flight.items() if queue]
        if not ways:
            return None
        (src, dst), length = self.rng.choice(ways)
        return src, dst, length

    def deliver(self) -> None:
        way = self.way()
        if way is not None:
            src, dst, length = way
            self.world.deliver(src, dst)
            while length > FLIGHT_MAX:
                self.world.drop(src, dst)
                length -= 1

    def reorder(self) -> None:
        way = self.way()
        if way is not None:
            self.world.deliver(way[0], way[1], self.rng.below(way[2]))

    def copy(self) -> None:
        way = self.way()
        if way is not None:
            self.world.deliver(way[0], way[1], self.rng.below(way[2]), copy=True)

    def drop(self) -> None:
        way = self.way()
        if way is not None:
            self.world.drop(way[0], way[1], self.rng.below(way[2]))

    def settle(self) -> None:
        for _ in range(40):
            if self.way() is None:
                return
            self.deliver()

    def fire(self) -> None:
        up = self.up()
        if up:
            name = self.rng.choice(up)
            armed = sorted(self.world.nodes[name].armed)
            if self.rng.chance(1, 2):
                # Elections need several nodes to be silent at once.
                for other in up:
                    if CONTACT in self.world.nodes[other].armed and self.rng.chance(3, 4):
                        self.world.fire(other, CONTACT)
                if ELECTION in self.world.nodes[name].armed:
                    self.world.fire(name, ELECTION)
            elif armed:
                self.world.fire(name, self.rng.choice(armed))

    def crash(self) -> None:
        up = self.up()
        if up:
            name = self.rng.choice(up)
            self.world.crash(name, self.rng.below(len(self.world.nodes[name].written) + 1))

    def restart(self) -> None:
        down = [name for name in self.names if name not in self.up()]
        if down:
            self.world.start(self.rng.choice(down))

    def hold(self) -> None:
        up = self.up()
        if up:
            self.world.hold(self.rng.choice(up), self.rng.chance(1, 2))

    def persist(self) -> None:
        waiting = [name for name in self.up() if self.world.nodes[name].written]
        if waiting:
            name = self.rng.choice(waiting)
            count = 1 + self.rng.below(len(self.world.nodes[name].written))
            self.world.persist(name, count)

    def ask(self, op: tuple[Any, ...]) -> int:
        self.asked += 1
        up = self.up()
        leads = self.leading(up)
        if up:
            name = self.rng.choice(leads if leads and self.rng.chance(1, 2) else up)
            if op[0] == "get":
                self.reads[self.asked] = self.commit
            self.world.request(name, self.asked, ClientRequest(0, self.asked, 0, op))
        return self.asked

    def put(self) -> None:
        self.ask(("append", "k", self.asked))

    def get(self) -> None:
        self.ask(("get", "k"))

    def command(self) -> None:
        leads = self.leading(self.up())
        if not leads:
            return
        some = self.rng.sample(self.names, self.rng.between(1, len(self.names)))
        cut = self.rng.below(len(some))
        one = self.rng.choice(self.names)
        op = self.rng.choice(
            (
                ("add", {"node": one, "learner": self.rng.chance(1, 2)}),
                ("promote", {"node": one}),
                ("remove", {"node": one}),
                ("config", {"voters": some[cut:], "learners": some[:cut]}),
                ("transfer", {"node": None}),
                ("snapshot", {}),
            )
        )
        self.world.admin(self.rng.choice(leads), f"a{self.asked}", op)


def walks(seeds: range, actions: int, made: type[Raft] = Raft) -> list[str]:
    found = []
    for seed in seeds:
        alarm = Walk(seed, made).run(actions)
        if alarm:
            found.append(f"seed {seed} {alarm}")
    return found


def test_walks_raise_no_alarm_and_get_somewhere() -> None:
    commits = reads = 0
    for seed in range(100):
        walk = Walk(seed)
        assert walk.run(500) == "", seed
        commits += walk.commit
        reads += walk.answered
    assert commits > 1_000
    assert reads > 500


class RoundUnderWay(Raft):
    """A read is content with a round that began before it."""

    __slots__ = ()

    def read_at_leader(self, who: Any) -> None:
        if self.knows_commit():
            self.reads.append((self.round, self.commit, who))
            self.ask_turn()
        else:
            self.early_reads.append(who)


class DurableTooEarly(Raft):
    """The leader counts itself before its disk has confirmed (R14)."""

    __slots__ = ()

    def own_match(self) -> int:
        return self.log.last


class NoUpToDate(Raft):
    """Votes go to any log (5.4.1)."""

    __slots__ = ()

    def up_to_date(self, msg: Any) -> bool:
        return True


@pytest.mark.parametrize(
    ("made", "first", "said"),
    [
        (RoundUnderWay, 160, "answered a read"),
        (DurableTooEarly, 390, "has another state"),
        (NoUpToDate, 0, "has another state"),
    ],
)
def test_the_oracles_see_a_bug(made: type[Raft], first: int, said: str) -> None:
    found = walks(range(first, first + 10), 1_000, made)
    assert any(said in text for text in found), found


@pytest.mark.slow
def test_many_walks_raise_no_alarm() -> None:
    assert walks(range(1_000, 3_000), 1_000) == []
