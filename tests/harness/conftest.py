"""The toy system (`toy.py`) on the simulator, for every test of the harness."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dissensus.harness.cluster import ClusterSpec
from dissensus.harness.clusters.sim import SimCluster
from dissensus.harness.registry import load_system
from dissensus.harness.system import ClientSession

TOY = f"{Path(__file__).with_name('toy.py')}:ToySystem"
"""The toy's name on the command line and in plans."""


@pytest.fixture(scope="session")
def toy_name() -> str:
    """The toy's name on the command line and in plans."""
    return TOY


@pytest.fixture
def toy(tmp_path: Path) -> Callable[..., SimCluster]:
    """Makes a cluster of three toy nodes and three client hosts: toy(bug="", seed=1, **options)."""

    def make(bug: str = "", seed: int = 1, **options: Any) -> SimCluster:
        spec = ClusterSpec(
            nodes=("n1", "n2", "n3"), client_hosts=("c1", "c2", "c3"), seed=seed, run_dir=tmp_path
        )
        return SimCluster(spec, load_system(TOY, {"bug": bug}), **options)

    return make


@pytest.fixture
def toy_client() -> Callable[..., Any]:
    """Opens a client: await toy_client(cluster, host="c1", pinned=None)."""

    async def open_client(cluster: SimCluster, host: str = "c1", pinned: str | None = None) -> Any:
        client = cluster.system.client("register")
        nodes = tuple(cluster.spec.nodes)
        session = ClientSession(process=0, host=host, pinned=pinned, nodes=nodes)
        await client.open(cluster.env, session)
        return client

    return open_client
