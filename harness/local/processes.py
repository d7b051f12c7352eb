"""Processes of a run: who they are, in which state, and how to end them without hitting a stranger.

A pid alone names nobody: it is used again. So a process is known by (run token, pid, start time,
boot), the token stands in the environment of everything that the run starts, and a signal goes
through a pidfd that was opened before the identity was compared.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from dissensus.harness.local import ps

TOKEN_VARIABLE = "DISSENSUS_RUN_TOKEN"
NODE_VARIABLE = "DISSENSUS_NODE"
"""In the environment of every process of a run: its token, and the node that it belongs to."""

GONE_S_MAX = 5.0
"""The kernel takes milliseconds to end a process; one in a hung system call takes for ever."""
GONE_POLL_S = 0.002

PROC = Path("/proc")
BOOT_ID = PROC / "sys/kernel/random/boot_id"

UP, PAUSED, DOWN = "up", "paused", "down"


class Identity(msgspec.Struct, kw_only=True, frozen=True):
    """One process, for good."""

    token: str
    pid: int
    start: int
    """Ticks between the boot and its start."""
    boot: str
    node: str = ""
    """The node that it belongs to, "" for the relay and the harness."""


def boot_id() -> str:
    """What changes when the machine is restarted."""
    return BOOT_ID.read_text(encoding="ascii").strip() if BOOT_ID.exists() else ps.boot()


def stat_of(pid: int) -> tuple[str, int, int] | None:
    """(state letter, process group, start time) of a process; None when there is none."""
    if not BOOT_ID.exists():
        return ps.stat_of(pid)
    try:
        text = (PROC / str(pid) / "stat").read_text(encoding="latin-1")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field is the program's name in brackets and may itself hold blanks and brackets.
    fields = text[text.rindex(")") + 2 :].split()
    return fields[0], int(fields[2]), int(fields[19])


def identify(pid: int, token: str, node: str = "") -> Identity | None:
    """The identity of a process of ours; None when it is gone."""
    stat = stat_of(pid)
    if stat is None:
        return None
    return Identity(token=token, pid=pid, start=stat[2], boot=boot_id(), node=node)


def state_of(pid: int) -> str:
    """ "up", "paused" or "down", as the kernel says. A zombie is down."""
    stat = stat_of(pid)
    if stat is None or stat[0] in "ZX":
        return DOWN
    return PAUSED if stat[0] in "Tt" else UP


def is_alive(who: Identity) -> bool:
    """Whether exactly this process runs, or is stopped."""
    stat = stat_of(who.pid)
    return (
        stat is not None and stat[0] not in "ZX" and stat[2] == who.start and who.boot == boot_id()
    )


def environment_of(pid: int) -> dict[str, str]:
    """The environment that a process was started with; empty where it may not be read."""
    try:
        content = (PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return {}
    pairs = (item.partition(b"=") for item in content.split(b"\0") if item)
    return {name.decode("latin-1"): value.decode("latin-1") for name, _, value in pairs}


def with_token(token: str) -> list[Identity]:
    """Every process that carries this run's token, zombies left out."""
    found = []
    for pid, node in _marked(token):
        who = identify(pid, token, node)
        if who is not None and state_of(pid) != DOWN:
            found.append(who)
    return found


def _marked(token: str) -> Iterator[tuple[int, str]]:
    """(pid, node) of the processes whose environment has the token."""
    if not BOOT_ID.exists():
        for pid, text in ps.environments().items():
            if f"{TOKEN_VARIABLE}={token}" in text:
                node = re.search(rf"{NODE_VARIABLE}=(\S*)", text)
                yield pid, node[1] if node else ""
        return
    marker = f"{TOKEN_VARIABLE}={token}".encode()
    for name in os.listdir(PROC):
        if not name.isdecimal():
            continue
        try:
            content = (PROC / name / "environ").read_bytes()
        except OSError:  # another user's, or gone meanwhile
            continue
        if marker in content.split(b"\0"):
            yield int(name), environment_of(int(name)).get(NODE_VARIABLE, "")


def send(who: Identity, number: int) -> bool:
    """Send a signal to exactly this process; False when it is gone."""
    if not hasattr(os, "pidfd_open"):
        return _send_by_pid(who, number)
    try:
        fd = os.pidfd_open(who.pid)
    except ProcessLookupError:
        return False
    try:
        if not is_alive(who):
            return False
        signal.pidfd_send_signal(fd, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(fd)
    return True


def _send_by_pid(who: Identity, number: int) -> bool:
    """Where there are no pidfds: the pid may be used again between the two lines."""
    if not is_alive(who):
        return False
    try:
        os.kill(who.pid, number)
    except ProcessLookupError:
        return False
    return True


def end(processes: Iterable[Identity]) -> list[Identity]:
    """SIGKILL these processes and wait until they are gone; returns those that stay."""
    waiting = [who for who in processes if send(who, signal.SIGKILL)]
    deadline = time.monotonic() + GONE_S_MAX
    while waiting and time.monotonic() < deadline:
        waiting = [who for who in waiting if is_alive(who)]
        if waiting:
            time.sleep(GONE_POLL_S)
    return waiting
