"""The seam between the simulator and what it simulates: the simulator knows `SimNode` and nothing
else of a system.

A `System` that can run on `sim` hands out SimNodes (`System.sim_node`). The world calls the node's
methods one at a time; the node acts on the world through `SimHost`. Both are synchronous: virtual
time stands still meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from dissensus.harness.files import Files
from dissensus.harness.randomness import Rng


class SimHost(Protocol):
    """What the world offers to one node. All of it dies with the node's incarnation."""

    files: Files
    logs: bool
    """Somebody reads `log`; explorers do not."""

    def now_ns(self) -> int:
        """The node's own monotonic clock."""
        ...

    def rng(self, path: str) -> Rng: ...

    def send(self, dst: str, msg: Any) -> None:
        """Send to another node, over a link that may delay, drop, duplicate or reorder."""
        ...

    def reply(self, conn: int, msg: Any) -> None:
        """Send to the client behind `conn`; dropped when the connection is gone."""
        ...

    def set_timer(self, name: str, delay_ns: int) -> None:
        """Arm or re-arm; a replaced or cancelled timer is never delivered."""
        ...

    def cancel_timer(self, name: str) -> None: ...

    def report(self, fields: dict[str, Any]) -> None:
        """A `node` event for the history (role, term ...): only changes need be reported."""
        ...

    def applied(self, index: int, digest: int) -> None:
        """Tell the oracles that the node applied `index` and now has `digest`."""
        ...

    def log(self, text: str) -> None:
        """A line for the node's log."""
        ...

    def panic(self, reason: str) -> None:
        """The node stops itself: an invariant is broken. The run is INVALID by the checker no-
        panic.
        """
        ...


class SimNode(Protocol):
    """One node, through all its incarnations."""

    def start(self, host: SimHost, incarnation: int) -> None:
        """Boot: read the disk, take part."""
        ...

    def receive(self, src: str, msg: Any) -> None: ...

    def connected(self, conn: int, client_host: str) -> Any:
        """A client connected; returns the hello that the server speaks first.

        It is the first message that the client receives; None where the system has no hello.
        """
        ...

    def request(self, conn: int, msg: Any) -> None:
        """A message from the client behind `conn`."""
        ...

    def disconnected(self, conn: int) -> None: ...

    def admin(self, command: str, args: Mapping[str, Any], done: Callable[[Any], None]) -> None:
        """An operator's command, as `Node.admin` on real clusters; call `done(answer)` now or
        later, with a UserError for a command that is none. When the node dies first, the world
        answers the caller.
        """
        ...

    def timer(self, name: str) -> None: ...

    def synced(self, token: int) -> None:
        """The fsync or sync_dir with this token is durable."""
        ...

    def status(self) -> dict[str, Any]:
        """As `Node.status` on real clusters: role, term, leader, commit, applied, digest ..."""
        ...

    def crash(self) -> None:
        """The process is gone: forget everything volatile."""
        ...
