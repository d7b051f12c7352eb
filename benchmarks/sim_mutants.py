"""How soon the explorer finds each mutant on `sim` from random seeds, and that it is silent on the
correct core.

    python benchmarks/sim_mutants.py                       five mutants, 5 starts each, then clean
    python benchmarks/sim_mutants.py --mutants R13 --starts 9
    python benchmarks/sim_mutants.py --mutants "" --clean 2000

A start is a range of seeds of its own; every run draws size, clients, options and profile from its
seed, and nothing is tuned to the mutant that is hunted. Figures are CPU seconds of this process.
Exit 1 where a mutant needs more than the budget in any start, or the correct core raises an alarm;
each finding prints the seed that shows it again (`--seed`).
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import time
from typing import Any

from dissensus.checkers.linearizability import PythonEngine
from dissensus.checkers.models import make_model
from dissensus.harness.checker import Budget
from dissensus.harness.history import History
from dissensus.harness.randomness import Rng
from dissensus.harness.sim.explore import Draw, Limits, Outcome, run_seed
from dissensus.harness.system import System
from dissensus.harness.verdict import Validity
from dissensus.systems.reference.mutants.raft import MUTANTS
from dissensus.systems.reference.system import RaftSystem

FOUND_BY = {"history": "linearizability", "panic": "no-panic"}
"""Kinds of the explorer's outcomes -> the checker's name; the rest have one name."""
MODEL = make_model("cas-register")
BUDGET = Budget(configurations=50_000)
"""A second: a run of three seconds that needs more has dozens of crashed operations on a key."""
BUDGET_CPU_S = 60.0
START_STEP = 1_000_000
"""Seeds between two starts: more than any start gets through."""
ELECTION_NS = 100_000_000
"""A third of the default, so that three seconds see three times as many elections."""
COLLECT_EVERY = 20
"""Runs between garbage collections: collecting on the way costs 15 %."""


UNDECIDED = "undecided"
"""What the judge's sentence begins with where the budget was too small."""


def judge(history: History) -> str | None:
    """The linearizability engine's reason where a history is illegal, or not decided."""
    verdict = PythonEngine().check(history, MODEL, BUDGET)
    if verdict.validity is Validity.UNKNOWN:
        return f"{UNDECIDED}: {verdict.reason}"
    return None if verdict.validity is Validity.VALID else verdict.reason


def finder(outcome: Outcome) -> str:
    """The checker or oracle that found something in this run; "" for none."""
    if outcome.kind == "history" and outcome.text.startswith(UNDECIDED):
        return ""
    return FOUND_BY.get(outcome.kind, outcome.kind)


def draw_of(mutant: str) -> Draw:
    """Systems with this mutant, or the correct one: limits are small in part of the runs, so that
    they are met.
    """

    def draw(rng: Rng, nodes: int) -> System:
        options: dict[str, Any] = {
            "election_ms": ELECTION_NS // 1_000_000,
            "heartbeat_ms": ELECTION_NS // 6_000_000,
            "max_entries": rng.choice((1, 1, 4, 512)),
            "snapshot_entries": rng.choice((5, 40, 10_000)),
            "keep_entries": rng.choice((0, 3, 1_000)),
            "lease_reads": rng.chance(1, 4),
        }
        return RaftSystem(mutant=mutant or None, **options)

    return draw


class Hunter:
    """Runs seeds and keeps the books."""

    def __init__(self) -> None:
        self.limits = Limits(election_ns=ELECTION_NS)
        self.draws: dict[str, Draw] = {}

    def run(self, mutant: str, seed: int) -> Outcome:
        """One seed."""
        draw = self.draws.get(mutant)
        if draw is None:
            draw = self.draws[mutant] = draw_of(mutant)
        outcome = run_seed(seed, draw, judge, limits=self.limits)
        if seed % COLLECT_EVERY == 0:
            gc.collect()
        return outcome

    def hunt(self, mutant: str, first: int, budget_cpu_s: float) -> float | None:
        """CPU seconds until the mutant is found from seed `first` on, by a checker that is named
        for it; None over the budget.
        """
        named = MUTANTS[mutant].found_by
        begin = time.process_time()
        seed = first
        while True:
            outcome = self.run(mutant, seed)
            took = time.process_time() - begin
            if finder(outcome) in named:
                print(
                    f"  {mutant} found in {took:.2f} CPU-s, {seed - first + 1} runs: seed {seed}, "
                    f"{outcome.profile}, n={outcome.nodes}, {outcome.text}",
                    flush=True,
                )
                return took
            if took > budget_cpu_s:
                print(
                    f"  {mutant} not found in {took:.0f} CPU-s, {seed - first + 1} runs "
                    f"from seed {first} on"
                )
                return None
            seed += 1

    def clean(self, runs: int, first: int) -> int:
        """Alarms on the correct core."""
        alarms = ok = events = stuck = undecided = 0
        begin = time.process_time()
        for seed in range(first, first + runs):
            outcome = self.run("", seed)
            ok += outcome.ok
            events += outcome.events
            stuck += not outcome.recovered
            undecided += bool(outcome.kind) and not finder(outcome)
            if finder(outcome):
                alarms += 1
                print(f"  ALARM seed {seed}, {outcome.profile}, {outcome.kind}: {outcome.text}")
        took = time.process_time() - begin
        virtual_s = runs * self.limits.time_ns / 1e9
        print(
            f"figure: correct core: {alarms} alarms in {runs} seeds of "
            f"{self.limits.time_ns / 1e9:g} virtual s ({took:.0f} CPU-s, {virtual_s / took:.0f} "
            f"virtual s per CPU-s, {events / took:,.0f} events/s, {ok / runs:.0f} ok operations a "
            f"run, {stuck} runs without a read after the mishaps, {undecided} histories undecided)"
        )
        return alarms


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("--mutants", default=",".join(MUTANTS), help="comma-separated; '' for none")
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--budget", type=float, default=BUDGET_CPU_S, help="CPU seconds per start")
    parser.add_argument("--clean", type=int, default=2000, help="seeds on the correct core")
    parser.add_argument("--seed", type=int, default=0, help="first seed")
    args = parser.parse_args()
    gc.disable()
    hunter = Hunter()
    failed = False
    for mutant in filter(None, args.mutants.split(",")):
        RaftSystem(mutant=mutant)  # an unknown one is an error
        times = [
            hunter.hunt(mutant, args.seed + start * START_STEP, args.budget)
            for start in range(args.starts)
        ]
        found = [t for t in times if t is not None]
        failed |= len(found) < len(times)
        median = f"median {statistics.median(found):.1f}, worst {max(found):.1f}" if found else ""
        print(f"figure: {mutant}: {len(found)} of {len(times)} starts, CPU-s {median}", flush=True)
    if args.clean:
        failed |= hunter.clean(args.clean, args.seed) > 0
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
