"""The untimed driver: nothing happens unless asked for, and a crash loses what was not durable."""

from __future__ import annotations

from typing import Any

import pytest

from dissensus.systems.reference.core.durable import COMMAND, Append, Durable, Entry, Hard
from dissensus.systems.reference.core.effects import (
    Ask,
    CancelTimer,
    Effect,
    Persist,
    Reply,
    Send,
    SetTimer,
)
from dissensus.systems.reference.core.errors import InvariantError, PeerError
from dissensus.systems.reference.core.events import (
    Admin,
    Answer,
    Persisted,
    Recv,
    Request,
    Start,
    Timer,
)
from dissensus.systems.reference.core.untimed import Held, Lost, Untimed


class Toy:
    """Writes each request to its log, tells a peer at once and answers when that is durable."""

    def __init__(self, node_id: str) -> None:
        self.node_id = node_id
        self.armed: dict[str, tuple[int, int]] = {}
        self.index = 0
        self.heard: list[Any] = []

    def step(self, event: Any) -> list[Effect]:
        self.heard.append(event)
        if type(event) is Start:
            self.index = event.durable.last_index
            return self._arm("beat", 1)
        if type(event) is Recv and event.msg == "bad":
            raise PeerError("a bad message")
        if type(event) is Recv and event.msg == "broken":
            raise InvariantError("broken")
        if type(event) is Timer:
            del self.armed[event.name]
            return [Ask("token", "entropy"), *self._arm("beat", 2)]
        if type(event) is Admin:
            del self.armed["beat"]
            return [CancelTimer("beat")]
        if type(event) is Request:
            self.index += 1
            entry = Entry(1, COMMAND, 0, 0, 0, ("put", "x", event.op))
            return [
                Persist(Append(self.index, [entry])),
                Send("b", event.op, early=True),
                Send("c", event.op),
                Reply(event.client, "done"),
            ]
        return []

    def _arm(self, name: str, ns: int) -> list[Effect]:
        self.armed[name] = (ns, 2 * ns)
        return [SetTimer(name, ns, 2 * ns)]

    def status(self) -> dict[str, Any]:
        return {}

    def abstract(self) -> Any:
        return self.index

    def fingerprint(self) -> int:
        return self.index

    def clone(self) -> Toy:
        return self


class World:
    """A cluster of toys, and what was seen in it."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, Any]] = []
        self.cluster = Untimed(Toy, lambda node, what: self.seen.append((node, what)))
        for name in "abc":
            self.cluster.start(name)
        self.seen.clear()

    def core(self, name: str) -> Toy:
        core = self.cluster.nodes[name].core
        assert isinstance(core, Toy)
        return core

    def heard(self, name: str) -> list[Any]:
        return [e.msg for e in self.core(name).heard if type(e) is Recv]

    def of(self, kind: type) -> list[Any]:
        return [what for _, what in self.seen if type(what) is kind]


@pytest.fixture
def world() -> World:
    return World()


def test_messages_wait_in_their_queue_and_are_named_by_place(world: World) -> None:
    cluster = world.cluster
    for op in (1, 2, 3, 4):
        cluster.request("a", "client", op)
    assert cluster.flight["a", "b"] == [1, 2, 3, 4]
    assert world.heard("b") == []
    cluster.deliver("a", "b", 2)
    cluster.deliver("a", "b", copy=True)
    cluster.drop("a", "b")
    cluster.deliver("a", "b", 1)
    assert world.heard("b") == [3, 1, 4]
    assert cluster.flight["a", "b"] == [2]
    with pytest.raises(ValueError, match="1 messages in flight from a to b, no 1"):
        cluster.deliver("a", "b", 1)


def test_fsyncs_complete_at_once_unless_held(world: World) -> None:
    cluster = world.cluster
    cluster.request("a", "client", 1)
    assert [r.result for r in world.of(Reply)] == ["done"]
    assert [p.up_to for p in world.of(Persisted)] == [1]
    assert cluster.nodes["a"].disk.last_index == 1


def test_what_is_held_leaves_when_its_patch_is_durable(world: World) -> None:
    cluster = world.cluster
    cluster.hold("a", True)
    cluster.request("a", "client", 1)
    cluster.request("a", "client", 2)
    assert cluster.flight == {("a", "b"): [1, 2]}
    assert len(world.of(Held)) == 4
    cluster.persist("a", 1)
    assert cluster.flight["a", "c"] == [1]
    assert [(w.effect.client, w.effect.result) for w in world.of(Held) if type(w.effect) is Reply]
    cluster.hold("a", False)
    assert cluster.flight["a", "c"] == [1, 2]
    assert [p.up_to for p in world.of(Persisted)] == [1, 2]
    with pytest.raises(ValueError, match="a has 0 patches to persist"):
        cluster.persist("a")


def test_a_crash_loses_what_is_not_durable_and_what_it_held(world: World) -> None:
    cluster = world.cluster
    cluster.request("a", "client", 1)
    cluster.hold("a", True)
    cluster.request("a", "client", 2)
    cluster.request("a", "client", 3)
    cluster.crash("a", keep=1)
    (lost,) = world.of(Lost)
    assert [p.entries[0].op[2] for p in lost.patches] == [3]
    assert len(lost.effects) == 4
    for action in (lambda: cluster.fire("a", "beat"), lambda: cluster.crash("a")):
        with pytest.raises(ValueError, match="a is not up"):
            action()
    cluster.flight["b", "a"] = ["lost"]
    cluster.deliver("b", "a")
    cluster.start("a")
    assert world.core("a").index == 2
    assert world.heard("a") == []
    with pytest.raises(ValueError, match="a is up"):
        cluster.start("a")


def test_a_disk_is_what_the_next_incarnation_finds(world: World) -> None:
    world.cluster.crash("a")
    world.cluster.node("a").disk = Durable().apply(Hard(7, "b"))
    world.cluster.start("a")
    (start,) = world.core("a").heard
    assert (start.durable.term, start.durable.voted_for) == (7, "b")


def test_timers_fire_when_told_and_only_when_armed(world: World) -> None:
    cluster = world.cluster
    cluster.fire("a", "beat")
    assert cluster.nodes["a"].armed == {"beat": (2, 4)}
    assert [(a.token, a.value) for a in world.of(Answer)] == [("token", 1)]
    cluster.admin("a", None, "stop")
    with pytest.raises(ValueError, match="no timer 'beat'"):
        cluster.fire("a", "beat")


def test_a_bad_message_is_refused_and_a_broken_invariant_ends_the_node(world: World) -> None:
    cluster = world.cluster
    cluster.flight["b", "a"] = ["bad", "broken"]
    cluster.deliver("b", "a")
    assert world.core("a")
    assert len(world.of(PeerError)) == 1
    cluster.deliver("b", "a")
    assert cluster.nodes["a"].core is None
    assert len(world.of(InvariantError)) == 1


def test_what_an_fsync_frees_leaves_before_the_core_hears_of_it(world: World) -> None:
    cluster = world.cluster
    cluster.hold("a", True)
    cluster.request("a", "client", 1)
    world.seen.clear()
    cluster.persist("a")
    kinds = [type(what).__name__ for node, what in world.seen if node == "a"]
    assert "Send" in kinds
    assert kinds.index("Persisted") > kinds.index("Send")
