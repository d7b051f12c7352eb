"""`dissensus heal RUN`: undoes what a killed harness left behind, as its journal says.

The journal's first note names the kind of cluster; each kind knows how to heal its runs (a class
method `heal`), from another process and without the system under test. Healing twice is no error.
"""

from __future__ import annotations

from pathlib import Path

from dissensus.harness import store
from dissensus.harness.cluster import Healing
from dissensus.harness.errors import UserError
from dissensus.harness.journal import JournalView, read_journal


def find(place: Path) -> Path:
    """The folder of a run: itself, or one with a `latest` link. A harness that was killed in its
    set-up has left a journal and no events.
    """
    if (place / store.UNDO).is_file():
        return place.resolve()
    if (place / store.LATEST / store.UNDO).is_file():
        return (place / store.LATEST).resolve()
    return store.find(place)


def heal(run_dir: Path, *, keep: bool = False) -> Healing:
    """Undo all that the run's journal knows; with `keep` the nodes stay up, in a whole network.

    Raises UserError when the run still goes on.
    """
    from dissensus.harness.registry import cluster_class

    view = read_journal(run_dir)
    run = view.last("run")
    if run is None:
        return Healing(undone=[], left=_unread(run_dir, view))
    healing: Healing = cluster_class(run["kind"]).heal(run_dir, keep=keep)
    healing.left += _unread(run_dir, view)
    return healing


def _unread(run_dir: Path, view: JournalView) -> list[str]:
    """Lines that cannot be read are no reason to be silent: a change may hide in them."""
    if not view.broken or view.broken == [view.lines]:
        # The last line may be half written: the change that it speaks of was not made.
        return []
    where = ", ".join(str(number) for number in view.broken)
    return [f"{run_dir / store.UNDO}: lines that cannot be read: {where}"]


def refuse_if_running(who: str) -> UserError:
    """For clusters: the error of a heal that would break a run."""
    return UserError(f"this run still goes on ({who}): end it with Ctrl-C first")
