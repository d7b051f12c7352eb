"""The two worlds of `env` behave alike: each scenario here runs on asyncio and on the simulator.

Scenarios report what happened in which order, never how long it took; pauses are a few milliseconds
and far enough apart that the order is certain.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest

from dissensus.harness import aio
from dissensus.harness.aio import AsyncioEnv
from dissensus.harness.env import Cancelled, Codec, Conn, DeadlineExceeded, Env, NotSent
from dissensus.harness.errors import InternalError
from dissensus.harness.sim.env import SimEnv
from dissensus.harness.sim.kernel import Kernel

MS = 1_000_000
LONG = 60_000 * MS
"""Longer than any test may take: whoever sleeps so long is cancelled."""

Main = Callable[[Env], Coroutine[Any, Any, Any]]
Run = Callable[[Main], Any]


class Refusing:
    """A connector to a node that is down."""

    async def connect(self, host: str, node: str, codec: Codec, port: str) -> Conn:
        raise NotSent(f"{host} -> {node}:{port}: refused")


class RefusingNetwork:
    """The same for the simulator, which has no codec."""

    async def connect(self, host: str, node: str, port: str) -> Conn:
        raise NotSent(f"{host} -> {node}:{port}: refused")


def on_asyncio(main: Main) -> Any:
    env = AsyncioEnv(1, Refusing())
    return env.run(main(env))


def on_sim(main: Main) -> Any:
    env = SimEnv(Kernel(), 1, RefusingNetwork())
    return env.run(main(env))


@pytest.fixture(params=[on_asyncio, on_sim], ids=["asyncio", "sim"])
def run(request: pytest.FixtureRequest) -> Run:
    return request.param  # type: ignore[no-any-return]


def test_time_starts_near_zero_in_integer_nanoseconds_and_sleep_moves_it(run: Run) -> None:
    async def main(env: Env) -> tuple[int, int]:
        before = env.now()
        await env.sleep(5 * MS)
        return before, env.now()

    before, after = run(main)
    assert isinstance(before, int)
    assert 0 <= before < LONG
    assert after - before >= 4 * MS


@pytest.mark.parametrize("ns", [0, -5])
def test_sleep_of_nothing_yields_to_what_is_due(run: Run, ns: int) -> None:
    async def main(env: Env) -> list[str]:
        seen: list[str] = []

        async def one(name: str) -> None:
            for i in range(2):
                seen.append(f"{name}{i}")
                await env.sleep(ns)

        tasks = [env.spawn(one(n), n) for n in "ab"]
        for task in tasks:
            await task.join()
        return seen

    assert run(main) == ["a0", "b0", "a1", "b1"]


def test_join_gives_result_or_exception_to_everybody_who_waits(run: Run) -> None:
    async def main(env: Env) -> list[Any]:
        async def bad() -> None:
            await env.sleep(2 * MS)
            raise ValueError("boom")

        async def good() -> int:
            return 7

        async def wait() -> str:
            try:
                await task.join()
            except ValueError as error:
                return str(error)
            return "no error"

        task = env.spawn(bad(), "bad")
        waiters = [env.spawn(wait(), "w1"), env.spawn(wait(), "w2")]
        fine = env.spawn(good(), "good")
        return [*[await w.join() for w in waiters], await fine.join(), await fine.join()]

    assert run(main) == ["boom", "boom", 7, 7]


def test_an_exception_that_nobody_joins_fails_the_run(run: Run) -> None:
    async def main(env: Env) -> None:
        async def bad() -> None:
            raise ValueError("boom")

        env.spawn(bad(), "lonely")
        await env.sleep(2 * MS)

    with pytest.raises(InternalError, match="'lonely' failed unseen") as caught:
        run(main)
    assert str(caught.value.__cause__) == "boom"


def test_an_exception_of_main_is_the_runs(run: Run) -> None:
    async def main(env: Env) -> None:
        raise KeyError("main")

    with pytest.raises(KeyError, match="main"):
        run(main)


def test_a_task_that_waits_for_itself_is_told_so(run: Run) -> None:
    async def main(env: Env) -> None:
        async def me() -> None:
            await tasks[0].join()

        tasks = [env.spawn(me(), "narcissus")]
        await tasks[0].join()

    with pytest.raises(InternalError, match="'narcissus' waits for itself"):
        run(main)


def test_cancel_raises_at_the_await_and_lets_clean_up_await(run: Run) -> None:
    async def main(env: Env) -> list[Any]:
        seen: list[Any] = []

        async def worker() -> None:
            try:
                await env.sleep(LONG)
            except Cancelled:
                seen.append("cancelled")
                raise
            finally:
                await env.sleep(2 * MS)
                seen.append("clean")

        task = env.spawn(worker(), "w")
        await env.sleep(MS)
        task.cancel()
        seen.append(task.done())
        with pytest.raises(Cancelled):
            await task.join()
        seen.append(task.done())
        task.cancel()
        return seen

    assert run(main) == [False, "cancelled", "clean", True]


def test_a_second_cancel_interrupts_the_clean_up(run: Run) -> None:
    async def main(env: Env) -> list[str]:
        seen: list[str] = []

        async def worker() -> None:
            try:
                await env.sleep(LONG)
            finally:
                try:
                    await env.sleep(LONG)
                except Cancelled:
                    seen.append("again")

        task = env.spawn(worker(), "w")
        for _ in range(2):
            await env.sleep(MS)
            task.cancel()
            task.cancel()
        with pytest.raises(Cancelled):
            await task.join()
        return seen

    assert run(main) == ["again"]


def test_a_task_cancelled_before_its_first_step_never_starts(run: Run) -> None:
    async def main(env: Env) -> list[Any]:
        seen: list[Any] = []

        async def worker() -> None:
            seen.append("started")

        task = env.spawn(worker(), "w")
        task.cancel()
        with pytest.raises(Cancelled):
            await task.join()
        return [*seen, task.done()]

    assert run(main) == [True]


def test_a_task_that_cancels_itself_stops_at_its_next_await(run: Run) -> None:
    async def main(env: Env) -> list[str]:
        seen: list[str] = []

        async def worker() -> None:
            tasks[0].cancel()
            seen.append("still running")
            await env.sleep(MS)
            seen.append("never")

        tasks = [env.spawn(worker(), "w")]
        await env.sleep(5 * MS)
        return seen

    assert run(main) == ["still running"]


def test_cancelling_the_one_who_joins_leaves_the_joined(run: Run) -> None:
    async def main(env: Env) -> str:
        async def slow() -> str:
            await env.sleep(4 * MS)
            return "done"

        async def wait() -> None:
            await task.join()

        task = env.spawn(slow(), "slow")
        waiter = env.spawn(wait(), "waiter")
        await env.sleep(MS)
        waiter.cancel()
        with pytest.raises(Cancelled):
            await waiter.join()
        return await task.join()

    assert run(main) == "done"


def test_timeout_cancels_and_says_so(run: Run) -> None:
    async def main(env: Env) -> list[Any]:
        seen: list[Any] = []

        async def slow() -> None:
            try:
                await env.sleep(LONG)
            except Cancelled:
                seen.append("cancelled")
                raise

        async def quick() -> int:
            return 7

        with pytest.raises(DeadlineExceeded, match="not done within 2 ms"):
            await env.timeout(2 * MS, slow())
        with pytest.raises(DeadlineExceeded, match="not done within 0 ms"):
            await env.timeout(0, slow())
        seen.append(await env.timeout(LONG, quick()))
        await env.sleep(2 * MS)
        return seen

    assert run(main) == ["cancelled", "cancelled", 7]


def test_an_error_in_time_passes_through_a_timeout(run: Run) -> None:
    async def main(env: Env) -> None:
        async def bad() -> None:
            raise ValueError("boom")

        await env.timeout(LONG, bad())

    with pytest.raises(ValueError, match="boom"):
        run(main)


@pytest.mark.parametrize("inner_ms", [2, 60_000])
def test_the_outer_deadline_is_not_taken_for_the_inner_one(run: Run, inner_ms: int) -> None:
    async def main(env: Env) -> list[str]:
        seen: list[str] = []

        async def inner() -> None:
            while True:
                try:
                    await env.timeout(inner_ms * MS, env.sleep(LONG))
                except DeadlineExceeded:
                    seen.append("inner")

        with pytest.raises(DeadlineExceeded, match="not done within 5 ms"):
            await env.timeout(5 * MS, inner())
        await env.sleep(0)
        return seen

    assert set(run(main)) <= ({"inner"} if inner_ms == 2 else set())


def test_cancelling_a_task_in_a_timeout_is_no_deadline(run: Run) -> None:
    async def main(env: Env) -> str:
        async def worker() -> str:
            try:
                await env.timeout(LONG, env.sleep(LONG))
            except DeadlineExceeded:
                return "deadline"
            except Cancelled:
                return "cancelled"
            return "done"

        task = env.spawn(worker(), "w")
        await env.sleep(MS)
        task.cancel()
        return await task.join()

    assert run(main) == "cancelled"


@pytest.mark.parametrize("cancel_first", [True, False])
def test_a_cancel_in_the_instant_of_a_deadline_is_not_lost(run: Run, cancel_first: bool) -> None:
    async def main(env: Env) -> str:
        async def worker() -> None:
            while True:
                with suppress(DeadlineExceeded):
                    await env.timeout(MS, env.sleep(LONG))

        async def canceller() -> None:
            await env.sleep(MS)
            tasks[0].cancel()

        if cancel_first:
            other = env.spawn(canceller(), "canceller")
            await env.sleep(0)
            tasks = [env.spawn(worker(), "worker")]
        else:
            tasks = [env.spawn(worker(), "worker")]
            await env.sleep(0)
            other = env.spawn(canceller(), "canceller")
        await other.join()
        with pytest.raises(Cancelled):
            await tasks[0].join()
        return "ended"

    assert run(main) == "ended"


def test_a_task_lives_on_after_a_deadline(run: Run) -> None:
    async def main(env: Env) -> list[str]:
        seen: list[str] = []
        for _ in range(2):
            try:
                await env.timeout(MS, env.sleep(LONG))
            except DeadlineExceeded:
                seen.append("deadline")
            await env.timeout(LONG, env.sleep(MS))
            seen.append("slept")
        return seen

    assert run(main) == ["deadline", "slept"] * 2


def test_events_wake_everybody_and_stay_set(run: Run) -> None:
    async def main(env: Env) -> list[str]:
        event = env.event()
        seen: list[str] = []

        async def wait(name: str) -> None:
            await event.wait()
            seen.append(name)

        tasks = [env.spawn(wait(n), n) for n in "abc"]
        await env.sleep(MS)
        assert not event.is_set()
        tasks[0].cancel()
        event.set()
        assert event.is_set()
        await env.sleep(MS)
        await event.wait()
        return seen

    assert run(main) == ["b", "c"]


def test_queues_keep_order_bound_their_length_and_lose_nothing_to_a_cancelled_get(
    run: Run,
) -> None:
    async def main(env: Env) -> list[Any]:
        queue = env.queue(2)
        seen: list[Any] = []

        async def get(name: str) -> None:
            seen.append((name, await queue.get()))

        first, second = env.spawn(get("first"), "first"), env.spawn(get("second"), "second")
        await env.sleep(MS)
        queue.put("x")
        first.cancel()
        await second.join()
        queue.put(1)
        queue.put(2)
        assert len(queue) == 2
        with pytest.raises(InternalError, match="queue of 2 items is full"):
            queue.put(3)
        seen.append([await queue.get(), await queue.get()])
        return seen

    assert run(main) == [("second", "x"), [1, 2]]


def test_a_get_that_was_cancelled_first_takes_nothing(run: Run) -> None:
    async def main(env: Env) -> list[Any]:
        queue = env.queue(2)
        seen: list[Any] = []

        async def get(name: str) -> None:
            seen.append((name, await queue.get()))

        first, second = env.spawn(get("first"), "first"), env.spawn(get("second"), "second")
        await env.sleep(MS)
        first.cancel()
        queue.put("x")
        await second.join()
        return seen

    assert run(main) == [("second", "x")]


def test_random_streams_depend_on_seed_and_path_only(run: Run) -> None:
    async def main(env: Env) -> list[int]:
        return [env.rand(path).bits64() for path in ("a", "b", "a")]

    a, b, again = run(main)
    assert a == again != b
    assert on_sim(main) == on_asyncio(main)


def test_connect_goes_through_what_was_handed_in(run: Run) -> None:
    async def main(env: Env) -> None:
        await env.connect("c1", "n2", None)  # type: ignore[arg-type]

    with pytest.raises(NotSent, match="c1 -> n2:client: refused"):
        run(main)


def test_an_error_of_main_counts_more_than_what_it_leaves_behind(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aio, "CLEANUP_NS", 20 * MS)

    async def main(env: Env) -> None:
        async def stubborn() -> None:
            while True:
                with suppress(Cancelled):
                    await env.sleep(LONG)

        env.spawn(stubborn(), "stubborn")
        await env.sleep(MS)
        raise KeyError("main")

    with pytest.raises(KeyError, match="main"):
        run(main)


@pytest.mark.parametrize("env", [AsyncioEnv(1), SimEnv(Kernel(), 1)])
def test_connect_without_a_network_is_an_error(env: AsyncioEnv | SimEnv) -> None:
    async def main() -> None:
        await env.connect("c1", "n2", None)  # type: ignore[arg-type]

    with pytest.raises(InternalError, match="to connect"):
        env.run(main())


def test_what_main_leaves_behind_is_cancelled(run: Run) -> None:
    seen: list[str] = []

    async def main(env: Env) -> str:
        async def for_ever() -> None:
            try:
                while True:
                    await env.sleep(MS)
            finally:
                await env.sleep(MS)
                seen.append("clean")

        env.spawn(for_ever(), "poller")
        await env.sleep(3 * MS)
        return "done"

    assert run(main) == "done"
    assert seen == ["clean"]


def test_a_failure_in_the_clean_up_of_what_main_left_is_seen(run: Run) -> None:
    async def main(env: Env) -> None:
        async def sour() -> None:
            try:
                await env.sleep(LONG)
            finally:
                raise ValueError("sour")

        env.spawn(sour(), "sour")
        await env.sleep(MS)

    with pytest.raises(InternalError, match="'sour' failed unseen"):
        run(main)


def test_a_task_that_refuses_to_end_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aio, "CLEANUP_NS", 20 * MS)

    async def main(env: Env) -> None:
        async def stubborn() -> None:
            while True:
                with suppress(Cancelled):
                    await env.sleep(LONG)

        env.spawn(stubborn(), "stubborn")
        await env.sleep(MS)

    with pytest.raises(InternalError, match=r"stubborn at .*test_env\.py"):
        run(main)


def test_asyncio_of_a_client_library_works_as_it_is_and_is_cancelled_as_everything() -> None:
    async def main(env: Env) -> list[str]:
        seen: list[str] = []

        async def library() -> None:
            try:
                async with asyncio.timeout(0.001):
                    await asyncio.sleep(60)
            except TimeoutError:
                seen.append("its own timeout")
            waiting.set()
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                seen.append("its own cancel")
                raise

        waiting = env.event()
        task = env.spawn(library(), "library")
        await waiting.wait()
        task.cancel()
        with pytest.raises(Cancelled):
            await task.join()
        with pytest.raises(DeadlineExceeded):
            await env.timeout(MS, asyncio.sleep(60))
        return seen

    assert on_asyncio(main) == ["its own timeout", "its own cancel"]


def test_ctrl_c_cancels_main_and_is_raised_when_it_has_cleaned_up() -> None:
    import signal

    seen: list[str] = []

    async def main(env: Env) -> None:
        try:
            signal.raise_signal(signal.SIGINT)
            await env.sleep(LONG)
        except Cancelled:
            await env.sleep(MS)
            seen.append("clean")
            raise

    with pytest.raises(KeyboardInterrupt):
        on_asyncio(main)
    assert seen == ["clean"]
