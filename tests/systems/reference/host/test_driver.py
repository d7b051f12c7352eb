"""What an fsync frees leaves before the core hears of it."""

from __future__ import annotations

from typing import Any

from dissensus.systems.reference.core.effects import Persist, Send
from dissensus.systems.reference.core.events import Persisted, Start, Timer
from dissensus.systems.reference.host.driver import Driver

BOOTED, WRITTEN = 1, 2


class Scene:
    """Core, store and world in one; `told` is what happened, in order."""

    booted = False

    def __init__(self) -> None:
        self.told: list[Any] = []

    def step(self, event: Any) -> list[Any]:
        self.told.append(type(event))
        if type(event) is Timer:
            return [Persist("patch"), Send("n2", "held", False), Send("n2", "early", True)]
        return [Send("n2", "after", False)] if type(event) is Persisted else []

    def recover(self) -> None:
        return None

    def append(self, patch: Any) -> None:
        self.told.append(patch)

    def flush(self) -> None:
        """Nothing gathers here."""

    def synced(self, token: int) -> int | None:
        self.booted = True
        return 1 if token == WRITTEN else None

    def send(self, dst: str, msg: Any) -> None:
        self.told.append(msg)


def test_held_effects_leave_before_the_core_hears_of_the_fsync() -> None:
    scene: Any = Scene()
    driver = Driver(scene, scene, scene)
    driver.boot()
    driver.synced(BOOTED)
    driver.step(Timer("t"))
    driver.synced(WRITTEN)
    assert scene.told == [Start, Timer, "patch", "early", "held", Persisted, "after"]
