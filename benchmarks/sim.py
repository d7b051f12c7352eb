"""How fast the simulator itself is, on one core, in events and operations per CPU second.

    python benchmarks/sim.py [SECONDS]

  kernel      entries on the heap that do nothing: the floor under everything else
  tasks       sleeps of 5 tasks on the trampoline
  datagrams   messages between 5 nodes that answer each other, over calm links
  requests    round trips of 10 clients to 5 nodes over streams, each under a deadline
  history     no-op operations of 10 clients, both events of each written to events.jsonl

Each figure is the median of three rounds of SECONDS / 15 CPU seconds; rounds are interleaved, so
that all see the same machine.
"""

from __future__ import annotations

import gc
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dissensus.harness.cluster import ClusterSpec
from dissensus.harness.clusters.sim import SimCluster
from dissensus.harness.env import Env
from dissensus.harness.events import EventWriter
from dissensus.harness.ops import Op
from dissensus.harness.sim.env import SimEnv
from dissensus.harness.sim.kernel import Kernel
from dissensus.harness.simnode import SimHost
from dissensus.harness.system import Client, NodeSpec, System

SECONDS = 15.0
CLIENTS = 10
NODES = ("n1", "n2", "n3", "n4", "n5")
HOSTS = ("c1", "c2", "c3", "c4", "c5")


class EchoNode:
    """Sends every message on to the next node, and answers requests at once."""

    host: SimHost

    def __init__(self, spec: NodeSpec, chatty: bool) -> None:
        names = spec.initial
        self.next = names[(names.index(spec.name) + 1) % len(names)]
        self.chatty = chatty

    def start(self, host: SimHost, incarnation: int) -> None:
        self.host = host
        if self.chatty:
            host.set_timer("begin", 1)

    def receive(self, src: str, msg: Any) -> None:
        self.host.send(self.next, msg)

    def connected(self, conn: int, client_host: str) -> Any:
        return "hello"

    def request(self, conn: int, msg: Any) -> None:
        self.host.reply(conn, msg)

    def disconnected(self, conn: int) -> None:
        pass

    def admin(self, command: str, args: Mapping[str, Any], done: Callable[[Any], None]) -> None:
        done(None)

    def timer(self, name: str) -> None:
        self.host.send(self.next, "token")

    def synced(self, token: int) -> None:
        pass

    def status(self) -> dict[str, Any]:
        return {}

    def crash(self) -> None:
        pass


class EchoSystem(System):
    """Nodes that echo."""

    name = "echo"
    capabilities = frozenset({"sim"})

    def __init__(self, *, chatty: bool) -> None:
        self.chatty = chatty

    def argv(self, spec: NodeSpec) -> list[str]:
        raise NotImplementedError("echo nodes exist on sim only")

    def client(self, workload: str) -> Client:
        return Client()

    def sim_node(self, spec: NodeSpec) -> EchoNode:
        return EchoNode(spec, self.chatty)


def cluster(*, chatty: bool) -> SimCluster:
    spec = ClusterSpec(nodes=NODES, client_hosts=HOSTS, seed=1, run_dir=Path())
    return SimCluster(spec, EchoSystem(chatty=chatty), logs=False)


def kernel_events(cpu_s: float) -> tuple[int, float]:
    kernel = Kernel()

    def again(_: Any) -> None:
        kernel.at(kernel.now + 1_000, again)

    for i in range(100):
        kernel.at(i, again)
    stop_after(kernel, cpu_s)
    begin = time.process_time()
    kernel.run()
    return kernel.events, time.process_time() - begin


def stop_after(kernel: Kernel, cpu_s: float) -> None:
    """Halt the kernel once the CPU time is used up; looks every 100 us of virtual time."""
    end = time.process_time() + cpu_s

    def look(_: Any) -> None:
        if time.process_time() > end:
            kernel.halt()
        else:
            kernel.at(kernel.now + 100_000, look)

    kernel.at(kernel.now, look)


def task_sleeps(cpu_s: float) -> tuple[int, float]:
    env = SimEnv(Kernel(), seed=1)
    count = 0

    async def sleeper() -> None:
        nonlocal count
        while time.process_time() < end:
            for _ in range(100):
                await env.sleep(1_000)
            count += 100

    begin = time.process_time()
    end = begin + cpu_s
    env.run(together(env, [sleeper() for _ in range(5)]))
    return count, time.process_time() - begin


async def together(env: Env, coros: list[Any]) -> None:
    for task in [env.spawn(coro, f"task {i}") for i, coro in enumerate(coros)]:
        await task.join()


def datagrams(cpu_s: float) -> tuple[int, float]:
    world = cluster(chatty=True)
    begin = time.process_time()

    async def main() -> None:
        await world.setup()
        while time.process_time() < begin + cpu_s:
            await world.env.sleep(100_000_000)

    world.run(main())
    return world.kernel.events, time.process_time() - begin


def requests(cpu_s: float) -> tuple[int, float]:
    world = cluster(chatty=False)
    env = world.env
    count = 0
    begin = time.process_time()

    async def client(i: int) -> None:
        nonlocal count
        conn = await env.connect(HOSTS[i % 5], NODES[i % 5], None)  # type: ignore[arg-type]
        await conn.recv()
        while time.process_time() < begin + cpu_s:
            for _ in range(50):
                await conn.send("question")
                await env.timeout(1_000_000_000, conn.recv())
            count += 50

    async def main() -> None:
        await world.setup()
        await together(env, [client(i) for i in range(CLIENTS)])

    world.run(main())
    return count, time.process_time() - begin


def history(cpu_s: float) -> tuple[int, float]:
    env = SimEnv(Kernel(), seed=1)
    count = 0

    async def client(process: int) -> None:
        nonlocal count
        while time.process_time() < end:
            for _ in range(50):
                key = count & 7
                op = Op(f="write", key=key, value=count, process=process, time_ns=env.now())
                writer.op(op)
                await env.sleep(1_000)
                done = Op(f="write", key=key, value=count, process=process, type="ok")
                done.time_ns = env.now()
                writer.op(done)
                count += 1

    with tempfile.TemporaryDirectory() as folder:
        writer = EventWriter(Path(folder) / "events.jsonl", {})
        begin = time.process_time()
        end = begin + cpu_s
        env.run(together(env, [client(i) for i in range(CLIENTS)]))
        writer.close()
        took = time.process_time() - begin
    return count, took


FIGURES: dict[str, tuple[str, Callable[[float], tuple[int, float]]]] = {
    "kernel": ("entries/s", kernel_events),
    "tasks": ("sleeps/s", task_sleeps),
    "datagrams": ("events/s", datagrams),
    "requests": ("round trips/s", requests),
    "history": ("operations/s", history),
}


def main() -> int:
    """Measure and print."""
    cpu_s = (float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS) / 15
    gc.disable()
    seen: dict[str, list[float]] = {name: [] for name in FIGURES}
    for _ in range(3):
        for name, (_, measure) in FIGURES.items():
            count, took = measure(cpu_s)
            seen[name].append(count / took)
            gc.collect()
    for name, (unit, _) in FIGURES.items():
        low, median, high = sorted(seen[name])
        print(f"{name:10} {median:12,.0f} {unit}  ({low:,.0f} to {high:,.0f})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
