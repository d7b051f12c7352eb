"""The code of `docs/how-to/add-a-fault.md` keeps what the page says of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dissensus.harness.fault import Fault, FaultContext, Nemesis
from dissensus.harness.randomness import Rng

Make = Callable[..., Any]


@pytest.fixture(scope="module")
def deaf(root: Path) -> Any:
    """The nemesis of the page."""
    text = (root / "docs" / "how-to" / "add-a-fault.md").read_text(encoding="utf-8")
    [code] = re.findall(r"```python\n(.*?)```", text, re.S)
    names: dict[str, Any] = {}
    exec(compile(code, "add-a-fault.md", "exec"), names)
    return names["Deaf"]()


def test_it_has_all_that_a_nemesis_has(deaf: Any) -> None:
    public = {name for name in (*vars(Nemesis), *Nemesis.__annotations__) if name[0] != "_"}
    assert public <= set(dir(deaf))


def test_its_draw_passes_its_check(deaf: Any, context: Callable[..., FaultContext]) -> None:
    for seed in range(20):
        fault = deaf.draw(Rng(seed, "x"), context())
        assert isinstance(fault, Fault)
        deaf.check(fault, context())


@pytest.mark.parametrize("sabotaged", ["", "inject", "undo"])
def test_it_is_measured_in_effect_and_as_gone(sim: Make, deaf: Any, sabotaged: str) -> None:
    async def nothing(cluster: Any, fault: Any) -> None:
        return None

    async def scene(w: Any) -> None:
        w.nemeses["deaf"] = twin = type(deaf)()
        if sabotaged:
            setattr(twin, sabotaged, nothing)
        fault = await w.fault("deaf")
        measured = await w.injector.begin(fault)
        assert measured.effective is (sabotaged != "inject")
        assert await w.injector.end(fault.id) is (sabotaged != "undo")
        w.nemeses["deaf"] = deaf
        assert await w.injector.undo_all() == []

    sim().run(scene)
