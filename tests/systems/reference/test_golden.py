"""The engine of golden scripts: commands, what they tell, recording, and its two oracles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from dissensus.harness.errors import UserError
from dissensus.systems.reference import words
from dissensus.systems.reference.core.client_messages import ClientReply
from dissensus.systems.reference.core.durable import Append as Written
from dissensus.systems.reference.core.durable import Entry, Hard, Snapshot
from dissensus.systems.reference.core.effects import (
    Applied,
    Effect,
    Mark,
    Persist,
    Reply,
    Send,
    SetTimer,
)
from dissensus.systems.reference.core.errors import InvariantError, PeerError
from dissensus.systems.reference.core.events import Admin, Recv, Request, Start, Timer
from dissensus.systems.reference.golden import Dialect, ScriptError, play
from dissensus.systems.reference.raft.messages import MESSAGES, Append, Vote, VoteReply

SECOND = 1_000_000_000


class Toy:
    """Whoever times out leads the next term and asks for votes; a vote is written, then sent."""

    def __init__(self, node_id: str, members: tuple[str, ...], options: dict[str, Any]) -> None:
        self.node_id = node_id
        self.peers = [m for m in members if m != node_id]
        self.options = options
        self.armed: dict[str, tuple[int, int]] = {}
        self.term = self.commit = 0
        self.role, self.leader = "follower", None

    def step(self, event: Any) -> list[Effect]:
        if type(event) is Start:
            self.term = event.durable.term
            self.armed["election"] = (SECOND, 2 * SECOND)
            return [SetTimer("election", SECOND, 2 * SECOND), Mark("booted", {"peers": 2})]
        if type(event) is Timer:
            del self.armed["election"]
            self.term += 1
            self.role = "leader"
            return [Send(peer, Vote(self.term, 3, 1, False)) for peer in self.peers]
        if type(event) is Recv and type(event.msg) is Vote:
            return self._vote(event)
        if type(event) is Recv and type(event.msg) is Append:
            raise InvariantError("no appends here")
        if type(event) is Recv and type(event.msg) is not VoteReply:
            raise PeerError("what is this?")
        if type(event) is Request:
            self.commit += 1
            value = 0 if self.options.get("same") else ord(self.node_id[-1])
            reply = ClientReply(0, event.op.seq, True, event.op.op[-1], "", None)
            return [Applied(self.commit, value, None), Reply(event.client, reply)]
        if type(event) is Admin:
            return [Reply(event.client, {"ok": True, "asked": event.op})]
        return []

    def _vote(self, event: Recv) -> list[Effect]:
        if event.msg.term > self.term:
            self.term, self.role, self.leader = event.msg.term, "follower", event.src
        return [
            Persist(Hard(self.term, event.src)),
            Send(event.src, VoteReply(self.term, True)),
        ]

    def status(self) -> dict[str, Any]:
        return {
            "role": self.role,
            "term": self.term,
            "leader": self.leader,
            "commit": self.commit,
        }

    def abstract(self) -> Any:
        return self.term

    def fingerprint(self) -> int:
        return self.term

    def clone(self) -> Toy:
        return self


def admin_op(command: str, args: Mapping[str, Any]) -> Any:
    if command != "shout":
        raise UserError(f"no command {command}")
    return (command, dict(args))


DIALECT = Dialect(messages=MESSAGES, make=Toy, admin_op=admin_op)

STORY = """\
# A toy is born.

cluster n1 n2 n3
start n1
----
n1 starts, on disk: nothing
  is follower in term 0

quietly start n2 n3

timer n1 election
hold n2
deliver n1>*
----
n1 timer election
  sends n2 Vote term=1 last=3@1
  sends n3 Vote term=1 last=3@1
  is leader in term 1
n1>n2 Vote term=1 last=3@1
  writes term 1, vote n1
  holds back: sends n1 VoteReply term=1 granted=yes
  is follower in term 1
  follows n1
n1>n3 Vote term=1 last=3@1
  writes term 1, vote n1
  sends n1 VoteReply term=1 granted=yes
  is follower in term 1
  follows n1

# The vote that n2 had not written is gone, and so is the reply.
crash n2
start n2
flight
----
n2 crashes
  loses term 1, vote n1
  never sends n1 VoteReply term=1 granted=yes
n2 starts, on disk: nothing
  is follower in term 0
n3>n1 VoteReply term=1 granted=yes
"""


def say(*commands: str) -> list[str]:
    """What these commands say, after a quiet start of three nodes."""
    text = "\n".join(["cluster n1 n2 n3", "quietly start", "", *commands]) + "\n"
    return play(text, DIALECT).split("----\n", 1)[1].splitlines()


def forget(story: str) -> str:
    """The script without its recording."""
    kept, skip = [], False
    for line in story.splitlines():
        skip = (skip or line == "----") and bool(line)
        if not skip:
            kept.append(line)
    return "\n".join(kept) + "\n"


def test_a_recorded_story_plays_as_it_stands() -> None:
    assert play(STORY, DIALECT) == STORY


def test_recording_fills_in_what_is_missing_and_replaces_what_is_wrong() -> None:
    assert play(forget(STORY), DIALECT) == STORY
    assert play(STORY.replace("granted=yes", "granted=no"), DIALECT) == STORY


def test_places_kinds_copies_and_losses() -> None:
    said = say(
        "quietly timer n1 election",
        "quietly message n3>n2 Vote term=5 last=1@1",
        "quietly message n3>n2 Vote term=6 last=1@1",
        "copy n2>n3 @1",
        "drop n2>n3 VoteReply",
        "flight",
        "quietly settle",
        "flight",
    )
    assert said == [
        "n2>n3 VoteReply term=6 granted=yes",
        "n2>n3 VoteReply term=5 granted=yes is lost",
        "n1>n2 Vote term=1 last=3@1",
        "n1>n3 Vote term=1 last=3@1",
        "n2>n3 VoteReply term=6 granted=yes",
        "nothing is in flight",
    ]


def test_settle_keeps_to_the_nodes_that_it_names() -> None:
    said = say("quietly timer n1 election", "quietly settle n1 n2", "flight")
    assert said == ["n1>n3 Vote term=1 last=3@1"]


def test_what_is_sent_to_a_node_that_is_down_is_lost() -> None:
    said = say("quietly timer n1 election", "quietly crash n3", "deliver n1>n3")
    assert said == ["n1>n3 Vote term=1 last=3@1 is lost"]


def test_fsyncs_are_held_counted_and_released() -> None:
    said = say(
        "hold n2",
        "quietly message n1>n2 Vote term=1",
        "quietly message n1>n2 Vote term=2",
        "persist n2 1",
        "release n2",
    )
    assert said == [
        "n2 fsync",
        "  sends n1 VoteReply term=1 granted=yes",
        "n2 fsync",
        "  sends n1 VoteReply term=2 granted=yes",
    ]


def test_what_survives_a_crash_is_the_scripts_choice() -> None:
    said = say(
        "quietly hold n2",
        "quietly message n1>n2 Vote term=1",
        "quietly message n1>n2 Vote term=2",
        "quietly crash n2 keep=1",
        "start n2",
    )
    assert said[0] == "n2 starts, on disk: term 1, vote n1"


def test_disks_are_made_by_hand_and_wiped() -> None:
    said = say(
        "quietly crash n1",
        "disk n1 term=3 vote=n2 log=1,1,3",
        "start n1",
        "logs",
        "quietly crash n1",
        "wipe n1",
        "start n1",
    )
    assert said == [
        "n1 starts, on disk: term 3, vote n2, log 1 to 3",
        "  is follower in term 3",
        "log    1 2 3",
        "n1     1 1 3  follower, commit 0",
        "n2            follower, commit 0",
        "n3            follower, commit 0",
        "n1 starts, on disk: nothing",
        "  is follower in term 0",
    ]


def test_clients_operators_timers_and_marks() -> None:
    said = say(
        "request c1 n1 put x 5",
        "admin n1 shout loud=yes at=n2,n3 n=2",
        "timers n1",
        "note timers marks",
        "quietly crash n1",
        "start n1",
    )
    assert said == [
        "c1>n1 put x 5",
        "  answers c1: ok 5",
        "  commits up to 1",
        "operator>n1 ('shout', {'loud': True, 'at': ['n2', 'n3'], 'n': 2})",
        "  answers operator: ok=True asked=('shout', {'loud': True, 'at': ['n2', 'n3'], 'n': 2})",
        "n1 election: 1000 to 2000 ms",
        "n1 starts, on disk: nothing",
        "  sets election: 1000 to 2000 ms",
        "  * booted peers=2",
        "  is follower in term 0",
    ]


def test_a_node_that_joins_has_no_members() -> None:
    said = say("quietly join n4", "timer n4 election")
    assert said == ["n4 timer election", "  is leader in term 1"]


def test_the_oracles_speak_up() -> None:
    said = say(
        "quietly timer n1 election",
        "timer n2 election",
        "request c1 n1 put x 5",
        "request c1 n2 put x 6",
        "message n2>n3 ReadIndex term=1",
        "message n2>n3 Append term=1 prev=2@1 entries=1,1",
    )
    assert "!! n1 and n2 both lead term 1" in said
    assert "!! n1 and n2 applied different entries at 1" in said
    assert said[-4:] == [
        "n2>n3 ReadIndex term=1",
        "  refuses that: what is this?",
        "n2>n3 Append term=1 prev=2@1 entries=[3: 1 put k3 v1; 4: 1 put k4 v1]",
        "!! n3 stops: no appends here",
    ]


def test_the_same_entries_at_one_index_are_fine() -> None:
    text = "cluster n1 n2 same=yes\nquietly start\nrequest c n1 put x 1\nrequest c n2 put x 1\n"
    assert "!!" not in play(text, DIALECT)


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("delivr n1>n2", "delivr"),
        ("deliver n1>n2", "no such message"),
        ("deliver n1>n2 Vot", "Vote"),
        ("deliver n1-n2", "SRC>DST"),
        ("timer n1 lease", "no timer 'lease'"),
        ("disk n1 term=1", "n1 is up"),
        ("message n1>n2 Vote colour=red", "Vote has no field colour"),
        ("admin n1 whisper", "no command whisper"),
        ("start n1", "n1 is up"),
    ],
)
def test_a_command_that_cannot_be_is_an_error_with_its_line(command: str, why: str) -> None:
    with pytest.raises(ScriptError, match=r"line 3, .*" + why) as caught:
        play(f"cluster n1 n2\nstart n1\n{command}\n", DIALECT)
    assert "n1 starts" in caught.value.told


def test_values_in_words() -> None:
    noop, command = Entry(1, 0, 0, 0, 0, ()), Entry(2, 1, 7, 3, 0, ("put", "x", 1))
    config = Entry(2, 3, 0, 0, 0, (("n1", "n2"), (), ("n3",), ()))
    assert words.of_entry(noop) == "1 noop"
    assert words.of_entry(command) == "2 put x 1 (7/3)"
    assert words.of_entry(config) == "2 config voters=n1,n2 learners=n3"
    assert words.of_patch(Written(4, [noop])) == "log from 4: [4: 1 noop]"
    assert words.of_patch(Snapshot(3, 1, (("n1",), ()), b"")) == ("snapshot at 3@1, voters=n1")
