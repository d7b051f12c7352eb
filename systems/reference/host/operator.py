"""Operator's commands to a node: status, metrics, hold-fsync here; all others go to the core."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dissensus.harness.errors import UserError
from dissensus.systems.reference.wire.frames import AdminReply, AdminRequest

if TYPE_CHECKING:
    from dissensus.systems.reference.host.links import Accepted
    from dissensus.systems.reference.host.node import NodeHost


class _Waiting:
    """The reply handle of a command that the core answers."""

    __slots__ = ("_id", "_source")

    def __init__(self, source: Accepted, id: int) -> None:
        self._source = source
        self._id = id

    def deliver(self, result: Any) -> None:
        self._source.deliver(AdminReply(self._id, True, json.dumps(result, default=repr)))


def operate(host: NodeHost, source: Accepted, request: AdminRequest) -> None:
    """Answer a command, or pass it to the core; errors go back as text."""
    try:
        args = json.loads(request.args or "{}")
        if not isinstance(args, dict):
            raise UserError(f"arguments of a command are an object, not {args!r:.100}")
        answer = _own(host, request.command, args)
        if answer is None:
            op = host.kit.admin_op(request.command, args)
            host.command(_Waiting(source, request.id), op)
            return
        reply = AdminReply(request.id, True, json.dumps(answer))
    except (ValueError, UserError) as error:
        reply = AdminReply(request.id, False, json.dumps(str(error)))
    source.deliver(reply)
    host.schedule()


def _own(host: NodeHost, command: str, args: Mapping[str, Any]) -> Any:
    """The host's own commands; None for those of the core."""
    if command == "status":
        return status(host)
    if command == "metrics":
        return metrics(host)
    if command == "hold-fsync":
        on = held(args)
        host.files.hold(on)
        return {"held": on}
    return None


def held(args: Mapping[str, Any]) -> bool:
    """The argument `on` of the command hold-fsync. Raises UserError."""
    on = args.get("on")
    if not isinstance(on, bool):
        raise UserError(f"hold-fsync takes on=true or on=false, not {on!r}")
    return on


def status(host: NodeHost) -> dict[str, Any]:
    """The core's status, and what only the host knows."""
    index, digest = host.latest
    ring = [list(pair) for pair in host.digests]
    if index and (not ring or ring[-1][0] != index):
        ring.append([index, digest])
    return {
        **host.core.status(),
        "incarnation": host.incarnation,
        "lamport": host.lamport,
        "digests": ring,
        "held": len(host.driver.outbox.held),
        "peers": {name: link.ready for name, link in sorted(host.links.items())},
    }


def metrics(host: NodeHost) -> str:
    """All counters in the Prometheus text format."""
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

    name = host.config.node

    class Collector:
        def collect(self) -> list[Metric]:
            counters = {
                **host.counters,
                **{f"store_{key}": value for key, value in host.store.counters.items()},
                "messages_dropped": sum(link.dropped for link in host.links.values()),
                "dials": sum(link.dials for link in host.links.values()),
            }
            found: list[Metric] = []
            for key, value in counters.items():
                family = CounterMetricFamily(f"dissensus_{key}", key, labels=["node"])
                family.add_metric([name], value)
                found.append(family)
            for key, value in host.core.status().items():
                if type(value) is int:
                    gauge = GaugeMetricFamily(f"dissensus_{key}", key, labels=["node"])
                    gauge.add_metric([name], value)
                    found.append(gauge)
            return found

    registry = CollectorRegistry()
    registry.register(Collector())
    return generate_latest(registry).decode()
