"""Isolation levels: which anomalies each forbids, and which level is stronger than which.

The plain levels are those of Adya ("Weak Consistency", 1999: PL-1, PL-2, PL-CS, PL-2+, PL-2.99,
PL-3), Bailis and others (read atomic) and Cerone and Gotsman ("Analysing Snapshot Isolation", 2016:
no cycle without two rw edges in a row; parallel snapshot isolation: none with at most one).
"strong-session-X" is X with the order of each client's own transactions kept, "strong-X" with real
time kept (Daudjee and Salem). Elle's names are aliases. In list-append and rw-register nothing is
read by a predicate, so that G-single, G-nonadjacent and G2 are always those of items.

Levels that a dependency graph does not decide (causal, prefix, monotonic snapshot reads, forward
consistent view, update serializable) are left out.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping

import msgspec

from dissensus.harness.errors import unknown_name

CYCLES = ("G0", "G1c", "G-single-item", "G-nonadjacent-item", "G2-item")
"""Anomalies that are cycles: each is there with "-process" and "-realtime" too."""

PLAIN: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "read-uncommitted": ((), ("G0", "duplicate-elements", "garbage-read", "future-read")),
    "read-committed": (
        ("read-uncommitted",),
        ("G1a", "G1b", "G1c", "dirty-update", "incompatible-order", "cyclic-versions"),
    ),
    "cursor-stability": (("read-committed",), ("lost-update",)),
    "monotonic-atomic-view": (("read-committed",), ("fractured-view",)),
    "read-atomic": (("monotonic-atomic-view",), ("fractured-read", "internal")),
    "consistent-view": (
        ("cursor-stability", "monotonic-atomic-view"),
        ("fractured-read", "G-single-item"),
    ),
    "repeatable-read": (("consistent-view",), ("G-nonadjacent-item", "G2-item")),
    "parallel-snapshot-isolation": (("read-atomic", "consistent-view"), ()),
    "snapshot-isolation": (("parallel-snapshot-isolation",), ("G-nonadjacent-item",)),
    "serializable": (("snapshot-isolation", "repeatable-read"), ("no-serial-order",)),
}
"""Level -> (the levels just below it, what it forbids beyond them)."""

PLAIN_ONLY = frozenset({"cursor-stability", "monotonic-atomic-view", "read-atomic"})
"""Levels of which the graph does not decide what they would be with an order of clients or time."""

ALIASES: Mapping[str, str] = {
    "PL-1": "read-uncommitted",
    "PL-2": "read-committed",
    "PL-CS": "cursor-stability",
    "MAV": "monotonic-atomic-view",
    "monotonic-view": "monotonic-atomic-view",
    "PL-2L": "monotonic-atomic-view",
    "PL-2+": "consistent-view",
    "PL-2.99": "repeatable-read",
    "PSI": "parallel-snapshot-isolation",
    "SI": "snapshot-isolation",
    "PL-SI": "snapshot-isolation",
    "PL-3": "serializable",
    "conflict-serializable": "serializable",
    "view-serializable": "serializable",
    "strict-serializable": "strong-serializable",
    "PL-SS": "strong-serializable",
}


class Level(msgspec.Struct, frozen=True, kw_only=True):
    """One isolation level."""

    name: str
    below: frozenset[str]
    """All weaker levels."""
    forbids: frozenset[str]
    """All anomalies that break it."""


@functools.cache
def levels() -> Mapping[str, Level]:
    """All levels by name, weaker ones first."""
    made: dict[str, Level] = {}
    for prefix, suffix, weaker in (
        ("", "", None),
        ("strong-session-", "-process", ""),
        ("strong-", "-realtime", "strong-session-"),
    ):
        for plain, (below, forbids) in PLAIN.items():
            if prefix and plain in PLAIN_ONLY:
                continue
            under = [made[prefix + name] for name in below if prefix + name in made]
            if weaker is not None:
                under.append(made[weaker + plain])
            if prefix and plain == "consistent-view":
                under.append(made[prefix + "read-committed"])
            own = {name + suffix if name in CYCLES else name for name in forbids}
            if prefix == "strong-" and plain == "serializable":
                own.add("no-strict-order")
            made[prefix + plain] = Level(
                name=prefix + plain,
                below=frozenset({u.name for u in under}.union(*(u.below for u in under))),
                forbids=frozenset(own.union(*(u.forbids for u in under))),
            )
    return made


def shown(name: str) -> str:
    """The name by which a level is known best."""
    return "strict-serializable" if name == "strong-serializable" else name


def level_of(text: str) -> Level:
    """The level of a name or alias, with "strong-session-" or "strong-" before it or not. Raises
    UserError.
    """
    by_fold = {alias.lower(): name for alias, name in ALIASES.items()}
    folded = text.strip().lower().lstrip(":")
    for prefix in ("", "strong-session-", "strong-"):
        if folded.startswith(prefix):
            rest = folded[len(prefix) :]
            found = levels().get(prefix + by_fold.get(rest, rest))
            if found is not None:
                return found
    known = sorted({shown(name) for name in levels()} | set(ALIASES))
    raise unknown_name("isolation level", text, known)


class Standing(msgspec.Struct, kw_only=True):
    """What anomalies say of all levels."""

    broken: list[str]
    """The weakest levels that are broken: every stronger one is broken too."""
    holds: list[str]
    """The strongest levels that hold: every weaker one holds too."""
    undecided: list[str]
    """Levels of which neither is known."""


def is_broken(level: Level, proven: Iterable[str]) -> bool:
    """An anomaly that was proven breaks the level."""
    return not level.forbids.isdisjoint(proven)


def holds(level: Level, possible: Iterable[str] | None) -> bool:
    """Nothing that is still possible breaks the level; None is: anything is."""
    return possible is not None and level.forbids.isdisjoint(possible)


def standing(proven: Iterable[str], possible: Iterable[str] | None) -> Standing:
    """Where all levels stand, given the anomalies that were proven, and those that are possible
    (which include them) under the best order of versions; None where anything is.
    """
    proven = set(proven)
    allowed = None if possible is None else set(possible) | proven
    everything = levels().values()
    broken = {level.name for level in everything if is_broken(level, proven)}
    sound = {level.name for level in everything if holds(level, allowed)}
    weaker_of = {level.name: level.below for level in everything}
    return Standing(
        broken=[
            shown(name) for name in levels() if name in broken and not weaker_of[name] & broken
        ],
        holds=[
            shown(name)
            for name in levels()
            if name in sound and not any(name in weaker_of[other] for other in sound)
        ],
        undecided=[shown(name) for name in levels() if name not in broken | sound],
    )
