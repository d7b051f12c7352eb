"""Watches the nodes of a run from outside: who leads, how far each has come, who died unasked.

Each node is asked for its state and its status a few times a second, bypassing the run's links, in
a task of its own, so that one that does not answer holds up nobody. What changed becomes a `node`
line: at once for a change of state, role, term or leader, once a second for mere progress (commit,
applied, digest). `digests` holds the [index, digest] pairs that are new since the last line of that
node; agreement is checked over them. A node that is down though no fault explains it becomes a
`mark` named "node-died" with its exit code and the last lines of its log.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from dissensus.harness.cluster import Cluster, Node, NodeInfo
from dissensus.harness.env import Env, Task

POLL_NS = 200_000_000
"""Shorter than an election, so that few leaders go unseen; five nodes are 25 questions a second."""
PROGRESS_NS = 1_000_000_000
"""Mere progress is written this often: a run of a minute gets some hundred lines."""
LAST_LINES = 5
"""Log lines that tell how a node ended."""
LAST_BYTES = 4096
"""Only this much of a log's end is read."""

UP, DOWN, UNKNOWN = "up", "down", ""

Write = Callable[[Mapping[str, Any]], None]


class NodeView(msgspec.Struct, kw_only=True, frozen=True):
    """The last thing that was seen of a node."""

    state: str = UNKNOWN
    """"up", "paused" or "down", by the operating system."""
    role: str = ""
    term: int = -1
    leader: str | None = None


class _Watched:
    """What is remembered of one node between two looks."""

    def __init__(self) -> None:
        self.view = NodeView()
        self.applied = -1
        self.digest_seen = -1
        """Highest index whose digest was written."""
        self.written_ns = -PROGRESS_NS
        self.alive = False
        """It was up or paused, and its death was not reported since."""
        self.missed = False
        """It was down, unexplained, at the last look too."""
        self.look: Task[None] | None = None


class Monitor:
    """`watch` runs until it is cancelled; `leader` and `views` may be read at any time."""

    def __init__(
        self, cluster: Cluster, write: Write, *, explained: Callable[[], Collection[str]] = tuple
    ) -> None:
        """`write` takes whole events."""
        self.cluster = cluster
        self.explained = explained
        """Names the nodes that a fault holds down now."""
        self._write = write
        self.deaths: list[str] = []
        """Deaths that no fault explains, a sentence each."""
        self._nodes: dict[str, _Watched] = {}

    @property
    def views(self) -> dict[str, NodeView]:
        """Node -> what was last seen of it; only nodes that were looked at."""
        return {name: watched.view for name, watched in self._nodes.items()}

    def leader(self) -> str | None:
        """The node that leads in the highest term seen, None while nobody does. A leader that is
        cut off may believe so too: the higher term wins.
        """
        leading = [(v.term, n) for n, v in self.views.items() if v.role == "leader"]
        if leading:
            return max(leading)[1]
        named = [(v.term, v.leader) for v in self.views.values() if v.leader and v.state == UP]
        return max(named)[1] if named else None

    async def watch(self) -> None:
        """Look at every node again and again."""
        env = self.cluster.env
        try:
            while True:
                for name, node in list(self.cluster.nodes.items()):
                    watched = self._nodes.setdefault(name, _Watched())
                    if watched.look is None or watched.look.done():
                        watched.look = env.spawn(self.look(env, name, node), f"look at {name}")
                await env.sleep(POLL_NS)
        finally:
            for watched in self._nodes.values():
                if watched.look is not None:
                    watched.look.cancel()

    async def look(self, env: Env, name: str, node: Node) -> None:
        """Ask one node, and write what is new."""
        watched = self._nodes.setdefault(name, _Watched())
        state = await node.state()
        info = await node.info() if state == UP else None
        self._take(watched, name, state, info)
        missed = watched.alive and state == DOWN and name not in self.explained()
        if missed and watched.missed:
            # Seen twice: at the first look a fault may just have begun, or its undo may go on.
            watched.alive = missed = False
            self._died(name, node)
        elif state != DOWN:
            watched.alive = True
        watched.missed = missed

    def observe(self, kind: str, fields: dict[str, Any]) -> None:
        """For `Cluster.observe`: a cluster saw something itself."""
        event = {"ev": kind, "t": self.cluster.env.now(), **fields}
        if kind == "node" and {"role", "term"} & set(fields):
            watched = self._nodes.setdefault(fields["node"], _Watched())
            known = {k: fields[k] for k in ("role", "term", "leader") if k in fields}
            watched.view = msgspec.structs.replace(watched.view, **known)
        self._write(event)

    def _take(self, watched: _Watched, name: str, state: str, info: NodeInfo | None) -> None:
        before = watched.view
        if info is not None:
            after = NodeView(state=state, role=info.role, term=info.term, leader=info.leader)
        elif state == UP:
            # It runs and does not answer: starting, or busy. What it was may still hold.
            after = msgspec.structs.replace(before, state=state)
        else:
            after = NodeView(state=state, term=before.term)
        now = self.cluster.env.now()
        moved = info is not None and info.applied != watched.applied
        if after == before and not (moved and now - watched.written_ns >= PROGRESS_NS):
            return
        watched.view = after
        watched.written_ns = now
        event = {"ev": "node", "t": now, "node": name, "up": state == UP, **_fields(after)}
        if info is not None and info.applied >= 0:
            watched.applied = info.applied
            event |= {"commit": info.commit, "applied": info.applied, "digest": info.digest}
            if isinstance(incarnation := info.extra.get("incarnation"), int):
                event["incarnation"] = incarnation
            event["digests"] = self._fresh(watched, info.extra.get("digests", ()))
        self._write(event)

    def _fresh(self, watched: _Watched, digests: Iterable[Any]) -> list[list[int]]:
        """The pairs that were not written yet. A node that lost data goes back, and is heard."""
        pairs = [[int(index), int(digest)] for index, digest in digests]
        newest = max((index for index, _ in pairs), default=-1)
        fresh = [pair for pair in pairs if pair[0] > watched.digest_seen]
        if newest < watched.digest_seen:
            fresh = pairs
        if pairs:
            watched.digest_seen = newest
        return fresh

    def _died(self, name: str, node: Node) -> None:
        """Report a death that no fault explains."""
        code, words = node.exit_code(), last_lines(node.logs())
        text = f"{name} ended by itself" + ("" if code is None else f" with {exit_text(code)}")
        self.deaths.append(text + (f", saying: {words[-1]}" if words else ""))
        mark = {"ev": "mark", "t": self.cluster.env.now(), "name": "node-died", "node": name}
        self._write({**mark, "exit_code": code, "log": words, "text": text})


def _fields(view: NodeView) -> dict[str, Any]:
    return {"state": view.state, "role": view.role, "term": view.term, "leader": view.leader}


def exit_text(code: int) -> str:
    """ "exit code 3", "signal 9" of the -9 that a killed process has."""
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def last_lines(logs: Iterable[Path], count: int = LAST_LINES) -> list[str]:
    """The last lines of the newest of these files, as text, however broken its bytes are."""
    paths = [path for path in logs if path.is_file()]
    if not paths:
        return []
    newest = max(paths, key=lambda path: path.stat().st_mtime_ns)
    with newest.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - LAST_BYTES))
        text = file.read().decode(errors="replace")
    return list(deque(text.splitlines(), maxlen=count))
