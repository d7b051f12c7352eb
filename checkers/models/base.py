"""What the models share: values as text, names of operations, and the options in a model's name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar, NoReturn

import msgspec

from dissensus.harness.checker import Call, Part
from dissensus.harness.errors import UserError, unknown_name

EXACT_INTEGER = 2**53
"""Up to here a whole number is the same in JSON whether it is written 3 or 3.0."""
EMPTY = -1
"""What some monitors return for "it is empty", beside null."""

_encode = msgspec.json.Encoder(order="deterministic").encode


def text_of(value: Any) -> str:
    """The JSON text of a value: equal text means equal value."""
    if isinstance(value, float) and value.is_integer() and abs(value) < EXACT_INTEGER:
        value = int(value)
    return _encode(value).decode()


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """The name of a model with its options: "cas-register(nil=absent;init=0)"."""

    text: str
    name: str
    options: dict[str, str]
    """In the order in which they were given; an option without a value has "". "initial" is
    "init".
    """

    def only(self, *known: str) -> None:
        """Raises UserError unless every option is one of these."""
        for option in self.options:
            if option not in known:
                raise unknown_name(f"option of model {self.name}", option, known)

    def choice(self, option: str, among: tuple[str, ...], default: str) -> str:
        """The value of an option that has a few."""
        value = self.options.get(option, default)
        if value not in among:
            raise unknown_name(f"{option} of model {self.text!r}", value, among)
        return value

    def whole(self, option: str, default: int, *, least: int = 0) -> int:
        """The value of an option that is a whole number."""
        text = self.options.get(option)
        if text is None:
            return default
        if not re.fullmatch(r"-?\d{1,18}", text) or int(text) < least:
            raise UserError(
                f"model {self.text!r}: {option} is a whole number from {least}, not {text!r}"
            )
        return int(text)

    def value(self, option: str, default: Any = None) -> Any:
        """The value of an option as it was typed: JSON, nil, or a bare word."""
        text = self.options.get(option)
        if text is None:
            return default
        if text == "nil":
            return None
        try:
            return msgspec.json.decode(text.encode())
        except msgspec.DecodeError:
            if not re.fullmatch(r"[\w.-]+", text):
                raise UserError(
                    f"model {self.text!r}: {option} is JSON or a word, not {text!r}"
                ) from None
            return text

    def word(self, option: str, word: str) -> None:
        """Raises UserError where the option is given and is not this word: the one initial state
        that a model has.
        """
        given = self.options.get(option, word)
        if given != word:
            raise UserError(f"model {self.text!r}: {option} can only be {word}, not {given!r}")


def parse(text: str) -> Spec:
    """The parts of "NAME" or "NAME(OPTION=VALUE;FLAG)". Raises UserError."""
    parsed = re.fullmatch(r"\s*([\w-]+)\s*(?:\((.*)\))?\s*", text, re.DOTALL)
    if parsed is None:
        raise UserError(f"model {text!r}: write NAME or NAME(OPTION=VALUE;...)")
    options: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in (parsed[2] or "").split(";"))):
        option, _, value = part.partition("=")
        option = "init" if option.strip() == "initial" else option.strip()
        if option in options:
            raise UserError(f"model {text!r}: {option} is given twice")
        options[option] = value.strip()
    return Spec(text=text.strip(), name=parsed[1], options=options)


class Object:
    """A sequential object; see `harness.checker.Model`."""

    NAMES: ClassVar[Mapping[str, str]] = {}
    """Every name that an operation may have -> what it is called here."""
    READS: ClassVar[frozenset[str]] = frozenset()
    """Operations, as they are called here, that never change the state."""

    _plain_names: ClassVar[Mapping[str, str]] = {}

    def __init_subclass__(cls) -> None:
        cls._plain_names = {plain(name): what for name, what in cls.NAMES.items()}

    name: str = ""
    by_key = True
    by_process = False

    @property
    def fs(self) -> frozenset[str]:
        return frozenset(self.NAMES)

    def what(self, op: Call) -> str:
        """What an operation is called here; "" for one that the model does not have. Case and
        separators do not count: "pollFirst" is "poll-first".
        """
        return self.NAMES.get(op.f) or self._plain_names.get(plain(op.f), "")

    def is_read(self, op: Call) -> bool:
        return self.what(op) in self.READS

    def is_blind(self, op: Call) -> bool:
        """A read whose result is not known."""
        return self.is_read(op) and not op.known

    def part(self, op: Call) -> Part:
        if op.type == "ok":
            return Part.MUST
        if op.type == "fail" or self.is_read(op):
            return Part.DROP
        return Part.MAY

    def accepts(self, op: Call) -> None:
        """Raises UserError for an operation that the model does not have; what else is refused, a
        model says.
        """
        if not self.what(op):
            raise unknown_name(f"operation of model {self.name}", op.f, self.fs)

    def refuse(self, op: Call, takes: str) -> NoReturn:
        """Raise a UserError: the operation does not take such an argument, or result."""
        raise UserError(
            f"{op.f} of model {self.name} {takes}, not {text_of(op.value)}"
            + (f" with result {text_of(op.result)}" if op.known else "")
        )


def plain(name: str) -> str:
    """A name without case and separators."""
    return name.replace("-", "").replace("_", "").lower()


def options_text(name: str, options: list[str]) -> str:
    """The name of a model with these options."""
    return f"{name}({';'.join(options)})" if options else name


def is_number(value: Any) -> bool:
    """A whole number, and no truth value."""
    return isinstance(value, int) and not isinstance(value, bool)


def effect(op: Call) -> bool | None:
    """Whether an update says that it changed something. One that only repeats what it was invoked
    with, as Jepsen's do, says nothing; nor does one without a result.
    """
    if not op.known or op.result is None or text_of(op.result) == text_of(op.value):
        return None
    return truth(op.result)


def truth(result: Any) -> bool | None:
    """What a result of an operation says that answers yes or no: True and 1, False and 0; None for
    what says nothing.
    """
    if isinstance(result, bool):
        return result
    if is_number(result) and result in (0, 1):
        return bool(result)
    return None
