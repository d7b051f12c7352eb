"""The bundled Raft as a system: its configuration, its status, its commands, on real processes."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dissensus.harness.errors import SystemFault, UserError
from dissensus.harness.registry import load_system
from dissensus.harness.system import NodeSpec
from dissensus.systems.reference.core.client_messages import ClientReply, ClientRequest
from dissensus.systems.reference.host.config import load
from dissensus.systems.reference.host.raft_kit import COMMANDS, FLAGS, RANGES
from dissensus.systems.reference.raft.options import DEFAULTS, MS
from dissensus.systems.reference.system import RaftSystem
from dissensus.systems.reference.wire.frames import ClientHello, client_codec

WAIT_S = 20
NAMES = ("n1", "n2", "n3")
LATE = "n4"


def specs_in(folder: Path) -> dict[str, NodeSpec]:
    """Three first members, and n4, which joins later: the others do not know it."""
    sockets = [socket.socket() for _ in (*NAMES, LATE)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    addresses = [one.getsockname()[:2] for one in sockets]
    for one in sockets:
        one.close()
    peers = {n: {"client": a} for n, a in zip((*NAMES, LATE), addresses, strict=True)}
    first = {name: peers[name] for name in NAMES}
    return {
        name: NodeSpec(
            name=name,
            listen=peers[name],
            peers=peers if name == LATE else first,
            data_dir=folder / name,
            initial=NAMES,
            join=name == LATE,
        )
        for name in peers
    }


def test_options_are_checked_when_the_system_is_made() -> None:
    assert dict(RaftSystem(election_ms=100, heartbeat_ms=20).options()) == {
        "election_ms": 100,
        "heartbeat_ms": 20,
    }
    for options, said in (
        ({"election_sm": 1}, "did you mean 'election_ms'"),
        ({"election_ms": 5}, "from 10 to 60000, not 5"),
        ({"election_ms": 100, "heartbeat_ms": 50}, "at most a third"),
        ({"lease_reads": 1}, "true or false"),
        ({"mutant": "R99"}, "unknown mutant of raft 'R99'"),
    ):
        with pytest.raises(UserError, match=said):
            RaftSystem(**options)  # type: ignore[arg-type]
    assert load_system("raft", {"max_entries": 7}).name == "raft"


def test_the_page_lists_every_option_with_its_default_and_every_command(root: Path) -> None:
    page = (root / "docs" / "raft.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", page, re.M))
    for option in (*RANGES, *FLAGS):
        default = getattr(DEFAULTS, option.replace("_ms", "_ns"))
        value = default // MS if option.endswith("_ms") else default
        assert rows.pop(option) == json.dumps(value)
    assert rows.keys() == COMMANDS.keys()


def test_a_node_is_told_all_it_needs(tmp_path: Path) -> None:
    spec = specs_in(tmp_path)["n2"]
    system = RaftSystem(max_entries=9)
    system.prepare(spec)
    argv = system.argv(spec)
    config = load(Path(argv[-1]))
    assert config.node == "n2"
    assert config.first_members() == NAMES
    assert config.options == {"max_entries": 9}
    assert tuple(config.listen) == tuple(spec.listen["client"])
    others = specs_in(tmp_path / "another run")["n2"]
    assert system.node_config(others).run_token != config.run_token
    assert system.node_config(specs_in(tmp_path)["n3"]).run_token == config.run_token


def test_a_node_that_is_not_there(tmp_path: Path) -> None:
    spec = specs_in(tmp_path)["n1"]
    system: Any = RaftSystem()
    assert asyncio.run(system.info(None, spec)) is None
    assert asyncio.run(system.ready(None, spec)) is False
    with pytest.raises(SystemFault, match="n1 does not answer 'campaign'"):
        asyncio.run(system.admin(None, spec, "campaign", {}))


class Processes:
    """Three real nodes."""

    def __init__(self, folder: Path) -> None:
        self.system: Any = RaftSystem()
        self.specs = specs_in(folder)
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        for name in NAMES:
            self.start(name)

    def start(self, name: str) -> None:
        self.system.prepare(self.specs[name])
        argv = self.system.argv(self.specs[name])
        self.running[name] = subprocess.Popen(argv, stderr=subprocess.DEVNULL)

    def kill(self, name: str) -> None:
        self.running[name].kill()
        self.running[name].wait()

    async def up(self, *names: str) -> None:
        """Wait until they answer."""
        for name in names:
            await until(lambda name=name: self.system.info(None, self.specs[name]))

    async def leader(self, among: tuple[str, ...] = NAMES) -> str:
        async def found() -> str | None:
            for name in among:
                info = await self.system.info(None, self.specs[name])
                if info is not None and info.role == "leader":
                    return name
            return None

        return await until(found)  # type: ignore[no-any-return]

    async def ask(self, name: str, *op: Any) -> ClientReply:
        reader, writer = await asyncio.open_connection(*self.specs[name].listen["client"])
        codec = client_codec()
        for msg in (ClientHello("test"), ClientRequest(0, 1, 0, op)):
            writer.write(codec.encode(msg))
        try:
            while True:
                for msg in codec.feed(await asyncio.wait_for(reader.read(9999), WAIT_S)):
                    if type(msg) is ClientReply:
                        return msg
        finally:
            writer.close()


async def until(found: Callable[[], Awaitable[Any]]) -> Any:
    """What `found` gives once that is something."""
    async with asyncio.timeout(WAIT_S):
        while (value := await found()) is None:  # noqa: ASYNC110 (another process changes)
            await asyncio.sleep(0.02)
    return value


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Processes]:
    made = Processes(tmp_path)
    try:
        yield made
    finally:
        for process in made.running.values():
            process.terminate()
        codes = [process.wait(WAIT_S) for process in made.running.values()]
    assert set(codes) <= {0, -15, -9}, codes  # -9: the test did that


@pytest.mark.cluster
def test_three_processes_elect_replicate_answer_and_recover(nodes: Processes) -> None:
    async def story() -> None:
        await nodes.up(*NAMES)
        first = await nodes.leader()
        assert (await nodes.ask(first, "put", "k", 7)).ok
        for name in NAMES:
            assert (await nodes.ask(name, "get", "k")).result == 7
        nodes.kill(first)
        rest = tuple(name for name in NAMES if name != first)
        second = await nodes.leader(rest)
        assert (await nodes.ask(second, "put", "k", 8)).ok
        nodes.start(first)

        async def answers() -> bool | None:
            try:
                reply = await nodes.ask(first, "get", "k")
            except OSError:
                return None
            return True if reply.ok and reply.result == 8 else None

        assert await until(answers)
        admin = nodes.system.admin
        handed = await admin(None, nodes.specs[second], "transfer", {"node": first})
        assert handed == {"ok": True, "to": first}
        assert await nodes.leader((first,)) == first
        config = await admin(None, nodes.specs[first], "config", {})
        assert config["config"]["voters"] == list(NAMES)
        with pytest.raises(UserError, match="unknown command of raft 'dance'"):
            await admin(None, nodes.specs[first], "dance", {})
        info = await nodes.system.info(None, nodes.specs[first])
        assert info.commit >= 4
        json.dumps(info.extra)

    asyncio.run(story())


@pytest.mark.cluster
def test_a_new_process_joins_and_an_old_one_leaves(nodes: Processes) -> None:
    async def story() -> None:
        admin = nodes.system.admin
        await nodes.up(*NAMES)
        first = await nodes.leader()
        spec = nodes.specs[first]
        assert (await nodes.ask(first, "put", "k", 7)).ok
        nodes.start(LATE)
        await nodes.up(LATE)
        added = await admin(None, spec, "add", {"node": LATE, "learner": True})
        assert added["config"]["learners"] == [LATE]

        async def promoted() -> bool | None:
            answer = await admin(None, spec, "promote", {"node": LATE})
            assert answer["ok"] or "lags behind" in answer["error"], answer
            return True if answer["ok"] else None

        assert await until(promoted)
        assert (await nodes.ask(LATE, "get", "k")).result == 7
        removed = await admin(None, spec, "remove", {"node": first})
        assert first not in removed["config"]["voters"]
        nodes.kill(first)
        rest = tuple(name for name in (*NAMES, LATE) if name != first)
        second = await nodes.leader(rest)
        assert (await nodes.ask(second, "put", "k", 8)).ok
        assert (await nodes.ask(LATE, "get", "k")).result == 8

    asyncio.run(story())
