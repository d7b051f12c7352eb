//! A set of small numbers that answers "the next one from here" and "the last one before": three
//! words or so an answer.

/// Numbers below a bound. Level 0 has a bit for each number, every other a bit for each word of the
/// level below that is not 0.
pub struct Bits {
    levels: Vec<Vec<u64>>,
}

impl Bits {
    pub fn new(bound: usize) -> Bits {
        let mut levels = Vec::new();
        let mut words = bound.div_ceil(64).max(1);
        loop {
            levels.push(vec![0; words]);
            if words == 1 {
                return Bits { levels };
            }
            words = words.div_ceil(64);
        }
    }

    pub fn insert(&mut self, number: usize) {
        let mut at = number;
        for level in &mut self.levels {
            if let Some(word) = level.get_mut(at / 64) {
                *word |= 1 << (at % 64);
            }
            at /= 64;
        }
    }

    /// The smallest number from `number` on.
    pub fn from(&self, number: usize) -> Option<usize> {
        let mut at = number;
        for (height, level) in self.levels.iter().enumerate() {
            let word = level.get(at / 64)? & (!0 << (at % 64));
            if word != 0 {
                let mut found = at / 64 * 64 + word.trailing_zeros() as usize;
                for below in self.levels[..height].iter().rev() {
                    found = found * 64 + below.get(found)?.trailing_zeros() as usize;
                }
                return Some(found);
            }
            at = at / 64 + 1;
        }
        None
    }

    /// The largest number below `number`.
    pub fn before(&self, number: usize) -> Option<usize> {
        let mut at = number;
        for (height, level) in self.levels.iter().enumerate() {
            let word = level
                .get(at / 64)
                .map_or(0, |word| word & ((1 << (at % 64)) - 1));
            if word != 0 {
                let mut found = at / 64 * 64 + 63 - word.leading_zeros() as usize;
                for below in self.levels[..height].iter().rev() {
                    found = found * 64 + 63 - below.get(found)?.leading_zeros() as usize;
                }
                return Some(found);
            }
            at /= 64;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_as_in_a_tree() {
        let mut bits = Bits::new(300_000);
        let mut tree = std::collections::BTreeSet::new();
        let mut x = 1usize;
        for _ in 0..2000 {
            x = x
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            let number = (x >> 33) % 300_000;
            let probe = (x >> 20) % 300_001;
            assert_eq!(bits.from(probe), tree.range(probe..).next().copied());
            assert_eq!(bits.before(probe), tree.range(..probe).next_back().copied());
            bits.insert(number);
            tree.insert(number);
        }
    }
}
