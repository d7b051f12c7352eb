"""Operations per second that the pure-Python engine judges, on histories of a correct register.

    python benchmarks/python_engine.py [OPERATIONS]

Event by event a register is run: a client thinks for a while, an operation lasts a while and takes
effect at some moment of it, so that nearly all clients have an operation open; one in 200 crashes
and takes effect late or never. "keys in turn" rolls over keys after 200 operations, as the
workloads do; "one key" is the hard case; "phantom read" holds one read of a value that was never
written, and the figure includes the certificate. Figures only: nothing is promised for this engine.
"""

from __future__ import annotations

import heapq
import random
import sys
import time

import msgspec

from dissensus.checkers.linearizability import PythonEngine
from dissensus.checkers.models import make_model
from dissensus.harness.checker import Budget
from dissensus.harness.history import History
from dissensus.harness.ops import Op

OPERATIONS = 100_000
CRASHED_PER_OP = 1 / 200
PER_KEY = 200
KEYS_AT_ONCE = 5
VALUES = 5


def events(operations: int, clients: int, *, keys: bool, seed: int = 1) -> list[Op]:
    """A history of registers that keep their promise."""
    rng = random.Random(seed)
    heap: list[tuple[float, int, str, Op]] = []
    state: dict[int, int | None] = {}
    found: list[Op] = []
    number = 0
    processes = clients
    for client in range(clients):
        heapq.heappush(
            heap, (rng.expovariate(1), number := number + 1, "invoke", Op(f="", process=client))
        )
    begun = 0
    while heap:
        now, _, step, op = heapq.heappop(heap)
        if step == "invoke":
            if begun == operations:
                continue
            begun += 1
            key = (
                begun // (PER_KEY * KEYS_AT_ONCE) * KEYS_AT_ONCE + begun % KEYS_AT_ONCE
                if keys
                else 0
            )
            f = rng.choice(("read", "write", "cas"))
            value = {"read": None, "write": rng.randrange(VALUES)}.get(
                f, [rng.randrange(VALUES), rng.randrange(VALUES)]
            )
            op = Op(f=f, key=key, value=value, process=op.process, time_ns=int(now * 1e6))
            found.append(op)
            lasts = rng.expovariate(0.1)
            crashed = f != "read" and rng.random() < CRASHED_PER_OP
            effect = now + rng.random() * (5 * lasts if crashed else lasts)
            end = msgspec.structs.replace(op, type="info" if crashed else "ok")
            heapq.heappush(heap, (effect, number := number + 1, "effect", end))
            heapq.heappush(heap, (now + lasts, number := number + 1, "end", end))
        elif step == "effect":
            now_there = state.get(op.key)
            if op.f == "read":
                op.value = now_there
            elif op.f == "write":
                state[op.key] = op.value
            elif op.value[0] == now_there:
                state[op.key] = op.value[1]
            elif op.type == "ok":
                op.type = "fail"
        else:
            found.append(msgspec.structs.replace(op, time_ns=int(now * 1e6)))
            if op.type == "info":
                processes += 1
            again = Op(f="", process=processes if op.type == "info" else op.process)
            heapq.heappush(heap, (now + rng.expovariate(1), number := number + 1, "invoke", again))
    return found


def phantom(ops: list[Op]) -> list[Op]:
    """The same history with one read, near the end, of a value that the key never held."""
    ops = list(ops)
    last = max(
        i for i, op in enumerate(ops) if op.f == "read" and op.type == "ok" and i < 0.95 * len(ops)
    )
    ops[last] = msgspec.structs.replace(ops[last], value=VALUES)
    return ops


def main() -> int:
    """Measure and print."""
    operations = int(sys.argv[1]) if len(sys.argv) > 1 else OPERATIONS
    model = make_model("cas-register")
    print(f"{'history':<34} {'verdict':<8} {'operations/s':>12}  configurations")
    for clients, keys in ((10, True), (5, False), (10, False), (30, False)):
        ops = events(operations, clients, keys=keys)
        for name, some in (("", ops), (", phantom read", phantom(ops))):
            history = History.from_ops(some)
            begin = time.perf_counter()
            verdict = PythonEngine().check(history, model, Budget())
            rate = len(history) / (time.perf_counter() - begin)
            title = f"{clients} clients, {'keys in turn' if keys else 'one key'}{name}"
            print(
                f"{title:<34} {verdict.validity:<8} {rate:>12,.0f}  "
                f"{verdict.facts['configurations']:,}"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
