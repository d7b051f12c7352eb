"""Scenario profiles of the explorer: which mishaps a run draws from, how often, in what weather.

Weighting finds more than speed does: a bug that uniform mishaps miss in millions of runs dies in a
few when the profile fits it. So each run draws one profile; "everything" keeps the combinations
that nobody thought of, and no profile is without clients, so that a mishap has somebody to hurt.
"""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Tuple

from dissensus.harness.sim.network import Weather

MS = 1_000_000

ISOLATE_LEADER = "isolate-leader"  # with some clients; the others stay with the majority
HALVES = "halves"  # any two groups of nodes, clients on both sides
ONE_WAY = "one-way"  # the leader is heard and hears nobody, or the reverse
CUT_SOME = "cut-some"  # the leader keeps a random part of its followers
KILL_LEADER = "kill-leader"
KILL_SOME = "kill-some"  # a random set of nodes, up to all of them, each restarts on its own
POWER_SOME = "power-some"  # as KILL_SOME, and what was not fsynced is lost
PAUSE_LEADER = "pause-leader"
FREEZE = "freeze"  # several nodes stop and go on together, so that their timers fire together
SLOW = "slow"  # some directions get a delay with jitter
LOSSY = "lossy"  # some directions lose packets
TRIP = "trip"  # whoever sends the next message of a rare kind dies over it, and is back at once
TOPPLE = "topple"  # each of the next new leaders is cut off early, and the one before comes back

MISHAPS = (
    ISOLATE_LEADER,
    HALVES,
    ONE_WAY,
    CUT_SOME,
    KILL_LEADER,
    KILL_SOME,
    POWER_SOME,
    PAUSE_LEADER,
    FREEZE,
    SLOW,
    LOSSY,
    TRIP,
    TOPPLE,
)


class Profile(NamedTuple):
    """A way to be unlucky. Times are in hundredths of the system's election timeout."""

    name: str
    weights: Dict[str, int]
    """Mishap -> how often, relative to the others."""
    gap: Tuple[int, int]
    """From one mishap to the next."""
    lasts: Tuple[int, int]
    """How long a mishap lasts."""
    fsync_ns: Tuple[int, int] = (50_000, 2 * MS)
    weathers: Tuple[Weather, ...] = (Weather(),)
    """One is drawn for the links between nodes."""
    share: int = 1
    """Runs that draw this profile, relative to the others: more where its bugs are rare."""


CALM = Weather(latency_lo_ns=MS // 10, latency_hi_ns=2 * MS)
ROUGH = Weather(
    latency_lo_ns=MS // 10,
    latency_hi_ns=10 * MS,
    loss_ppm=10_000,
    duplicate_ppm=10_000,
    tail_ppm=20_000,
    tail_hi_ns=300 * MS,
)
WIDE = Weather(latency_lo_ns=MS, latency_hi_ns=40 * MS, loss_ppm=2_000, duplicate_ppm=2_000)
LEAKY = Weather(latency_lo_ns=MS // 2, latency_hi_ns=10 * MS, loss_ppm=50_000)
LAZY = Weather(latency_lo_ns=MS, latency_hi_ns=60 * MS, tail_ppm=100_000, tail_hi_ns=200 * MS)

PROFILES: List[Profile] = [
    Profile(
        "isolate-leader",
        {ISOLATE_LEADER: 8, ONE_WAY: 1, HALVES: 2, PAUSE_LEADER: 1},
        gap=(50, 300),
        lasts=(150, 500),
        weathers=(CALM, ROUGH),
    ),
    Profile(
        "power",
        {POWER_SOME: 8, KILL_LEADER: 1, CUT_SOME: 1},
        gap=(20, 200),
        lasts=(1, 100),
        fsync_ns=(MS, 40 * MS),
        weathers=(CALM, WIDE),
    ),
    Profile(
        "restart-storm",
        {KILL_SOME: 6, POWER_SOME: 4, TRIP: 4, KILL_LEADER: 3, FREEZE: 1, ISOLATE_LEADER: 1},
        gap=(5, 100),
        lasts=(1, 40),
        fsync_ns=(MS // 10, 10 * MS),
        weathers=(CALM, WIDE, ROUGH),
    ),
    Profile(
        "ping-pong",
        {CUT_SOME: 6, KILL_LEADER: 5, ISOLATE_LEADER: 3, ONE_WAY: 1},
        gap=(10, 150),
        lasts=(50, 300),
        weathers=(CALM, WIDE),
    ),
    Profile(
        "weather",
        {SLOW: 4, LOSSY: 4, HALVES: 1, KILL_LEADER: 1},
        gap=(50, 300),
        lasts=(100, 400),
        weathers=(ROUGH,),
    ),
    Profile(
        "split-vote",
        {TRIP: 8, KILL_LEADER: 3, FREEZE: 1},
        gap=(5, 80),
        lasts=(1, 10),
        fsync_ns=(MS // 10, 2 * MS),
        weathers=(LAZY, WIDE),
        share=2,
    ),
    Profile(
        "figure-8",
        {TOPPLE: 1},
        gap=(5, 60),
        lasts=(20, 300),
        weathers=(LEAKY,),
    ),
    Profile(
        "everything",
        dict.fromkeys(MISHAPS, 1),
        gap=(10, 250),
        lasts=(10, 400),
        fsync_ns=(50_000, 20 * MS),
        weathers=(CALM, WIDE, ROUGH),
    ),
]

DRAWN: List[Profile] = [profile for profile in PROFILES for _ in range(profile.share)]
"""What a run draws its profile from."""
