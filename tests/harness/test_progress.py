"""The display counts what the event stream says, and shows the same facts in both of its forms."""

from __future__ import annotations

import io
import time

import pytest

from dissensus.harness import progress
from dissensus.harness.ops import Op


def fed() -> progress.Tally:
    tally = progress.Tally()
    tally.event({"ev": "phase", "t": 0, "name": "chaos"})
    for i in range(100):
        start = i * 20_000_000
        tally.op(Op(f="read", process=i, type="invoke", time_ns=start))
        tally.op(Op(f="read", process=i, type="ok", time_ns=start + (i + 1) * 1_000_000))
    tally.op(Op(f="write", process=200, type="invoke", time_ns=2_200_000_000))
    tally.op(Op(f="write", process=200, type="info", time_ns=2_500_000_000))
    tally.op(Op(f="cas", process=201, type="invoke", time_ns=2_500_000_000))
    tally.op(Op(f="cas", process=201, type="fail", time_ns=2_600_000_000))
    tally.op(Op(f="cas", process=202, type="invoke", time_ns=2_600_000_000))
    halves = {"halves": [["n1"], ["n2", "n3"]]}
    tally.event({"ev": "fault-begin", "t": 1, "id": 1, "kind": "partition", "targets": halves})
    tally.event({"ev": "fault-measured", "t": 2, "id": 1, "effective": True})
    tally.event(
        {"ev": "fault-begin", "t": 3, "id": 2, "kind": "kill", "targets": {"nodes": ["n2"]}}
    )
    tally.event({"ev": "fault-measured", "t": 4, "id": 2, "effective": False})
    tally.event({"ev": "fault-end", "t": 5, "id": 2, "healed": True})
    tally.event({"ev": "node", "t": 6, "node": "n1", "role": "leader", "term": 4, "up": True})
    tally.event({"ev": "node", "t": 7, "node": "n2", "up": False})
    return tally


def test_counts() -> None:
    s = fed().snapshot()
    assert (s.invoked, s.ok, s.info, s.fail) == (103, 100, 1, 1)
    assert s.phase == "chaos"
    assert s.t_ns == 2_600_000_000
    assert (s.p50_ns, s.p99_ns) == (51_000_000, 100_000_000)
    assert sum(s.rates) == 100
    assert (s.faults_effective, s.faults_done) == (1, 1)
    assert s.faults == (("partition", "n1 | n2 n3", "in effect"),)
    assert dict(s.nodes)["n2"].up is False


def test_a_snapshot_does_not_change() -> None:
    tally = fed()
    before = tally.snapshot()
    tally.op(Op(f="read", process=202, type="ok", time_ns=3 * 10**9))
    assert before.ok == 100
    assert tally.snapshot().ok == 101


def test_the_plain_line_can_be_grepped() -> None:
    line = progress.plain_line(fed().snapshot())
    assert line == (
        "t=2s phase=chaos ops=103 ok=100 info=1 fail=1 p50_ms=51.0 p99_ms=100.0 "
        "faults_effective=1 now=partition(n1 | n2 n3) leader=n1@4"
    )


def test_the_panel_shows_the_same_facts() -> None:
    from rich.console import Console

    out = io.StringIO()
    Console(file=out, width=100).print(progress.live_panel("raft", fed().snapshot()))
    for fact in (
        "raft",
        "chaos",
        "ok 100",
        "partition n1 | n2 n3",
        "in effect",
        "leader",
        "term 4",
    ):
        assert fact in out.getvalue()


def test_a_pipe_gets_plain_lines() -> None:
    out = io.StringIO()
    with progress.Display(fed(), "raft", stream=out, every_s=0.01) as display:
        assert not progress.is_live(out)
        deadline = time.monotonic() + 10
        while out.getvalue().count("phase=chaos") < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        display.say("a remark")
    lines = out.getvalue().splitlines()
    assert lines[0] == "raft: begun"
    assert "a remark" in lines
    assert lines[-1].startswith("t=2s")


@pytest.mark.parametrize(("name", "value"), [("CI", "true"), ("NO_COLOR", "1"), ("TERM", "dumb")])
def test_a_terminal_can_ask_for_plain_lines(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for other in ("CI", "NO_COLOR"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert progress.is_live(Terminal())
    monkeypatch.setenv(name, value)
    assert not progress.is_live(Terminal())


def test_an_empty_run_shows_nothing_wrong() -> None:
    line = progress.plain_line(progress.Tally().snapshot())
    assert "ops=0" in line
    assert progress.spark(()) == ""
    assert progress.spark((0, 0)) == "  "
    assert progress.spark((0, 1, 8)) == " ▁█"


def test_targets_are_told_without_the_brackets_of_python() -> None:
    assert progress.targets_text({"nodes": ["n1", "n2"]}) == "n1 n2"
    assert progress.targets_text({"halves": [["n1"], ["n2", "c2"]]}) == "n1 | n2 c2"
    assert (
        progress.targets_text({"hears": {"n1": ["n3"], "n2": ["n1", "c2"]}}) == "n1: n3, n2: n1 c2"
    )
