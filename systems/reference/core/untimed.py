"""The untimed driver: several cores whose every step is somebody's decision.

Nothing happens by itself. Whoever drives (a golden script, a test, an explorer) delivers, drops or
duplicates a message, fires a timer, completes an fsync, crashes and restarts nodes; a message in
flight is named by its direction and its place in that direction's queue, the oldest being 0. There
is no clock, so "late" means "after whatever else I chose". Durability is the real thing: the same
`Outbox` holds effects, patches reach the disk when `persist` says so, and a crash loses the rest.
A node's fsyncs complete at once unless it is told to hold them.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Tuple

from dissensus.systems.reference.core.durable import Durable
from dissensus.systems.reference.core.effects import (
    Ask,
    CancelTimer,
    Effect,
    Persist,
    Send,
    SetTimer,
)
from dissensus.systems.reference.core.errors import InvariantError, PeerError
from dissensus.systems.reference.core.events import (
    Admin,
    Answer,
    Event,
    Persisted,
    Recv,
    Request,
    Start,
    Timer,
)
from dissensus.systems.reference.core.outbox import Outbox
from dissensus.systems.reference.core.protocol import Protocol

Observer = Callable[[str, Any], None]
"""(node, what happened there): an Event before it is stepped, an Effect when it is carried out, a
`Held`, a `Lost`, or the CoreError that a step ended with.
"""


class Held:
    """This effect waits until what was persisted before it is durable."""

    __slots__ = ("effect",)

    def __init__(self, effect: Effect) -> None:
        self.effect = effect


class Lost:
    """A crash: these patches and held effects are gone."""

    __slots__ = ("effects", "patches")

    def __init__(self, patches: "List[Any]", effects: "List[Effect]") -> None:
        self.patches = patches
        self.effects = effects


class Node:
    """One node through its incarnations: what a crash keeps (`disk`) and what it does not."""

    __slots__ = ("answers", "armed", "core", "disk", "holds", "outbox", "written")

    def __init__(self) -> None:
        self.answers: "List[Answer]" = []
        """To `Ask`: stepped once the effects that came with it are carried out."""
        self.disk = Durable()
        self.core: Optional[Protocol] = None
        """None while the node is down."""
        self.outbox = Outbox()
        self.written: "List[Any]" = []
        """Patches of this incarnation that are not durable yet, oldest first."""
        self.armed: "Dict[str, Tuple[int, int]]" = {}
        self.holds = False
        """Fsyncs wait for `persist`."""


class Untimed:
    """A cluster without time. Every method raises ValueError for what cannot be done now."""

    def __init__(self, make: "Callable[[str], Protocol]", observe: Observer) -> None:
        """`make` builds the core of a node by its name, once per incarnation."""
        self.nodes: "Dict[str, Node]" = {}
        self.flight: "Dict[Tuple[str, str], List[Any]]" = {}
        """(source, destination) -> messages in flight, oldest first."""
        self._make = make
        self._observe = observe
        self._asked = 0

    # -- nodes ------------------------------------------------------------------------------------

    def node(self, name: str) -> Node:
        """The node of this name; a new one is down, with an empty disk."""
        return self.nodes.setdefault(name, Node())

    def start(self, name: str) -> None:
        """Boot a node that is down."""
        node = self.node(name)
        if node.core is not None:
            raise ValueError(f"{name} is up")
        node.core = self._make(name)
        node.outbox = Outbox()
        self._step(name, node, Start(node.disk.clone()))

    def crash(self, name: str, keep: int = 0) -> None:
        """The node is gone. Of the patches that are not durable the first `keep` survive."""
        node = self._up(name)
        if not 0 <= keep <= len(node.written):
            raise ValueError(f"{name} has {len(node.written)} patches to keep, not {keep}")
        for patch in node.written[:keep]:
            node.disk.apply(patch)
        self._observe(name, Lost(node.written[keep:], node.outbox.held))
        self._down(node)

    def persist(self, name: str, count: Optional[int] = None) -> None:
        """Complete the fsync of the first `count` patches that are not durable (None: of all)."""
        node = self._up(name)
        count = len(node.written) if count is None else count
        if not 0 < count <= len(node.written):
            raise ValueError(f"{name} has {len(node.written)} patches to persist, not {count}")
        self._sync(name, node, count)
        self._settle_disk(name, node)

    def hold(self, name: str, holds: bool) -> None:
        """Whether fsyncs of the node wait for `persist`; what waits is completed when they need
        not any more.
        """
        node = self._up(name)
        node.holds = holds
        self._settle_disk(name, node)

    # -- what a node meets ------------------------------------------------------------------------

    def deliver(self, src: str, dst: str, place: int = 0, *, copy: bool = False) -> None:
        """Deliver one message; with `copy` it also stays in flight, to arrive again. A node that is
        down loses it.
        """
        queue = self._queue(src, dst, place)
        msg = queue[place] if copy else queue.pop(place)
        node = self.node(dst)
        if node.core is not None:
            self._step(dst, node, Recv(src, msg))

    def drop(self, src: str, dst: str, place: int = 0) -> None:
        """Lose one message."""
        self._queue(src, dst, place).pop(place)

    def fire(self, name: str, timer: str) -> None:
        """The timer is due."""
        node = self._up(name)
        if timer not in node.armed:
            raise ValueError(f"{name} has no timer {timer!r}; armed: {', '.join(node.armed)}")
        del node.armed[timer]
        self._step(name, node, Timer(timer))

    def request(self, name: str, client: Any, op: Any) -> None:
        """A client asks the node."""
        self._step(name, self._up(name), Request(client, op))

    def admin(self, name: str, client: Any, op: Any) -> None:
        """An operator commands the node."""
        self._step(name, self._up(name), Admin(client, op))

    # -- carrying out -----------------------------------------------------------------------------

    def _up(self, name: str) -> Node:
        node = self.nodes.get(name)
        if node is None or node.core is None:
            raise ValueError(f"{name} is not up")
        return node

    def _queue(self, src: str, dst: str, place: int) -> "List[Any]":
        queue = self.flight.get((src, dst), [])
        if not 0 <= place < len(queue):
            raise ValueError(f"{len(queue)} messages in flight from {src} to {dst}, no {place}")
        return queue

    @staticmethod
    def _down(node: Node) -> None:
        node.core = None
        node.written = []
        node.answers = []
        node.armed = {}
        node.holds = False

    def _step(self, name: str, node: Node, event: Event) -> None:
        self._feed(name, node, event)
        self._settle_disk(name, node)

    def _settle_disk(self, name: str, node: Node) -> None:
        while node.written and not node.holds:
            self._sync(name, node, len(node.written))

    def _sync(self, name: str, node: Node, count: int) -> None:
        """An fsync completed: what it frees is sent before the core hears of it."""
        for patch in node.written[:count]:
            node.disk.apply(patch)
        del node.written[:count]
        up_to = node.outbox.durable_up_to + count
        self._carry_out(name, node, node.outbox.durable(up_to))
        self._feed(name, node, Persisted(up_to))

    def _feed(self, name: str, node: Node, event: Event) -> None:
        """Step the core once and carry out what it wants. A broken invariant ends the node."""
        core = node.core
        assert core is not None
        self._observe(name, event)
        try:
            effects = core.step(event)
        except PeerError as error:
            self._observe(name, error)
            return
        except InvariantError as error:
            self._observe(name, error)
            self._down(node)
            return
        waiting = len(node.outbox.held)
        self._carry_out(name, node, node.outbox.push(effects))
        for effect in node.outbox.held[waiting:]:
            self._observe(name, Held(effect))
        assert node.armed == core.armed, (name, node.armed, core.armed)
        while node.answers:
            self._feed(name, node, node.answers.pop(0))

    def _carry_out(self, name: str, node: Node, effects: "List[Any]") -> None:
        for effect in effects:
            self._observe(name, effect)
            kind = type(effect)
            if kind is Send:
                self.flight.setdefault((name, effect.dst), []).append(effect.msg)
            elif kind is Persist:
                node.written.append(effect.patch)
            elif kind is SetTimer:
                node.armed[effect.name] = (effect.lo_ns, effect.hi_ns)
            elif kind is CancelTimer:
                node.armed.pop(effect.name, None)
            elif kind is Ask:
                self._asked += 1
                node.answers.append(Answer(effect.token, self._asked))
