"""What the simulator's env has of its own: virtual time, a fixed order, foreign awaitables that are
errors. What it shares with other worlds is in `tests/harness/test_env.py`.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from dissensus.harness.env import Env
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
