//! Polynomial algorithms for the types that have one: each says when its condition holds.

pub mod bits;
mod chains;
pub mod clusters;
pub mod counter;
pub mod cut;
pub mod elements;
pub mod fencing;
pub mod fetched;
pub mod found;
pub mod inclusion;
pub mod ladder;
pub mod levels;
pub mod lists;
pub mod lives;
pub mod locks;
pub mod offsets;
pub mod order;
pub mod places;
pub mod priority;
pub mod queue;
pub mod register;
pub mod stack;
pub mod staleness;
pub mod timeline;
pub mod trees;
pub mod zones;
