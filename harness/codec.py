"""A codec for systems that speak JSON, a message a line: the simplest way to write a client.

Systems with a protocol of their own bring a codec of their own (`harness.env.Codec`).
"""

from __future__ import annotations

from typing import Any

import msgspec

LINE_BYTES_MAX = 16 << 20
"""A line that is longer is no message but a peer that speaks something else."""


class JsonLines:
    """`harness.env.Codec` over newline-terminated JSON. One instance serves one connection."""

    def __init__(self) -> None:
        self._rest = b""

    def encode(self, msg: Any) -> bytes:
        """One message as a line."""
        return msgspec.json.encode(msg) + b"\n"

    def feed(self, data: bytes) -> list[Any]:
        """The messages that `data` completes. Raises ValueError where a line is no JSON."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LINE_BYTES_MAX:
            raise ValueError(f"a line of more than {LINE_BYTES_MAX} bytes")
        try:
            return [msgspec.json.decode(line) for line in lines]
        except msgspec.DecodeError as error:
            raise ValueError(f"not JSON: {error}") from None
