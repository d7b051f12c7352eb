"""Every interface of the harness, implemented as a stranger would from its docstring, in one run.

The system is a shelf that all nodes share: what one writes, every other one reads. Its cluster
lives in this process, its only fault puts a lid on a node, and its workload, model, engine and
checker are its own as well.
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest

from dissensus.checkers.judge import judge
from dissensus.checkers.linearizability import PythonEngine
from dissensus.harness import registry, store
from dissensus.harness.checker import (
    Budget,
    Call,
    Checker,
    Engine,
    Judge,
    Model,
    Part,
    RunView,
)
from dissensus.harness.cluster import (
    CAPABILITIES,
    Cluster,
    ClusterSpec,
    Healing,
    Links,
    Node,
    NodeInfo,
    Pair,
    Reach,
    Shape,
)
from dissensus.harness.env import Env
from dissensus.harness.errors import UserError
from dissensus.harness.fault import Fault, FaultContext, Measured, Nemesis
from dissensus.harness.history import OK, History
from dissensus.harness.injector import Injector
from dissensus.harness.plan import Plan
from dissensus.harness.randomness import Rng
from dissensus.harness.runner import Faults, Parts, make_run, prepare
from dissensus.harness.sim.env import SimEnv
from dissensus.harness.sim.kernel import Kernel
from dissensus.harness.system import Client, Failed, NodeSpec, System, Unsure, Workload
from dissensus.harness.verdict import Certificate, Validity, Verdict, exit_code

T = TypeVar("T")
MS = 1_000_000


# -- a system and its clients -----------------------------------------------------------------


class Shelf:
    """What the whole system is made of."""

    def __init__(self) -> None:
        self.things: dict[Any, Any] = {}
        self.states: dict[str, str] = {}
        self.cut: dict[int, set[Pair]] = {}

    def reaches(self, src: str, dst: str) -> bool:
        return all((src, dst) not in pairs for pairs in self.cut.values())


class ShelfClient(Client):
    """Puts things on the shelf and looks at them, at one node."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf

    async def read(self, key: Any, value: Any) -> Any:
        await self._visit()
        return self.shelf.things.get(key)

    async def write(self, key: Any, value: Any) -> Any:
        await self._visit()
        self.shelf.things[key] = value
        if not self.shelf.reaches(self.node, self.session.host):
            raise Unsure("no answer")
        return value

    def hints(self) -> tuple[str | None, dict[str, Any] | None]:
        return self.node, {"shelf": len(self.shelf.things)}

    async def _visit(self) -> None:
        self.node = self.session.pinned or self.session.nodes[0]
        await self.env.sleep(MS)
        if self.shelf.states[self.node] != "up":
            raise Failed("lid on")
        if not self.shelf.reaches(self.session.host, self.node):
            raise Failed("no way")


class ShelfSystem(System):
    """The least that a system says: who runs a node, and how a client talks."""

    name = "shelf"

    def __init__(self) -> None:
        self.shelf = Shelf()

    def argv(self, spec: NodeSpec) -> Sequence[str]:
        return ["false"]

    def client(self, workload: str) -> Client:
        return ShelfClient(self.shelf)


# -- a cluster --------------------------------------------------------------------------------


class ShelfNode:
    """One way to the shelf."""

    data_dir: Path | None = None

    def __init__(self, name: str, shelf: Shelf) -> None:
        self.name = name
        self.shelf = shelf
        shelf.states[name] = "down"

    async def start(self) -> None:
        self.shelf.states[self.name] = "up"

    async def kill(self) -> None:
        self.shelf.states[self.name] = "down"

    async def pause(self) -> None:
        self.shelf.states[self.name] = "paused"

    async def resume(self) -> None:
        self.shelf.states[self.name] = "up"

    async def lose_unsynced(self) -> dict[str, int]:
        raise UserError("a shelf has no disk")

    async def unsynced(self) -> dict[str, int]:
        raise UserError("a shelf has no disk")

    async def wipe(self) -> None:
        raise UserError("a shelf has no disk")

    async def state(self) -> str:
        return self.shelf.states[self.name]

    def exit_code(self) -> int | None:
        return None

    async def info(self) -> NodeInfo | None:
        leader = min(self.shelf.states)
        role = "leader" if self.name == leader else "follower"
        return NodeInfo(up=True, role=role, term=1, leader=leader)

    async def admin(self, command: str, args: Mapping[str, Any]) -> Any:
        raise UserError(f"a shelf takes no command {command!r}")

    def logs(self) -> Iterable[Path]:
        return []


class ShelfLinks:
    """Ways that can be barred."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf

    async def cut(self, fault: int, pairs: Iterable[Pair]) -> None:
        self.shelf.cut.setdefault(fault, set()).update(pairs)

    async def shape(self, fault: int, shapes: Mapping[Pair, Shape]) -> None:
        raise UserError("ways are open or barred, never slow")

    async def hold(self, fault: int, pair: Pair, kind: str) -> None:
        raise UserError("there are no messages")

    async def heal(self, fault: int) -> None:
        self.shelf.cut.pop(fault, None)

    async def probe(self, pairs: Iterable[Pair]) -> list[Reach]:
        return [Reach(src=src, dst=dst, open=self.shelf.reaches(src, dst)) for src, dst in pairs]

    async def faults(self) -> list[int]:
        return list(self.shelf.cut)


class ShelfCluster:
    """Nodes in this process, in virtual time."""

    kind: str = "shelf"
    capabilities: frozenset[str] = frozenset({"kill", "pause", "cut"})
    refusals: Mapping[str, str] = {
        "shape": "ways are open or barred, never slow",
        **dict.fromkeys(("hold", "signal", "exec"), "nodes have neither messages nor processes"),
        **dict.fromkeys(("lose-unsynced", "wipe", "files"), "a shelf has no disk"),
        "foreign-clients": "in virtual time a client may await nothing but env",
    }

    def __init__(self, spec: ClusterSpec, system: ShelfSystem) -> None:
        self.shelf = system.shelf
        self.nodes: Mapping[str, Node] = {name: ShelfNode(name, self.shelf) for name in spec.nodes}
        self.links: Links = ShelfLinks(self.shelf)
        self._env = SimEnv(Kernel(), spec.seed)
        self.env: Env = self._env
        self.observe: Any = None

    async def setup(self) -> None:
        for node in self.nodes.values():
            await node.start()

    async def teardown(self) -> list[str]:
        for node in self.nodes.values():
            await node.kill()
        return []

    async def add_node(self, name: str) -> Node:
        raise UserError("a shelf does not grow")

    def provenance(self) -> dict[str, Any]:
        return {"cluster": self.kind}

    @classmethod
    def heal(cls, run_dir: Path, *, keep: bool = False) -> Healing:
        return Healing()

    def run(self, coro: Coroutine[Any, Any, T]) -> T:
        return self._env.run(coro)


# -- a fault ----------------------------------------------------------------------------------


class Lid:
    """A lid on one node: nothing is read or written there."""

    kind = "lid"
    family = "lid"
    what = "put a lid on a node"
    needs = frozenset({"pause"})
    stops = True
    nodes_least = 1

    def draw(self, rng: Rng, context: FaultContext) -> Fault | None:
        free = [node for node in context.nodes if node not in context.down]
        return Fault(kind=self.kind, targets={"nodes": [rng.choice(free)]}) if free else None

    def check(self, fault: Fault, context: FaultContext) -> None:
        if not set(fault.targets["nodes"]) <= set(context.nodes):
            raise UserError(f"no such nodes: {fault.targets['nodes']}")

    def undo_entry(self, fault: Fault) -> dict[str, Any]:
        return {"do": "resume", **fault.targets}

    async def inject(self, cluster: Cluster, fault: Fault) -> None:
        for name in fault.targets["nodes"]:
            await cluster.nodes[name].pause()

    async def probe(self, cluster: Cluster, fault: Fault) -> Measured:
        states = {name: await cluster.nodes[name].state() for name in fault.targets["nodes"]}
        return Measured(effective=set(states.values()) == {"paused"}, facts=states)

    async def undo(self, cluster: Cluster, fault: Fault) -> None:
        for name in fault.targets["nodes"]:
            await cluster.nodes[name].resume()

    async def verify(self, cluster: Cluster, fault: Fault) -> Measured:
        states = {name: await cluster.nodes[name].state() for name in fault.targets["nodes"]}
        return Measured(effective=set(states.values()) == {"up"}, facts=states)


class GlassLid(Lid):
    """The twin that has no effect."""

    async def inject(self, cluster: Cluster, fault: Fault) -> None:
        return None


async def two_lids(env: Env, injector: Injector, schedule: Sequence[Any], until: int) -> None:
    """Each fault of the schedule for a tenth of a second."""
    for kind in schedule:
        await env.sleep(100 * MS)
        fault = await injector.draw(kind)
        assert fault is not None
        await injector.begin(fault)
        await env.sleep(100 * MS)
        await injector.end(fault.id)


# -- what is asked, and how it is judged --------------------------------------------------------


class ShelfWorkload:
    """Writes and reads of two things."""

    name = "things"
    fs: tuple[str, ...] = ("write", "read")
    model = "register"

    def warmup(self, concurrency: int) -> Any:
        return [{"f": "write", "key": "cup", "value": -1}, {"f": "read", "key": "cup"}]

    def generator(self, concurrency: int) -> Any:
        return [
            operation
            for number in range(100)
            for key in ("cup", "book")
            for operation in (
                {"f": "write", "key": key, "value": number},
                {"f": "read", "key": key},
            )
        ]

    def final(self, concurrency: int, keys: Sequence[Any]) -> Any:
        return [{"f": "read", "key": key} for key in keys]


class Cell:
    """The model of one thing: a read finds what was written last. A state is a pair with it."""

    name = "cell"
    fs = frozenset({"read", "write"})
    by_key = True
    by_process = False

    def initial(self) -> Any:
        return "holds", None

    def step(self, state: Any, op: Call) -> Any:
        if op.f == "write":
            return "holds", op.value
        return state if not op.known or state == ("holds", op.result) else None

    def is_read(self, op: Call) -> bool:
        return op.f == "read"

    def is_blind(self, op: Call) -> bool:
        return op.f == "write"

    def part(self, op: Call) -> Part:
        return {"ok": Part.MUST, "info": Part.MAY}.get(op.type, Part.DROP)

    def accepts(self, op: Call) -> None:
        assert op.f in self.fs


class ReplayEngine:
    """Tries one order only, that of the returns: it can say yes, and never no."""

    name = "replay"

    def check(self, history: History, model: Judge, budget: Budget) -> Verdict:
        assert isinstance(model, Cell)
        states: dict[int, Any] = {}
        done = [row for row in range(len(history)) if history.outcome[row] == OK]
        for row in sorted(done, key=lambda row: history.ret[row]):
            state = states.get(history.key[row], model.initial())
            call = Call(history.f_of(row), history.arg_of(row), history.result_of(row))
            states[history.key[row]] = model.step(state, call)
            if states[history.key[row]] is None:
                reason = f"event {history.ret[row]} does not fit the order of returns"
                return Verdict(checker="order", validity=Validity.UNKNOWN, reason=reason)
        return Verdict(checker="order", validity=Validity.VALID, engine=self.name)


class HintChecker:
    """INVALID when an operation says that the shelf was empty after it."""

    name = "hints"

    def check(self, run: RunView, budget: Budget) -> Verdict:
        empty = [row for row, x in run.history.extra.items() if x.get("shelf") == 0]
        if not empty:
            return Verdict(checker=self.name, validity=Validity.VALID)
        why = Certificate(kind=self.name, summary="the shelf was empty", ops=empty[:1])
        return Verdict(checker=self.name, validity=Validity.INVALID, certificates=[why])


# -- one run ------------------------------------------------------------------------------------


def perform(folder: Path, monkeypatch: pytest.MonkeyPatch, lid: Nemesis) -> RunView:
    monkeypatch.setitem(registry.CLUSTERS, "shelf", f"{__name__}:ShelfCluster")
    system: System = ShelfSystem()
    workload: Workload = ShelfWorkload()
    parts = Parts(
        plan=Plan(system="shelf", on="shelf", faults=("lid",), time_ns=500 * MS, rate_hz=400.0),
        system=system,
        workload=workload,
        faults=Faults(nemeses={"lid": lid}, compose=lambda *_, **__: ["lid"] * 2, follow=two_lids),
    )
    prepared = prepare(parts, folder)
    cluster: Cluster = prepared.cluster
    assert isinstance(cluster, ShelfCluster)
    end = make_run(prepared, provenance={})
    assert (end.outcome, end.error, end.left) == ("complete", None, ())
    return store.load(folder)


def test_a_run_of_strangers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = perform(tmp_path, monkeypatch, Lid())
    phases = ["set-up", "warm-up", "chaos", "heal", "final", "teardown"]
    assert [name for name, _ in run.phases] == phases
    assert [(f.kind, f.effective, f.healed) for f in run.faults] == [("lid", True, True)] * 2
    for fault in run.faults:
        (node,) = fault.targets["nodes"]
        assert fault.measured == {node: "paused"}
    lidded = [run.history.error_of(r) for r in range(len(run.history)) if run.history.error[r]]
    assert set(lidded) == {"lid on"}
    assert {report.fields["role"] for report in run.nodes} >= {"leader", "follower"}
    verdicts = judge(run, Budget())
    assert {v.checker: v.validity for v in verdicts if v.validity is not Validity.VALID} == {}
    assert exit_code(verdicts) == 0

    checker: Checker = HintChecker()
    assert checker.check(run, Budget()).validity is Validity.VALID
    run.history.extra[3] = {"shelf": 0}
    assert checker.check(run, Budget()).certificates[0].ops == [3]


@pytest.mark.parametrize("kind", ["shelf", "sim", "local"])
def test_a_cluster_says_why_not_for_all_that_it_cannot_do(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry.CLUSTERS, "shelf", f"{__name__}:ShelfCluster")
    made = registry.cluster_class(kind)
    assert {*made.capabilities, *made.refusals} == set(CAPABILITIES)
    assert not {*made.capabilities} & {*made.refusals}
    assert all(made.refusals.values())


def test_a_fault_without_effect_makes_the_run_vacuous(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = perform(tmp_path, monkeypatch, GlassLid())
    assert [fault.effective for fault in run.faults] == [False, False]
    verdicts = judge(run, Budget())
    vacuous = [v.vacuous for v in verdicts if v.validity is Validity.UNKNOWN]
    assert vacuous == [["lid was injected 2 times and never had an effect"]]
    assert exit_code(verdicts) == 5


def test_two_engines_behind_one_door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    history = perform(tmp_path, monkeypatch, Lid()).history
    model: Model = Cell()
    engines: list[Engine] = [ReplayEngine(), PythonEngine()]
    assert [e.check(history, model, Budget()).validity for e in engines] == [Validity.VALID] * 2
    read = next(
        row
        for row in range(len(history))
        if history.f_of(row) == "read" and history.outcome[row] == OK
    )
    history.result[read] = history.values.add("a thing that nobody put there")
    found = [e.check(history, model, Budget()).validity for e in engines]
    assert found == [Validity.UNKNOWN, Validity.INVALID]
