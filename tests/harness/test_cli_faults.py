"""`dissensus faults`: every kind of fault, and where it works."""

from __future__ import annotations

import json

import pytest

from dissensus.harness.cli import call
from dissensus.harness.cli_list import fault_lines
from dissensus.nemeses.table import NEMESES


def test_every_kind_is_listed_with_its_family(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["faults", "--on", "sim"]) == 0
    out = capsys.readouterr().out
    for kind, nemesis in NEMESES.items():
        assert f"  {kind} " in out
        assert nemesis.what in out
        assert f"{nemesis.family}\n" in out
    assert "(3+ nodes)" in out
    assert "does not work" not in out
    assert max(map(len, out.splitlines())) <= 112


def test_without_on_every_cluster_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["faults"]) == 0
    assert "local, sim" in capsys.readouterr().out


def test_as_json_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["faults", "--on", "sim", "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["kind"] for row in rows] == list(NEMESES)
    assert rows[0] == {
        "kind": "kill",
        "family": "kill",
        "what": NEMESES["kill"].what,
        "nodes_least": 1,
        "on": {"sim": {"works": True, "why_not": ""}},
    }


def test_what_does_not_work_says_why() -> None:
    row = {"kind": "pause-one", "family": "pause", "what": "stop one node", "nodes_least": 1}
    sims = {"works": True, "why_not": ""}
    rows = [
        {**row, "on": {"ssh": {"works": False, "why_not": "nobody may signal"}, "sim": sims}},
        {**row, "on": {"ssh": {"works": False, "why_not": "nobody may signal"}}},
    ]
    lines = fault_lines(rows).splitlines()
    assert lines[1].split() == ["pause-one", "sim", "stop", "one", "node"]
    assert lines[2].split() == ["pause-one", "-", "stop", "one", "node"]
    assert lines[3:] == ["", "pause does not work on ssh: nobody may signal"]


def test_an_unknown_kind_of_cluster_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["faults", "--on", "sin"]) == 4
    assert "did you mean 'sim'" in capsys.readouterr().err
