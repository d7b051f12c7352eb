"""What `processes` asks of the system where there is no /proc (macOS; untested there): by ps(1)."""

from __future__ import annotations

import os
import subprocess
import time

from dissensus.harness.errors import EnvironmentFault


def _run(*argv: str) -> str:
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"}, check=False
        )
    except OSError as error:
        raise EnvironmentFault(
            f"{argv[0]}: {error.strerror}; without /proc it is needed to find a run's processes"
        ) from error
    return done.stdout


def boot() -> str:
    """What changes when the machine is restarted."""
    return _run("sysctl", "-n", "kern.boottime").strip()


def stat_of(pid: int) -> tuple[str, int, int] | None:
    """As `processes.stat_of`; the start time is in seconds."""
    fields = _run("ps", "-o", "stat=,pgid=,lstart=", "-p", str(pid)).split()
    if not fields:
        return None
    started = time.strptime(" ".join(fields[2:7]), "%a %b %d %H:%M:%S %Y")
    return fields[0][0], int(fields[1]), int(time.mktime(started))


def environments() -> dict[int, str]:
    """pid -> command and environment on one line, for every process that may be looked at."""
    lines = (
        line.split(None, 1) for line in _run("ps", "axeww", "-o", "pid=,command=").splitlines()
    )
    return {int(fields[0]): fields[1] for fields in lines if len(fields) == 2}
