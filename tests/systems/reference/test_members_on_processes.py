"""A node is wiped on real processes: its disk is gone, it is removed, a blank one takes its place
under a new name, through the relay, with members changed either way and with lease reads.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from dissensus.harness.cluster import ClusterSpec
from dissensus.harness.clusters.local import LocalCluster
from dissensus.harness.errors import UserError
from dissensus.harness.local import processes
from dissensus.harness.system import ClientSession
from dissensus.systems.reference.system import RaftSystem

pytestmark = pytest.mark.cluster

MS = 1_000_000
LONG_NS = 60_000 * MS
"""A bound that only a broken node reaches."""


class Members:
    """The cluster, and who may be asked."""

    def __init__(self, cluster: LocalCluster) -> None:
        self.cluster = cluster

    async def until(self, ready: Callable[[], Awaitable[Any]]) -> Any:
        while not (found := await ready()):
            await self.cluster.env.sleep(20 * MS)
        return found

    async def leader(self) -> str | None:
        for name, node in self.cluster.nodes.items():
            info = await node.info()
            if info is not None and info.role == "leader":
                return name
        return None

    async def change(self, command: str, **args: Any) -> Any:
        """Have the leader do it, asking again while it cannot do it yet."""

        async def done() -> Any:
            leader = await self.until(self.leader)
            answer = await self.cluster.nodes[leader].admin(command, args)
            return answer if answer["ok"] else None

        return (await self.until(done))["config"]

    async def invoke(self, pinned: str | None, f: str, value: Any = None) -> Any:
        """As a client of the workload does it, over the relay."""
        nodes = tuple(self.cluster.nodes)
        client: Any = self.cluster.system.client("cas-register")
        session = ClientSession(process=0, host="c1", pinned=pinned, nodes=nodes)
        await client.open(self.cluster.env, session)
        try:
            return await getattr(client, f)(1, value)
        finally:
            await client.close()


@pytest.mark.parametrize("single", [False, True], ids=["joint", "single-server"])
def test_a_wiped_node_comes_back_under_a_new_name(tmp_path: Path, single: bool) -> None:
    system = RaftSystem(single_server=single, lease_reads=True, snapshot_entries=5, keep_entries=0)
    names = ("n1", "n2", "n3")
    spec = ClusterSpec(nodes=names, client_hosts=("c1",), seed=7, run_dir=tmp_path)
    cluster = LocalCluster(spec, system)
    members = Members(cluster)

    async def story() -> None:
        leader = await members.until(members.leader)
        wiped, other = [name for name in names if name != leader]
        for value in range(20):
            await members.invoke(None, "write", value)
        with pytest.raises(UserError, match=f"{wiped} is up: only a dead node can be wiped"):
            await cluster.nodes[wiped].wipe()
        await cluster.nodes[wiped].kill()
        await cluster.nodes[wiped].wipe()
        assert [path.name for path in (tmp_path / "nodes" / wiped).iterdir()] == ["node.log"]
        with pytest.raises(UserError, match=f"{wiped} was wiped: a blank node comes back"):
            await cluster.nodes[wiped].start()
        assert wiped not in (await members.change("remove", node=wiped))["voters"]
        refused = await cluster.nodes[leader].admin("add", {"node": wiped, "learner": True})
        assert not refused["ok"]
        assert "a node that returns needs a new id" in refused["error"]
        await cluster.add_node("n4")
        assert (await members.change("add", node="n4", learner=True))["learners"] == ["n4"]
        config = await members.change("promote", node="n4")
        assert sorted(config["voters"]) == sorted([leader, other, "n4"])
        # It has begun on a snapshot, and now no majority is without it.
        log = (tmp_path / "nodes" / "n4" / "node.log").read_text(encoding="utf-8")
        assert '"event": "installed"' in log
        await cluster.nodes[other].kill()
        await members.until(members.leader)
        assert await members.invoke("n4", "read") == 19
        await members.invoke(None, "write", 20)
        assert await members.invoke("n4", "read") == 20

    async def whole() -> None:
        try:
            await cluster.setup()
            await cluster.env.timeout(LONG_NS, story())
        finally:
            assert await cluster.teardown() == []

    cluster.run(whole())
    assert processes.with_token(cluster.token) == []
