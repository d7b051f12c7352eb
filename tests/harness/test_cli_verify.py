"""`dissensus verify` as a user types it: certificates that hold, and such that somebody changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dissensus.checkers import native
from dissensus.harness.cli import call

Event = tuple[int, str, str, Any]

STALE: tuple[Event, ...] = (
    (0, "invoke", "write", 1),
    (0, "ok", "write", 1),
    (0, "invoke", "write", 2),
    (2, "invoke", "write", 3),
    (0, "ok", "write", 2),
    (1, "invoke", "read", None),
    (1, "ok", "read", 1),
)
FRESH: tuple[Event, ...] = (*STALE[:-1], (1, "ok", "read", 3))
SKEW: tuple[Event, ...] = (
    (0, "invoke", "txn", [["append", "x", 1]]),
    (0, "ok", "txn", [["append", "x", 1]]),
    (1, "invoke", "txn", [["r", "x", None]]),
    (1, "ok", "txn", [["r", "x", [1]]]),
)
native_only = pytest.mark.skipif(
    native.available() is not None, reason=f"no native engine: {native.available()}"
)


def history(path: Path, *events: Event) -> Path:
    lines = [json.dumps({"process": p, "type": t, "f": f, "value": v}) for p, t, f, v in events]
    path.write_text("\n".join(lines) + "\n")
    return path


def certified(path: Path, *options: str) -> Path:
    """The file of certificates of a history."""
    target = path.with_suffix(".certificate")
    assert call(["check", str(path), "--certificate", str(target), *options]) in (0, 1)
    return target


def changed(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """A file of certificates with a change in the first verdict's first certificate's data."""
    told = json.loads(path.read_text())
    change(told["verdicts"][0]["certificates"][0]["data"])
    other = path.with_suffix(".changed")
    other.write_text(json.dumps(told))
    return other


def test_a_certificate_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever engine found it; the history is read in Python."""
    place = history(tmp_path / "stale.jsonl", *STALE)
    certificate = certified(place, "--engine", "python")
    capsys.readouterr()
    assert call(["verify", str(place), str(certificate)]) == 0
    said = capsys.readouterr().out
    assert "INVALID as register" in said
    assert "read by the reader in Python" in said
    assert "although (2) process 0 had written 2" in said
    assert said.endswith("the certificate holds\n")
    told = json.loads(certificate.read_text())
    assert told["schema"] == 1
    assert told["tool"].startswith("dissensus ")
    assert told["file"] == "stale.jsonl"
    assert told["operations"] == 4


def test_nothing_is_written_over(tmp_path: Path) -> None:
    place = history(tmp_path / "stale.jsonl", *STALE)
    certificate = certified(place, "--engine", "python")
    before = certificate.read_bytes()
    again = ["check", str(place), "--engine", "python", "--certificate", str(certificate)]
    assert call(again) == 4
    assert certificate.read_bytes() == before


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (
            lambda data: data.update(kept=[2, 3]),
            "there is an order of the operations that is legal",
        ),
        (lambda data: data.update(kept=[*data["kept"], 9]), "a kept row is of another key"),
        (lambda data: data.update(end=data["end"] - 1), "does not return before the end"),
        (lambda data: data.update(gaps=[]), "there is an order of the operations that is legal"),
        (lambda data: data["gaps"][0].update({"from": 0}), "there is an operation in a gap"),
        (lambda data: data.update(model="queue"), "it is of another model, 'queue'"),
        (lambda data: data.pop("key"), "each key is an object of its own"),
        (lambda data: data.pop("gaps"), "the certificate is malformed"),
        (lambda data: data.update(end="soon"), "the certificate is malformed"),
    ],
)
def test_one_that_was_changed_is_refuted(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[dict[str, Any]], object],
    why: str,
) -> None:
    place = history(tmp_path / "stale.jsonl", *STALE)
    other = changed(certified(place, "--engine", "python"), change)
    capsys.readouterr()
    assert call(["verify", str(place), str(other)]) == 1
    assert why in capsys.readouterr().out


def test_an_accusation_that_calls_itself_valid(tmp_path: Path) -> None:
    place = history(tmp_path / "stale.jsonl", *STALE)
    certificate = certified(place, "--engine", "python")
    text = certificate.read_text()
    certificate.write_text(text.replace('"validity": "INVALID"', '"validity": "VALID"'))
    assert call(["verify", str(place), str(certificate)]) == 1
    certificate.write_text(text.replace('"validity": "INVALID"', '"validity": "VALID"', 1))
    assert call(["verify", str(place), str(certificate)]) == 1


def test_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = history(tmp_path / "stale.jsonl", *STALE)
    certificate = certified(place, "--engine", "python")
    good = certificate.read_text()
    other = history(tmp_path / "other.jsonl", *FRESH)
    assert call(["verify", str(other), str(certificate)]) == 4
    assert "is not the file that was judged" in capsys.readouterr().err
    broken = [
        (good[: len(good) // 2], "truncated"),
        (good.replace('"schema": 1', '"schema": 99', 1), "schema 99"),
        ("[]", "holds no certificates"),
        ("[" * 100_000, ""),
        (good.replace('"operations": 4', '"operations": "4"'), "operations"),
        (good.replace('"operations": 4', '"operations": 5'), "speak of 5 operations"),
    ]
    for text, why in broken:
        certificate.write_text(text)
        assert call(["verify", str(place), str(certificate)]) == 4, why
        assert why in capsys.readouterr().err
    assert call(["verify", str(place), str(tmp_path / "none")]) == 4
    assert call(["verify", str(tmp_path), str(certificate)]) == 4


def test_what_nothing_shows_is_not_re_verified(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The engine in Python gives no order; a search that is too large has no answer."""
    place = history(tmp_path / "fresh.jsonl", *FRESH)
    assert call(["verify", str(place), str(certified(place, "--engine", "python"))]) == 2
    assert "it has no certificate" in capsys.readouterr().out


def test_over_the_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = history(tmp_path / "stale.jsonl", *STALE)
    certificate = certified(place, "--engine", "python")
    monkeypatch.setattr("dissensus.checkers.verifier_orders.PLACES_MAX", 1)
    assert call(["verify", str(place), str(certificate)]) == 2


@native_only
def test_the_order_of_what_is_valid(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = history(tmp_path / "fresh.jsonl", *FRESH)
    certificate = certified(place)
    assert call(["verify", str(place), str(certificate)]) == 0
    for order in ([1, 0, 2, 3], [0, 1, 3], [0, 1, 2], [0, 1, 2, 3, 3], [0, 1, 2, 3, 7]):
        other = changed(certificate, partial(dict.update, order=order))
        assert call(["verify", str(place), str(other)]) == 1, order
    capsys.readouterr()


@native_only
def test_one_order_of_all_keys(tmp_path: Path) -> None:
    events = [
        {"process": p, "type": t, "f": f, "key": k, "value": v}
        for p, t, f, k, v in (
            (0, "invoke", "write", "x", 1),
            (1, "invoke", "write", "y", 1),
            (1, "ok", "write", "y", 1),
            (1, "invoke", "read", "x", None),
            (1, "ok", "read", "x", 1),
            (0, "ok", "write", "x", 1),
            (0, "invoke", "read", "y", None),
            (0, "ok", "read", "y", 1),
        )
    ]
    place = tmp_path / "keys.jsonl"
    place.write_text("".join(json.dumps(event) + "\n" for event in events))
    certificate = certified(place)
    assert call(["verify", str(place), str(certificate)]) == 0
    one_key = changed(certificate, lambda data: data.update(key="x", order=[0, 2]))
    assert call(["verify", str(place), str(one_key)]) == 1


@native_only
def test_the_serial_order_of_transactions(tmp_path: Path) -> None:
    place = history(tmp_path / "txns.jsonl", *SKEW)
    certificate = certified(place)
    assert call(["verify", str(place), str(certificate)]) == 0
    for change in ({"order": [1, 0]}, {"order": [0]}, {"strict": False}):
        other = changed(certificate, partial(dict.update, **change))
        assert call(["verify", str(place), str(other)]) == 1, change
