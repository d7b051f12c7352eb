"""Models: names, options, and what an operation may answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dissensus.checkers.models import make_model, text_of
from dissensus.harness.errors import UserError


@pytest.mark.parametrize(
    ("text", "name", "initial"),
    [
        ("register", "register", "null"),
        (" cas-register ", "cas-register", "null"),
        ("cas-register()", "cas-register", "null"),
        ("register(init=nil;nil=absent)", "register", "null"),
        ("register(init=0)", "register(init=0)", "0"),
        ("register(init=a)", 'register(init="a")', '"a"'),
        ("register(init=[1, 2])", "register(init=[1,2])", "[1,2]"),
        ("cas-register(init=3;nil=unknown)", "cas-register(init=3;nil=unknown)", "3"),
    ],
)
def test_a_name_says_what_the_model_is_and_makes_it_again(
    text: str, name: str, initial: str
) -> None:
    model = make_model(text)
    assert model.name == name
    assert model.initial() == initial
    assert make_model(model.name).name == name


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("cas-registre", "unknown model 'cas-registre'; did you mean 'cas-register'"),
        ("queue", r"known: cas-register, register"),
        ("register(initial=0)", "option of model register 'initial'; did you mean 'init'"),
        ("register(nil=unknow)", "'unknow'; did you mean 'unknown'"),
        ("register(init={)", r"init is JSON or a word, not '\{'"),
        ("register(", "write NAME"),
        ("", "write NAME"),
    ],
)
def test_a_wrong_name_is_told_with_the_nearest_match(text: str, told: str) -> None:
    with pytest.raises(UserError, match=told):
        make_model(text)


def test_registers_answer_as_registers_do() -> None:
    model = make_model("cas-register(init=0)")
    start = model.initial()
    assert model.step(start, "read", None, 0, known=True) == (True, "0")
    assert model.step(start, "read", None, None, known=True) == (False, "0")
    assert model.step(start, "read", None, None, known=False) == (True, "0")
    assert model.step(start, "write", 3, 3, known=True) == (True, "3")
    assert model.step("3", "cas", [3, 4], None, known=False) == (True, "4")
    assert not model.step("3", "cas", [4, 5], [4, 5], known=True)[0]
    # An ok cas with the result false saw another value than the expected one.
    assert model.step("3", "cas", [4, 5], False, known=True) == (True, "3")
    assert not model.step("3", "cas", [3, 5], False, known=True)[0]
    assert model.is_read("cas", False)
    assert not model.is_read("cas", [3, 5])
    unknown = make_model("register(nil=unknown)")
    assert unknown.step("3", "read", None, None, known=True) == (True, "3")
    assert unknown.is_blind("read", None)
    assert not unknown.is_blind("read", 3)


def test_values_are_told_apart_by_their_json() -> None:
    values = [1, "1", True, None, "null", 1.5, [1], ["1"], {"a": 1}, "", 0, False]
    assert len({text_of(value) for value in values}) == len(values)
    assert text_of({"a": 1, "b": 2}) == text_of({"b": 2, "a": 1})
    # JSON knows one kind of number.
    assert text_of(3.0) == text_of(3) == "3"
    assert text_of(1e300) != text_of(1e299)


@given(st.integers(-(2**53), 2**53))
def test_whole_numbers_are_equal_in_both_forms(number: int) -> None:
    assert text_of(number) == str(number)
    if abs(number) < 2**53:
        assert text_of(float(number)) == text_of(number)
