//! Readers of histories that others recorded, found by content.
