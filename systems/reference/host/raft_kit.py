"""Raft as a protocol that a node can run: options by name, mutants by id, operator's commands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dissensus.harness.errors import UserError, unknown_name
from dissensus.systems.reference.host.config import NodeConfig
from dissensus.systems.reference.host.kits import ProtocolKit
from dissensus.systems.reference.mutants.raft import MUTANTS
from dissensus.systems.reference.raft.core import Raft
from dissensus.systems.reference.raft.messages import MESSAGES
from dissensus.systems.reference.raft.options import DEFAULTS, MS, Options
from dissensus.systems.reference.wire.patches import LogFormat

HEARTBEATS_PER_ELECTION = 3
"""Fewer, and one lost heartbeat is an election."""

RANGES = {
    "election_ms": (10, 60_000),
    "heartbeat_ms": (1, 20_000),
    "max_entries": (1, 65_536),
    "max_inflight": (1, 1024),
    "max_pending": (1, 1_000_000),
    "snapshot_entries": (1, 1_000_000_000),
    "keep_entries": (0, 1_000_000_000),
    "chunk_bytes": (1, 8 << 20),
    "clock_drift_ppm": (0, 500_000),
    "session_ttl": (1, 1_000_000_000),
}
"""Option -> smallest and largest value."""
FLAGS = ("lease_reads", "single_server")

COMMANDS: dict[str, dict[str, Any]] = {
    "campaign": {},
    "transfer": {"node": None},
    "add": {"node": "", "learner": False},
    "promote": {"node": ""},
    "remove": {"node": ""},
    "config": {"voters": [], "learners": []},
    "snapshot": {},
}
"""Command -> its arguments with their defaults; "" stands for a name that must be given."""


def options_of(given: Mapping[str, Any]) -> Options:
    """The core's options from a configuration's. Raises UserError."""
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name in FLAGS:
            if not isinstance(value, bool):
                raise UserError(f"option {name} is true or false, not {value!r}")
            values[name] = value
            continue
        if name not in RANGES:
            raise unknown_name("option of raft", name, [*RANGES, *FLAGS])
        lo, hi = RANGES[name]
        if type(value) is not int or not lo <= value <= hi:
            raise UserError(f"option {name} is a whole number from {lo} to {hi}, not {value!r}")
        if name.endswith("_ms"):
            values[name.removesuffix("_ms") + "_ns"] = value * MS
        else:
            values[name] = value
    options = DEFAULTS._replace(**values)
    if options.heartbeat_ns * HEARTBEATS_PER_ELECTION > options.election_ns:
        raise UserError(
            f"heartbeat_ms must be at most a third of election_ms, not "
            f"{options.heartbeat_ns // MS} of {options.election_ns // MS}"
        )
    return options


def core_class(mutant: str | None) -> type[Raft]:
    """The core, or the mutant of this id. Raises UserError."""
    if mutant is None:
        return Raft
    if mutant not in MUTANTS:
        raise unknown_name("mutant of raft", mutant, MUTANTS)
    return MUTANTS[mutant].core


def make(config: NodeConfig) -> Raft:
    """The core of a node."""
    made = core_class(config.mutant)
    return made(config.node, config.first_members(), options_of(config.options))


def admin_op(command: str, args: Mapping[str, Any]) -> Any:
    """(command, arguments) as the core takes them. Raises UserError."""
    if command not in COMMANDS:
        raise unknown_name("command of raft", command, COMMANDS)
    known = COMMANDS[command]
    for name in args:
        if name not in known:
            raise unknown_name(f"argument of {command}", name, known)
    if command == "config" and not args:
        return (command, {})
    values = {**known, **args}
    for name, default in known.items():
        value = values[name]
        if isinstance(default, bool):
            fits = isinstance(value, bool)
        elif isinstance(default, list):
            fits = isinstance(value, list | tuple) and all(type(v) is str for v in value)
        else:
            fits = (value is None and default is None) or (type(value) is str and value != "")
        if not fits:
            raise UserError(f"{command}: {name} cannot be {value!r}")
    return (command, values)


KIT = ProtocolKit(name="raft", messages=MESSAGES, form=LogFormat, make=make, admin_op=admin_op)
