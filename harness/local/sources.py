"""Who opened a connection: by its source address, or by the process that holds its socket.

Client hosts call from addresses of their own. A node calls from whatever the kernel chose, mostly
127.0.0.1, so its socket's inode is looked up in /proc/net/tcp and then among the descriptors of the
run's processes; that takes a millisecond, once per connection, and no privileges.
"""

from __future__ import annotations

import os
import socket
import struct

from dissensus.harness.local.addresses import Address
from dissensus.harness.local.processes import PROC, with_token

TABLE = PROC / "net/tcp"


def _hex(address: Address) -> bytes:
    """As /proc/net/tcp writes it: the address in the machine's byte order, the port not."""
    (number,) = struct.unpack("=I", socket.inet_aton(address[0]))
    return f"{number:08X}:{address[1]:04X}".encode()


def inode_of(local: Address, remote: Address) -> int:
    """The inode of the socket with these two addresses, 0 when it is closed."""
    ends = b" %s %s " % (_hex(local), _hex(remote))
    for entry in TABLE.read_bytes().splitlines():
        if ends in entry:
            return int(entry.split()[9])
    return 0


def holds(pid: int, inode: int) -> bool:
    """Whether a process has this socket open."""
    wanted = f"socket:[{inode}]"
    folder = f"{PROC}/{pid}/fd"
    try:
        names = os.listdir(folder)
    except OSError:
        return False
    # The newest descriptors last: the socket was opened a moment ago.
    for name in reversed(names):
        try:
            if os.readlink(f"{folder}/{name}") == wanted:
                return True
        except OSError:
            continue
    return False


class Sources:
    """The processes of a run's nodes."""

    def __init__(self, token: str) -> None:
        self._token = token
        self._nodes: dict[int, str] = {}
        """pid -> node."""

    def add(self, pid: int, node: str) -> None:
        """`node` runs as this process now."""
        self._nodes = {p: n for p, n in self._nodes.items() if n != node}
        self._nodes[pid] = node

    def find(self, local: Address, remote: Address) -> str | None:
        """The node whose socket goes from `local` to `remote`, None for a stranger's."""
        inode = inode_of(local, remote)
        if not inode:
            return None
        for pid, node in self._nodes.items():
            if holds(pid, inode):
                return node
        # A child of a node's process, or a process that is not announced yet.
        for who in with_token(self._token):
            if who.node and who.pid not in self._nodes and holds(who.pid, inode):
                self._nodes[who.pid] = who.node
                return who.node
        return None
