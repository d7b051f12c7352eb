"""Faults of the links, each measured by traffic of the test's own between real processes."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from statistics import median
from typing import Any

import pytest

from dissensus.harness.cluster import Pair, Shape, pairs_between
from dissensus.harness.env import DeadlineExceeded, Disconnected
from dissensus.harness.errors import UserError

pytestmark = pytest.mark.cluster

Make = Callable[..., Any]

MS = 1_000_000
NOTE, VOTE = 3, 4


async def until(a: Any, ready: Callable[[], Coroutine[Any, Any, bool]], ms: int = 5000) -> None:
    """Poll; a bound that only a broken relay reaches."""
    for _ in range(ms // 2):
        if await ready():
            return
        await a.cluster.env.sleep(2 * MS)
    raise AssertionError("it did not happen")


def heard(talk: Any, src: str, *bodies: Any) -> Callable[[], Coroutine[Any, Any, bool]]:
    """Whether a parrot has heard just these notes from a peer."""

    async def asked() -> bool:
        return [body for _, body in await talk.say("heard", src)] == list(bodies)

    return asked


async def rtts(talk: Any, count: int = 9) -> list[int]:
    found = []
    for i in range(count):
        began = time.monotonic_ns()
        await talk.say("echo", i)
        found.append(time.monotonic_ns() - began)
    return found


def test_a_one_way_cut_stops_one_way_and_what_was_held_arrives(aviary: Make) -> None:
    async def story(a: Any) -> None:
        links = a.cluster.links
        talks = await a.meet()
        lost = await talks["n1"].say("lost", "n2")
        await links.cut(1, [("n1", "n2")])
        await links.cut(2, [("n1", "n2")])
        assert await talks["n1"].say("tell", "n2", NOTE, ["stopped"])
        assert await talks["n2"].say("tell", "n1", NOTE, ["passes"])
        assert await talks["n1"].say("tell", "n3", NOTE, ["elsewhere"])
        await until(a, heard(talks["n1"], "n2", "passes"))
        await until(a, heard(talks["n3"], "n1", "elsewhere"))
        assert await talks["n2"].say("heard", "n1") == []
        reaches = await links.probe([("n1", "n2"), ("n2", "n1"), ("n1", "n3")])
        assert [reach.open for reach in reaches] == [False, True, True]
        assert await links.faults() == [1, 2]
        await links.heal(1)
        assert await links.faults() == [2]
        assert await talks["n2"].say("heard", "n1") == []
        await links.heal(2)
        await links.heal(2)
        await until(a, heard(talks["n2"], "n1", "stopped"))
        assert await links.faults() == []
        assert (await links.probe([("n1", "n2")]))[0].open
        # Nothing was reset on the way.
        assert await talks["n1"].say("lost", "n2") == lost

    aviary().run(story)


def test_a_connect_across_a_cut_hangs_and_goes_on_at_the_heal(aviary: Make) -> None:
    async def story(a: Any) -> None:
        env, links = a.cluster.env, a.cluster.links
        for fault, pair in ((1, ("c1", "n1")), (2, ("n1", "c1"))):
            await links.cut(fault, [pair])
            with pytest.raises(DeadlineExceeded):
                await env.timeout(50 * MS, a.talk("n1"))
            assert await (await a.talk("n1", host="c2")).say("echo", 1) == [1]
            waiting = env.spawn(a.talk("n1"), "connect")
            await env.sleep(20 * MS)
            assert not waiting.done()
            await links.heal(fault)
            assert await (await waiting.join()).say("echo", 2) == [2]

    aviary().run(story)


def test_an_established_connection_stays_through_a_cut(aviary: Make) -> None:
    async def story(a: Any) -> None:
        env, links = a.cluster.env, a.cluster.links
        talk = await a.talk("n1")
        await links.cut(1, pairs_between(["c1"], ["n1"]))
        asked = env.spawn(talk.say("echo", "held"), "ask")
        await env.sleep(50 * MS)
        assert not asked.done()
        await links.heal(1)
        assert await asked.join() == ["held"]

    aviary().run(story)


def test_a_death_behind_a_cut_is_news_after_the_heal(aviary: Make) -> None:
    async def story(a: Any) -> None:
        links = a.cluster.links
        talks = await a.meet()
        await links.cut(1, pairs_between(["n1"], ["n2"]))
        await a.cluster.nodes["n2"].kill()
        await until(a, lambda: knows(talks["n3"]))
        assert not await knows(talks["n1"])
        await links.heal(1)
        await until(a, lambda: knows(talks["n1"]))

    async def knows(talk: Any) -> bool:
        return "n2" not in await talk.say("ways")

    aviary().run(story)


def test_a_connection_that_is_cut_for_too_long_is_reset(aviary: Make) -> None:
    async def story(a: Any) -> None:
        env, links = a.cluster.env, a.cluster.links
        talk, other = await a.talk("n1"), await a.talk("n1", host="c2")
        await links.cut(1, [("n1", "c1")])
        with pytest.raises(Disconnected):
            await env.timeout(5000 * MS, talk.say("echo", 1))
        assert await other.say("echo", 1) == [1]
        status = await a.cluster._client().call("status")
        assert status["connections"] == 1 + 6

    aviary(reset_after_ns=300 * MS).run(story)


def test_delay_is_added_to_what_there_is(aviary: Make) -> None:
    async def story(a: Any) -> None:
        links = a.cluster.links
        talk = await a.talk("n1")
        plain = median(await rtts(talk))
        both = {("c1", "n1"): Shape(delay_ns=20 * MS), ("n1", "c1"): Shape(delay_ns=10 * MS)}
        await links.shape(1, both)
        slow = median(await rtts(talk))
        await links.shape(2, {("n1", "c1"): Shape(delay_ns=10 * MS, jitter_ns=5 * MS)})
        slower = median(await rtts(talk))
        await links.heal(1)
        await links.heal(2)
        healed = median(await rtts(talk))
        assert slow >= 30 * MS
        assert plain < slow
        assert slower >= 36 * MS
        assert healed < slow
        reach = (await links.probe([("c1", "n1")]))[0]
        await links.shape(3, {("c1", "n1"): Shape(delay_ns=40 * MS)})
        slow_reach = (await links.probe([("c1", "n1")]))[0]
        assert 40 * MS <= slow_reach.rtt_ns > reach.rtt_ns

    aviary().run(story)


def test_a_rate_is_kept_and_shared(aviary: Make) -> None:
    async def story(a: Any) -> None:
        links = a.cluster.links
        talk = await a.talk("n1")
        text = "x" * 100_000
        plain = await timed(talk, text)
        await links.shape(1, {("c1", "n1"): Shape(rate_bps=400_000)})
        slow = await timed(talk, text)
        # 0.25 s for what is sent; the way back is not limited.
        assert 250 * MS <= slow > plain

    async def timed(talk: Any, text: str) -> int:
        began = time.monotonic_ns()
        assert await talk.say("echo", text) == [text]
        return time.monotonic_ns() - began

    aviary().run(story)


def test_loss_shows_as_stalls(aviary: Make) -> None:
    async def story(a: Any) -> None:
        links = a.cluster.links
        talk = await a.talk("n1")
        plain = await rtts(talk, 30)
        await links.shape(1, {("c1", "n1"): Shape(loss_ppm=200_000)})
        lossy = await rtts(talk, 30)
        stalls = [sum(rtt >= 200 * MS for rtt in found) for found in (plain, lossy)]
        assert stalls[0] < stalls[1] <= 20

    aviary().run(story)


def test_one_kind_of_message_is_held(aviary: Make) -> None:
    async def story(a: Any) -> None:
        links = a.cluster.links
        talks = await a.meet()
        await links.hold(1, ("n1", "n2"), "Vote")
        for kind, bodies in ((NOTE, ["a"]), (VOTE, ["b", "c"]), (NOTE, ["d"])):
            assert await talks["n1"].say("tell", "n2", kind, bodies)
        assert await talks["n1"].say("tell", "n3", VOTE, ["e"])
        await until(a, heard(talks["n2"], "n1", "a", "d"))
        await until(a, heard(talks["n3"], "n1", "e"))
        assert await links.faults() == [1]
        await links.heal(1)
        await until(a, heard(talks["n2"], "n1", "a", "d", "b", "c"))
        with pytest.raises(UserError, match="did you mean 'Vote'"):
            await links.hold(2, ("n1", "n2"), "Votes")

    aviary().run(story)


def test_all_pairs_of_five_nodes_and_their_clients_are_probed_at_once(aviary: Make) -> None:
    async def story(a: Any) -> None:
        names = list(a.cluster.nodes)
        pairs: list[Pair] = [(x, y) for x in names for y in names if x != y]
        pairs += pairs_between(names, a.cluster.spec.client_hosts)
        some = [("n1", "n2"), ("c1", "n5")]
        cut = {*some, *pairs[::2]}
        await a.cluster.links.cut(1, cut)
        began = a.cluster.env.now()
        reaches = await a.cluster.links.probe(pairs)
        took = a.cluster.env.now() - began
        assert {(r.src, r.dst) for r in reaches if not r.open} == cut
        assert all(r.rtt_ns >= 0 for r in reaches if r.open)
        assert took < len(cut) * 1000 * MS // 2, "the bound of closed directions is paid once"

    aviary(nodes=5).run(story)


def test_unknown_hosts_and_senseless_shapes_are_refused(aviary: Make) -> None:
    async def story(a: Any) -> None:
        links = a.cluster.links
        with pytest.raises(UserError, match="unknown host 'n9'"):
            await links.cut(1, [("n1", "n9")])
        with pytest.raises(UserError, match="loss_ppm of a shape is 1000001"):
            await links.shape(1, {("n1", "n2"): Shape(loss_ppm=1_000_001)})
        assert await links.faults() == []
        with pytest.raises(UserError, match="unknown client host 'n1'"):
            await a.talk("n2", host="n1")
        with pytest.raises(UserError, match="unknown node 'n8'"):
            await a.talk("n8")

    aviary().run(story)
