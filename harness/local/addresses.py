"""Addresses of a run: a block of loopback that no other run uses, and who sits where in it.

On Linux (`Block`) a run owns `127.a.b.0` to `127.a.(b+3).255`, b a multiple of 4. The third octet
says what an address is for, the last one for whom: node k is reached at `127.a.b.k`, where the
relay listens, and itself listens at `127.a.(b+1).k`; client host k calls from `127.a.(b+2).k`; the
relay takes commands at `127.a.(b+3).1`. So a node has one address, the same for every viewer, and
the relay knows clients by theirs. The ports are the same everywhere.

Where loopback is 127.0.0.1 alone (macOS, and there it is untested) a run owns a range of ports
(`PortBlock`): each viewer reaches each node at a port of its own, which tells the relay who calls.

Whoever listens at the control address owns the block: so two runs never share one, and the kernel
gives it back when the relay dies. Every port lies below the ephemeral range, where no outgoing
connection of anybody can have taken it.
"""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from dissensus.harness.errors import EnvironmentFault, UserError
from dissensus.harness.randomness import Rng

Address = tuple[str, int]
Host = tuple[str, int]
"""(NODE or CLIENT, number from 1)."""

NODE, CLIENT = "node", "client"

EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
EPHEMERAL_ELSEWHERE = 49152
"""What IANA says and macOS does."""
BLOCKS_TRIED_MAX = 64
"""Of 16,256 blocks; when so many are taken, somebody listens on all of them."""
BACKLOG = 512

PORT_BASES = (7_400, 17_400, 27_400)
"""Control ports of a `Block`, in the order in which they are tried; the named ports of nodes
follow. More than one, because a program that listens on 0.0.0.0 takes its port in all blocks.
"""
SECOND_OCTETS = (1, 254)
"""127.0.x.y is left to others: Debian's own host name lives at 127.0.1.1."""
_RELAY, _NODE, _CLIENT, _CONTROL = 0, 1, 2, 3
"""Offsets of the third octet."""

PORT_RANGE_LOW = 10_240
SLOTS = 32
"""Nodes, and client hosts, of a run that is told apart by ports."""


class Block(msgspec.Struct, kw_only=True, frozen=True, tag=True):
    """Addresses of one run on Linux."""

    a: int
    b: int
    ports: int
    """Number of named ports of a node."""
    base: int = PORT_BASES[0]

    @property
    def control(self) -> Address:
        """Where the relay takes commands."""
        return self._ip(_CONTROL, 1), self.base

    def own(self, node: int, port: int) -> Address:
        """Where a node itself listens with a port (from 0)."""
        return self._ip(_NODE, node), self.base + 1 + port

    def reached(self, viewer: Host, node: int, port: int) -> Address:
        """Where a viewer reaches a node: at the relay."""
        return self._ip(_RELAY, node), self.base + 1 + port

    def doors(self, node: int, port: int) -> Iterator[tuple[Address, Host | None]]:
        """Where the relay listens for callers of a node, and who calls there (None: anybody)."""
        yield self.reached((NODE, node), node, port), None

    def source(self, host: Host) -> str:
        """The IP address that a host calls from, as clients do and as nodes see it."""
        kind, number = host
        return self._ip(_CLIENT if kind == CLIENT else _RELAY, number)

    def caller(self, ip: str) -> Host | None:
        """The host that an IP address belongs to, None for those that tell nothing."""
        octets = ip.split(".")
        if octets[:2] != ["127", str(self.a)]:
            return None
        use = int(octets[2]) - self.b
        kinds = {_RELAY: NODE, _NODE: NODE, _CLIENT: CLIENT}
        return (kinds[use], int(octets[3])) if use in kinds else None

    def holds(self, address: Address) -> bool:
        """Whether an address is one of this run's."""
        octets = address[0].split(".")
        return octets[:2] == ["127", str(self.a)] and 0 <= int(octets[2]) - self.b <= _CONTROL

    def _ip(self, use: int, number: int) -> str:
        _within(number, 254)
        return f"127.{self.a}.{self.b + use}.{number}"

    def __str__(self) -> str:
        return f"127.{self.a}.{self.b}.0/22"


class PortBlock(msgspec.Struct, kw_only=True, frozen=True, tag=True):
    """Addresses of one run where loopback has one: ports from `base` on."""

    base: int
    ports: int

    @staticmethod
    def size(ports: int) -> int:
        """How many ports a run takes."""
        return 1 + ports * SLOTS * (1 + 2 * SLOTS)

    @property
    def control(self) -> Address:
        return "127.0.0.1", self.base

    def own(self, node: int, port: int) -> Address:
        return "127.0.0.1", self.base + 1 + self._slot(node) * self.ports + port

    def reached(self, viewer: Host, node: int, port: int) -> Address:
        kind, number = viewer
        row = 1 + self._slot(number) + (SLOTS if kind == CLIENT else 0)
        return "127.0.0.1", self.base + 1 + (row * SLOTS + self._slot(node)) * self.ports + port

    def doors(self, node: int, port: int) -> Iterator[tuple[Address, Host | None]]:
        for kind in (NODE, CLIENT):
            for number in range(1, SLOTS + 1):
                yield self.reached((kind, number), node, port), (kind, number)

    def source(self, host: Host) -> str:
        return "127.0.0.1"

    def caller(self, ip: str) -> Host | None:
        return None

    def holds(self, address: Address) -> bool:
        return 0 <= address[1] - self.base < self.size(self.ports)

    def _slot(self, number: int) -> int:
        _within(number, SLOTS)
        return number - 1

    def __str__(self) -> str:
        return f"127.0.0.1:{self.base}-{self.base + self.size(self.ports) - 1}"


AnyBlock = Block | PortBlock


def _within(number: int, most: int) -> None:
    if not 1 <= number <= most:
        raise UserError(f"host number {number} of a run is out of range: 1 to {most}")


def ephemeral_low() -> int:
    """The first port that the kernel gives to outgoing connections."""
    try:
        return int(EPHEMERAL.read_text(encoding="ascii").split()[0])
    except OSError:
        return EPHEMERAL_ELSEWHERE


def listener(address: Address) -> socket.socket:
    """A listening socket. Raises EnvironmentFault that names the address."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise EnvironmentFault(
            f"cannot listen on {address[0]}:{address[1]}: {error.strerror}"
        ) from error
    return sock


def try_listen(address: Address) -> socket.socket | None:
    """A listening socket, None when the address is in use."""
    try:
        return listener(address)
    except EnvironmentFault as fault:
        cause = fault.__cause__
        if isinstance(cause, OSError) and cause.errno == errno.EADDRINUSE:
            return None
        raise


def is_free(address: Address) -> bool:
    """Whether one could listen on `address` now. Raises EnvironmentFault for other troubles."""
    sock = try_listen(address)
    if sock is None:
        return False
    sock.close()
    return True


def candidates(token: str, ports: int) -> Iterable[AnyBlock]:
    """Blocks to try, in an order of the token's own, so that runs seldom try the same.

    Raises EnvironmentFault where outgoing connections may take every port.
    """
    rng = Rng(int(token, 16), "addresses")
    if sys.platform == "linux":
        for base in PORT_BASES:
            if base == PORT_BASES[0] or base + ports < ephemeral_low():
                _below_ephemeral(base + ports)
                for _ in range(BLOCKS_TRIED_MAX):
                    a, b = rng.between(*SECOND_OCTETS), 4 * rng.below(64)
                    yield Block(a=a, b=b, ports=ports, base=base)
        return
    size = PortBlock.size(ports)
    _below_ephemeral(PORT_RANGE_LOW + size - 1)
    bases = list(range(PORT_RANGE_LOW, ephemeral_low() - size + 1, size))
    rng.shuffle(bases)
    for base in bases:
        yield PortBlock(base=base, ports=ports)


def _below_ephemeral(port: int) -> None:
    lowest = ephemeral_low()
    if port >= lowest:
        raise EnvironmentFault(
            f"the ephemeral range of ports begins at {lowest}: any connection may take the ports "
            f"up to {port} that a run listens on; let it begin higher ({EPHEMERAL})"
        )


def claim(blocks: Iterable[AnyBlock], nodes: int) -> tuple[AnyBlock, socket.socket]:
    """Take the first block of which the control address and those of `nodes` nodes are free.

    Returns it with the listening control socket, which is the claim. Raises EnvironmentFault, that
    names the last address tried, when none is free.
    """
    busy = ""
    for block in blocks:
        sock = try_listen(block.control)
        if sock is None:
            busy = "{}:{}".format(*block.control)
            continue
        taken = next((a for a in _addresses(block, nodes) if not is_free(a)), None)
        if taken is None:
            return block, sock
        sock.close()
        busy = "{}:{}".format(*taken)
    raise EnvironmentFault(
        f"no block of loopback addresses is free; the last one tried has {busy} in use "
        "(a program that listens on 0.0.0.0 takes its port in all of them)"
    )


def _addresses(block: AnyBlock, nodes: int) -> Iterator[Address]:
    for node in range(1, nodes + 1):
        for port in range(block.ports):
            yield block.own(node, port)
            for address, _ in block.doors(node, port):
                yield address


def file_limit() -> None:
    """Raise this process's limit of open files to what it may have."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
