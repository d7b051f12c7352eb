"""Scripted scenarios for the bundled Raft: the shortest stories in which a known mutant is caught.

Each is a story of three nodes that a correct Raft gets through unharmed; with the mutant that it is
for, a violation is seen every time: `dissensus run raft --scenario stale-read --mutant R13`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count

from dissensus.harness.errors import SystemFault
from dissensus.harness.fault import Fault
from dissensus.harness.scenario import Player, Scenario, Stage, host_beside

KEY = "story"
"""The one key that all of it is about."""
LOOK_NS = 20_000_000
ELECTION_MS = 3_000
"""For a story that must end before an election timer does: a restart takes a second at most."""
ELECTED_NS = 1_000_000_000
"""How long a candidate with enough votes may take to lead: some messages and an fsync."""
ARRIVED_NS = 300_000_000
"""A message has arrived by then; where it has not, the story is told again."""
TRIES = 5
"""How often a story is told again that another election has come between."""


async def stale_read(t: Stage) -> None:
    """The leader is cut off together with a client, the others go on, both sides are read.

    A leader that cannot reach a quorum may have been replaced: it must not answer reads from its
    own state (section 8 of the paper). Mutant R13.
    """
    old = await t.leader()
    rest = [node for node in t.nodes if node != old]
    inside = t.client(pinned=old)
    outside = t.client(host_beside(rest[0]))
    values = count(1)
    await acknowledged(t, outside, values)
    await t.invoke(inside, "read", KEY)
    t.mark(f"{old} leads; it is cut off, and {inside.host} with it")
    await t.cut([old, inside.host], hosts_of(*rest))
    new = await t.leader(among=rest)
    t.mark(f"{new} leads the others, where a client writes")
    await acknowledged(t, outside, values)
    await t.invoke(outside, "read", KEY)
    t.mark(f"a client that reaches {old} alone reads")
    await t.invoke(inside, "read", KEY)
    await t.invoke(outside, "read", KEY)


async def early_ack(t: Stage) -> None:
    """A majority loses power right after a follower has acknowledged an entry.

    What a follower acknowledges must be on its disk: else a write that a client was told of is
    gone (figure 2, AppendEntries). Mutant R12.
    """
    leader = await t.leader()
    follower, spared = [node for node in t.nodes if node != leader]
    inside = t.client(pinned=leader)
    outside = t.client(host_beside(spared))
    values = count(1)
    await acknowledged(t, outside, values)
    await caught_up(t)
    t.mark(f"{leader} leads; {spared} is cut off and misses the coming write")
    cut = await t.cut(hosts_of(spared), hosts_of(leader, follower))
    await t.admin(follower, "hold-fsync", on=True)
    t.mark(f"a client writes at {leader}; the disk of {follower} does not take it")
    await t.invoke(inside, "write", KEY, next(values))
    power = await t.fault("lose-unsynced", nodes=[leader, follower])
    t.mark(f"{leader} and {follower} lose power; {follower} comes back first")
    apart = await t.cut([leader], hosts_of(follower, spared))
    await t.heal(cut)
    await t.heal(power)
    await t.leader(among=[follower, spared])
    await answered(t, outside)
    await t.heal(apart)
    await t.leader()
    await answered(t, outside)


async def double_vote(t: Stage) -> None:
    """A node votes, loses power, and is asked for its vote once more in the same term.

    A vote must be on the disk before it is given: else two nodes lead in one term (figure 2,
    persistent state). Mutant R02. All nodes start anew, so that none has heard a leader, and two
    ask whether they would win; the answer to one of them is late: it comes when the other one leads
    and the voter has forgotten it.
    """
    voter, first, second = t.nodes
    of_first, of_second = t.client(pinned=first), t.client(pinned=second)
    values = count(1)
    await acknowledged(t, t.client(), values)
    late: Fault | None = None
    for _ in range(TRIES):
        await caught_up(t)
        late = await rivals(t, voter, of_first, of_second)
        if late is not None:
            break
        await t.heal()
        await t.leader()
    if late is None:
        raise SystemFault(f"in {TRIES} tries {first} was not elected by {voter}")
    write = t.env.spawn(t.invoke(of_first, "write", KEY, next(values)), "write")
    await t.heal(await t.fault("lose-unsynced", nodes=[voter]))
    await connected(t)
    t.mark(f"{voter} lost power and is back; now {second} hears that it would win")
    await t.heal(late)
    if await leads(t, second):
        t.mark(f"{second} leads in the same term, by the same vote")
    await t.invoke(of_second, "write", KEY, next(values))
    await t.invoke(of_second, "read", KEY)
    await write.join()
    t.mark("everything is healed")
    await t.heal()
    await t.leader()
    for player in (of_first, of_second, of_first, of_second):
        await t.invoke(player, "read", KEY)


async def rivals(t: Stage, voter: str, of_first: Player, of_second: Player) -> Fault | None:
    """All nodes start anew; the first one leads by the voter's vote, after it has told the second
    one that it would win too. The fault that keeps this answer back; None where another election
    came between.
    """
    first, second = str(of_first.pinned), str(of_second.pinned)
    for dst, message in ((second, "Vote"), (second, "Append"), (voter, "Append")):
        await t.hold(first, dst, message)
    await t.hold(second, voter, "PreVote")
    late = await t.hold(first, second, "PreVoteReply")
    await t.heal(await t.fault("kill", nodes=list(t.nodes)))
    await connected(t)
    for player in (of_first, of_second):
        await t.invoke(player, "read", KEY)  # over a connection that died: the next is a new one
    t.mark(f"{second} asks whether it would win; the answer of {first} is late")
    await t.admin(second, "campaign")
    await t.sleep(ARRIVED_NS)
    await t.admin(first, "campaign")
    if not await leads(t, first):
        return None
    t.mark(f"{first} leads by the vote of {voter}, which loses power")
    return late


SCENARIOS: Mapping[str, Scenario] = {
    "stale-read": Scenario(play=stale_read),
    "early-ack": Scenario(play=early_ack),
    "double-vote": Scenario(play=double_vote, options={"election_ms": ELECTION_MS}),
}


async def acknowledged(t: Stage, client: Player, values: Iterator[int]) -> None:
    """Write until a write is acknowledged. No value is written twice."""

    async def written() -> bool:
        return (await t.invoke(client, "write", KEY, next(values))).type == "ok"

    await t.eventually("an acknowledged write", written)


async def answered(t: Stage, client: Player) -> None:
    """Read until there is an answer."""

    async def seen() -> bool:
        return (await t.invoke(client, "read", KEY)).type == "ok"

    await t.eventually("a read with an answer", seen)


async def caught_up(t: Stage) -> None:
    """Waits until every node has applied the same entries."""

    async def equal() -> bool:
        infos = [await t.info(node) for node in t.nodes]
        return None not in infos and len({info.applied for info in infos if info}) == 1

    await t.eventually("all nodes at the same index", equal)


async def connected(t: Stage) -> None:
    """Waits until every node has booted and has a connection to every other."""

    async def all_ready() -> bool:
        infos = [await t.info(node) for node in t.nodes]
        return all(
            info and info.term >= 0 and all(info.extra.get("peers", {}).values()) for info in infos
        )

    await t.eventually("connections between all nodes", all_ready)


async def leads(t: Stage, node: str) -> bool:
    """Whether this node becomes leader at once."""
    give_up = t.env.now() + ELECTED_NS
    while t.env.now() < give_up:
        info = await t.info(node)
        if info is not None and info.role == "leader":
            return True
        await t.sleep(LOOK_NS)
    return False


def hosts_of(*nodes: str) -> list[str]:
    """These nodes and the client hosts beside them."""
    return [*nodes, *(host_beside(node) for node in nodes)]
