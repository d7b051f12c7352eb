"""Systems under test: the bundled reference implementation, and adapters for third-party systems."""
