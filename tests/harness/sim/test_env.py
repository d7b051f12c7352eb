"""Tasks on the trampoline: time, cancellation, deadlines, results, foreign awaitables."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest

from dissensus.harness.env import Cancelled, DeadlineExceeded, Env
from dissensus.harness.errors import InternalError
from dissensus.harness.sim.env import ForeignAwait, SimEnv
from dissensus.harness.sim.kernel import Kernel

Main = Callable[[Env], Coroutine[Any, Any, Any]]


def run(main: Main) -> Any:
    env = SimEnv(Kernel(), seed=1)
    return env.run(main(env))


def test_sleep_moves_virtual_time_and_nothing_else() -> None:
    async def main(env: Env) -> list[int]:
        seen = [env.now()]
        await env.sleep(3_600 * 10**9)
        seen.append(env.now())
        await env.sleep(0)
        seen.append(env.now())
        return seen

    assert run(main) == [0, 3_600 * 10**9, 3_600 * 10**9]


def test_tasks_interleave_in_a_fixed_order() -> None:
    async def main(env: Env) -> list[str]:
        seen: list[str] = []

        async def one(name: str, pause: int) -> str:
            for _ in range(3):
                await env.sleep(pause)
                seen.append(f"{name}{env.now()}")
            return name

        tasks = [env.spawn(one("a", 20), "a"), env.spawn(one("b", 30), "b")]
        assert [await t.join() for t in tasks] == ["a", "b"]
        return seen

    assert run(main) == ["a20", "b30", "a40", "b60", "a60", "b90"]


def test_join_gives_the_exception_to_everybody_who_waits() -> None:
    async def main(env: Env) -> list[str]:
        async def bad() -> None:
            await env.sleep(5)
            raise ValueError("boom")

        async def wait() -> str:
            try:
                await task.join()
            except ValueError as error:
                return str(error)
            return "no error"

        task = env.spawn(bad(), "bad")
        waiters = [env.spawn(wait(), "w1"), env.spawn(wait(), "w2")]
        return [await w.join() for w in waiters]

    assert run(main) == ["boom", "boom"]


def test_an_exception_that_nobody_joins_fails_the_run() -> None:
    async def main(env: Env) -> None:
        async def bad() -> None:
            raise ValueError("boom")

        env.spawn(bad(), "lonely")
        await env.sleep(10)

    with pytest.raises(InternalError, match="'lonely' failed unseen") as caught:
        run(main)
    assert str(caught.value.__cause__) == "boom"


def test_cancel_raises_at_the_await_and_lets_clean_up_await() -> None:
    async def main(env: Env) -> list[Any]:
        seen: list[Any] = []

        async def worker() -> None:
            try:
                await env.sleep(1_000)
            finally:
                await env.sleep(10)
                seen.append(("clean", env.now()))

        task = env.spawn(worker(), "w")
        await env.sleep(100)
        task.cancel()
        assert not task.done()
        with pytest.raises(Cancelled):
            await task.join()
        seen.append(env.now())
        task.cancel()
        return seen

    assert run(main) == [("clean", 110), 110]


def test_a_task_cancelled_before_its_first_step_never_starts() -> None:
    async def main(env: Env) -> list[str]:
        seen: list[str] = []

        async def worker() -> None:
            seen.append("started")

        task = env.spawn(worker(), "w")
        task.cancel()
        await env.sleep(1)
        assert task.done()
        return seen

    assert run(main) == []


def test_a_task_that_cancels_itself_stops_at_its_next_await() -> None:
    async def main(env: Env) -> list[str]:
        seen: list[str] = []

        async def worker() -> None:
            tasks[0].cancel()
            seen.append("still running")
            await env.sleep(1)
            seen.append("never")

        tasks = [env.spawn(worker(), "w")]
        await env.sleep(5)
        return seen

    assert run(main) == ["still running"]


def test_timeout_cancels_and_says_so() -> None:
    async def main(env: Env) -> list[Any]:
        seen: list[Any] = []

        async def slow() -> None:
            try:
                await env.sleep(1_000)
            except Cancelled:
                seen.append("cancelled")
                raise

        async def quick() -> int:
            await env.sleep(10)
            return 7

        with pytest.raises(DeadlineExceeded):
            await env.timeout(100, slow())
        seen.append(env.now())
        seen.append(await env.timeout(100, quick()))
        seen.append(env.now())
        await env.sleep(1_000)
        return seen

    assert run(main) == ["cancelled", 100, 7, 110]


def test_the_outer_deadline_is_not_taken_for_the_inner_one() -> None:
    async def main(env: Env) -> int:
        async def inner() -> None:
            await env.timeout(1_000, env.sleep(5_000))

        with pytest.raises(DeadlineExceeded, match=r"not done within 0\.0001 ms"):
            await env.timeout(100, inner())
        return env.now()

    assert run(main) == 100


def test_cancelling_a_task_in_a_timeout_is_no_deadline() -> None:
    async def main(env: Env) -> str:
        async def worker() -> str:
            try:
                await env.timeout(1_000, env.sleep(5_000))
            except DeadlineExceeded:
                return "deadline"
            except Cancelled:
                return "cancelled"
            return "done"

        task = env.spawn(worker(), "w")
        await env.sleep(10)
        task.cancel()
        return await task.join()

    assert run(main) == "cancelled"


def test_events_wake_everybody_and_stay_set() -> None:
    async def main(env: Env) -> list[Any]:
        event = env.event()
        seen: list[Any] = []

        async def wait(name: str) -> None:
            await event.wait()
            seen.append((name, env.now()))

        tasks = [env.spawn(wait(n), n) for n in "ab"]
        await env.sleep(5)
        tasks[0].cancel()
        event.set()
        assert event.is_set()
        await env.sleep(5)
        await event.wait()
        return seen

    assert run(main) == [("b", 5)]


def test_queues_keep_order_bound_their_length_and_lose_nothing_to_a_cancelled_get() -> None:
    async def main(env: Env) -> list[Any]:
        queue = env.queue(2)
        seen: list[Any] = []

        async def get(name: str) -> None:
            seen.append((name, await queue.get()))

        first, second = env.spawn(get("first"), "first"), env.spawn(get("second"), "second")
        await env.sleep(1)
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


def test_random_streams_depend_on_seed_and_path_only() -> None:
    async def main(env: Env) -> list[int]:
        return [env.rand(path).bits64() for path in ("a", "b", "a")]

    a, b, again = run(main)
    assert a == again != b


def line_of(function: Callable[..., Any], text: str) -> str:
    lines, start = inspect.getsourcelines(function)
    return str(start + next(i for i, line in enumerate(lines) if text in line))


async def bare_asyncio(env: Env) -> None:
    await asyncio.sleep(0)


async def timed_asyncio(env: Env) -> None:
    try:
        await asyncio.sleep(1)
    except Exception:
        await env.sleep(10**12)


async def awaits_future(env: Env) -> None:
    loop = asyncio.new_event_loop()
    try:
        await loop.create_future()
    finally:
        loop.close()


@pytest.mark.parametrize("main", [bare_asyncio, timed_asyncio, awaits_future])
def test_what_does_not_come_from_env_is_an_error_with_file_and_line(main: Main) -> None:
    async def nested(env: Env) -> None:
        await env.spawn(main(env), "client").join()

    with pytest.raises(ForeignAwait) as caught:
        run(nested)
    text = "create_future" if main is awaits_future else "asyncio.sleep"
    assert f"{__file__}:{line_of(main, text)}" in str(caught.value)
    with pytest.raises(RuntimeError, match="no running event loop"):
        asyncio.get_running_loop()


def test_waiting_for_what_cannot_happen_is_an_error_that_says_where() -> None:
    async def main(env: Env) -> None:
        await env.event().wait()

    with pytest.raises(InternalError, match=r"main at .*test_env.py:\d+"):
        run(main)


def test_what_main_leaves_behind_is_cancelled() -> None:
    seen: list[Any] = []

    async def main(env: Env) -> str:
        async def for_ever() -> None:
            try:
                while True:
                    await env.sleep(10)
            finally:
                await env.sleep(5)
                seen.append(env.now())

        env.spawn(for_ever(), "poller")
        await env.sleep(25)
        return "done"

    assert run(main) == "done"
    assert seen == [30]


def test_a_task_that_refuses_to_end_is_named() -> None:
    async def main(env: Env) -> None:
        async def stubborn() -> None:
            while True:
                with suppress(Cancelled):
                    await env.sleep(10**9)

        env.spawn(stubborn(), "stubborn")
        await env.sleep(1)

    with pytest.raises(InternalError, match=r"stubborn at .*test_env\.py"):
        run(main)
