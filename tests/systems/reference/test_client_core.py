"""The client's side of the protocol: what is definite, what is retried, and never twice."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dissensus.systems.reference.core.client import (
    ATTEMPTS_MAX,
    CONNECTED,
    LOST,
    NOT_CONNECTED,
    PAUSED,
    TIMED_OUT,
    ClientCore,
    Connect,
    Done,
    Pause,
    Transmit,
)
from dissensus.systems.reference.core.client_messages import (
    BUSY,
    DEPOSED,
    EXPIRED,
    NOT_LEADER,
    ClientReply,
    ClientRequest,
    OpenSession,
    failure,
)

NODES = ("n1", "n2", "n3")
PUT = ("put", "k", 1)
GET = ("get", "k")


def roaming() -> ClientCore:
    return ClientCore(NODES, None, lambda n: 0)


def pinned() -> ClientCore:
    return ClientCore(NODES, "n2", lambda n: 0)


def sent(action: Any) -> Any:
    assert isinstance(action, Transmit), action
    return action.msg


def reply(msg: Any, result: Any = None) -> ClientReply:
    return ClientReply(getattr(msg, "session", 0), msg.seq, True, result, "", "n1")


def refuse(msg: Any, error: str, leader: str | None = None) -> ClientReply:
    return failure(getattr(msg, "session", 0), msg.seq, error, leader=leader)


def in_session(core: ClientCore) -> ClientRequest:
    """Begin a put, open the session, return the request."""
    assert core.begin(PUT, True) == Connect("n1")
    opening = sent(core.step(CONNECTED))
    assert opening == OpenSession(1)
    request = sent(core.step(reply(opening, 77)))
    assert request == ClientRequest(77, 1, 0, PUT)
    return request  # type: ignore[no-any-return]


def test_updates_have_a_session_and_reads_none() -> None:
    core = roaming()
    request = in_session(core)
    assert core.step(reply(request)) == Done("ok", None)
    assert sent(core.begin(PUT, True)) == ClientRequest(77, 2, 1, PUT)
    core.step(reply(ClientRequest(77, 2, 1, PUT)))
    assert sent(core.begin(GET, False)) == ClientRequest(0, 2, 0, GET)
    assert core.step(reply(ClientRequest(0, 2, 0, GET), 5)) == Done("ok", 5)
    assert core.served_by == "n1"


def test_a_hint_is_followed_with_the_same_seq() -> None:
    core = roaming()
    request = in_session(core)
    assert core.step(refuse(request, NOT_LEADER, "n3")) == Connect("n3")
    assert sent(core.step(CONNECTED)) == request
    assert core.step(reply(request)) == Done("ok", None)
    assert core.connected == "n3"


def test_without_a_leader_it_waits_and_asks_another_node() -> None:
    core = roaming()
    request = in_session(core)
    assert isinstance(core.step(refuse(request, NOT_LEADER)), Pause)
    assert core.step(PAUSED) == Connect("n2")
    assert isinstance(core.step(NOT_CONNECTED), Pause)


@pytest.mark.parametrize("how", [LOST, TIMED_OUT])
def test_a_lost_update_is_retried_with_the_same_seq(how: str) -> None:
    core = roaming()
    request = in_session(core)
    assert isinstance(core.step(how), Pause)
    assert core.step(PAUSED) == Connect("n2")
    assert sent(core.step(CONNECTED)) == request
    assert core.step(reply(request, True)) == Done("ok", True)


def test_an_update_that_may_have_happened_never_fails_definitely() -> None:
    core = roaming()
    request = in_session(core)
    action = core.step(refuse(request, DEPOSED))
    for _ in range(3 * ATTEMPTS_MAX):
        if isinstance(action, Done):
            break
        action = core.step(PAUSED if isinstance(action, Pause) else NOT_CONNECTED)
    assert action == Done("info", NOT_CONNECTED)


def test_what_was_never_sent_fails_definitely_and_in_bounded_time() -> None:
    core = roaming()
    action = core.begin(PUT, True)
    steps = 0
    while not isinstance(action, Done):
        action = core.step(PAUSED if isinstance(action, Pause) else NOT_CONNECTED)
        steps += 1
    assert action == Done("fail", NOT_CONNECTED)
    assert steps <= 2 * ATTEMPTS_MAX


def test_an_expired_session_is_replaced_only_if_nothing_can_have_happened() -> None:
    core = roaming()
    request = in_session(core)
    opening = sent(core.step(refuse(request, EXPIRED)))
    assert isinstance(opening, OpenSession)
    request = sent(core.step(reply(opening, 99)))
    assert request == ClientRequest(99, 1, 0, PUT)
    core.step(LOST)
    core.step(PAUSED)
    again = sent(core.step(CONNECTED))
    assert core.step(refuse(again, EXPIRED)) == Done("info", EXPIRED)
    core.begin(PUT, True)
    assert core.session == 0


def test_a_pinned_client_stays_and_fails() -> None:
    core = pinned()
    assert core.begin(PUT, True) == Connect("n2")
    request = sent(core.step(CONNECTED))
    assert request == ClientRequest(0, 1, 0, PUT)
    assert core.step(refuse(request, NOT_LEADER, "n1")) == Done("fail", NOT_LEADER)
    request = sent(core.begin(PUT, True))
    assert request.seq == 2
    assert core.step(refuse(request, BUSY)) == Done("fail", BUSY)
    core.begin(PUT, True)
    assert core.step(LOST) == Done("info", LOST)
    assert core.begin(PUT, True) == Connect("n2")
    assert core.step(NOT_CONNECTED) == Done("fail", NOT_CONNECTED)


class Server:
    """Executes (session, seq) at most once; every message may be lost on the way or back."""

    def __init__(self, fates: list[int]) -> None:
        self.fates = fates
        self.executed: list[Any] = []
        self.known: set[tuple[int, int]] = set()
        self.sessions = 0

    def fate(self) -> int:
        return self.fates.pop() if self.fates else 0

    def handle(self, msg: Any) -> Any:
        """0: fine; 1: lost before; 2: lost after; 3: nobody leads; 4: deposed, then executed."""
        fate = self.fate()
        if fate == 1:
            return LOST
        if fate == 3:
            return refuse(msg, NOT_LEADER)
        result = self.execute(msg)
        if fate == 4:
            return refuse(msg, DEPOSED)
        return TIMED_OUT if fate == 2 else reply(msg, result)

    def execute(self, msg: Any) -> Any:
        if isinstance(msg, OpenSession):
            self.sessions += 1
            return self.sessions
        if (msg.session, msg.seq) not in self.known:
            self.known.add((msg.session, msg.seq))
            self.executed.append(msg.op[2])
        return None


@given(
    st.booleans(),
    st.lists(st.integers(0, 4), max_size=60),
    st.lists(st.integers(0, 2), max_size=60),
)
def test_outcomes_are_truthful_whatever_is_lost(
    pin: bool, fates: list[int], draws: list[int]
) -> None:
    server = Server(fates)
    core = ClientCore(NODES, "n2" if pin else None, lambda n: (draws.pop() if draws else 0) % n)
    for number in range(8):
        action = core.begin(("put", "k", number), True)
        while not isinstance(action, Done):
            if isinstance(action, Connect):
                action = core.step(NOT_CONNECTED if server.fate() == 1 else CONNECTED)
            elif isinstance(action, Pause):
                action = core.step(PAUSED)
            else:
                action = core.step(server.handle(action.msg))
        times = server.executed.count(number)
        assert times <= 1
        if action.kind == "ok":
            assert times == 1
        elif action.kind == "fail":
            assert times == 0
        else:
            core = ClientCore(NODES, "n2" if pin else None, lambda n: 0)
            server.known.clear()
