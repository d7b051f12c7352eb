"""JSON lines: messages come out as they went in, however the bytes are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dissensus.harness import codec

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(st.lists(json_values), st.integers(1, 20))
def test_messages_survive_any_cut(messages: list[object], step: int) -> None:
    sender, receiver = codec.JsonLines(), codec.JsonLines()
    data = b"".join(sender.encode(message) for message in messages)
    got: list[object] = []
    for start in range(0, len(data), step):
        got += receiver.feed(data[start : start + step])
    assert got == messages


def test_what_is_not_json_is_an_error() -> None:
    with pytest.raises(ValueError, match="not JSON"):
        codec.JsonLines().feed(b"HTTP/1.1 200 OK\r\n")


def test_an_endless_line_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "LINE_BYTES_MAX", 10)
    with pytest.raises(ValueError, match="more than 10 bytes"):
        codec.JsonLines().feed(b"x" * 11)
