"""Ctrl-C: the first is noted, the second leaves at once; the handlers from before come back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

from dissensus.harness.interrupt import Interrupts


def test_the_first_signal_is_noted_and_nothing_is_raised() -> None:
    before = signal.getsignal(signal.SIGINT)
    told: list[str] = []
    with Interrupts(first=lambda: told.append("first"), last_words=lambda: "") as hints:
        assert not hints.asked
        os.kill(os.getpid(), signal.SIGINT)
        assert hints.asked
    assert told == ["first"]
    assert signal.getsignal(signal.SIGINT) is before


def test_the_second_signal_leaves_with_the_last_words() -> None:
    code = (
        "import os, signal, time\n"
        "from dissensus.harness.interrupt import Interrupts\n"
        "with Interrupts(last_words=lambda: 'dissensus heal RUN'):\n"
        "    try:\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "        print('one', flush=True)\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "    finally:\n"
        "        print('cleaned up', flush=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 130
    assert done.stdout == "one\n"
    assert done.stderr.strip() == "dissensus heal RUN"


def test_in_another_thread_nothing_is_watched() -> None:
    seen: list[bool] = []

    def elsewhere() -> None:
        with Interrupts(last_words=lambda: "") as hints:
            seen.append(hints.asked)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert seen == [False]
