"""Dissensus provokes disagreement in a distributed system before production does.

The package is lazy: `import dissensus` loads nothing but this file, so that the command line and
the pytest plugin start fast. The sub-packages are `harness`, `nemeses`, `checkers`, `specs`,
`systems`, `reports`.
"""

__version__ = "0.1.0"
