"""Checks certificates again, sharing no code with what made them: a certificate that does not hold
must not accuse anybody.

What is claimed of a history's operations is checked by a program of its own (`verifier_orders`).
The other kinds are looked up here: the lines in which two nodes contradict each other among what
nodes reported, a panic in its file, outages among the answers that clients got.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dissensus.checkers import verifier_folds, verifier_orders, verifier_sessions, verifier_txns
from dissensus.harness.checker import RunView
from dissensus.harness.history import OK
from dissensus.harness.verdict import Certificate, Contradiction, OverBudget

LEGAL = ("linearization", "serial-order")
"""Kinds of certificates that say VALID; all others say INVALID."""


def verify(run: RunView, certificate: Certificate) -> tuple[bool | None, str]:
    """(True, "") where the certificate holds, (False, why) where it does not, (None, why) where it
    was too much to try or there is no rule for its kind.
    """
    if ".py:" in str(certificate.data.get("model")):
        return None, "the model is the user's"
    rule = RULES.get(certificate.kind)
    if rule is None:
        return None, f"there is no rule for certificates of kind {certificate.kind!r}"
    try:
        rule(run, certificate)
    except Contradiction as error:
        return False, str(error)
    except (OverBudget, OSError) as error:
        return None, str(error)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        return False, f"the certificate is malformed: {error!r}"
    return True, ""


# -- what nodes said ---------------------------------------------------------------------------


def _reported(run: RunView, certificate: Certificate) -> None:
    """Both lines stand in the run, and contradict each other."""
    data = certificate.data
    one, other = data["said"]
    if certificate.kind == "agreement" and one[2] == other[2]:
        raise Contradiction("the two digests are the same")
    if certificate.kind == "election-safety" and one[0] == other[0]:
        raise Contradiction("it is one node")
    for node, t_ns, value in (one, other):
        lines = [r.fields for r in run.nodes if r.node == node and r.t_ns == t_ns]
        if certificate.kind == "agreement":
            said = any([data["at"], value] in _pairs(fields) for fields in lines)
        else:
            said = any(f.get("role") == "leader" and f.get("term") == data["at"] for f in lines)
        if not said:
            raise Contradiction(f"{node} did not report that at {t_ns} ns")


def _pairs(fields: dict[str, Any]) -> list[list[Any]]:
    pairs = [list(pair) for pair in fields.get("digests", [])]
    return [*pairs, [fields.get("applied"), fields.get("digest")]]


def _panic(run: RunView, certificate: Certificate) -> None:
    """The line stands in the file, or the mark in the run."""
    data = certificate.data
    if "mark" in data:
        if data["text"] not in str(run.marks[data["mark"]].get("text")):
            raise Contradiction("there is no such mark")
        return
    if run.directory is None:
        raise OverBudget("the run has no folder")
    with (run.directory / data["file"]).open(encoding="utf-8", errors="replace") as file:
        line = next((line for number, line in enumerate(file, 1) if number == data["line"]), "")
    if not data["text"] or data["text"] not in line:
        raise Contradiction(f"{data['file']}:{data['line']} says something else")


def _availability(run: RunView, certificate: Certificate) -> None:
    """In none of the outages anybody was answered, and they make up too much of the time."""
    data = certificate.data
    history = run.history
    down = 0
    for begin, end in data["outages"]:
        if not data["begin"] <= begin < end <= data["end"]:
            raise Contradiction("an outage lies outside of the time that counts")
        if any(
            history.outcome[r] == OK and begin < history.t_ret[r] < end for r in range(len(history))
        ):
            raise Contradiction(f"somebody was answered between {begin} and {end} ns")
        down += end - begin
    if down <= (1 - data["at_least"]) * (data["end"] - data["begin"]):
        raise Contradiction("the outages are too short")


RULES: dict[str, Callable[[RunView, Certificate], None]] = {
    "linearizability": lambda run, c: verifier_orders.linearizability(run.history, c),
    "cycle": lambda run, c: verifier_txns.cycle(run.history, c),
    "txn-anomaly": lambda run, c: verifier_txns.anomaly(run.history, c),
    "serial-order": lambda run, c: verifier_txns.serial_order(run.history, c),
    "fold": lambda run, c: verifier_folds.fold(run.history, c),
    "session-cycle": lambda run, c: verifier_sessions.cycle(run.history, c),
    "session-garbage": lambda run, c: verifier_sessions.garbage(run.history, c),
    "linearization": lambda run, c: verifier_orders.linearization(run.history, c),
    "agreement": _reported,
    "election-safety": _reported,
    "panic": _panic,
    "availability": _availability,
}
"""Kind of certificate -> what checks it again; it raises Contradiction where it does not hold."""
