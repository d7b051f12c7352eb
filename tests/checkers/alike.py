"""What two readers must say alike of one file."""

from __future__ import annotations

from dissensus.harness.history import OK, History


def differences(one: History, other: History) -> str:
    """The first thing in which two histories are not the same."""
    if len(one) != len(other):
        return f"{len(one)} operations, and {len(other)}"
    for row in range(len(one)):
        for name in ("f_of", "key_of", "arg_of"):
            mine, theirs = getattr(one, name)(row), getattr(other, name)(row)
            if mine != theirs:
                return f"row {row}: {name} {mine!r}, and {theirs!r}"
        for name in ("inv", "ret", "t_inv", "t_ret", "process", "outcome"):
            mine, theirs = getattr(one, name)[row], getattr(other, name)[row]
            if mine != theirs:
                return f"row {row}: {name} {mine!r}, and {theirs!r}"
        if one.outcome[row] == OK and one.result_of(row) != other.result_of(row):
            return f"row {row}: result {one.result_of(row)!r}, and {other.result_of(row)!r}"
    return ""
