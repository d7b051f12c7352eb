"""Raft: elections, log, membership, snapshots and reads as one pure core."""
