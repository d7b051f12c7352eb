"""A specimen: a made-up run, the same on every machine, that shows everything a report can show.

Nothing ran: operations are drawn from a seed against a script of faults, placed at random moments
between their invocation and completion, and given the results that a register would give at these
moments. One read is then made stale, so the specimen is INVALID with a certificate. It goes the way
of a real run: events.jsonl, verdict.json, report.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import msgspec

from dissensus.harness.checker import RunView
from dissensus.harness.errors import InternalError
from dissensus.harness.events import EventWriter
from dissensus.harness.history import FAIL, INFO, OK, OUTCOMES
from dissensus.harness.ops import Op, OpType
from dissensus.harness.plan import Plan
from dissensus.harness.randomness import Rng
from dissensus.harness.store import (
    EVENTS,
    RUN,
    VerdictFile,
    load,
    read_verdicts,
    write_json,
    write_verdicts,
)
from dissensus.harness.verdict import Certificate, Validity, Verdict

MS = 1_000_000
S = 1000 * MS
CYCLE = 30 * S
"""The script of faults repeats after this."""
TIMEOUT = 1 * S
NODES = ("n1", "n2", "n3", "n4", "n5")
KEYS = 5
EPOCH = 5 * S
"""Keys are replaced after this, as the cas-register workload does after some operations."""
START = 1200 * MS
"""Set-up and warm-up come before the first operation."""
OPS = 6000


class Trouble(msgspec.Struct, kw_only=True, frozen=True):
    """One fault of the script, and what it does to operations."""

    begin: int
    end: int
    kind: str
    targets: dict[str, Any]
    asked: dict[str, Any]
    measured: dict[str, Any]
    effective: bool = True
    silent: tuple[str, ...] = ()
    """Nodes whose clients get no answer."""
    election: int = 0
    """Until then nobody gets an answer: there is no leader."""
    leader: str = ""
    """Who leads from then on."""
    delay: int = 0


SCRIPT = (
    Trouble(
        begin=3 * S, end=6 * S, kind="partition", silent=("n2",), leader="n4",
        election=3 * S + 870 * MS,
        targets={"halves": [["n2"], ["n1", "n3", "n4", "n5"]]}, asked={"shape": "isolate-leader"},
        measured={"blocked": ["n2>n1", "n1>n2"], "probes": 8},
    ),
    Trouble(
        begin=9 * S, end=11 * S + 500 * MS, kind="kill", silent=("n4",), leader="n1",
        election=9 * S + 640 * MS, targets={"nodes": ["n4"]}, asked={"signal": "KILL"},
        measured={"n4": "down"},
    ),
    Trouble(
        begin=14 * S, end=17 * S, kind="slow", targets={"links": ["n1>n3", "n3>n1"]},
        asked={"delay_ms": 40, "jitter_ms": 15}, measured={"rtt_ms": 81.4}, delay=40 * MS,
    ),
    Trouble(
        begin=18 * S + 200 * MS, end=18 * S + 900 * MS, kind="slow", effective=False,
        targets={"links": ["n2>n5"]}, asked={"delay_ms": 5}, measured={"rtt_ms": 0.3},
    ),
    Trouble(
        begin=19 * S + 500 * MS, end=22 * S, kind="pause", silent=("n1",), leader="n5",
        election=20 * S + 310 * MS, targets={"nodes": ["n1"]}, asked={"signal": "STOP"},
        measured={"n1": "paused"},
    ),
    Trouble(
        begin=24 * S + 500 * MS, end=28 * S, kind="partition", silent=("n5",), leader="n3",
        election=25 * S + 130 * MS,
        targets={"halves": [["n5", "c5"], ["n1", "n2", "n3", "n4"]]},
        asked={"shape": "isolate-leader-with-client"},
        measured={"blocked": ["n5>n1", "n1>n5"], "probes": 10},
    ),
)  # fmt: skip


class Draft(msgspec.Struct, kw_only=True):
    """An operation of the specimen before it is written down."""

    begin: int
    end: int
    thread: int
    f: str
    key: int
    arg: Any
    result: Any = None
    outcome: int = OK
    point: int = -1
    """When it takes effect; -1 for never."""
    error: str | None = None

    @property
    def node(self) -> str:
        return NODES[self.thread % len(NODES)]


class Maker:
    """Draws the operations of a specimen."""

    def __init__(self, *, ops: int, seed: int) -> None:
        self.rng = Rng(seed, "specimen")
        self.cycles = max(1, min(10, ops // 20_000))
        self.length = self.cycles * CYCLE
        self.threads = 10 if ops <= 20_000 else 20
        self.gap = max(1000, self.length * self.threads // ops - 2 * MS)
        self.troubles = [
            msgspec.structs.replace(
                t, begin=t.begin + shift, end=t.end + shift,
                election=t.election and t.election + shift,
            )
            for shift in range(0, self.length, CYCLE)
            for t in SCRIPT
        ]  # fmt: skip
        self.written: dict[int, int] = {}

    def drafts(self) -> list[Draft]:
        """All operations, in order of their invocation."""
        ready = [(self.rng.below(self.gap), thread) for thread in range(self.threads)]
        found = []
        while ready:
            now, thread = heappop(ready)
            if now >= self.length:
                continue
            draft = self.draw(now, thread)
            found.append(draft)
            heappush(ready, (draft.end + self.rng.exponential_ns(self.gap), thread))
        return found

    def draw(self, now: int, thread: int) -> Draft:
        """One operation that begins now."""
        key = now // EPOCH * KEYS + self.rng.below(KEYS)
        f = self.rng.choice(("read", "read", "write", "write", "cas"))
        arg: Any = None
        if f != "read":
            before = self.written.get(key, 0)
            after = self.written[key] = before + 1
            arg = after if f == "write" else [before, after]
        took = 700_000 + self.rng.exponential_ns(600_000) + self.rng.exponential_ns(200_000)
        draft = Draft(begin=now, end=now + took, thread=thread, f=f, key=key, arg=arg)
        wait = 0
        for trouble in self.troubles:
            if not trouble.begin <= now < trouble.end or not trouble.effective:
                continue
            took += self.rng.between(trouble.delay // 2, trouble.delay) * 2
            if draft.node in trouble.silent:
                if trouble.kind == "kill":
                    return refused(draft, now + 200_000)
                wait = TIMEOUT
            elif now < trouble.election:
                wait = trouble.election - now + self.rng.exponential_ns(30 * MS)
        draft.end = now + wait + took
        draft.point = now + wait + self.rng.between(took // 4, took // 2)
        return draft if wait < TIMEOUT else self.silenced(draft)

    def silenced(self, draft: Draft) -> Draft:
        """No answer came in time: a read failed, anything else may have happened."""
        draft.end = draft.begin + TIMEOUT
        draft.error = "timeout"
        draft.outcome = FAIL if draft.f == "read" else INFO
        if draft.f == "read" or self.rng.chance(1, 2):
            draft.point = -1
        return draft


def refused(draft: Draft, end: int) -> Draft:
    """The node is down: certainly nothing happened."""
    draft.end, draft.outcome, draft.error, draft.point = end, FAIL, "connection refused", -1
    return draft


def apply(drafts: list[Draft]) -> dict[int, list[Draft]]:
    """Give each operation the result that a register gives at its point; returns the updates that
    took effect, by key, in their order.
    """
    updates: dict[int, list[Draft]] = {}
    for draft in sorted((d for d in drafts if d.point >= 0), key=lambda d: d.point):
        before = updates.setdefault(draft.key, [])
        now = written(before[-1]) if before else None
        if draft.f == "read":
            draft.result = now
        elif draft.f == "cas" and draft.arg[0] != now:
            draft.outcome, draft.error = (FAIL, "mismatch") if draft.outcome == OK else (INFO, None)
        else:
            draft.result = draft.arg
            before.append(draft)
    return updates


def written(update: Draft) -> Any:
    """The value that a register has after this update."""
    return update.arg if update.f == "write" else update.arg[1]


def make_one_stale(
    drafts: list[Draft], updates: dict[int, list[Draft]], trouble: Trouble
) -> tuple[Draft, Draft, Draft]:
    """Answer one read of the cut-off client from before the cut. Returns the write whose value it
    sees, the later write that it should have seen, and the read: each over before the next begins.
    """
    reads = [d for d in drafts if d.node in trouble.silent and d.f == "read"]
    for key, in_turn in updates.items():
        for seen, missed in pairwise(in_turn):
            in_order = seen.outcome == missed.outcome == OK and seen.end < missed.begin
            if missed.f != "write" or not in_order or missed.begin < trouble.election + 300 * MS:
                continue
            for stale in reads:
                if missed.end + 2 * MS < stale.begin < trouble.end - 200 * MS:
                    stale.key, stale.end = key, stale.begin + 900_000
                    stale.outcome, stale.error, stale.result = OK, None, written(seen)
                    return seen, missed, stale
    raise InternalError("the specimen has no read that could be made stale")


def write_specimen(folder: Path, *, ops: int = OPS, seed: int = 7) -> tuple[RunView, VerdictFile]:
    """Write the specimen's run into an empty folder and read it back. `ops` is how many operations
    it has, roughly.
    """
    maker = Maker(ops=ops, seed=seed)
    drafts = maker.drafts()
    updates = apply(drafts)
    story = make_one_stale(drafts, updates, maker.troubles[-1])
    write_events(folder / EVENTS, maker, drafts, seed)
    write_json(folder / RUN, {"python": "3.11.2", "dissensus": "specimen", "host": "nowhere"})
    for node in NODES:
        place = folder / "nodes" / node
        place.mkdir(parents=True)
        (place / "node.log").write_text(f"{node}: a specimen says little\n", encoding="utf-8")
    rows = [next(row for row, d in enumerate(drafts) if d is told) for told in story]
    write_verdicts(folder, verdicts(story, rows), validity="INVALID", exit_code=1)
    return load(folder), read_verdicts(folder)


def write_events(path: Path, maker: Maker, drafts: list[Draft], seed: int) -> None:
    """The event stream of the specimen."""
    plan = Plan(
        system="raft", options={"mutant": "R13"}, nodes=len(NODES), time_ns=maker.length,
        rate_hz=200, concurrency=maker.threads, faults=("kill", "pause", "partition", "slow"),
        seed=seed,
    )  # fmt: skip
    header = {
        "system": "raft", "workload": plan.workload, "model": "cas-register",
        "fs": ["read", "write", "cas"], "nodes": NODES, "client_hosts": plan.client_hosts(),
        "concurrency": maker.threads, "seed": seed, "faults": plan.faults, "scenario": None,
        "options": plan.options, "on": "local", "plan": plan,
    }  # fmt: skip
    events: list[tuple[int, Op | dict[str, Any]]] = [
        (0, phase("set-up")),
        (400 * MS, phase("warm-up")),
        (START, phase("chaos")),
    ]
    events += [(t + START, event) for t, event in told_events(maker)]
    events += [(t + START, op) for t, op in op_events(drafts, maker.threads)]
    over = START + maker.length + 2 * S
    events += [(over, phase("heal")), (over + S // 2, phase("final"))]
    events += [(over + S, phase("teardown"))]
    writer = EventWriter(path, header)
    for t, event in sorted(events, key=lambda pair: pair[0]):
        if isinstance(event, Op):
            event.time_ns = t
            writer.op(event)
        else:
            writer.write({**event, "t": t})
    writer.write({"ev": "end", "t": over + 2 * S, "outcome": "complete", "error": None, "left": []})
    writer.close()


def phase(name: str) -> dict[str, Any]:
    """The line of a phase that begins."""
    return {"ev": "phase", "name": name}


def op_events(drafts: list[Draft], threads: int) -> Iterator[tuple[int, Op]]:
    """Invocations and completions; a thread whose operation ended in `info` takes a new process."""
    process = list(range(threads))
    for draft in drafts:
        number = process[draft.thread]
        if draft.outcome == INFO:
            process[draft.thread] += threads
        words: dict[str, Any] = {"f": draft.f, "key": draft.key, "process": number}
        yield draft.begin, Op(**words, value=draft.arg, node=draft.node)
        yield (
            draft.end,
            Op(
                **words,
                value=draft.result,
                node=draft.node,
                type=cast(OpType, OUTCOMES[draft.outcome]),
                error=draft.error,
            ),
        )


def told_events(maker: Maker) -> Iterator[tuple[int, dict[str, Any]]]:
    """Fault and node lines."""
    leader, term = "n2", 2
    for name in NODES:
        yield -700 * MS, node_line(name, "follower", 1)
    yield -500 * MS, node_line(leader, "leader", term)
    for name in NODES:
        yield -480 * MS, node_line(name, "leader" if name == leader else "follower", term)
    for number, trouble in enumerate(maker.troubles):
        begin = {"ev": "fault-begin", "kind": trouble.kind, "targets": trouble.targets}
        yield trouble.begin, {**begin, "id": number, "asked": trouble.asked}
        measured = {"measured": trouble.measured, "effective": trouble.effective}
        yield trouble.begin + 90 * MS, {"ev": "fault-measured", "id": number, **measured}
        yield trouble.end, {"ev": "fault-end", "id": number, "healed": True}
        struck = trouble.silent[0] if trouble.silent else ""
        if trouble.kind in ("kill", "pause"):
            state = "down" if trouble.kind == "kill" else "paused"
            yield trouble.begin, {**node_line(struck, "", -1), "up": False, "state": state}
        if trouble.leader:
            term += 1
            candidate = trouble.election - 180 * MS
            yield candidate, node_line(trouble.leader, "candidate", term)
            for name in NODES:
                if name not in trouble.silent:
                    role = "leader" if name == trouble.leader else "follower"
                    yield trouble.election, node_line(name, role, term)
            yield trouble.end + 60 * MS, node_line(struck, "follower", term)
            yield trouble.end + 700 * MS, {"ev": "mark", "name": "snapshot", "node": struck}


def node_line(name: str, role: str, term: int) -> dict[str, Any]:
    """A node as it was seen."""
    return {"ev": "node", "node": name, "up": True, "state": "up", "role": role, "term": term}


def told(draft: Draft, number: int) -> str:
    """An operation as checkers tell it."""
    begin, end = (f"{(t + START) / S:.3f} s" for t in (draft.begin, draft.end))
    acts = {
        "read": f"read {draft.result} from key {draft.key}",
        "write": f"wrote {draft.arg} to key {draft.key}",
        "cas": f"changed key {draft.key} from {draft.arg} to {draft.result}",
    }
    return f"({number}) {acts[draft.f]} at {draft.node} from {begin} to {end}"


def verdicts(story: tuple[Draft, Draft, Draft], rows: list[int]) -> list[Verdict]:
    """What the checkers would say of the specimen."""
    seen, missed, stale = story
    key, old, new = stale.key, written(seen), written(missed)
    first, second, third = (told(draft, number) for number, draft in enumerate(story, 1))
    certificate = Certificate(
        kind="linearizability",
        summary=f"{third}, although {second.replace(' wrote ', ' had written ')}",
        story=[
            f"{first}.",
            f"{second}, after (1) had returned.",
            f"{third}, after (2) had returned.",
            f"No operation that could set key {key} to {old} was under way after (1) had returned.",
            f"So no order is legal: once (2) has set key {key} to {new}, (3) cannot find {old}.",
        ],
        ops=rows,
        blocked=rows[2:],
        data={"key": key, "model": "cas-register"},
        reverified=True,
    )
    return [
        Verdict(
            checker="linearizability", validity=Validity.INVALID, engine="python 0.1.0",
            reason=f"no order of operations explains key {key}",
            certificates=[certificate],
        ),
        Verdict(checker="stats", validity=Validity.VALID, reason="every f succeeded under faults"),
        Verdict(
            checker="availability", validity=Validity.VALID, reason="no threshold was asked for",
            facts={"ratio": 0.912, "mtbf_s": 5.1, "mttr_s": 0.6},
        ),
        Verdict(
            checker="agreement", validity=Validity.VALID,
            reason="5 nodes applied the same commands at 412 compared positions",
        ),
    ]  # fmt: skip
