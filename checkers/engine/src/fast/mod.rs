//! Polynomial algorithms for the types that have one: each says when its condition holds.

pub mod timeline;
