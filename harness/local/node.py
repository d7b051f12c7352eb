"""`harness.cluster.Node` of cluster `local`: a process of this machine."""

from __future__ import annotations

import asyncio
import shutil
import signal
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from dissensus.harness import synced
from dissensus.harness.aio import foreign
from dissensus.harness.cluster import NodeInfo
from dissensus.harness.env import DeadlineExceeded, Env
from dissensus.harness.errors import EnvironmentFault, SystemFault, UserError
from dissensus.harness.local.addresses import is_free
from dissensus.harness.local.children import Child
from dissensus.harness.local.processes import DOWN, PAUSED, UP
from dissensus.harness.monitor import exit_text, last_lines
from dissensus.harness.system import NodeSpec, System

READY_NS_MAX = 30_000_000_000
"""A node that recovers a large log takes seconds; one that takes longer does not come up."""
READY_POLL_NS = 20_000_000
ASK_NS_MAX = 2_000_000_000
"""One question to a node: a process that hangs must not hang the harness."""
STOPPED_POLL_S = 0.001
STOPPED_POLLS_MAX = 2000
"""The kernel stops a process when it next leaves a system call: milliseconds."""
LOG = "node.log"


class LocalNode:
    """One node: its process, when one runs, and its folder."""

    def __init__(
        self,
        spec: NodeSpec,
        system: System,
        env: Env,
        *,
        token: str,
        announce: Callable[[str, int], Awaitable[object]],
        ended: Callable[[LocalNode, list[str]], object],
    ) -> None:
        """`announce(node, pid)` tells the relay; `ended(node, last lines)` hears of an end that
        nobody asked for.
        """
        self.name = spec.name
        self.spec = spec
        self.data_dir: Path | None = spec.data_dir
        self._system = system
        self._env = env
        self._token = token
        self._announce = announce
        self._ended = ended
        self.child: Child | None = None
        self._prepared = False
        self._wiped = False
        self._log = spec.data_dir / LOG

    @property
    def pid(self) -> int | None:
        """Of its process, None while none runs."""
        return None if self.child is None or self.child.state() == DOWN else self.child.pid

    async def start(self) -> None:
        """Raises UserError when it runs already, EnvironmentFault when its address is in use,
        SystemFault, with the log's last lines, when it does not become ready.
        """
        await foreign(self._start())

    async def kill(self) -> None:
        """SIGKILL of the whole group, and wait until it is gone; no error when it is down."""
        if self.child is not None:
            await foreign(self._end(self.child))

    async def pause(self) -> None:
        """Raises UserError when it is not up."""
        await foreign(self._stop(UP, signal.SIGSTOP, PAUSED, "a node that is up can be paused"))

    async def resume(self) -> None:
        """Raises UserError when it is not paused."""
        await foreign(self._stop(PAUSED, signal.SIGCONT, UP, "a paused node can be resumed"))

    async def lose_unsynced(self) -> dict[str, int]:
        """Raises UserError when it is not down, SystemFault when the system keeps no list."""
        self._must_be_down("loses data")
        return synced.lose_unsynced(self.spec.data_dir)

    async def unsynced(self) -> dict[str, int]:
        self._must_be_down("can be compared with its list")
        differs = synced.verify_lost(self.spec.data_dir)
        return {name: abs(max(a, 0) - max(b, 0)) for name, (a, b) in differs.items()}

    async def wipe(self) -> None:
        """Its log stays."""
        self._must_be_down("can be wiped")
        self._wiped = True
        for path in self.spec.data_dir.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path != self._log:
                path.unlink()

    async def state(self) -> str:
        return DOWN if self.child is None else self.child.state()

    def exit_code(self) -> int | None:
        return None if self.child is None else self.child.exit_code()

    async def info(self) -> NodeInfo | None:
        if await self.state() != UP:
            return None
        try:
            return await self._env.timeout(ASK_NS_MAX, self._system.info(self._env, self.spec))
        except DeadlineExceeded:
            return None

    async def admin(self, command: str, args: Mapping[str, Any]) -> Any:
        """Raises SystemFault when the node is down."""
        if await self.state() == DOWN:
            raise SystemFault(f"{self.name} is down: it takes no command {command!r}")
        return await self._system.admin(self._env, self.spec, command, args)

    def logs(self) -> Iterable[Path]:
        return [self._log] if self._log.exists() else []

    # -- how ------------------------------------------------------------------------------------

    def _must_be_down(self, what: str) -> None:
        state = DOWN if self.child is None else self.child.state()
        if state != DOWN:
            raise UserError(f"{self.name} is {state}: only a dead node {what}")

    async def _start(self) -> None:
        state = await self.state()
        if state != DOWN:
            raise UserError(f"{self.name} is {state}: only a node that is down can be started")
        if self._wiped:
            raise UserError(f"{self.name} was wiped: a blank node comes back under a new name")
        for address in self.spec.listen.values():
            if not is_free(address):
                raise EnvironmentFault(
                    f"{self.name} cannot be started: {address[0]}:{address[1]} is in use"
                )
        if not self._prepared:
            self.spec.data_dir.mkdir(parents=True, exist_ok=True)
            self._system.prepare(self.spec)
            self._prepared = True
        child = self.child = Child.start(
            self._system.argv(self.spec),
            log=self._log,
            ended=self._gone,
            token=self._token,
            node=self.name,
            environ=self._system.environ(self.spec),
            cwd=self.spec.data_dir,
        )
        try:
            await self._announce(self.name, child.pid)
            child.watch()
            await self._wait_until_ready(child)
        except BaseException:
            child.kill()
            raise

    async def _wait_until_ready(self, child: Child) -> None:
        try:
            if await self._env.timeout(READY_NS_MAX, self._poll(child)):
                return
        except DeadlineExceeded:
            raise SystemFault(
                f"{self.name} was not ready after {READY_NS_MAX / 1e9:g} s{self._last_words()}"
            ) from None
        child.asked = True  # it is told by the exception
        code = child.exit_code()
        assert code is not None
        raise SystemFault(
            f"{self.name} ended with {exit_text(code)} before it was ready{self._last_words()}"
        )

    async def _poll(self, child: Child) -> bool:
        """Wait until it is ready; False when it ends first."""
        while child.exit_code() is None:
            if await self._is_ready():
                return True
            await self._env.sleep(READY_POLL_NS)
        return False

    async def _is_ready(self) -> bool:
        try:
            return await self._env.timeout(ASK_NS_MAX, self._system.ready(self._env, self.spec))
        except DeadlineExceeded:
            return False

    async def _end(self, child: Child) -> None:
        left = await asyncio.to_thread(child.kill)
        if left:
            raise EnvironmentFault("; ".join(left))

    async def _stop(self, wanted: str, number: int, reached: str, rule: str) -> None:
        state = await self.state()
        if state != wanted or self.child is None:
            raise UserError(f"{self.name} is {state}: only {rule}")
        self.child.signal(number)
        for _ in range(STOPPED_POLLS_MAX):
            if self.child.state() in (reached, DOWN):
                return
            await asyncio.sleep(STOPPED_POLL_S)
        raise EnvironmentFault(
            f"{self.name} is not {reached} {STOPPED_POLLS_MAX} ms after signal {number}"
        )

    def _gone(self) -> None:
        if self.child is not None and not self.child.asked:
            self._ended(self, last_lines(self.logs()))

    def _last_words(self) -> str:
        lines = last_lines(self.logs())
        if not lines:
            return f"; {self._log} is empty"
        return f"; the end of {self._log}:\n" + "\n".join(f"    {line}" for line in lines)
