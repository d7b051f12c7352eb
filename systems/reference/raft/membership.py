"""Changes of membership: joint consensus with learners (thesis 4.3), or one server at a time (4.1).

A configuration is in force as soon as it is in the log (R7), and one that is truncated reverts. At
most one is uncommitted. The joint configuration ends by itself: once it is committed, the leader
proposes what comes after it. A leader that is no voter any more steps down when that is committed.
"""

from __future__ import annotations

from typing import AbstractSet, Any, Dict, Mapping, Optional

from dissensus.systems.reference.core.durable import CONFIG, Entry
from dissensus.systems.reference.raft.config import Config
from dissensus.systems.reference.raft.progress import Progress
from dissensus.systems.reference.raft.reads import Reads
from dissensus.systems.reference.raft.state import LEADER, Client


class Membership(Reads):
    """See the module's first lines."""

    __slots__ = ()

    def config_appended(self, index: int, config: Config) -> None:
        """A configuration entered the log: it is in force, committed or not (R7)."""
        self.adopt_configs([*self.configs, (index, config)])
        if self.role == LEADER:
            self.follow_config(index)

    def follow_config(self, following: int) -> None:
        """The leader sends to every member, to new ones from `following`; and to those who are
        leaving until their removal is committed, so that they learn of it if they can.
        """
        members = set(self.config.members)
        if self.configs[-1][0] > self.commit:
            members.update(self.configs[-2][1].members)
        members.discard(self.node_id)
        for node in sorted(members - self.progress.keys()):
            self.progress[node] = Progress(following)
        for node in self.progress.keys() - members:
            del self.progress[node]

    def may_campaign(self) -> bool:
        """Whether this node asks for votes: as a voter of the configuration in force, or of the one
        before while that is not known to be committed. Without the second, a leader that had put
        its own removal into its log alone could neither lead nor let anybody else (4.2.2).
        """
        if self.role == LEADER:
            return False
        index, config = self.configs[-1]
        if config.is_voter(self.node_id):
            return True
        return index > self.commit and self.configs[-2][1].is_voter(self.node_id)

    # -- an operator's changes ------------------------------------------------------------------

    def change_members(self, client: Client, command: str, args: Mapping[str, Any]) -> None:
        """add, promote, remove, or config with the voters and learners that there shall be."""
        try:
            voters, learners = self.wanted(command, args)
            self.check_ids(voters | learners)
            why = self.change_refused()
            if why is not None:
                raise ValueError(why)
            single = self.options.single_server
            make = self.config.single_to if single else self.config.joint_to
            config = make(voters, learners)
        except ValueError as error:
            answer = {"ok": False, "error": str(error), "leader": self.leader}
            self.answer_client(client, answer)
            return
        self.config_client = client
        self.propose(Entry(self.term, CONFIG, 0, 0, 0, config.pack()))

    def wanted(
        self, command: str, args: Mapping[str, Any]
    ) -> "tuple[AbstractSet[str], AbstractSet[str]]":
        """(voters, learners) after a command. ValueError: why it cannot be."""
        voters, learners = set(self.config.voters), set(self.config.learners)
        if command == "config":
            return set(args["voters"]), set(args["learners"])
        node = args["node"]
        if command == "add":
            if node in self.config.members:
                raise ValueError(f"{node} is a member already")
            (learners if args["learner"] else voters).add(node)
        elif command == "promote":
            if node not in learners:
                raise ValueError(f"{node} is no learner")
            self.check_caught_up(node)
            learners.remove(node)
            voters.add(node)
        else:
            if node not in self.config.members:
                raise ValueError(f"{node} is no member")
            voters.discard(node)
            learners.discard(node)
        return voters, learners

    def check_ids(self, nodes: AbstractSet[str]) -> None:
        """Nobody comes back who was removed: on a blank disk it would have forgotten its votes
        and acknowledgements (R9). ValueError.
        """
        for node in sorted(nodes & set(self.config.removed)):
            raise ValueError(f"{node} was removed; a node that returns needs a new id")

    def check_caught_up(self, node: str) -> None:
        """A learner that is not there, or lacks more than one batch, would hold up commitment
        (4.2.1).
        """
        progress = self.progress.get(node)
        match = 0 if progress is None else progress.match
        if match == 0 or match + self.options.max_entries < self.log.last:
            raise ValueError(f"{node} lags behind: it has {match} of {self.log.last} entries")

    def change_refused(self) -> Optional[str]:
        """Why members cannot change now, or None."""
        if self.role != LEADER:
            return "not_leader"
        if self.transfer_to is not None:
            return "leadership is being handed over"
        if self.config.joint or self.configs[-1][0] > self.commit:
            return "the previous change has not ended"
        if not self.may_change():
            return "no entry of this term is committed yet"
        return None

    def may_change(self) -> bool:
        """Not before an entry of this term is committed: else two leaders may each commit a change
        of their own with quorums that do not meet (Ongaro's correction of 2015, R6).
        """
        return self.commit >= self.term_start

    # -- commitment -----------------------------------------------------------------------------

    def committed_more(self) -> None:
        """The leader's commit index has moved: what waited for that?"""
        if self.knows_commit():
            self.release_early_reads()
        index, config = self.configs[-1]
        if self.config_done < index <= self.commit:
            self.config_done = index
            self.config_committed(config)

    def config_committed(self, config: Config) -> None:
        """The configuration in force is committed."""
        if config.joint:
            after = config.after_joint()
            self.propose(Entry(self.term, CONFIG, 0, 0, 0, after.pack()))
            return
        self.end_change(True, "")
        self.broadcast()  # who is gone learns of it, and who stays need not wait
        self.follow_config(self.log.last + 1)
        if not config.is_voter(self.node_id):
            self.step_down()

    def end_change(self, done: bool, why: str) -> None:
        """Answer the operator who asked for the change."""
        client, self.config_client = self.config_client, None
        if client is not None:
            answer: Dict[str, Any] = {"ok": done, "config": self.config_fields()}
            if not done:
                answer["error"] = why
            self.answer_client(client, answer)

    def config_fields(self) -> Dict[str, Any]:
        """The configuration in force, for people."""
        config = self.config
        return {
            "voters": list(config.voters),
            "outgoing": list(config.outgoing),
            "learners": list(config.learners),
            "index": self.configs[-1][0],
            "committed": self.configs[-1][0] <= self.commit,
        }
