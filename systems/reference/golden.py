"""Golden scripts: a story told in commands to the untimed driver, each with what came of it.

A script is text. Lines that begin with `#` are prose. A block of commands is followed by `----` and
the recorded output, up to an empty line. `play` runs a script and returns it with the output that
came now: equal texts mean that nothing has changed, a diff of the two shows what has, and recording
anew is writing the second over the first. `quietly COMMAND` runs without a word, but for alarms.

    cluster NAME ... [OPTION=VALUE ...]   a new cluster of these nodes; options go to every core
    disk NAME [term=2] [vote=n1] [log=1,1,2]    what a node will find: the log by its entries' terms
    start [NAME ...], join NAME           boots all nodes or these; a node that waits to be taken in
    deliver SRC>DST [KIND] [@PLACE]       the oldest message (of a kind; behind PLACE older ones);
                                          with `all`, or `*` for a name: all that are in flight now
    copy, drop SRC>DST [KIND] [@PLACE]    deliver and keep in flight; lose
    settle [NAME ...] [only=KIND,KIND]    delivers among these nodes until nothing is in flight
    timer NAME TIMER                      the timer is due
    hold, release NAME                    fsyncs wait, wait no more
    persist NAME [COUNT]                  completes the fsync of the oldest patches, or of all
    crash NAME [keep=COUNT]               patches that are not durable are lost but for COUNT
    wipe NAME                             a node that is down loses its disk
    request CLIENT NAME OP ... [session= seq= acked=]   open CLIENT NAME
    admin NAME COMMAND [ARG=VALUE ...]
    message SRC>DST KIND [FIELD=VALUE ...]      delivers a message that nobody sent
    logs, flight, timers NAME             shows terms of all logs, messages in flight, armed timers
    note timers, note marks               tells these effects too, from here on

Two oracles watch every script: a line that begins with `!!` says that two nodes lead one term, or
applied different entries at one index, or that a core found an invariant broken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dissensus.harness.errors import UserError, unknown_name
from dissensus.systems.reference import words
from dissensus.systems.reference.core.client_messages import ClientRequest, OpenSession
from dissensus.systems.reference.core.durable import Durable
from dissensus.systems.reference.core.effects import (
    Applied,
    CancelTimer,
    Evidence,
    Mark,
    Persist,
    Reply,
    Send,
    SetTimer,
)
from dissensus.systems.reference.core.errors import InvariantError, PeerError
from dissensus.systems.reference.core.events import Admin, Recv, Request, Start, Timer
from dissensus.systems.reference.core.protocol import Protocol
from dissensus.systems.reference.core.untimed import Held, Lost, Untimed

RULE = "----"
ALARM = "!!"
DELIVERIES_MAX = 5_000
"""Of one `settle`: a cluster that is not quiet after so many never will be."""

Pair = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """What the scripts of a protocol need of it."""

    messages: tuple[type, ...]
    make: Callable[[str, tuple[str, ...], dict[str, Any]], Protocol]
    """(node, members at the start or () for one that joins, options) -> a new core; its `status()`
    has role, term, leader and commit.
    """
    admin_op: Callable[[str, Mapping[str, Any]], Any]
    """(command, arguments) -> the `op` of an `Admin` event. Raises UserError."""
    commands: Mapping[str, Callable[[Stage, list[str]], None]] = field(default_factory=dict)
    """More commands, for what is said often in stories of this protocol."""


class ScriptError(UserError):
    """A command that cannot be carried out."""

    def __init__(self, line: int, command: str, why: str, told: str) -> None:
        super().__init__(f"line {line}, {command!r}: {why}")
        self.told = told
        """The script up to there, with the output of now."""


def play(text: str, dialect: Dialect) -> str:
    """Run a script; return it with the output of now. Raises ScriptError."""
    stage = Stage(dialect)
    lines = text.splitlines()
    told: list[str] = []
    at = 0
    while at < len(lines):
        told.append(lines[at])
        if not _is_command(lines[at]):
            at += 1
            continue
        said: list[str] = []
        while True:
            try:
                said += stage.run(lines[at].split())
            except (ValueError, UserError) as error:
                told += [RULE, *said, *stage.said]
                raise ScriptError(at + 1, lines[at], str(error), "\n".join(told)) from error
            at += 1
            if at == len(lines) or not _is_command(lines[at]):
                break
            told.append(lines[at])
        if said:
            told += [RULE, *said]
        if at < len(lines) and lines[at] == RULE:
            while at < len(lines) and lines[at].strip():
                at += 1
    return "\n".join(told) + "\n"


def _is_command(line: str) -> bool:
    return bool(line.strip()) and not line.startswith("#") and line != RULE


class Stage:
    """Runs commands on one cluster and keeps what is said."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.said: list[str] = []
        self.declare([])

    def declare(self, line: list[str]) -> None:
        """A new cluster: nothing of the one before is left."""
        names, options = _split(line)
        self.members = tuple(names)
        self.options = {name: words.value(value) for name, value in options.items()}
        self.cluster = Untimed(self._make, self._observe)
        for name in names:
            self.cluster.node(name)
        self.joined: set[str] = set()
        self.noted: set[str] = set()
        self.seqs: dict[str, int] = {}
        self.scene = ""
        """The node whose step is being told."""
        self.before: dict[str, dict[str, Any]] = {}
        """Status of each node when it was last told."""
        self.applied: dict[int, tuple[int, str]] = {}
        self.leaders: dict[int, str] = {}

    def run(self, line: list[str]) -> list[str]:
        """One command; what it has to say."""
        if line[0] == "quietly":
            return [said for said in self.run(line[1:]) if said.startswith(ALARM)]
        known = {**COMMANDS, **self.dialect.commands}
        if line[0] not in known:
            raise unknown_name("command", line[0], known)
        self.said = []
        known[line[0]](self, line[1:])
        self._end_scene()
        return self.said

    def _make(self, name: str) -> Protocol:
        members = () if name in self.joined else self.members
        return self.dialect.make(name, members, dict(self.options))

    # -- nodes ------------------------------------------------------------------------------------

    def disk(self, line: list[str]) -> None:
        (name,), said = _split(line)
        disk = Durable()
        disk.term = int(said.pop("term", 0))
        disk.voted_for = said.pop("vote", None)
        disk.entries = words.log_of_terms(1, said.pop("log", ""))
        if said:
            raise ValueError(f"a disk has no {', '.join(said)}")
        node = self.cluster.node(name)
        if node.core is not None:
            raise ValueError(f"{name} is up")
        node.disk = disk

    def start(self, names: list[str]) -> None:
        for name in names or self.members:
            self.cluster.start(name)

    def join(self, names: list[str]) -> None:
        self.joined |= set(names)
        self.start(names)

    def crash(self, line: list[str]) -> None:
        (name,), said = _split(line)
        self.cluster.crash(name, int(said.get("keep", 0)))

    def wipe(self, names: list[str]) -> None:
        for name in names:
            self.disk([name])

    def hold(self, names: list[str]) -> None:
        for name in names:
            self.cluster.hold(name, True)

    def release(self, names: list[str]) -> None:
        for name in names:
            self._scene(name, f"{name} fsync")
            self.cluster.hold(name, False)

    def persist(self, line: list[str]) -> None:
        name, *count = line
        self._scene(name, f"{name} fsync")
        self.cluster.persist(name, int(count[0]) if count else None)

    def timer(self, line: list[str]) -> None:
        name, timer = line
        self.cluster.fire(name, timer)

    # -- messages ---------------------------------------------------------------------------------

    def deliver(self, line: list[str]) -> None:
        for src, dst, place in self._select(line):
            self._deliver(src, dst, place)

    def copy(self, line: list[str]) -> None:
        for src, dst, place in self._select(line):
            self.cluster.deliver(src, dst, place, copy=True)

    def drop(self, line: list[str]) -> None:
        for src, dst, place in self._select(line):
            self._end_scene()
            msg = self.cluster.flight[src, dst][place]
            self.said.append(f"{src}>{dst} {words.of_message(msg)} is lost")
            self.cluster.drop(src, dst, place)

    def settle(self, line: list[str]) -> None:
        names, said = _split(line)
        cluster = self.cluster
        among = set(names or cluster.nodes)
        kinds = [self._kind(name) for name in said.get("only", "").split(",") if name]
        for _ in range(DELIVERIES_MAX):
            found = []
            for pair in sorted(cluster.flight):
                queue = cluster.flight[pair]
                places = [i for i, msg in enumerate(queue) if not kinds or type(msg) in kinds]
                if places and among >= set(pair):
                    found.append((*pair, places[0]))
            if not found:
                return
            for src, dst, place in found:
                self._deliver(src, dst, place)
        raise ValueError(f"not quiet after {DELIVERIES_MAX} rounds of deliveries")

    def _deliver(self, src: str, dst: str, place: int) -> None:
        if self.cluster.node(dst).core is None:
            self.drop([f"{src}>{dst}", f"@{place}"])
        else:
            self.cluster.deliver(src, dst, place)

    def _select(self, line: list[str]) -> list[tuple[str, str, int]]:
        """(source, destination, place) of what a command names, in an order that stays right while
        places move up.
        """
        (src, dst), kind, place, all_of = self._target(line)
        found = []
        for pair in sorted(self.cluster.flight):
            if src not in (pair[0], "*") or dst not in (pair[1], "*"):
                continue
            queue = self.cluster.flight[pair]
            places = [i for i, msg in enumerate(queue) if kind in ("", type(msg).__name__)]
            if all_of:
                found += [(*pair, at - gone) for gone, at in enumerate(places)]
            elif place < len(places):
                found.append((*pair, places[place]))
        if not found:
            raise ValueError("no such message is in flight")
        return found

    def _target(self, line: list[str]) -> tuple[Pair, str, int, bool]:
        src, dst = _pair(line[0])
        kind, place, all_of = "", 0, "*" in (src, dst)
        for word in line[1:]:
            if word.startswith("@"):
                place = int(word[1:])
            elif word == "all":
                all_of = True
            else:
                kind = self._kind(word).__name__
        return (src, dst), kind, place, all_of

    def _kind(self, name: str) -> type:
        kinds = {kind.__name__: kind for kind in self.dialect.messages}
        if name not in kinds:
            raise unknown_name("kind of message", name, kinds)
        return kinds[name]

    def message(self, line: list[str]) -> None:
        src, dst = _pair(line[0])
        _, said = _split(line[2:])
        queue = self.cluster.flight.setdefault((src, dst), [])
        queue.append(words.message(self._kind(line[1]), said))
        self._deliver(src, dst, len(queue) - 1)

    # -- clients and operators --------------------------------------------------------------------

    def request(self, line: list[str]) -> None:
        (client, name, *op), said = _split(line)
        seq = int(said.get("seq", self._next_seq(client)))
        values = tuple(words.value(word) if at > 1 else word for at, word in enumerate(op))
        asked = ClientRequest(int(said.get("session", 0)), seq, int(said.get("acked", 0)), values)
        self.cluster.request(name, client, asked)

    def open(self, line: list[str]) -> None:
        client, name = line
        self.cluster.request(name, client, OpenSession(self._next_seq(client)))

    def _next_seq(self, client: str) -> int:
        self.seqs[client] = self.seqs.get(client, 0) + 1
        return self.seqs[client]

    def admin(self, line: list[str]) -> None:
        (name, command), said = _split(line)
        args = {key: words.value(value) for key, value in said.items()}
        self.cluster.admin(name, "operator", self.dialect.admin_op(command, args))

    # -- what is seen -----------------------------------------------------------------------------

    def logs(self, line: list[str]) -> None:
        """A row per node: the terms of its entries, as in figure 7 of the Raft paper."""
        rows = []
        for name, node in self.cluster.nodes.items():
            disk = node.disk.clone()
            for patch in node.written:
                disk.apply(patch)
            terms = ["." for _ in range(1, disk.first)] + [str(e.term) for e in disk.entries]
            status = node.core.status() if node.core is not None else {"role": "down"}
            commit = f", commit {status['commit']}" if "commit" in status else ""
            rows.append((name, terms, f"{status['role']}{commit}"))
        width = max(len(terms) for _, terms, _ in rows)
        cell = len(str(width)) + 1
        self.said.append("log   " + "".join(f"{i + 1:>{cell}}" for i in range(width)))
        for name, terms, tail in rows:
            row = "".join(f"{term:>{cell}}" for term in terms)
            self.said.append(f"{name:<6}{row:<{cell * width}}  {tail}")

    def show_flight(self, line: list[str]) -> None:
        for (src, dst), queue in sorted(self.cluster.flight.items()):
            self.said += [f"{src}>{dst} {words.of_message(msg)}" for msg in queue]
        if not self.said:
            self.said.append("nothing is in flight")

    def timers(self, names: list[str]) -> None:
        for name in names:
            for timer, bounds in sorted(self.cluster.node(name).armed.items()):
                self.said.append(f"{name} {timer}: {words.of_span(*bounds)}")

    def note(self, line: list[str]) -> None:
        self.noted |= set(line)

    # -- telling ----------------------------------------------------------------------------------

    def _scene(self, name: str, heading: str) -> None:
        self._end_scene()
        self.scene = name
        self.said.append(heading)

    def _end_scene(self) -> None:
        """Tell what the step has changed in its node's status."""
        name, self.scene = self.scene, ""
        node = self.cluster.nodes.get(name)
        if node is None or node.core is None:
            return
        now = node.core.status()
        was = self.before.get(name, {})
        self.before[name] = now
        if (now["role"], now["term"]) != (was.get("role"), was.get("term")):
            self._tell(f"is {now['role']} in term {now['term']}")
        if now["leader"] not in (was.get("leader"), name, None):
            self._tell(f"follows {now['leader']}")
        if now["commit"] != was.get("commit", 0):
            self._tell(f"commits up to {now['commit']}")
        led = was.get("term") if was.get("role") == "leader" else None
        if now["role"] == "leader" and led != now["term"]:
            first = self.leaders.setdefault(now["term"], name)
            if first != name:
                self._tell_oracle(f"{first} and {name} both lead term {now['term']}")

    def _tell(self, text: str) -> None:
        self.said.append(f"  {text}")

    def _tell_oracle(self, text: str) -> None:
        self.said.append(f"{ALARM} {text}")

    def _observe(self, name: str, what: Any) -> None:
        told = TELL.get(type(what))
        if told is not None:
            told(self, name, what)

    def _on_applied(self, name: str, what: Applied) -> None:
        digest, first = self.applied.setdefault(what.index, (what.digest, name))
        if digest != what.digest:
            self._tell_oracle(f"{first} and {name} applied different entries at {what.index}")

    def _on_start(self, name: str, what: Start) -> None:
        self.before.pop(name, None)
        self._scene(name, f"{name} starts, on disk: {words.of_disk(what.durable)}")

    def _on_held(self, name: str, what: Held) -> None:
        if self.cluster.nodes[name].holds:
            self._tell(f"holds back: {words.of_effect(what.effect)}")

    def _on_lost(self, name: str, what: Lost) -> None:
        self._scene("", f"{name} crashes")
        for patch in what.patches:
            self._tell(f"loses {words.of_patch(patch)}")
        for effect in what.effects:
            self._tell(f"never {words.of_effect(effect)}")

    def _on_set_timer(self, name: str, what: SetTimer) -> None:
        if "timers" in self.noted:
            self._tell(f"sets {what.name}: {words.of_span(what.lo_ns, what.hi_ns)}")

    def _on_cancel_timer(self, name: str, what: CancelTimer) -> None:
        if "timers" in self.noted:
            self._tell(f"cancels {what.name}")

    def _on_mark(self, name: str, what: Mark) -> None:
        if "marks" in self.noted:
            fields = " ".join(f"{key}={value}" for key, value in what.fields.items())
            self._tell(f"* {what.name} {fields}".rstrip())


def _pair(word: str) -> Pair:
    src, arrow, dst = word.partition(">")
    if not arrow:
        raise ValueError(f"a direction is SRC>DST, not {word!r}")
    return src, dst


def _split(line: list[str]) -> tuple[list[str], dict[str, str]]:
    """Plain words, and those of the form name=value."""
    named = dict(word.split("=", 1) for word in line if "=" in word)
    return [word for word in line if "=" not in word], named


TELL: dict[type, Callable[[Stage, str, Any], None]] = {
    Start: Stage._on_start,
    Recv: lambda s, n, e: s._scene(n, f"{e.src}>{n} {words.of_message(e.msg)}"),
    Timer: lambda s, n, e: s._scene(n, f"{n} timer {e.name}"),
    Request: lambda s, n, e: s._scene(n, f"{e.client}>{n} {words.of_request(e.op)}"),
    Admin: lambda s, n, e: s._scene(n, f"{e.client}>{n} {e.op}"),
    Lost: Stage._on_lost,
    Held: Stage._on_held,
    Persist: lambda s, n, e: s._tell(f"writes {words.of_patch(e.patch)}"),
    Send: lambda s, n, e: s._tell(words.of_effect(e)),
    Reply: lambda s, n, e: s._tell(words.of_effect(e)),
    Applied: Stage._on_applied,
    SetTimer: Stage._on_set_timer,
    CancelTimer: Stage._on_cancel_timer,
    Mark: Stage._on_mark,
    Evidence: lambda s, n, e: s._tell(f"has evidence against {e.culprit}: {e.proof}"),
    PeerError: lambda s, n, e: s._tell(f"refuses that: {e}"),
    InvariantError: lambda s, n, e: s._tell_oracle(f"{n} stops: {e}"),
}
"""What happens -> how it is told. The rest goes without saying."""

COMMANDS: dict[str, Callable[[Stage, list[str]], None]] = {
    "cluster": Stage.declare,
    "disk": Stage.disk,
    "start": Stage.start,
    "join": Stage.join,
    "crash": Stage.crash,
    "wipe": Stage.wipe,
    "hold": Stage.hold,
    "release": Stage.release,
    "persist": Stage.persist,
    "timer": Stage.timer,
    "deliver": Stage.deliver,
    "copy": Stage.copy,
    "drop": Stage.drop,
    "settle": Stage.settle,
    "message": Stage.message,
    "request": Stage.request,
    "open": Stage.open,
    "admin": Stage.admin,
    "logs": Stage.logs,
    "flight": Stage.show_flight,
    "timers": Stage.timers,
    "note": Stage.note,
}
