"""Histories of a real object for benchmarks: a register, a queue, a store of lists, under load.

    python benchmarks/generators.py gen --ops 1000 --clients 5 --violate phantom --seed 1 > h.edn
    python benchmarks/generators.py genq --ops 1000 --clients 5 --form fastlin > h.txt
    python benchmarks/generators.py genla --txns 1000 --clients 5 --violate stale > h.edn

An event-driven run: a client thinks Exp(mean 1), an operation lasts d ~ Exp(mean 10) and takes
effect at a uniform point of (t, t + d), so that nearly all clients always have one open. All three
are legal by construction; `--violate` then plants one violation near 95 %. The same arguments give
the same bytes.
"""

from __future__ import annotations

import argparse
import heapq
import random
import sys
from collections.abc import Callable, Iterator
from typing import Any, TextIO

PHANTOM = 999999
AT = 0.95
"""The part of the history before the planted violation."""
CRASHES_UNTIL = 0.9
DOMAIN = 5
STAMP = 1_000_000
"""Nanoseconds of a unit of the clockwork."""
KEYS_ACTIVE = 10
STALE_LONGER_THAN, STALE_LOSES = 60, 40


class Open:
    """An operation under way."""

    def __init__(self, process: int, f: str, value: Any, slot: int) -> None:
        self.process, self.f, self.value, self.slot = process, f, value, slot
        self.result: Any = value
        self.type = "ok"


class Clockwork:
    """Slots that invoke, take effect and return, in the order of their times."""

    def __init__(self, clients: int, ops: int, seed: int) -> None:
        self.random = random.Random(seed)
        self.clients = clients
        self.ops = ops
        self.begun = 0
        self.heap: list[tuple[float, int, str, int, Open | None]] = []
        self.order = 0
        self.process = list(range(clients))

    def push(self, at: float, what: str, slot: int, op: Open | None = None) -> None:
        self.order += 1
        heapq.heappush(self.heap, (at, self.order, what, slot, op))

    def run(
        self,
        invoke: Callable[[int, int], Open],
        effect: Callable[[Open], None],
        crash: Callable[[int], bool] = lambda number: False,
    ) -> Iterator[tuple[float, Open, str]]:
        """(time, operation, invoke | ok | fail | info) in order. `invoke` is handed the slot and
        the operation's number.
        """
        rand = self.random
        for slot in range(self.clients):
            self.push(rand.expovariate(1.0), "think", slot)
        while self.heap:
            now, _, what, slot, op = heapq.heappop(self.heap)
            if what == "think":
                if self.begun == self.ops:
                    continue
                number = self.begun
                self.begun += 1
                op = invoke(slot, number)
                yield now, op, "invoke"
                lasts = rand.expovariate(0.1)
                if crash(number):
                    if rand.random() < 0.5:
                        self.push(now + rand.uniform(0, 5 * lasts), "effect", slot, op)
                    op.type = "info"
                    self.process[slot] += self.clients
                else:
                    self.push(now + rand.uniform(0, lasts), "effect", slot, op)
                self.push(now + lasts, "return", slot, op)
            elif op is None:
                raise AssertionError(what)
            elif what == "effect":
                effect(op)
            else:
                yield now, op, op.type
                self.push(now + rand.expovariate(1.0), "think", slot)


def gen(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Registers: read, write, cas."""
    clock = Clockwork(args.clients, args.ops, args.seed)
    rand = clock.random
    values: list[int | None] = [None] * args.keys
    seen: list[int | None] = [None] * args.clients
    fresh = iter(range(args.ops + 1))
    key_of: dict[int, int] = {}
    """By the operation's id: all of them are held in `events`."""
    crashed = set(
        random.Random(f"{args.seed}/crashes").sample(
            range(int(args.ops * CRASHES_UNTIL)), args.crashes
        )
    )
    installed = {value: 0 for value in range(DOMAIN)}

    def argument(f: str, slot: int) -> Any:
        def new() -> int:
            return next(fresh) if args.unique else rand.randrange(args.domain)

        if f == "cas":
            return [seen[slot] if args.unique else rand.randrange(args.domain), new()]
        return new() if f == "write" else None

    def invoke(slot: int, number: int) -> Open:
        process = clock.process[slot]
        choice = rand.random() * (3 if args.mode == "cas" else 2)
        f = "read" if choice < 1 else "write" if choice < 2 else "cas"
        if number in crashed:
            f = "cas" if args.mode == "cas" and rand.random() < 0.5 else "write"
        value = argument(f, slot)
        if number in crashed:
            new = value if f == "write" else value[1]
            installed[new] = installed.get(new, 0) + 1
        op = Open(process, f, value, slot)
        key_of[id(op)] = rand.randrange(args.keys) if args.keys > 1 else 0
        return op

    def effect(op: Open) -> None:
        key = key_of[id(op)]
        if op.f == "read":
            op.result = values[key]
            seen[op.slot] = values[key]
        elif op.f == "write":
            values[key] = op.value
            seen[op.slot] = op.value
        elif values[key] == op.value[0]:
            values[key] = op.value[1]
            seen[op.slot] = op.value[1]
        elif op.type != "info":
            op.type = "fail"

    now = 0.0
    events: list[tuple[float, Open, str, int]] = []
    for now, op, kind in clock.run(invoke, effect, crashed.__contains__):
        events.append((now, op, kind, key_of[id(op)]))
    plant(args, events)
    if args.violate == "pigeon":
        events += pigeon(args, now, installed, max(clock.process) + args.clients)
    yield from lines(events, args.keys)


def lines(events: list[tuple[float, Open, str, int]], keys: int) -> Iterator[dict[str, Any]]:
    for index, (at, op, kind, key) in enumerate(events):
        value = op.result if kind == "ok" and op.f == "read" else op.value
        if keys > 1:
            value = [key, value]
        yield {
            "process": op.process,
            "type": kind,
            "f": op.f,
            "value": value,
            "index": index,
            "time": int(at * STAMP),
        }


def plant(args: argparse.Namespace, events: list[tuple[float, Open, str, int]]) -> None:
    """phantom: the last read before 95 % returns 999999. stale: it returns a value that was
    overwritten by a write completed before the read began.
    """
    if args.violate not in ("phantom", "stale"):
        return
    if args.violate == "stale" and not args.unique:
        raise SystemExit("--violate stale needs --unique")
    last = int(len(events) * args.at)
    reads = [i for i in range(last) if events[i][2] == "ok" and events[i][1].f == "read"]
    at = reads[-1]
    if args.violate == "phantom":
        events[at][1].result = PHANTOM
        return
    begun = next(i for i in range(at, -1, -1) if events[i][1] is events[at][1])
    key = events[at][3]
    invoked: dict[int, int] = {}
    writes: list[tuple[int, int, Any]] = []
    for i in range(begun):
        _, op, kind, of = events[i]
        if op.f == "write" and of == key:
            if kind == "invoke":
                invoked[id(op)] = i
            elif kind == "ok":
                writes.append((invoked[id(op)], i, op.value))
    # Written, and then overwritten by a write that began after it and returned before the read.
    newest = max(writes)
    older = [write for write in writes if write[1] < newest[0]]
    events[at][1].result = max(older, key=lambda write: write[1])[2]


def pigeon(
    args: argparse.Namespace, now: float, installed: dict[int, int], process: int
) -> list[tuple[float, Open, str, int]]:
    """At the end one client does (k_b + 1) times [write a; read b], where k_b crashed operations
    can install b: each read alone can be explained, all together cannot.
    """
    b = max(range(args.domain), key=lambda value: (installed.get(value, 0), value))
    a = (b + 1) % args.domain
    events: list[tuple[float, Open, str, int]] = []
    for _ in range(installed.get(b, 0) + 1):
        for f, value in (("write", a), ("read", b)):
            op = Open(process, f, value if f == "write" else None, 0)
            op.result = value
            for kind in ("invoke", "ok"):
                now += 1
                events.append((now, op, kind, 0))
    return events


def genq(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A FIFO queue of distinct values."""
    clock = Clockwork(args.clients, args.ops, args.seed)
    rand = clock.random
    queue: list[int] = []
    head = 0
    fresh = iter(range(1, args.ops + args.clients + 2))

    def invoke(slot: int, number: int) -> Open:
        enqueue = rand.random() < 0.5
        return Open(clock.process[slot], "enqueue" if enqueue else "dequeue", None, slot)

    def effect(op: Open) -> None:
        nonlocal head
        if op.f == "dequeue" and head < len(queue):
            op.result = queue[head]
            head += 1
            return
        op.f = "enqueue"
        op.value = op.result = next(fresh)
        queue.append(op.value)

    now = 0.0
    events: list[tuple[float, Open, str]] = []
    for now, op, kind in clock.run(invoke, effect):
        events.append((now, op, kind))
    while head < len(queue):
        op = Open(0, "dequeue", None, 0)
        op.result = queue[head]
        head += 1
        for kind in ("invoke", "ok"):
            now += 1
            events.append((now, op, kind))
    if args.violate == "swap":
        swap([event for event in events if event[2] == "ok"], events, args.at)
    for index, (at, op, kind) in enumerate(events):
        value = op.value if kind == "invoke" else op.result
        yield {
            "process": op.process,
            "type": kind,
            "f": op.f,
            "value": value,
            "index": index,
            "time": int(at * STAMP),
        }


def swap(
    returned: list[tuple[float, Open, str]], events: list[tuple[float, Open, str]], at: float
) -> None:
    """Exchange the results of two dequeues near 95 % whose enqueues and dequeues are strictly
    ordered.
    """
    begun, ended = {}, {}
    for i, (_, op, kind) in enumerate(events):
        (begun if kind == "invoke" else ended)[id(op)] = i
    enqueue = {op.value: op for _, op, _ in returned if op.f == "enqueue"}
    dequeues = [op for _, op, _ in returned if op.f == "dequeue"]
    before = dequeues[int(len(dequeues) * at)]

    def precedes(a: Open, b: Open) -> bool:
        return ended[id(a)] < begun[id(b)]

    for after in dequeues[int(len(dequeues) * at) :]:
        first, second = enqueue[before.result], enqueue[after.result]
        if precedes(before, after) and precedes(first, second):
            before.result, after.result = after.result, before.result
            return
    raise SystemExit("no two dequeues are strictly ordered")


def genla(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Transactions over lists or registers, strictly serializable."""
    clock = Clockwork(args.clients, args.txns, args.seed)
    rand = clock.random
    active = list(range(KEYS_ACTIVE))
    next_key = KEYS_ACTIVE
    writes: dict[int, int] = {}
    lists: dict[int, list[int]] = {}
    write = "append" if args.kind == "append" else "w"
    lost = {n for n in range(args.txns) if random.Random(f"{args.seed}/{n}").random() < args.info}

    def invoke(slot: int, number: int) -> Open:
        nonlocal next_key
        ops: list[list[Any]] = []
        for _ in range(rand.randint(1, 4)):
            at = rand.randrange(KEYS_ACTIVE)
            key = active[at]
            if rand.random() < 0.5:
                ops.append(["r", key, None])
                continue
            writes[key] = writes.get(key, 0) + 1
            ops.append([write, key, writes[key]])
            if writes[key] == args.max_writes:
                active[at] = next_key
                next_key += 1
        return Open(clock.process[slot], "txn", ops, slot)

    def effect(op: Open) -> None:
        done: list[list[Any]] = []
        for f, key, value in op.value:
            held = lists.setdefault(key, [])
            if f == "r":
                now = list(held) if args.kind == "append" else (held[-1] if held else None)
                done.append([f, key, now])
            else:
                held.append(value)
                done.append([f, key, value])
        op.result = done

    events = list(clock.run(invoke, effect, lost.__contains__))
    if args.violate == "stale":
        plant_stale(events, args.at)
    for index, (at, op, kind) in enumerate(events):
        yield {
            "process": op.process,
            "type": kind,
            "f": "txn",
            "value": op.result if kind == "ok" else op.value,
            "index": index,
            "time": int(at * STAMP),
        }


def plant_stale(events: list[tuple[float, Open, str]], at: float) -> None:
    """The first transaction after 95 % with a long read of a key that it does not write loses the
    last 40 elements of it.
    """
    for _, op, kind in events[int(len(events) * at) :]:
        if kind != "ok":
            continue
        written = {key for f, key, _ in op.result if f != "r"}
        for step in op.result:
            long = step[0] == "r" and len(step[2] or ()) > STALE_LONGER_THAN
            if long and step[1] not in written:
                step[2] = step[2][:-STALE_LOSES]
                return
    raise SystemExit("no read is long enough")


def edn(value: Any) -> str:
    """A value as EDN; the first of a micro-operation is a keyword."""
    if value is None:
        return "nil"
    if isinstance(value, list):
        return f"[{' '.join(edn(item) for item in value)}]"
    return f":{value}" if isinstance(value, str) else str(value)


def write_edn(events: Iterator[dict[str, Any]], out: TextIO) -> None:
    for e in events:
        out.write(
            f"{{:process {e['process']}, :type :{e['type']}, :f :{e['f']}, "
            f":value {edn(e['value'])}, :index {e['index']}, :time {e['time']}}}\n"
        )


def write_fastlin(events: Iterator[dict[str, Any]], out: TextIO) -> None:
    """`METHOD VALUE START END`, stamps are positions."""
    begun: dict[int, int] = {}
    lines = []
    for e in events:
        if e["type"] == "invoke":
            begun[e["process"]] = e["index"]
            continue
        method = "enq" if e["f"] == "enqueue" else "deq"
        start = begun.pop(e["process"])
        lines.append((start, f"{method} {e['value']} {start} {e['index']}\n"))
    out.write("# queue\n")
    out.writelines(line for _, line in sorted(lines))


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    kinds = top.add_subparsers(dest="generator", required=True)
    for name, violations in (
        ("gen", ("none", "phantom", "stale", "pigeon")),
        ("genq", ("none", "swap")),
        ("genla", ("none", "stale")),
    ):
        sub = kinds.add_parser(name)
        sub.add_argument("--clients", type=int, default=5)
        sub.add_argument("--seed", type=int, default=1)
        sub.add_argument("--at", type=float, default=AT)
        sub.add_argument("--violate", choices=violations, default="none")
        if name == "genla":
            sub.add_argument("--txns", type=int, required=True)
            sub.add_argument("--max-writes", type=int, default=256)
            sub.add_argument("--info", type=float, default=0.0)
            sub.add_argument("--kind", choices=("append", "register"), default="append")
        else:
            sub.add_argument("--ops", type=int, required=True)
        if name == "gen":
            sub.add_argument("--mode", choices=("cas", "rw"), default="cas")
            sub.add_argument("--domain", type=int, default=DOMAIN)
            sub.add_argument("--unique", action="store_true")
            sub.add_argument("--crashes", type=int, default=0)
            sub.add_argument("--keys", type=int, default=1)
        if name == "genq":
            sub.add_argument("--form", choices=("edn", "fastlin"), default="edn")
    return top


def generate(arguments: list[str], out: TextIO) -> None:
    """Write the history that the arguments ask for."""
    args = parser().parse_args(arguments)
    made = {"gen": gen, "genq": genq, "genla": genla}[args.generator](args)
    if getattr(args, "form", "edn") == "fastlin":
        write_fastlin(made, out)
    else:
        write_edn(made, out)


if __name__ == "__main__":
    generate(sys.argv[1:], sys.stdout)
