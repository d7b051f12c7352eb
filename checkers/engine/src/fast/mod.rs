//! Polynomial algorithms for the types that have one: each says when its condition holds.

pub mod bits;
mod chains;
pub mod clusters;
pub mod counter;
pub mod cut;
pub mod fetched;
pub mod found;
pub mod ladder;
pub mod lists;
pub mod lives;
pub mod offsets;
pub mod order;
pub mod places;
pub mod priority;
pub mod queue;
pub mod register;
pub mod stack;
pub mod timeline;
pub mod trees;
pub mod zones;
