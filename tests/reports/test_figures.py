"""Figures of small runs that can be counted by hand."""

from __future__ import annotations

from dissensus.harness.checker import FaultInterval, NodeReport, RunView
from dissensus.harness.history import History
from dissensus.harness.ops import Op, OpType
from dissensus.reports.figures import Latency, Segment, figures_of, joined, longest_gap

MS = 1_000_000


def history_of(*events: tuple[int, int, OpType]) -> History:
    """(process, ms, type) of writes."""
    return History.from_ops(
        Op(f="write", key=1, value=1, process=p, type=kind, time_ns=t * MS, error=None)
        for p, t, kind in events
    )


def run_of(history: History, **parts: object) -> RunView:
    fields: dict[str, object] = {
        "header": {"nodes": ["n1", "n2"]}, "faults": [], "nodes": [], "phases": [], "marks": [],
        "complete": True,
    }  # fmt: skip
    return RunView(history=history, **{**fields, **parts})  # type: ignore[arg-type]


def test_counts_and_latencies() -> None:
    history = history_of(
        (0, 0, "invoke"), (0, 2, "ok"), (1, 1, "invoke"), (1, 5, "fail"),
        (0, 6, "invoke"), (0, 10, "ok"), (2, 7, "invoke"),
    )  # fmt: skip
    figures = figures_of(run_of(history))
    assert (figures.ok, figures.info, figures.fail) == (2, 1, 1)
    assert figures.latency == Latency(p50_ns=4 * MS, p95_ns=4 * MS, p99_ns=4 * MS, max_ns=4 * MS)
    (counts,) = figures.by_f
    assert (counts.f, counts.ok, counts.info, counts.fail) == ("write", 2, 1, 1)
    assert round(figures.rate_hz) == round(2 / 0.007)
    assert figures.last_ns == 10 * MS


def test_the_longest_gap_may_lie_at_an_end() -> None:
    middle = history_of(
        (0, 0, "invoke"), (0, 1, "ok"), (0, 90, "invoke"), (0, 91, "ok"), (0, 95, "invoke")
    )
    assert longest_gap(middle) == (1 * MS, 91 * MS)
    tail = history_of((0, 0, "invoke"), (0, 1, "ok"), (0, 2, "invoke"), (1, 50, "invoke"))
    assert longest_gap(tail) == (1 * MS, 50 * MS)
    assert longest_gap(history_of((0, 3, "invoke"))) == (3 * MS, 3 * MS)
    assert longest_gap(History()) == (0, 0)


def test_faults_are_counted_by_family_and_in_effect() -> None:
    ring = FaultInterval(
        id=0, kind="partition-ring", family="partition", targets={}, begin_ns=0, measured_ns=2 * MS,
        end_ns=8 * MS, effective=True, healed=True,
    )  # fmt: skip
    halves = FaultInterval(
        id=1, kind="partition-halves", family="partition", targets={}, begin_ns=20 * MS
    )
    history = history_of((0, 1, "invoke"), (1, 3, "invoke"), (2, 8, "invoke"), (3, 9, "invoke"))
    (count,) = figures_of(run_of(history, faults=[ring, halves])).faults
    assert (count.family, count.asked, count.effective, count.healed) == ("partition", 2, 1, 1)
    assert count.ops == 2, "those at 3 and 8 ms, not before the fault was measured"


def test_an_operation_under_two_faults_of_a_family_is_counted_once() -> None:
    assert joined([(5, 9), (1, 3), (2, 4), (9, 12)]) == [(1, 4), (5, 12)]
    assert joined([]) == []


def test_nodes_become_segments_of_equal_state() -> None:
    def report(t: int, node: str, **fields: object) -> NodeReport:
        return NodeReport(t_ns=t * MS, node=node, fields=fields)

    nodes = [
        report(1, "n1", up=True, role="follower", term=1),
        report(2, "n1", applied=5),
        report(3, "n1", role="leader", term=2),
        report(4, "n1", up=False),
        report(5, "n9", up=True, role="leader", term=3),
    ]
    figures = figures_of(run_of(history_of((0, 0, "invoke"), (0, 9, "ok")), nodes=nodes))
    ends = {"node": "n1", "state": "up"}
    assert figures.segments == [
        Segment(**ends, begin_ns=1 * MS, end_ns=3 * MS, role="follower", term=1),
        Segment(**ends, begin_ns=3 * MS, end_ns=4 * MS, role="leader", term=2),
        Segment(
            node="n1", state="down", begin_ns=4 * MS, end_ns=9 * MS, role="leader", term=2
        ),
        Segment(node="n9", state="up", begin_ns=5 * MS, end_ns=9 * MS, role="leader", term=3),
    ]  # fmt: skip
    assert figures.leader_changes == 1
