"""The runner: phases in order, and whatever happens in one, faults are undone and the history ends
with a line that says so. In virtual time, with the toy system and the bundled Raft.
"""

from __future__ import annotations

import errno
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dissensus.checkers.judge import judge
from dissensus.harness import runner as runner_module
from dissensus.harness import store
from dissensus.harness.checker import Budget, RunView
from dissensus.harness.clusters.sim import SimCluster
from dissensus.harness.errors import EnvironmentFault, SystemFault, UserError
from dissensus.harness.events import EventWriter
from dissensus.harness.journal import read_journal
from dissensus.harness.plan import Plan
from dissensus.harness.progress import Tally
from dissensus.harness.registry import load_system
from dissensus.harness.runner import Faults, Parts, RunEnd, make_run, prepare
from dissensus.harness.verdict import Validity, compose
from dissensus.harness.workloads import load_workload
from dissensus.nemeses.schedule import compose as compose_schedule
from dissensus.nemeses.schedule import run_schedule
from dissensus.nemeses.table import FAMILIES, NEMESES

S = 1_000_000_000
PHASES = ["set-up", "warm-up", "chaos", "heal", "final", "teardown"]


def parts_of(system: str, bug: str = "", **plan: Any) -> Parts:
    made = Plan(**{"system": system, "on": "sim", "time_ns": 5 * S, "seed": 1, **plan})
    return Parts(
        plan=made,
        system=load_system(system, {"bug": bug} if bug else made.options),
        workload=load_workload(made.workload),
        faults=Faults(nemeses=NEMESES, compose=compose_schedule, follow=run_schedule),
    )


def perform(parts: Parts, folder: Path, **options: Any) -> tuple[RunEnd, RunView]:
    end = make_run(prepare(parts, folder), provenance={"seed": parts.plan.seed}, **options)
    return end, store.load(folder)


def whole(run: RunView) -> None:
    """Nothing is left broken, and the history has its last line."""
    assert run.complete
    assert all(fault.healed for fault in run.faults)
    assert run.directory is not None
    assert read_journal(run.directory).open == {}


def test_a_run_has_all_its_phases(toy_name: str, tmp_path: Path) -> None:
    tally = Tally()
    parts = parts_of(toy_name, faults=("kill", "partition"), rate_hz=50.0)
    end, run = perform(parts, tmp_path, tally=tally)
    assert (end.outcome, end.error, end.left) == ("complete", None, ())
    assert end.line == run.end
    whole(run)
    assert [name for name, _ in run.phases] == PHASES
    begin, until = run.phase_ns("chaos")
    assert 5 * S <= until - begin < 7 * S
    assert run.end | {"t": 0} == {
        "ev": "end",
        "t": 0,
        "outcome": "complete",
        "phase": None,
        "error": None,
        "left": [],
    }
    assert {fault.family for fault in run.faults} == {"kill", "partition"}
    assert run.header["fs"] == ["read", "write", "cas"]
    assert run.header["plan"]["rate_hz"] == 50.0
    assert run.provenance["cluster"]["cluster"] == "sim"
    assert {report.node for report in run.nodes} == {"n1", "n2", "n3"}
    assert tally.snapshot().phase == "teardown"
    verdicts = judge(run, Budget())
    assert compose(verdicts) is Validity.VALID, verdicts


def test_the_rate_is_kept_and_the_last_reads_reach_every_node(
    toy_name: str, tmp_path: Path
) -> None:
    _, run = perform(parts_of(toy_name, rate_hz=200.0), tmp_path)
    begin, until = run.phase_ns("chaos")
    rows = range(len(run.history))
    chaos = [row for row in rows if begin <= run.history.t_inv[row] < until]
    assert 900 <= len(chaos) <= 1100
    final = [row for row in rows if run.history.extra.get(row, {}).get("final")]
    read = {(run.history.process[row] % 6, run.history.key_of(row)) for row in final}
    keys = {key for _, key in read}
    assert read == {(thread, key) for thread in range(6) for key in keys}
    assert len(keys) >= 5


def test_a_wrong_workload_begins_no_fault(toy_name: str, tmp_path: Path) -> None:
    class Wrong:
        name, fs, model = "wrong", ("read",), "register"

        def warmup(self, concurrency: int) -> Any:
            return {"f": "read", "key": 1}

        def generator(self, concurrency: int) -> Any:
            return iter([{"f": "read", "key": 1}])

        def final(self, concurrency: int, keys: Any) -> Any:
            return []

    begun = []

    async def follow(*_: Any) -> None:
        begun.append(True)

    faults = Faults(nemeses=NEMESES, compose=compose_schedule, follow=follow)
    parts = replace(parts_of(toy_name, faults=("kill",)), workload=Wrong(), faults=faults)
    end, run = perform(parts, tmp_path)
    assert isinstance(end.error, UserError)
    assert "is no generator" in str(end.error)
    assert begun == []
    whole(run)


def test_a_bug_is_found(toy_name: str, tmp_path: Path) -> None:
    _, run = perform(
        parts_of(toy_name, "read-anywhere", faults=("partition",), rate_hz=200.0), tmp_path
    )
    found = [v.checker for v in judge(run, Budget()) if v.validity is Validity.INVALID]
    assert found == ["linearizability"]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    """In fresh processes with different hash seeds; the folder's name is not in the events."""
    code = (
        "import sys; from dissensus.harness.cli import call; "
        "sys.exit(call(['run', 'raft', '--on', 'sim', '--time', '4s', '--nodes', '5', "
        f"'--faults', '{','.join(FAMILIES)}', '--seed', sys.argv[1], '--store', sys.argv[2]]))"
    )
    texts = []
    for hash_seed, seed in (("1", "7"), ("2", "7"), ("3", "8")):
        base = tmp_path / hash_seed
        done = subprocess.run(
            [sys.executable, "-c", code, seed, str(base)],
            env={"PYTHONHASHSEED": hash_seed, "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in (0, 5), done.stderr
        texts.append((base / "raft" / "latest" / store.EVENTS).read_bytes())
    assert len(texts[0]) > 10_000
    assert texts[0] == texts[1]
    assert texts[0] != texts[2]


@pytest.mark.parametrize("seed", range(12))
def test_correct_raft_is_never_accused(seed: int, tmp_path: Path) -> None:
    nodes = 3 if seed % 2 else 5
    parts = parts_of("raft", faults=FAMILIES, nodes=nodes, concurrency=2 * nodes, seed=seed)
    end, run = perform(parts, tmp_path)
    assert end.outcome == "complete"
    whole(run)
    accused = [v for v in judge(run, Budget()) if v.validity is Validity.INVALID]
    assert not accused


def test_a_system_that_does_not_come_up(toy_name: str, tmp_path: Path) -> None:
    end, run = perform(parts_of(toy_name, "stillborn"), tmp_path)
    assert end.outcome == "failed"
    assert isinstance(end.error, SystemFault)
    assert "n3 did not come up" in str(end.error)
    assert "no configuration fits" in str(end.error)
    whole(run)
    assert [name for name, _ in run.phases] == ["set-up", "heal", "teardown"]
    assert (run.end["phase"], run.end["error"]) == ("set-up", str(end.error))


def test_a_system_that_never_serves(toy_name: str, tmp_path: Path) -> None:
    end, run = perform(parts_of(toy_name, "mute"), tmp_path)
    assert isinstance(end.error, SystemFault)
    assert "toy does not serve: read, write, cas did not succeed once in 20 s" in str(end.error)
    assert str(tmp_path / "nodes") in str(end.error)
    assert [name for name, _ in run.phases] == ["set-up", "warm-up", "heal", "teardown"]
    assert len(run.history) > 10


def test_a_system_that_dies_in_the_warm_up_is_said_to(toy_name: str, tmp_path: Path) -> None:
    end, run = perform(parts_of(toy_name, "dies"), tmp_path)
    assert "without any fault; n1 ended by itself, saying: " in str(end.error)
    dead = [mark for mark in run.marks if mark["name"] == "node-died"]
    assert len(dead) == 3
    assert "the register is upside down" in dead[0]["log"][-1]
    assert [v.checker for v in judge(run, Budget()) if v.validity is Validity.INVALID] == [
        "no-panic"
    ]


def test_a_death_that_no_fault_explains_is_a_failure(toy_name: str, tmp_path: Path) -> None:
    parts = parts_of(toy_name)

    async def kills(env: Any, injector: Any, schedule: Any, until: int) -> None:
        await env.sleep(S)
        await injector.cluster.nodes["n2"].kill()

    end, run = perform(
        replace(parts, faults=Faults(nemeses=NEMESES, compose=compose_schedule, follow=kills)),
        tmp_path,
    )
    assert end.outcome == "failed"
    assert str(end.error) == "n2 ended by itself"
    assert [name for name, _ in run.phases] == PHASES


def test_the_user_may_end_a_run_early(toy_name: str, tmp_path: Path) -> None:
    tally = Tally()
    parts = parts_of(toy_name, faults=("pause",), time_ns=1000 * S)
    end, run = perform(
        parts, tmp_path, tally=tally, stop=lambda: tally.snapshot().faults_effective > 2
    )
    assert (end.outcome, end.error) == ("interrupted", None)
    assert run.end["phase"] == "chaos"
    whole(run)
    assert [name for name, _ in run.phases] == PHASES
    begin, until = run.phase_ns("chaos")
    assert until - begin < 100 * S
    assert len(run.faults) == 3


class SmallDisk:
    """A file that is full after some bytes, until there is room again."""

    def __init__(self, file: Any, room: int) -> None:
        self.file = file
        self.room = room

    def write(self, view: memoryview) -> int:
        if self.room <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = int(self.file.write(view[: self.room]))
        self.room -= taken
        return taken

    def close(self) -> None:
        self.file.close()


@pytest.mark.parametrize("room_again", [False, True])
def test_a_full_disk_ends_the_run_in_order(
    toy_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room_again: bool
) -> None:
    disks: list[SmallDisk] = []

    class Writer(EventWriter):
        def __init__(self, path: Path, header: Mapping[str, Any], **watch: Any) -> None:
            super().__init__(path, header, **watch)
            disks.append(SmallDisk(self._file, 60_000))
            self._file = disks[0]  # type: ignore[assignment]

    monkeypatch.setattr("dissensus.harness.recorder.EventWriter", Writer)
    torn_down: list[SimCluster] = []

    async def teardown(self: SimCluster) -> list[str]:
        torn_down.append(self)
        if room_again:
            disks[0].room = 1 << 30
        return []

    monkeypatch.setattr(SimCluster, "teardown", teardown)
    parts = parts_of(toy_name, faults=("pause",), time_ns=100 * S)
    end, run = perform(parts, tmp_path)
    assert end.outcome == "failed"
    assert isinstance(end.error, OSError)
    assert end.error.errno == errno.ENOSPC
    (cluster,) = torn_down
    assert all(node.machine.state == "up" for node in cluster.handles.values())
    assert read_journal(tmp_path).open == {}
    assert len(run.history) > 100
    assert run.complete is room_again
    assert judge(run, Budget())


def test_a_journal_that_cannot_be_written_stops_the_faults(
    toy_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Any, *args: Any) -> None:
        raise EnvironmentFault("undo.jsonl: No space left on device")

    monkeypatch.setattr("dissensus.harness.journal.Journal.begin", full)
    end, run = perform(parts_of(toy_name, faults=("kill",), time_ns=100 * S), tmp_path)
    assert str(end.error) == "undo.jsonl: No space left on device"
    assert run.complete
    assert run.faults == []
    assert run.phase_ns("chaos")[1] - run.phase_ns("chaos")[0] < 10 * S


def test_a_client_with_a_bug_ends_the_run(
    toy_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = parts_of(toy_name, faults=("pause",), time_ns=100 * S)
    made = parts.system.client

    def client(workload: str) -> Any:
        one = made(workload)

        async def cas(key: Any, value: Any) -> Any:
            raise ZeroDivisionError("a bug")

        one.cas = cas  # type: ignore[attr-defined]
        return one

    parts.system.client = client  # type: ignore[method-assign]
    end, run = perform(parts, tmp_path)
    assert isinstance(end.error, SystemFault)
    assert "ZeroDivisionError: a bug" in str(end.error)
    whole(run)


def test_what_cannot_be_healed_or_removed_is_a_failure(
    toy_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def teardown(self: SimCluster) -> list[str]:
        return ["process 7 of the run does not end"]

    monkeypatch.setattr(SimCluster, "teardown", teardown)
    end, run = perform(parts_of(toy_name), tmp_path)
    assert end.outcome == "failed"
    assert end.left == ("process 7 of the run does not end",)
    assert run.end["left"] == list(end.left)
    assert "process 7" in run.end["error"]


def test_an_undo_that_fails_is_told(
    toy_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def undo(self: Any, cluster: Any, fault: Any) -> None:
        raise SystemFault("it does not start")

    monkeypatch.setattr(type(NEMESES["kill"]), "undo", undo)
    end, run = perform(parts_of(toy_name, faults=("kill",)), tmp_path)
    assert end.outcome == "failed"
    assert "not all faults are undone: fault 1 (kill" in str(end.error)
    assert run.complete
    assert not run.faults[0].healed
    assert read_journal(tmp_path).open


def test_a_fault_that_the_cluster_cannot_do_is_refused_before_anything_begins(
    toy_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SimCluster, "capabilities", frozenset({"kill"}))
    monkeypatch.setattr(SimCluster, "refusals", {"pause": "nobody pauses here"})
    with pytest.raises(UserError, match=r"'pause' cannot be injected on sim: nobody pauses here"):
        prepare(parts_of(toy_name, faults=("pause",)), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_hanging_teardown_does_not_hold_the_run(
    toy_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def teardown(self: SimCluster) -> list[str]:
        await self.env.sleep(10**6 * S)
        return []

    monkeypatch.setattr(SimCluster, "teardown", teardown)
    end, run = perform(parts_of(toy_name), tmp_path)
    assert "phase teardown did not come to its end: not done within 30000 ms" in str(end.error)
    assert run.complete


def test_a_slow_teardown_is_no_death_of_nodes(
    toy_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def teardown(self: SimCluster) -> list[str]:
        for node in self.handles.values():
            node.machine.kill()
            await self.env.sleep(S)
        return []

    monkeypatch.setattr(SimCluster, "teardown", teardown)
    end, run = perform(parts_of(toy_name), tmp_path)
    assert end.error is None
    assert run.marks == []


def test_a_nemesis_that_hangs_does_not_hold_the_run(toy_name: str, tmp_path: Path) -> None:
    async def hangs(env: Any, injector: Any, schedule: Any, until: int) -> None:
        await env.sleep(10**6 * S)

    faults = Faults(nemeses=NEMESES, compose=compose_schedule, follow=hangs)
    end, run = perform(replace(parts_of(toy_name), faults=faults), tmp_path)
    assert "phase chaos did not come to its end" in str(end.error)
    assert [name for name, _ in run.phases] == PHASES


def test_a_mistake_in_a_workload_is_its_author_s_and_one_of_ours_is_ours(
    toy_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = parts_of(toy_name)
    monkeypatch.setattr(parts.workload, "generator", lambda concurrency: lambda ctx: {}["no"])
    end, _ = perform(parts, tmp_path)
    assert isinstance(end.error, UserError)
    assert "test_runner.py, line " in str(end.error)
    (tmp_path / "ours").mkdir()
    parts = parts_of(toy_name)
    monkeypatch.setattr(parts.workload, "generator", lambda concurrency: object())
    monkeypatch.setattr("dissensus.harness.runner.lift", None)
    end, _ = perform(parts, tmp_path / "ours")
    assert type(end.error) is TypeError


def test_unknown_errors_keep_their_name() -> None:
    words: Callable[[Exception], str] = runner_module.words_of
    assert words(ZeroDivisionError("by zero")) == "ZeroDivisionError: by zero"
    assert words(UserError("as it is")) == "as it is"
