"""The `Format` of log-replicating protocols: patches of `core.durable` as bytes for the store."""

from __future__ import annotations

from typing import Any

from dissensus.systems.reference.core.durable import Append, Durable, Hard, Snapshot
from dissensus.systems.reference.store.records import KIND_PATCH
from dissensus.systems.reference.wire.schema import Schema

STATEMENT_ENTRIES = 4096  # entries a record when a base restates the log: some 200 kB


class LogFormat:
    """See `store.log.Format`."""

    def __init__(self) -> None:
        schema = Schema((Hard, Append, Snapshot))
        self._encoders = {
            cls: (kind + KIND_PATCH, encode) for cls, (kind, encode) in schema.encoders.items()
        }
        self._decoders = {kind + KIND_PATCH: d for kind, d in schema.decoders.items()}

    def empty(self) -> Durable:
        return Durable()

    def apply(self, durable: Durable, patch: Any) -> Durable:
        return durable.apply(patch)

    def copy(self, durable: Durable) -> Durable:
        return durable.clone()

    def encode(self, patch: Any) -> tuple[int, bytes]:
        kind, encode = self._encoders[type(patch)]
        return kind, encode(patch)

    def decode(self, kind: int, body: bytes) -> Any:
        decode = self._decoders.get(kind)
        if decode is None:
            raise ValueError(f"no patch has the kind {kind}")
        return decode(body)

    def is_snapshot(self, patch: Any) -> bool:
        return type(patch) is Snapshot

    def statement(self, durable: Durable) -> list[Any]:
        patches: list[Any] = [Hard(durable.term, durable.voted_for)]
        for at in range(0, len(durable.entries), STATEMENT_ENTRIES):
            entries = durable.entries[at : at + STATEMENT_ENTRIES]
            patches.append(Append(durable.first + at, entries))
        return patches
