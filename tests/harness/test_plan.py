"""Plans: every word of the command line is read back, and a wrong one is named."""

from __future__ import annotations

import shlex

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dissensus.harness.errors import UserError
from dissensus.harness.plan import (
    TIME_MAX_NS,
    Plan,
    duration_text,
    option_text,
    option_value,
    parse_concurrency,
    parse_duration,
    parse_faults,
    parse_options,
    parse_rate,
    plan_from,
)


@pytest.mark.parametrize(
    ("text", "ns"),
    [("30s", 30 * 10**9), ("500ms", 5 * 10**8), ("1.5m", 90 * 10**9), ("1h30m", 5400 * 10**9)],
)
def test_durations(text: str, ns: int) -> None:
    assert parse_duration(text) == ns


@pytest.mark.parametrize("text", ["", "s", "30", "30 s", "-5s", "5d", "1e3s", "5s5", "½s", "0s"])
def test_malformed_durations_are_named(text: str) -> None:
    with pytest.raises(UserError, match="duration") as caught:
        parse_duration(text)
    assert repr(text) in str(caught.value)


def test_a_bare_number_gets_a_suggestion() -> None:
    with pytest.raises(UserError, match="did you mean 30s"):
        parse_duration("30")


def test_a_duration_has_a_limit() -> None:
    with pytest.raises(UserError, match="at most 24h"):
        parse_duration("25h")


@given(st.integers(min_value=1, max_value=TIME_MAX_NS // 1000), st.integers(0, 999))
def test_a_duration_reads_back(us: int, ns: int) -> None:
    # Nanoseconds only where a float holds them.
    whole = us * 1000 + (ns if us < 10**9 else 0)
    assert parse_duration(duration_text(whole)) == whole


@pytest.mark.parametrize(("text", "count"), [("10", 10), ("2n", 10), ("1n", 5)])
def test_concurrency(text: str, count: int) -> None:
    assert parse_concurrency(text, 5) == count


@pytest.mark.parametrize("text", ["", "n", "2 n", "0", "0n", "-1", "2.5n", "99999"])
def test_wrong_concurrency_is_an_error(text: str) -> None:
    with pytest.raises(UserError, match="concurrency"):
        parse_concurrency(text, 5)


@pytest.mark.parametrize("rate", [-1.0, float("nan"), float("inf"), 1e9])
def test_wrong_rate_is_an_error(rate: float) -> None:
    with pytest.raises(UserError, match="rate"):
        parse_rate(rate)


def test_faults_keep_their_order_and_lose_doubles() -> None:
    assert parse_faults("pause, kill,pause", ["kill", "pause"]) == ("pause", "kill")
    assert parse_faults("", ["kill"]) == ()


def test_an_unknown_fault_names_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'partition'"):
        parse_faults("kill,partion", ["kill", "partition"])


def test_options() -> None:
    assert parse_options(["lease-reads=true", "n=3", "x=0.5", "mutant=R13"]) == {
        "lease_reads": True,
        "n": 3,
        "x": 0.5,
        "mutant": "R13",
    }
    with pytest.raises(UserError, match="NAME=VALUE"):
        parse_options(["lease"])


@given(st.one_of(st.booleans(), st.integers(), st.floats(allow_nan=False)))
def test_an_option_reads_back(value: bool | int | float) -> None:
    assert option_value(option_text(value)) == value


def test_a_stored_plan_reads_back() -> None:
    plan = Plan(system="raft", faults=("kill",), options={"mutant": "R13"}, seed=7)
    assert plan_from(msgspec.to_builtins(plan)) == plan


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"system": "raft", "node": 3}, "did you mean 'nodes'"),
        ({"system": "raft", "nodes": "three"}, "nodes"),
        ({"system": "raft", "nodes": 0}, "nodes 0 is out of range: 1 to"),
        ({"system": "raft", "seed": -1}, "seed -1"),
        ({}, "system"),
    ],
)
def test_a_wrong_plan_is_named(data: dict[str, object], told: str) -> None:
    with pytest.raises(UserError, match=told):
        plan_from(data)


def test_the_command_runs_the_same_plan_again() -> None:
    plan = Plan(
        system="./my db.py:Db",
        nodes=5,
        time_ns=1500 * 10**6,
        rate_hz=12.5,
        concurrency=7,
        faults=("kill", "pause"),
        seed=9,
        options={"mutant": "R13", "lease": True},
        scenario="stale-read",
    )
    words = shlex.split(plan.command())
    assert words[:3] == ["dissensus", "run", "./my db.py:Db"]
    given_ = dict(zip(words[3::2], words[4::2], strict=True))
    assert parse_duration(given_["--time"]) == plan.time_ns
    assert float(given_["--rate"]) == plan.rate_hz
    assert parse_concurrency(given_["--concurrency"], 5) == 7
    assert given_["--faults"] == "kill,pause"
    assert given_["--mutant"] == "R13"
    assert given_["--option"] == "lease=true"
    assert given_["--scenario"] == "stale-read"
