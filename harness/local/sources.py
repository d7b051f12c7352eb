"""Who opened a connection: by its source address, or by the process that holds its socket.

Client hosts call from addresses of their own. A node calls from whatever the kernel chose, mostly
127.0.0.1, so its socket's inode is asked for and then looked up among the descriptors of the run's
processes: a tenth of a millisecond, once per connection, and no privileges. The inode comes from
the kernel's sock_diag; where it has none, from /proc/net/tcp, which takes a millisecond for each
thousand sockets of the machine, those in TIME_WAIT included.
"""

from __future__ import annotations

import errno
import os
import socket
import struct

from dissensus.harness.local.addresses import Address
from dissensus.harness.local.processes import PROC, with_token

TABLES = ((PROC / "net/tcp", b""), (PROC / "net/tcp6", b"0000000000000000FFFF0000"))
"""Sockets of IPv6 call an IPv4 address as well (those of a JVM do), written with this prefix."""

_SOCK_DIAG = 4
_BY_FAMILY = 20
_REQUEST = 1
_ERROR = 2
_HEADER = struct.Struct("=IHHII")
"""nlmsghdr: length, type, flags, sequence, port."""
_QUERY = struct.Struct("=BBBBI")
"""inet_diag_req_v2: family, protocol, extensions, padding, states; a socket id follows."""
_ANY_STATE = 0xFFFFFFFF
_NO_COOKIE = 0xFFFFFFFF
_INODE_AT = _HEADER.size + 4 + 48 + 16
"""In the answer: four bytes of state, the socket id, four numbers before the inode."""


def inode_by_diag(local: Address, remote: Address) -> int:
    """The inode of the socket with these two addresses, 0 when it is closed. Raises OSError where
    the kernel does not answer such questions.
    """
    ports = struct.pack(">HH", local[1], remote[1])
    ips = b"".join(socket.inet_aton(ip) + bytes(12) for ip, _ in (local, remote))
    ident = ports + ips + struct.pack("=III", 0, _NO_COOKIE, _NO_COOKIE)
    query = _QUERY.pack(socket.AF_INET, socket.IPPROTO_TCP, 0, 0, _ANY_STATE) + ident
    header = _HEADER.pack(_HEADER.size + len(query), _BY_FAMILY, _REQUEST, 0, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG) as netlink:
        netlink.send(header + query)
        answer = netlink.recv(8192)
    if _HEADER.unpack_from(answer)[1] == _ERROR:
        code = -struct.unpack_from("=i", answer, _HEADER.size)[0]
        if code == errno.ENOENT:
            return 0
        raise OSError(code, os.strerror(code))
    return int(struct.unpack_from("=I", answer, _INODE_AT)[0])


def inode_by_table(local: Address, remote: Address) -> int:
    """As `inode_by_diag`, from /proc."""
    for table, prefix in TABLES:
        ends = b" %s%s %s%s " % (prefix, _hex(local), prefix, _hex(remote))
        for entry in table.read_bytes().splitlines() if table.exists() else ():
            if ends in entry:
                return int(entry.split()[9])
    return 0


def _hex(address: Address) -> bytes:
    """As /proc/net/tcp writes it: the address in the machine's byte order, the port not."""
    (number,) = struct.unpack("=I", socket.inet_aton(address[0]))
    return f"{number:08X}:{address[1]:04X}".encode()


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
        self._inode = inode_by_diag

    def add(self, pid: int, node: str) -> None:
        """`node` runs as this process now."""
        self._nodes = {p: n for p, n in self._nodes.items() if n != node}
        self._nodes[pid] = node

    def find(self, local: Address, remote: Address) -> str | None:
        """The node whose socket goes from `local` to `remote`, None for a stranger's. Raises
        OSError when this process has no descriptor left to ask with.
        """
        try:
            inode = self._inode(local, remote)
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                raise
            self._inode = inode_by_table
            inode = inode_by_table(local, remote)
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
