"""Explorer: many short runs of a system under random mishaps, each a function of its seed.

`run_seed` draws a scenario (cluster size, clients, profile of mishaps), runs it in virtual time,
ends the mishaps, lets the clients read once more, and judges: panics and state machine safety while
the run goes on, the history at its end by the `judge` that is handed in (a linearizability check;
checkers know the harness, not the reverse). It uses the clients of the system as they are, on the
same `SimCluster` as whole runs, without the run store: what it keeps of a run is the history.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any, Callable, Coroutine, Dict, NamedTuple, Optional, Tuple

from dissensus.harness.cluster import ClusterSpec
from dissensus.harness.clusters.sim import OracleAlarm, SimCluster
from dissensus.harness.env import Env
from dissensus.harness.history import History
from dissensus.harness.ops import Op, OpType
from dissensus.harness.randomness import Rng
from dissensus.harness.sim.mishaps import Mishaps
from dissensus.harness.sim.network import Weather
from dissensus.harness.sim.profiles import DRAWN, Profile
from dissensus.harness.system import Client, ClientSession, System, outcome_of

Judge = Callable[[History], Optional[str]]
"""Judges a whole history: None where it is fine, else what is wrong, in one sentence."""

Draw = Callable[[Rng, int], System]
"""Draws the system under test for a run: options may be part of the swarm. Takes (rng, nodes)."""

Operate = Callable[[SimCluster, Rng, int], Coroutine[Any, Any, None]]
"""An operator, who commands nodes until chaos ends: (cluster, rng, that time in ns)."""

SIZES = (3, 3, 5)
"""Cluster sizes to draw from: most bugs need three nodes, some need five."""
CLIENTS = (2, 6)
KEYS = (1, 3)
FROZEN_ONE_IN = 16
"""In one of so many runs, messages are checked to stay as they were sent."""
READ_WRITE_CAS = (45, 35, 20)
"""Weights of the operations while mishaps happen; afterwards clients only read."""


class Limits(NamedTuple):
    """How long a run takes, in virtual time."""

    time_ns: int = 3_000_000_000
    """All of it: mishaps in the first 70 %, the rest to recover and read."""
    election_ns: int = 300_000_000
    """The system's election timeout: the scale of every mishap."""
    op_timeout_ns: int = 250_000_000
    think_ns: Tuple[int, int] = (0, 40_000_000)
    """A client waits so long between operations."""


class Outcome(NamedTuple):
    """What came of one seed."""

    seed: int
    profile: str
    nodes: int
    kind: str
    """"" where nothing is wrong, else the name of the oracle ("panic" ...) or "history"."""
    text: str
    """One sentence about what is wrong."""
    ops: int
    ok: int
    events: int
    """Events on the heap: what a run costs."""
    recovered: bool
    """A read succeeded after the mishaps."""
    digest: int
    """CRC of the history: the same seed gives the same."""


class _Run:
    """One run: clients and mishaps over one cluster."""

    def __init__(
        self,
        seed: int,
        draw: Draw,
        limits: Limits,
        profile: Optional[Profile],
        operate: Optional[Operate],
    ) -> None:
        rng = Rng(seed, "explore")
        self.seed = seed
        self.limits = limits
        self.profile = profile or rng.choice(DRAWN)
        self.size = rng.choice(SIZES)
        self.concurrency = rng.between(*CLIENTS)
        self.keys = rng.between(*KEYS)
        names = tuple(f"n{i + 1}" for i in range(self.size))
        self.hosts = tuple(f"c{i + 1}" for i in range(self.size))
        spec = ClusterSpec(nodes=names, client_hosts=self.hosts, seed=seed, run_dir=Path())
        self.cluster = SimCluster(
            spec,
            draw(rng.split("system"), self.size),
            weather=rng.choice(self.profile.weathers),
            client_weather=Weather(),
            fsync_ns=self.profile.fsync_ns,
            torn_tail=rng.chance(1, 4),
            stop_on_violation=True,
            frozen_messages=rng.chance(1, FROZEN_ONE_IN),
            logs=False,
        )
        self.env: Env = self.cluster.env
        self.history = History()
        self.crc = 0
        self.next_value = 0
        self.latest: Dict[int, Any] = {}
        """Key -> the value that some client saw or wrote last: a cas from it has a chance."""
        self.ok = 0
        self.recovered = False
        self.chaos_ends = limits.time_ns * 7 // 10
        self.next_process = self.concurrency
        self.operate = operate
        self.operator_rng = rng.split("operator")
        self.mishaps = Mishaps(
            self.cluster,
            rng.split("mishaps"),
            self.profile,
            election_ns=limits.election_ns,
            chaos_ends=self.chaos_ends,
        )

    async def main(self) -> None:
        """The whole run."""
        env = self.env
        await self.cluster.setup()
        tasks = [env.spawn(self.client(slot), f"client {slot}") for slot in range(self.concurrency)]
        if self.operate is not None:
            commands = self.operate(self.cluster, self.operator_rng, self.chaos_ends)
            tasks.append(env.spawn(commands, "operator"))
        await self.mishaps.run()
        for task in tasks:
            await task.join()

    async def client(self, slot: int) -> None:
        """One thread of operations; an `info` makes it a new process."""
        env = self.env
        rng = env.rand(f"explore/client/{slot}")
        host = self.hosts[slot % self.size]
        node = self.cluster.spec.nodes[slot % self.size]
        pinned = node if slot % 2 == 0 else None
        process = slot
        client: Optional[Client] = None
        low, high = self.limits.think_ns
        while env.now() < self.limits.time_ns:
            await env.sleep(rng.between(low, high))
            if client is None:
                client = self.cluster.system.client("cas-register")
                session = ClientSession(
                    process=process, host=host, pinned=pinned, nodes=self.cluster.spec.nodes
                )
                await client.open(env, session)
            op = self.draw_op(rng)
            op.process = process
            if await self.invoke(client, op) == "info":
                await client.close()
                client = None
                process = self.next_process
                self.next_process += 1
        if client is not None:
            await client.close()

    def draw_op(self, rng: Rng) -> Op:
        """A read, a write of a value never used before, or a cas from the latest known to such."""
        key = rng.below(self.keys)
        roll = rng.below(sum(READ_WRITE_CAS))
        if roll < READ_WRITE_CAS[0] or self.env.now() > self.chaos_ends:
            return Op(f="read", key=key)
        self.next_value += 1
        if roll < READ_WRITE_CAS[0] + READ_WRITE_CAS[1]:
            return Op(f="write", key=key, value=self.next_value)
        return Op(f="cas", key=key, value=[self.latest.get(key, 0), self.next_value])

    async def invoke(self, client: Client, asked: Op) -> OpType:
        """Run and record one operation."""
        self.record(asked)
        f = asked.f
        method = getattr(client, f.replace("-", "_"))
        done = Op(f=f, key=asked.key, value=asked.value, process=asked.process)
        try:
            result = await self.env.timeout(
                self.limits.op_timeout_ns, method(asked.key, asked.value)
            )
        except Exception as failure:
            done.type, done.error = outcome_of(client, f, failure)
        else:
            done.type = "ok"
            self.succeeded(done, result)
        self.record(done)
        return done.type

    def succeeded(self, done: Op, result: Any) -> None:
        """Book an `ok`."""
        self.ok += 1
        if done.f == "read":
            done.value = result
            self.latest[done.key] = result
            if self.env.now() > self.chaos_ends:
                self.recovered = True
        else:
            self.latest[done.key] = done.value if done.f == "write" else done.value[1]

    def record(self, op: Op) -> None:
        op.time_ns = self.env.now()
        line = (op.time_ns, op.process, op.type, op.f, op.key, op.value, op.error)
        self.crc = zlib.crc32(repr(line).encode(), self.crc)
        self.history.add(op)


def run_seed(
    seed: int,
    draw: Draw,
    judge: Judge,
    *,
    limits: Limits = Limits(),  # noqa: B008 (an immutable tuple)
    profile: Optional[Profile] = None,
    operate: Optional[Operate] = None,
) -> Outcome:
    """Run and judge one seed; with `profile` every run draws its mishaps from that one."""
    run = _Run(seed, draw, limits, profile, operate)
    kind, text = "", ""
    try:
        run.cluster.run(run.main())
    except OracleAlarm:
        first = run.cluster.violations[0]
        kind, text = str(first["name"]), str(first["text"])
    if not kind:
        wrong = judge(run.history)
        if wrong is not None:
            kind, text = "history", wrong
    return Outcome(
        seed=seed,
        profile=run.profile.name,
        nodes=run.size,
        kind=kind,
        text=text,
        ops=len(run.history),
        ok=run.ok,
        events=run.cluster.kernel.events,
        recovered=run.recovered,
        digest=run.crc,
    )
