"""Random histories in every form: the native reader and the one in Python read the same."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from dissensus.checkers import native
from dissensus.harness.importers import read_history
from tests.checkers.alike import differences

pytestmark = pytest.mark.skipif(
    native.available() is not None, reason=f"no native engine: {native.available()}"
)


def value(dice: random.Random) -> Any:
    plain: list[Any] = [
        None,
        0,
        7,
        -3,
        2**40,
        2**70,
        1.5,
        True,
        "",
        'ä\n"x\\',
        "b",
        [],
        [1, [2, "c"]],
    ]
    return dice.choice(plain)


def events(dice: random.Random) -> list[dict[str, Any]]:
    """Some operations of some processes, a few of them left open."""
    found: list[dict[str, Any]] = []
    idle, busy, time = list(range(4)), {}, 0
    for _ in range(dice.randrange(60)):
        time += dice.randrange(5)
        if idle and (not busy or dice.random() < 0.5):
            process = idle.pop(dice.randrange(len(idle)))
            event = {"f": dice.choice(["read", "write", "cas"]), "value": value(dice)}
            if dice.random() < 0.5:
                event["key"] = dice.choice(["x", 3])
            busy[process] = event
            found.append({"process": process, "type": "invoke", "time": time, **event})
        else:
            process = dice.choice(list(busy))
            event = busy.pop(process)
            kind = dice.choice(["ok", "ok", "fail", "info"])
            done = {**event, "value": value(dice) if dice.random() < 0.5 else event["value"]}
            found.append({"process": process, "type": kind, "time": time, **done})
            idle.append(process)
    return found


@pytest.mark.parametrize("form", ["jsonl", "edn", "json"])
def test_converted_histories_are_read_alike(form: str, tmp_path: Path) -> None:
    dice = random.Random(form)
    rows = 0
    for turn in range(100):
        path, target = tmp_path / f"{turn}.jsonl", tmp_path / f"{turn}.out"
        lines = [json.dumps(event) for event in events(dice)]
        if not lines:
            continue
        path.write_text("\n".join(lines))
        history = native.read(path)
        native.write(history, target, form)
        mine, theirs = read_history(target), native.read(target)
        assert not differences(mine, theirs), target.read_text()
        assert len(mine) == len(history)
        rows += len(mine)
    assert rows > 500


def test_spans_are_read_alike_in_any_order_and_with_ties(tmp_path: Path) -> None:
    dice = random.Random(3)
    for turn in range(200):
        path = tmp_path / f"{turn}.txt"
        lines = []
        for n in range(1 + dice.randrange(30)):
            start = dice.randrange(20)
            end = start + dice.randrange(6)
            name = dice.choice(["enq", "deq", "contains", "PEEK", "rmw"])
            said = dice.choice([f"{n}", "-2", "x", f"{n} 1"])
            if turn % 2:
                lines.append(f"{n} {start} {end} {name} {said}")
            else:
                lines.append(f"{name} {said} {start} {end}")
        path.write_text("# mixed\n" + "\n".join(lines) + "\n")
        difference = differences(read_history(path), native.read(path))
        assert not difference, f"{difference}\n{path.read_text()}"
