"""What Jepsen leaves on disk, other forms of a history, and the lint: the native engine."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from dissensus.checkers import native
from dissensus.harness.cli_check import check
from dissensus.harness.errors import UserError
from dissensus.harness.history import History

FORMATS = Path(__file__).parent / "formats"

pytestmark = pytest.mark.skipif(
    native.available() is not None, reason=f"no native engine: {native.available()}"
)


def jepsen_file() -> bytes:
    """A test.jepsen of two chunks, a whole run of a register."""
    return bytes.fromhex((FORMATS / "run.jepsen.hex").read_text())


def events(history: History) -> list[tuple[object, ...]]:
    return [(op.process, op.type, op.f, op.value, op.error) for op in history.ops()]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store directory with everything in it."""
    run = tmp_path / "lin-kv" / "20260101T000000"
    run.mkdir(parents=True)
    (run / "test.jepsen").write_bytes(jepsen_file())
    (run / "history.edn").write_text((FORMATS / "run.edn").read_text())
    (run / "results.edn").write_text("{:linear {:valid? true}, :valid? :unknown}")
    return run


def test_a_test_file_is_the_same_history_as_its_edn(tmp_path: Path) -> None:
    path = tmp_path / "test.jepsen"
    path.write_bytes(jepsen_file())
    history = native.read(path)
    assert events(history) == events(native.read(FORMATS / "run.edn"))
    assert native.about(history) == native.About("lin-kv", None, "false", None)


def test_a_store_directory_says_which_file_was_read_and_what_its_checker_said(store: Path) -> None:
    history = native.read(store)
    assert native.about(history) == native.About("lin-kv", None, "unknown", "test.jepsen")
    (store / "test.jepsen").unlink()
    again = native.read(store)
    assert native.about(again) == native.About("lin-kv", None, "unknown", "history.edn")
    assert events(again) == events(history)


def test_a_store_directory_is_judged_and_its_label_shown(store: Path) -> None:
    checked = CliRunner().invoke(check, [str(store), "--engine", "native"], standalone_mode=False)
    assert checked.exception is None, checked.output
    # What the nemesis did is no operation that a model must have.
    assert "cas-register" in checked.output
    assert "VALID" in checked.output
    assert checked.output.startswith(str(store / "test.jepsen"))
    assert "the file itself says: unknown" in checked.output


def test_a_damaged_file_is_an_error_with_its_place(store: Path) -> None:
    data = bytearray(jepsen_file())
    at = data.index(b"jepsen.history.Op")
    data[at] ^= 1
    (store / "test.jepsen").write_bytes(data)
    with pytest.raises(UserError, match=r"test.jepsen: at byte \d+: the block's checksum"):
        native.read(store)


def test_a_cut_file_is_read_up_to_its_last_whole_block(tmp_path: Path) -> None:
    data = jepsen_file()
    second = data.index(b"jepsen.history.Op", data.index(b"jepsen.history.Op") + 1)
    path = tmp_path / "test.jepsen"
    path.write_bytes(data[: second + 40])
    history = native.read(path)
    whole = events(native.read(FORMATS / "run.edn"))
    # The first chunk: three events of clients and one of the nemesis.
    assert events(history) == whole[:3]
    assert [finding.code for finding in native.lint(history)] == ["cut", "never-completed"]


@pytest.mark.parametrize("name", ["run.edn", "lines.edn", "events.jsonl", "txn.edn", "history.txt"])
@pytest.mark.parametrize("form", ["jsonl", "edn", "json"])
def test_what_is_converted_reads_the_same(tmp_path: Path, name: str, form: str) -> None:
    history = native.read(FORMATS / name)
    out = tmp_path / f"out.{form}"
    written, count = native.write(history, out)
    assert (written, count >= len(list(history.ops()))) == (form, True)
    again = native.read(out)
    assert list(again.ops()) == list(history.ops())


def test_nothing_is_written_over(tmp_path: Path) -> None:
    history = native.read(FORMATS / "run.edn")
    out = tmp_path / "out.edn"
    out.write_text("mine")
    with pytest.raises(UserError, match=r"out.edn: is there already"):
        native.write(history, out)
    assert out.read_text() == "mine"
    with pytest.raises(UserError, match="its name does not say what to write"):
        native.write(history, tmp_path / "out.txt")
    assert not (tmp_path / "out.txt").exists()
    assert native.write(history, tmp_path / "out.txt", form="edn")[0] == "edn"


def test_a_history_of_python_is_converted_too(tmp_path: Path) -> None:
    history = History.from_ops(native.read(FORMATS / "run.edn").ops())
    native.write(history, tmp_path / "out.jsonl")
    assert events(native.read(tmp_path / "out.jsonl")) == events(history)


def test_the_lint_names_lines_and_counts(tmp_path: Path) -> None:
    assert native.lint_file(FORMATS / "run.edn") == []
    path = tmp_path / "history.edn"
    path.write_text(
        "{:process 0 :type :invoke :f :write :value 1}\n"
        "{:process 0 :type :fail :f :write :value 1 :error :timeout}\n"
        "{:process 1 :type :ok :f :read :value 1}\n"
        "{:process 1 :type :invoke :f :read}\n"
        "{:process 1 :type :ok :f :read :value 1}\n"
    )
    found = {finding.code: finding for finding in native.lint_file(path)}
    assert list(found) == ["no-invocation", "failed-write-read", "indefinite-fail"]
    assert found["no-invocation"].severity == "error"
    assert found["no-invocation"].places == ["3:1"]
    assert found["failed-write-read"].places == ["5:1"]
    assert found["indefinite-fail"].text.startswith("1 update failed with an error")
    with pytest.raises(UserError, match=r"without an invoke"):
        native.read(path)


def test_the_lint_of_columns(tmp_path: Path) -> None:
    path = tmp_path / "history.edn"
    path.write_text(
        "{:process 0 :type :invoke :f :enqueue :value 1}\n"
        "{:process 0 :type :ok :f :enqueue :value 1}\n" * 2
    )
    (found,) = native.lint(native.read(path))
    assert (found.code, found.severity, found.rows) == ("value-twice", "warning", [1])
