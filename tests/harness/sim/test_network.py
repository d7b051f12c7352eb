"""Links and streams: latency, loss, duplicates, cuts that compose, resets, probes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dissensus.harness.cluster import Links, Shape, pairs_between
from dissensus.harness.clusters.sim import SimCluster
from dissensus.harness.env import Disconnected, NotSent
from dissensus.harness.errors import UserError
from dissensus.harness.randomness import Rng
from dissensus.harness.sim.kernel import Kernel
from dissensus.harness.sim.network import Link, Weather

MS = 1_000_000
Toy = Callable[..., SimCluster]


def arrivals(
    weather: Weather, count: int = 400, shape: Shape | None = None
) -> list[tuple[int, int]]:
    """(number, time) of what arrives of `count` datagrams sent at time 0."""
    kernel = Kernel()
    link = Link(kernel, Rng(5, "link"), weather)
    if shape is not None:
        link.shape(1, shape)
    seen: list[tuple[int, int]] = []
    for i in range(count):
        link.datagram(lambda n: seen.append((n, kernel.now)), i, None)
    kernel.run()
    return seen


def test_a_calm_link_delivers_all_within_its_range_and_reorders() -> None:
    seen = arrivals(Weather(latency_lo_ns=100, latency_hi_ns=200))
    assert sorted(n for n, _ in seen) == list(range(400))
    assert [n for n, _ in seen] != list(range(400))
    assert {100, 200} <= {t for _, t in seen} <= set(range(100, 201))


def test_loss_duplicates_and_late_messages_are_as_frequent_as_asked() -> None:
    lossy = arrivals(Weather(loss_ppm=250_000))
    assert 250 < len(lossy) < 350
    doubled = arrivals(Weather(duplicate_ppm=250_000))
    assert 450 < len(doubled) < 550
    late = arrivals(Weather(tail_ppm=250_000, tail_hi_ns=500 * MS))
    assert 50 < sum(t > 2 * MS for _, t in late) < 150


def test_shapes_delay_lose_and_slow() -> None:
    calm = Weather(latency_lo_ns=0, latency_hi_ns=0)
    delayed = [t for _, t in arrivals(calm, shape=Shape(delay_ns=50 * MS, jitter_ns=10 * MS))]
    assert 40 * MS <= min(delayed) < 42 * MS < 58 * MS < max(delayed) <= 60 * MS
    assert len(arrivals(calm, shape=Shape(loss_ppm=1_000_000))) == 0
    slow = [t for _, t in arrivals(calm, count=4, shape=Shape(rate_bps=512))]
    assert slow == [1_000 * MS, 2_000 * MS, 3_000 * MS, 4_000 * MS]


def test_bad_weather_is_refused_by_name() -> None:
    with pytest.raises(UserError, match="loss_ppm 1000001"):
        Weather(loss_ppm=1_000_001)
    with pytest.raises(UserError, match=r"latency range 5\.\.4"):
        Weather(latency_lo_ns=5, latency_hi_ns=4)


def copies(cluster: SimCluster, node: str) -> int:
    toy_node: Any = cluster.nodes[node].machine.node  # type: ignore[attr-defined]
    return sum(1 for _, msg in toy_node.seen if msg != "beat")


def test_cuts_are_directed_and_compose_by_fault(toy: Toy) -> None:
    cluster = toy()
    links: Links = cluster.links

    async def main() -> None:
        await cluster.setup()
        await links.cut(1, [("n1", "n2")])
        await links.cut(2, [("n1", "n2"), ("n1", "n3")])
        reach = await links.probe([("n1", "n2"), ("n2", "n1"), ("n1", "n3"), ("c1", "n1")])
        assert [r.open for r in reach] == [False, True, False, True]
        assert [r.rtt_ns >= 0 for r in reach] == [False, True, False, True]
        before = copies(cluster, "n2")
        await links.heal(2)
        await links.heal(2)
        assert await links.faults() == [1]
        reach = await links.probe([("n1", "n2"), ("n1", "n3")])
        assert [r.open for r in reach] == [False, True]
        assert copies(cluster, "n2") == before
        await links.heal(1)
        assert await links.faults() == []
        assert (await links.probe([("n1", "n2")]))[0].open

    cluster.run(main())


def test_a_probe_measures_a_delay_and_is_not_fooled_by_loss(toy: Toy) -> None:
    cluster = toy()

    async def main() -> None:
        await cluster.links.shape(1, {("n1", "n2"): Shape(delay_ns=300 * MS)})
        await cluster.links.shape(2, {("n1", "n3"): Shape(loss_ppm=700_000)})
        await cluster.links.shape(3, {("n2", "n3"): Shape(loss_ppm=1_000_000)})
        found = await cluster.links.probe([("n1", "n2"), ("n1", "n3"), ("n2", "n3")])
        assert 300 * MS <= found[0].rtt_ns <= 302 * MS
        assert found[1].open
        assert not found[2].open

    cluster.run(main())


def test_an_unknown_host_is_named(toy: Toy) -> None:
    cluster = toy()
    with pytest.raises(UserError, match="no link from 'n1' to 'n9'"):
        cluster.run(cluster.links.cut(1, [("n1", "n9")]))


def test_clients_write_and_read(toy: Toy, toy_client: Callable[..., Any]) -> None:
    cluster = toy()

    async def main() -> list[Any]:
        await cluster.setup()
        client = await toy_client(cluster, "c1", "n2")
        got = [await client.write(0, value) for value in (1, 2)]
        got.append(await client.read(0, None))
        await client.close()
        return got

    assert cluster.run(main()) == [1, 2, 2]


def test_streams_keep_their_order_under_jitter_and_loss(toy: Toy) -> None:
    cluster = toy(client_weather=Weather(latency_lo_ns=1, latency_hi_ns=MS, loss_ppm=50_000))

    async def main() -> list[Any]:
        await cluster.setup()
        conn = await cluster.env.connect("c1", "n1", None)  # type: ignore[arg-type]
        assert await conn.recv() == ("hello", "n1")
        for value in range(40):
            await conn.send(("write", 0, value))
        return [(await conn.recv())[1] for _ in range(40)]

    assert cluster.run(main()) == list(range(40))


def test_a_stream_that_loses_everything_is_reset(toy: Toy) -> None:
    cluster = toy()

    async def main() -> None:
        await cluster.setup()
        conn = await cluster.env.connect("c1", "n1", None)  # type: ignore[arg-type]
        await conn.recv()
        await cluster.links.shape(1, {("n1", "c1"): Shape(loss_ppm=1_000_000)})
        await conn.send(("read", 0, None))
        with pytest.raises(Disconnected, match="too many packets lost"):
            await conn.recv()
        with pytest.raises(Disconnected):
            await conn.send(("read", 0, None))

    cluster.run(main())


def test_a_node_that_is_down_refuses_and_one_that_dies_resets(toy: Toy) -> None:
    cluster = toy()

    async def main() -> None:
        with pytest.raises(NotSent, match="c1 could not connect to n1: refused"):
            await cluster.env.connect("c1", "n1", None)  # type: ignore[arg-type]
        await cluster.setup()
        conn = await cluster.env.connect("c1", "n1", None)  # type: ignore[arg-type]
        await conn.recv()
        await conn.send(("write", 0, 1))
        await cluster.nodes["n1"].kill()
        with pytest.raises(Disconnected, match="n1 died"):
            await conn.recv()

    cluster.run(main())


def test_a_connection_hangs_across_a_cut_and_hears_of_the_death_when_it_heals(toy: Toy) -> None:
    cluster = toy()

    async def main() -> None:
        await cluster.setup()
        env = cluster.env
        conn = await env.connect("c1", "n1", None)  # type: ignore[arg-type]
        await conn.recv()
        await cluster.links.cut(1, pairs_between(["c1"], ["n1"]))
        await conn.send(("write", 0, 5))
        reply = env.spawn(conn.recv(), "recv")
        late = env.spawn(env.connect("c1", "n1", None), "connect")  # type: ignore[arg-type]
        await env.sleep(10_000 * MS)
        assert not reply.done()
        assert not late.done()
        await cluster.links.heal(1)
        assert await reply.join() == ("ok", 5)
        assert await (await late.join()).recv() == ("hello", "n1")
        await cluster.links.cut(2, [("n1", "c1")])
        await cluster.nodes["n1"].kill()
        dead = env.spawn(conn.recv(), "recv")
        await env.sleep(10_000 * MS)
        assert not dead.done()
        await cluster.links.heal(2)
        with pytest.raises(Disconnected):
            await dead.join()

    cluster.run(main())


def test_hold_stops_one_kind_until_the_heal(toy: Toy) -> None:
    cluster = toy()

    async def main() -> None:
        await cluster.setup()
        await cluster.links.hold(1, ("n1", "n2"), "tuple")
        await cluster.links.hold(2, ("n1", "n3"), "list")
        await cluster.env.sleep(100 * MS)
        assert copies(cluster, "n2") < copies(cluster, "n3")
        await cluster.links.heal(1)
        await cluster.env.sleep(5 * MS)
        assert copies(cluster, "n2") == copies(cluster, "n3")

    cluster.run(main())


def test_closing_tells_the_node_and_ends_the_reader(toy: Toy) -> None:
    cluster = toy()

    async def main() -> None:
        await cluster.setup()
        conn = await cluster.env.connect("c1", "n1", None)  # type: ignore[arg-type]
        await conn.recv()
        reader = cluster.env.spawn(conn.recv(), "recv")
        await cluster.env.sleep(MS)
        conn.close()
        conn.close()
        with pytest.raises(Disconnected, match="closed by this side"):
            await reader.join()
        await cluster.env.sleep(5 * MS)
        node: Any = cluster.nodes["n1"].machine.node  # type: ignore[attr-defined]
        assert [seen for seen in node.seen if seen[0] == "gone"] == [("gone", 1)]

    cluster.run(main())
