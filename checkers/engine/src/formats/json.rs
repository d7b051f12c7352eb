//! Reads JSON values (RFC 8259), strictly: what `json` and `msgspec` of Python refuse is refused.

use super::edn::{decimal, four};
use super::scan::{digits, Cursor, Halt, DEPTH_MAX};
use crate::values::{Val, Values};

#[inline]
pub fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\t' | b'\r')
}

/// A reader of values, with what it uses again and again.
#[derive(Default)]
pub struct Json {
    scratch: Vec<Val>,
    text: String,
    depth: u32,
}

impl Json {
    /// Skip white space.
    #[inline]
    pub fn space(&self, c: &mut Cursor) {
        while c.bytes.get(c.at).is_some_and(|&byte| is_space(byte)) {
            c.at += 1;
        }
    }

    /// The value here.
    pub fn value(&mut self, c: &mut Cursor, values: &mut Values) -> Result<Val, Halt> {
        self.depth += 1;
        let bottom = self.scratch.len();
        let found = if self.depth > DEPTH_MAX {
            Err(Halt::bad(
                c.at,
                "lists or objects inside each other, too deep",
            ))
        } else {
            self.form(c, values)
        };
        self.scratch.truncate(bottom);
        self.depth -= 1;
        found
    }

    fn form(&mut self, c: &mut Cursor, values: &mut Values) -> Result<Val, Halt> {
        self.space(c);
        let start = c.at;
        match c.peek()? {
            b'0'..=b'9' => match digits(c.bytes, start) {
                Some((number, end)) if !in_number(c.bytes.get(end)) => {
                    c.at = end;
                    Ok(values.int(number as i64))
                }
                _ => number(c, values),
            },
            b'-' => number(c, values),
            b'"' => Ok(match self.string(c)? {
                Some(plain) => values.string(plain),
                None => values.string(&self.text),
            }),
            b'[' => self.items(c, values, b']'),
            b'{' => self.items(c, values, b'}'),
            b't' => word(c, b"true", Val::TRUE),
            b'f' => word(c, b"false", Val::FALSE),
            b'n' => word(c, b"null", Val::NIL),
            _ => Err(Halt::bad(start, "not JSON: expected a value")),
        }
    }

    fn items(&mut self, c: &mut Cursor, values: &mut Values, close: u8) -> Result<Val, Halt> {
        let bottom = self.scratch.len();
        c.at += 1;
        self.space(c);
        let mut more = c.peek()? != close;
        c.at += usize::from(!more);
        while more {
            if close == b'}' {
                self.key(c)?;
                let key = values.string(&self.text);
                self.scratch.push(key);
            }
            let item = self.value(c, values)?;
            self.scratch.push(item);
            more = self.comma(c, close)?;
        }
        let items = self.scratch.get(bottom..).unwrap_or(&[]);
        Ok(if close == b'}' {
            values.map(items)
        } else {
            values.list(items)
        })
    }

    /// Behind an item: a comma, then true, or the bracket that closes, then false.
    pub fn comma(&mut self, c: &mut Cursor, close: u8) -> Result<bool, Halt> {
        self.space(c);
        let byte = c.peek()?;
        if byte != b',' && byte != close {
            let close = close as char;
            return Err(Halt::bad(
                c.at,
                format!("not JSON: expected ',' or '{close}'"),
            ));
        }
        c.at += 1;
        Ok(byte == b',')
    }

    /// The name of an object's field, in `text`, and the colon behind it.
    pub fn key(&mut self, c: &mut Cursor) -> Result<&str, Halt> {
        self.space(c);
        if c.peek()? != b'"' {
            return Err(Halt::bad(c.at, "not JSON: expected the name of a field"));
        }
        if let Some(plain) = self.string(c)? {
            self.text.clear();
            self.text.push_str(plain);
        }
        self.space(c);
        if c.peek()? != b':' {
            return Err(Halt::bad(c.at, "not JSON: expected ':'"));
        }
        c.at += 1;
        Ok(&self.text)
    }

    /// The string here: as it stands, or, where it has escapes, in `text`.
    fn string<'a>(&mut self, c: &mut Cursor<'a>) -> Result<Option<&'a str>, Halt> {
        self.text.clear();
        c.at += 1;
        let mut plain = true;
        loop {
            let Some(n) = memchr::memchr2(b'"', b'\\', c.rest()) else {
                return Err(c.end());
            };
            let stop = c.at + n;
            let part = c.text(c.at, stop)?;
            if let Some(control) = part.bytes().position(|byte| byte < 0x20) {
                return Err(Halt::bad(
                    c.at + control,
                    "not JSON: a control character in a string",
                ));
            }
            c.at = stop + 1;
            if c.bytes[stop] == b'"' {
                if plain {
                    return Ok(Some(part));
                }
                self.text.push_str(part);
                return Ok(None);
            }
            plain = false;
            self.text.push_str(part);
            self.escape(c)?;
        }
    }

    /// The character behind a backslash.
    fn escape(&mut self, c: &mut Cursor) -> Result<(), Halt> {
        let letter = c.peek()?;
        c.at += 1;
        self.text.push(match letter {
            b'"' | b'\\' | b'/' => letter as char,
            b'n' => '\n',
            b't' => '\t',
            b'r' => '\r',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'u' => unicode(c)?,
            _ => return Err(Halt::bad(c.at - 1, "not JSON: there is no such escape")),
        });
        Ok(())
    }
}

/// The character of XXXX behind \u; two of them where it takes two.
pub fn unicode(c: &mut Cursor) -> Result<char, Halt> {
    let start = c.at;
    let first = four(c)?;
    if let Some(plain) = char::from_u32(first) {
        return Ok(plain);
    }
    let wrong = || Halt::bad(start, "half a character: a surrogate alone");
    for wanted in [b'\\', b'u'] {
        if c.peek()? != wanted {
            return Err(wrong());
        }
        c.at += 1;
    }
    let second = four(c)?;
    if !(0xD800..0xDC00).contains(&first) || !(0xDC00..0xE000).contains(&second) {
        return Err(wrong());
    }
    char::from_u32(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)).ok_or_else(wrong)
}

/// Whether a number goes on here; so it does at the end of the block.
#[inline]
pub fn in_number(byte: Option<&u8>) -> bool {
    byte.is_none_or(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'))
}

fn word(c: &mut Cursor, text: &[u8], value: Val) -> Result<Val, Halt> {
    let found = c.rest();
    let n = text.len().min(found.len());
    if found[..n] != text[..n] {
        return Err(Halt::bad(c.at, "not JSON: expected a value"));
    }
    if n < text.len() {
        return Err(c.end());
    }
    c.at += n;
    Ok(value)
}

/// A number of any form: -? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?
fn number(c: &mut Cursor, values: &mut Values) -> Result<Val, Halt> {
    let start = c.at;
    let end = c.find(|byte| !in_number(Some(&byte)))?;
    let text = c.text(start, end)?;
    let wrong = || Halt::bad(start, "not JSON: not a number");
    let body = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match body.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (body, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let plain = all_digits(whole) && (whole.len() == 1 || !whole.starts_with('0'));
    let fraction_ok = fraction.is_none_or(all_digits);
    let exponent_ok =
        exponent.is_none_or(|part| all_digits(part.strip_prefix(['+', '-']).unwrap_or(part)));
    if !(plain && fraction_ok && exponent_ok) {
        return Err(wrong());
    }
    c.at = end;
    if fraction.is_none() && exponent.is_none() {
        return Ok(decimal(body.len() < text.len(), whole, values));
    }
    let number: f64 = text.parse().map_err(|_| wrong())?;
    if !number.is_finite() {
        return Err(Halt::bad(start, "a number that is larger than any double"));
    }
    Ok(values.float(number))
}
