"""Addresses of a run: a block of loopback that no other run uses, and who sits where in it.

A run owns `127.a.b.0` to `127.a.(b+3).255`, b a multiple of 4. The third octet says what an address
is for, the last one for whom: node k is reached at `127.a.b.k`, where the relay listens, and itself
listens at `127.a.(b+1).k`; client host k calls from `127.a.(b+2).k`; the relay takes commands at
`127.a.(b+3).1`. Whoever listens there owns the block: so two runs never share one, and the kernel
gives it back when the relay dies. The ports are the same everywhere and lie below the ephemeral
range, where no connection of anybody can have taken them.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable
from pathlib import Path

import msgspec

from dissensus.harness.errors import EnvironmentFault, UserError
from dissensus.harness.randomness import Rng

Address = tuple[str, int]

PORT_BASE = 7400
"""The control port; the named ports of nodes follow."""
EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
BLOCKS_TRIED_MAX = 64
"""Of 16,002 blocks; when so many are taken something is wrong with all of them."""
SECOND_OCTETS = (1, 254)
"""127.0.x.y is left to others: Debian's own host name lives at 127.0.1.1."""
HOSTS_MAX = 254
"""Nodes of one run, those added later included: the last octet."""
BACKLOG = 512

RELAY, NODE, CLIENT, CONTROL = 0, 1, 2, 3
"""Offsets of the third octet."""


class Block(msgspec.Struct, kw_only=True, frozen=True):
    """Where the addresses of one run begin."""

    a: int
    b: int

    def address(self, use: int, number: int) -> str:
        """The IP address of host `number` (from 1) for a use."""
        if not 1 <= number <= HOSTS_MAX:
            raise UserError(f"host number {number} of a run is out of range: 1 to {HOSTS_MAX}")
        return f"127.{self.a}.{self.b + use}.{number}"

    def place(self, ip: str) -> tuple[int, int] | None:
        """(use, number) of an address of this block, None for others."""
        octets = ip.split(".")
        if octets[:2] != ["127", str(self.a)]:
            return None
        use = int(octets[2]) - self.b
        return (use, int(octets[3])) if 0 <= use <= CONTROL else None

    @property
    def control(self) -> Address:
        return self.address(CONTROL, 1), PORT_BASE

    def __str__(self) -> str:
        return f"127.{self.a}.{self.b}.0/22"


def ports_of(names: Iterable[str]) -> dict[str, int]:
    """A number for each named port. Raises EnvironmentFault where connections may take them."""
    found = {name: PORT_BASE + 1 + i for i, name in enumerate(names)}
    lowest = ephemeral_low()
    if max(found.values(), default=0) >= lowest:
        raise EnvironmentFault(
            f"{EPHEMERAL} begins at {lowest}: any connection may take the ports "
            f"{PORT_BASE} to {max(found.values())} that nodes listen on; let it begin higher"
        )
    return found


def ephemeral_low() -> int:
    """The first port that the kernel gives to outgoing connections; 32768 where it does not say."""
    try:
        return int(EPHEMERAL.read_text(encoding="ascii").split()[0])
    except OSError:
        return 32768


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


def is_free(address: Address) -> bool:
    """Whether one could listen on `address` now. Raises EnvironmentFault for other troubles."""
    sock = try_listen(address)
    if sock is None:
        return False
    sock.close()
    return True


def try_listen(address: Address) -> socket.socket | None:
    """A listening socket, None when the address is in use."""
    try:
        return listener(address)
    except EnvironmentFault as fault:
        cause = fault.__cause__
        if isinstance(cause, OSError) and cause.errno == errno.EADDRINUSE:
            return None
        raise


def candidates(token: str) -> Iterable[Block]:
    """Blocks to try, in an order of the token's own, so that runs seldom try the same."""
    rng = Rng(int(token, 16), "addresses")
    for _ in range(BLOCKS_TRIED_MAX):
        yield Block(a=rng.between(*SECOND_OCTETS), b=4 * rng.below(64))


def claim(
    blocks: Iterable[Block], numbers: int, ports: Iterable[int]
) -> tuple[Block, socket.socket]:
    """Take the first block of which the control address and the first `numbers` hosts are free.

    Returns it with the listening control socket, which is the claim. Raises EnvironmentFault, that
    names the last address tried, when none is free.
    """
    ports = list(ports)
    busy = ""
    for block in blocks:
        sock = try_listen(block.control)
        if sock is None:
            busy = f"{block.control[0]}:{block.control[1]}"
            continue
        taken = [
            (ip, port)
            for use in (RELAY, NODE)
            for number in range(1, numbers + 1)
            for port in ports
            if not is_free((ip := block.address(use, number), port))
        ]
        if not taken:
            return block, sock
        sock.close()
        busy = f"{taken[0][0]}:{taken[0][1]}"
    raise EnvironmentFault(
        f"no block of loopback addresses is free; the last one tried has {busy} in use "
        f"(a program that listens on 0.0.0.0:{PORT_BASE} and up takes all of them)"
    )


def file_limit() -> None:
    """Raise this process's limit of open files to what it may have."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
