"""Makes one run: sets a cluster up, warms it up, breaks it while clients work, heals it, reads what
is left, and tears it down; everything that happens goes into the run's events.

The phases are set-up, warm-up, chaos, heal, final, teardown. Whatever raises in one of the first
three, the faults are undone, the nodes torn down, and the history ends with a line that says what
happened. The same coroutine runs in every world: it awaits nothing but the cluster's `env`.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from dissensus.harness import store
from dissensus.harness.cluster import Cluster, ClusterSpec
from dissensus.harness.drive import Drive
from dissensus.harness.env import Cancelled, DeadlineExceeded, Env, Task
from dissensus.harness.errors import DissensusError, SystemFault, UserError, culprit
from dissensus.harness.fault import Nemesis
from dissensus.harness.generators import Generator, lift
from dissensus.harness.injector import Injector
from dissensus.harness.journal import Journal
from dissensus.harness.monitor import Monitor
from dissensus.harness.plan import UNITS_NS, Plan
from dissensus.harness.progress import Tally
from dissensus.harness.recorder import Recorder
from dissensus.harness.registry import make_cluster
from dissensus.harness.scenario import HOLD, Scenario, Stage
from dissensus.harness.scheduler import Scheduler
from dissensus.harness.system import System, Workload

S = UNITS_NS["s"]

TICK_NS = 100_000_000
"""How soon a Ctrl-C or a full disk is noticed."""
FLUSH_TICKS = 4
"""Every so many ticks the event file catches up, however little happens."""
OP_TIMEOUT_NS = 2 * S
"""Some elections: an operation that is open longer waits for the end of a fault."""
WARMUP_MAX_NS = 20 * S
"""A system whose every operation has not succeeded once by then does not serve."""
HEAL_MAX_NS = 60 * S
"""All faults are undone and verified by then: a node restarts in one or two seconds."""
FINAL_MAX_NS = 15 * S
"""Some elections, so that the last reads find a leader."""
TEARDOWN_MAX_NS = 30 * S
"""Processes that are ended by SIGKILL are gone in a fraction of it."""

Outcome = Literal["complete", "interrupted", "failed"]


@dataclass(frozen=True, kw_only=True)
class Faults:
    """What the runner needs of `dissensus.nemeses`, which the harness may not import."""

    nemeses: Mapping[str, Nemesis]
    compose: Callable[..., Sequence[Any]]
    """compose(words, cluster, size=, seed=, length_ns=): the schedule. Raises UserError."""
    follow: Callable[[Env, Injector, Sequence[Any], int], Coroutine[Any, Any, None]]
    """follow(env, injector, schedule, until): injects and undoes by the schedule."""


@dataclass(frozen=True, kw_only=True)
class RunEnd:
    """How a run ended."""

    outcome: Outcome
    error: Exception | None = None
    """What failed: the first of several."""
    left: tuple[str, ...] = ()
    """What teardown could not remove."""
    line: Mapping[str, Any] = field(default_factory=dict)
    """The last line of the history, which a full disk may not have taken."""


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What a run is made of, beside its plan."""

    plan: Plan
    system: System
    workload: Workload
    faults: Faults
    scenario: Scenario | None = None


def header_of(parts: Parts) -> dict[str, Any]:
    """Line 1 of events.jsonl: a function of the plan, the same on every machine."""
    from msgspec import to_builtins

    plan, system, workload = parts.plan, parts.system, parts.workload
    return {
        "system": system.name,
        "workload": workload.name,
        "model": workload.model,
        "fs": list(workload.fs),
        "nodes": list(plan.node_names()),
        "client_hosts": list(plan.client_hosts()),
        "concurrency": plan.concurrency,
        "seed": plan.seed,
        "faults": list(plan.faults),
        "scenario": plan.scenario or None,
        "options": dict(system.options()),
        "on": plan.on,
        "capabilities": sorted(system.capabilities),
        "plan": to_builtins(plan),
    }


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A run that can begin."""

    parts: Parts
    folder: Path
    cluster: Cluster
    schedule: Sequence[Any]


def prepare(parts: Parts, folder: Path) -> Prepared:
    """See whether everything fits, before anything is begun or written.

    Raises UserError for faults that the cluster cannot do, EnvironmentFault for a cluster that the
    system, or this machine, cannot have.
    """
    plan = parts.plan
    most_ns = WARMUP_MAX_NS + plan.time_ns + HEAL_MAX_NS + FINAL_MAX_NS + TEARDOWN_MAX_NS
    spec = ClusterSpec(
        nodes=plan.node_names(),
        client_hosts=plan.client_hosts(),
        seed=plan.seed,
        run_dir=folder,
        keep=plan.keep,
        plan_ns=most_ns,
    )
    cluster = make_cluster(plan.on, spec, parts.system)
    schedule = parts.faults.compose(
        plan.faults, cluster, size=plan.nodes, seed=plan.seed, length_ns=plan.time_ns
    )
    return Prepared(parts=parts, folder=folder, cluster=cluster, schedule=schedule)


def make_run(
    prepared: Prepared,
    *,
    provenance: Mapping[str, Any],
    tally: Tally | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> RunEnd:
    """Make the run in its folder. `stop` is asked a few times a second whether to end it early.

    Never raises for what the system or the machine did: that is in what it returns, and in the
    history as far as that could be written. Raises OSError where not even a history can be begun.
    """
    tally = tally or Tally()
    folder = prepared.folder
    store.write_json(folder / store.RUN, provenance)
    recorder = Recorder(
        folder / store.EVENTS, header_of(prepared.parts), on_op=tally.op, on_event=tally.event
    )
    store.publish(folder)
    try:
        runner = Runner(prepared, recorder=recorder, provenance=provenance, stop=stop)
        return prepared.cluster.run(runner.run())
    finally:
        recorder.close()


class Runner:
    """One run in progress."""

    def __init__(
        self,
        prepared: Prepared,
        *,
        recorder: Recorder,
        provenance: Mapping[str, Any],
        stop: Callable[[], bool],
    ) -> None:
        parts, cluster, folder = prepared.parts, prepared.cluster, prepared.folder
        plan = parts.plan
        self.parts = parts
        self.plan = plan
        self.cluster = cluster
        self.env = cluster.env
        self.recorder = recorder
        self._schedule = prepared.schedule
        self._folder = folder
        self._provenance = provenance
        self._stop = stop
        scheduler = Scheduler(
            concurrency=plan.concurrency, seed=plan.seed, op_timeout_ns=OP_TIMEOUT_NS
        )
        self.drive = Drive(
            self.env,
            scheduler,
            client=lambda: parts.system.client(parts.workload.name),
            nodes=plan.node_names(),
            hosts=plan.client_hosts(),
            record=recorder.op,
        )
        sessions = [self.drive.session(thread) for thread in range(plan.concurrency)]
        self.monitor = Monitor(cluster, recorder.write)
        self.injector = Injector(
            cluster,
            {**parts.faults.nemeses, HOLD.kind: HOLD},
            Journal(folder),
            recorder.write,
            leader=self.monitor.leader,
            client_hosts=plan.client_hosts(),
            clients_of={s.host: s.pinned for s in sessions if s.pinned is not None},
        )
        self.monitor.explained = self.injector.held
        cluster.observe = self.monitor.observe
        self._watching: Task[None] | None = None
        self._serving = False
        """The warm-up has succeeded: last reads make sense."""
        self._now_in = ""
        """The phase that goes on."""
        self._ended_in: str | None = None
        """The one in which the run failed, or was interrupted."""
        self._interrupted = False
        self._error: Exception | None = None

    async def run(self) -> RunEnd:
        """All phases, in order, whatever happens."""
        await self._attempt(self._work(), stoppable=True)
        self.drive.stop()
        self._phase("heal")
        await self._attempt(self._heal(), most_ns=HEAL_MAX_NS)
        if self._serving and self.recorder.error is None:
            self._phase("final")
            await self._attempt(self._final())
        self._phase("teardown")
        left: list[str] = []
        await self._attempt(self._teardown(left), most_ns=TEARDOWN_MAX_NS)
        return self._end(left)

    # -- the phases -----------------------------------------------------------------------------

    async def _work(self) -> None:
        """Set-up, warm-up, chaos."""
        self._phase("set-up")
        await self.cluster.setup()
        provenance = {**self._provenance, "cluster": self.cluster.provenance()}
        store.write_json(self._folder / store.RUN, provenance)
        self._watching = self.env.spawn(self.monitor.watch(), "monitor")
        self._phase("warm-up")
        await self._warm_up()
        self._serving = True
        self._phase("chaos")
        if self.parts.scenario is None:
            await self._chaos()
        else:
            await self._play(self.parts.scenario)

    async def _warm_up(self) -> None:
        workload, plan = self.parts.workload, self.plan
        try:
            await self.env.timeout(
                WARMUP_MAX_NS, self.drive.run(workload.warmup(plan.concurrency), "warm-up")
            )
        except DeadlineExceeded:
            never = [f for f in workload.fs if f not in self.recorder.succeeded]
            dead = "".join(f"; {death}" for death in self.monitor.deaths)
            raise SystemFault(
                f"{self.parts.system.name} does not serve: {', '.join(never)} did not succeed once "
                f"in {WARMUP_MAX_NS // S} s of warm-up, without any fault{dead}; the logs of its "
                f"nodes are in {self._folder / 'nodes'}"
            ) from None

    async def _chaos(self) -> None:
        """Clients and faults side by side, to the end of the time, or of one that fails."""
        plan, env = self.plan, self.env
        until = env.now() + plan.time_ns
        # Before anything is spawned: a workload may be wrong, and then no fault may begin.
        load = self._load()
        nemesis = env.spawn(
            self.parts.faults.follow(env, self.injector, self._schedule, until), "nemesis"
        )
        clients = env.spawn(self.drive.run(load, "chaos"), "clients")
        both = [nemesis, clients]
        try:
            await env.timeout(plan.time_ns + HEAL_MAX_NS, self._all_done(both))
        finally:
            await ended(both)

    async def _all_done(self, tasks: list[Task[None]]) -> None:
        """Waits for all; raises what the first one that fails raises."""
        left = list(tasks)
        while left:
            done = [task for task in left if task.done()]
            for task in done:
                left.remove(task)
                await task.join()
            if not done:
                await self.env.sleep(TICK_NS)

    def _load(self) -> Generator:
        plan = self.plan
        work = lift(self.parts.workload.generator(plan.concurrency))
        if plan.rate_hz:
            work = work.stagger(round(S / plan.rate_hz))
        return work.time_limit(plan.time_ns)

    async def _play(self, scenario: Scenario) -> None:
        stage = Stage(
            cluster=self.cluster,
            drive=self.drive,
            injector=self.injector,
            concurrency=self.plan.concurrency,
            write=self.recorder.write,
        )
        try:
            await self.env.timeout(self.plan.time_ns, scenario.play(stage))
        except DeadlineExceeded as error:
            raise SystemFault(
                f"scenario {self.plan.scenario!r} was not through after "
                f"{self.plan.time_ns / S:g} s (--time)"
            ) from error

    async def _heal(self) -> None:
        wrong = await self.injector.undo_all()
        if wrong:
            raise SystemFault("not all faults are undone: " + "; ".join(wrong))

    async def _final(self) -> None:
        reads = self.parts.workload.final(self.plan.concurrency, self.recorder.keys())
        await self.drive.run(lift(reads).time_limit(FINAL_MAX_NS), "final")

    async def _teardown(self, left: list[str]) -> None:
        await self.drive.close()
        if self._watching is not None:
            # From here on nodes end because we want it so.
            await ended([self._watching])
        left += await self.cluster.teardown()

    # -- how they are run -----------------------------------------------------------------------

    async def _attempt(
        self, coro: Coroutine[Any, Any, None], *, stoppable: bool = False, most_ns: int = 0
    ) -> None:
        """Run a part of the run to its end, for `most_ns` at most where that is given. What it
        raises is kept. A stoppable one also ends when the user, or a full disk, wants it to.
        """
        env = self.env
        bounded = env.timeout(most_ns, coro) if most_ns else coro
        task = env.spawn(bounded, "phase")
        ticks = 0
        try:
            while not task.done():
                await env.sleep(TICK_NS)
                ticks += 1
                if ticks % FLUSH_TICKS == 0:
                    self.recorder.flush()
                if stoppable and (self._stop() or self.recorder.error is not None):
                    self._cut_short()
                    task.cancel()
                    break
            await task.join()
        except Cancelled:
            # Whoever cancels the run itself, without `stop`, wants the same.
            if not stoppable:
                raise
            self._cut_short()
            task.cancel()
        except DeadlineExceeded as error:
            self._failed(SystemFault(f"phase {self._now_in} did not come to its end: {error}"))
        except Exception as error:
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        """The first of several errors is the one that is told."""
        self._error = self._error or blamed(error)
        self._ended_in = self._ended_in or self._now_in

    def _cut_short(self) -> None:
        """The user wants the run to end, or the disk is full."""
        self._ended_in = self._ended_in or self._now_in
        self._interrupted = self.recorder.error is None

    def _phase(self, name: str) -> None:
        self._now_in = name
        self.recorder.write({"ev": "phase", "t": self.env.now(), "name": name})
        self.recorder.flush()

    def _end(self, left: list[str]) -> RunEnd:
        """Write the last line."""
        error = self._error or self.recorder.error
        if error is None and self.monitor.deaths:
            error = SystemFault("; ".join(self.monitor.deaths))
        if error is None and left:
            error = SystemFault("not everything could be removed: " + "; ".join(left))
        outcome: Outcome = "complete"
        if error is not None:
            outcome = "failed"
        elif self._interrupted:
            outcome = "interrupted"
        line = {
            "ev": "end",
            "t": self.env.now(),
            "outcome": outcome,
            "phase": self._ended_in,
            "error": None if error is None else words_of(error),
            "left": left,
        }
        self.recorder.write(line)
        return RunEnd(outcome=outcome, error=error, left=tuple(left), line=line)


async def ended(tasks: Iterable[Task[Any]]) -> None:
    """Cancel what is not done yet, and wait until it has cleaned up."""
    left = [task for task in tasks if not task.done()]
    for task in left:
        task.cancel()
    for task in left:
        with suppress(Cancelled):
            await task.join()


def blamed(error: Exception) -> Exception:
    """The error as it is, or as a UserError that names the line, where it is in a workload or a
    scenario that the user has written.
    """
    place = "" if isinstance(error, DissensusError | OSError) else culprit(error)
    if not place:
        return error
    mistake = UserError(f"{place}: {type(error).__name__}: {error}")
    mistake.__cause__ = error
    return mistake


def words_of(error: Exception) -> str:
    """An error in words: those of ours are whole sentences, others are named."""
    if isinstance(error, DissensusError | OSError):
        return str(error)
    return f"{type(error).__name__}: {error}"
