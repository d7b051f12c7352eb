"""Every kind of fault, in every world: it is measured in effect, and measured as gone; a twin
without `inject` is measured as without effect, and one without `undo` as not healed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

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
