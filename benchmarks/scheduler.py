"""How many operations a second the scheduler drives on one core, all of its parts included.

    python benchmarks/scheduler.py [SECONDS]

The generator chain is that of a run at full speed (no stagger): five independent keys drawn by
Zipf's law, each rolling after 200 operations of a read/write/cas mix, under a time limit:

    independent(lambda key: register().limit(200), keys=5).time_limit(...)

Every operation is asked from it, dispatched by the scheduler with its deadline, run by a client
object on the task of its thread, and both of its events are written to events.jsonl. On asyncio the
clients return at once, without or with one turn of the event loop; in the simulation they take 0.2
to 2 ms of virtual time. Rates are per second of CPU; the median of three rounds, the lowest and the
highest beside it. Exits 1 where a promise is missed.
"""

from __future__ import annotations

import gc
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from dissensus.harness.aio import AsyncioEnv
from dissensus.harness.drive import Drive
from dissensus.harness.env import Env
from dissensus.harness.events import EventWriter
from dissensus.harness.generators import Generator, independent, register
from dissensus.harness.ops import Op
from dissensus.harness.scheduler import Scheduler
from dissensus.harness.sim.env import SimEnv
from dissensus.harness.sim.kernel import Kernel
from dissensus.harness.system import Client, ClientSession

SECONDS = 20.0
ROUNDS = 3
FOR_EVER_NS = 24 * 3600 * 10**9
"""The time limit of the chain: it is there, and never reached."""
OP_TIMEOUT_NS = 5 * 10**9
NODES = ("n1", "n2", "n3")
HOSTS = ("c1", "c2", "c3")


class NoOp(Client):
    """Returns at once."""

    async def read(self, key: Any, value: Any) -> Any:
        return 1

    async def write(self, key: Any, value: Any) -> Any:
        return value

    async def cas(self, key: Any, value: Any) -> Any:
        return value


class OneTurn(Client):
    """Returns after one turn of the event loop, as if an answer had been there already."""

    async def read(self, key: Any, value: Any) -> Any:
        await self.env.sleep(0)
        return 1

    async def write(self, key: Any, value: Any) -> Any:
        await self.env.sleep(0)
        return value

    cas = write


class Virtual(Client):
    """Takes 0.2 to 2 ms."""

    async def open(self, env: Env, session: ClientSession) -> None:
        await super().open(env, session)
        self.rng = env.rand(f"client/{session.process}")

    async def read(self, key: Any, value: Any) -> Any:
        await self.env.sleep(self.rng.between(200_000, 2_000_000))
        return 1

    async def write(self, key: Any, value: Any) -> Any:
        await self.env.sleep(self.rng.between(200_000, 2_000_000))
        return value

    cas = write


class Case(NamedTuple):
    """One line of the table."""

    name: str
    env: Callable[[], AsyncioEnv | SimEnv]
    client: Callable[[], Client]
    concurrency: int
    promised: int
    """Operations a second, 0 where none are."""


def asyncio_env() -> AsyncioEnv:
    return AsyncioEnv(1)


def sim_env() -> SimEnv:
    return SimEnv(Kernel(), 1)


CASES = (
    Case("asyncio, no-op", asyncio_env, NoOp, 10, 30_000),
    Case("asyncio, no-op", asyncio_env, NoOp, 1000, 0),
    Case("asyncio, one turn", asyncio_env, OneTurn, 10, 30_000),
    Case("sim", sim_env, Virtual, 10, 50_000),
    Case("sim", sim_env, Virtual, 1000, 0),
)


def chain() -> Generator:
    """The generator that is measured."""
    return independent(lambda key: register().limit(200), keys=5).time_limit(FOR_EVER_NS)


def measure(case: Case, cpu_s: float) -> float:
    """Operations per second of CPU, history on disk."""
    env = case.env()
    scheduler = Scheduler(concurrency=case.concurrency, seed=1, op_timeout_ns=OP_TIMEOUT_NS)

    with tempfile.TemporaryDirectory() as folder:
        writer = EventWriter(Path(folder) / "events.jsonl", {})

        def record(op: Op) -> None:
            writer.op(op)
            if writer.ops % 10_000 == 0 and time.process_time() > end:
                drive.stop()

        clients: list[Client] = []

        def client() -> Client:
            clients.append(case.client())
            return clients[-1]

        drive = Drive(env, scheduler, client=client, nodes=NODES, hosts=HOSTS, record=record)

        async def main() -> None:
            await drive.run(chain(), "chaos")
            await drive.close()

        begin = time.process_time()
        end = begin + cpu_s
        env.run(main())
        writer.close()
        assert len(clients) == case.concurrency, "a thread was starved: the figure says nothing"
        return writer.ops / 2 / (time.process_time() - begin)


def main() -> int:
    """Measure and print."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    seen: dict[Case, list[float]] = {case: [] for case in CASES}
    for _ in range(ROUNDS):
        for case in CASES:
            gc.collect()
            seen[case].append(measure(case, seconds / ROUNDS / len(CASES)))
    missed = 0
    for case, rates in seen.items():
        low, median, high = sorted(rates)
        missed += median < case.promised
        promise = f"; promised {case.promised:,}" if case.promised else ""
        print(
            f"{case.name}, {case.concurrency} threads: {median:,.0f} operations/s "
            f"({low:,.0f} to {high:,.0f}), {1e6 / median:.1f} us of CPU each{promise}"
        )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
