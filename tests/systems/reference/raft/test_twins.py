"""For each known bug a twin of the core without that guard: it turns the bug's golden script red.

A twin overrides one method and nothing else, so the script depends on that guard. `sign` is a line
that only the twin's story has: most often an oracle's ("!!"), which says that safety is broken.
Where the bug costs liveness or is refused at the door, `gone` is a line that only the right story
has.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from dissensus.systems.reference.core.durable import Hard
from dissensus.systems.reference.core.quorum import majority_value, reached
from dissensus.systems.reference.golden import ScriptError
from dissensus.systems.reference.raft.config import Config
from dissensus.systems.reference.raft.core import Raft
from dissensus.systems.reference.raft.messages import Append, AppendReply, Vote, VoteReply

BUGS = Path(__file__).parent / "golden" / "bugs"


class R1(Raft):
    def commits(self, index: int) -> bool:
        return True


class R2(Raft):
    def first_new(self, previous: int, entries: list[Any]) -> int:
        return 0


class R3(Raft):
    def commit_bound(self, msg: Append, reach: int) -> int:
        return min(msg.commit, self.log.last)


class R4(Raft):
    def persist_hard(self) -> None:
        self.persist(Hard(self.term, None))


class R4b(Raft):
    """The answer leaves with the term, the vote follows."""

    def enter_term(self, term: int, vote: str | None) -> None:
        super().enter_term(term, None)
        if vote is not None:
            self.voted_for = vote
            self.send(vote, VoteReply(term, True))
            self.persist(Hard(term, vote))


class R5(Raft):
    def count_vote(self, src: str, granted: bool) -> None:
        spare = [n for n in self.config.voters if n not in self.votes]
        self.votes[src if src not in self.votes else spare[0]] = granted


class R5b(Raft):
    def answer_stale(self, src: str, msg: Any) -> None:
        if type(msg) is AppendReply:
            self.on_append_reply(src, msg)
        else:
            super().answer_stale(src, msg)


class R6(Raft):
    def may_change(self) -> bool:
        return True


class R7(Raft):
    def adopt_configs(self, configs: list[tuple[int, Config]]) -> None:
        self.configs = configs
        self.config = [config for index, config in configs if index <= self.commit][-1]


class R8(Raft):
    def may_vote(self) -> bool:
        return self.config.is_voter(self.node_id)


class R9(Raft):
    def check_ids(self, nodes: Any) -> None:
        pass


class R10(Raft):
    def cut_writing(self, first: int) -> None:
        self.durable = min(self.durable, first - 1)
        self.stored = min(self.stored, first - 1)


class R11(Raft):
    def covered(self, previous: int) -> int:
        return 0


class R12(Raft):
    def quorum_match(self) -> int:
        return majority_value([self.match_of(node) for node in self.config.members])


class R13(Raft):
    def lease_ns(self) -> int:
        return self.options.election_ns


class R14(Raft):
    def own_match(self) -> int:
        return self.log.last


class R15(Raft):
    def answer_stale(self, src: str, msg: Any) -> None:
        if type(msg) is Vote:
            super().answer_stale(src, msg)


class R16(Raft):
    def adopt_configs(self, configs: list[tuple[int, Config]]) -> None:
        snapshot = len(configs) == 1 and configs[0][0] > 0
        super().adopt_configs([(configs[0][0], self.config)] if snapshot else configs)


class R17(Raft):
    def quorum_match(self) -> int:
        both = {*self.config.voters, *self.config.outgoing}
        return majority_value([self.match_of(node) for node in both])


class R17b(Raft):
    def elected(self) -> bool:
        both = {*self.config.voters, *self.config.outgoing}
        return reached(both, [node for node, granted in self.votes.items() if granted])


class Twin(NamedTuple):
    """A core without a guard, and how that shows in its script."""

    core: type[Raft]
    sign: str = ""
    gone: str = ""


TWINS = (
    Twin(R1, sign="!! s1 and s5 applied different entries at 2"),
    Twin(R2, sign="!! n1 and n2 applied different entries at 3"),
    Twin(R3, sign="!! n1 and n2 applied different entries at 2"),
    Twin(R4, sign="!! n1 and n3 both lead term 1"),
    Twin(R4b, sign="!! n1 and n3 both lead term 1"),
    Twin(R5, sign="!! n5 and n1 both lead term 1"),
    Twin(R5b, sign="!! n1 and n2 applied different entries at 3"),
    Twin(R6, sign="!! s2 and s1 applied different entries at 2"),
    Twin(R7, sign="  is leader in term 2"),
    Twin(R8, gone="  is leader in term 2"),
    Twin(R9, gone="error=n3 was removed; a node that returns needs a new id"),
    Twin(R10, sign="!! n1 stops: on disk 3, given to it 2, in the log 2"),
    Twin(R11, sign="  sends n1 AppendReply term=1 ok=no index=1 hint=1 round=1"),
    Twin(R12, sign="!! n1 and n2 applied different entries at 4"),
    Twin(R13, sign="n1 lease/1: 300 ms"),
    Twin(R14, sign="!! n1 and n1 applied different entries at 2"),
    Twin(R15, gone="  is follower in term 5"),
    Twin(R16, sign="!! n3 and n4 both lead term 2"),
    Twin(R17, sign="!! n1 and n2 applied different entries at 2"),
    Twin(R17b, sign="!! n2 and n4 both lead term 2"),
)


def script_of(twin: Twin) -> str:
    (path,) = BUGS.glob(f"{twin.core.__name__}_*.txt")
    return path.read_text(encoding="utf-8")


def told_by(stage: Callable[..., str], script: str, core: type[Raft]) -> list[str]:
    """The twin's story; it may come to a command that is not possible any more."""
    try:
        return stage(script, core).splitlines()
    except ScriptError as error:
        return error.told.splitlines()


@pytest.mark.parametrize("twin", TWINS, ids=lambda twin: twin.core.__name__)
def test_without_the_guard_the_script_is_red(twin: Twin, stage: Callable[..., str]) -> None:
    script = script_of(twin)
    right = script.splitlines()
    wrong = told_by(stage, script, twin.core)
    assert wrong != right
    if twin.sign:
        assert twin.sign in wrong, "\n".join(wrong)
        assert twin.sign not in right
    else:
        assert any(twin.gone in line for line in right)
        assert not any(twin.gone in line for line in wrong), "\n".join(wrong)


@pytest.mark.parametrize("twin", TWINS, ids=lambda twin: twin.core.__name__)
def test_nothing_but_the_guard_differs(twin: Twin) -> None:
    own = [name for name, value in vars(twin.core).items() if callable(value)]
    assert len(own) == 1
    assert hasattr(Raft, own[0])


def test_every_bug_has_a_twin() -> None:
    assert {path.stem.split("_")[0] for path in BUGS.glob("*.txt")} == {
        twin.core.__name__ for twin in TWINS
    }
