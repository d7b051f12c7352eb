"""Nodes that differ at an index, and terms with two leaders, are found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dissensus.checkers.agreement import AgreementChecker, ElectionChecker, reports_digests
from dissensus.checkers.engines import reverified
from dissensus.harness.checker import Budget, NodeReport, RunView
from dissensus.harness.verdict import Validity

View = Callable[..., RunView]
S = 1_000_000_000


def said(node: str, t_s: float, **fields: Any) -> NodeReport:
    return NodeReport(node=node, t_ns=int(t_s * S), fields=fields)


def test_two_nodes_that_differ_at_an_index_are_invalid(view: View) -> None:
    run = view(
        nodes=[
            said("n1", 1, applied=5, digest=50, digests=[[3, 30], [4, 40]]),
            said("n2", 2, applied=4, digest=40),
            said("n3", 3, applied=6, digest=60, digests=[[4, 41], [5, 51]]),
        ]
    )
    verdict = reverified(run, AgreementChecker().check(run, Budget()))
    assert verdict.validity is Validity.INVALID
    assert verdict.reason == "after index 4 n1 has digest 40 and n3 has 41"
    assert [c.data["at"] for c in verdict.certificates] == [4, 5]
    assert all(c.reverified for c in verdict.certificates)
    assert verdict.certificates[0].story[1] == ("At 3.000 s n3 reported digest 41 after index 4.")
    assert verdict.facts == {"indices": 4, "compared": 2, "splits": 2}


def test_a_node_that_contradicts_itself_is_invalid(view: View) -> None:
    run = view(nodes=[said("n1", 1, applied=5, digest=50), said("n1", 9, applied=5, digest=51)])
    verdict = reverified(run, AgreementChecker().check(run, Budget()))
    assert verdict.validity is Validity.INVALID
    assert verdict.certificates[0].reverified


def test_nodes_that_agree_are_valid(view: View) -> None:
    run = view(
        nodes=[
            said("n1", 1, applied=5, digest=50),
            said("n2", 2, applied=5, digest=50, digests=[[5, 50]]),
            said("n2", 3, up=False),
            said("n3", 4, applied=-1, digest=0),
            said("n1", 5, applied=7),
        ]
    )
    verdict = AgreementChecker().check(run, Budget())
    assert verdict.validity is Validity.VALID
    assert verdict.facts["compared"] == 1


def test_nothing_compared_is_vacuous(view: View) -> None:
    run = view(nodes=[said("n1", 1, applied=5, digest=50), said("n2", 1, applied=6, digest=60)])
    verdict = AgreementChecker().check(run, Budget())
    assert verdict.validity is Validity.UNKNOWN
    assert verdict.vacuous == ["no two nodes reported the state after the same index"]
    assert reports_digests(run)
    assert not reports_digests(view(nodes=[said("n1", 1, role="leader")]))
    assert reports_digests(view(header={"capabilities": ["applied-digest"]}))


def test_two_leaders_of_one_term_are_invalid(view: View) -> None:
    run = view(
        nodes=[
            said("n1", 1, role="leader", term=3),
            said("n2", 2, role="follower", term=3),
            said("n3", 2.5, role="leader", term=3),
            said("n3", 3, role="leader", term=4),
        ]
    )
    verdict = reverified(run, ElectionChecker().check(run, Budget()))
    assert verdict.validity is Validity.INVALID
    (certificate,) = verdict.certificates
    assert certificate.reverified
    assert certificate.summary == "n1 and n3 both led term 3"


def test_one_leader_a_term_is_valid(view: View) -> None:
    run = view(
        nodes=[said("n1", t, role="leader", term=t) for t in (1, 2, 4)]
        + [said("n2", 3, role="leader", term=3), said("n1", 5, role="leader", term=4)]
    )
    verdict = ElectionChecker().check(run, Budget())
    assert verdict.validity is Validity.VALID
    assert verdict.facts == {"terms": 4}
    nobody = ElectionChecker().check(view(nodes=[said("n1", 1, role="follower")]), Budget())
    assert nobody.vacuous == ["no node reported that it leads"]
