"""The key-value state machine: operations, sessions that expire by log index, snapshots, clones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dissensus.systems.reference.core.client_messages import BAD_REQUEST, EXPIRED, STALE_SEQ
from dissensus.systems.reference.core.durable import COMMAND, NOOP, OPEN_SESSION, Entry
from dissensus.systems.reference.statemachine import flat, kv
from dissensus.systems.reference.statemachine.kv import KeyValue


def run(machine, *ops, session=0, first_seq=1, acked=0):
    out = []
    for i, op in enumerate(ops):
        entry = Entry(1, COMMAND, session, first_seq + i, acked, op)
        out.append(machine.apply(machine.applied + 1, entry))
    return out


def test_each_operation():
    m = KeyValue()
    assert run(
        m,
        ("put", "a", 1),
        ("get", "a"),
        ("cas", "a", 1, 2),
        ("cas", "a", 1, 3),
        ("cas", "b", None, "x"),
        ("delete", "b"),
        ("delete", "b"),
        ("append", "l", 7),
        ("append", "l", 8),
        ("append", "a", 8),
    ) == [
        (True, None, ""),
        (True, 1, ""),
        (True, True, ""),
        (True, False, ""),
        (True, True, ""),
        (True, True, ""),
        (True, False, ""),
        (True, 1, ""),
        (True, 2, ""),
        (False, "'a' holds 2, not a list", BAD_REQUEST),
    ]
    assert m.data == {"a": 2, "l": (7, 8)}
    assert m.query(("get", "l")) == (True, (7, 8), "")


def test_cas_tells_true_from_one():
    m = KeyValue()
    assert run(m, ("put", "a", 1), ("cas", "a", True, 2))[1] == (True, False, "")


@pytest.mark.parametrize(
    "op", [(), ("put", "a"), ("nope", "a"), ("put", 1, 2), ("put", "a", [1]), ("get", "a", "b")]
)
def test_malformed_operations_say_why(op):
    assert KeyValue().check(op)


def test_a_retry_is_answered_and_not_executed():
    m = KeyValue()
    sid = m.apply(1, Entry(1, OPEN_SESSION, 0, 1, 0, ()))[1]
    assert sid == 1
    assert run(m, ("append", "l", 1), session=sid) == [(True, 1, "")]
    assert run(m, ("append", "l", 1), session=sid) == [(True, 1, "")]
    assert m.data["l"] == (1,)
    assert m.cached(sid, 1) == (True, 1, "")
    assert run(m, ("append", "l", 2), session=sid, first_seq=2, acked=1) == [(True, 2, "")]
    assert run(m, ("append", "l", 1), session=sid) == [(False, None, STALE_SEQ)]
    assert m.data["l"] == (1, 2)


def test_sessions_expire_by_log_index_oldest_first():
    m = KeyValue(session_ttl=3)
    a = m.apply(1, Entry(1, OPEN_SESSION, 0, 1, 0, ()))[1]
    b = m.apply(2, Entry(1, OPEN_SESSION, 0, 1, 0, ()))[1]
    assert run(m, ("put", "k", 1), session=a)[0][0]
    for _ in range(3):
        m.apply(m.applied + 1, Entry(1, NOOP, 0, 0, 0, ()))
    assert run(m, ("put", "k", 2), session=b) == [(False, None, EXPIRED)]
    assert run(m, ("put", "k", 2), session=a) == [(False, None, EXPIRED)]
    assert m.data["k"] == 1


def test_tables_are_bounded(monkeypatch):
    monkeypatch.setattr(kv, "MAX_SESSIONS", 2)
    monkeypatch.setattr(kv, "MAX_RESULTS", 2)
    m = KeyValue()
    for i in range(1, 4):
        m.apply(i, Entry(1, OPEN_SESSION, 0, 1, 0, ()))
    assert list(m.sessions) == [2, 3]
    run(m, *[("append", "l", i) for i in range(4)], session=3)
    assert list(m.sessions[3].results) == [3, 4]
    assert run(m, ("append", "l", 9), session=3, first_seq=1) == [(False, None, STALE_SEQ)]


OPS = st.one_of(
    st.tuples(st.just("put"), st.sampled_from("ab"), st.integers(0, 3)),
    st.tuples(st.just("cas"), st.sampled_from("ab"), st.integers(0, 3), st.none()),
    st.tuples(st.just("append"), st.sampled_from("cd"), st.text(max_size=2)),
    st.tuples(st.just("delete"), st.sampled_from("abcd")),
)


@given(st.lists(st.tuples(OPS, st.integers(0, 2)), max_size=30), st.integers(0, 30))
def test_snapshot_and_clone_continue_alike(script, cut):
    def play(machine, part):
        for op, session in part:
            seq = machine.applied
            machine.apply(machine.applied + 1, Entry(1, COMMAND, session, seq, seq // 2, op))

    whole = KeyValue(session_ttl=9)
    whole.apply(1, Entry(1, OPEN_SESSION, 0, 1, 0, ()))
    whole.apply(2, Entry(1, OPEN_SESSION, 0, 1, 0, ()))
    play(whole, script[:cut])
    restored = KeyValue(session_ttl=9)
    restored.restore(whole.snapshot())
    copy = whole.clone()
    for machine in (whole, restored, copy):
        play(machine, script[cut:])
    assert whole.snapshot() == restored.snapshot() == copy.snapshot()
    assert whole.digest == restored.digest == copy.digest


def test_digest_tells_histories_apart():
    a, b = KeyValue(), KeyValue()
    run(a, ("put", "k", 1))
    run(b, ("put", "k", True))
    assert a.digest != b.digest


@pytest.mark.parametrize("blob", [b"", b"i9", b"i1\ni0", b"what"])
def test_restore_refuses_what_is_no_snapshot(blob):
    with pytest.raises(ValueError, match=r"version 9|too early|no scalar"):
        KeyValue().restore(blob)


@given(st.lists(st.one_of(st.text(), st.integers(), st.booleans(), st.none())))
def test_flat_lists_come_back_with_their_types(values):
    back = flat.unpack(flat.pack(values))
    assert [(type(v), v) for v in back] == [(type(v), v) for v in values]
