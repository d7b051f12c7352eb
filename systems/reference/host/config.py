"""The configuration file of one node: JSON or TOML, checked field by field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from dissensus.harness.errors import UserError

Address = tuple[str, int]


class NodeConfig(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What one node process must know. Addresses are (host, port)."""

    node: str
    protocol: str = "raft"
    members: dict[str, Address]
    """Where each node is reached, this one included: on a run's cluster the relay's addresses."""
    listen: Address
    """Where this node itself listens, for peers, clients and operators alike."""
    data_dir: str
    initial: tuple[str, ...] = ()
    """The members that the cluster begins with; () stands for all of `members`."""
    join: bool = False
    """This node is added later: it starts without a configuration and waits to be taken in."""
    seed: int = 0
    mutant: str | None = None
    options: dict[str, Any] = {}
    """Options of the protocol core, by name."""
    log_decided: bool = False
    """Write a DECIDED line to the log for every entry that is applied (`harness/decided.py`)."""
    run_token: str = ""
    """Nodes and operators with another token are refused; "" on both sides is a token too."""

    def first_members(self) -> tuple[str, ...]:
        """The cluster's first members, sorted; none for a node that joins later."""
        return () if self.join else tuple(sorted(self.initial or self.members))


def load(path: Path) -> NodeConfig:
    """Read a configuration. Raises UserError with the file and what is wrong in it."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    decode = msgspec.toml.decode if path.suffix == ".toml" else msgspec.json.decode
    try:
        config = decode(content, type=NodeConfig)
    except (msgspec.DecodeError, ValueError) as error:
        raise UserError(f"{path}: {error}") from error
    if config.node not in config.members:
        known = ", ".join(sorted(config.members))
        raise UserError(f"{path}: `members` has no entry for {config.node!r} (it has: {known})")
    unknown = sorted(set(config.initial) - set(config.members))
    if unknown:
        raise UserError(f"{path}: `initial` names {unknown[0]!r}, which `members` does not")
    return config
