"""The mishaps of an explorer's run: drawn from a profile, begun, ended (names: `profiles`).

Everything here is a draw from one random stream and acts on the cluster's machines and links at
once; what ends later is a task of its own. `run` ends when chaos does, with all links whole and all
nodes up.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

from dissensus.harness.cluster import Shape, pairs_between
from dissensus.harness.clusters.sim import SimCluster
from dissensus.harness.env import Env
from dissensus.harness.randomness import Rng
from dissensus.harness.sim import profiles
from dissensus.harness.sim.machine import DOWN, PAUSED, UP, Machine
from dissensus.harness.sim.network import kind_of
from dissensus.harness.sim.profiles import Profile

MS = 1_000_000

TRIP_NS = 5 * MS
"""Who stumbles over a wire dies at once, or within this."""
LOOK_NS = MS
"""How often a run looks for a new leader to topple."""
TOPPLES_MAX = 8
"""Leaders that are cut off in turn before the crown may rest."""
FAULTS_MAX = 3
"""Mishaps at the same time: with more nothing gets done."""


class Mishaps:
    """What goes wrong in one run. `chaos_ends` is the time from which nothing new begins."""

    def __init__(
        self, cluster: SimCluster, rng: Rng, profile: Profile, *, election_ns: int, chaos_ends: int
    ) -> None:
        self.cluster = cluster
        self.env: Env = cluster.env
        self.machines: List[Machine] = [node.machine for node in cluster.handles.values()]
        self.size = len(self.machines)
        self.hosts = cluster.spec.client_hosts
        self.rng = rng
        self.profile = profile
        self.election_ns = election_ns
        self.chaos_ends = chaos_ends
        self.faults = 0
        self.open_faults: Dict[int, None] = {}
        self.kinds: Dict[str, int] = {}
        """Kinds of messages sent between nodes so far, and how often."""
        self.wire: Optional[str] = None
        """The kind of message over which its sender dies."""
        self.crowned = 0
        """The highest term whose leader was seen."""
        self.toppling = False
        if profiles.TRIP in profile.weights:
            for machine in self.machines:
                machine.spy = self.spy

    async def run(self) -> None:
        """Draw mishaps until chaos ends, then end them all."""
        env = self.env
        names = list(self.profile.weights)
        total = sum(self.profile.weights.values())
        while True:
            await env.sleep(self.scaled(self.profile.gap))
            if env.now() >= self.chaos_ends:
                break
            if len(self.open_faults) >= FAULTS_MAX:
                continue
            pick = self.rng.below(total)
            for name in names:
                pick -= self.profile.weights[name]
                if pick < 0:
                    await self.begin(name)
                    break
        for fault in list(self.open_faults):
            await self.end(fault)
        for machine in self.machines:
            self.revive(machine)

    def scaled(self, hundredths: Tuple[int, int]) -> int:
        return self.election_ns * self.rng.between(*hundredths) // 100

    async def begin(self, name: str) -> None:
        """One mishap, with its end on the way."""
        self.faults += 1
        fault = self.faults
        if name in (profiles.KILL_LEADER, profiles.KILL_SOME, profiles.POWER_SOME):
            self.kill(name)
            return
        if name == profiles.PAUSE_LEADER:
            leader = self.leader()
            if leader.state == UP:
                leader.pause()
                self.env.spawn(self.resume_later(leader), f"resume {leader.name}")
            return
        if name == profiles.FREEZE:
            frozen = self.rng.sample(self.machines, self.rng.between(2, self.size - 1))
            self.env.spawn(self.freeze(frozen), f"freeze {fault}")
            return
        if name == profiles.TRIP:
            rare = sorted(self.kinds, key=lambda kind: (self.kinds[kind], kind))
            self.wire = self.rng.choice(rare[: len(rare) // 2 + 1]) if rare else None
            return
        if name == profiles.TOPPLE:
            if self.toppling:
                return
            self.toppling = True
            self.open_faults[fault] = None
            self.env.spawn(self.topple(fault), f"topple {fault}")
            return
        links = self.cluster.links
        if name in (profiles.SLOW, profiles.LOSSY):
            await links.shape(fault, self.draw_shapes(name))
        else:
            await links.cut(fault, self.draw_cut(name))
        self.open_faults[fault] = None
        self.env.spawn(self.end_later(fault), f"end {fault}")

    async def end_later(self, fault: int) -> None:
        await self.env.sleep(self.scaled(self.profile.lasts))
        await self.end(fault)

    async def end(self, fault: int) -> None:
        self.open_faults.pop(fault, None)
        await self.cluster.links.heal(fault)

    async def resume_later(self, machine: Machine) -> None:
        await self.env.sleep(self.scaled(self.profile.lasts))
        if machine.state == PAUSED:
            machine.resume()

    async def freeze(self, machines: List[Machine]) -> None:
        """Pause these for one to three election timeouts; all go on at one instant."""
        stopped = [machine for machine in machines if machine.state == UP]
        for machine in stopped:
            machine.pause()
        await self.env.sleep(self.election_ns * self.rng.between(100, 300) // 100)
        for machine in stopped:
            if machine.state == PAUSED:
                machine.resume()

    def leader(self) -> Machine:
        """Who leads by its own word, in the highest term; any node where nobody does."""
        best: Optional[Machine] = None
        term = -1
        for machine in self.machines:
            if machine.state == DOWN:
                continue
            status = machine.node.status()
            if status.get("role") == "leader" and status.get("term", 0) > term:
                best, term = machine, status["term"]
        return best or self.rng.choice(self.machines)

    def kill(self, name: str) -> None:
        """Kill some nodes, each to come back by itself; with the power go unsynced bytes."""
        rng = self.rng
        victims = [self.leader()]
        if name != profiles.KILL_LEADER:
            count = self.size if rng.chance(1, 3) else rng.between(1, self.size)
            victims = rng.sample(self.machines, count)
        for machine in victims:
            if machine.state == DOWN:
                continue
            self.fell(machine, power=name == profiles.POWER_SOME)

    def spy(self, machine: Machine, msg: Any) -> None:
        """Count what is sent, and let the sender stumble over the wire."""
        kind = kind_of(msg)
        self.kinds[kind] = self.kinds.get(kind, 0) + 1
        if kind == self.wire and self.env.now() < self.chaos_ends:
            self.wire = None
            delay_ns = self.rng.below(TRIP_NS) if self.rng.chance(1, 2) else 0
            self.cluster.kernel.at(self.env.now() + delay_ns, self.stumble, machine)

    def stumble(self, machine: Machine) -> None:
        if machine.state != DOWN:
            self.fell(machine, power=self.rng.chance(1, 2))

    def fell(self, machine: Machine, *, power: bool) -> None:
        """Kill one node, to come back by itself; with the power go unsynced bytes."""
        machine.kill()
        if power:
            machine.disk.lose_unsynced(self.rng if self.cluster.torn_tail else None)
        self.env.spawn(self.restart_later(machine), f"restart {machine.name}")

    async def topple(self, fault: int) -> None:
        """Cut off each new leader early in its term and let the one before it come back: the crown
        goes round, and logs grow apart. Ends when nobody is crowned any more or chaos ends.
        """
        rng = self.rng
        links = self.cluster.links
        before: Optional[int] = None
        for _ in range(rng.between(2, TOPPLES_MAX)):
            leader = await self.new_leader()
            if leader is None:
                break
            await self.ripen(leader)
            if before is not None:
                await self.end(before)
            self.faults += 1
            before = self.faults
            others = [m.name for m in self.machines if m is not leader]
            rng.shuffle(others)
            some = others[: len(others) - (rng.below(2) if self.size > 3 else 0)]
            pairs = [(leader.name, other) for other in some]
            # A leader that is heard no more may still learn of what it has just replicated.
            await links.cut(
                before, pairs if rng.chance(1, 2) else pairs + [(b, a) for a, b in pairs]
            )
            self.open_faults[before] = None
            if rng.chance(1, 2):
                self.lose_in_flight(leader)
            if rng.chance(1, 4) and leader.state != DOWN:
                self.fell(leader, power=False)
        if before is not None:
            await self.end_later(before)
        self.open_faults.pop(fault, None)
        self.toppling = False

    async def ripen(self, leader: Machine) -> None:
        """Let a new leader be for a moment: none, a little, or until it has applied something."""
        choice = self.rng.below(3)
        if choice == 0:
            return
        bound = self.env.now() + self.election_ns // 2
        if choice == 1:
            await self.env.sleep(self.rng.below(self.election_ns // 4))
            return
        applied = leader.node.status().get("applied") if leader.state != DOWN else None
        while self.env.now() < bound and leader.state != DOWN:
            if leader.node.status().get("applied") != applied:
                return
            await self.env.sleep(LOOK_NS)

    def lose_in_flight(self, machine: Machine) -> None:
        """What the machine has sent to other nodes and has not arrived never will."""
        arrivals = [f for m in self.machines for f in (m.datagram, m.frozen_datagram)]
        self.cluster.kernel.discard(
            lambda callback, argument: callback in arrivals and argument[0] == machine.name
        )

    async def new_leader(self) -> Optional[Machine]:
        """Wait for a leader of a higher term than any seen yet; None when that takes too long."""
        env = self.env
        bound = min(env.now() + 6 * self.election_ns, self.chaos_ends)
        while env.now() < bound:
            leader = self.leader()
            status = leader.node.status() if leader.state != DOWN else {}
            if status.get("role") == "leader" and status.get("term", 0) > self.crowned:
                self.crowned = status["term"]
                return leader
            await env.sleep(LOOK_NS)
        return None

    async def restart_later(self, machine: Machine) -> None:
        await self.env.sleep(self.scaled(self.profile.lasts))
        if machine.state == DOWN:
            machine.start()

    @staticmethod
    def revive(machine: Machine) -> None:
        if machine.state == DOWN:
            machine.start()
        elif machine.state == PAUSED:
            machine.resume()

    def draw_cut(self, name: str) -> List[Tuple[str, str]]:
        """Directions to cut. Each client host falls on a side by itself."""
        rng = self.rng
        leader = self.leader().name
        others = [m.name for m in self.machines if m.name != leader]
        rng.shuffle(others)
        if name == profiles.ONE_WAY:
            inward = rng.chance(1, 2)
            return [(o, leader) if inward else (leader, o) for o in others]
        if name == profiles.CUT_SOME:
            cut = others[: rng.between(1, len(others) - 1)]
            return pairs_between([leader], cut)
        minority = [leader]
        if name == profiles.HALVES:
            minority = rng.sample([leader, *others], rng.between(1, self.size // 2))
        elif self.size > 3 and rng.chance(1, 3):
            minority.append(others[0])
        majority = [n for n in self.cluster.spec.nodes if n not in minority]
        few: List[str] = []
        many: List[str] = []
        for host in self.hosts:
            (few if rng.chance(1, 2) else many).append(host)
        return pairs_between([*minority, *few], majority) + pairs_between(minority, many)

    def draw_shapes(self, name: str) -> Dict[Tuple[str, str], Shape]:
        """Some directions between nodes, each worse in its own way."""
        rng = self.rng
        nodes = self.cluster.spec.nodes
        pairs = [(a, b) for a in nodes for b in nodes if a != b and rng.chance(1, 2)]
        if name == profiles.LOSSY:
            return {pair: Shape(loss_ppm=rng.between(50_000, 600_000)) for pair in pairs}
        return {pair: self.draw_delay() for pair in pairs}

    def draw_delay(self) -> Shape:
        delay_ns = self.rng.between(0, self.election_ns)
        return Shape(delay_ns=delay_ns, jitter_ns=self.rng.between(0, delay_ns))
