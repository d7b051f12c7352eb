"""Who holds a socket: the kernel's two ways to say its inode agree."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator

import pytest

from dissensus.harness.local import sources
from dissensus.harness.local.addresses import Address, listener
from dissensus.harness.local.sources import Sources, inode_by_diag, inode_by_table

TOKEN = "50" * 16
Call = tuple[socket.socket, Address, Address]


@pytest.fixture(params=["ipv4", "ipv6"])
def call(request: pytest.FixtureRequest) -> Iterator[Call]:
    """(the caller's socket, its address, the address called), over sockets of either family."""
    if request.param == "ipv6" and not os.path.exists("/proc/net/tcp6"):
        pytest.skip("this kernel has no IPv6")
    prefix = "::ffff:" if request.param == "ipv6" else ""
    with listener(("127.77.3.1", 0)) as server:
        ip, port = server.getsockname()
        with socket.create_connection((prefix + ip, port)) as near:
            far, peer = server.accept()
            with far:
                yield near, peer, (ip, port)


def test_the_inode_of_a_socket(call: Call) -> None:
    near, local, remote = call
    inode = os.fstat(near.fileno()).st_ino
    assert inode_by_table(local, remote) == inode
    assert inode_by_table(local, (remote[0], 1)) == 0
    try:
        found = inode_by_diag(local, remote)
    except OSError as error:
        pytest.skip(f"this kernel has no sock_diag: {error}")
    assert found == inode
    assert inode_by_diag(local, (remote[0], 1)) == 0


def test_a_caller_is_found_by_its_process(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    _, local, remote = call
    known = Sources(TOKEN)
    assert known.find(local, remote) is None
    known.add(os.getpid(), "n1")
    assert known.find(local, remote) == "n1"
    known.add(1, "n1")
    assert known.find(local, remote) is None, "a node has one process at a time"

    def refused(*_: Address) -> int:
        raise OSError(errno.EPROTONOSUPPORT, "no sock_diag here")

    monkeypatch.setattr(sources, "inode_by_diag", refused)
    other = Sources(TOKEN)
    other.add(os.getpid(), "n2")
    assert other.find(local, remote) == "n2"
