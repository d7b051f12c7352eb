"""Replicated state machines: pure, deterministic, with client sessions inside."""
