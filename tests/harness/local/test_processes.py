"""Identities of processes: a signal hits who was meant, or nobody."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import msgspec
import pytest

from dissensus.harness.local import processes
from dissensus.harness.local.processes import NODE_VARIABLE, TOKEN_VARIABLE, Identity

TOKEN = "00c0ffee" * 4

BY = [
    "proc",
    pytest.param(
        "ps", marks=pytest.mark.skipif(shutil.which("ps") is None, reason="ps is not installed")
    ),
]


@pytest.fixture(params=BY)
def child(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[subprocess.Popen[bytes]]:
    """A process of a run, looked at through /proc and, as on macOS, by ps."""
    if request.param == "ps":
        monkeypatch.setattr(processes, "BOOT_ID", processes.PROC / "nowhere")
        monkeypatch.setattr(processes.ps, "boot", lambda: "this one")
        monkeypatch.delattr(os, "pidfd_open")
    with subprocess.Popen(
        [sys.executable, "-S", "-c", "import time; print(flush=True); time.sleep(60)"],
        env={**os.environ, TOKEN_VARIABLE: TOKEN, NODE_VARIABLE: "n1"},
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def test_a_process_is_found_by_its_token_and_ended(child: subprocess.Popen[bytes]) -> None:
    [who] = processes.with_token(TOKEN)
    assert (who.pid, who.node, who.token) == (child.pid, "n1", TOKEN)
    assert who == processes.identify(child.pid, TOKEN, "n1")
    assert processes.with_token(TOKEN[:-1] + "0") == []
    assert processes.state_of(child.pid) == "up"
    assert processes.send(who, signal.SIGSTOP)
    while processes.state_of(child.pid) != "paused":
        time.sleep(0.001)
    assert processes.is_alive(who)
    assert processes.end([who]) == []
    assert not processes.is_alive(who)
    assert processes.state_of(child.pid) == "down", "a zombie is down"
    assert not processes.send(who, signal.SIGTERM)
    child.wait()
    assert processes.identify(child.pid, TOKEN) is None


def test_another_process_under_the_same_pid_is_left_alone(child: subprocess.Popen[bytes]) -> None:
    [who] = processes.with_token(TOKEN)
    strangers: list[Identity] = [
        msgspec.structs.replace(who, start=who.start - 1),
        msgspec.structs.replace(who, boot="another"),
    ]
    assert processes.end(strangers) == []
    assert not any(processes.is_alive(stranger) for stranger in strangers)
    assert child.poll() is None
