"""The driver with real client objects, on both worlds: outcomes, deadlines, placing, failures.

What a client does is chosen by the operation's value: how long it takes and what it raises.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from dissensus.harness.aio import AsyncioEnv
from dissensus.harness.drive import Drive
from dissensus.harness.env import Cancelled, DeadlineExceeded, Disconnected, Env, NotSent
from dissensus.harness.errors import EnvironmentFault, InternalError, SystemFault, UserError
from dissensus.harness.generators import any_of, lift, phases, register
from dissensus.harness.history import History
from dissensus.harness.ops import Op
from dissensus.harness.scheduler import Scheduler
from dissensus.harness.sim.env import SimEnv
from dissensus.harness.sim.kernel import Kernel
from dissensus.harness.system import Client, ClientSession, Failed, Unsure

MS = 1_000_000
LONG = 60_000 * MS
NODES = ("n1", "n2", "n3")
HOSTS = ("c1", "c2", "c3")

MakeEnv = Callable[[], AsyncioEnv | SimEnv]


@pytest.fixture(params=["asyncio", "sim"])
def make_env(request: pytest.FixtureRequest) -> MakeEnv:
    return (lambda: AsyncioEnv(1)) if request.param == "asyncio" else sim


def sim() -> SimEnv:
    return SimEnv(Kernel(), 1)


class Puppet(Client):
    """Does what the value says: a number of ns to take, an exception to raise, a function to
    await.
    """

    log: list[tuple[str, int]]

    async def open(self, env: Env, session: ClientSession) -> None:
        await super().open(env, session)
        self.log.append(("open", session.process))

    async def close(self) -> None:
        self.log.append(("close", self.session.process))

    def hints(self) -> tuple[str | None, dict[str, Any] | None]:
        return self.session.pinned or "n9", {"rev": 7}

    async def read(self, key: Any, value: Any) -> Any:
        return await self.act(value)

    async def write(self, key: Any, value: Any) -> Any:
        return await self.act(value)

    async def a_b(self, key: Any, value: Any) -> Any:
        return "dash"

    async def act(self, value: Any) -> Any:
        if isinstance(value, Exception):
            raise value
        if callable(value):
            return await value(self)
        if isinstance(value, int):
            try:
                await self.env.sleep(value)
            except Cancelled:
                self.log.append(("cancelled", self.session.process))
                raise
        return None


class World:
    """A drive with puppets, and what it recorded."""

    def __init__(
        self,
        env: AsyncioEnv | SimEnv,
        *,
        concurrency: int = 2,
        timeout_ns: int = LONG,
        client: type[Puppet] = Puppet,
        nemesis: Callable[[Op], Coroutine[Any, Any, Any]] | None = None,
        record: Callable[[Op], None] | None = None,
    ) -> None:
        self.env = env
        self.events: list[Op] = []
        self.log: list[tuple[str, int]] = []
        self.scheduler = Scheduler(
            concurrency=concurrency,
            seed=1,
            op_timeout_ns=timeout_ns,
            nemesis=nemesis is not None,
        )
        kind = type("Puppet", (client,), {"log": self.log})
        self.drive = Drive(
            env,
            self.scheduler,
            client=kind,
            nodes=NODES,
            hosts=HOSTS,
            record=record or self.events.append,
            nemesis=nemesis,
        )

    def run(self, *gens: Any) -> None:
        """One phase after another, then close."""

        async def main() -> None:
            try:
                for i, gen in enumerate(gens):
                    await self.drive.run(gen, f"phase {i}")
            finally:
                await self.drive.close()

        self.env.run(main())

    def done(self) -> list[tuple[str, str, str | None]]:
        """(f, outcome, error) of each completion."""
        return [(op.f, op.type, op.error) for op in self.events if op.type != "invoke"]


def test_each_event_is_recorded_in_order_with_what_the_client_said(make_env: MakeEnv) -> None:
    async def answer(client: Puppet) -> str:
        return "found"

    world = World(make_env(), concurrency=1)
    world.run([{"f": "write", "key": 4, "value": 5}, {"f": "read", "value": answer}, {"f": "a-b"}])
    assert [(op.f, op.type, op.key, op.value, op.node, op.x) for op in world.events[:2]] == [
        ("write", "invoke", 4, 5, None, None),
        ("write", "ok", 4, 5, "n1", {"rev": 7}),
    ]
    assert [op.value for op in world.events if op.type == "ok"] == [5, "found", "dash"]
    times = [op.time_ns for op in world.events]
    assert times == sorted(times)
    assert len({id(op) for op in world.events}) == 6
    assert world.log == [("open", 0), ("close", 0)]


@pytest.mark.parametrize(
    ("error", "of_a_write", "of_a_read"),
    [
        (Failed("mismatch"), ("fail", "mismatch"), ("fail", "mismatch")),
        (NotSent("refused"), ("fail", "not-sent"), ("fail", "not-sent")),
        (Unsure("busy"), ("info", "busy"), ("fail", "busy")),
        (Disconnected("gone"), ("info", "disconnected"), ("fail", "disconnected")),
        (BrokenPipeError(), ("info", "BrokenPipeError"), ("fail", "BrokenPipeError")),
    ],
)
def test_errors_become_outcomes(
    make_env: MakeEnv, error: Exception, of_a_write: tuple[str, str], of_a_read: tuple[str, str]
) -> None:
    world = World(make_env(), concurrency=1)
    world.run([{"f": "write", "value": error}, {"f": "read", "value": error}])
    assert world.done() == [("write", *of_a_write), ("read", *of_a_read)]


def test_an_info_ends_the_process_and_its_client(make_env: MakeEnv) -> None:
    world = World(make_env(), concurrency=1)
    world.run(
        [
            {"f": "write", "value": Unsure("?")},
            {"f": "write", "value": Failed("no")},
            {"f": "write", "value": Unsure("?")},
            {"f": "write"},
        ]
    )
    assert [op.process for op in world.events if op.type == "invoke"] == [0, 1, 1, 2]
    assert world.log == [(what, p) for p in range(3) for what in ("open", "close")]
    History.from_ops(world.events)


def test_a_late_read_fails_and_a_late_write_is_info(make_env: MakeEnv) -> None:
    world = World(make_env(), concurrency=1, timeout_ns=5 * MS)
    world.run([{"f": "read", "value": LONG}, {"f": "write", "value": LONG}, {"f": "read"}])
    assert world.done() == [
        ("read", "fail", "timeout"),
        ("write", "info", "timeout"),
        ("read", "ok", None),
    ]
    assert [op.process for op in world.events] == [0, 0, 0, 0, 1, 1]
    assert world.log == [
        ("open", 0),
        ("cancelled", 0),
        ("cancelled", 0),
        ("close", 0),
        ("open", 1),
        ("close", 1),
    ]


def test_a_client_that_never_waits_starves_nobody(make_env: MakeEnv) -> None:
    world = World(make_env(), concurrency=3)
    turns = 0

    async def main() -> None:
        async def bystander() -> None:
            nonlocal turns
            while True:
                await world.env.sleep(0)
                turns += 1

        beside = world.env.spawn(bystander(), "bystander")
        await world.drive.run(lift({"f": "write"}).repeat().limit(300), "x")
        beside.cancel()
        await world.drive.close()

    world.env.run(main())
    assert Counter(op.process for op in world.events) == {0: 200, 1: 200, 2: 200}
    assert turns >= 90


def test_only_what_is_late_is_cancelled(make_env: MakeEnv) -> None:
    world = World(make_env(), concurrency=3, timeout_ns=40 * MS)
    gen = any_of(lift({"f": "write", "value": LONG}), lift({"f": "read", "value": MS}).repeat(20))
    world.run(gen)
    assert Counter(world.done()) == {("write", "info", "timeout"): 1, ("read", "ok", None): 20}


def test_a_client_that_answers_although_cancelled_is_believed(make_env: MakeEnv) -> None:
    async def stubborn(client: Puppet) -> str:
        try:
            await client.env.sleep(LONG)
        except Cancelled:
            return "at last"
        return "never"

    world = World(make_env(), concurrency=1, timeout_ns=2 * MS)
    world.run([{"f": "write", "value": stubborn}, {"f": "write"}])
    assert world.done() == [("write", "ok", None)] * 2
    assert world.events[1].value == "at last"


def test_a_client_that_runs_on_although_cancelled_fails_the_run() -> None:
    async def for_ever(client: Puppet) -> None:
        while True:
            with suppress(Cancelled):
                await client.env.sleep(LONG)

    world = World(sim(), concurrency=1, timeout_ns=2 * MS)
    with pytest.raises(SystemFault, match="let Cancelled through"):
        world.run([{"f": "write", "value": for_ever}])
    assert [op.type for op in world.events] == ["invoke"]


def test_an_operation_whose_time_is_up_before_it_begins_certainly_did_not_happen() -> None:
    class SlowToClose(Puppet):
        async def close(self) -> None:
            await self.env.sleep(1500 * MS)
            await super().close()

    world = World(sim(), concurrency=1, timeout_ns=1000 * MS, client=SlowToClose)
    world.run([{"f": "write", "value": Unsure("?")}, {"f": "write"}, {"f": "write"}])
    assert world.done() == [
        ("write", "info", "?"),
        ("write", "fail", "timeout"),
        ("write", "ok", None),
    ]


def test_a_client_that_does_not_close_is_left_behind(make_env: MakeEnv) -> None:
    class Sticky(Puppet):
        async def close(self) -> None:
            raise Disconnected("already")

    world = World(make_env(), concurrency=1, client=Sticky)
    world.run([{"f": "write", "value": Unsure("?")}, {"f": "write"}])
    assert world.done()[-1] == ("write", "ok", None)


def test_an_open_that_fails_fails_the_operation_and_is_tried_again(make_env: MakeEnv) -> None:
    class Shy(Puppet):
        async def open(self, env: Env, session: ClientSession) -> None:
            await super().open(env, session)
            if len(self.log) < 4:
                raise Disconnected("not yet")

    world = World(make_env(), concurrency=1, client=Shy)
    world.run([{"f": "write"}] * 3)
    assert world.done() == [("write", "fail", "disconnected")] * 2 + [("write", "ok", None)]
    assert {op.process for op in world.events} == {0}
    assert world.log == [("open", 0), ("close", 0)] * 3


def test_an_open_that_hangs_is_late_and_certainly_did_nothing(make_env: MakeEnv) -> None:
    class Hanging(Puppet):
        async def open(self, env: Env, session: ClientSession) -> None:
            await super().open(env, session)
            if len(self.log) == 1:
                await env.sleep(LONG)

    world = World(make_env(), concurrency=1, timeout_ns=5 * MS, client=Hanging)
    world.run([{"f": "write"}] * 2)
    assert world.done() == [("write", "fail", "timeout"), ("write", "ok", None)]


@pytest.mark.parametrize("where", ["write", "open", "hints", "close"])
def test_a_bug_of_the_client_ends_the_run_and_keeps_the_history(
    make_env: MakeEnv, where: str
) -> None:
    class Buggy(Puppet):
        async def open(self, env: Env, session: ClientSession) -> None:
            await super().open(env, session)
            self.trip("open")

        async def write(self, key: Any, value: Any) -> Any:
            self.trip("write")
            return await super().write(key, value)

        def hints(self) -> tuple[str | None, dict[str, Any] | None]:
            self.trip("hints")
            return super().hints()

        async def close(self) -> None:
            self.trip("close")

        def trip(self, here: str) -> None:
            if here == where:
                raise ZeroDivisionError("oops")

    world = World(make_env(), concurrency=2, client=Buggy)
    gen = [{"f": "write", "value": Unsure("?")}, lift({"f": "write", "value": MS}).repeat(9)]
    if where == "open":
        gen = gen[1:]
    with pytest.raises(SystemFault, match=rf"{where}.* raised ZeroDivisionError: oops at") as fault:
        world.run(gen)
    assert isinstance(fault.value.__cause__, ZeroDivisionError)
    History.from_ops(world.events)
    if where == "write":
        assert ("write", "info", "ZeroDivisionError") in world.done()


def test_an_operation_that_the_client_does_not_have_is_its_bug(make_env: MakeEnv) -> None:
    world = World(make_env(), concurrency=1)
    with pytest.raises(SystemFault, match="has no attribute 'pop'"):
        world.run({"f": "pop"})


def test_an_error_of_the_recorder_ends_the_run(make_env: MakeEnv) -> None:
    events: list[Op] = []

    def record(op: Op) -> None:
        if len(events) == 5:
            raise EnvironmentFault("disk full")
        events.append(op)

    world = World(make_env(), record=record)
    with pytest.raises(EnvironmentFault, match="disk full"):
        world.run(lift({"f": "write", "value": MS}).repeat())


def test_a_generator_that_breaks_its_contract_ends_the_run(make_env: MakeEnv) -> None:
    world = World(make_env())
    with pytest.raises(UserError, match="waits for ever"):
        world.run([{"f": "write"}, lift({"f": "kill"}).on_nemesis()])
    assert world.done() == [("write", "ok", None)]


def test_phases_share_processes_and_clients(make_env: MakeEnv) -> None:
    world = World(make_env(), concurrency=1)
    world.run({"f": "write", "value": Unsure("?")}, {"f": "write"}, None, {"f": "write"})
    assert [op.process for op in world.events] == [0, 0, 1, 1, 1, 1]
    assert [what for what, _ in world.log] == ["open", "close"] * 2


def test_a_barrier_holds_across_real_clients(make_env: MakeEnv) -> None:
    slow_and_fast = [{"f": "read", "value": 8 * MS}, {"f": "read", "value": MS}]
    world = World(make_env())
    world.run(phases(slow_and_fast, lift({"f": "write"}).each_thread()))
    kinds = [(op.f, op.type) for op in world.events]
    assert kinds[:4] == [("read", "invoke")] * 2 + [("read", "ok")] * 2


def test_stagger_wakes_the_scheduler_by_time(make_env: MakeEnv) -> None:
    world = World(make_env(), concurrency=3)
    world.run(lift({"f": "write"}).repeat().delay(3 * MS).limit(5))
    begun = [op.time_ns for op in world.events if op.type == "invoke"]
    assert len(begun) == 5
    assert begun[4] - begun[0] >= 11 * MS


def test_stop_ends_an_endless_generator_after_what_is_open(make_env: MakeEnv) -> None:
    world = World(make_env())

    async def main() -> None:
        running = world.env.spawn(
            world.drive.run(lift({"f": "read", "value": MS}).repeat(), "endless"), "run"
        )
        await world.env.sleep(10 * MS)
        world.drive.stop()
        await running.join()
        await world.drive.run({"f": "write"}, "after")
        await world.drive.close()

    world.env.run(main())
    assert Counter(op.type for op in world.events)["invoke"] * 2 == len(world.events)
    assert world.done()[-1] == ("write", "ok", None)


def test_a_run_that_is_cancelled_invokes_nothing_more(make_env: MakeEnv) -> None:
    world = World(make_env())

    async def main() -> int:
        endless = lift({"f": "read", "value": MS}).repeat()
        with pytest.raises(DeadlineExceeded):
            await world.env.timeout(10 * MS, world.drive.run(endless, "endless"))
        begun = len([op for op in world.events if op.type == "invoke"])
        await world.env.sleep(10 * MS)
        await world.drive.run({"f": "write"}, "after")
        await world.drive.close()
        return begun

    begun = world.env.run(main())
    assert begun > 0
    assert len([op for op in world.events if op.type == "invoke"]) == begun + 1


def test_after_a_failure_and_after_close_nothing_runs(make_env: MakeEnv) -> None:
    world = World(make_env())

    async def main() -> None:
        for _ in range(2):
            with pytest.raises(SystemFault, match="'pop'"):
                await world.drive.run({"f": "pop"}, "x")
        for _ in range(2):
            await world.drive.close()
        with pytest.raises(InternalError, match="once it is closed"):
            await world.drive.run({"f": "read"}, "x")

    world.env.run(main())
    assert len(world.events) == 2


def test_two_generators_at_a_time_are_our_bug(make_env: MakeEnv) -> None:
    world = World(make_env())

    async def main() -> None:
        first = world.env.spawn(world.drive.run({"f": "read", "value": 5 * MS}, "x"), "first")
        await world.env.sleep(MS)
        with pytest.raises(InternalError, match="one generator at a time"):
            await world.drive.run({"f": "read"}, "y")
        await first.join()
        await world.drive.close()

    world.env.run(main())


def test_close_leaves_open_operations_open(make_env: MakeEnv) -> None:
    world = World(make_env())

    async def main() -> None:
        world.env.spawn(world.drive.run([{"f": "write", "value": LONG}, {"f": "read"}], "x"), "run")
        await world.env.sleep(5 * MS)
        await world.drive.close()

    world.env.run(main())
    assert world.done() == [("read", "ok", None)]
    assert [what for what, _ in world.log].count("close") == 2


def test_half_the_clients_are_pinned_and_reach_every_node() -> None:
    for n in range(1, 8):
        nodes = [f"n{i + 1}" for i in range(n)]
        hosts = [f"c{i + 1}" for i in range(n)]
        scheduler = Scheduler(concurrency=4 * n, seed=1, op_timeout_ns=1)
        drive = Drive(sim(), scheduler, client=Puppet, nodes=nodes, hosts=hosts, record=print)
        sessions = [drive.session(t) for t in range(4 * n)]
        pinned = [s.pinned for s in sessions if s.pinned]
        assert len(pinned) == 2 * n
        assert set(pinned) == set(nodes)
        assert [s.host for s in sessions] == [hosts[p % n] for p in range(4 * n)]
        assert all(s.pinned in (None, s.host.replace("c", "n")) for s in sessions)
        if n % 2:
            assert all((s.pinned is not None) == (s.process % 2 == 0) for s in sessions)


def test_the_nemesis_runs_beside_clients_and_is_not_recorded(make_env: MakeEnv) -> None:
    injected: list[Any] = []
    env = make_env()

    async def nemesis(op: Op) -> str:
        await env.sleep(2 * MS)
        injected.append((op.f, op.value))
        return "done"

    world = World(env, nemesis=nemesis)
    faults = lift([{"f": "kill", "value": "n1"}, {"f": "start", "value": "n1"}]).on_nemesis()
    world.run(any_of(faults, lift({"f": "read"}).repeat(3).on_clients()))
    assert injected == [("kill", "n1"), ("start", "n1")]
    assert {op.f for op in world.events} == {"read"}


def test_an_error_of_the_nemesis_ends_the_run(make_env: MakeEnv) -> None:
    async def nemesis(op: Op) -> None:
        raise EnvironmentFault("no such node")

    world = World(make_env(), nemesis=nemesis)
    with pytest.raises(EnvironmentFault, match="no such node"):
        world.run(any_of(lift({"f": "kill"}).on_nemesis(), lift({"f": "read"}).on_clients()))


# -- scenarios ------------------------------------------------------------------------------------


def scenario(world: World, body: Callable[[Drive], Coroutine[Any, Any, Any]], gen: Any) -> Any:
    """Run a scenario beside a generator, then close."""

    async def main() -> Any:
        asked = world.env.spawn(body(world.drive), "scenario")
        try:
            await world.drive.run(gen, "chaos")
            return await asked.join()
        finally:
            await world.drive.close()

    return world.env.run(main())


def test_a_scenario_invokes_on_the_thread_that_it_names(make_env: MakeEnv) -> None:
    world = World(make_env(), concurrency=3)

    async def body(drive: Drive) -> list[Op]:
        return [await drive.invoke("write", 1, "v", thread=t) for t in (2, 0, 2)]

    done = scenario(world, body, lift({"f": "read", "value": MS}).repeat(30))
    assert [(op.process, op.type, op.value) for op in done] == [
        (2, "ok", "v"),
        (0, "ok", "v"),
        (2, "ok", "v"),
    ]
    assert all(any(op is event for event in world.events) for op in done)
    History.from_ops(world.events)


def test_a_scenario_needs_no_generator_and_sees_outcomes(make_env: MakeEnv) -> None:
    world = World(make_env(), concurrency=1, timeout_ns=5 * MS)

    async def main() -> list[str]:
        values = (Failed("no"), Unsure("?"), LONG, None)
        done = [await world.drive.invoke("write", None, value) for value in values]
        await world.drive.close()
        return [f"{op.process} {op.type}" for op in done]

    assert world.env.run(main()) == ["0 fail", "0 info", "1 info", "2 ok"]


def test_a_scenario_hears_that_the_run_has_failed(make_env: MakeEnv) -> None:
    world = World(make_env(), concurrency=2)
    heard: list[str] = []

    async def body(drive: Drive) -> None:
        for value in (LONG, None):
            try:
                await drive.invoke("read", None, value)
            except SystemFault as fault:
                heard.append(str(fault))

    async def bug(client: Puppet) -> None:
        await client.env.sleep(MS)
        raise KeyError("bug")

    async def main() -> None:
        asked = world.env.spawn(body(world.drive), "scenario")
        await world.env.sleep(MS)
        with pytest.raises(SystemFault):
            await world.drive.run({"f": "write", "value": bug}, "chaos")
        await asked.join()
        await world.drive.close()

    world.env.run(main())
    assert len(heard) == 2
    assert all("KeyError" in text for text in heard)


def test_a_scenario_that_waits_when_the_drive_is_closed_is_told(make_env: MakeEnv) -> None:
    world = World(make_env(), concurrency=1)

    async def main() -> None:
        asked = world.env.spawn(world.drive.invoke("write", None, LONG), "scenario")
        await world.env.sleep(MS)
        await world.drive.close()
        await asked.join()

    with pytest.raises(InternalError, match="closed while a scenario waits"):
        world.env.run(main())


def test_a_scenario_with_a_wrong_thread_is_told() -> None:
    world = World(sim(), concurrency=2)
    for thread in (-2, 2):
        with pytest.raises(UserError, match=rf"thread {thread} is out of range: 0 to 1"):
            world.env.run(world.drive.invoke("read", thread=thread))


# -- one world only -------------------------------------------------------------------------------


def test_a_client_library_on_asyncio_is_cancelled_like_everything() -> None:
    async def library(client: Puppet) -> None:
        await asyncio.sleep(60)

    async def task_group(client: Puppet) -> str:
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(0))
        async with asyncio.timeout(60):
            await asyncio.sleep(0)
        return "fine"

    world = World(AsyncioEnv(1), concurrency=1, timeout_ns=5 * MS)
    world.run([{"f": "read", "value": library}, {"f": "read", "value": task_group}])
    assert world.done() == [("read", "fail", "timeout"), ("read", "ok", None)]


def test_a_cancel_that_a_client_makes_itself_ends_the_run() -> None:
    async def cancelled(client: Puppet) -> None:
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    world = World(AsyncioEnv(1), concurrency=1)
    with pytest.raises(SystemFault, match=r"Puppet let a CancelledError out of .*'write'"):
        world.run({"f": "write", "value": cancelled})
    assert [op.type for op in world.events] == ["invoke"]


RUN = """
import sys
from pathlib import Path
from dissensus.harness.drive import Drive
from dissensus.harness.events import EventWriter
from dissensus.harness.generators import any_of, independent, lift, phases, register
from dissensus.harness.scheduler import Scheduler
from dissensus.harness.sim.env import SimEnv
from dissensus.harness.sim.kernel import Kernel
from dissensus.harness.system import Client, Unsure

class Random(Client):
    async def open(self, env, session):
        await super().open(env, session)
        self.rng = env.rand(f"client/{session.process}")
    async def read(self, key, value):
        await self.env.sleep(self.rng.between(0, 3_000_000))
        if self.rng.chance(1, 20):
            raise Unsure("?")
        return value
    write = cas = read

env = SimEnv(Kernel(), 7)
scheduler = Scheduler(concurrency=6, seed=7, op_timeout_ns=2_900_000)
writer = EventWriter(Path(sys.argv[1]), {})
drive = Drive(env, scheduler, client=Random, nodes=["n1", "n2"], hosts=["c1", "c2"],
              record=writer.op)
async def main():
    reads = lift({"f": "read"}).repeat()
    await drive.run(reads.until_ok().each_process().limit(50), "warm-up")
    chaos = independent(lambda key: register().limit(20), keys=3).stagger(400_000)
    await drive.run(chaos.time_limit(300_000_000), "chaos")
    await drive.close()
env.run(main())
writer.close()
"""


def test_the_same_seed_gives_the_same_bytes_whatever_the_hash_seed(tmp_path: Path) -> None:
    found = []
    for hash_seed in ("1", "424242"):
        events = tmp_path / f"{hash_seed}.jsonl"
        subprocess.run(
            [sys.executable, "-c", RUN, str(events)],
            check=True,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
        )
        found.append(events.read_bytes())
    assert found[0] == found[1]
    assert found[0].count(b'"info"') > 20
    assert found[0].count(b'"invoke"') > 500


def test_a_register_workload_runs_on_both_worlds(make_env: MakeEnv) -> None:
    class Store(Puppet):
        cells: dict[Any, Any]

        async def read(self, key: Any, value: Any) -> Any:
            await self.env.sleep(0)
            return self.cells.get(key)

        async def write(self, key: Any, value: Any) -> Any:
            self.cells[key] = value

        async def cas(self, key: Any, value: Any) -> Any:
            if self.cells.get(key) != value[0]:
                raise Failed("mismatch")
            self.cells[key] = value[1]

    Store.cells = {}
    world = World(make_env(), concurrency=4, client=Store)
    world.run(register().limit(300))
    outcomes = Counter((op.f, op.type) for op in world.events)
    assert outcomes["cas", "ok"] > 10
    assert outcomes["read", "ok"] > 50
    assert outcomes["write", "info"] == 0
