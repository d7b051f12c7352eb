"""Every kind of fault, in every world: it is measured in effect, and measured as gone; a twin
without `inject` is measured as without effect, and one without `undo` as not healed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dissensus.harness.errors import SystemFault
from dissensus.harness.fault import Fault
from dissensus.nemeses.table import NEMESES

Make = Callable[..., Any]


class Twin:
    """A nemesis of which one step does nothing."""

    def __init__(self, real: Any, step: str) -> None:
        self._real = real
        setattr(self, step, self._nothing)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    async def _nothing(self, cluster: Any, fault: Any) -> None:
        return None


@pytest.mark.parametrize("kind", NEMESES)
def test_the_effect_is_measured_and_so_is_its_end(world: Make, kind: str) -> None:
    async def scene(w: Any) -> None:
        fault = await w.fault(kind)
        measured = await w.injector.begin(fault)
        assert measured.effective, measured.facts
        assert w.injector.in_force() == [fault.id]
        assert await w.injector.end(fault.id)
        assert await w.injector.undo_all() == []

    w = world()
    w.run(scene)
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
    assert begin["seed"] == "7/nemesis/1"
    assert measured["effective"] is True
    assert end["healed"] is True
    assert begin["t"] <= measured["t"] <= end["t"]


@pytest.mark.parametrize("kind", NEMESES)
def test_a_fault_that_does_nothing_is_measured_without_effect(world: Make, kind: str) -> None:
    async def scene(w: Any) -> None:
        w.nemeses[kind] = Twin(NEMESES[kind], "inject")
        measured = await w.injector.begin(await w.fault(kind))
        assert not measured.effective, measured.facts

    w = world()
    w.run(scene)
    assert w.last("fault-measured")["effective"] is False


@pytest.mark.parametrize("kind", NEMESES)
def test_a_fault_that_stays_is_not_called_healed(world: Make, kind: str) -> None:
    async def scene(w: Any) -> None:
        w.nemeses[kind] = Twin(NEMESES[kind], "undo")
        fault = await w.fault(kind)
        await w.injector.begin(fault)
        assert not await w.injector.end(fault.id)
        wrong = await w.injector.undo_all()
        assert len(wrong) == 1
        assert f"fault 1 ({kind}) could not be undone" in wrong[0]
        w.nemeses[kind] = NEMESES[kind]
        assert await w.injector.undo_all() == []

    w = world()
    w.run(scene)
    assert [line["healed"] for name, line in w.lines if name == "fault-end"] == [False, False, True]
    assert w.names().count("journal-end") == 1


def test_two_partitions_compose_and_each_undoes_its_own(world: Make) -> None:
    """While the second lasts, the first cannot show that it is gone: it is looked at again."""

    async def scene(w: Any) -> None:
        first = await w.fault("partition-halves")
        assert (await w.injector.begin(first)).effective
        assert (await w.injector.begin(await w.fault("partition-ring"))).effective
        assert await w.injector.end(1)
        assert await w.cluster.links.faults() == [2]
        assert w.last("fault-end")["measured"]["shared"] is True
        assert await w.injector.undo_all() == []

    w = world(5)
    w.run(scene)
    assert [line["healed"] for name, line in w.lines if name == "fault-end"] == [True, True]


def test_slow_links_that_are_cut_as_well(world: Make) -> None:
    """A delay behind a cut has no effect of its own; it is undone all the same."""

    async def scene(w: Any) -> None:
        cut = Fault(kind="partition-one", targets={"sides": [["n1"], ["n2", "n3"]]})
        slow = Fault(kind="slow", targets={"nodes": ["n1"]}, asked={"delay_ns": 50_000_000})
        assert (await w.injector.begin(cut)).effective
        measured = await w.injector.begin(slow)
        assert not measured.effective
        assert measured.facts["open"] == 0
        assert await w.injector.undo_all() == []

    world().run(scene)


def test_a_cut_without_any_open_direction_is_no_evidence(world: Make) -> None:
    """Where nothing at all passes, the probe may be what is broken."""

    async def scene(w: Any) -> None:
        hosts = [*w.cluster.nodes, *w.cluster.spec.client_hosts]
        pairs = [(a, b) for a in w.cluster.nodes for b in hosts if a != b]
        await w.cluster.links.cut(99, pairs + [(b, a) for a, b in pairs])
        measured = await w.injector.begin(await w.fault("partition-halves"))
        assert measured.facts["not_closed"] == []
        assert not measured.effective
        await w.cluster.links.heal(99)

    world().run(scene)


def test_losses_show_as_stalls(world: Make) -> None:
    async def scene(w: Any) -> None:
        asked = {"delay_ns": 30_000_000, "loss_ppm": 300_000}
        slow = Fault(kind="slow", targets={"nodes": ["n1", "n2", "n3"]}, asked=asked)
        measured = await w.injector.begin(slow)
        assert measured.effective
        assert measured.facts["slowest_ns"] > 100_000_000

    world().run(scene)


async def write_much(w: Any) -> None:
    """Keep the leader's disk busy."""
    conn = await w.cluster.env.connect("c1", "n1", None)
    assert (await conn.recv())[0] == "hello"
    for value in range(400):
        await conn.send(("write", 0, value))
        await w.cluster.env.sleep(1_000_000)


def test_a_power_failure_tells_what_it_took(toy_world: Make) -> None:
    async def scene(w: Any) -> None:
        await write_much(w)
        unsynced = Fault(kind="lose-unsynced", targets={"nodes": ["n1", "n2"]})
        measured = await w.injector.begin(unsynced)
        assert measured.effective
        assert measured.facts["lost_bytes"]["n1"] > 0
        assert measured.facts["lost_bytes"]["n2"] == 0
        assert measured.facts["unsynced_left"] == {}

    toy_world(fsync_ns=(5_000_000, 9_000_000)).run(scene)


def test_a_kill_is_not_taken_for_a_power_failure(toy_world: Make) -> None:
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

    toy_world(fsync_ns=(5_000_000, 9_000_000)).run(scene)


def test_a_node_that_falls_while_paused_is_no_unhealed_pause(toy_world: Make) -> None:
    async def scene(w: Any) -> None:
        await w.injector.begin(Fault(kind="pause", targets={"nodes": ["n2"]}))
        await w.cluster.nodes["n2"].kill()
        assert await w.injector.end(1)
        assert w.last("fault-end")["measured"] == {"states": {"n2": "down"}}

    toy_world().run(scene)


def test_a_node_that_does_not_come_back_is_told(toy_world: Make) -> None:
    async def scene(w: Any) -> None:
        await w.injector.begin(Fault(kind="kill", targets={"nodes": ["n2"]}))

        async def never() -> None:
            raise SystemFault("n2 did not come up: the disk is gone")

        node, w.cluster.nodes["n2"].start = w.cluster.nodes["n2"].start, never
        [wrong] = await w.injector.undo_all()
        assert wrong.endswith("could not be undone: n2 did not come up: the disk is gone")
        w.cluster.nodes["n2"].start = node

    toy_world().run(scene)
