"""Scenarios: what a stage offers, on the toy system in virtual time."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from dissensus.harness import store
from dissensus.harness.checker import RunView
from dissensus.harness.errors import SystemFault, UserError
from dissensus.harness.plan import Plan
from dissensus.harness.registry import load_system
from dissensus.harness.runner import Faults, Parts, RunEnd, make_run, prepare
from dissensus.harness.scenario import Scenario, Stage, host_beside, load_scenario
from dissensus.harness.workloads import load_workload
from dissensus.nemeses.schedule import compose, run_schedule
from dissensus.nemeses.table import NEMESES

S = 1_000_000_000
Play = Callable[[Stage], Coroutine[Any, Any, None]]
Perform = Callable[[Play], tuple[RunEnd, RunView]]


@pytest.fixture
def perform(toy_name: str, tmp_path: Path) -> Perform:
    """Play a scenario with the toy on the simulator."""

    def run(play: Play) -> tuple[RunEnd, RunView]:
        plan = Plan(system=toy_name, on="sim", workload="register", scenario="it", time_ns=60 * S)
        parts = Parts(
            plan=plan,
            system=load_system(toy_name, {}),
            workload=load_workload("register"),
            faults=Faults(nemeses=NEMESES, compose=compose, follow=run_schedule),
            scenario=Scenario(play=play),
        )
        return make_run(prepare(parts, tmp_path), provenance={}), store.load(tmp_path)

    return run


def test_clients_and_cuts(perform: Perform) -> None:
    seen: list[Any] = []

    async def play(t: Stage) -> None:
        assert await t.leader() == "n1"
        inside, outside = t.client(pinned="n1"), t.client("c2")
        assert (inside.host, inside.pinned, outside.pinned) == ("c1", "n1", None)
        seen.append((await t.invoke(outside, "write", "k", 1)).type)
        cut = await t.cut(["n1", "c1"], ["n2", "n3", "c2", "c3"])
        one, two = await t.together(
            t.invoke(inside, "write", "k", 2), t.invoke(outside, "read", "k")
        )
        seen.extend([one.type, (two.type, two.error)])
        await t.heal(cut)
        seen.append((await t.invoke(outside, "read", "k")).value)
        t.mark("it is over")

    end, run = perform(play)
    assert end.outcome == "complete"
    assert seen == ["ok", "ok", ("fail", "timeout"), 2]
    assert [(m["name"], m["text"]) for m in run.marks] == [("scenario", "it is over")]
    (fault,) = run.faults
    assert (fault.kind, fault.family, fault.effective, fault.healed) == (
        "partition-one",
        "partition",
        True,
        True,
    )


def test_what_is_left_broken_is_healed(perform: Perform) -> None:
    async def play(t: Stage) -> None:
        await t.fault("kill", nodes=["n2"])
        await t.cut(["n1", "n2"], ["n3"])
        await t.hold("n1", "n3", "tuple")

    end, run = perform(play)
    assert end.outcome == "complete"
    assert [(fault.kind, fault.healed) for fault in run.faults] == [
        ("kill", True),
        ("partition-halves", True),
        ("hold", True),
    ]


def test_a_held_message_waits_for_the_heal(perform: Perform) -> None:
    seen: list[int] = []

    async def play(t: Stage) -> None:
        client = t.client()
        held = await t.hold("n1", "n2", "tuple")
        await t.invoke(client, "write", "k", 1)
        await t.sleep(S)
        infos = [await t.info(node) for node in t.nodes]
        seen.extend(info.applied for info in infos if info)
        await t.heal(held)
        await t.sleep(S)
        info = await t.info("n2")
        assert info is not None
        seen.append(info.applied)

    end, _ = perform(play)
    assert end.outcome == "complete"
    ahead, behind, other, then = seen
    assert behind < ahead == other == then


def test_conditions_are_waited_for_and_given_up(perform: Perform) -> None:
    times: list[int] = []

    async def play(t: Stage) -> None:
        begun = t.env.now()

        async def later() -> bool:
            return t.env.now() > begun + S

        await t.eventually("a second", later)
        times.append(t.env.now() - begun)

        async def never() -> bool:
            return False

        with pytest.raises(SystemFault, match="rain did not come about within 2 s"):
            await t.eventually("rain", never, within_ns=2 * S)
        with pytest.raises(SystemFault, match="a leader among n2, n3 did not come about"):
            await t.leader(among=["n2", "n3"])
        assert await t.admin("n2", "dance", steps=3) == {"command": "dance", "steps": 3}

    end, _ = perform(play)
    assert end.outcome == "complete"
    assert S < times[0] < 1.2 * S


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (lambda t: t.client(pinned="n9"), "on any host, pinned to n9 is left .*c1 pinned to n1"),
        (lambda t: t.client("c2", pinned="n1"), "on c2, pinned to n1 is left"),
        (lambda t: [t.client() for _ in range(4)], "on any host, roaming is left"),
        (lambda t: t.fault("kil", nodes=["n1"]), "unknown fault 'kil'; did you mean 'kill'"),
        (lambda t: t.hold("n1", "c9", "tuple"), "unknown host .to. of a hold 'c9'"),
        (lambda t: t.fault("kill", nodes=["n7"]), "n7"),
    ],
)
def test_what_cannot_be_had_is_named(
    perform: Perform, ask: Callable[[Stage], Any], told: str
) -> None:
    async def play(t: Stage) -> None:
        asked = ask(t)
        if asked is not None:
            await asked

    end, run = perform(play)
    assert end.outcome == "failed"
    assert isinstance(end.error, UserError)
    with pytest.raises(UserError, match=told):
        raise end.error
    assert run.end["error"] == str(end.error)


def test_a_mistake_in_the_story_is_the_author_s(perform: Perform) -> None:
    async def play(t: Stage) -> None:
        await t.sleep({}["no"])

    end, _ = perform(play)
    assert isinstance(end.error, UserError)
    assert f"{__file__}, line " in str(end.error)
    assert "KeyError: 'no'" in str(end.error)


def test_a_fault_without_effect_ends_the_story(
    perform: Perform, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ineffective(self: Any, cluster: Any, fault: Any) -> None:
        return None

    monkeypatch.setattr(type(NEMESES["kill"]), "inject", ineffective)

    async def play(t: Stage) -> None:
        await t.fault("kill", nodes=["n2"])

    end, run = perform(play)
    assert end.outcome == "failed"
    assert "fault 'kill' on {'nodes': ['n2']} had no effect" in str(end.error)
    assert run.faults[0].healed


def test_a_story_that_does_not_end_is_cut_short(perform: Perform) -> None:
    async def play(t: Stage) -> None:
        await t.fault("kill", nodes=["n3"])
        await t.sleep(1000 * S)

    end, run = perform(play)
    assert "scenario 'it' was not through after 60 s (--time)" in str(end.error)
    assert run.faults[0].healed


def test_scenarios_are_found_by_name_and_by_path(tmp_path: Path) -> None:
    async def play(t: Stage) -> None: ...

    class Made:
        @staticmethod
        def scenarios() -> dict[str, Scenario]:
            return {"one": Scenario(play=play, nodes=5)}

    assert load_scenario("one", Made).nodes == 5
    with pytest.raises(UserError, match="unknown scenario 'on'; did you mean 'one'"):
        load_scenario("on", Made)
    with pytest.raises(UserError, match="unknown scenario 'one'"):
        load_scenario("one", object)
    path = tmp_path / "mine.py"
    path.write_text(
        "from dissensus.harness.scenario import Scenario\n"
        "async def story(t): pass\n"
        "other = Scenario(play=story, nodes=7)\n"
    )
    assert load_scenario(f"{path}:story", object).nodes == 3
    assert load_scenario(f"{path}:other", object).nodes == 7
    assert host_beside("n12") == "c12"
