"""TLA+ specifications of the protocols, and the tools that check them."""
