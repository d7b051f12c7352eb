"""Protocols that a node can run, by name: messages, durable format, core, operator's commands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from dissensus.harness.errors import unknown_name
from dissensus.systems.reference.core.protocol import Protocol as Core
from dissensus.systems.reference.host.config import NodeConfig
from dissensus.systems.reference.store.log import Format


@dataclass(frozen=True, kw_only=True)
class ProtocolKit:
    """All that a host needs to know of a protocol."""

    name: str
    messages: tuple[type, ...]
    form: Callable[[], Format]
    make: Callable[[NodeConfig], Core]
    """A new core. Raises UserError for options that it does not know."""
    admin_op: Callable[[str, Mapping[str, Any]], Any]
    """(command, arguments) -> the `op` of an `Admin` event. Raises UserError."""


KITS = {"raft": "dissensus.systems.reference.host.raft_kit:KIT"}
"""Name -> where its kit lies. A new protocol is one module and one line."""


def kit(name: str) -> ProtocolKit:
    """The kit called `name`. Raises UserError."""
    place = KITS.get(name)
    if place is None:
        raise unknown_name("protocol", name, KITS)
    module, _, attribute = place.partition(":")
    found = getattr(import_module(module), attribute)
    assert isinstance(found, ProtocolKit)
    return found
