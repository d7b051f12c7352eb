"""Foreign histories are read, and a broken line is named with file, line and column."""

from __future__ import annotations

from pathlib import Path

import pytest

from dissensus.harness.errors import UserError
from dissensus.harness.importers import read_history

GOOD = """\
{"process": 0, "type": "invoke", "f": "write", "key": "x", "value": 3, "time": 10}
{"ev": "op", "i": 1, "t": 12, "p": 1, "type": "invoke", "f": "read", "k": "x", "v": null}

{"process": "nemesis", "type": "info", "f": "start"}
{"ev": "phase", "name": "chaos"}
{"process": 0, "type": "ok", "f": "write", "key": "x", "value": 3, "time": 20.0, "extra": [1]}
{"ev": "op", "i": 3, "t": 25, "p": 1, "type": "info", "f": "read", "err": "timeout"}
"""


def written(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "h.jsonl"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_both_forms_are_read(tmp_path: Path) -> None:
    history = read_history(written(tmp_path, GOOD))
    assert len(history) == 2
    assert [history.f_of(row) for row in (0, 1)] == ["write", "read"]
    assert history.result_of(0) == 3
    assert history.ret[0] == 2
    assert history.error_of(1) == "timeout"
    assert list(history.t_ret) == [20, 25]


@pytest.mark.parametrize(
    ("line", "column", "told"),
    [
        ('{"process": 0, "type": }', 24, "not JSON"),
        ('{"process": 0, "type": "invoke", "f": "read"', 45, "not JSON"),
        ("[1, 2]", 1, "expected an object"),
        ('{"type": "ok", "f": "read"}', 1, "no 'process'"),
        ('{"process": 0, "type": "okay", "f": "read"}', 16, "did you mean 'ok'"),
        ('{"process": 1.5, "type": "ok", "f": "read"}', 2, "process must be a number"),
        ('{"process": -1, "type": "ok", "f": "read"}', 2, "process must be a number"),
        ('{"p": 1, "type": "ok", "f": 7}', 24, "f must be a name"),
        ('{"process": 1, "type": "ok", "f": "r", "time": "now"}', 40, "time must be"),
        ('{"process": 5, "type": "ok", "f": "read"}', 2, "without an invoke"),
        ('{"process": 0, "type": "invoke", "f": "read"}', 2, "still open"),
        ('{"process": 0, "type": "ok", "f": "read"}', 30, "completes 'read', and invoked 'write'"),
        ('{"process": 0, "type": "ok", "f": "write", "key": 2}', 44, "completes key 2, not None"),
        ('{"process": "a", "type": "ok", "f": "read"}', 2, "process must be a number"),
        ('{"process": 0, "value": ' + "[" * 9999 + "]" * 9999 + "}", 1, "too deep"),
        (b'{"process": 0, "type": "\xff"}', 25, "not UTF-8"),
        ("\x00\x01\x02", 1, "not JSON"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: str | bytes, column: int, told: str) -> None:
    first = b'{"process": 0, "type": "invoke", "f": "write", "value": 1}\n'
    data = line if isinstance(line, bytes) else line.encode()
    path = written(tmp_path, first + data + b"\n")
    with pytest.raises(UserError) as caught:
        read_history(path)
    assert str(caught.value).startswith(f"{path}:2:{column}: ")
    assert told in str(caught.value)


@pytest.mark.parametrize("text", ["", "\n\n", '{"ev": "run", "schema": 1}\n'])
def test_a_file_without_operations_is_an_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError, match="no operation"):
        read_history(written(tmp_path, text))


def test_what_is_no_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a folder"):
        read_history(tmp_path)
    with pytest.raises(UserError, match="there is no such file"):
        read_history(tmp_path / "none")
