"""What `dissensus heal` does to a run on cluster `local`: open links, continue, end, verify."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import msgspec

from dissensus.harness.cluster import Healing
from dissensus.harness.errors import DissensusError
from dissensus.harness.heal import refuse_if_running
from dissensus.harness.journal import Journal, JournalView, read_journal
from dissensus.harness.local import processes
from dissensus.harness.local.control import ask
from dissensus.harness.local.processes import Identity

KEPT_NS = 24 * 3600 * 10**9
"""How long nodes that are kept up are served by their relay."""


def heal(run_dir: Path, *, keep: bool) -> Healing:
    """See `harness.heal.heal`; the journal has a note "run"."""
    view = read_journal(run_dir)
    run = view.last("run")
    assert run is not None
    token = run["token"]
    harness = msgspec.convert(run["harness"], Identity)
    ended = view.last("teardown") or view.last("kept")
    if not ended and processes.is_alive(harness):
        raise refuse_if_running(f"its harness is process {harness.pid}")
    found = processes.with_token(token)
    healing = Healing(undone=[], left=[])
    _open_links(view, token, found, healing, keep=keep)
    for who in found:
        if processes.state_of(who.pid) == processes.PAUSED and processes.send(who, signal.SIGCONT):
            healing.undone.append(f"continued {name_of(who)}, which was paused")
    if keep:
        _say_what_is_down(view, found, healing)
    else:
        # Nodes first: while the relay is there, none of them sees its peers refuse.
        for who in sorted(found, key=lambda who: (not who.node, who.node)):
            if not processes.end([who]):
                healing.undone.append(f"ended {name_of(who)}")
    _verify(token, healing, keep=keep)
    _note(run_dir, view, healing, keep=keep)
    return healing


def name_of(who: Identity) -> str:
    """A process of a run, for people."""
    return f"{who.node or 'the relay'} (process {who.pid})"


def _open_links(
    view: JournalView, token: str, found: list[Identity], healing: Healing, *, keep: bool
) -> None:
    relay = view.last("relay")
    running = [who for who in found if not who.node]
    if relay is None or not running:
        if found and keep:
            healing.left.append("the relay is gone, and nodes cannot reach each other without it")
        return
    for who in running:
        processes.send(who, signal.SIGCONT)
    commands: list[dict[str, Any]] = [{"do": "heal-all"}]
    if keep:
        commands.append({"do": "keep", "lifetime_ns": KEPT_NS})
    ip, port = relay["control"]
    try:
        faults = ask((ip, port), token, *commands)[0]
    except (OSError, DissensusError) as error:
        if keep:
            healing.left.append(f"the relay at {ip}:{port} does not answer: {error}")
        return
    for fault in faults:
        kind = view.open[fault].kind if fault in view.open else "not journalled"
        healing.undone.append(f"opened the links of fault {fault} ({kind})")


def _say_what_is_down(view: JournalView, found: list[Identity], healing: Healing) -> None:
    up = {who.node for who in found}
    for fault in view.open.values():
        for node in fault.undo.get("nodes", ()):
            if node not in up:
                healing.left.append(f"{node}, down by fault {fault.id} ({fault.kind})")


def _verify(token: str, healing: Healing, *, keep: bool) -> None:
    for who in processes.with_token(token):
        state = processes.state_of(who.pid)
        if not keep or state == processes.PAUSED:
            healing.left.append(f"{name_of(who)}, which is {state}")


def _note(run_dir: Path, view: JournalView, healing: Healing, *, keep: bool) -> None:
    """Close the journal, so that a second heal has nothing to do."""
    journal = Journal(run_dir)
    try:
        if not healing.left:
            for fault in view.open:
                journal.end(fault)
        if healing.undone or view.open:
            journal.note("healed", keep=keep, undone=healing.undone, left=healing.left)
    except DissensusError as error:
        healing.left.append(f"the journal could not be closed: {error}")
