"""Where a run came from: what `run.json` says beside the plan, all that differs from machine to
machine.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import msgspec

from dissensus import __version__
from dissensus.harness.plan import Plan
from dissensus.harness.store import SCHEMA
from dissensus.harness.system import System

GIT_SECONDS = 5
"""A git that takes longer (a network file system) is not waited for."""
LIBRARIES = ("msgspec", "rich", "click", "jinja2")


def gather(
    plan: Plan, system: System, *, engine: str, begun: datetime, argv: Sequence[str] = ()
) -> dict[str, Any]:
    """The content of run.json, `cluster` apart (`Cluster.provenance`, known after set-up)."""
    return {
        "schema": SCHEMA,
        "begun": begun.isoformat(timespec="seconds"),
        "command": plan.command(),
        "argv": list(argv),
        "seed": plan.seed,
        "plan": msgspec.to_builtins(plan),
        "engine": engine,
        "versions": versions(system),
        "commit": git_commit(Path(__file__).resolve().parent),
        "host": host(),
    }


def versions(system: System) -> dict[str, str]:
    """Versions of Dissensus, of the system under test, of Python and the libraries."""
    found = {
        "dissensus": __version__,
        "system": system.version(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed as a distribution"
    return found


def host() -> Mapping[str, Any]:
    """What kind of machine this is. No name and no address: reports are mailed around."""
    return {
        "kind": platform.system(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "executable": sys.executable,
    }


def git_commit(folder: Path) -> str | None:
    """The commit that `folder` is a checkout of, "-dirty" after it where files differ; None
    elsewhere.
    """
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        done = subprocess.run(
            [*command, "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
