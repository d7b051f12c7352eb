"""Counts of operations; the checker fires where an f never succeeded."""

from __future__ import annotations

from collections.abc import Callable

from dissensus.checkers.stats import StatsChecker, counts_of, was_served
from dissensus.harness.checker import Budget, RunView
from dissensus.harness.history import History
from dissensus.harness.verdict import Validity

TEXT = """
    0 i w 1
    0 o w
    1 i r
    1 f r err=not-sent
    2 i c 1,2
    2 f c err=mismatch
    3 i w 2
    3 ? w err=timeout
"""


def test_counts_are_per_f_and_outcome(hand: Callable[[str], History]) -> None:
    counts = counts_of(hand(TEXT))
    assert counts["write"] == {"ok": 1, "fail": 0, "info": 1}
    assert counts["cas"] == {"ok": 0, "fail": 1, "info": 0}


def test_it_fires_where_an_f_never_succeeded(
    hand: Callable[[str], History], view: Callable[..., RunView]
) -> None:
    verdict = StatsChecker().check(view(hand(TEXT)), Budget())
    assert verdict.validity is Validity.UNKNOWN
    assert verdict.vacuous == ["read never succeeded", "cas never succeeded"]
    assert verdict.facts["write"] == "1 ok, 0 fail, 1 info"
    # What the workload asks for counts, not what the history holds.
    run = view(hand(TEXT), header={"fs": ["write"]})
    assert StatsChecker().check(run, Budget()).validity is Validity.VALID
    run = view(hand(TEXT), header={"fs": ["write", "append"]})
    assert StatsChecker().check(run, Budget()).vacuous == ["append never succeeded"]
    empty = StatsChecker().check(view(), Budget())
    assert empty.vacuous == ["there is no operation in the history"]


def test_a_cas_that_found_another_value_was_served(hand: Callable[[str], History]) -> None:
    history = hand(TEXT)
    assert [was_served(history, row) for row in range(4)] == [True, False, True, False]
