"""MTBF, MTTR and their ratio: against outages that are known, and the arithmetic of nines."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dissensus.checkers.availability import (
    AvailabilityChecker,
    downtime_s,
    figures,
    repair_budget_s,
)
from dissensus.checkers.engines import reverified
from dissensus.harness import store
from dissensus.harness.checker import Budget, RunView
from dissensus.harness.cli import call
from dissensus.harness.history import FAIL, History
from dissensus.harness.ops import Op
from dissensus.harness.verdict import Validity

View = Callable[..., RunView]
S = 1_000_000_000
MS = 1_000_000


def probes(outages: list[tuple[int, int]], *, end: int = 100 * S, every: int = 20 * MS) -> History:
    """A client that asks all the time: answered in 5 ms, and turned away during an outage."""
    rng = random.Random(1)
    ops = []
    now = 0
    while now < end:
        down = any(a <= now + 5 * MS and now < b for a, b in outages)
        ops.append(Op(f="read", process=0, type="invoke", time_ns=now, node="n1"))
        answer = Op(f="read", process=0, type="ok", time_ns=now + 5 * MS)
        if down:
            answer.type, answer.error = "fail", "not-sent"
        ops.append(answer)
        now += every + rng.randrange(MS)
    return History.from_ops(ops)


def test_figures_match_the_outages_within_one_percent(view: View) -> None:
    outages = [(10 * S, 15 * S), (40 * S, 42 * S), (70 * S, 80 * S)]
    phases = [("warm-up", 0), ("chaos", 0), ("heal", 100 * S)]
    verdict = AvailabilityChecker().check(view(probes(outages), phases=phases), Budget())
    assert verdict.validity is Validity.VALID
    assert verdict.facts["outages"] == 3
    assert verdict.facts["down_s"] == pytest.approx(17, rel=0.01)
    assert verdict.facts["mttr_s"] == pytest.approx(17 / 3, rel=0.01)
    assert verdict.facts["mtbf_s"] == pytest.approx(83 / 3, rel=0.01)
    assert verdict.facts["ratio"] == pytest.approx(0.83, rel=0.01)
    assert verdict.facts["ratio_n1"] == verdict.facts["ratio"]
    assert "3 outages, MTBF 27." in verdict.reason


def test_only_the_chaos_phase_counts(view: View) -> None:
    phases = [("warm-up", 0), ("chaos", 20 * S), ("heal", 60 * S)]
    history = probes([(10 * S, 15 * S), (40 * S, 44 * S), (70 * S, 80 * S)])
    facts = AvailabilityChecker().check(view(history, phases=phases), Budget()).facts
    assert (facts["outages"], facts["observed_s"]) == (1, 40)
    assert facts["ratio"] == pytest.approx(0.9, rel=0.01)


def test_silence_that_nobody_met_is_no_outage(view: View) -> None:
    slow = probes([], every=5 * S)
    verdict = AvailabilityChecker().check(view(slow), Budget())
    assert verdict.facts["outages"] == 0
    assert verdict.reason.endswith("without an outage")
    assert verdict.facts["ratio"] == 1.0


def test_waiting_is_an_outage_though_an_answer_came_in_the_end(view: View) -> None:
    ops = [
        Op(f="read", process=0, type="invoke", time_ns=0),
        Op(f="read", process=0, type="ok", time_ns=1 * S),
        Op(f="read", process=0, type="invoke", time_ns=1 * S),
        Op(f="read", process=0, type="ok", time_ns=1 * S + MS),
    ]
    facts = AvailabilityChecker().check(view(History.from_ops(ops)), Budget()).facts
    assert (facts["outages"], facts["down_s"]) == (1, 1.0)


def test_a_threshold_makes_it_fire(view: View) -> None:
    run = view(probes([(10 * S, 15 * S)]))
    assert AvailabilityChecker(0.9).check(run, Budget()).validity is Validity.VALID
    verdict = reverified(run, AvailabilityChecker(0.99).check(run, Budget()))
    assert verdict.validity is Validity.INVALID
    (certificate,) = verdict.certificates
    assert certificate.reverified
    assert "at least 0.99 was asked for" in certificate.summary
    assert "Nobody was answered from 9.9" in certificate.story[0]
    assert AvailabilityChecker(0.9).check(view(), Budget()).validity is Validity.UNKNOWN
    assert AvailabilityChecker().check(view(), Budget()).validity is Validity.VALID


def test_nines_to_the_second() -> None:
    """99.95 % leaves 4.383 hours a year (and not 2.4), 21.9 minutes a month."""
    year = {0.999: 8.766, 0.9995: 4.383, 0.9999: 52.596 / 60, 0.99999: 5.2596 / 60}
    for ratio, hours in year.items():
        assert downtime_s(ratio) == pytest.approx(hours * 3600, abs=1)
    assert downtime_s(0.9995, 8766 * 3600 / 12) == pytest.approx(1314.9, abs=1)
    assert downtime_s(0.9995, 7 * 86400) == pytest.approx(302.4, abs=1)
    for mtbf_s, mttr_s in ((3600, 1.8), (86400, 43.2), (7 * 86400, 302.6), (30 * 86400, 1296.6)):
        assert repair_budget_s(0.9995, mtbf_s) == pytest.approx(mttr_s, abs=0.5)


@given(
    st.lists(st.integers(1, 1000), max_size=8),
    st.integers(10_000, 10**6),
)
def test_the_ratio_is_mtbf_over_mtbf_plus_mttr(lengths: list[int], span: int) -> None:
    outages = [(0, length * MS) for length in lengths]
    facts = figures(span * MS, outages)
    if outages:
        mtbf, mttr = facts["mtbf_s"], facts["mttr_s"]
        assert facts["ratio"] == pytest.approx(mtbf / (mtbf + mttr), abs=1e-6)
        assert repair_budget_s(facts["ratio"], mtbf) == pytest.approx(mttr, rel=1e-3, abs=1e-3)
    else:
        assert facts["ratio"] == 1.0


@pytest.mark.parametrize("rate_hz", [3, 20])
def test_clients_of_followers_that_are_refused_make_no_outage(rate_hz: int, tmp_path: Path) -> None:
    """A correct Raft without faults: half the clients are pinned, and refused where they write."""
    words = ["run", "raft", "--on", "sim", "--time", "30s", "--seed", "3", "--rate", str(rate_hz)]
    assert call([*words, "--store", str(tmp_path)]) == 0
    run = store.load(store.find(tmp_path / "raft"))
    assert run.history.outcome.count(FAIL) > 10
    assert AvailabilityChecker().check(run, Budget()).facts["outages"] == 0
