"""Blocks of addresses: apart for every run, below the ephemeral range, named when they are busy."""

from __future__ import annotations

from pathlib import Path

import pytest

from dissensus.harness.errors import EnvironmentFault, UserError
from dissensus.harness.local import addresses
from dissensus.harness.local.addresses import (
    CLIENT,
    NODE,
    AnyBlock,
    Block,
    PortBlock,
    candidates,
    claim,
    listener,
)

TOKEN = "5" * 32


def everything(block: AnyBlock, nodes: int, clients: int) -> list[tuple[str, int]]:
    """Each address on which somebody listens."""
    found = [block.control]
    for node in range(1, nodes + 1):
        for port in range(block.ports):
            found.append(block.own(node, port))
            found += [address for address, _ in block.doors(node, port)]
    return found


@pytest.mark.parametrize(
    "block", [Block(a=9, b=8, ports=2), PortBlock(base=20_000, ports=2)], ids=["linux", "ports"]
)
def test_no_address_serves_two_ends(block: AnyBlock) -> None:
    used = everything(block, 5, 5)
    assert len(set(used)) == len(used)
    assert all(block.holds(address) for address in used)
    for viewer in ((NODE, 1), (NODE, 5), (CLIENT, 1), (CLIENT, 5)):
        address = block.reached(viewer, 3, 1)
        told = {door: who for door, who in block.doors(3, 1)}[address]
        # Either the door tells who calls, or the caller's address does, or its process.
        assert told == viewer or isinstance(block, Block)
    assert not block.holds(("127.9.12.1", 19_999))


def test_a_caller_is_known_by_its_address() -> None:
    block = Block(a=9, b=8, ports=1)
    assert block.caller(block.source((CLIENT, 3))) == (CLIENT, 3)
    assert block.caller(block.own(2, 0)[0]) == (NODE, 2)
    assert block.caller("127.0.0.1") is None
    assert block.caller("127.9.12.1") is None
    assert str(block) == "127.9.8.0/22"
    with pytest.raises(UserError, match="host number 255 of a run is out of range: 1 to 254"):
        block.own(255, 0)


def test_runs_try_different_blocks_and_ports_stay_below_the_ephemeral_range(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first = [next(iter(candidates(f"{i:032x}", 1))) for i in range(50)]
    assert len(set(first)) > 45
    monkeypatch.setattr(addresses, "EPHEMERAL", tmp_path / "range")
    (tmp_path / "range").write_text("1024\t65535\n", encoding="ascii")
    with pytest.raises(EnvironmentFault, match="begins at 1024: any connection may take the ports"):
        next(iter(candidates(TOKEN, 1)))


def test_elsewhere_runs_are_told_apart_by_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses.sys, "platform", "darwin")
    blocks = list(candidates(TOKEN, 2))
    assert len(blocks) > 4
    assert all(isinstance(block, PortBlock) for block in blocks)
    ends = {address for block in blocks for address in everything(block, 32, 32)}
    assert len(ends) == len(blocks) * len(everything(blocks[0], 32, 32))
    assert max(port for _, port in ends) < addresses.ephemeral_low()


def test_a_program_that_listens_everywhere_takes_a_port_and_not_the_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = addresses.try_listen
    taken = addresses.PORT_BASES[0] + 1
    monkeypatch.setattr(addresses, "try_listen", lambda at: None if at[1] == taken else real(at))
    blocks = list(candidates(TOKEN, 1))
    bases = list(dict.fromkeys(block.base for block in blocks if isinstance(block, Block)))
    assert bases == list(addresses.PORT_BASES)
    block, control = claim(blocks, 3)
    with control:
        assert block.control[1] == bases[1]


def test_a_busy_block_is_passed_over_and_the_last_one_is_named() -> None:
    blocks = list(candidates(TOKEN, 1))[:2]
    with listener(blocks[0].own(2, 0)):
        block, control = claim(blocks, 3)
        assert block == blocks[1]
        with control, pytest.raises(EnvironmentFault, match=rf"{block.control[0]}:7400 in use"):
            claim(blocks, 3)
        block, control = claim(blocks, 1)
        with control:
            assert block == blocks[0]
