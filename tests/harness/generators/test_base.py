"""What lifts to a generator, what a context says, and the contracts of the simplest ones."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dissensus.harness.errors import UserError
from dissensus.harness.generators import (
    NEMESIS,
    NOTHING,
    PENDING,
    Context,
    Generator,
    Pending,
    Step,
    any_of,
    fill,
    lift,
)
from dissensus.harness.generators.base import bits
from dissensus.harness.generators.simulate import EVENTS_MAX, simulate
from dissensus.harness.ops import Op


def context(free: int = 0b11, threads: int = 0b11, **changes: Any) -> Context:
    fields: dict[str, Any] = {
        "time_ns": 5,
        "free": free,
        "threads": threads,
        "cursor": 0,
        "serial": 1,
        "processes": (0, 1, NEMESIS),
        "seed": 1,
    }
    return Context(**{**fields, **changes})


def invoked(events: list[Op]) -> list[str]:
    return [op.f for op in events if op.type == "invoke"]


def test_an_operation_and_its_dict_are_invoked_once() -> None:
    for thing in ({"f": "read", "key": 3, "x": {"final": True}}, Op(f="read", key=3)):
        events = simulate(thing)
        assert [(op.f, op.key, op.process, op.type) for op in events] == [
            ("read", 3, 0, "invoke"),
            ("read", 3, 0, "ok"),
        ]
    assert simulate({"f": "read", "x": {"final": True}})[0].x == {"final": True}


def test_a_template_is_never_touched() -> None:
    template = Op(f="read")
    events = simulate(lift(template).repeat(3))
    assert template == Op(f="read")
    assert len({id(op) for op in events}) == 6


def test_a_function_is_called_for_each_operation_until_it_says_none() -> None:
    def function(ctx: Context) -> Any:
        return {"f": f"n{ctx.serial}"} if ctx.serial <= 3 else None

    assert invoked(simulate(function)) == ["n1", "n2", "n3"]


def test_a_function_may_return_anything_that_lifts() -> None:
    def function(ctx: Context) -> Any:
        return [{"f": "a"}, {"f": "b"}] if ctx.serial < 4 else None

    assert invoked(simulate(function)) == ["a", "b", "a", "b"]


def test_a_function_may_draw_and_draws_the_same_when_asked_again() -> None:
    def function(ctx: Context) -> Any:
        return {"f": "write", "value": ctx.rand("values").below(1000)} if ctx.serial < 50 else None

    first, again = ([op.value for op in simulate(function)] for _ in range(2))
    assert first == again
    assert len(set(first)) > 40
    assert first != [op.value for op in simulate(function, seed=2)]


def test_a_function_is_not_called_when_no_thread_is_free() -> None:
    def function(ctx: Context) -> Any:
        raise AssertionError

    assert lift(function).op(context(free=0)) == (PENDING, lift(function))


def test_lists_are_their_parts_in_order_and_none_is_nothing() -> None:
    nested = [{"f": "a"}, None, [], [{"f": "b"}, ({"f": "c"},)], None]
    assert invoked(simulate(nested)) == ["a", "b", "c"]
    assert simulate(None) == []
    assert lift(None) is NOTHING


def test_then_goes_on_without_a_barrier() -> None:
    gen = lift({"f": "a"}).then({"f": "b"}, {"f": "c"})
    events = simulate(gen, completes=lambda op: ({"a": 30, "b": 10, "c": 10}[op.f], "ok"))
    assert [(op.time_ns, op.f, op.type) for op in events][:4] == [
        (0, "a", "invoke"),
        (0, "b", "invoke"),
        (0, "c", "invoke"),
        (10, "b", "ok"),
    ]


@pytest.mark.parametrize(
    ("thing", "words"),
    [
        (17, "17 is no generator"),
        ("read", "'read' is no generator"),
        ({"f": "read", "vlaue": 1}, "unknown field of an operation 'vlaue'; did you mean 'value'"),
        ({"value": 1}, "needs an f"),
        ({"f": 7}, "needs an f"),
    ],
)
def test_what_does_not_lift_is_named(thing: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        lift(thing)


@pytest.mark.parametrize(
    ("name", "number"),
    [("limit", -1), ("time_limit", -1), ("stagger", 0.5), ("delay", -3), ("repeat", -2)],
)
def test_numbers_out_of_range_are_named(name: str, number: Any) -> None:
    with pytest.raises(UserError, match=name):
        getattr(lift({"f": "read"}), name)(number)


def test_a_generator_without_op_is_told() -> None:
    with pytest.raises(NotImplementedError, match="Generator has no `op`"):
        Generator().op(context())


def test_a_generator_of_ones_own() -> None:
    class Countdown(Generator, frozen=True):
        n: int

        def op(self, ctx: Context) -> Step:
            if not self.n:
                return None
            op = fill(Op(f="count", value=self.n), ctx)
            return (PENDING, self) if op is None else (op, Countdown(self.n - 1))

    values = [op.value for op in simulate(Countdown(5)) if op.type == "invoke"]
    assert values == [5, 4, 3, 2, 1]


def test_pick_goes_round_from_the_cursor() -> None:
    assert context(free=0).pick() == -1
    assert [context(free=0b1011, cursor=c).pick() for c in range(6)] == [0, 1, 3, 3, 0, 0]


@given(st.integers(0, 2**12 - 1), st.integers(0, 13))
def test_bits_are_all_threads_once_going_round(mask: int, cursor: int) -> None:
    order = list(bits(mask, cursor))
    assert sorted(order) == [t for t in range(12) if mask >> t & 1]
    turned = [t for t in order if t >= cursor] + [t for t in order if t < cursor]
    assert order == turned
    if order:
        assert order[0] == context(free=mask, threads=mask, cursor=cursor).pick()


def test_only_narrows_what_is_free_and_what_there_is() -> None:
    ctx = context(free=0b101, threads=0b111).only(0b110)
    assert (ctx.free, ctx.threads) == (0b100, 0b110)


def test_filters_keep_to_their_threads() -> None:
    gen = any_of(
        lift({"f": "read"}).repeat(4).on_clients(),
        lift({"f": "kill"}).delay(100).repeat(2).on_nemesis(),
    )
    events = simulate(gen, nemesis=True, concurrency=2)
    assert {op.process for op in events if op.f == "kill"} == {NEMESIS}
    assert {op.process for op in events if op.f == "read"} == {0, 1}
    assert invoked(events).count("kill") == 2


def test_a_part_for_a_nemesis_that_is_not_there_does_not_hang() -> None:
    with pytest.raises(UserError, match="waits for ever"):
        simulate([{"f": "read"}, lift({"f": "kill"}).on_nemesis()])


def test_an_endless_generator_is_told_so() -> None:
    with pytest.raises(UserError, match=f"goes on after {EVENTS_MAX} events"):
        simulate(lift({"f": "read"}).repeat())


def test_a_pending_that_is_past_is_the_generators_fault() -> None:
    class Bad(Generator, frozen=True):
        def op(self, ctx: Context) -> Step:
            return Pending(ctx.time_ns), self

    with pytest.raises(UserError, match="which is past"):
        simulate(Bad())


def test_an_operation_for_a_thread_that_is_busy_is_the_generators_fault() -> None:
    class Bad(Generator, frozen=True):
        def op(self, ctx: Context) -> Step:
            return Op(f="read", process=0), self

    with pytest.raises(UserError, match="not free"):
        simulate(Bad())
