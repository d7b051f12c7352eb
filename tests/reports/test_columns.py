"""The data block gives back what was put in, whatever the integers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dissensus.harness.checker import RunView
from dissensus.harness.errors import UserError
from dissensus.harness.store import VerdictFile
from dissensus.harness.verdict import Certificate
from dissensus.reports import columns
from dissensus.reports.block import UNIT_NS, data_block, moments
from dissensus.reports.figures import figures_of


@given(
    st.lists(st.integers(-(2**62), 2**62)) | st.lists(st.integers(-5, 300)),
    st.booleans(),
)
def test_a_column_round_trips(values: list[int], delta: bool) -> None:
    assert columns.unpack(columns.pack(values, delta=delta), len(values)) == values


@pytest.mark.parametrize(
    ("values", "width"),
    [([7, 7, 7], 0), ([0, 255], 1), ([-1, 255], 2), ([0, 65536], 4), ([0, 2**32], 8), ([], 0)],
)
def test_a_column_is_as_narrow_as_its_numbers_allow(values: list[int], width: int) -> None:
    assert columns.pack(values).width == width


def test_a_block_holds_no_text_but_base64() -> None:
    text = columns.encode({"t": ([1, 2], True)}, {"fs": ["</script>"]}, {"x": "<!--"})
    assert not set(text) & set("<>&'")
    assert columns.decode(text) == ({"t": [1, 2]}, {"fs": ["</script>"]}, {"x": "<!--"})


def test_what_nodes_said_is_a_moment_of_the_anomaly(specimen: tuple[RunView, VerdictFile]) -> None:
    run, _ = specimen
    said = Certificate(kind="agreement", summary="", data={"said": [["n1", 5, 9], ["n2", 7, 8]]})
    mark = Certificate(kind="panic", summary="", data={"mark": 0})
    lost = Certificate(kind="panic", summary="", data={"mark": len(run.marks)})
    assert list(moments(run, said)) == [("n1", 5), ("n2", 7)]
    assert list(moments(run, mark)) == [(run.marks[0]["node"], run.marks[0]["t"])]
    assert not list(moments(run, lost))


def test_another_schema_is_refused() -> None:
    text = columns.encode({"t": ([1], True)}, {}, {})
    with pytest.raises(UserError, match="schema 9, this version reads 1"):
        columns.decode(text.replace('"schema":1', '"schema":9'))


def test_a_run_comes_back_from_its_block(specimen: tuple[RunView, VerdictFile]) -> None:
    run, verdicts = specimen
    history = run.history
    found, texts, rest = columns.decode(data_block(run, verdicts, figures_of(run)))
    assert rest["unit"] == UNIT_NS
    assert rest["of"] == len(history) == len(found["t"])
    assert found["inv"] == list(history.inv)
    for row in range(len(history)):
        assert found["t"][row] == history.t_inv[row] // UNIT_NS
        if history.ret[row] >= 0:
            assert found["inv"][row] + found["span"][row] == history.ret[row]
            ended = found["t"][row] + found["took"][row]
            assert ended == history.t_ret[row] // UNIT_NS
        result = texts["values"][found["arg"][row] + found["result"][row]]
        assert result == (
            "" if history.result_of(row) is None else columns_text(history.result_of(row))
        )
    assert [a["ops"] for a in rest["anomalies"]] == [
        c.ops for v in verdicts.verdicts for c in v.certificates
    ]


def columns_text(value: object) -> str:
    """A value of the specimen as JSON."""
    return str(value).replace(" ", "")
