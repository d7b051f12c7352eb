"""Errors of Dissensus. Each class says whose fault it is, and so which exit code follows.

    DissensusError
      UserError            a bad argument, plan or history line: exit 4
      EnvironmentFault     this machine or a tool failed (busy port, full disk): exit 3
      SystemFault          the system under test did not come up, or its adapter is wrong: exit 3
      InternalError        a bug of ours: exit 3

Messages name the value, what was expected, and the nearest match where there is one.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class DissensusError(Exception):
    """Base of every error that Dissensus raises on purpose. The text is for people, whole
    sentences.
    """

    exit_code = 3


class UserError(DissensusError):
    """The caller gave something that cannot be used."""

    exit_code = 4


class EnvironmentFault(DissensusError):
    """The machine cannot do what was asked: a port is busy, a disk is full, a tool is missing."""


class SystemFault(DissensusError):
    """The system under test did not start, did not become ready, or its adapter broke the
    contract.
    """


class InternalError(DissensusError):
    """Dissensus itself is wrong. Please report it with the run's folder."""


def unknown_name(what: str, name: str, known: Iterable[str]) -> UserError:
    """A `UserError` for a name that does not exist: lists what does, nearest match first."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return UserError(f"unknown {what} {name!r}{hint} (known: {', '.join(names) or 'none'})")


def culprit(error: Exception) -> str:
    """The place of an error in code that somebody plugged in; empty when it is in ours. Libraries
    count as who called them.
    """
    import sysconfig
    import traceback

    libraries = tuple(sysconfig.get_paths()[name] for name in ("stdlib", "purelib", "platlib"))
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        file = frame.f_code.co_filename
        name = str(frame.f_globals.get("__name__", ""))
        if name.partition(".")[0] == __name__.partition(".")[0]:
            return ""
        if not file.startswith((*libraries, "<")):
            return f"{file}, line {line}"
    return ""
