//! Text and bytes in Fressian, whole or in chunks, and the checksum of its footers.

use crate::error::{Error, Result};

use super::fressian::Reader;

impl Reader<'_> {
    /// The rest of a footer: three more bytes of its mark, how many bytes it closes, and the Adler-32
    /// of those bytes with the mark and the length.
    pub(super) fn footer(&mut self) -> Result<()> {
        let end = self.pos - 1;
        let place = self.base + end as u64;
        if self.raw(3)? != 0xCF_CFCF {
            return Err(Error::at_byte(place, "a broken footer"));
        }
        let length = self.raw(4)?;
        let have = end.saturating_sub(self.footed) as u64;
        if length != have {
            let why = format!("a footer of {length} bytes after {have}");
            return Err(Error::at_byte(place, why));
        }
        let closed = adler32(self.data.get(self.footed..self.pos).unwrap_or_default());
        if self.raw(4)? != u64::from(closed) {
            return Err(Error::at_byte(
                place,
                "the footer's checksum is not that of its data",
            ));
        }
        self.footed = self.pos;
        self.reset();
        Ok(())
    }

    /// A string that begins with `code`, into `text`.
    pub(super) fn string_of(&mut self, code: u8) -> Result<()> {
        let start = self.pos;
        let mut code = code;
        let mut whole: Vec<u8> = Vec::new();
        loop {
            let (count, last) = match code {
                0xDA..=0xE1 => (code as usize - 0xDA, true),
                0xE2 => (self.count()?, false),
                0xE3 => (self.count()?, true),
                _ => return Err(self.wrong("a string that ends without its last part")),
            };
            let part = self.take(count)?;
            if last && whole.is_empty() {
                // The usual case, without a copy.
                self.text.clear();
                if !push_cesu8(part, &mut self.text) {
                    return Err(Error::at_byte(
                        self.base + start as u64,
                        "text that is not UTF-8",
                    ));
                }
                return Ok(());
            }
            whole.extend_from_slice(part);
            if last {
                break;
            }
            code = self.byte()?;
        }
        self.text.clear();
        if !push_cesu8(&whole, &mut self.text) {
            return Err(Error::at_byte(
                self.base + start as u64,
                "text that is not UTF-8",
            ));
        }
        Ok(())
    }

    pub(super) fn bytes_of(&mut self, code: u8) -> Result<Vec<u8>> {
        let mut code = code;
        let mut whole = Vec::new();
        loop {
            let (count, last) = match code {
                0xD0..=0xD7 => (code as usize - 0xD0, true),
                0xD8 => (self.count()?, false),
                0xD9 => (self.count()?, true),
                _ => return Err(self.wrong("expected bytes")),
            };
            whole.extend_from_slice(self.take(count)?);
            if last {
                return Ok(whole);
            }
            code = self.byte()?;
        }
    }

    /// The next value, which must be bytes.
    pub(super) fn bytes(&mut self) -> Result<Vec<u8>> {
        let code = self.byte()?;
        self.bytes_of(code)
    }
}

/// The checksum Adler-32.
fn adler32(data: &[u8]) -> u32 {
    let (mut a, mut b) = (1u32, 0u32);
    // 5552 is the most bytes whose sums stay below 2^32.
    for part in data.chunks(5552) {
        for &byte in part {
            a += u32::from(byte);
            b += a;
        }
        a %= 65521;
        b %= 65521;
    }
    b << 16 | a
}

/// Append text in CESU-8 or UTF-8. A surrogate without its other half becomes U+FFFD. False for
/// bytes that are neither.
fn push_cesu8(bytes: &[u8], out: &mut String) -> bool {
    if let Ok(text) = std::str::from_utf8(bytes) {
        out.push_str(text);
        return true;
    }
    let surrogate = |at: usize| match bytes.get(at..at + 3) {
        Some(&[0xED, b @ 0xA0..=0xBF, c]) if c & 0xC0 == 0x80 => {
            Some(0xD000 | u32::from(b & 0x3F) << 6 | u32::from(c & 0x3F))
        }
        _ => None,
    };
    let mut at = 0;
    while at < bytes.len() {
        if let Some(high) = surrogate(at) {
            let low = surrogate(at + 3).filter(|low| (0xDC00..0xE000).contains(low));
            let both = match low {
                Some(low) if high < 0xDC00 => {
                    at += 3;
                    char::from_u32(0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00))
                }
                _ => None,
            };
            out.push(both.unwrap_or('\u{FFFD}'));
            at += 3;
            continue;
        }
        let next = bytes[at + 1..].iter().position(|&byte| byte == 0xED);
        let end = next.map_or(bytes.len(), |next| at + 1 + next);
        match std::str::from_utf8(&bytes[at..end]) {
            Ok(text) => out.push_str(text),
            Err(_) => return false,
        }
        at = end;
    }
    true
}
