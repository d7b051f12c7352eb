//! Sets of slots: one word where 64 operations or fewer are open at once, else as many as it takes.

use smallvec::SmallVec;
use std::fmt::Debug;
use std::hash::Hash;

pub trait Mask: Clone + Eq + Hash + Debug {
    /// The empty set over so many slots.
    fn none(slots: usize) -> Self;
    fn has(&self, slot: u32) -> bool;
    fn put(&mut self, slot: u32);
    fn drop(&mut self, slot: u32);
    fn join(&mut self, other: &Self);
    /// Every slot of `other` is in it.
    fn covers(&self, other: &Self) -> bool;
    /// Some slot of it is not in `other`.
    fn beyond(&self, other: &Self) -> bool;
    /// Some slot of it is in `other`.
    fn meets(&self, other: &Self) -> bool;
    /// Bytes beside those of the value itself.
    fn heap(&self) -> usize;
}

impl Mask for u64 {
    #[inline]
    fn none(_: usize) -> u64 {
        0
    }
    #[inline]
    fn has(&self, slot: u32) -> bool {
        self >> slot & 1 == 1
    }
    #[inline]
    fn put(&mut self, slot: u32) {
        *self |= 1 << slot;
    }
    #[inline]
    fn drop(&mut self, slot: u32) {
        *self &= !(1 << slot);
    }
    #[inline]
    fn join(&mut self, other: &u64) {
        *self |= other;
    }
    #[inline]
    fn covers(&self, other: &u64) -> bool {
        other & !self == 0
    }
    #[inline]
    fn beyond(&self, other: &u64) -> bool {
        self & !other != 0
    }
    #[inline]
    fn meets(&self, other: &u64) -> bool {
        self & other != 0
    }
    fn heap(&self) -> usize {
        0
    }
}

/// As many words as the history needs.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Wide(SmallVec<[u64; 4]>);

impl Mask for Wide {
    fn none(slots: usize) -> Wide {
        Wide(SmallVec::from_elem(0, slots.div_ceil(64)))
    }
    #[inline]
    fn has(&self, slot: u32) -> bool {
        self.0[slot as usize / 64] >> (slot % 64) & 1 == 1
    }
    #[inline]
    fn put(&mut self, slot: u32) {
        self.0[slot as usize / 64] |= 1 << (slot % 64);
    }
    #[inline]
    fn drop(&mut self, slot: u32) {
        self.0[slot as usize / 64] &= !(1 << (slot % 64));
    }
    #[inline]
    fn join(&mut self, other: &Wide) {
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            *mine |= theirs;
        }
    }
    #[inline]
    fn covers(&self, other: &Wide) -> bool {
        self.0.iter().zip(&other.0).all(|(a, b)| b & !a == 0)
    }
    #[inline]
    fn beyond(&self, other: &Wide) -> bool {
        self.0.iter().zip(&other.0).any(|(a, b)| a & !b != 0)
    }
    #[inline]
    fn meets(&self, other: &Wide) -> bool {
        self.0.iter().zip(&other.0).any(|(a, b)| a & b != 0)
    }
    fn heap(&self) -> usize {
        if self.0.spilled() {
            self.0.capacity() * 8
        } else {
            0
        }
    }
}
