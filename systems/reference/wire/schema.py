"""Turns the plain dataclasses of cores into arrays of fields and back: one typed decoder per kind.

Messages are dataclasses with a class attribute KIND and slots; field order is wire order. A decoder
checks every field's type, so a core only sees well-formed messages.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any

import msgspec

_encoder = msgspec.msgpack.Encoder()

Encode = Callable[[Any], bytes]
Decode = Callable[[bytes], Any]


class Schema:
    """The bodies of a set of message classes."""

    def __init__(self, classes: Iterable[type]) -> None:
        self.encoders: dict[type, tuple[int, Encode]] = {}
        """class -> (KIND, encode)."""
        self.decoders: dict[int, Decode] = {}
        """KIND -> decode; raises ValueError."""
        self.names: dict[int, str] = {}
        for cls in classes:
            self._add(cls)

    def _add(self, cls: Any) -> None:
        kind = cls.KIND
        if kind in self.decoders:
            raise ValueError(f"{cls.__name__} and {self.names[kind]} share the kind {kind}")
        hints = typing.get_type_hints(cls)
        names = [field.name for field in dataclasses.fields(cls)]
        self.encoders[cls] = (kind, _encode_with(names))
        self.decoders[kind] = _decode_with(cls, [hints[name] for name in names])
        self.names[kind] = cls.__name__


def _encode_with(names: list[str]) -> Encode:
    encode = _encoder.encode
    if len(names) == 1:
        get_one = attrgetter(names[0])
        return lambda msg: encode((get_one(msg),))
    get = attrgetter(*names)
    return lambda msg: encode(get(msg))


def _decode_with(cls: Any, types: list[Any]) -> Decode:
    decode = msgspec.msgpack.Decoder(tuple.__class_getitem__(tuple(types))).decode
    return lambda body: cls(*decode(body))
