"""Verdicts over histories, each with a certificate that a small verifier can check again."""
