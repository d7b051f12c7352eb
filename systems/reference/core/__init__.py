"""What every protocol core shares: events, effects, the protocol interface, quorums."""
