"""A system needs no more than `argv` and `client`: the defaults claim nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import pytest

from dissensus.harness.env import DeadlineExceeded, NotSent
from dissensus.harness.errors import EnvironmentFault, SystemFault, UserError
from dissensus.harness.system import Client, Failed, NodeSpec, System, Unsure, outcome_of


class Smallest(System):
    """The least that is a system."""

    name = "smallest"

    def argv(self, spec: NodeSpec) -> Sequence[str]:
        return ["true"]

    def client(self, workload: str) -> Client:
        return Client()


def node_at(port: int) -> NodeSpec:
    return NodeSpec(
        name="n1",
        listen={"client": ("127.0.0.1", port)},
        peers={},
        data_dir=Path("n1"),
        initial=("n1",),
    )


def test_the_defaults_claim_nothing() -> None:
    system: System = Smallest()
    assert system.capabilities == frozenset()
    assert dict(system.options()) == {}
    assert dict(system.environ(node_at(1))) == {}
    assert asyncio.run(system.info(None, node_at(1))) is None  # type: ignore[arg-type]
    with pytest.raises(EnvironmentFault, match="no simulated node"):
        system.sim_node(node_at(1))
    with pytest.raises(UserError, match="'campaign'"):
        asyncio.run(system.admin(None, node_at(1), "campaign", {}))  # type: ignore[arg-type]


def test_ready_is_a_connection_to_the_client_port() -> None:
    async def before_and_after() -> tuple[bool, bool]:
        server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        system = Smallest()
        up = await system.ready(None, node_at(port))  # type: ignore[arg-type]
        server.close()
        await server.wait_closed()
        return up, await system.ready(None, node_at(port))  # type: ignore[arg-type]

    assert asyncio.run(before_and_after()) == (True, False)


def test_a_system_without_argv_cannot_be_made() -> None:
    class Nothing(System):
        name = "nothing"

    with pytest.raises(TypeError, match="argv"):
        Nothing()  # type: ignore[abstract]


def test_errors_become_outcomes_by_the_clients_tables() -> None:
    client = Client()
    assert outcome_of(client, "write", Failed("mismatch")) == ("fail", "mismatch")
    assert outcome_of(client, "write", NotSent("refused")) == ("fail", "not-sent")
    assert outcome_of(client, "write", Unsure("busy")) == ("info", "busy")
    assert outcome_of(client, "write", DeadlineExceeded("late")) == ("info", "timeout")
    assert outcome_of(client, "write", ConnectionResetError()) == ("info", "ConnectionResetError")
    assert outcome_of(client, "read", Unsure("busy")) == ("fail", "busy")
    assert outcome_of(client, "read", DeadlineExceeded("late")) == ("fail", "timeout")


def test_a_client_adds_the_errors_of_its_library() -> None:
    class Theirs(Exception):
        pass

    class Refused(Theirs):
        pass

    class Adapter(Client):
        definite: ClassVar[Mapping[type[BaseException], str]] = {Refused: "refused"}
        indefinite: ClassVar[tuple[type[BaseException], ...]] = (*Client.indefinite, Theirs)

    assert outcome_of(Adapter(), "write", Refused()) == ("fail", "refused")
    assert outcome_of(Adapter(), "write", Theirs()) == ("info", "Theirs")
    assert outcome_of(Adapter(), "write", NotSent("?")) == ("info", "not-sent")


def test_an_error_that_no_table_names_is_a_bug_of_the_client() -> None:
    class Adapter(Client):
        def read(self) -> float:
            return 1 / 0

    try:
        Adapter().read()
    except ZeroDivisionError as error:
        bug = error
    with pytest.raises(
        SystemFault, match=r"Adapter.read raised ZeroDivisionError.*py:\d+"
    ) as raised:
        outcome_of(Adapter(), "read", bug)
    assert raised.value.__cause__ is bug
