"""The native engine beside Porcupine on named histories: CPU time with parsing, memory, verdicts.

    python benchmarks/checkers.py                 the table, medians of 5 (some minutes)
    python benchmarks/checkers.py --quick W1 W4   medians of 3, Porcupine stopped at 5 s

Files come from `generators.py` (and, for W14 and W15, from the labelled histories where they are
found) and go to a folder that is kept between runs (`--files`). Each figure is of a process of its
own: ours is the CPU time from the file's first byte to the verdict, without the interpreter's
start, and the most memory that the process ever held, with the interpreter's; Porcupine's is its
search alone, on operations that were parsed before. The two are run in turn. Porcupine is stopped
at 40 s and 8 GB: "U". The second engine is off. Porcupine gives a verdict and no certificate, so
that the figures are of the verdict; what the minimal certificate of an illegal history takes on top
stands in a column of its own.

A row is reached when its goal is (goals hold on a quiet machine), or, on a busy one, when the ratio
to Porcupine in this run is at least the goal's and the time is within twice the goal.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PORCUPINE_SECONDS = 40
PORCUPINE_BYTES = 8_000_000_000
QUICK_SECONDS = 5
LIMIT = "DISSENSUS_BENCH_PORCUPINE_S"
"""How the limit gets into the process that measures."""
LONG_SECONDS = 3.0
"""What takes Porcupine longer is not run again: the median of one."""
SLACK = 2.0


class Row(NamedTuple):
    """A row of the table. A row with several files counts their median, or their sum."""

    id: str
    what: str
    model: str
    files: tuple[str, ...]
    """Arguments of the generator, or paths below the labelled histories."""
    verdict: str
    goal_ms: float
    goal_mb: float
    ratio: float
    """To Porcupine, of the goal; 0 where Porcupine has no answer."""
    porcupine: bool = True
    prepass: bool = True
    total: bool = False
    """One process takes all files in turn."""


CAS = "cas-register"


def gen(*words: str) -> str:
    return " ".join(("gen", *words))


def seeds(text: str) -> tuple[str, ...]:
    return tuple(f"{text} --seed {seed}" for seed in (1, 2, 3))


A = "--ops 100000 --clients 5"
B = "--ops 1000 --clients {}"
C = "--ops 1000 --clients 5 --crashes {}"
ROWS = (
    Row("W1", "100k operations, legal", CAS, (gen(A),), "VALID", 30, 40, 45),
    Row("W2", "100k, phantom", CAS, (gen(A, "--violate phantom"),), "INVALID", 25, 40, 390),
    Row(
        "W3",
        "15 clients, phantom",
        CAS,
        seeds(gen(B.format(15), "--violate phantom")),
        "INVALID",
        5,
        0,
        500,
    ),
    Row(
        "W4",
        "20 clients, phantom",
        CAS,
        (gen(B.format(20), "--violate phantom"),),
        "INVALID",
        20,
        0,
        3500,
    ),
    Row("W5a", "30 clients, legal", CAS, seeds(gen(B.format(30))), "VALID", 4, 0, 0),
    Row("W5b", "50 clients, legal", CAS, seeds(gen(B.format(50))), "VALID", 4, 0, 0),
    Row(
        "W6",
        "30 clients, phantom, without the pass for values that nobody wrote",
        CAS,
        (gen(B.format(30), "--violate phantom"),),
        "INVALID",
        400,
        100,
        0,
        prepass=False,
    ),
    Row(
        "W7a",
        "8 crashed, phantom",
        CAS,
        seeds(gen(C.format(8), "--violate phantom")),
        "INVALID",
        4,
        0,
        400,
    ),
    Row(
        "W7b",
        "8 crashed, pigeon",
        CAS,
        seeds(gen(C.format(8), "--violate pigeon")),
        "INVALID",
        4,
        0,
        400,
    ),
    Row(
        "W8",
        "12 crashed, phantom",
        CAS,
        (gen(C.format(12), "--violate phantom --seed 2"),),
        "INVALID",
        10,
        0,
        3400,
    ),
    Row(
        "W9a",
        "20 crashed, pigeon",
        CAS,
        seeds(gen(C.format(20), "--violate pigeon")),
        "INVALID",
        200,
        0,
        0,
    ),
    Row(
        "W9b",
        "100 crashed, pigeon",
        CAS,
        (gen(C.format(100), "--violate pigeon"),),
        "INVALID",
        2000,
        0,
        0,
    ),
    Row(
        "W10",
        "1M operations, unique writes, stale",
        "register",
        ("gen --ops 1000000 --mode rw --unique --violate stale",),
        "INVALID",
        150,
        150,
        0,
        porcupine=False,
    ),
    Row(
        "W11",
        "1M operations on a queue",
        "queue",
        ("genq --ops 1000000 --form fastlin",),
        "VALID",
        200,
        120,
        0,
        porcupine=False,
    ),
    Row(
        "W12a",
        "100k list-append transactions",
        "list-append(level=strict-serializable)",
        ("genla --txns 100000 --max-writes 64",),
        "VALID",
        350,
        150,
        0,
        porcupine=False,
    ),
    Row(
        "W12b",
        "the same, one stale read",
        "list-append(level=strict-serializable)",
        ("genla --txns 100000 --max-writes 64 --violate stale",),
        "INVALID",
        500,
        0,
        0,
        porcupine=False,
    ),
    Row(
        "W14",
        "102 logs of etcd, one process",
        "cas-register(init=nil;nil=absent;failed-cas=asserts)",
        ("porcupine/jepsen/*.log",),
        "",
        8,
        0,
        70,
        total=True,
    ),
    Row(
        "W15",
        "key-value map of 50 clients, not split by us",
        "kv",
        ("porcupine/kv/c50-ok.txt",),
        "VALID",
        2,
        0,
        0,
    ),
)


class Measured(NamedTuple):
    """One run: verdict, CPU milliseconds, megabytes, and milliseconds of the certificate."""

    verdict: str
    ms: float
    mb: float
    certificate_ms: float = 0.0


def shared() -> Path | None:
    """The labelled histories, where they are found."""
    place = Path(os.environ.get("DISSENSUS_SHARED", ROOT.parent / "shared")) / "histories"
    return place if (place / "index.csv").exists() else None


def files_of(row: Row, folder: Path) -> list[Path]:
    """The row's files; those that are missing are generated. Empty where they cannot be had."""
    found: list[Path] = []
    for text in row.files:
        words = text.split()
        if words[0].startswith("gen"):
            path = folder / ("_".join(words).replace("--", "") + ".txt")
            if not path.exists():
                half = path.with_suffix(".half")
                with half.open("w", encoding="utf-8") as out:
                    subprocess.run(
                        [sys.executable, HERE / "generators.py", *words], stdout=out, check=True
                    )
                half.rename(path)
            found.append(path)
        elif (place := shared()) is not None:
            found += sorted(path for path in place.glob(text) if path.stat().st_size)
    return found


# -- one measurement, in a process of its own ----------------------------------------------------


def measure_ours(row: Row, paths: list[Path]) -> None:
    """Read and judge; prints a Measured as JSON."""
    from dissensus.checkers import _engine

    def judge(history: Any, certificates: int) -> dict[str, Any]:
        if row.model.startswith("list-append"):
            return dict(json.loads(_engine.transactions(history, "list-append")))
        options = {"prepass": row.prepass, "certificates": certificates}
        return dict(json.loads(_engine.check(history, row.model, **options)))

    begin = time.process_time_ns()
    histories = [_engine.read(str(path)) for path in paths]
    verdicts = [verdict_of(judge(history, 0)) for history in histories]
    spent = time.process_time_ns() - begin
    peak = peak_mb()
    # Judged again, with what an illegal history has to show: the difference is the certificate's.
    again = time.process_time_ns()
    if "INVALID" in verdicts and not row.model.startswith("list-append"):
        for history in histories:
            judge(history, 1)
    certificate = time.process_time_ns() - again
    print(json.dumps(Measured(" ".join(verdicts), spent / 1e6, peak, certificate / 1e6)))


def verdict_of(found: dict[str, Any]) -> str:
    """The engine lists the objects that are not legal, and anomalies of transactions: any of them
    breaks strict serializability.
    """
    if "anomalies" in found:
        return "INVALID" if found["anomalies"] else "UNKNOWN" if found["unknown"] else "VALID"
    answers = {listed["answer"] for listed in found["objects"]}
    return "INVALID" if "illegal" in answers else "UNKNOWN" if answers else "VALID"


def peak_mb() -> float:
    """The most memory that this process held since it was started, in MB of 10^6 bytes."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e6


def measure_porcupine(row: Row, paths: list[Path]) -> None:
    """Convert, and ask the helper; prints a Measured as JSON."""
    from dissensus.checkers import native, second

    verdicts, spent, peak = [], 0.0, 0.0
    for path in paths:
        said = second.ask_porcupine(
            native.read(path),
            row.model,
            seconds=float(os.environ.get(LIMIT, PORCUPINE_SECONDS)),
            memory_bytes=PORCUPINE_BYTES,
        )
        words = {"ok": "VALID", "illegal": "INVALID", "unknown": "U"}
        verdicts.append(words[said["verdict"]])
        spent += said["cpu_ns"] / 1e6
        peak = max(peak, said["peak_bytes"] / 1e6)
    print(json.dumps(Measured(" ".join(verdicts), spent, peak)))


def run(side: str, row: Row, paths: list[Path]) -> Measured:
    """A measurement in a new process."""
    done = subprocess.run(
        [sys.executable, __file__, "--measure", side, row.id, *map(str, paths)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{row.id} {side}: {done.stderr.strip()[-2000:]}")
    return Measured(*json.loads(done.stdout.splitlines()[-1]))


# -- the table -----------------------------------------------------------------------------------


class Result(NamedTuple):
    """A row measured."""

    row: Row
    ours: Measured
    porcupine: Measured | None
    reached: bool
    note: str


def median(found: list[Measured]) -> Measured:
    return Measured(
        found[0].verdict,
        statistics.median(m.ms for m in found),
        statistics.median(m.mb for m in found),
        statistics.median(m.certificate_ms for m in found),
    )


def measured(row: Row, folder: Path, times: int) -> Result | None:
    """The row's figures; None where its files cannot be had."""
    paths = files_of(row, folder)
    if not paths:
        return None
    groups = [paths] if row.total else [[path] for path in paths]
    sides: dict[str, list[Measured]] = {"ours": [], "porcupine": []}
    for group in groups:
        ours: list[Measured] = []
        theirs: list[Measured] = []
        for _ in range(times):
            ours.append(run("ours", row, group))
            if row.porcupine and not any(m.ms > 1000 * LONG_SECONDS for m in theirs):
                theirs.append(run("porcupine", row, group))
        sides["ours"].append(median(ours))
        if theirs:
            sides["porcupine"].append(median(theirs))
    return judged(row, sides["ours"], sides["porcupine"])


def judged(row: Row, ours: list[Measured], theirs: list[Measured]) -> Result:
    """Verdicts first: figures of a wrong answer mean nothing."""
    for mine in ours:
        if row.verdict and mine.verdict != row.verdict:
            raise SystemExit(f"{row.id}: {mine.verdict}, expected {row.verdict}")
    for mine, other in zip(ours, theirs, strict=bool(theirs)):
        pairs = zip(mine.verdict.split(), other.verdict.split(), strict=True)
        if any(b not in ("U", a) for a, b in pairs):
            raise SystemExit(f"{row.id}: {mine.verdict}, and Porcupine {other.verdict}")
    mine = median(ours)
    other = median(theirs) if theirs else None
    small = not row.goal_mb or mine.mb <= row.goal_mb
    if mine.ms <= row.goal_ms and small:
        return Result(row, mine, other, True, "goal")
    answered = [t for t in theirs if "U" not in t.verdict.split()]
    if answered and row.ratio and statistics.median(t.ms for t in answered) / mine.ms >= row.ratio:
        return Result(row, mine, other, small, "ratio")
    busy = mine.ms <= SLACK * row.goal_ms and (not row.goal_mb or mine.mb <= SLACK * row.goal_mb)
    return Result(row, mine, other, False, "within twice the goal" if busy else "missed")


def line(result: Result) -> str:
    row, ours, theirs = result.row, result.ours, result.porcupine
    goal = f"{row.goal_ms:g} ms" + (f" / {row.goal_mb:g} MB" if row.goal_mb else "")
    mine = f"{ours.ms:.1f} ms / {ours.mb:.0f} MB"
    if theirs is None:
        other, ratio = "-", "-"
    elif "U" in theirs.verdict.split():
        other, ratio = "U", "-"
    else:
        other = f"{theirs.ms:.1f} ms / {theirs.mb:.0f} MB"
        ratio = f"{theirs.ms / ours.ms:.0f}x" + (f" ({row.ratio:g}x)" if row.ratio else "")
    proof = f"{ours.certificate_ms:.0f} ms" if ours.certificate_ms > 0.5 else "-"
    cells = (
        f"{goal:>17}",
        f"{mine:>20}",
        f"{proof:>12}",
        f"{other:>20}",
        f"{ratio:>14} ",
        result.note,
    )
    return f"{row.id:<5} {row.what:<44.44} {' '.join(cells)}"


def main() -> int:
    top = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    top.add_argument("rows", nargs="*", help="ids; all of them by default")
    top.add_argument("--quick", action="store_true", help="medians of 3, Porcupine stopped at 5 s")
    top.add_argument("--files", type=Path, default=ROOT / "build" / "histories")
    top.add_argument("--measure", nargs=2, metavar=("SIDE", "ROW"), help=argparse.SUPPRESS)
    args = top.parse_args()
    if args.measure:
        side, name = args.measure
        row = next(row for row in ROWS if row.id == name)
        sides: dict[str, Callable[[Row, list[Path]], None]] = {
            "ours": measure_ours,
            "porcupine": measure_porcupine,
        }
        sides[side](row, [Path(path) for path in args.rows])
        return 0
    return table(args)


def table(args: Any) -> int:
    """Measure and print; 1 where a goal is missed."""
    args.files.mkdir(parents=True, exist_ok=True)
    if args.quick:
        os.environ[LIMIT] = str(QUICK_SECONDS)
    head = ("", "history", "goal", "ours", "certificate", "porcupine", "ratio (goal)")
    print("{:<5} {:<44} {:>17} {:>20} {:>12} {:>20} {:>14}".format(*head), flush=True)
    missed = []
    for row in ROWS:
        if args.rows and row.id.rstrip("ab") not in args.rows:
            continue
        result = measured(row, args.files, 3 if args.quick else 5)
        if result is None:
            print(f"{row.id:<5} {row.what:<44} not measured: no labelled histories here")
            continue
        print(line(result), flush=True)
        if not result.reached:
            missed.append(row.id)
    print(f"missed: {', '.join(missed)}" if missed else "every goal is reached")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
