"""The pure scheduler: processes, deadlines, fairness, submissions, and random generator trees."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import Any

import pytest

from dissensus.harness.errors import InternalError, SystemFault, UserError
from dissensus.harness.generators import (
    NEMESIS,
    NEVER,
    Context,
    Generator,
    Step,
    any_of,
    independent,
    lift,
    mix,
    phases,
    register,
    reserve,
)
from dissensus.harness.ops import Op, OpType
from dissensus.harness.randomness import Rng
from dissensus.harness.scheduler import CANCEL_GRACE_NS, Decision, Scheduler, Submission

READS = lift({"f": "read"}).repeat()
TIMEOUT = 1000


def make(generator: Any = READS, concurrency: int = 2, **options: Any) -> Scheduler:
    scheduler = Scheduler(concurrency=concurrency, seed=1, op_timeout_ns=TIMEOUT, **options)
    scheduler.load(generator, "test")
    return scheduler


def back(op: Op, kind: OpType = "ok") -> Op:
    return Op(f=op.f, key=op.key, value=op.value, process=op.process, type=kind)


def test_every_free_thread_gets_an_operation_at_once() -> None:
    scheduler = make(concurrency=3)
    dispatch, cancel, wake = scheduler.step(7)
    assert [(op.process, op.time_ns, op.type) for op in dispatch] == [
        (0, 7, "invoke"),
        (1, 7, "invoke"),
        (2, 7, "invoke"),
    ]
    assert (cancel, wake) == ([], 7 + TIMEOUT)
    assert scheduler.step(8) == Decision([], [], 7 + TIMEOUT)


def test_an_info_ends_its_process_and_nothing_else_does() -> None:
    scheduler = make(concurrency=2)
    first, second = scheduler.step(0).dispatch
    (again,) = scheduler.step(1, [back(first, "info")]).dispatch
    assert again.process == 2
    assert scheduler.processes == (2, 1, NEMESIS)
    (more,) = scheduler.step(2, [back(second, "fail")]).dispatch
    assert more.process == 1
    (third,) = scheduler.step(3, [back(again, "info")]).dispatch
    assert third.process == 4
    assert [scheduler.thread_of(p) for p in (0, 2, 4, 1, NEMESIS)] == [0, 0, 0, 1, 2]


def test_a_late_operation_is_cancelled_once_and_its_thread_waits_for_it() -> None:
    scheduler = make(concurrency=2)
    first, _ = scheduler.step(0).dispatch
    (second,) = scheduler.step(500, [back(first)]).dispatch
    late = scheduler.step(TIMEOUT).cancel
    assert [op.process for op in late] == [1]
    assert scheduler.step(TIMEOUT + 1) == Decision([], [], 500 + TIMEOUT)
    (next_one,) = scheduler.step(TIMEOUT + 2, [back(late[0], "info")]).dispatch
    assert next_one.process == 3
    assert scheduler.step(500 + TIMEOUT).cancel == [second]


def test_an_operation_that_is_back_in_time_is_not_cancelled() -> None:
    scheduler = make(READS.limit(1), concurrency=1)
    (op,) = scheduler.step(0).dispatch
    assert scheduler.step(TIMEOUT, [back(op)]) == Decision([], [], NEVER)
    assert scheduler.exhausted()


def test_a_client_that_swallows_its_cancel_fails_the_run_after_a_while() -> None:
    scheduler = make(concurrency=1)
    scheduler.step(0)
    wake = scheduler.step(TIMEOUT).wake_ns
    assert wake == TIMEOUT + CANCEL_GRACE_NS
    with pytest.raises(SystemFault, match=r"process 0 was cancelled in .*'read'.* lets? Cancelled"):
        scheduler.step(wake)


def test_a_completion_of_nothing_is_our_bug() -> None:
    scheduler = make(concurrency=1)
    (op,) = scheduler.step(0).dispatch
    scheduler.step(1, [back(op, "info")])
    for wrong in (back(op), Op(f="read", process=1, type="invoke"), Op(f="x", process=5)):
        with pytest.raises(InternalError, match="completes nothing"):
            scheduler.step(2, [wrong])


@pytest.mark.parametrize("concurrency", [1, 3, 8])
def test_threads_are_used_fairly_at_any_load(concurrency: int) -> None:
    scheduler = make(READS.delay(10).limit(100 * concurrency), concurrency=concurrency)
    used: Counter[int] = Counter()
    now = 0
    done: list[Op] = []
    while not scheduler.exhausted():
        decision = scheduler.step(now, done)
        used.update(op.process for op in decision.dispatch)
        done = [back(op) for op in decision.dispatch]
        now = now + 1 if done else decision.wake_ns
    assert set(used.values()) == {100}


def test_a_free_thread_is_used_before_any_other_is_used_twice() -> None:
    """Under every order of completions: the next operation goes to who has waited longest, give or
    take one round.
    """
    scheduler = make(READS.delay(1).limit(3000), concurrency=6)
    rng = Rng(5, "fairness")
    open_ops: list[Op] = []
    waited = dict.fromkeys(range(6), 0)
    now = 0
    while not scheduler.exhausted():
        rng.shuffle(open_ops)
        done = [back(op) for op in open_ops[: rng.below(len(open_ops) + 1)]]
        del open_ops[: len(done)]
        for op in done:
            waited[op.process] = 0
        for op in scheduler.step(now, done).dispatch:
            open_ops.append(op)
            for thread in waited:
                waited[thread] += thread not in {o.process for o in open_ops}
        assert max(waited.values()) <= 6
        now += 1


def test_submitted_operations_go_first_and_wait_for_their_thread() -> None:
    scheduler = make(concurrency=2)
    any_thread, mine = Op(f="any"), Op(f="mine")
    first = scheduler.step(0, submitted=[Submission(any_thread)]).dispatch
    assert [op.f for op in first] == ["any", "read"]
    assert first[0] is any_thread
    assert scheduler.step(1, submitted=[Submission(mine, 1)]).dispatch == []
    again = scheduler.step(2, [back(first[0])]).dispatch
    assert [(op.f, op.process) for op in again] == [("read", 0)]
    again = scheduler.step(3, [back(first[1], "info")]).dispatch
    assert [(op.f, op.process) for op in again] == [("mine", 3)]


def test_submitted_operations_that_wait_keep_the_run_alive() -> None:
    scheduler = make(None, concurrency=1)
    one, two = Op(f="one"), Op(f="two")
    scheduler.step(0, submitted=[Submission(one, 0), Submission(two, 0)])
    scheduler.step(1, [back(one)])
    assert not scheduler.exhausted()
    scheduler.step(2, [back(two)])
    assert scheduler.exhausted()
    assert scheduler.step(3) == Decision([], [], NEVER)


def test_the_nemesis_thread_has_no_deadline_and_its_process_never_ends() -> None:
    nemesis = lift({"f": "kill"}).repeat(2).on_nemesis()
    scheduler = make(any_of(nemesis, READS.limit(1).on_clients()), concurrency=1, nemesis=True)
    dispatch = scheduler.step(0).dispatch
    assert {op.f: op.process for op in dispatch} == {"kill": NEMESIS, "read": 0}
    kill, read = sorted(dispatch, key=lambda op: op.f)
    assert scheduler.step(1, [back(read)]) == Decision([], [], NEVER)
    assert not scheduler.exhausted()
    (again,) = scheduler.step(10 * TIMEOUT, [back(kill, "info")]).dispatch
    assert again.process == NEMESIS
    scheduler.step(11 * TIMEOUT, [back(again)])
    assert scheduler.exhausted()


def test_the_next_generator_keeps_processes_and_numbers() -> None:
    scheduler = make({"f": "a"}, concurrency=1)
    (op,) = scheduler.step(0).dispatch
    scheduler.step(1, [back(op, "info")])
    assert scheduler.exhausted()
    scheduler.load(lambda ctx: {"f": "b", "value": ctx.serial}, "next")
    (op,) = scheduler.step(2).dispatch
    assert (op.process, op.value) == (1, 2)


def test_loading_drops_the_rest_and_waits_for_what_is_open() -> None:
    scheduler = make(concurrency=2)
    first, second = scheduler.step(0).dispatch
    scheduler.load(None, "")
    assert scheduler.step(1, [back(first)]).dispatch == []
    assert not scheduler.exhausted()
    scheduler.step(2, [back(second)])
    assert scheduler.exhausted()


def test_impossible_numbers_are_our_bug() -> None:
    for concurrency, timeout in ((0, 1), (1, 0)):
        with pytest.raises(InternalError):
            Scheduler(concurrency=concurrency, seed=1, op_timeout_ns=timeout)


# -- random trees ---------------------------------------------------------------------------------


class Twice(Generator, frozen=True):
    """Asks what it wraps twice, and fails where the answers differ: generators are pure."""

    gen: Generator

    def op(self, ctx: Context) -> Step:
        step, again = self.gen.op(ctx), self.gen.op(ctx)
        assert (step is None) == (again is None)
        if step is None or again is None:
            return None
        assert step[0] == again[0]
        return step[0], Twice(step[1])

    def update(self, event: Op) -> Generator:
        return Twice(self.gen.update(event))

    def seeded(self, seed: int, path: str) -> Generator:
        return Twice(self.gen.seeded(seed, path))


LEAVES: tuple[Callable[[Rng], Any], ...] = (
    lambda rng: {"f": "read"},
    lambda rng: [{"f": "read"}, {"f": "write", "value": 1}],
    lambda rng: READS,
    lambda rng: register(),
    lambda rng: lambda ctx: {"f": "write", "value": ctx.serial},
    lambda rng: lambda ctx: [{"f": "a"}] * ctx.rand("n").below(3) or None,
    lambda rng: independent(lambda key: register().limit(3), keys=rng.between(1, 3)),
    lambda rng: None,
)


def wrapped(rng: Rng, gen: Generator) -> Generator:
    """Some wrapper around it."""
    n = rng.below(40)
    choices: tuple[Callable[[], Generator], ...] = (
        lambda: gen.limit(n),
        lambda: gen.time_limit(10 * n),
        lambda: gen.stagger(n),
        lambda: gen.delay(n),
        lambda: gen.repeat(n),
        lambda: gen.cycle(n),
        gen.until_ok,
        gen.synchronize,
        gen.each_thread,
        gen.each_process,
        gen.on_clients,
    )
    return rng.choice(choices)()


def tree(rng: Rng, depth: int) -> Generator:
    """A random generator."""
    if depth == 0:
        return lift(rng.choice(LEAVES)(rng))
    roll = rng.below(10)
    if roll < 5:
        return wrapped(rng, tree(rng, depth - 1))
    parts = [tree(rng, depth - 1) for _ in range(rng.between(1, 3))]
    if roll < 6:
        return mix(*parts, weights=[rng.between(1, 5) for _ in parts])
    if roll < 7:
        return any_of(*parts)
    if roll < 8:
        return phases(*parts)
    if roll < 9:
        return parts[0].then(*parts[1:])
    return reserve((1, parts[0]), rest=parts[-1])


def follow(seed: int) -> list[Op]:
    """Run one random tree with random clients, checking every step; returns its events."""
    rng = Rng(seed, "random tree")
    concurrency = rng.between(2, 5)
    gen = Twice(tree(rng, rng.between(1, 4))).limit(60)
    client = any_of(gen.on_clients(), lift({"f": "kill"}).delay(30).repeat(3).on_nemesis())
    scheduler = Scheduler(concurrency=concurrency, seed=seed, op_timeout_ns=TIMEOUT, nemesis=True)
    scheduler.load(client, "tree")
    events: list[Op] = []
    running: dict[int, Op] = {}
    ended: set[int] = set()
    coming: list[tuple[int, Op]] = []
    submissions = deque(Submission(Op(f="asked"), rng.between(-1, concurrency - 1)) for _ in "abc")
    now = 0
    while True:
        done = [back(op, kind_of(rng, op)) for due, op in coming if due <= now]
        coming = [entry for entry in coming if entry[0] > now]
        for op in done:
            del running[scheduler.thread_of(op.process)]
            ended |= {op.process} if op.type == "info" and op.process != NEMESIS else set()
        events += done
        asked = [submissions.popleft()] if submissions and rng.chance(1, 4) else []
        decision = scheduler.step(now, done, asked)
        for op in decision.dispatch:
            thread = scheduler.thread_of(op.process)
            assert thread not in running, f"seed {seed}: two operations on thread {thread}"
            assert op.process not in ended, f"seed {seed}: process {op.process} came back"
            assert op.time_ns == now
            running[thread] = op
            coming.append((now + rng.choice((1, 7, 50, 20 * TIMEOUT)), op))
            events.append(op)
        for op in decision.cancel:
            assert running[scheduler.thread_of(op.process)] is op
            coming = [(now if it is op else due, it) for due, it in coming]
        if scheduler.exhausted() and not submissions:
            return events
        due = [due for due, _ in coming]
        now = max(now, min([decision.wake_ns, *due, *([now + 5] if submissions else [])]))


def kind_of(rng: Rng, op: Op) -> OpType:
    return rng.choice(("ok", "ok", "ok", "fail", "info"))


def test_random_trees_never_double_book_a_thread_and_never_lose_a_completion() -> None:
    operations = refused = 0
    for seed in range(1000):
        try:
            events = follow(seed)
        except UserError as error:
            # A `reserve` where `each_thread` or another `reserve` has left it one thread.
            if not str(error).startswith("reserve:"):
                raise
            refused += 1
            continue
        assert len([op for op in events if op.type == "invoke"]) * 2 == len(events)
        operations += len(events) // 2
        if seed % 50 == 0:
            assert events == follow(seed)
    assert refused < 100
    assert operations > 20_000
