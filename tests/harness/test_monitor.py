"""The monitor: who leads, what changed, and who died without a fault that explains it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from dissensus.harness.cluster import NodeInfo
from dissensus.harness.clusters.sim import SimCluster
from dissensus.harness.monitor import LAST_LINES, Monitor, exit_text, last_lines

S = 1_000_000_000
Toy = Callable[..., SimCluster]


class Told:
    """A node that is what a test says it is."""

    def __init__(self, name: str, **info: Any) -> None:
        self.name = name
        self.condition = "up"
        self.code: int | None = None
        self.status: NodeInfo | None = NodeInfo(up=True, **info)
        self.log: Path | None = None

    async def state(self) -> str:
        return self.condition

    async def info(self) -> NodeInfo | None:
        return self.status

    def exit_code(self) -> int | None:
        return self.code

    def logs(self) -> list[Path]:
        return [self.log] if self.log else []


class Watching:
    """A monitor over told nodes, on the simulator's time."""

    def __init__(self, cluster: SimCluster, *nodes: Told) -> None:
        self.cluster = cluster
        self.events: list[Mapping[str, Any]] = []
        self.explained: set[str] = set()
        cluster.nodes = {node.name: node for node in nodes}  # type: ignore[dict-item]
        self.monitor = Monitor(cluster, self.events.append, explained=lambda: self.explained)

    def run(self, *steps: tuple[int, Callable[[], None]]) -> None:
        """Watch; do each step at its time."""

        async def main() -> None:
            env = self.cluster.env
            task = env.spawn(self.monitor.watch(), "monitor")
            for at, step in steps:
                await env.sleep(at - env.now())
                step()
            task.cancel()

        self.cluster.run(main())

    def of(self, kind: str) -> list[Mapping[str, Any]]:
        return [event for event in self.events if event["ev"] == kind]


def test_changes_are_told_at_once_and_progress_once_a_second(toy: Toy) -> None:
    node = Told("n1", role="follower", term=1, applied=0)
    watching = Watching(toy(), node)

    def set_info(**info: Any) -> Callable[[], None]:
        def step() -> None:
            node.status = NodeInfo(up=True, **info)

        return step

    watching.run(
        (S // 10, set_info(role="follower", term=1, applied=1, digest=9)),
        (S // 2, set_info(role="leader", term=2, leader="n1", applied=2, digest=8)),
        (4 * S, lambda: None),
    )
    lines = watching.of("node")
    assert [(e["role"], e["applied"]) for e in lines] == [("follower", 0), ("leader", 2)]
    assert lines[1]["t"] - S // 2 <= S // 5
    assert lines[1] | {"t": 0} == {
        "ev": "node",
        "t": 0,
        "node": "n1",
        "up": True,
        "state": "up",
        "role": "leader",
        "term": 2,
        "leader": "n1",
        "commit": -1,
        "applied": 2,
        "digest": 8,
        "digests": [],
    }


def test_progress_alone_is_told(toy: Toy) -> None:
    node = Told("n1", role="follower", term=1, applied=0)
    watching = Watching(toy(), node)

    def apply() -> None:
        assert node.status is not None
        node.status = NodeInfo(up=True, role="follower", term=1, applied=node.status.applied + 1)

    watching.run(*((i * S // 10, apply) for i in range(1, 51)))
    assert 5 <= len(watching.of("node")) <= 6


def test_digests_are_told_once_and_again_after_a_loss(toy: Toy) -> None:
    node = Told("n1", applied=0, extra={"digests": []})
    watching = Watching(toy(), node)

    def apply(applied: int, *digests: list[int]) -> Callable[[], None]:
        def step() -> None:
            node.status = NodeInfo(up=True, applied=applied, extra={"digests": list(digests)})

        return step

    watching.run(
        (1 * S, apply(70, [64, 5])),
        (3 * S, apply(200, [64, 5], [128, 6], [192, 7])),
        (5 * S, apply(130, [64, 5], [128, 6])),
        (7 * S, lambda: None),
    )
    told = [event["digests"] for event in watching.of("node")]
    assert told == [[], [[64, 5]], [[128, 6], [192, 7]], [[64, 5], [128, 6]]]


def test_the_leader_of_the_highest_term_leads(toy: Toy) -> None:
    old = Told("n1", role="leader", term=1)
    new = Told("n2", role="leader", term=3)
    watching = Watching(toy(), old, new, Told("n3", role="follower", term=3, leader="n2"))
    seen: list[str | None] = []

    def die() -> None:
        new.condition = "down"

    watching.run(
        (0, lambda: seen.append(watching.monitor.leader())),
        (S, lambda: seen.append(watching.monitor.leader())),
        (S, die),
        (2 * S, lambda: seen.append(watching.monitor.leader())),
    )
    assert seen == [None, "n2", "n1"]


def test_a_follower_s_word_counts_where_no_node_says_that_it_leads(toy: Toy) -> None:
    watching = Watching(toy(), Told("n1", term=1, leader="n3"), Told("n2", term=2, leader="n1"))
    watching.run((S, lambda: None))
    assert watching.monitor.leader() == "n1"


@pytest.mark.parametrize("explained", [False, True])
def test_a_death_is_reported_unless_a_fault_explains_it(
    toy: Toy, tmp_path: Path, explained: bool
) -> None:
    node = Told("n1", role="leader", term=1)
    node.log = tmp_path / "node.log"
    node.log.write_text("".join(f"line {i}\n" for i in range(20)) + "PANIC upside down\n")
    watching = Watching(toy(), node)

    def die() -> None:
        node.condition, node.code = "down", 70
        if explained:
            watching.explained.add("n1")

    watching.run((S, die), (3 * S, lambda: None))
    marks = watching.of("mark")
    if explained:
        assert marks == []
        return
    (mark,) = marks
    assert (mark["name"], mark["node"], mark["exit_code"]) == ("node-died", "n1", 70)
    assert mark["log"][-1] == "PANIC upside down"
    assert len(mark["log"]) == LAST_LINES
    assert mark["text"] == "n1 ended by itself with exit code 70"
    assert watching.of("node")[-1]["up"] is False


def test_a_node_that_was_never_up_has_not_died(toy: Toy) -> None:
    node = Told("n1")
    node.condition = "down"
    watching = Watching(toy(), node)
    watching.run((2 * S, lambda: None))
    assert watching.of("mark") == []


def test_one_node_that_does_not_answer_holds_up_nobody(toy: Toy) -> None:
    slow = Told("n1", role="follower", term=1)
    quick = Told("n2", role="follower", term=1)
    watching = Watching(toy(), slow, quick)

    async def hang() -> NodeInfo | None:
        await watching.cluster.env.sleep(100 * S)
        return None

    slow.info = hang  # type: ignore[method-assign]

    def lead() -> None:
        quick.status = NodeInfo(up=True, role="leader", term=2)

    watching.run((S, lead), (2 * S, lambda: None))
    assert [e["node"] for e in watching.of("node")] == ["n2", "n2"]


def test_what_the_cluster_saw_itself_passes_through(toy: Toy) -> None:
    watching = Watching(toy(), Told("n1", role="leader", term=2))
    watching.monitor.observe("node", {"node": "n1", "role": "leader", "term": 2, "leader": "n1"})
    watching.monitor.observe("mark", {"name": "panic", "text": "no"})
    assert watching.monitor.leader() == "n1"
    assert [event["ev"] for event in watching.events] == ["node", "mark"]


def test_the_toy_is_watched_as_it_is(toy: Toy) -> None:
    cluster = toy()
    events: list[Mapping[str, Any]] = []
    monitor = Monitor(cluster, events.append, explained=tuple)

    async def main() -> None:
        await cluster.setup()
        task = cluster.env.spawn(monitor.watch(), "monitor")
        await cluster.env.sleep(S)
        await cluster.nodes["n2"].kill()
        await cluster.env.sleep(S)
        task.cancel()

    cluster.run(main())
    assert monitor.leader() == "n1"
    assert [e["node"] for e in events if e.get("name") == "node-died"] == ["n2"]


def test_words_for_exits_and_logs(tmp_path: Path) -> None:
    assert exit_text(3) == "exit code 3"
    assert exit_text(-9) == "signal 9"
    assert last_lines([tmp_path / "none"]) == []
    (tmp_path / "log").write_bytes(b"\xff\xfe broken\n" * 1000)
    assert len(last_lines([tmp_path / "log"])) == LAST_LINES
