"""The code of `docs/how-to/add-a-checker.md` keeps what the page says of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dissensus.checkers import judge, verifier
from dissensus.harness.checker import Budget, RunView
from dissensus.harness.history import History
from dissensus.harness.verdict import Validity, Verdict

Hand = Callable[[str], History]
View = Callable[..., RunView]

READS = "0 i r key=a node=n1 \n 0 o r 1 \n 1 i r key=a node=n2 \n 1 o r {}"


@pytest.fixture
def judged(
    root: Path, hand: Hand, view: View, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Verdict]:
    """The verdict of the page's checker, with its rule in force."""
    text = (root / "docs" / "how-to" / "add-a-checker.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    for code in re.findall(r"```python\n(.*?)```", text, re.S):
        exec(compile(code, "add-a-checker.md", "exec"), names)
    checker = names["FinalReadsChecker"]()
    monkeypatch.setitem(verifier.RULES, checker.name, names["final_reads"])
    monkeypatch.setattr(judge, "checkers_for", lambda run, **_: [checker])

    def of(history: str, final_ns: int) -> Verdict:
        run = view(hand(history), phases=[("chaos", 0), ("final", final_ns)])
        (verdict,) = judge.judge(run, Budget())
        return verdict

    return of


def test_it_fires_and_its_certificate_verifies(judged: Callable[..., Verdict]) -> None:
    verdict = judged("2 i r \n 2 o r 7\n" + READS.format(2), 10)
    assert verdict.validity is Validity.INVALID
    (certificate,) = verdict.certificates
    assert certificate.reverified
    assert certificate.summary == ("of key a, with nothing broken, (1) read 1 and (2) read 2")
    assert certificate.story == ["(1) read 1 at n1.", "(2) read 2 at n2."]


def test_it_does_not_fire_on_reads_that_agree_or_came_earlier(
    judged: Callable[..., Verdict],
) -> None:
    early = "2 i r key=a \n 2 o r 7 \n" + READS.format(1)
    verdict = judged(early, 15_000_000)
    assert (verdict.validity, verdict.facts) == (Validity.VALID, {"keys": 1})
    unsure = "3 i w 2 key=a \n 3 ? w \n" + READS.format(2)
    assert judged(unsure, 10).validity is Validity.UNKNOWN
    assert judged(early, 900_000_000).vacuous == ["nothing was read after the heal"]


def test_its_rule_refutes_a_lie(judged: Callable[..., Verdict], hand: Hand, view: View) -> None:
    (certificate,) = judged("2 i r \n 2 o r 7\n" + READS.format(2), 10).certificates
    run = view(hand("2 i r \n 2 o r 7\n" + READS.format(1)), phases=[("final", 10)])
    assert verifier.verify(run, certificate) == (False, "they read the same")
    other = msgspec.structs.replace(certificate, ops=[0, 1])
    assert verifier.verify(run, other) == (False, "they read different keys")
