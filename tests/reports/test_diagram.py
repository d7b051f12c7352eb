"""A certificate's drawing: order of events from left to right, one lane a client, few bars."""

from __future__ import annotations

from dissensus.harness.history import History
from dissensus.harness.ops import Op
from dissensus.harness.verdict import Certificate
from dissensus.reports.diagram import OPS_MAX, diagram_of


def test_bars_follow_the_order_of_events_not_of_time() -> None:
    history = History.from_ops(
        [
            Op(f="write", key="k", value=1, process=0, type="invoke", time_ns=1, node="n1"),
            Op(f="read", key="k", process=1, type="invoke", time_ns=2),
            Op(f="write", key="k", value=1, process=0, type="ok", time_ns=2 * 10**9, node="n1"),
            Op(f="read", key="k", process=1, type="ok", time_ns=2 * 10**9 + 1),
            Op(f="cas", key="k", value=[1, 2], process=0, type="invoke", time_ns=2 * 10**9 + 2),
        ]
    )
    certificate = Certificate(kind="x", summary="", ops=[0, 1, 2], blocked=[1])
    picture = diagram_of(history, certificate)
    assert picture is not None
    write, read, cas = picture.bars
    assert write.x < read.x < write.x + write.width < read.x + read.width < cas.x
    assert [bar.outcome for bar in picture.bars] == ["ok", "blocked", "info"]
    assert [bar.words for bar in picture.bars] == [
        "write 1", "read → nothing", "cas [1,2] → ?"
    ]  # fmt: skip
    assert picture.key == "key k"
    assert [name for name, _ in picture.lanes] == ["p0 on n1", "p1"]
    assert cas.x + cas.width < picture.width
    assert picture.ticks[0][1] == "0.000 s"
    assert picture.ticks[2][1] == "+2.00 s"


def test_of_many_operations_the_blocked_and_the_last_are_drawn() -> None:
    history = History()
    for i in range(100):
        for kind in ("invoke", "ok"):
            op = Op(f="write", value=i, process=0, time_ns=i)
            op.type = "invoke" if kind == "invoke" else "ok"
            history.add(op)
    certificate = Certificate(kind="x", summary="", ops=list(range(100)), blocked=[5])
    picture = diagram_of(history, certificate)
    assert picture is not None
    assert [bar.row for bar in picture.bars] == [5, *range(100 - OPS_MAX + 1, 100)]
    assert picture.bars[0].number == 6
    assert picture.left_out == 100 - OPS_MAX


def test_without_operations_there_is_no_drawing() -> None:
    assert diagram_of(History(), Certificate(kind="panic", summary="n1 said panic")) is None
