"""Which exit code wins where several apply."""

from __future__ import annotations

import pytest

from dissensus.harness.verdict import Validity, Verdict, exit_code

OF = {
    1: Verdict(checker="a", validity=Validity.INVALID),
    2: Verdict(checker="b", validity=Validity.UNKNOWN),
    5: Verdict(checker="c", validity=Validity.UNKNOWN, vacuous=["why"]),
    6: Verdict(checker="d", validity=Validity.VALID, disagreement=True),
    0: Verdict(checker="e", validity=Validity.VALID),
}
ORDER = (1, 6, 130, 3, 2, 5, 0)


@pytest.mark.parametrize("at", range(len(ORDER)))
def test_the_first_in_the_order_wins(at: int) -> None:
    codes = ORDER[at:]
    verdicts = [OF[code] for code in codes if code in OF]
    assert exit_code(verdicts, failed=3 in codes, interrupted=130 in codes) == ORDER[at]


def test_no_verdict_at_all_is_unknown() -> None:
    assert exit_code([]) == 2
