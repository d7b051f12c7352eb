"""Throughput and latency of the reference Raft beside PySyncObj, over requests in flight.

Three nodes on loopback without relays, each a process with its disk on; the load generator runs in
the leader's process and keeps W puts in flight, each answered after it is committed and applied.
For every W the systems take turns in fresh clusters, so that both see the same machine. PySyncObj
runs as it comes (`default`: entries leave every 100 ms) and tuned for latency (`unbatched`:
appendEntriesUseBatch=False); the ratio is ours to each.

    python benchmarks/raft_vs_pysyncobj.py [--seconds 3] [--rounds 1] [--inflight 1,64,1024]

Durability differs in our disfavour: our nodes fsync before they answer; PySyncObj's journal is a
memory-mapped file that it flushes as its version does (`journalFile`), its commands are pickled.
Needs the dependency group `bench`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

IN_FLIGHT = (1, 4, 16, 64, 256, 1024, 4096, 16384)
NODES = 3
PORT = 7401
"""Below the range from which the kernel takes ports of its own."""
KEYS = 1000
VALUE = "v" * 16
WARM_UP_S = 1.0
START_S = 15.0
SYSTEMS = ("dissensus", "default", "unbatched")
REQUIRED = {64: 10.0, 1024: 1.0}
"""Requests in flight -> the ratio to PySyncObj's default that the project promises."""


ATTEMPTS_MAX = 3


class NoResult(Exception):
    """A cluster gave no figure."""


Put = Callable[[str, str, Any], None]
"""(key, value, done): ask for a put; `done(ok)` is called when it is answered."""


class Load:
    """Keeps W requests in flight through `put(key, value, done)`, and measures after the warm-up.

    `done()` may be called inside `put`; failures count as errors and are asked again.
    """

    def __init__(
        self, in_flight: int, seconds: float, put: Callable[[str, str, Any], None]
    ) -> None:
        self.in_flight = in_flight
        self.seconds = seconds
        self.put = put
        self.sent = 0
        self.begun = 0.0
        self.count = 0
        self.errors = 0
        self.latencies: list[float] = []
        self.waiting: deque[int] = deque()
        self.over = False

    def start(self) -> None:
        self.measure_from = time.perf_counter() + WARM_UP_S
        self.measure_to = self.measure_from + self.seconds
        for _ in range(self.in_flight):
            self.issue()

    def issue(self) -> None:
        self.sent += 1
        at = time.perf_counter()
        self.put(f"k{self.sent % KEYS}", VALUE, lambda ok: self.answered(at, ok))

    def answered(self, at: float, ok: bool) -> None:
        now = time.perf_counter()
        if now >= self.measure_to:
            self.over = True
            return
        if not ok:
            self.errors += 1
        elif now >= self.measure_from:
            self.count += 1
            self.latencies.append(now - at)
        self.issue()

    def result(self) -> dict[str, Any]:
        return {
            "ops_per_s": self.count / self.seconds,
            "p50_ms": 1000 * statistics.median(self.latencies) if self.latencies else None,
            "errors": self.errors,
        }


# -- our node -------------------------------------------------------------------------------------


class PutHandle:
    """A reply handle inside the leader's process."""

    __slots__ = ("done",)

    def __init__(self, done: Callable[[bool], None]) -> None:
        self.done = done

    def deliver(self, reply: Any) -> None:
        self.done(reply.ok)


async def our_node(me: int, hosts: list[str], folder: str, load: tuple[int, float]) -> None:
    from dissensus.systems.reference.core.client_messages import ClientRequest
    from dissensus.systems.reference.host.config import NodeConfig
    from dissensus.systems.reference.host.kits import kit
    from dissensus.systems.reference.host.node import NodeHost

    members = {f"n{i + 1}": (address, PORT) for i, address in enumerate(hosts)}
    name = f"n{me + 1}"
    config = NodeConfig(node=name, members=members, listen=members[name], data_dir=folder)
    host = NodeHost(config, kit("raft"))
    await host.start()
    while host.core.status()["role"] != "leader" or not all(
        link.ready for link in host.links.values()
    ):
        await asyncio.sleep(0.05)
        if host.stopped.done():
            raise SystemExit("the node stopped")
    seq = 0

    def put(key: str, value: str, done: Any) -> None:
        nonlocal seq
        seq += 1
        host.submit(PutHandle(done), ClientRequest(0, seq, 0, ("put", key, value)))

    work = Load(load[0], load[1], put)
    work.start()
    await asyncio.sleep(WARM_UP_S + load[1])
    print(json.dumps(work.result()), flush=True)


# -- PySyncObj's node -----------------------------------------------------------------------------


def their_node(
    me: int, hosts: list[str], folder: str, load: tuple[int, float], *, batch: bool
) -> None:
    from pysyncobj import SyncObj, SyncObjConf, replicated

    class Store(SyncObj):  # type: ignore[misc]
        def __init__(self, own: str, others: list[str], conf: Any) -> None:
            super().__init__(own, others, conf)
            self.data: dict[str, str] = {}

        @replicated  # type: ignore[untyped-decorator]
        def put(self, key: str, value: str) -> None:
            self.data[key] = value

    addresses = [f"{address}:{PORT}" for address in hosts]
    own = addresses.pop(me)
    conf = SyncObjConf(
        bindAddress=own,  # else it binds its port on every address
        journalFile=os.path.join(folder, "journal"),
        fullDumpFile=os.path.join(folder, "dump"),
        autoTick=False,
        appendEntriesUseBatch=batch,
    )
    store = Store(own, addresses, conf)

    def put(key: str, value: str, done: Any) -> None:
        store.put(key, value, callback=lambda _, error: done(error == 0))

    work: Load | None = None
    while True:
        store.doTick(0.001 if work is None else 0.0)
        if work is None:
            if store._isLeader() and store.isReady() and connected(store, NODES - 1):
                work = Load(load[0], load[1], put)
                work.start()
        elif work.over:
            print(json.dumps(work.result()), flush=True)
            work = Load(0, 0.0, put)


def connected(store: Any, count: int) -> bool:
    status = store.getStatus()
    up = [k for k, v in status.items() if k.startswith("partner_node_status_server_") and v == 2]
    return len(up) == count


# -- the run --------------------------------------------------------------------------------------


def measure(system: str, in_flight: int, seconds: float) -> dict[str, Any]:
    """One figure. A cluster that lost its leader under the load may never answer: a fresh one is
    tried, and that is said.
    """
    for attempt in range(1, ATTEMPTS_MAX + 1):
        try:
            return measure_once(system, in_flight, seconds)
        except NoResult as why:
            print(f"          attempt {attempt}: {why}", flush=True)
    raise SystemExit(f"{system} gave no result in {ATTEMPTS_MAX} attempts")


def measure_once(system: str, in_flight: int, seconds: float) -> dict[str, Any]:
    """One fresh cluster, one figure."""
    hosts = free_addresses(NODES)
    with tempfile.TemporaryDirectory(prefix="dissensus-bench-") as folder:
        children = []
        for me in range(NODES):
            place = Path(folder) / f"n{me + 1}"
            place.mkdir()
            job = json.dumps([system, me, hosts, str(place), in_flight, seconds])
            command = [sys.executable, __file__, "--node", job]
            children.append(
                subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            )
        try:
            return first_line(system, children, START_S + WARM_UP_S + 3 * seconds)
        finally:
            for child in children:
                child.kill()
            for child in children:
                child.communicate()


def first_line(
    system: str, children: list[subprocess.Popen[bytes]], timeout_s: float
) -> dict[str, Any]:
    """The result that the leader's process prints."""
    import selectors

    with selectors.DefaultSelector() as selector:
        for child in children:
            assert child.stdout is not None
            selector.register(child.stdout, selectors.EVENT_READ)
        deadline = time.monotonic() + timeout_s
        while (left := deadline - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                line = key.fileobj.readline()  # type: ignore[union-attr]
                if line:
                    result: dict[str, Any] = json.loads(line)
                    return result
                selector.unregister(key.fileobj)
            if not selector.get_map():
                raise NoResult(f"every node of {system} ended without a result")
    raise NoResult(f"{system} gave no result within {timeout_s:.0f} s")


def free_addresses(count: int) -> list[str]:
    """Loopback addresses of which nobody listens at PORT. A port that the kernel gave and that was
    closed again would not do: until a node binds it, any connection on the machine may take it.
    """
    block = os.getpid()
    while True:
        hosts = [f"127.{block // 250 % 250 + 2}.{block % 250 + 2}.{i + 1}" for i in range(count)]
        try:
            for address in hosts:
                with socket.socket() as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind((address, PORT))
            return hosts
        except OSError:
            block += 1


def node(job: str) -> None:
    """What a child process does."""
    system, me, hosts, folder, in_flight, seconds = json.loads(job)
    load = (in_flight, seconds)
    if system == "dissensus":
        sys.setswitchinterval(0.0005)
        asyncio.run(our_node(me, hosts, folder, load))
    else:
        their_node(me, hosts, folder, load, batch=system == "default")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="measured, after 1 s of warm-up")
    parser.add_argument("--rounds", type=int, default=1, help="figures are medians of so many")
    parser.add_argument("--inflight", default=",".join(map(str, IN_FLIGHT)))
    parser.add_argument("--systems", default=",".join(SYSTEMS))
    parser.add_argument("--node", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.node:
        node(args.node)
        return 0
    systems = args.systems.split(",")
    print(
        f"{'in flight':>9}"
        + "".join(f" {s + ' op/s':>16} {'p50 ms':>8}" for s in systems)
        + "".join(f" {'x ' + s:>12}" for s in systems[1:]),
        flush=True,
    )
    missed = 0
    for in_flight in map(int, args.inflight.split(",")):
        runs: dict[str, list[dict[str, Any]]] = {s: [] for s in systems}
        for _ in range(args.rounds):
            for system in systems:
                runs[system].append(measure(system, in_flight, args.seconds))
        rate = {s: statistics.median(r["ops_per_s"] for r in runs[s]) for s in systems}
        p50 = {s: statistics.median(r["p50_ms"] or 0.0 for r in runs[s]) for s in systems}
        ratios = [rate[systems[0]] / max(rate[s], 0.1) for s in systems[1:]]
        print(
            f"{in_flight:>9}"
            + "".join(f" {rate[s]:>16,.0f} {p50[s]:>8.2f}" for s in systems)
            + "".join(f" {ratio:>12.1f}" for ratio in ratios),
            flush=True,
        )
        wanted = REQUIRED.get(in_flight)
        if wanted and ratios and ratios[0] < wanted:
            missed += 1
            print(f"          required: {wanted:g} times the default", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
