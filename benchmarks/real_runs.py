"""What runs on real processes find, and what they leave alone.

    python benchmarks/real_runs.py correct [--runs 20] [--first 1] [--store DIR]
    python benchmarks/real_runs.py mutants [--first 1] [--store DIR]

`correct`: runs of the correct Raft, 45 s of chaos each under all families of faults. Each must be
VALID, and its stored history must show that it was worth something: figures are read back from the
run's folder. Over 20 runs every shape of partition has come. `mutants`: random runs of R13 and R07
and scripted ones of R02 and R12; only the checkers that the mutant is found by count. Runs that
passed are removed, the others stay in the store. Exit 1 where something is missed.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from dissensus.harness import store
from dissensus.harness.checker import RunView
from dissensus.harness.history import INFO, OK
from dissensus.harness.workloads import KEYS, OPS_PER_KEY
from dissensus.nemeses.partition import PARTITIONS
from dissensus.nemeses.table import FAMILIES
from dissensus.reports.figures import last_ns, leader_changes, node_segments
from dissensus.systems.reference.mutants.raft import MUTANTS

OK_LEAST = 1_000
INFO_LEAST = 20
LEADER_CHANGES_LEAST = 3
EFFECTS_LEAST = 2
INSTALLED_LEAST = 1
SHAPES_RUNS = 20
"""In so many runs every shape of partition must come."""

CORRECT = (
    *("--nodes", "5", "--time", "45s", "--rate", "200", "--concurrency", "6n"),
    *("--faults", ",".join(FAMILIES)),
    # Snapshots so often that a node which was down for some seconds needs one.
    *("--option", "snapshot_entries=200", "--option", "keep_entries=50"),
)
RANDOM = {
    "R13": (5, 4, ("--nodes", "5", "--faults", "partition,pause")),
    "R07": (5, 3, ("--nodes", "5", "--faults", "partition,kill")),
}
"""Mutant -> (runs, of which must find it, words)."""
SCRIPTED = {"R02": "double-vote", "R12": "early-ack"}
SCRIPTED_RUNS = 5


def main() -> int:
    parser = argparse.ArgumentParser(description="Runs on real processes.")
    parser.add_argument("what", choices=("correct", "mutants"))
    parser.add_argument("--runs", type=int, default=SHAPES_RUNS)
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--store", type=Path, default=None)
    args = parser.parse_args()
    base = args.store or Path(tempfile.mkdtemp(prefix="dissensus-runs-"))
    if args.what == "correct":
        good = correct(base, args.first, args.runs)
    else:
        good = all([*random_runs(base, args.first), *scripted_runs(base, args.first)])
    if good and args.store is None:
        shutil.rmtree(base)
    else:
        print(f"runs that did not pass are in {base}")
    return 0 if good else 1


def made(base: Path, seed: int, *words: str) -> tuple[dict[str, Any], RunView]:
    """Make a run in a process of its own: what `--format json` says of it, and what it stored."""
    command = [sys.executable, "-m", "dissensus", "run", "raft", "--on", "local"]
    command += ["--seed", str(seed), "--store", str(base), "--format", "json", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        said = msgspec.json.decode(done.stdout, type=dict[str, Any])
    except msgspec.DecodeError:
        raise SystemExit(f"{' '.join(command)}: exit {done.returncode}\n{done.stderr}") from None
    return said, store.load(Path(said["run"]))


# -- the correct Raft -------------------------------------------------------------------------


def correct(base: Path, first: int, runs: int) -> bool:
    """The table of runs; whether all is reached."""
    print(f"dissensus run raft --on local {' '.join(CORRECT)}")
    families = " ".join(f"{family:>9.9}" for family in FAMILIES)
    print(f"{'seed':>4} {'verdict':8} {'ok':>6} {'info':>4} {'keys':>4} {'leaders':>7} ", end="")
    print(f"{families} {'installed':>9}  missed")
    good = 0
    shapes: Counter[str] = Counter()
    for seed in range(first, first + runs):
        said, run = made(base, seed, *CORRECT)
        effects = Counter(fault.family for fault in run.faults if fault.effective)
        shapes.update(f.kind for f in run.faults if f.effective and f.family == "partition")
        missed = list(shortcomings(said, run, effects))
        counts = " ".join(f"{effects[family]:>9}" for family in FAMILIES)
        print(
            f"{seed:>4} {said['validity']:8} {run.history.outcome.count(OK):>6} "
            f"{run.history.outcome.count(INFO):>4} {len(keys_of(run)):>4} {leaders_of(run):>7} "
            f"{counts} {installed(run):>9}  {'; '.join(missed) or '-'}",
            flush=True,
        )
        if not missed:
            good += 1
            shutil.rmtree(said["run"])
    print("shapes of partitions: " + ", ".join(f"{kind} {n}" for kind, n in sorted(shapes.items())))
    absent = {partition.kind for partition in PARTITIONS} - set(shapes)
    if absent and runs >= SHAPES_RUNS:
        print(f"shapes that never came: {', '.join(sorted(absent))}")
    print(f"{good} of {runs} runs VALID and worth it")
    return good == runs and not (absent and runs >= SHAPES_RUNS)


def shortcomings(said: dict[str, Any], run: RunView, effects: Counter[str]) -> Iterator[str]:
    """What is not as promised."""
    if said["validity"] != "VALID" or said["exit_code"] != 0:
        accusers = [v["checker"] for v in said["verdicts"] if v["validity"] != "VALID"]
        yield f"{said['validity']} by {', '.join(accusers)} {said['error'] or ''}"
    least = {
        "ok": (run.history.outcome.count(OK), OK_LEAST),
        "info": (run.history.outcome.count(INFO), INFO_LEAST),
        "leader changes": (leaders_of(run), LEADER_CHANGES_LEAST),
        "snapshots installed": (installed(run), INSTALLED_LEAST),
        **{family: (effects[family], EFFECTS_LEAST) for family in FAMILIES},
    }
    for name, (count, needed) in least.items():
        if count < needed:
            yield f"{name}: {count} of {needed}"
    per_key = keys_of(run)
    if max(per_key.values(), default=0) != OPS_PER_KEY or len(per_key) <= KEYS:
        yield f"keys do not roll after {OPS_PER_KEY} operations"
    if sum(count < OPS_PER_KEY for count in per_key.values()) > KEYS:
        yield f"more than {KEYS} keys in use"


def keys_of(run: RunView) -> Counter[Any]:
    """Operations a key, of the chaos."""
    begin, end = run.phase_ns("chaos")
    history = run.history
    rows = [row for row in range(len(history)) if begin <= history.t_inv[row] < end]
    return Counter(history.key_of(row) for row in rows)


def leaders_of(run: RunView) -> int:
    """Changes of leader, as the report counts them."""
    return leader_changes(node_segments(run, last_ns(run)))


def installed(run: RunView) -> int:
    """Snapshots that nodes took over from their leader, by their logs."""
    assert run.directory is not None
    logs = run.directory.glob("nodes/*/node.log")
    return sum(log.read_text(errors="replace").count('"event": "installed"') for log in logs)


# -- mutants ----------------------------------------------------------------------------------


def found_by(said: dict[str, Any], mutant: str) -> list[str]:
    """The checkers that accuse it, of those that it is found by."""
    invalid = [v["checker"] for v in said["verdicts"] if v["validity"] == "INVALID"]
    # What the simulator's oracle calls state-machine-safety is agreement here.
    known = {"agreement" if n == "state-machine-safety" else n for n in MUTANTS[mutant].found_by}
    return [checker for checker in invalid if checker in known]


def random_runs(base: Path, first: int) -> Iterator[bool]:
    """Runs of 60 s under random faults."""
    for mutant, (runs, least, words) in RANDOM.items():
        hits = []
        for seed in range(first, first + runs):
            said, _ = made(base, seed, "--mutant", mutant, "--time", "60s", "--rate", "200", *words)
            found = found_by(said, mutant)
            hits.append(bool(found))
            told = ", ".join(found) or "-"
            print(f"{mutant} seed {seed}: {said['validity']} by {told}", flush=True)
            if found:
                shutil.rmtree(said["run"])
        print(f"{mutant}: INVALID in {sum(hits)} of {runs} random runs of 60 s, at least {least}")
        yield sum(hits) >= least


def scripted_runs(base: Path, first: int) -> Iterator[bool]:
    """Each scenario with its mutant, which must be found, and with the correct Raft, which must
    not be accused.
    """
    for mutant, scenario in SCRIPTED.items():
        hits = alarms = 0
        for seed in range(first, first + SCRIPTED_RUNS):
            said, _ = made(base, seed, "--scenario", scenario, "--mutant", mutant)
            hit = bool(found_by(said, mutant))
            right, _ = made(base, seed, "--scenario", scenario)
            alarm = right["validity"] == "INVALID"
            print(
                f"{scenario} seed {seed}: {mutant} {said['validity']}, correct {right['validity']}",
                flush=True,
            )
            for passed, document in ((hit, said), (not alarm, right)):
                if passed:
                    shutil.rmtree(document["run"])
            hits, alarms = hits + hit, alarms + alarm
        print(
            f"{mutant}: INVALID in {hits} of {SCRIPTED_RUNS} runs of scenario {scenario}; the "
            f"correct Raft in {alarms} of {SCRIPTED_RUNS}"
        )
        yield hits == SCRIPTED_RUNS and not alarms


if __name__ == "__main__":
    sys.exit(main())
