"""Probes what this machine can do, by doing it: capability, not presence.

Each probe has a name, what it is needed for, a state, how that was found out, and where something
is missing the line that mends it. "not needed" is said calmly: it is no fault of the machine.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import msgspec

State = Literal["ok", "degraded", "missing", "not needed"]

PROBE_SECONDS = 10
"""A probe that takes longer found something wrong: a hanging file system, a stopped daemon."""
FREE_BYTES_LEAST = 1 << 30
"""A long run with many faults writes some hundred megabytes of history, logs and node data."""
OPEN_FILES_LEAST = 1024
"""The relay holds four descriptors a connection: 25 nodes with a client each stay below this."""
FSYNC_SLOW_MS = 50
"""Above this a node spends its election timeout (150 ms and more) waiting for its disk."""
LOOPBACK = "127.91.7.3"
"""Any address of 127.0.0.0/8 but 127.0.0.1: Linux answers for all of them, macOS for none."""


class Finding(msgspec.Struct, kw_only=True, frozen=True):
    """What one probe found."""

    name: str
    needed_for: str
    state: State
    how: str
    """What was tried and seen."""
    fix: str = ""
    """What mends it, one line."""


class Diagnosis(msgspec.Struct, kw_only=True, frozen=True):
    """All findings, and the conclusion: cluster -> "" where it can be used, else why not."""

    findings: list[Finding]
    clusters: dict[str, str]


def python() -> Finding:
    """The interpreter, and the libraries that a run needs."""
    text = f"Python {sys.version.split()[0]} ({sys.implementation.name})"
    lacking = []
    for name in ("click", "jinja2", "msgspec", "prometheus-client", "rich"):
        try:
            version(name)
        except PackageNotFoundError:
            lacking.append(name)
    return Finding(
        name="python",
        needed_for="everything",
        state="missing" if lacking or sys.version_info < (3, 11) else "ok",
        how=f"{text}; missing: {', '.join(lacking)}" if lacking else f"{text}, libraries there",
        fix="scripts/setup" if lacking else "",
    )


def loopback() -> Finding:
    """Addresses of 127.0.0.0/8: listen on one and connect to it from another."""
    use = "local: an address for each node and client host"
    try:
        with socket.socket() as server, socket.socket() as client:
            server.bind((LOOPBACK, 0))
            server.listen(1)
            client.settimeout(PROBE_SECONDS / 2)
            client.bind(("127.91.7.4", 0))
            client.connect(server.getsockname())
            connection, (source, _) = server.accept()
            connection.close()
    except OSError as error:
        return Finding(
            name="loopback",
            needed_for=use,
            state="missing",
            how=f"a connection from 127.91.7.4 to {LOOPBACK}: {error}",
            fix="sudo ifconfig lo0 alias 127.91.7.3 (macOS, one line an address)",
        )
    return Finding(
        name="loopback",
        needed_for=use,
        state="ok",
        how=f"connected to {LOOPBACK}, seen as {source}",
    )


def processes() -> Finding:
    """Pause, resume and kill a child process, each confirmed by the kernel."""
    use = "local: kill, pause"
    child = subprocess.Popen(
        [sys.executable, "-S", "-c", "import time; time.sleep(60)"], start_new_session=True
    )
    try:
        os.kill(child.pid, signal.SIGSTOP)
        _, stopped = os.waitpid(child.pid, os.WUNTRACED)
        os.kill(child.pid, signal.SIGCONT)
        _, continued = os.waitpid(child.pid, os.WCONTINUED)
        seen = os.WIFSTOPPED(stopped) and os.WIFCONTINUED(continued)
    finally:
        child.kill()
        code = child.wait()
    seen = seen and code == -signal.SIGKILL
    return Finding(
        name="processes",
        needed_for=use,
        state="ok" if seen else "missing",
        how="stopped, continued and killed a child"
        if seen
        else f"a child did not stop, continue and die as told (exit {code})",
    )


def sockets_of_processes() -> Finding:
    """Find the process behind a connection, as the relay does, by /proc."""
    use = "local: the relay tells who is calling"
    try:
        with socket.create_server((LOOPBACK, 0)) as server:
            inode = os.fstat(server.fileno()).st_ino
            table = Path("/proc/net/tcp").read_text(encoding="ascii")
        found = any(f" {inode} " in line for line in table.splitlines())
    except OSError as error:
        return Finding(name="proc", needed_for=use, state="degraded", how=f"/proc/net/tcp: {error}")
    return Finding(
        name="proc",
        needed_for=use,
        state="ok" if found else "degraded",
        how="own socket found in /proc/net/tcp"
        if found
        else "own socket is not in /proc/net/tcp: an address for each viewer is used instead",
    )


def open_files() -> Finding:
    """The limit of open files, which the relay's connections count against."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = soft == resource.RLIM_INFINITY or soft >= OPEN_FILES_LEAST
    return Finding(
        name="open files",
        needed_for="local: connections of nodes, clients and relay",
        state="ok" if enough else "degraded",
        how=f"limit {soft} (could be {hard}), {OPEN_FILES_LEAST} asked for",
        fix="" if enough else f"ulimit -n {OPEN_FILES_LEAST}",
    )


def disk(store: Path) -> Finding:
    """Write, fsync and remove a file where runs are stored; look at the free space."""
    use = "history and node data; fsync is part of what is measured"
    place = store
    while not place.exists():
        place = place.parent
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            took = []
            for _ in range(5):
                file.write(b"x" * 4096)
                file.flush()
                begin = time.perf_counter()
                os.fsync(file.fileno())
                took.append(time.perf_counter() - begin)
        free = shutil.disk_usage(place).free
    except OSError as error:
        return Finding(
            name="disk",
            needed_for=use,
            state="missing",
            how=f"a file below {place}: {error}",
            fix="give another folder with --store",
        )
    fsync_ms = sorted(took)[len(took) // 2] * 1000
    wrong = []
    if free < FREE_BYTES_LEAST:
        wrong.append(f"only {free >> 20} MB free")
    if fsync_ms > FSYNC_SLOW_MS:
        wrong.append("fsync is slow: elections may happen by themselves")
    return Finding(
        name="disk",
        needed_for=use,
        state="degraded" if wrong else "ok",
        how="; ".join([f"{place}: {free >> 20} MB free, fsync {fsync_ms:.1f} ms", *wrong]),
        fix="free some space, or give another folder with --store" if wrong else "",
    )


def tool(name: str, needed_for: str) -> Finding:
    """A tool that no command of this version needs: told, so that nobody installs it for us."""
    path = shutil.which(name)
    return Finding(
        name=name,
        needed_for=needed_for,
        state="not needed",
        how=f"found at {path}" if path else "not found",
    )


def probes(store: Path) -> dict[str, Callable[[], Finding]]:
    """Every probe by name."""
    return {
        "python": python,
        "loopback": loopback,
        "processes": processes,
        "proc": sockets_of_processes,
        "open files": open_files,
        "disk": lambda: disk(store),
        "java": lambda: tool("java", "nothing yet (model checking, later)"),
        "docker": lambda: tool("docker", "nothing yet (container clusters, later)"),
    }


NO_MORE: Mapping[str, Callable[[], Finding]] = MappingProxyType({})


def diagnose(store: Path, more: Mapping[str, Callable[[], Finding]] = NO_MORE) -> Diagnosis:
    """Run all probes at once, each bounded, and conclude. `more` are probes of other folders."""
    answers: dict[str, Finding] = {}

    def answer(name: str, probe: Callable[[], Finding]) -> None:
        try:
            answers[name] = probe()
        except Exception as error:  # the doctor reports what breaks, a probe included
            answers[name] = unknown(name, f"the probe failed: {error!r}")

    # Daemon threads, not a pool: a probe that hangs must not hold the program at its end.
    threads = {
        name: threading.Thread(target=answer, args=(name, probe), daemon=True)
        for name, probe in {**probes(store), **more}.items()
    }
    for thread in threads.values():
        thread.start()
    deadline = time.monotonic() + PROBE_SECONDS
    for thread in threads.values():
        thread.join(timeout=max(0.0, deadline - time.monotonic()))
    silence = f"no answer within {PROBE_SECONDS} s"
    findings = [answers.get(name) or unknown(name, silence) for name in threads]
    return Diagnosis(findings=findings, clusters=conclude(findings))


def unknown(name: str, how: str) -> Finding:
    """A probe without an answer: what it looks for counts as missing."""
    return Finding(name=name, needed_for="a run", state="missing", how=how)


def conclude(findings: list[Finding]) -> dict[str, str]:
    """cluster -> "" where it can be used, else the reasons why not."""
    lacking = {f.name: f.how for f in findings if f.state == "missing"}

    def why(*needed: str) -> str:
        return "; ".join(f"{name}: {lacking[name]}" for name in needed if name in lacking)

    return {
        "sim": why("python", "disk"),
        "local": why("python", "disk", "loopback", "processes"),
    }
