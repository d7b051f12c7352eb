"""What the relay of cluster `local` costs: small messages a second, and the latency that it adds.

    python benchmarks/relay.py [SECONDS]

A node that echoes runs on a cluster, and one client talks to it in turn through the relay and
directly, in the same run: first one message at a time over one connection (latency), then one at a
time over each of 32 connections (throughput; nothing can be merged, so every message costs the
relay a read and a write). The node speaks the reference's frames, so the relay parses them as it
does in a run. Exit 1 where the relay carries fewer than 20,000 messages a second.
"""

from __future__ import annotations

import select
import socket
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from dissensus.harness.cluster import ClusterSpec
from dissensus.harness.clusters.local import LocalCluster
from dissensus.harness.system import Client, NodeSpec, System

MESSAGES_PER_S_LEAST = 20_000
SECONDS = 2.0
CONNECTIONS = 32
ROUNDS = 3
FRAME = b"\x00\x00\x00\x42\x01\x01" + b"x" * 64
"""A message of the size of a heartbeat or a small request."""

ECHO = """
import select, socket, sys
server = socket.create_server((sys.argv[1], int(sys.argv[2])), backlog=128)
poll = select.epoll()
poll.register(server, select.EPOLLIN)
open_ones = {}
while True:
    for fd, _ in poll.poll():
        if fd == server.fileno():
            sock, _ = server.accept()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            open_ones[sock.fileno()] = sock
            poll.register(sock, select.EPOLLIN)
            continue
        try:
            data = open_ones[fd].recv(65536)
        except ConnectionError:
            data = b""
        if data:
            open_ones[fd].sendall(data)
        else:
            open_ones.pop(fd).close()
"""


class EchoSystem(System):
    """Nodes that send back what they get."""

    name = "echo"

    def argv(self, spec: NodeSpec) -> Sequence[str]:
        ip, port = spec.listen["client"]
        return [sys.executable, "-S", "-c", ECHO, ip, str(port)]

    def frame_kinds(self) -> Mapping[str, int]:
        return {"Echo": 1}

    def client(self, workload: str) -> Client:
        return Client()


def dial(source: str, target: tuple[str, int]) -> socket.socket:
    """A connection from a client host's address."""
    sock = socket.create_connection(target, source_address=(source, 0))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def latency_us(sock: socket.socket, seconds: float) -> float:
    """Median time of a message there and back, in microseconds."""
    took = []
    end = time.perf_counter() + seconds
    while (began := time.perf_counter()) < end:
        sock.sendall(FRAME)
        left = len(FRAME)
        while left:
            left -= len(sock.recv(left))
        took.append(time.perf_counter() - began)
    return sorted(took)[len(took) // 2] * 1e6


def messages_per_s(socks: list[socket.socket], seconds: float) -> float:
    """Messages in both directions, one under way per connection."""
    poll = select.epoll()
    by_fd = {sock.fileno(): sock for sock in socks}
    for sock in socks:
        poll.register(sock, select.EPOLLIN)
        sock.sendall(FRAME)
    count = 0
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        for fd, _ in poll.poll():
            sock = by_fd[fd]
            assert len(sock.recv(65536)) == len(FRAME)
            sock.sendall(FRAME)
            count += 2
    took = time.perf_counter() - began
    poll.close()
    for sock in socks:
        sock.recv(65536)
    return count / took


def measure(cluster: LocalCluster, seconds: float) -> tuple[list[float], list[float]]:
    """(latencies, messages a second), each [direct, relayed]: the best of some rounds in turn."""
    spec = cluster.handles["n1"].spec
    source = cluster.provenance()["addresses"]["clients"]["c1"]
    ways = spec.listen["client"], spec.peers["n1"]["client"]
    socks = [[dial(source, way) for _ in range(CONNECTIONS)] for way in ways]
    latency = [float("inf")] * 2
    messages = [0.0] * 2
    for _ in range(ROUNDS):
        for i in range(2):
            latency[i] = min(latency[i], latency_us(socks[i][0], seconds / ROUNDS))
            messages[i] = max(messages[i], messages_per_s(socks[i], seconds / ROUNDS))
    for sock in (*socks[0], *socks[1]):
        sock.close()
    return latency, messages


def main() -> int:
    """Measure, print, compare."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    with tempfile.TemporaryDirectory() as folder:
        spec = ClusterSpec(
            nodes=("n1",), client_hosts=("c1",), seed=1, run_dir=Path(folder) / "run"
        )
        cluster = LocalCluster(spec, EchoSystem())

        async def whole() -> tuple[list[float], list[float]]:
            try:
                await cluster.setup()
                return measure(cluster, seconds)
            finally:
                await cluster.teardown()

        latency, messages = cluster.run(whole())
    print(f"{'':<10} {'there and back':>16} {'messages/s':>12}")
    for name, us, rate in zip(("direct", "relayed"), latency, messages, strict=True):
        print(f"{name:<10} {us:>13.0f} us {rate:>12.0f}")
    print(f"added: {latency[1] - latency[0]:.0f} us, {latency[1] / latency[0]:.1f} times")
    print(f"carried: {messages[1] / messages[0]:.2f} of direct (at least {MESSAGES_PER_S_LEAST}/s)")
    return int(messages[1] < MESSAGES_PER_S_LEAST)


if __name__ == "__main__":
    sys.exit(main())
