"""Errors of protocol cores: a broken invariant of ours, or a peer that broke the protocol."""

from __future__ import annotations


class CoreError(Exception):
    """Base of the errors that a core raises."""


class InvariantError(CoreError):
    """Our own code broke an invariant of the protocol. The node must stop: going on could lose
    data.
    """


class PeerError(CoreError):
    """A peer sent what no correct node sends. The driver closes the connection and counts it."""
