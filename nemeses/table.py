"""The table of faults: every kind by its name. A new one is a class in a file of its own and a line
here.
"""

from __future__ import annotations

from collections.abc import Mapping

from dissensus.harness.fault import Nemesis
from dissensus.nemeses import kill, lose_unsynced, pause, select
from dissensus.nemeses.kill import Kill
from dissensus.nemeses.lose_unsynced import LoseUnsynced
from dissensus.nemeses.partition import PARTITIONS
from dissensus.nemeses.pause import Pause
from dissensus.nemeses.slow import Slow

WHOM = {
    "one": "one node",
    "minority": "a random minority",
    "leader": "the leader",
    "majority": "a majority",
    "all": "all nodes",
}
"""Selector -> how it reads."""


def on_nodes() -> list[Nemesis]:
    """Kinds that hit nodes: each with a mix of selectors, and one kind for each selector."""
    found: list[Nemesis] = []
    for make, mix, what in (
        (Kill, kill.MIX, "kill {} (SIGKILL) and start again on the same data"),
        (Pause, pause.MIX, "stop {} (SIGSTOP) for a while"),
        (
            LoseUnsynced,
            lose_unsynced.MIX,
            "power failure: kill {}, keep what was fsynced, start again",
        ),
    ):
        found.append(make(make.family, what.format("some nodes"), mix))
        for selector in select.SELECTORS:
            kind = f"{make.family}-{selector}"
            found.append(make(kind, what.format(WHOM[selector]), {selector: 1}))
    return found


NEMESES: Mapping[str, Nemesis] = {
    nemesis.kind: nemesis for nemesis in (*on_nodes(), *PARTITIONS, Slow())
}
"""Kind -> nemesis."""

FAMILIES = tuple(dict.fromkeys(nemesis.family for nemesis in NEMESES.values()))


def kinds_of(word: str) -> list[str]:
    """The kinds that a word of `--faults` means: the kind of that name, else all of the family.
    Empty for an unknown word.
    """
    if word in NEMESES:
        return [word]
    return [kind for kind, nemesis in NEMESES.items() if nemesis.family == word]


WORDS = tuple(dict.fromkeys((*FAMILIES, *NEMESES)))
"""What `--faults` takes."""
