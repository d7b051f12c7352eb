"""Known bugs of Raft as subclasses of the core, by id."""

from __future__ import annotations

from typing import Dict, Type

from dissensus.systems.reference.raft.core import Raft

MUTANTS: Dict[str, Type[Raft]] = {}
"""Id -> core."""
