"""The heap: order, timers before everything else, errors that end a run."""

from __future__ import annotations

import pytest

from dissensus.harness.errors import InternalError
from dissensus.harness.sim import kernel as kernel_module
from dissensus.harness.sim.kernel import Kernel


def test_events_happen_in_order_of_time_then_of_scheduling() -> None:
    kernel = Kernel()
    seen: list[tuple[int, str]] = []

    def note(name: str) -> None:
        seen.append((kernel.now, name))

    kernel.at(20, note, "c")
    kernel.at(10, note, "a")
    kernel.at(10, note, "b")
    assert kernel.run() is False
    assert seen == [(10, "a"), (10, "b"), (20, "c")]
    assert kernel.events == 3


def test_due_timers_come_first_even_those_armed_at_the_same_instant() -> None:
    kernel = Kernel()
    seen: list[str] = []

    def message(name: str) -> None:
        seen.append(name)
        if name == "m1":
            kernel.timer(kernel.now, seen.append, "t2")

    kernel.at(10, message, "m1")
    kernel.at(10, message, "m2")
    kernel.timer(10, seen.append, "t1")
    kernel.run()
    assert seen == ["t1", "m1", "t2", "m2"]


def test_a_cancelled_entry_never_happens() -> None:
    kernel = Kernel()
    seen: list[str] = []
    entry = kernel.at(10, seen.append, "x")
    kernel.at(5, lambda _: kernel.cancel(entry))
    kernel.run()
    kernel.cancel(entry)
    assert seen == []


def test_the_past_is_refused() -> None:
    kernel = Kernel()
    kernel.at(10, lambda _: kernel.at(9, print))
    with pytest.raises(InternalError, match="9 ns was scheduled at 10 ns"):
        kernel.run()


def test_halt_ends_the_run_with_the_first_error_and_run_can_go_on() -> None:
    kernel = Kernel()
    seen: list[int] = []
    kernel.at(1, lambda _: kernel.halt(ValueError("first")))
    kernel.at(2, seen.append, 2)
    with pytest.raises(ValueError, match="first"):
        kernel.run()
    assert seen == []
    assert kernel.run() is False
    assert seen == [2]


def test_standing_time_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_module, "EVENTS_PER_INSTANT_MAX", 100)
    kernel = Kernel()

    def again(_: None) -> None:
        kernel.soon(again)

    kernel.at(7, again)
    with pytest.raises(InternalError, match="100 events at 7 ns"):
        kernel.run()


def test_discard_cancels_what_it_is_told_to() -> None:
    kernel = Kernel()
    seen: list[int] = []
    for number in range(6):
        kernel.at(number, seen.append, number)
    assert kernel.discard(lambda _, number: number % 2 == 0) == 3
    kernel.run()
    assert seen == [1, 3, 5]
