"""The specimen is the same on every machine, shows everything, and is as invalid as it says."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from dissensus.checkers.judge import judge
from dissensus.harness.checker import Budget, RunView
from dissensus.harness.history import INFO, OK
from dissensus.harness.store import EVENTS, VerdictFile
from dissensus.reports.__main__ import main
from dissensus.reports.figures import figures_of
from dissensus.reports.specimen import write_specimen


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    digests = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_specimen(tmp_path / name, ops=3000)
        digests.append(sha256((tmp_path / name / EVENTS).read_bytes()).hexdigest())
    assert digests[0] == digests[1]


def test_it_shows_everything(specimen: tuple[RunView, VerdictFile]) -> None:
    run, _ = specimen
    figures = figures_of(run)
    assert run.complete
    assert min(figures.ok, figures.info, figures.fail) > 0
    assert {count.family for count in figures.faults} == {"partition", "kill", "slow", "pause"}
    assert not all(fault.effective for fault in run.faults)
    assert figures.leader_changes >= 4
    assert {s.state for s in figures.segments} == {"up", "down", "paused"}
    assert {s.role for s in figures.segments} >= {"leader", "follower", "candidate"}
    assert figures.gap_ns[1] - figures.gap_ns[0] > 500_000_000


def test_a_process_ends_with_its_info(specimen: tuple[RunView, VerdictFile]) -> None:
    history = specimen[0].history
    ended: set[int] = set()
    for row in range(len(history)):
        assert history.process[row] not in ended
        if history.outcome[row] == INFO:
            ended.add(history.process[row])


def test_the_stale_read_is_stale(specimen: tuple[RunView, VerdictFile]) -> None:
    """By the record alone: three operations, each over before the next begins, and no other one
    that could have written the value that was read.
    """
    run, verdicts = specimen
    history = run.history
    seen, missed, stale = verdicts.verdicts[0].certificates[0].ops
    assert history.ret[seen] < history.inv[missed]
    assert history.ret[missed] < history.inv[stale]
    key, old = history.key[stale], history.result_of(stale)
    assert history.key[seen] == history.key[missed] == key
    assert history.outcome[seen] == history.outcome[missed] == history.outcome[stale] == OK
    writers = [
        row
        for row in range(len(history))
        if history.key[row] == key and history.arg_of(row) in (old, [old - 1, old])
    ]
    assert writers == [seen]


def test_the_engine_and_the_verifier_say_the_same(specimen: tuple[RunView, VerdictFile]) -> None:
    run, verdicts = specimen
    judged = {verdict.checker: verdict for verdict in judge(run, Budget())}
    for mine in verdicts.verdicts:
        if mine.checker != "agreement":  # the specimen's nodes tell no digests
            assert judged[mine.checker].validity is mine.validity
    (mine,), (theirs,) = (v.certificates for v in (verdicts.verdicts[0], judged["linearizability"]))
    assert mine.blocked == theirs.blocked
    assert theirs.reverified


def test_the_command_makes_a_folder_and_says_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([str(tmp_path / "out"), "2000"])
    assert capsys.readouterr().out == f"{tmp_path / 'out' / 'report.html'}\n"
    with pytest.raises(FileExistsError):
        main([str(tmp_path / "out")])
