"""Runs a plan against a cluster: operations, history, run store, scheduler, CLI."""
