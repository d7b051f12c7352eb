//! Polynomial algorithms for the types that have one: each says when its condition holds.

pub mod bits;
pub mod lives;
pub mod places;
pub mod priority;
pub mod queue;
pub mod stack;
pub mod timeline;
pub mod trees;
