//! A set of values with their keys: a bit each where they are dense whole numbers.

use hashbrown::HashSet;
use rustc_hash::FxBuildHasher;

use crate::values::Val;

/// Keys below this have bits of their own.
const KEYS: u32 = 1 << 16;
/// Words of bits that a set may have before it has anything in it.
const WORDS: usize = 1 << 12;

/// A set of (key, value). Bits are made only while there are not many more words of them than
/// members, so that its size is bounded by what was put in; what has no bit is in a table.
#[derive(Default)]
pub struct Seen {
    /// By key, 0 for none.
    bits: Vec<Vec<u64>>,
    words: usize,
    members: usize,
    others: HashSet<(Val, Val), FxBuildHasher>,
}

impl Seen {
    /// Put it in; whether it was not there.
    #[inline]
    pub fn insert(&mut self, key: Val, value: Val) -> bool {
        self.members += 1;
        if let Some((at, word, bit)) = place(key, value) {
            if self.has_word(at, word) || self.grow(at, word) {
                let slot = &mut self.bits[at][word];
                let new = *slot & bit == 0;
                *slot |= bit;
                // It may have come when there were no bits for it.
                return new && (self.others.is_empty() || !self.others.contains(&(key, value)));
            }
        }
        self.others.insert((key, value))
    }

    /// Take it out; whether it was there.
    #[inline]
    pub fn remove(&mut self, key: Val, value: Val) -> bool {
        let mut had = false;
        if let Some((at, word, bit)) = place(key, value) {
            if self.has_word(at, word) {
                let slot = &mut self.bits[at][word];
                had = *slot & bit != 0;
                *slot &= !bit;
            }
        }
        let other = !self.others.is_empty() && self.others.remove(&(key, value));
        had | other
    }

    #[inline]
    fn has_word(&self, at: usize, word: usize) -> bool {
        self.bits.get(at).is_some_and(|words| word < words.len())
    }

    #[cold]
    fn grow(&mut self, at: usize, word: usize) -> bool {
        let keys = (at + 1).saturating_sub(self.bits.len());
        let have = self.bits.get(at).map_or(0, Vec::len);
        let want = (word + 1).next_power_of_two();
        // A key without bits costs three words.
        let more = 3 * keys + want - have;
        if self.words + more > WORDS + 4 * self.members {
            return false;
        }
        self.words += more;
        self.bits.resize(self.bits.len() + keys, Vec::new());
        self.bits[at].resize(want, 0);
        true
    }
}

/// Whose bits, in which word and which bit.
#[inline]
fn place(key: Val, value: Val) -> Option<(usize, usize, u64)> {
    let at = match key.small() {
        None if key.is_none() => 0,
        Some(key) if key < KEYS => key as usize + 1,
        _ => return None,
    };
    let value = value.small()?;
    Some((at, value as usize / 64, 1 << (value % 64)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_a_hash_set_whatever_is_put_in() {
        let mut seen = Seen::default();
        let mut plain = std::collections::HashSet::new();
        let mut x = 1u64;
        for turn in 0..40_000u64 {
            x = x.wrapping_mul(6364136223846793005).wrapping_add(turn | 1);
            let random = (x >> 33) as u32;
            let key = [Val::NONE, Val(random % 5), Val(random % 90_000), Val::TRUE];
            let key = key[(x >> 29) as usize % 4];
            let span = [50, 5_000, Val::SMALL_END][(x >> 25) as usize % 3];
            let value = if random % 11 == 0 {
                Val::NIL
            } else {
                Val(random % span)
            };
            if (x >> 22) % 3 == 0 {
                assert_eq!(seen.remove(key, value), plain.remove(&(key, value)));
            } else {
                assert_eq!(seen.insert(key, value), plain.insert((key, value)));
            }
        }
        assert!(!seen.others.is_empty() && seen.words > 0);
    }

    #[test]
    fn its_size_is_bounded_by_what_is_in_it() {
        let mut seen = Seen::default();
        for n in 0..1000 {
            seen.insert(Val(n), Val(Val::SMALL_END - 1 - n));
        }
        assert!(seen.words < WORDS + 4000);
    }
}
