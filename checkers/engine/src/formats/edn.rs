//! Reads EDN: the notation of Clojure in which Jepsen writes its histories.
//!
//! Lists and vectors are lists; symbols, characters and ratios are strings of what they look like;
//! the tag of a tagged literal is skipped, and its content counts.

use super::json::unicode;
use super::scan::{digits, Cursor, Halt, DEPTH_MAX};
use super::template::Memo;
use crate::values::{Val, Values};

const SPACE: u8 = 1;
const ENDS: u8 = 2;

/// What each byte is: white space, the end of a token.
const CLASS: [u8; 256] = {
    let mut class = [0; 256];
    let mut at = 0;
    let spaces = b" ,\n\t\r\x0b\x0c";
    while at < spaces.len() {
        class[spaces[at] as usize] = SPACE | ENDS;
        at += 1;
    }
    let ends = b"\";()[]{}";
    at = 0;
    while at < ends.len() {
        class[ends[at] as usize] = ENDS;
        at += 1;
    }
    class
};

/// White space: the comma too.
#[inline]
pub fn is_space(byte: u8) -> bool {
    CLASS[byte as usize] & SPACE != 0
}

/// A byte that ends a keyword, a symbol or a number.
#[inline]
pub fn ends_token(byte: u8) -> bool {
    CLASS[byte as usize] & ENDS != 0
}

/// A reader of values, with what it uses again and again.
#[derive(Default)]
pub struct Edn {
    scratch: Vec<Val>,
    text: String,
    depth: u32,
    /// Short keywords and the values that they became.
    keywords: Memo<Val>,
}

impl Edn {
    /// Skip white space, comments and discarded forms.
    pub fn space(&mut self, c: &mut Cursor, values: &mut Values) -> Result<(), Halt> {
        loop {
            let Some(&byte) = c.bytes.get(c.at) else {
                return if c.eof { Ok(()) } else { Err(Halt::Need) };
            };
            if is_space(byte) {
                c.at += 1;
            } else if byte == b';' {
                match memchr::memchr(b'\n', c.rest()) {
                    Some(n) => c.at += n + 1,
                    None if c.eof => c.at = c.bytes.len(),
                    None => return Err(Halt::Need),
                }
            } else if byte == b'#' {
                match c.bytes.get(c.at + 1) {
                    Some(b'_') => {
                        c.at += 2;
                        self.value(c, values)?;
                    }
                    Some(_) => return Ok(()),
                    None => return Err(c.end()),
                }
            } else {
                return Ok(());
            }
        }
    }

    /// The value here.
    pub fn value(&mut self, c: &mut Cursor, values: &mut Values) -> Result<Val, Halt> {
        self.depth += 1;
        let bottom = self.scratch.len();
        let found = if self.depth > DEPTH_MAX {
            Err(Halt::bad(c.at, "values inside each other, too deep"))
        } else {
            self.form(c, values)
        };
        self.scratch.truncate(bottom);
        self.depth -= 1;
        found
    }

    fn form(&mut self, c: &mut Cursor, values: &mut Values) -> Result<Val, Halt> {
        self.space(c, values)?;
        let start = c.at;
        if let Some(value) = self.plain(c, values) {
            return Ok(value);
        }
        match c.peek()? {
            b'[' => self.items(c, values, b']'),
            b'(' => self.items(c, values, b')'),
            b'{' => self.items(c, values, b'}'),
            b':' => self.keyword(c, values),
            b'"' => {
                self.string(c)?;
                Ok(values.string(&self.text))
            }
            b'#' => self.dispatch(c, values),
            b'\\' => self.character(c, values),
            b'^' => {
                c.at += 1;
                self.value(c, values)?;
                self.value(c, values)
            }
            b']' | b')' | b'}' => Err(Halt::bad(start, "a bracket that closes nothing")),
            0 => Err(Halt::bad(start, "a byte of value 0")),
            _ => self.atom(c, values),
        }
    }

    fn items(&mut self, c: &mut Cursor, values: &mut Values, close: u8) -> Result<Val, Halt> {
        let start = c.at;
        let bottom = self.scratch.len();
        c.at += 1;
        loop {
            match c.bytes.get(c.at) {
                Some(b' ') => c.at += 1,
                Some(&byte) if byte == close => break,
                _ => {}
            }
            let item = match self.plain(c, values) {
                Some(item) => item,
                None => {
                    self.space(c, values)?;
                    if c.peek()? == close {
                        break;
                    }
                    self.value(c, values)?
                }
            };
            self.scratch.push(item);
        }
        c.at += 1;
        let items = self.scratch.get(bottom..).unwrap_or(&[]);
        if close != b'}' {
            return Ok(values.list(items));
        }
        if items.len() % 2 != 0 {
            return Err(Halt::bad(start, "a map with a key that has no value"));
        }
        Ok(values.map(items))
    }

    fn keyword(&mut self, c: &mut Cursor, values: &mut Values) -> Result<Val, Halt> {
        let start = c.at;
        let name = keyword_name(c)?;
        let value = values.keyword(name);
        self.keywords.put(c.bytes, start, c.at, value);
        Ok(value)
    }

    /// The value here, where it is a plain number or a keyword that was seen before.
    #[inline]
    fn plain(&self, c: &mut Cursor, values: &mut Values) -> Option<Val> {
        let (value, end) = match digits(c.bytes, c.at) {
            Some((number, end)) => (values.int(number as i64), end),
            None => {
                let (value, length) = self.keywords.get(c.bytes, c.at)?;
                (value, c.at + length)
            }
        };
        if !ends_token(*c.bytes.get(end)?) {
            return None;
        }
        c.at = end;
        Some(value)
    }

    /// The string here, in `text`.
    fn string(&mut self, c: &mut Cursor) -> Result<(), Halt> {
        self.text.clear();
        c.at += 1;
        loop {
            let Some(n) = memchr::memchr2(b'"', b'\\', c.rest()) else {
                return Err(c.end());
            };
            let stop = c.at + n;
            self.text.push_str(c.text(c.at, stop)?);
            c.at = stop + 1;
            if c.bytes[stop] == b'"' {
                return Ok(());
            }
            let letter = c.peek()?;
            c.at += 1;
            let plain = match letter {
                b'n' => '\n',
                b't' => '\t',
                b'r' => '\r',
                b'b' => '\u{8}',
                b'f' => '\u{c}',
                b'"' | b'\\' | b'/' | b'\'' => letter as char,
                b'u' => unicode(c)?,
                b'0'..=b'7' => octal(c)?,
                _ => return Err(Halt::bad(stop, "there is no such escape in a string")),
            };
            self.text.push(plain);
        }
    }

    fn dispatch(&mut self, c: &mut Cursor, values: &mut Values) -> Result<Val, Halt> {
        let start = c.at;
        c.at += 1;
        match c.peek()? {
            b'{' => {
                let bottom = self.scratch.len();
                c.at += 1;
                loop {
                    self.space(c, values)?;
                    if c.peek()? == b'}' {
                        break;
                    }
                    let item = self.value(c, values)?;
                    self.scratch.push(item);
                }
                c.at += 1;
                Ok(values.set(self.scratch.get(bottom..).unwrap_or(&[])))
            }
            b'#' => {
                c.at += 1;
                let end = c.find(ends_token)?;
                let name = c.text(c.at, end)?;
                c.at = end;
                match name {
                    "NaN" => Ok(values.float(f64::NAN)),
                    "Inf" => Ok(values.float(f64::INFINITY)),
                    "-Inf" => Ok(values.float(f64::NEG_INFINITY)),
                    _ => Err(Halt::bad(start, "there is no such symbolic value")),
                }
            }
            b'"' => {
                self.string(c)?;
                Ok(values.string(&self.text))
            }
            byte if ends_token(byte) => Err(Halt::bad(start, "a tag without a name")),
            _ => {
                tag(c)?;
                self.value(c, values)
            }
        }
    }

    fn character(&mut self, c: &mut Cursor, values: &mut Values) -> Result<Val, Halt> {
        let start = c.at + 1;
        let Some(&first) = c.bytes.get(start) else {
            return Err(c.end());
        };
        // The first may be a bracket or a space itself.
        let wide = match first {
            0xC0..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xFF => 4,
            _ => 1,
        };
        if start + wide > c.bytes.len() {
            return Err(c.end());
        }
        c.at = start + wide;
        let end = c.find(ends_token)?;
        let name = c.text(start, end)?;
        c.at = end;
        let one = match name {
            "newline" => "\n",
            "space" => " ",
            "tab" => "\t",
            "return" => "\r",
            "backspace" => "\u{8}",
            "formfeed" => "\u{c}",
            _ => name,
        };
        Ok(values.string(one))
    }

    /// A number or a symbol.
    fn atom(&mut self, c: &mut Cursor, values: &mut Values) -> Result<Val, Halt> {
        let start = c.at;
        let end = c.find(ends_token)?;
        let text = c.text(start, end)?;
        if end == start {
            return Err(Halt::bad(start, "this is not EDN"));
        }
        c.at = end;
        if text.contains(|letter: char| letter.is_control()) {
            return Err(Halt::bad(start, "a control character in a symbol"));
        }
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        if unsigned.starts_with(|first: char| first.is_ascii_digit()) {
            return number(text, values).ok_or_else(|| {
                let text: String = text.chars().take(40).collect();
                Halt::bad(start, format!("{text:?} is not a number"))
            });
        }
        Ok(match text {
            "nil" => Val::NIL,
            "true" => Val::TRUE,
            "false" => Val::FALSE,
            "NaN" => values.float(f64::NAN),
            "Infinity" => values.float(f64::INFINITY),
            "-Infinity" => values.float(f64::NEG_INFINITY),
            _ => values.string(text),
        })
    }
}

/// The name of the keyword here.
pub fn keyword_name<'a>(c: &mut Cursor<'a>) -> Result<&'a str, Halt> {
    let start = c.at;
    c.at += 1;
    let end = c.find(ends_token)?;
    let name = c.text(start + 1, end)?;
    if name.is_empty() || name.contains('\0') {
        return Err(Halt::bad(start, "a keyword without a name"));
    }
    c.at = end;
    Ok(name)
}

/// Skip the tag of a tagged literal: the name that is here.
pub fn tag(c: &mut Cursor) -> Result<(), Halt> {
    let end = c.find(ends_token)?;
    c.text(c.at, end)?;
    c.at = end;
    Ok(())
}

/// The number that a token is: whole, a fraction, a ratio, with N or M behind it, octal, hexadecimal
/// or of another radix.
fn number(text: &str, values: &mut Values) -> Option<Val> {
    let (minus, body) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let whole = body.strip_suffix('N').unwrap_or(body);
    if all_digits(whole) {
        if whole.len() > 1 && whole.starts_with('0') {
            return radix(whole, 8, minus, values);
        }
        return Some(decimal(minus, whole, values));
    }
    if let Some(hex) = whole
        .strip_prefix("0x")
        .or_else(|| whole.strip_prefix("0X"))
    {
        return radix(hex, 16, minus, values);
    }
    if let Some((over, under)) = body.split_once('/') {
        return (all_digits(over) && all_digits(under)).then(|| values.string(text));
    }
    if let Some((base, rest)) = whole.split_once(['r', 'R']) {
        let base = base.parse().ok().filter(|base| (2..=36).contains(base))?;
        return radix(rest, base, minus, values);
    }
    let exact = body.strip_suffix('M');
    float(minus, exact.unwrap_or(body), exact.is_some(), values)
}

fn radix(digits: &str, base: u32, minus: bool, values: &mut Values) -> Option<Val> {
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let size = i128::from_str_radix(digits, base).ok()?;
    Some(decimal(minus, &size.to_string(), values))
}

/// A whole number by its decimal digits.
pub fn decimal(minus: bool, digits: &str, values: &mut Values) -> Val {
    let digits = digits.trim_start_matches('0');
    let digits = if digits.is_empty() { "0" } else { digits };
    let text = if minus && digits != "0" {
        format!("-{digits}")
    } else {
        digits.to_string()
    };
    match text.parse::<i64>() {
        Ok(number) => values.int(number),
        Err(_) => values.big(&text),
    }
}

/// A number with a fraction or an exponent. One that must be exact and that a double does not hold
/// is the string of its digits.
fn float(minus: bool, body: &str, exact: bool, values: &mut Values) -> Option<Val> {
    let plain =
        |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-');
    if !body.bytes().all(plain) {
        return None;
    }
    let size: f64 = body.parse().ok()?;
    if !size.is_finite() {
        return None;
    }
    let number = if minus { -size } else { size };
    if exact {
        let shown = format!("{size}");
        let short = body.trim_end_matches('0').trim_end_matches('.');
        if body.contains(['e', 'E']) || (shown != body && shown != short) {
            return Some(values.string(&format!("{}{body}", if minus { "-" } else { "" })));
        }
    }
    Some(values.float(number))
}

/// Four hexadecimal digits.
pub fn four(c: &mut Cursor) -> Result<u32, Halt> {
    let mut number = 0;
    for _ in 0..4 {
        let digit = (c.peek()? as char).to_digit(16);
        number = number * 16 + digit.ok_or_else(|| Halt::bad(c.at, "not a hexadecimal digit"))?;
        c.at += 1;
    }
    Ok(number)
}

/// The character of \o or \oo or \ooo, behind its first digit.
fn octal(c: &mut Cursor) -> Result<char, Halt> {
    let mut number = 0;
    c.at -= 1;
    for _ in 0..3 {
        match c.peek()? {
            digit @ b'0'..=b'7' => number = number * 8 + u32::from(digit - b'0'),
            _ => break,
        }
        c.at += 1;
    }
    char::from_u32(number).ok_or_else(|| Halt::bad(c.at, "not a character"))
}
