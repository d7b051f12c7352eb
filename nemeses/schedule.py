"""A schedule of faults: what begins when and for how long, drawn from a seed before the run; and
the loop that follows it.

Words of `--faults` are dealt from a shuffled deck, round after round, so that each comes as often
as the others; so are the kinds of a family. Gaps and durations are exponential, above a least one,
scaled so that as many faults fit as there is time for: at least two rounds where the phase is long
enough. Now and then two faults overlap; after them, as after every other, comes a calm in which the
cluster can make progress.

The loop knows the moment: it waits for fair targets, skips a kind that has none, and deals a word
whose fault had no effect again in place of a later one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import msgspec

from dissensus.harness.cluster import Cluster
from dissensus.harness.env import Env
from dissensus.harness.errors import UserError, unknown_name
from dissensus.harness.fault import Fault
from dissensus.harness.injector import Injector
from dissensus.harness.randomness import Rng
from dissensus.nemeses.table import NEMESES, WORDS, kinds_of

MS = 1_000_000

CYCLE_NS = 4_000 * MS
"""A fault with the calm after it, on the average, where there is time enough."""
CYCLE_LEAST_NS = 2_000 * MS
"""Less is not enough to measure an effect (a cut shows after a second) and to recover from it."""
ROUNDS = 2
"""Times that each word must come where the phase is long enough ..."""
RESERVE = 2
"""... and faults more, in place of some that had no effect."""

OFTEN = frozenset({"partition-leader"})
"""Kinds that are dealt twice a round of their family's: they find most."""

CALM_SHARE = 12
"""The least calm after a fault is a cycle / 12 ..."""
LAST_SHARE = 3
"""... its least duration a cycle / 3; the rest of the time is drawn."""
OVERLAP = (1, 4)
"""Chance that a fault begins before the one before it ends."""

LAST_LEAST_NS = 500 * MS
"""With less time left no fault is begun: operations should meet it."""
CALM_LEAST_NS = 300 * MS
"""Calm before the next fault however late the loop is: an election and some operations."""

STAYS = {"partition": 3}
"""Family -> how many times longer than others: a cut harms once an election is over and operations
on the wrong side have timed out.
"""

RETRY_NS = 100 * MS
"""How long to wait before targets are drawn again (no leader now, too many nodes down)."""
RETRY_MAX_NS = 2_000 * MS
"""How long to wait for fair targets in all: some elections' worth."""


class Planned(msgspec.Struct, kw_only=True, frozen=True):
    """One entry of a schedule. Times in ns."""

    begin_ns: int
    """After the start of the phase."""
    last_ns: int
    word: str
    kinds: tuple[str, ...]
    """The kind to inject, then those to take its place where it has no fair target."""
    overlaps: bool
    """It may begin while the one before it lasts."""


def offered(words: Iterable[str], cluster: Cluster, size: int) -> dict[str, list[str]]:
    """Word -> its kinds. Raises UserError for a word that is unknown, or that means nothing that
    this cluster, of `size` nodes, can do.
    """
    found = {}
    for word in words:
        kinds = kinds_of(word)
        if not kinds:
            raise unknown_name("fault", word, WORDS)
        nemeses = [NEMESES[kind] for kind in kinds]
        missing = sorted(nemeses[0].needs - cluster.capabilities)
        if missing:
            why = cluster.refusals.get(missing[0], f"it has no {missing[0]!r}")
            raise UserError(f"fault {word!r} cannot be injected on {cluster.kind}: {why}")
        found[word] = [nemesis.kind for nemesis in nemeses if nemesis.nodes_least <= size]
        if not found[word]:
            least = min(nemesis.nodes_least for nemesis in nemeses)
            raise UserError(f"fault {word!r} needs {least} nodes at the least, there are {size}")
    return found


def compose(
    words: Sequence[str], cluster: Cluster, *, size: int, seed: int, length_ns: int
) -> list[Planned]:
    """The schedule of a phase of `length_ns` on a cluster that has, or will have, `size` nodes. A
    function of its arguments; empty without words.

    Raises UserError as `offered` does.
    """
    if not words:
        return []
    rng = Rng(seed, "schedule")
    kinds = offered(words, cluster, size)
    least = ROUNDS * len(kinds) + RESERVE
    cycle_ns = max(CYCLE_LEAST_NS, min(CYCLE_NS, length_ns // least))
    count = max(1, length_ns // cycle_ns)
    order = deal(list(kinds), rng.split("words"))
    decks = {
        word: deal(
            [*kinds[word], *(k for k in kinds[word] if k in OFTEN)],
            rng.split(f"kinds/{word}"),
            first=seed,
        )
        for word in kinds
    }
    entries = []
    for word in islice(order, count):
        first = next(decks[word])
        entries.append((word, (first, *(kind for kind in kinds[word] if kind != first))))
    return lay_out(entries, rng.split("times"), length_ns)


def deal(cards: Sequence[str], rng: Rng, *, first: int | None = None) -> Iterator[str]:
    """Cards without end, round after round, each round shuffled. `first` says which card comes
    first of all, so that runs with consecutive seeds begin with different ones.
    """
    dealt = rng.sample(cards, len(cards))
    if first is not None:
        card = cards[first % len(cards)]
        dealt.remove(card)
        dealt.insert(0, card)
    while True:
        yield from dealt
        dealt = rng.sample(cards, len(cards))


def lay_out(
    entries: Sequence[tuple[str, tuple[str, ...]]], rng: Rng, length_ns: int
) -> list[Planned]:
    """Give each (word, kinds) its place in time: gap, fault, gap, fault ... and the last gap."""
    share_ns = length_ns // len(entries)
    calm_ns, least_ns = share_ns // CALM_SHARE, share_ns // LAST_SHARE
    parts = [rng.exponential_ns(1000 * MS) for _ in range(2 * len(entries) + 1)]
    for number, (_, kinds) in enumerate(entries):
        parts[2 * number + 1] *= STAYS.get(NEMESES[kinds[0]].family, 1)
    free_ns = length_ns - len(entries) * (calm_ns + least_ns)
    drawn = [free_ns * part // max(1, sum(parts)) for part in parts]
    plan: list[Planned] = []
    at_ns = 0
    for number, (word, kinds) in enumerate(entries):
        at_ns += calm_ns + drawn[2 * number]
        last_ns = least_ns + drawn[2 * number + 1]
        begin_ns, overlaps = at_ns, False
        if plan and plan[-1].word != word and not plan[-1].overlaps and rng.chance(*OVERLAP):
            # It begins in the second half of the one before; the calm that was between them is
            # after it.
            before = plan[-1]
            begin_ns = before.begin_ns + before.last_ns - rng.below(before.last_ns // 2 + 1)
            overlaps = True
        plan.append(
            Planned(begin_ns=begin_ns, last_ns=last_ns, word=word, kinds=kinds, overlaps=overlaps)
        )
        at_ns += last_ns
    return plan


async def run_schedule(
    env: Env, injector: Injector, schedule: Sequence[Planned], until: int
) -> None:
    """Follow the schedule from now on; at `until` (a time of `env`) at the latest, every fault is
    undone and it returns. Cancelled, it leaves what is in force to `Injector.undo_all`.
    """
    await _Follower(env, injector, until).follow(schedule)


class _Follower:
    """Begins and ends faults as time passes: one thing at a time, in the order of time."""

    def __init__(self, env: Env, injector: Injector, until: int) -> None:
        self.env = env
        self.injector = injector
        self.until = until
        self.ends: list[tuple[int, int]] = []
        """(time, id) of the faults that are in force."""
        self.calm_since = env.now()

    async def follow(self, schedule: Sequence[Planned]) -> None:
        start = self.env.now()
        spares_from = ROUNDS * len({entry.word for entry in schedule})
        owed: list[tuple[str, ...]] = []
        for number, entry in enumerate(schedule):
            if not entry.overlaps:
                await self.end_all()
            await self.pass_to(start + entry.begin_ns)
            if self.env.now() + LAST_LEAST_NS > self.until:
                break
            kinds = owed.pop(0) if owed and number >= spares_from else entry.kinds
            if not await self.begin(kinds, entry.last_ns):
                owed.append(kinds)
        await self.end_all()

    async def begin(self, kinds: tuple[str, ...], last_ns: int) -> bool:
        """Inject the first of the kinds that has fair targets; False where it had no effect."""
        fault = await self.fair(kinds)
        if fault is None:
            self.injector.skip(kinds[0])
            return False
        began = self.env.now()
        measured = await self.injector.begin(fault)
        if fault.id in self.injector.in_force():
            self.ends.append((min(began + last_ns, self.until), fault.id))
        return measured.effective

    async def fair(self, kinds: tuple[str, ...]) -> Fault | None:
        """A fault of the first kind as soon as it has fair targets; after a while, one of another
        kind of its family.
        """
        give_up = min(self.env.now() + RETRY_MAX_NS, self.until)
        while self.env.now() < give_up:
            if not self.ends:
                await self.pass_to(self.calm_since + CALM_LEAST_NS)
            fault = await self.injector.draw(kinds[0])
            if fault is not None:
                return fault
            await self.pass_to(self.env.now() + RETRY_NS)
        for kind in kinds[1:] if self.env.now() + LAST_LEAST_NS <= self.until else ():
            fault = await self.injector.draw(kind)
            if fault is not None:
                return fault
        return None

    async def end_all(self) -> None:
        """End what is in force, each at its time."""
        if self.ends:
            await self.pass_to(max(self.ends)[0])

    async def pass_to(self, at: int) -> None:
        """Let time pass to `at`, or to the end of the phase, ending faults on the way."""
        at = min(at, self.until)
        while self.ends and min(self.ends)[0] <= at:
            when, fault = min(self.ends)
            await self.sleep_to(when)
            self.ends.remove((when, fault))
            await self.injector.end(fault)
            self.calm_since = self.env.now()
        await self.sleep_to(at)

    async def sleep_to(self, at: int) -> None:
        if at > self.env.now():
            await self.env.sleep(at - self.env.now())
