"""A child process of a run: in a session of its own, with the run's token, its output in a file."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from dissensus.harness.errors import EnvironmentFault, SystemFault
from dissensus.harness.local import processes
from dissensus.harness.local.processes import NODE_VARIABLE, TOKEN_VARIABLE

EXIT_POLL_S = 0.05
"""How often a child is looked at where the kernel has no pidfd."""


class Child:
    """One process, from its start to its end."""

    def __init__(
        self, process: subprocess.Popen[bytes], token: str, node: str, ended: Callable[[], object]
    ) -> None:
        self._process = process
        self._token = token
        self._node = node
        self._ended = ended
        self._watched: tuple[asyncio.AbstractEventLoop, int] | None = None
        """A pidfd that a loop watches."""
        self.asked = False
        """Its end was asked for."""

    @classmethod
    def start(
        cls,
        argv: Sequence[str],
        *,
        log: Path,
        ended: Callable[[], object],
        token: str,
        node: str = "",
        environ: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        fds: Sequence[int] = (),
    ) -> Child:
        """Start it. `ended` is called when it ends while a loop watches. Raises SystemFault when
        the program cannot be run.
        """
        environment = {**os.environ, **(environ or {}), TOKEN_VARIABLE: token, NODE_VARIABLE: node}
        try:
            output = log.open("ab")
        except OSError as error:
            raise EnvironmentFault(f"{log}: {error.strerror}") from error
        with output:
            try:
                process = subprocess.Popen(
                    [program_of(argv), *argv[1:]],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    cwd=cwd,
                    pass_fds=fds,
                    start_new_session=True,
                )
            except OSError as error:
                raise SystemFault(f"cannot run {argv[0]!r}: {error.strerror}") from error
        return cls(process, token, node, ended)

    @property
    def pid(self) -> int:
        return self._process.pid

    def exit_code(self) -> int | None:
        """The exit code, or the negative number of a signal; None while it runs."""
        return self._process.poll()

    def state(self) -> str:
        """ "up", "paused" or "down"."""
        return processes.DOWN if self.exit_code() is not None else processes.state_of(self.pid)

    def watch(self) -> None:
        """Call `ended` in this loop as soon as it is gone; nothing when it is gone already."""
        loop = asyncio.get_running_loop()
        if self._watched is not None or self.exit_code() is not None:
            return
        if not hasattr(os, "pidfd_open"):
            self._poll(loop)
            return
        fd = os.pidfd_open(self.pid)

        def gone() -> None:
            self.unwatch()
            self._process.wait()
            self._ended()

        loop.add_reader(fd, gone)
        self._watched = loop, fd

    def unwatch(self) -> None:
        """Call nobody; no error when nothing is watched."""
        watched, self._watched = self._watched, None
        if watched is not None:
            loop, fd = watched
            loop.remove_reader(fd)
            os.close(fd)

    def _poll(self, loop: asyncio.AbstractEventLoop) -> None:
        if self.exit_code() is None:
            loop.call_later(EXIT_POLL_S, self._poll, loop)
        else:
            self._ended()

    def signal(self, number: int) -> None:
        """To its whole process group; nothing happens when that is gone."""
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            return

    def release(self) -> None:
        """Let it live on when this process ends."""
        if self.exit_code() is None:
            # Popen warns of a child that outlives it, unless it believes that there is none.
            self._process.returncode = 0

    def reap(self) -> bool:
        """Take the exit code of a child that was killed; False when it does not end."""
        try:
            self._process.wait(processes.GONE_S_MAX)
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> list[str]:
        """SIGKILL it, its group, and what left the group but carries its token and node.

        Waits until all are gone; returns what stays.
        """
        self.asked = True
        self.signal(signal.SIGKILL)
        left = [] if self.reap() else [self.pid]
        mine = [who for who in processes.with_token(self._token) if who.node == self._node]
        left += [who.pid for who in processes.end(mine) if who.pid not in left]
        return [f"process {pid} of {self._node or 'the run'} does not end" for pid in left]


def program_of(argv: Sequence[str]) -> str:
    """The program to run. A relative path is one of this process, not of the child's folder."""
    program = argv[0]
    return os.path.abspath(program) if os.sep in program else program
