"""Every kind of fault, in every world: it is measured in effect, and measured as gone; a twin
whose `inject` does nothing is measured without effect, and one whose `undo` does nothing as not
healed.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from dissensus.harness.errors import SystemFault
from dissensus.harness.fault import Fault
from dissensus.nemeses.table import NEMESES

Make = Callable[..., Any]
Step = Callable[[Any, str], Coroutine[Any, Any, None]]


class Twin:
    """A nemesis of which one step does nothing."""

    def __init__(self, real: Any, step: str) -> None:
        self._real = real
        setattr(self, step, self._nothing)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    async def _nothing(self, cluster: Any, fault: Any) -> None:
        return None


async def is_measured(w: Any, kind: str) -> None:
    """Its effect and its end show, and each step is written down in its order."""
    w.nemeses[kind] = NEMESES[kind]
    w.lines.clear()
    fault = await w.fault(kind)
    measured = await w.injector.begin(fault)
    assert measured.effective, (kind, measured.facts)
    assert w.injector.in_force() == [fault.id]
    assert await w.injector.end(fault.id), w.last("fault-end")
    assert await w.injector.undo_all() == []
    assert w.names() == [
        "journal-begin",
        "fault-begin",
        "fault-measured",
        "journal-end",
        "fault-end",
    ]
    begin, measured, end = w.last("fault-begin"), w.last("fault-measured"), w.last("fault-end")
    assert begin["kind"] == kind
    assert begin["family"] == NEMESES[kind].family
    assert begin["seed"] == f"7/nemesis/{fault.id}"
    assert measured["effective"] is True
    assert end["healed"] is True
    assert begin["t"] <= measured["t"] <= end["t"]


async def is_found_idle(w: Any, kind: str) -> None:
    """A twin that injects nothing is measured without effect."""
    w.nemeses[kind] = Twin(NEMESES[kind], "inject")
    measured = await w.injector.begin(await w.fault(kind))
    assert not measured.effective, (kind, measured.facts)
    assert w.last("fault-measured")["effective"] is False
    assert await w.injector.undo_all() == []


async def is_found_unhealed(w: Any, kind: str) -> None:
    """A twin that undoes nothing is not called healed, until the real one undoes it."""
    w.nemeses[kind] = Twin(NEMESES[kind], "undo")
    w.lines.clear()
    fault = await w.fault(kind)
    await w.injector.begin(fault)
    assert not await w.injector.end(fault.id)
    wrong = await w.injector.undo_all()
    assert len(wrong) == 1
    assert f"fault {fault.id} ({kind}) could not be undone" in wrong[0]
    w.nemeses[kind] = NEMESES[kind]
    assert await w.injector.undo_all() == []
    assert [line["healed"] for name, line in w.lines if name == "fault-end"] == [False, False, True]
    assert w.names().count("journal-end") == 1


STEPS = (is_measured, is_found_idle, is_found_unhealed)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("kind", NEMESES)
def test_every_kind_is_measured_on_sim(sim: Make, kind: str, step: Step) -> None:
    sim().run(lambda w: step(w, kind))


FEW = ["kill-leader", "pause-one", "lose-unsynced-one", "partition-one-way", "slow"]


@pytest.mark.cluster
@pytest.mark.parametrize(
    ("kinds", "steps"),
    [(FEW, STEPS[:1]), pytest.param(list(NEMESES), STEPS, marks=pytest.mark.slow)],
    ids=["few", "all"],
)
def test_kinds_are_measured_on_real_processes(
    local: Make, kinds: list[str], steps: tuple[Step, ...]
) -> None:
    async def scene(w: Any) -> None:
        for kind in kinds:
            for step in steps:
                await w.find_leader()
                await step(w, kind)

    local().run(scene)


def test_two_partitions_compose_and_each_undoes_its_own(sim: Make) -> None:
    """While the second lasts, the first cannot show that it is gone: it is looked at again."""

    async def scene(w: Any) -> None:
        first = await w.fault("partition-halves")
        assert (await w.injector.begin(first)).effective
        assert (await w.injector.begin(await w.fault("partition-ring"))).effective
        assert await w.injector.end(1)
        assert await w.cluster.links.faults() == [2]
        assert w.last("fault-end")["measured"]["shared"] is True
        assert await w.injector.undo_all() == []

    w = sim(nodes=5)
    w.run(scene)
    assert [line["healed"] for name, line in w.lines if name == "fault-end"] == [True, True]


def test_slow_links_that_are_cut_as_well(sim: Make) -> None:
    """A delay behind a cut has no effect of its own; it is undone all the same."""

    async def scene(w: Any) -> None:
        cut = Fault(kind="partition-one", targets={"sides": [["n1"], ["n2", "n3"]]})
        slow = Fault(kind="slow", targets={"nodes": ["n1"]}, asked={"delay_ns": 50_000_000})
        assert (await w.injector.begin(cut)).effective
        measured = await w.injector.begin(slow)
        assert not measured.effective
        assert measured.facts["open"] == 0
        assert await w.injector.undo_all() == []

    sim().run(scene)


def test_a_one_way_cut_that_stops_both_ways_is_not_what_was_asked_for(sim: Make) -> None:
    async def scene(w: Any) -> None:
        cut = w.cluster.links.cut

        async def both_ways(fault: int, pairs: Any) -> None:
            await cut(fault, [*pairs, *((dst, src) for src, dst in pairs)])

        w.cluster.links.cut = both_ways
        fault = Fault(kind="partition-one-way", targets={"from": ["n1"], "to": ["n2", "n3"]})
        measured = await w.injector.begin(fault)
        assert not measured.effective
        assert measured.facts["closed"] == 2
        assert (measured.facts["controls"], measured.facts["controls_open"]) == (2, 0)
        assert await w.injector.undo_all() == []

    sim().run(scene)


def test_a_cut_without_any_open_direction_is_no_evidence(sim: Make) -> None:
    """Where nothing at all passes, the probe may be what is broken."""

    async def scene(w: Any) -> None:
        hosts = [*w.cluster.nodes, *w.cluster.spec.client_hosts]
        pairs = [(a, b) for a in w.cluster.nodes for b in hosts if a != b]
        await w.cluster.links.cut(99, pairs + [(b, a) for a, b in pairs])
        measured = await w.injector.begin(await w.fault("partition-halves"))
        assert measured.facts["not_closed"] == []
        assert not measured.effective
        await w.cluster.links.heal(99)

    sim().run(scene)


def test_losses_show_as_stalls(sim: Make) -> None:
    async def scene(w: Any) -> None:
        asked = {"delay_ns": 30_000_000, "loss_ppm": 300_000}
        slow = Fault(kind="slow", targets={"nodes": ["n1", "n2", "n3"]}, asked=asked)
        measured = await w.injector.begin(slow)
        assert measured.effective
        assert measured.facts["slowest_ns"] > 100_000_000

    sim().run(scene)


def slow_disks(w: Any) -> Any:
    """Fsyncs of 5 to 9 ms."""
    for node in w.cluster.handles.values():
        node.machine.disk.fsync_lo_ns, node.machine.disk.fsync_hi_ns = 5_000_000, 9_000_000
    return w


async def write_much(w: Any) -> None:
    """Keep the leader's disk busy."""
    conn = await w.cluster.env.connect("c1", "n1", None)
    assert (await conn.recv())[0] == "hello"
    for value in range(400):
        await conn.send(("write", 0, value))
        await w.cluster.env.sleep(1_000_000)


def test_a_power_failure_tells_what_it_took(toy: Make) -> None:
    async def scene(w: Any) -> None:
        await write_much(w)
        unsynced = Fault(kind="lose-unsynced", targets={"nodes": ["n1", "n2"]})
        measured = await w.injector.begin(unsynced)
        assert measured.effective
        assert measured.facts["lost_bytes"]["n1"] > 0
        assert measured.facts["lost_bytes"]["n2"] == 0
        assert measured.facts["unsynced_left"] == {}

    slow_disks(toy()).run(scene)


def test_a_kill_is_not_taken_for_a_power_failure(toy: Make) -> None:
    """A twin that kills and cuts nothing, while bytes wait for their fsync."""

    async def scene(w: Any) -> None:
        await write_much(w)
        twin = Twin(NEMESES["lose-unsynced"], "undo")
        twin.inject = NEMESES["kill"].inject  # type: ignore[attr-defined]
        w.nemeses["lose-unsynced"] = twin
        unsynced = Fault(kind="lose-unsynced", targets={"nodes": ["n1"]})
        measured = await w.injector.begin(unsynced)
        assert not measured.effective
        assert measured.facts["unsynced_left"]["n1"]["log"] > 0
        w.nemeses["lose-unsynced"] = NEMESES["lose-unsynced"]

    slow_disks(toy()).run(scene)


def test_a_node_that_falls_while_paused_is_no_unhealed_pause(toy: Make) -> None:
    async def scene(w: Any) -> None:
        await w.injector.begin(Fault(kind="pause", targets={"nodes": ["n2"]}))
        await w.cluster.nodes["n2"].kill()
        assert await w.injector.end(1)
        assert w.last("fault-end")["measured"] == {"states": {"n2": "down"}}

    toy().run(scene)


def test_a_node_that_does_not_come_back_is_told(toy: Make) -> None:
    async def scene(w: Any) -> None:
        await w.injector.begin(Fault(kind="kill", targets={"nodes": ["n2"]}))

        async def never() -> None:
            raise SystemFault("n2 did not come up: the disk is gone")

        node, w.cluster.nodes["n2"].start = w.cluster.nodes["n2"].start, never
        [wrong] = await w.injector.undo_all()
        assert wrong.endswith("could not be undone: n2 did not come up: the disk is gone")
        w.cluster.nodes["n2"].start = node

    toy().run(scene)
