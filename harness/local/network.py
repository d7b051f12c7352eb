"""`harness.cluster.Links` of cluster `local`: commands to the relay, and probes through it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from dissensus.harness.aio import foreign
from dissensus.harness.cluster import Pair, Reach, Shape
from dissensus.harness.errors import UserError, unknown_name
from dissensus.harness.local.control import RelayClient
from dissensus.harness.local.probes import BOUND_NS, probe


class LocalLinks:
    """The links of one run. Raises UserError for hosts that there are not."""

    def __init__(
        self,
        relay: Callable[[], RelayClient],
        hosts: Callable[[], Iterable[str]],
        kinds: Callable[[], Mapping[str, int]],
        probe_ip: Callable[[], str],
    ) -> None:
        self._relay = relay
        self._hosts = hosts
        self._kinds = kinds
        self._probe_ip = probe_ip
        self._shapes: dict[int, list[Shape]] = {}

    async def cut(self, fault: int, pairs: Iterable[Pair]) -> None:
        await self._call("cut", fault=fault, pairs=self._known(pairs))

    async def shape(self, fault: int, shapes: Mapping[Pair, Shape]) -> None:
        for shape in shapes.values():
            check_shape(shape)
        self._shapes[fault] = list(shapes.values())
        known = [(*pair, msgspec.to_builtins(shapes[pair])) for pair in self._known(shapes)]
        await self._call("shape", fault=fault, shapes=known)

    async def hold(self, fault: int, pair: Pair, kind: str) -> None:
        """`kind`: a name of `System.frame_kinds`. Raises UserError for others."""
        kinds = self._kinds()
        if not kinds:
            raise UserError(
                "this system names no kinds of frames (System.frame_kinds): none can be held"
            )
        if kind not in kinds:
            raise unknown_name("kind of frame", kind, kinds)
        [(src, dst)] = self._known([pair])
        await self._call("hold", fault=fault, src=src, dst=dst, kind=kinds[kind])

    async def heal(self, fault: int) -> None:
        self._shapes.pop(fault, None)
        await self._call("heal", fault=fault)

    async def faults(self) -> list[int]:
        found: list[int] = await self._call("faults")
        return found

    async def probe(self, pairs: Iterable[Pair]) -> list[Reach]:
        """Ping each direction, all at once. `rtt_ns` is the time that the ping took there; one that
        a cut stops costs the bound of a second.
        """
        known = self._known(pairs)
        slowest = sum(
            max((shape.delay_ns + shape.jitter_ns for shape in shapes), default=0)
            for shapes in self._shapes.values()
        )
        return await foreign(probe(self._relay(), self._probe_ip(), known, BOUND_NS + slowest))

    def _known(self, pairs: Iterable[Pair]) -> list[Pair]:
        found = list(pairs)
        hosts = set(self._hosts())
        for name in {name for pair in found for name in pair}:
            if name not in hosts:
                raise unknown_name("host", name, hosts)
        return found

    async def _call(self, do: str, **arguments: Any) -> Any:
        return await foreign(self._relay().call(do, **arguments))


def check_shape(shape: Shape) -> None:
    """Raises UserError for a shape that makes no sense."""
    for name in ("delay_ns", "jitter_ns", "loss_ppm", "rate_bps"):
        if getattr(shape, name) < 0:
            raise UserError(f"{name} of a shape is {getattr(shape, name)}: wants 0 or more")
    if shape.loss_ppm > 1_000_000:
        raise UserError(f"loss_ppm of a shape is {shape.loss_ppm}: wants 0 to 1000000")
