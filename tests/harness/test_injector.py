"""The injector's order of steps, and what it does when one of them fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dissensus.harness.errors import EnvironmentFault, InternalError, SystemFault, UserError
from dissensus.harness.fault import Fault, FaultContext, Measured
from dissensus.harness.injector import Injector
from dissensus.harness.randomness import Rng

Make = Callable[..., Any]


class Rain:
    """A nemesis that wets nodes; it fails where it is told to, and writes down each step."""

    kind = "rain"
    family = "weather"
    what = "rain on nodes"
    needs = frozenset({"kill"})
    stops = True
    nodes_least = 1

    def __init__(self, log: list[Any]) -> None:
        self.log = log
        self.fails: dict[str, BaseException] = {}
        self.wet: set[int] = set()
        self.shared = False
        self.pause: Callable[[], Any] | None = None

    async def step(self, name: str, fault: Fault) -> None:
        self.log.append((name, fault.id))
        if self.pause is not None:
            await self.pause()
        if name in self.fails:
            raise self.fails[name]

    def draw(self, rng: Rng, context: FaultContext) -> Fault | None:
        up = [node for node in context.nodes if node not in context.down]
        return Fault(kind="rain", targets={"nodes": [rng.choice(up)]}, asked={"mm": 3})

    def check(self, fault: Fault, context: FaultContext) -> None:
        if not set(fault.targets["nodes"]) <= set(context.nodes):
            raise UserError("it rains on nodes only")

    def undo_entry(self, fault: Fault) -> dict[str, Any]:
        return {"do": "dry", **fault.targets}

    async def inject(self, cluster: Any, fault: Fault) -> None:
        await self.step("inject", fault)
        self.wet.add(fault.id)

    async def probe(self, cluster: Any, fault: Fault) -> Measured:
        await self.step("probe", fault)
        return Measured(effective=fault.id in self.wet, facts={"mm": 3})

    async def undo(self, cluster: Any, fault: Fault) -> None:
        await self.step("undo", fault)
        self.wet.discard(fault.id)

    async def verify(self, cluster: Any, fault: Fault) -> Measured:
        await self.step("verify", fault)
        facts = {"shared": True} if self.shared else {}
        return Measured(effective=fault.id not in self.wet, facts=facts)


class Scene:
    """A simulated cluster, an injector that knows nothing but rain, and what was written."""

    def __init__(self, cluster: Any) -> None:
        self.cluster = cluster
        self.log: list[Any] = []
        self.rain = Rain(self.log)
        self.full = False
        self.injector = Injector(
            cluster,
            {"rain": self.rain},
            self,
            self.record,
            leader=lambda: "n2",
            client_hosts=("c1", "c2", "c3"),
            clients_of={"c1": "n1"},
        )

    def begin(self, id: int, kind: str, undo: dict[str, Any]) -> None:
        self.log.append(("journal-begin", id, kind, undo))

    def end(self, id: int) -> None:
        self.log.append(("journal-end", id))

    def record(self, event: dict[str, Any]) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        self.log.append((event["ev"], event["id"]))
        self.event = event

    def names(self) -> list[str]:
        return [entry[0] for entry in self.log]

    def play(self, scene: Callable[[], Any]) -> Any:
        async def whole() -> Any:
            await self.cluster.setup()
            return await scene()

        return self.cluster.run(whole())


@pytest.fixture
def scene(toy: Make) -> Scene:
    return Scene(toy())


def rain(*nodes: str) -> Fault:
    return Fault(kind="rain", targets={"nodes": list(nodes)})


def test_the_steps_come_in_their_order(scene: Scene) -> None:
    async def play() -> None:
        fault = await scene.injector.draw("rain")
        assert fault is not None
        measured = await scene.injector.begin(fault)
        assert measured.effective
        assert scene.injector.held() == set(fault.targets["nodes"])
        assert await scene.injector.end(fault.id)
        assert scene.injector.held() == set()

    scene.play(play)
    assert scene.names() == [
        "journal-begin",
        "fault-begin",
        "inject",
        "probe",
        "fault-measured",
        "undo",
        "verify",
        "journal-end",
        "fault-end",
    ]
    assert scene.log[0][2] == "rain"
    assert scene.log[0][3]["do"] == "dry"


def test_what_was_in_force_is_between_inject_and_undo(scene: Scene) -> None:
    events: dict[str, Any] = {}
    env = scene.cluster.env

    async def play() -> None:
        fault = rain("n1")
        scene.rain.pause = lambda: env.sleep(10)
        await scene.injector.begin(fault)
        events["measured"] = scene.event
        await env.sleep(100)
        await scene.injector.end(fault.id)

    begun = env.now()
    scene.play(play)
    measured, end = events["measured"], scene.event
    assert (measured["injected"], measured["t"]) == (begun + 10, begun + 20)
    assert (end["undo"], end["t"]) == (begun + 120, begun + 140)


def test_a_draw_depends_on_the_number_of_the_fault_alone(toy: Make) -> None:
    def targets(tries: int) -> list[Any]:
        scene = Scene(toy())

        async def play() -> list[Any]:
            found = []
            for _ in range(4):
                for _ in range(tries):
                    fault = await scene.injector.draw("rain")
                assert fault is not None
                await scene.injector.begin(fault)
                found.append(fault.targets)
            return found

        return list(scene.play(play))

    assert targets(1) == targets(3)


def test_context_says_who_is_down_whoever_did_it(scene: Scene) -> None:
    async def play() -> FaultContext:
        await scene.cluster.nodes["n1"].kill()
        await scene.cluster.nodes["n3"].pause()
        return await scene.injector.context()

    context = scene.play(play)
    assert context.down == {"n1", "n3"}
    assert context.leader == "n2"
    assert context.nodes == ("n1", "n2", "n3")


@pytest.mark.parametrize("step", ["inject", "probe"])
def test_what_fails_half_way_is_undone_once_and_has_no_effect(scene: Scene, step: str) -> None:
    scene.rain.fails[step] = EnvironmentFault("no clouds")

    async def play() -> None:
        measured = await scene.injector.begin(rain("n1"))
        assert measured == Measured(effective=False, facts={"error": "no clouds"})
        assert scene.injector.in_force() == []
        assert await scene.injector.undo_all() == []

    scene.play(play)
    assert scene.names().count("undo") == 1
    assert scene.names()[-2:] == ["journal-end", "fault-end"]
    assert scene.event["healed"] is True


def test_a_bug_of_ours_is_not_taken_for_a_weak_fault(scene: Scene) -> None:
    scene.rain.fails["inject"] = InternalError("two skies")

    async def play() -> None:
        with pytest.raises(InternalError):
            await scene.injector.begin(rain("n1"))
        assert await scene.injector.undo_all() == []

    scene.play(play)
    assert scene.names().count("undo") == 1


def test_a_fault_that_is_written_wrong_leaves_no_trace(scene: Scene) -> None:
    async def play() -> None:
        with pytest.raises(UserError, match="nodes only"):
            await scene.injector.begin(rain("n9"))
        with pytest.raises(UserError, match="unknown fault 'rian'; did you mean 'rain'"):
            await scene.injector.begin(Fault(kind="rian", targets={}))

    scene.play(play)
    assert scene.log == []


def test_faults_overlap_and_the_latest_is_undone_first(scene: Scene) -> None:
    async def play() -> None:
        for node in ("n1", "n2", "n3"):
            await scene.injector.begin(rain(node))
        assert scene.injector.in_force() == [1, 2, 3]
        assert await scene.injector.end(2)
        assert await scene.injector.end(2)
        assert await scene.injector.undo_all() == []

    scene.play(play)
    assert [entry for entry in scene.log if entry[0] == "undo"] == [
        ("undo", 2),
        ("undo", 3),
        ("undo", 1),
    ]


@pytest.mark.parametrize("step", ["undo", "verify"])
@pytest.mark.parametrize("error", [SystemFault("n1 did not come up"), ValueError("odd")])
def test_an_undo_that_fails_is_told_tried_again_and_holds_up_nobody(
    scene: Scene, step: str, error: Exception
) -> None:
    async def play() -> None:
        await scene.injector.begin(rain("n1"))
        await scene.injector.begin(rain("n2"))
        scene.rain.fails[step] = error
        assert not await scene.injector.end(1)
        assert scene.event["healed"] is False
        assert str(error) in scene.event["error"]
        wrong = await scene.injector.undo_all()
        assert [text.split(":")[0] for text in wrong] == [
            "fault 1 (rain) could not be undone",
            "fault 2 (rain) could not be undone",
        ]
        assert scene.injector.held() == {"n1", "n2"}
        assert "journal-end" not in scene.names()
        del scene.rain.fails[step]
        assert await scene.injector.undo_all() == []
        assert scene.injector.held() == set()
        assert scene.event["healed"] is True

    scene.play(play)


def test_what_another_fault_hid_is_looked_at_again(scene: Scene) -> None:
    scene.rain.shared = True

    async def play() -> None:
        await scene.injector.begin(rain("n1"))
        assert await scene.injector.end(1)
        scene.rain.wet.add(1)
        [wrong] = await scene.injector.undo_all()
        assert wrong.startswith("fault 1 (rain) still shows")
        assert scene.event == {
            "ev": "fault-end",
            "id": 1,
            "t": scene.event["t"],
            "healed": False,
            "measured": {"shared": True},
        }

    scene.play(play)


def test_links_that_an_undo_forgot_are_told(scene: Scene) -> None:
    async def play() -> None:
        await scene.injector.begin(rain("n1"))
        await scene.cluster.links.cut(1, [("n1", "n2")])
        [wrong] = await scene.injector.undo_all()
        assert wrong == "links are still changed by faults [1], which were undone"

    scene.play(play)


def test_a_full_disk_keeps_no_fault_in_force(scene: Scene) -> None:
    async def play() -> None:
        await scene.injector.begin(rain("n1"))
        await scene.injector.begin(rain("n2"))
        scene.full = True
        wrong = await scene.injector.undo_all()
        assert len(wrong) == 2
        assert "No space left on device" in wrong[0]
        assert scene.rain.wet == set()

    scene.play(play)


def test_cancelled_half_way_it_is_still_known(scene: Scene) -> None:
    env = scene.cluster.env

    async def slow_inject(cluster: Any, fault: Fault) -> None:
        scene.rain.wet.add(fault.id)
        await env.sleep(10**9)

    async def play() -> None:
        scene.rain.inject = slow_inject  # type: ignore[method-assign]
        task = env.spawn(scene.injector.begin(rain("n1")), "begin")
        await env.sleep(10**8)
        task.cancel()
        await env.sleep(1)
        assert scene.injector.in_force() == [1]
        assert await scene.injector.undo_all() == []
        assert scene.rain.wet == set()

    scene.play(play)
