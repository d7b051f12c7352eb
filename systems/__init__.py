"""Systems under test: the bundled reference implementation and third-party adapters."""
