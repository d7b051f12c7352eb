//! What the readers of text have in common: a place in a block of bytes, and why a reader stops.

/// Values inside each other go no deeper: a reader calls itself for each level.
pub const DEPTH_MAX: u32 = 256;

/// Why a reader could not go on.
#[derive(Debug)]
pub enum Halt {
    /// The block ends in the middle of a record, and there may be more of it.
    Need,
    /// The file ends in the middle of a record.
    Cut,
    /// It is wrong: offset in the block, and why.
    Bad(Box<(usize, String)>),
}

impl Halt {
    #[cold]
    pub fn bad(at: usize, why: impl Into<String>) -> Halt {
        Halt::Bad(Box::new((at, why.into())))
    }
}

/// What a reader gives, or why it could not.
pub type Scan<T> = Result<T, Halt>;

/// A place in a block of bytes.
pub struct Cursor<'a> {
    pub bytes: &'a [u8],
    pub at: usize,
    /// The block is the last one.
    pub eof: bool,
    /// A tail that may be cut is left out.
    pub salvage: bool,
}

impl<'a> Cursor<'a> {
    /// The byte here, or what its absence means.
    #[inline]
    pub fn peek(&self) -> Result<u8, Halt> {
        match self.bytes.get(self.at) {
            Some(&byte) => Ok(byte),
            None => Err(self.end()),
        }
    }

    /// What it means that the block ends here.
    #[cold]
    pub fn end(&self) -> Halt {
        if self.eof {
            Halt::Cut
        } else {
            Halt::Need
        }
    }

    /// The bytes from here on.
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or(&[])
    }

    /// Offset of the next byte, from here on, of which `stop` is true.
    #[inline]
    pub fn find(&self, stop: impl Fn(u8) -> bool) -> Result<usize, Halt> {
        match self.rest().iter().position(|&byte| stop(byte)) {
            Some(n) => Ok(self.at + n),
            None if self.eof => Ok(self.bytes.len()),
            None => Err(Halt::Need),
        }
    }

    /// The text between two offsets.
    pub fn text(&self, from: usize, to: usize) -> Result<&'a str, Halt> {
        let bytes = self.bytes.get(from..to).unwrap_or(&[]);
        std::str::from_utf8(bytes)
            .map_err(|e| Halt::bad(from + e.valid_up_to(), "this is not UTF-8"))
    }
}

/// A whole number that ends at a byte which is no digit: its value and the offset behind it. `None`
/// for anything else: no digit, more than 18 digits, the end of the block, a leading zero.
#[inline(always)]
pub fn digits(bytes: &[u8], at: usize) -> Option<(u64, usize)> {
    let rest = bytes.get(at..)?;
    let Some(eight) = rest.first_chunk::<8>() else {
        return slow_digits(rest, at);
    };
    // Each digit as its value, in a byte of its own, the first in the lowest byte.
    let word = u64::from_le_bytes(*eight) ^ ZEROS;
    let end = first_other(word);
    if end == 64 {
        return long_digits(rest, at, word);
    }
    if end == 15 {
        return Some((word & 0xFF, at + 1));
    }
    // `end` is the highest bit of the first byte that is no digit: the digits are below that byte.
    let n = (end / 8) as usize;
    if n == 0 || (n > 1 && word & 0xFF == 0) {
        return None;
    }
    Some((number_of(word << (71 - end)), at + n))
}

/// A number of eight digits or more.
#[inline(always)]
fn long_digits(rest: &[u8], at: usize, first: u64) -> Option<(u64, usize)> {
    let Some(eight) = rest.get(8..).and_then(|rest| rest.first_chunk::<8>()) else {
        return slow_digits(rest, at);
    };
    let word = u64::from_le_bytes(*eight) ^ ZEROS;
    let end = first_other(word);
    if end == 64 || first & 0xFF == 0 {
        return slow_digits(rest, at);
    }
    let n = (end / 8) as usize;
    // A shift by all 64 bits, for no digit, in two steps.
    let tail = number_of((word << 1) << (70 - end));
    Some((number_of(first) * TENS[n & 7] + tail, at + 8 + n))
}

const ZEROS: u64 = 0x3030_3030_3030_3030;

const TENS: [u64; 8] = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000];

#[cold]
fn slow_digits(rest: &[u8], at: usize) -> Option<(u64, usize)> {
    let mut value = 0u64;
    for (n, &byte) in rest.iter().enumerate() {
        if !byte.is_ascii_digit() {
            let plain = n > 0 && (n == 1 || rest[0] != b'0');
            return plain.then_some((value, at + n));
        }
        if n == 18 {
            return None;
        }
        value = value * 10 + u64::from(byte - b'0');
    }
    None
}

/// The highest bit of the first byte that is more than 9; 64 where there is none.
#[inline(always)]
fn first_other(word: u64) -> u32 {
    // 10 and more reach the highest bit with 0x76 added. What that carries goes to later bytes.
    let marked = word.wrapping_add(0x7676_7676_7676_7676) | word;
    (marked & 0x8080_8080_8080_8080).trailing_zeros()
}

/// The number of eight digits, the most significant in the lowest byte.
#[inline(always)]
fn number_of(word: u64) -> u64 {
    let pairs = word.wrapping_mul(10).wrapping_add(word >> 8) & 0x00FF_00FF_00FF_00FF;
    let fours = pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0x0000_FFFF_0000_FFFF;
    fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xFFFF_FFFF
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_length() {
        for length in 1..=18 {
            for fill in ['1', '9', '5'] {
                let text: String = std::iter::repeat_n(fill, length).collect();
                for tail in [" ", "}xxxxxxxxxx", ":1234567890", "/         ", "a12345678"] {
                    let line = format!("{text}{tail}");
                    let wanted = Some((text.parse().unwrap(), length));
                    assert_eq!(digits(line.as_bytes(), 0), wanted, "{line}");
                }
            }
        }
        for wrong in ["", "x", "12", "-1 ", "01 ", "00000001 ", "0123456789 "] {
            assert_eq!(digits(wrong.as_bytes(), 0), None, "{wrong:?}");
        }
        assert_eq!(digits(b"1234567890123456789 ", 0), None);
        assert_eq!(digits(b"x0,       ", 1), Some((0, 2)));
    }
}
