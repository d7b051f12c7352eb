"""The judge picks the checkers that fit a run."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dissensus.checkers.judge import checkers_for, judge
from dissensus.harness.checker import Budget, RunView
from dissensus.harness.errors import UserError
from dissensus.harness.history import History
from dissensus.harness.verdict import Validity

Hand = Callable[[str], History]
View = Callable[..., RunView]

ALWAYS = ["no-panic", "stats", "availability", "completeness", "vacuity"]


def names(run: RunView) -> list[str]:
    return [checker.name for checker in checkers_for(run)]


def test_the_header_says_which_checkers_apply(view: View) -> None:
    assert names(view()) == ALWAYS
    assert names(view(header={"model": ""})) == ALWAYS
    header = {"model": "register", "capabilities": ["applied-digest", "election-safety"]}
    assert names(view(header=header)) == [
        "linearizability",
        "agreement",
        "election-safety",
        *ALWAYS,
    ]
    with pytest.raises(UserError, match="unknown model 'regster'; did you mean 'register'"):
        checkers_for(view(header={"model": "regster"}))


def test_an_availability_threshold_reaches_its_checker(hand: Hand, view: View) -> None:
    run = view(hand("0 i r \n 0 f r err=not-sent \n" * 50 + "0 i r \n 0 o r nil"))
    before = {v.checker: v for v in judge(run, Budget())}
    assert before["availability"].validity is Validity.VALID
    after = {v.checker: v for v in judge(run, Budget(), availability=0.9)}
    assert after["availability"].validity is Validity.INVALID
