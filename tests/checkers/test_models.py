"""Models: names, options, and what an operation may answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dissensus.checkers.models import make_model, text_of
from dissensus.harness.checker import Call, Model, Part
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
    assert made(text).initial() == initial
    assert make_model(model.name).name == name


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("cas-registre", "unknown model 'cas-registre'; did you mean 'cas-register'"),
        ("quue", "did you mean 'queue'"),
        ("register(inti=0)", "option of model register 'inti'; did you mean 'init'"),
        ("register(init=0;initial=0)", "init is given twice"),
        ("register(nil=unknow)", "'unknow'; did you mean 'unknown'"),
        ("register(init={)", r"init is JSON or a word, not '\{'"),
        ("register(", "write NAME"),
        ("", "write NAME"),
    ],
)
def test_a_wrong_name_is_told_with_the_nearest_match(text: str, told: str) -> None:
    with pytest.raises(UserError, match=told):
        make_model(text)


def made(text: str) -> Model:
    """The model of an object."""
    model = make_model(text)
    assert hasattr(model, "step")
    return model


def test_registers_answer_as_registers_do() -> None:
    model = made("cas-register(init=0)")
    start = model.initial()
    assert model.step(start, Call("read", None, 0)) == "0"
    assert model.step(start, Call("read", None, None)) is None
    assert model.step(start, Call("read", type="info")) == "0"
    assert model.step(start, Call("write", 3, 3)) == "3"
    assert model.step("3", Call("cas", [3, 4], type="info")) == "4"
    assert model.step("3", Call("cas", [4, 5], [4, 5])) is None
    # An ok cas with the result false saw another value than the expected one.
    assert model.step("3", Call("cas", [4, 5], False)) == "3"
    assert model.step("3", Call("cas", [3, 5], False)) is None
    assert model.is_read(Call("cas", [4, 5], False))
    assert not model.is_read(Call("cas", [3, 5], [3, 5]))
    unknown = made("register(nil=unknown)")
    assert unknown.step("3", Call("read")) == "3"
    assert unknown.is_blind(Call("read"))
    assert not unknown.is_blind(Call("read", None, 3))


def test_a_failed_cas_says_what_the_model_says() -> None:
    failed = Call("cas", [3, 4], type="fail")
    assert made("cas-register").part(failed) is Part.DROP
    model = made("cas-register(failed-cas=asserts)")
    assert model.part(failed) is Part.MUST
    assert model.is_read(failed)
    assert model.step("3", failed) is None
    assert model.step("4", failed) == "4"


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
