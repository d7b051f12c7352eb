//! Session guarantees and causal consistency of single-object histories.
