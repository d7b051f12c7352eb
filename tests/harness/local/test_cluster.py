"""Cluster `local` with real processes: start, connect through the relay, end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.cluster

Make = Callable[..., Any]


def test_nodes_start_meet_and_answer_clients(aviary: Make) -> None:
    async def story(a: Any) -> None:
        talks = await a.meet()
        assert await talks["n2"].say("echo", 1, "x") == [1, "x"]
        assert await talks["n1"].say("tell", "n3", 3, ["hello"])
        while not (heard := await talks["n3"].say("heard", "n1")):
            await a.cluster.env.sleep(1_000_000)
        assert heard == [[3, "hello"]]

    aviary().run(story)
