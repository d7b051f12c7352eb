"""Sequential models of one key: what each operation may answer, given what happened before it.

A state is the JSON text of the value that the register holds, so that 1, "1" and true stay apart
and everything that a client can write is hashable. Models are named as in "cas-register" or
"cas-register(init=0;nil=unknown)":

    init=VALUE      what a key holds before the first write; null (or nil) by default
    nil=absent      an ok read of null saw that nothing is there; the default
    nil=unknown     an ok read of null says nothing
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from dissensus.harness.checker import Model
from dissensus.harness.errors import UserError, unknown_name

EXACT_INTEGER = 2**53
"""Up to here a whole number is the same in JSON whether it is written 3 or 3.0."""

_encode = msgspec.json.Encoder(order="deterministic").encode


def text_of(value: Any) -> str:
    """The JSON text of a value: equal text means equal value."""
    if isinstance(value, float) and value.is_integer() and abs(value) < EXACT_INTEGER:
        value = int(value)
    return _encode(value).decode()


class Register:
    """read and write of one value."""

    name = "register"
    """In an instance with its options, so that `make_model(name)` makes it again."""
    fs = frozenset({"read", "write"})

    def __init__(self, *, init: Any = None, nil_is_unknown: bool = False) -> None:
        self._initial = text_of(init)
        self._nil_is_unknown = nil_is_unknown
        options = [f"init={self._initial}"] if init is not None else []
        options += ["nil=unknown"] if nil_is_unknown else []
        if options:
            self.name = f"{self.name}({';'.join(options)})"

    def initial(self) -> str:
        return self._initial

    def is_read(self, f: str, result: Any) -> bool:
        return f == "read"

    def is_blind(self, f: str, result: Any) -> bool:
        return f == "write" or (f == "read" and result is None and self._nil_is_unknown)

    def step(self, state: str, f: str, value: Any, result: Any, *, known: bool) -> tuple[bool, str]:
        if f == "write":
            return True, text_of(value)
        if not known or (result is None and self._nil_is_unknown):
            return True, state
        return text_of(result) == state, state


class CasRegister(Register):
    """read, write and cas: `value` of a cas is [expected, new].

    A cas that completes as `fail` did not happen. One that completes as `ok` with the result false
    says more: the register held another value than the expected one.
    """

    name = "cas-register"
    fs = frozenset({"read", "write", "cas"})

    def is_read(self, f: str, result: Any) -> bool:
        return f == "read" or (f == "cas" and result is False)

    def step(self, state: str, f: str, value: Any, result: Any, *, known: bool) -> tuple[bool, str]:
        if f != "cas":
            return super().step(state, f, value, result, known=known)
        if not isinstance(value, list) or len(value) != 2:
            raise UserError(f"cas takes [expected, new], not {value!r}")
        matches = text_of(value[0]) == state
        if known and result is False:
            return not matches, state
        return matches, text_of(value[1])


MODELS: Mapping[str, type[Register]] = {"register": Register, "cas-register": CasRegister}
"""Name -> model. A new model is a class with the methods of `harness.checker.Model`, and a line."""

NIL = ("absent", "unknown")


def make_model(text: str) -> Model:
    """The model of "name" or "name(init=VALUE;nil=absent|unknown)". Raises UserError."""
    parsed = re.fullmatch(r"\s*([^()\s]+)\s*(?:\((.*)\))?\s*", text)
    if parsed is None:
        raise UserError(f"model {text!r}: write NAME or NAME(init=VALUE;nil=unknown)")
    name, inside = parsed[1], parsed[2] or ""
    if name not in MODELS:
        raise unknown_name("model", name, MODELS)
    init: Any = None
    nil = "absent"
    for part in filter(None, inside.split(";")):
        option, _, value = part.strip().partition("=")
        if option == "init":
            init = _value(value, text)
        elif option == "nil":
            if value not in NIL:
                raise unknown_name(f"reading of nil in model {text!r}", value, NIL)
            nil = value
        else:
            raise unknown_name(f"option of model {name}", option, ("init", "nil"))
    return MODELS[name](init=init, nil_is_unknown=nil == "unknown")


def _value(text: str, model: str) -> Any:
    """The initial value as it was typed: JSON, or a bare word."""
    if text == "nil":
        return None
    try:
        return msgspec.json.decode(text.encode())
    except msgspec.DecodeError:
        if not re.fullmatch(r"[\w.-]+", text):
            raise UserError(f"model {model!r}: init is JSON or a word, not {text!r}") from None
        return text
