"""The engine: against brute force, under weakening and renaming, with bugs planted in it, out of
budget, and on recorded histories.
"""

from __future__ import annotations

import csv
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dissensus.checkers import linearizability, problem
from dissensus.checkers.engines import LinearizabilityChecker, reverified
from dissensus.checkers.linearizability import PythonEngine
from dissensus.checkers.models import make_model
from dissensus.checkers.search import Config, OpenOps, Search
from dissensus.checkers.shrink import Shrinker
from dissensus.harness.checker import Budget, RunView
from dissensus.harness.errors import UserError
from dissensus.harness.history import FAIL, OK, History
from dissensus.harness.ops import Op
from dissensus.harness.verdict import Validity, Verdict

Hand = Callable[[str], History]
View = Callable[..., RunView]
MakeOps = Callable[..., list[Op]]

HISTORIES = 1000
"""Histories of each model that the engine is compared on."""
FS = {
    "register": ("read", "write"),
    "cas-register": ("read", "write", "cas"),
    "cas-register(init=0;nil=unknown)": ("read", "write", "cas"),
}


def brute_force(history: History, model: str, end: int = 1 << 60) -> bool:
    """Is there a legal order of the operations up to a position? Tries them all, remembering only
    what it has seen; written from the definition, with nothing of the engine's.
    """
    initial: Any = 0 if "init=0" in model else None
    rows = [r for r in range(len(history)) if history.outcome[r] != FAIL and history.inv[r] < end]
    closed = {r for r in rows if history.outcome[r] == OK and history.ret[r] <= end}
    ret = {r: history.ret[r] if r in closed else 1 << 61 for r in rows}
    seen = set()

    def search(left: frozenset[int], state: Any) -> bool:
        if not left & closed:
            return True
        if (left, state) in seen:
            return False
        seen.add((left, state))
        first_return = min(ret[r] for r in left)
        for r in left:
            if history.inv[r] > first_return:
                continue
            legal, after = apply(r, state)
            if legal and search(left - {r}, after):
                return True
        return False

    def apply(r: int, state: Any) -> tuple[bool, Any]:
        f, arg, result = history.f_of(r), history.arg_of(r), history.result_of(r)
        if f == "write":
            return True, arg
        if f == "cas":
            return arg[0] == state, arg[1]
        silent = r not in closed or (result is None and "nil=unknown" in model)
        return silent or result == state, state

    return search(frozenset(rows), initial)


def judged(history: History, model: str, engine: PythonEngine | None = None) -> Verdict:
    return (engine or PythonEngine()).check(history, make_model(model), Budget())


def fuzz(make_ops: MakeOps, model: str, **changes: Any) -> Iterator[History]:
    """Small histories of a register that lies now and then."""
    rng = random.Random(model)
    for seed in range(HISTORIES):
        shape = {"operations": rng.randint(5, 10), "clients": rng.randint(2, 5)}
        yield History.from_ops(make_ops(seed, FS[model], **{**shape, **changes}))


@pytest.mark.parametrize("model", FS)
def test_the_engine_agrees_with_brute_force(make_ops: MakeOps, view: View, model: str) -> None:
    """And each INVALID has the shortest failing prefix, and a certificate that verifies."""
    count = {True: 0, False: 0}
    for history in fuzz(make_ops, model):
        legal = brute_force(history, model)
        verdict = reverified(view(history), judged(history, model))
        assert (verdict.validity is Validity.VALID) == legal, list(history.ops())
        assert not verdict.disagreement
        count[legal] += 1
        for certificate in verdict.certificates:
            assert certificate.reverified, list(history.ops())
            end = certificate.data["end"]
            assert not brute_force(history, model, end)
            assert brute_force(history, model, end - 1)
    assert min(count.values()) >= 0.3 * HISTORIES, count


def weakened(ops: list[Op], rng: random.Random) -> list[Op]:
    """A read gone, an update made optional, or the end cut off: what may not accuse anybody."""
    how = rng.choice(("drop", "open", "cut"))
    if how == "cut":
        return ops[: rng.randrange(1, len(ops) + 1)]
    wanted = "read" if how == "drop" else rng.choice(("write", "cas"))
    ends = [op for op in ops if op.f == wanted and op.type == "ok"]
    if not ends:
        return ops
    end = rng.choice(ends)
    begin = max(i for i, op in enumerate(ops) if op.process == end.process and op is not end)
    begin = max(
        i
        for i, op in enumerate(ops)
        if op.process == end.process and op.type == "invoke" and op.index < end.index
    )
    if how == "drop":
        return [op for i, op in enumerate(ops) if i != begin and op is not end]
    value = ops[begin].value
    changed = msgspec.structs.replace(end, type="info", value=value)
    # The process goes on as another one: an info ends it.
    return [
        changed
        if op is end
        else msgspec.structs.replace(op, process=op.process + 100)
        if op.process == end.process and op.index > end.index
        else op
        for op in ops
    ]


def test_weakening_a_legal_history_never_accuses(make_ops: MakeOps) -> None:
    rng = random.Random(5)
    for seed in range(HISTORIES):
        ops = make_ops(seed, FS["cas-register"], lies=0.0, operations=8)
        assert judged(History.from_ops(ops), "cas-register").validity is Validity.VALID
        for _ in range(3):
            ops = weakened(ops, rng)
        verdict = judged(History.from_ops(ops), "cas-register")
        assert verdict.validity is Validity.VALID, ops


@given(seed=st.integers(0, 10**6), base=st.integers(1, 10**6), text=st.booleans())
@settings(max_examples=150, deadline=None)
def test_names_mean_nothing(make_ops: MakeOps, seed: int, base: int, text: bool) -> None:
    """Other values, keys and processes, same verdict on the same operation."""
    ops = make_ops(seed, FS["cas-register"])

    def renamed(value: Any) -> Any:
        if isinstance(value, list):
            return [renamed(part) for part in value]
        if value is None:
            return None
        return f"v{value}" if text else base - value

    others = [
        msgspec.structs.replace(
            op, value=renamed(op.value), key=["k", base], process=base + 7 * op.process
        )
        for op in ops
    ]
    one = judged(History.from_ops(ops), "cas-register")
    other = judged(History.from_ops(others), "cas-register")
    assert one.validity == other.validity
    assert [c.blocked for c in one.certificates] == [c.blocked for c in other.certificates]
    assert [c.ops for c in one.certificates] == [c.ops for c in other.certificates]


# -- bugs planted in the engine ----------------------------------------------------------------


class DropsCrashed(Search):
    def crashed_moves(self, event: int, mask: int, state: int) -> list[tuple[int, int]]:
        return []


class ReadsNotEager(Search):
    def eager_among(self, ops: list[int], mask: int, state: int) -> int:
        return mask


class ReadsEagerByMistake(Search):
    """A read counts as answered whatever the state is."""

    def eager_among(self, ops: list[int], mask: int, state: int) -> int:
        pure, bits = self.problem.table.pure, self.problem.bit
        return mask | sum(bits[op] for op in ops if pure[self.problem.cls[op]])


class ReadsOfTheStateBefore(Search):
    """Arriving reads are answered, those that are open when the state changes are not."""

    def eager(self, event: int, mask: int, state: int) -> int:
        return mask


class DominanceReversed(Search):
    @staticmethod
    def dominates(used: int, other: int) -> bool:
        return other & ~used == 0


class DominanceWithoutUsed(Search):
    @staticmethod
    def dominates(used: int, other: int) -> bool:
        return True


class ForgetsTheMask(Search):
    def is_new(self, config: Config) -> bool:
        event, _, state, used = config
        return super().is_new((event, 0, state, used))


class ForgetsTheState(Search):
    def is_new(self, config: Config) -> bool:
        event, mask, _, used = config
        return super().is_new((event, mask, 0, used))


class NeverBranches(Search):
    def branches(self, config: Config) -> list[Config]:
        return []


class OneBranch(Search):
    def branches(self, config: Config) -> list[Config]:
        return super().branches(config)[:1]


class NeverWaits(Search):
    """The operation that must return goes first, and nothing else is tried."""

    def branches(self, config: Config) -> list[Config]:
        after = self._now(*config)
        return [] if after is not None else super().branches(config)


class CrashedForEver(Search):
    """A crashed operation may take effect again and again."""

    def supply(self, cls: int, event: int, used: int) -> list[int]:
        return super().supply(cls, event, 0)


class CrashedBeforeTheirTime(Search):
    def supply(self, cls: int, event: int, used: int) -> list[int]:
        return super().supply(cls, len(self.problem), used)


class CrashedWritesOnly(Search):
    def _moves_from(self, state: int) -> list[tuple[int, int]]:
        return []


class CrashedUpdatesOnly(Search):
    def crashed_moves(self, event: int, mask: int, state: int) -> list[tuple[int, int]]:
        return self._moves_from(state)


class LastDeadlineFirst(OpenOps):
    """Of one class the operation that returns last is taken."""

    def seek(self, event: int) -> None:
        self.updates.sort()
        super().seek(event)
        self.updates.sort(reverse=True)


class ByLastDeadline(Search):
    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.open = LastDeadlineFirst(self.problem)


class FailedHappened(problem.Problem):
    def _sorted(self, rows: Any, end: int) -> tuple[dict[int, int], dict[int, int]]:
        must, may = super()._sorted(rows, end)
        table = self.table
        failed = [r for r in rows if table.history.outcome[r] == FAIL]
        return must | {r: table.class_of(r, OK) for r in failed}, may


class CrashedHappened(problem.Problem):
    """An info counts as done."""

    def _sorted(self, rows: Any, end: int) -> tuple[dict[int, int], dict[int, int]]:
        must, may = super()._sorted(rows, end)
        ended = {r: self.table.class_of(r, OK) for r in may if self.table.history.ret[r] >= 0}
        return must | ended, {r: cls for r, cls in may.items() if r not in ended}


class CrashedInTime(problem.Problem):
    """An info takes effect before it ends, or never."""

    def _allow(self, may: dict[int, int], free: Any) -> None:
        super()._allow(may, free)
        for supply in self.optional.values():
            supply[:] = [(bit, first, first) for bit, first, _ in supply]


class NoRealTime(problem.Problem):
    def _number(self, must: list[int], free: Any) -> None:
        super()._number(must, free)
        everything = sorted(op for ops in self.arrivals for op in ops)
        self.arrivals = [[] for _ in self.arrivals]
        if everything:
            self.arrivals[0] = everything
        for op in everything:
            self.bit[op] = 1 << op


class Uselessness(problem.Problem):
    """Crashed writes are all held to be useless."""

    def _useful(self, must: list[int], optional: set[int]) -> set[int]:
        return {cls for cls in optional if not self.table.blind[cls]}


SEARCHES = (
    DropsCrashed,
    ReadsNotEager,
    ReadsEagerByMistake,
    ReadsOfTheStateBefore,
    DominanceReversed,
    DominanceWithoutUsed,
    ForgetsTheMask,
    ForgetsTheState,
    NeverBranches,
    OneBranch,
    NeverWaits,
    CrashedForEver,
    CrashedBeforeTheirTime,
    CrashedWritesOnly,
    CrashedUpdatesOnly,
    ByLastDeadline,
)
PROBLEMS = (FailedHappened, CrashedHappened, CrashedInTime, NoRealTime, Uselessness)


def answers(engine: PythonEngine, history: History) -> Any:
    """What an engine says of a history, an exception included."""
    try:
        verdict = engine.check(history, make_model("cas-register"), Budget(seconds=5))
    except (AssertionError, IndexError) as error:
        return type(error)
    return verdict.validity


@pytest.mark.parametrize("bug", [*SEARCHES, *PROBLEMS], ids=lambda bug: bug.__name__)
def test_a_planted_bug_is_found_by_the_comparison(
    make_ops: MakeOps, monkeypatch: pytest.MonkeyPatch, bug: Any
) -> None:
    engine = PythonEngine()
    if issubclass(bug, Search):
        engine.search = bug
    else:
        monkeypatch.setattr(linearizability, "Problem", bug)
    for crashes in (0.2, 0.6):
        for history in fuzz(make_ops, "cas-register", crashes=crashes, operations=10):
            right = Validity.VALID if brute_force(history, "cas-register") else Validity.INVALID
            if answers(engine, history) != right:
                return
    pytest.fail(f"{bug.__name__} gave the right answer to {2 * HISTORIES} histories")


class BoundsTooNarrow(Shrinker):
    """A free update ends with the first of its kind."""

    def _windows(self, kept: Any) -> dict[int, problem.Window]:
        windows = super()._windows(kept)
        for row, cls in self._class.items():
            if cls in windows and self._closed(row):
                until = min(windows[cls].until, self.history.ret[row])
                windows[cls] = windows[cls]._replace(until=until)
        return windows


class ForgetsUpdates(Shrinker):
    """What is not kept is gone."""

    def _windows(self, kept: Any) -> dict[int, problem.Window]:
        return {}


class KeepsTooLittle(Shrinker):
    def _keep(self) -> list[int]:
        return super()._keep()[:-1] or [self.blocked]


@pytest.mark.parametrize("bug", [BoundsTooNarrow, ForgetsUpdates, KeepsTooLittle])
def test_a_bug_planted_in_the_shrinker_is_found_by_the_verifier(
    make_ops: MakeOps, view: View, monkeypatch: pytest.MonkeyPatch, bug: type[Shrinker]
) -> None:
    monkeypatch.setattr(linearizability, "Shrinker", bug)
    for history in fuzz(make_ops, "cas-register"):
        if reverified(view(history), judged(history, "cas-register")).disagreement:
            return
    pytest.fail(f"the verifier took each certificate of {bug.__name__}")


# -- keys, budgets, models ---------------------------------------------------------------------


def many_keys(make_ops: MakeOps, keys: int, bad: int) -> History:
    """Interleaved keys, of which the first `bad` hold a read of something never written."""
    events = []
    for key in range(keys):
        ops = make_ops(key, FS["cas-register"], operations=30, lies=0.0, crashes=0.02, clients=2)
        lie = next(op for op in reversed(ops) if op.f == "read" and op.type == "ok")
        for op in ops:
            value = 99 if key < bad and op is lie else op.value
            process = 1000 * key + op.process
            events.append(msgspec.structs.replace(op, key=key, process=process, value=value))
    events.sort(key=lambda op: op.time_ns)
    return History.from_ops(msgspec.structs.replace(op, index=-1) for op in events)


def test_keys_are_independent_and_the_bad_ones_are_named(make_ops: MakeOps, view: View) -> None:
    verdict = judged(many_keys(make_ops, 20, 0), "cas-register")
    assert verdict.validity is Validity.VALID
    assert verdict.facts["keys"] == 20
    assert verdict.engine.startswith("python ")
    history = many_keys(make_ops, 20, 5)
    verdict = reverified(view(history), judged(history, "cas-register"))
    assert verdict.validity is Validity.INVALID
    assert verdict.reason == "no order of operations explains 5 keys (0, 1, 2, 3, 4)"
    assert [c.data["key"] for c in verdict.certificates] == [0, 1, 2]
    assert all(c.reverified for c in verdict.certificates)


def event(process: int, kind: Any, f: str, value: Any = None, key: Any = None) -> Op:
    return Op(process=process, type=kind, f=f, value=value, key=key)


def long_and_short(make_ops: MakeOps, seen: int) -> History:
    """A legal key of 500 operations, and one with a write of 1 and a read of `seen`."""
    ops = make_ops(1, FS["register"], lies=0.0, operations=500)
    short = [event(9000, "invoke", "write", 1, "short"), event(9000, "ok", "write", 1, "short")]
    short += [
        event(9000, "invoke", "read", None, "short"),
        event(9000, "ok", "read", seen, "short"),
    ]
    long = [msgspec.structs.replace(op, key="long", index=-1) for op in ops]
    return History.from_ops([*long, *short])


def test_over_budget_is_unknown_and_says_how_far_it_got(make_ops: MakeOps) -> None:
    budget = Budget(configurations=400)
    verdict = PythonEngine().check(long_and_short(make_ops, 1), make_model("register"), budget)
    assert verdict.validity is Validity.UNKNOWN
    assert verdict.facts["keys_unknown"] == 1
    assert not verdict.vacuous
    told = re.search(r"key long is legal for the first (\d+) of (\d+) returns", verdict.reason)
    assert told is not None, verdict.reason
    assert 100 < int(told[1]) < int(told[2])
    assert "1 of 2 keys are linearizable" in verdict.reason


def test_an_illegal_key_counts_though_another_one_is_unknown(make_ops: MakeOps) -> None:
    budget = Budget(configurations=400)
    verdict = PythonEngine().check(long_and_short(make_ops, 2), make_model("register"), budget)
    assert verdict.validity is Validity.INVALID
    assert verdict.facts["keys_unknown"] == 1
    assert verdict.certificates[0].data["key"] == "short"


def test_a_failure_is_proven_by_what_is_near(view: View) -> None:
    """A read of what was never written, while twenty writes are open: a search through all their
    subsets would take a million configurations.
    """
    ops = [event(1000, "invoke", "write", 50), event(1000, "ok", "write", 50)]
    ops += [event(i, "invoke", "write", i) for i in range(20)]
    ops += [event(1000, "invoke", "read"), event(1000, "ok", "read", 99)]
    ops += [event(i, "ok", "write", i) for i in range(20)]
    history = History.from_ops(ops)
    verdict = reverified(view(history), judged(history, "register"))
    assert verdict.validity is Validity.INVALID
    assert verdict.certificates[0].reverified
    assert verdict.certificates[0].ops == [21]
    assert verdict.facts["configurations"] < 20_000


def test_time_is_a_budget_too(make_ops: MakeOps) -> None:
    ops = make_ops(1, FS["register"], operations=5000, lies=0.0)
    verdict = PythonEngine().check(
        History.from_ops(ops), make_model("register"), Budget(seconds=0.0)
    )
    assert verdict.validity is Validity.UNKNOWN
    assert "0 s and 5000000 configurations" in verdict.reason


def test_a_certificate_of_a_pigeon_hole_keeps_what_it_needs(view: View) -> None:
    """Each read alone could be explained by a crashed write; all together there is one too many."""
    ops = [event(0, "invoke", "write", 1), event(0, "info", "write", 1)]
    for _ in range(2):
        ops += [event(1, "invoke", "write", 2), event(1, "ok", "write", 2)]
        ops += [event(1, "invoke", "read"), event(1, "ok", "read", 1)]
    history = History.from_ops(ops)
    verdict = reverified(view(history), judged(history, "register"))
    (certificate,) = verdict.certificates
    assert certificate.reverified
    # The crashed write, both reads of it, and what was written between the two.
    assert certificate.data["kept"] == [0, 2, 3, 4]


def test_an_operation_that_the_model_lacks_is_an_error(hand: Hand) -> None:
    history = hand("0 i w 1 \n 0 o w 1 \n 0 i reed \n 0 o reed")
    with pytest.raises(UserError, match=r"event 2: .* 'reed'; did you mean 'read'"):
        judged(history, "register")
    history = History.from_ops([Op(f="cas", value=3, process=0)])
    with pytest.raises(UserError, match=r"event 0: cas takes \[expected, new\], not 3"):
        judged(history, "cas-register")


def test_faults_are_told_in_the_story(hand: Hand, view: View) -> None:
    from dissensus.harness.checker import FaultInterval

    fault = FaultInterval(
        id=4,
        kind="partition-leader",
        targets={"sides": [["n1", "c1"], ["n2", "n3"]]},
        begin_ns=15_000_000,
        end_ns=40_000_000,
        effective=True,
    )
    history = hand(
        """
        0 i w 1 key=x node=n1
        0 o w 1 key=x node=n1
        1 i w 2 key=x node=n2
        1 o w 2 key=x node=n2
        2 i r key=x node=n1
        2 o r 1 key=x node=n1
        """
    )
    run = view(history, faults=[fault])
    verdict = LinearizabilityChecker("register").check(run, Budget())
    (certificate,) = verdict.certificates
    assert certificate.summary == (
        '(3) process 2 read 1 from key "x" at n1 between 0.040 s and 0.050 s, although (2) '
        'process 1 had written 2 to key "x" at n2 between 0.020 s and 0.030 s'
    )
    assert certificate.story == [
        '(1) process 0 wrote 1 to key "x" at n1 between 0.000 s and 0.010 s.',
        '(2) process 1 wrote 2 to key "x" at n2 between 0.020 s and 0.030 s, after (1) had '
        "returned, during partition-leader #4.",
        '(3) process 2 read 1 from key "x" at n1 between 0.040 s and 0.050 s, after (2) had '
        "returned, during partition-leader #4.",
        'No operation that could set key "x" to 1 was under way after (1) had returned.',
        "So no order is legal: wherever the other updates take effect, or if they never do, "
        "(3) cannot find 1.",
        "partition-leader #4 (sides n1, c1 | n2, n3) was active from 0.015 s to 0.040 s.",
    ]


def test_long_histories_have_short_certificates(make_ops: MakeOps, view: View) -> None:
    """A register that keeps its promise for 300 operations, and once does not."""
    sizes = []
    for seed in range(40):
        ops = make_ops(seed, FS["cas-register"], operations=300, lies=0.0, crashes=0.03, values=5)
        reads = [i for i, op in enumerate(ops) if op.f == "read" and op.type == "ok" and i > 400]
        lie = ((ops[reads[0]].value or 0) + 1) % 5
        ops[reads[0]] = msgspec.structs.replace(ops[reads[0]], value=lie)
        history = History.from_ops(ops)
        verdict = reverified(view(history), judged(history, "cas-register"))
        for certificate in verdict.certificates:
            assert certificate.reverified
            sizes.append(len(certificate.ops))
    assert len(sizes) >= 10
    assert sorted(sizes)[len(sizes) // 2] <= 4, sizes


# -- recorded histories ------------------------------------------------------------------------


def corpus() -> Path | None:
    """The folder of labelled histories, where there is one above the repository."""
    for parent in Path(__file__).resolve().parents:
        found = parent / "shared" / "histories"
        if (found / "index.csv").is_file():
            return found
    return None


EDN = re.compile(r":(\w+)\s+(:?[\w.-]+|\[[^\]]*\])")


def edn_value(text: str) -> Any:
    numbers = [None if word == "nil" else int(word) for word in re.findall(r"nil|-?\d+", text)]
    return numbers if text.startswith("[") else numbers[0] if numbers else None


def recorded(path: Path, form: str) -> Iterator[Op]:
    """Operations of a history in EDN, JSON, or of Jepsen's console log."""
    text = path.read_text()
    if form == "jepsen-console":
        lines = re.findall(r"jepsen\.util - (\d+)\t:(\w+)\t:(\w+)\t(\S.*)$", text, re.M)
    elif form == "json":
        lines = [
            (str(m["process"]), m["type"], m["f"], msgspec.json.encode(m.get("value")).decode())
            for m in msgspec.json.decode(text.replace(":", ":"))
        ]
        lines = [(p, t, f, v.replace("null", "nil")) for p, t, f, v in lines]
    else:
        text = re.sub(r"(?m)^\s*;.*$", "", text)
        maps = [dict(EDN.findall(part)) for part in re.findall(r"\{[^{}]*\}", text)]
        lines = [
            (m["process"], m["type"][1:], m["f"][1:], m.get("value", "nil"))
            for m in maps
            if {"process", "type", "f"} <= set(m)
        ]
    for process, kind, f, value in lines:
        if process.isdigit():
            timeout = ":timed-out" in value
            # A read that timed out says nothing, whatever the log calls it.
            timed_out = "fail" if f == "read" else "info"
            yield Op(
                f=f,
                type=timed_out if timeout else kind,  # type: ignore[arg-type]
                process=int(process),
                value=None if timeout else edn_value(value),
            )


def test_labelled_histories_are_judged_as_labelled(view: View) -> None:
    folder = corpus()
    if folder is None:
        pytest.skip("no folder shared/histories with labelled histories beside the repository")
    wrong, judged_rows = [], 0
    with (folder / "index.csv").open() as file:
        for row in csv.DictReader(file):
            if not row["model"].startswith("cas-register"):
                continue
            init = "0" if "init=0" in row["model"] else "null"
            nil = "unknown" if "nil=unknown" in row["model"] else "absent"
            history = History()
            for op in recorded(folder / row["path"], row["format"]):
                history.add(op)
            # Of a cas that failed we use less than the label does: it is dropped.
            verdict = judged(history, f"cas-register(init={init};nil={nil})")
            verdict = reverified(view(history), verdict)
            judged_rows += 1
            proven = all(c.reverified for c in verdict.certificates)
            if verdict.validity.value != row["verdict"] or not proven:
                wrong.append((row["path"], row["verdict"], verdict.reason))
    assert not wrong
    assert judged_rows == 230
