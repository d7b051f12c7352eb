"""Faults: what breaks, how it is proved to have broken, how it is undone."""
