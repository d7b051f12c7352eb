"""The one place that drives a fault through its steps, and knows which ones are in force.

A fault is journalled before it is applied, recorded when it begins, when its effect was measured
and when it is gone. What fails half-way is undone at once and recorded as a fault without effect.
A fault that could not be undone, or whose undo does not show, is recorded with `healed` false, is
tried once more by `undo_all`, and is a complaint of `undo_all` if it still stands. Faults may
overlap; one task at a time drives the injector.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from dissensus.harness.cluster import Cluster
from dissensus.harness.errors import DissensusError, InternalError, unknown_name
from dissensus.harness.fault import Fault, FaultContext, Measured, Nemesis
from dissensus.harness.randomness import Rng


class UndoJournal(Protocol):
    """What the injector needs of `harness.journal.Journal`."""

    def begin(self, id: int, kind: str, undo: dict[str, Any]) -> None: ...
    def end(self, id: int) -> None: ...


class Injector:
    """Injects faults into a cluster and undoes them. `record` takes event lines (`fault-begin` ...)
    with their time; `nemeses` is the table of kinds; `leader` says who leads, as far as is known.
    """

    def __init__(
        self,
        cluster: Cluster,
        nemeses: Mapping[str, Nemesis],
        journal: UndoJournal,
        record: Callable[[dict[str, Any]], None],
        *,
        leader: Callable[[], str | None],
        client_hosts: tuple[str, ...],
        clients_of: Mapping[str, str],
    ) -> None:
        self.cluster = cluster
        self.nemeses = nemeses
        self._journal = journal
        self._record = record
        self._leader = leader
        self._client_hosts = client_hosts
        self._clients_of = clients_of
        self._begun = 0
        self._open: dict[int, Fault] = {}
        self._stuck: dict[int, tuple[Fault, str]] = {}
        """Faults that could not be undone, each with the reason."""
        self._doubtful: list[Fault] = []
        """Undone, but what another fault did hid whether it shows."""

    def in_force(self) -> list[int]:
        """Ids of the faults that were begun and not ended."""
        return list(self._open)

    def held(self) -> set[str]:
        """Nodes that do not run because a fault wants it so, or could not be undone."""
        faults = [*self._open.values(), *(fault for fault, _ in self._stuck.values())]
        return {
            node
            for fault in faults
            if self._nemesis(fault.kind).stops
            for node in fault.targets["nodes"]
        }

    async def context(self) -> FaultContext:
        """What a nemesis may look at now: nodes are down or paused by the operating system's word,
        whoever did it.
        """
        states = {name: await node.state() for name, node in self.cluster.nodes.items()}
        down = [name for name, state in states.items() if state != "up"]
        return self._context(leader=self._leader(), down=down)

    async def draw(self, kind: str) -> Fault | None:
        """A fault of this kind with targets that are fair now, None when there are none. Its draws
        are those of the next fault's number: they do not depend on how often it was tried.
        """
        nemesis = self._nemesis(kind)
        return nemesis.draw(self._rng(self._begun + 1), await self.context())

    async def begin(self, fault: Fault) -> Measured:
        """Give the fault its number, inject it and measure its effect.

        Raises UserError, with nothing done, for a fault that is written wrong. Where inject or
        probe fail on the system's or the machine's account, the fault is undone and has no effect.
        """
        nemesis = self._nemesis(fault.kind)
        nemesis.check(fault, self._context(leader=None, down=()))
        fault.id = self._begun + 1
        rng = self._rng(fault.id)
        self._journal.begin(fault.id, fault.kind, nemesis.undo_entry(fault))
        # From here on `undo_all` knows it, wherever this task is cancelled.
        self._begun = fault.id
        self._open[fault.id] = fault
        self._write(
            "fault-begin",
            fault,
            kind=fault.kind,
            family=nemesis.family,
            targets=fault.targets,
            seed=f"{rng.seed}/{rng.path}",
            asked=fault.asked,
        )
        failed = False
        injected = -1
        try:
            await nemesis.inject(self.cluster, fault)
            injected = self.cluster.env.now()
            measured = await nemesis.probe(self.cluster, fault)
        except InternalError:
            raise
        except DissensusError as error:
            failed = True
            measured = Measured(effective=False, facts={"error": str(error)})
        self._write(
            "fault-measured",
            fault,
            injected=injected,
            effective=measured.effective,
            measured=measured.facts,
        )
        if failed:
            await self.end(fault.id)
        return measured

    def skip(self, kind: str) -> None:
        """Record that a fault was due and had no fair target."""
        text = f"no fair target for {kind}: it was left out"
        now = self.cluster.env.now()
        self._record({"ev": "mark", "t": now, "name": "fault-skipped", "kind": kind, "text": text})

    async def end(self, id: int) -> bool:
        """Undo a fault and verify that it is gone; True when it is. Ending one twice is no error:
        the answer stays the same.
        """
        fault = self._open.get(id)
        if fault is None:
            return id not in self._stuck
        reason = await self._undo(fault)
        del self._open[id]
        if reason:
            self._stuck[id] = (fault, reason)
        return not reason

    async def undo_all(self) -> list[str]:
        """Undo every fault, the latest first, and try those that are stuck once more. Returns what
        is wrong after that, a sentence each: empty when all is healed.
        """
        unwritten = []
        for id in reversed(self.in_force()):
            try:
                await self.end(id)
            except OSError as error:  # a full disk must not keep the other faults in force
                unwritten.append(f"fault {id} was undone, and not recorded as such: {error}")
        for id, (fault, _) in list(self._stuck.items()):
            reason = await self._undo(fault)
            if reason:
                self._stuck[id] = (fault, reason)
            else:
                del self._stuck[id]
        doubtful, self._doubtful = self._doubtful, []
        wrong = unwritten + [reason for _, reason in self._stuck.values()]
        for fault in doubtful:
            measured = await self._nemesis(fault.kind).verify(self.cluster, fault)
            if not measured.effective:
                self._write("fault-end", fault, healed=False, measured=measured.facts)
                wrong.append(f"fault {fault.id} ({fault.kind}) still shows: {measured.facts}")
        holding = [id for id in await self.cluster.links.faults() if id not in self._stuck]
        if holding:
            wrong.append(f"links are still changed by faults {holding}, which were undone")
        return wrong

    async def _undo(self, fault: Fault) -> str:
        """Undo, verify, record; returns why it is not healed, "" when it is."""
        nemesis = self._nemesis(fault.kind)
        facts: dict[str, Any] = {}
        undo = self.cluster.env.now()
        try:
            await nemesis.undo(self.cluster, fault)
            measured = await nemesis.verify(self.cluster, fault)
            facts = measured.facts
            reason = "" if measured.effective else f"its effect is still there: {facts}"
        except Exception as error:  # whatever it is, the other faults must be undone as well
            reason = str(error) if isinstance(error, DissensusError) else repr(error)
        if reason:
            reason = f"fault {fault.id} ({fault.kind}) could not be undone: {reason}"
            self._write("fault-end", fault, undo=undo, healed=False, measured=facts, error=reason)
            return reason
        self._journal.end(fault.id)
        self._write("fault-end", fault, undo=undo, healed=True, measured=facts)
        if facts.get("shared"):
            self._doubtful.append(fault)
        return ""

    def _nemesis(self, kind: str) -> Nemesis:
        if kind not in self.nemeses:
            raise unknown_name("fault", kind, self.nemeses)
        return self.nemeses[kind]

    def _context(self, *, leader: str | None, down: Iterable[str]) -> FaultContext:
        return FaultContext(
            nodes=tuple(self.cluster.nodes),
            client_hosts=self._client_hosts,
            leader=leader,
            down=frozenset(down),
            clients_of=self._clients_of,
        )

    def _rng(self, id: int) -> Rng:
        return self.cluster.env.rand(f"nemesis/{id}")

    def _write(self, event: str, fault: Fault, **fields: Any) -> None:
        self._record({"ev": event, "id": fault.id, "t": self.cluster.env.now(), **fields})
