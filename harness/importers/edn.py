"""Reads EDN: Jepsen's history.edn in all its shapes, and Porcupine's kv text.

Events are maps, one after the other or in one vector or list; comments, commas and line breaks
stand anywhere. Keywords and symbols become text, sets become lists, tags are left out
(`#jepsen.history.Op{...}` is the map), and what follows `#_` is no part of the data.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NoReturn

import msgspec

from dissensus.harness.errors import UserError
from dissensus.harness.history import History
from dissensus.harness.importers.events import Builder, Where, place_in

TOKEN = re.compile(
    r"""[^\s,\[\]{}()";\#\\]+\#?     # an atom
    | [\[\]{}()]                      # brackets
    | \#\{ | \#_ | \#[^\s,\[\]{}()";]*    # a set, a discard, a tag
    | "(?:[^"\\]|\\.)*"?              # text
    | \\.[^\s,\[\]{}()";]*            # a character
    | ;[^\n]*                         # a comment""",
    re.VERBOSE | re.DOTALL,
)
CLOSING = {"[": "]", "(": ")", "{": "}", "#{": "}"}
DEPTH_MAX = 1000
NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?[NM]?$")
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "\\": "\\", '"': '"'}
CHARACTERS = {"newline": "\n", "space": " ", "tab": "\t", "return": "\r"}
_NOT = object()
_CACHED_MAX = 1 << 16
"""Atoms that are remembered, so that most of a history is looked up."""


def read(text: str, path: str) -> History:
    """The history in a text. Raises UserError with file, line and column."""
    where = place_in(text, path)
    builder = Builder(where)
    for record, at in records(text, where):
        builder.add(record, at)
    return builder.finish()


def records(text: str, where: Where) -> Iterator[tuple[dict[str, Any], int]]:
    """The maps of a history with their offsets, in order."""
    parser = Parser(where)
    yield from parser.maps(text)


class Keyword(str):
    """Text that was a keyword."""


class Parser:
    """Turns tokens into values. `where` names places for errors."""

    def __init__(self, where: Where) -> None:
        self._where = where
        self._keyword: type[str] = str
        self._atoms: dict[str, Any] = {"nil": None, "true": True, "false": False}

    def maps(self, text: str) -> Iterator[tuple[dict[str, Any], int]]:
        """All maps at the top, or in the one vector or list there, with their offsets."""
        atoms = self._atoms
        kind, begin = "", 0
        items: list[Any] = []
        outer: list[tuple[str, list[Any], int]] = []
        """The forms around the one that is being read."""
        for match in TOKEN.finditer(text):
            token = match[0]
            value = atoms.get(token, _NOT)
            if value is _NOT:
                first = token[0]
                if first == ";" or (first == "#" and token not in ("#{", "#_")):
                    if not token.startswith("##"):
                        continue
                    value = token[2:]
                elif token in CLOSING or token == "#_":
                    if len(outer) >= DEPTH_MAX:
                        self._fail(match.start(), "forms inside each other, too deep")
                    outer.append((kind, items, begin))
                    kind, items, begin = token, [], match.start()
                    continue
                elif token in ("]", ")", "}"):
                    if CLOSING.get(kind) != token:
                        self._fail(match.start(), f"{token} closes nothing here")
                    value = self._closed(kind, items, begin)
                    at = begin
                    kind, items, begin = outer.pop()
                    if isinstance(value, dict) and self._is_record(kind, outer):
                        yield value, at
                        continue
                else:
                    value = self._atom(token, match.start())
                    if len(atoms) < _CACHED_MAX:
                        atoms[token] = value
            if kind == "#_":
                kind, items, begin = outer.pop()
            elif kind == "" or (len(outer) == 1 and self._is_record(kind, outer)):
                self._stray(value, kind, match.start())
            else:
                items.append(value)
        if kind:
            self._fail(begin, f"{kind} is not closed when the file ends")

    @staticmethod
    def _is_record(kind: str, outer: list[tuple[str, list[Any], int]]) -> bool:
        """A map that ends here is an event."""
        return kind == "" or (kind in "[(" and len(outer) == 1)

    def _stray(self, value: Any, kind: str, at: int) -> None:
        """A value where an event is expected: an empty vector is an empty history."""
        if kind == "" and isinstance(value, list):
            return
        self._fail(at, f"expected a map, found {str(value)[:60]!r}")

    def _closed(self, kind: str, items: list[Any], at: int) -> Any:
        if kind != "{":
            return items
        if len(items) % 2:
            self._fail(at, "a map with a key that has no value")
        pairs = zip(items[::2], items[1::2], strict=True)
        return {k if isinstance(k, str) else msgspec.json.encode(k).decode(): v for k, v in pairs}

    def values(self, text: str, at: int) -> list[Any]:
        """The values of a short text, one after the other; keywords are `Keyword`."""
        outer, self._keyword = self._keyword, Keyword
        try:
            ((found, _),) = self.maps("{:values [" + text + "]}")
        except UserError as error:
            self._fail(at, str(error).partition(": ")[2])
        finally:
            self._keyword = outer
        return list(found["values"])

    def _atom(self, token: str, at: int) -> Any:
        first = token[0]
        if first == ":":
            return self._keyword(token[1:])
        if first == '"':
            return self._string(token, at)
        if first == "\\":
            return CHARACTERS.get(token[1:], token[1:])
        if NUMBER.match(token):
            number = token.rstrip("NM")
            try:
                return int(number) if number.lstrip("+-").isdigit() else _whole(float(number))
            except ValueError as error:
                self._fail(at, str(error))
        return token

    def _string(self, token: str, at: int) -> str:
        if len(token) < 2 or token[-1] != '"':
            self._fail(at, "text that is not closed when the file ends")
        if "\\" not in token:
            return token[1:-1]

        def plain(match: re.Match[str]) -> str:
            code = match[1]
            if code[0] == "u" and len(code) == 5:
                return chr(int(code[1:], 16))
            if code not in ESCAPES:
                self._fail(at, f"there is no escape \\{code}")
            return ESCAPES[code]

        return re.sub(r"\\(u[0-9a-fA-F]{4}|.)", plain, token[1:-1], flags=re.DOTALL)

    def _fail(self, at: int, why: str) -> NoReturn:
        raise UserError(f"{self._where(at)}: {why}")


def _whole(number: float) -> float | int:
    """3.0 is 3, as in JSON."""
    return int(number) if number.is_integer() and abs(number) < 2**53 else number
