//! The structs of Fressian, of Clojure and of Jepsen: what each tag means as a value.
//!
//! A value that EDN prints as a tagged literal becomes what stands behind the tag there, so that a
//! history reads the same from both files: `#inst "..."` and `#uuid "..."` their text, a ratio and a
//! symbol theirs, a record and an `Op` a map.

use crate::error::Result;
use crate::values::Val;

use super::fressian::{Item, Reader, Struct};

/// Digits that a number may have; a longer one costs quadratic time and stands in no history.
const BIG_BYTES_MAX: usize = 1024;

#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Array {
    Int,
    Any,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Tag {
    Map,
    Set,
    /// A list, or nil for the empty one, behind the tag.
    Seq,
    /// One value behind the tag is all there is to it.
    Same,
    Pair,
    Keyword,
    Symbol,
    Ratio,
    Char,
    Record,
    Op,
    Block,
    BigInt,
    BigDec,
    Inst,
    Uuid,
    Array(Array),
    /// Its name; what it means is not known.
    Other(Val),
}

impl Tag {
    pub(super) fn of_code(code: u8) -> Option<Tag> {
        Some(match code {
            0xB0 | 0xB3 => Tag::Array(Array::Int),
            0xB1 | 0xB2 | 0xB4 | 0xB5 => Tag::Array(Array::Any),
            0xC0 => Tag::Map,
            0xC1 => Tag::Set,
            0xC3 => Tag::Uuid,
            0xC4 | 0xC5 => Tag::Same,
            0xC6 => Tag::BigInt,
            0xC7 => Tag::BigDec,
            0xC8 => Tag::Inst,
            0xC9 => Tag::Symbol,
            0xCA => Tag::Keyword,
            _ => return None,
        })
    }

    pub(super) fn of_name(name: &str) -> Option<Tag> {
        Some(match name {
            "map" => Tag::Map,
            "set" | "persistent-hash-set" | "persistent-sorted-set" => Tag::Set,
            "vec" => Tag::Seq,
            "atom" | "date-time" | "instant" | "multiset" | "throwable" | "byte" | "regex"
            | "uri" => Tag::Same,
            "map-entry" => Tag::Pair,
            "key" => Tag::Keyword,
            "sym" => Tag::Symbol,
            "ratio" => Tag::Ratio,
            "char" => Tag::Char,
            "record" => Tag::Record,
            "jepsen.history.Op" => Tag::Op,
            "block-ref" => Tag::Block,
            "bigint" => Tag::BigInt,
            "bigdec" => Tag::BigDec,
            "inst" => Tag::Inst,
            "uuid" => Tag::Uuid,
            "int[]" | "long[]" => Tag::Array(Array::Int),
            "double[]" | "boolean[]" | "float[]" | "Object[]" => Tag::Array(Array::Any),
            _ => return None,
        })
    }
}

/// Names of an `Op`'s first six fields; the seventh is a map of all others.
const OP_FIELDS: [&str; 6] = ["index", "time", "type", "process", "f", "value"];

impl Reader<'_> {
    /// The value whose struct was just named.
    pub(super) fn fields(&mut self, found: Struct) -> Result<Item> {
        let value = match found.tag {
            Tag::Map => return self.mapping(),
            Tag::Set => return self.collection(|values, items| values.set(items)),
            Tag::Seq => return self.collection(|values, items| values.list(items)),
            Tag::Array(kind) => return self.array(kind),
            Tag::Same => return self.item(),
            Tag::Block => {
                return match self.item()? {
                    Item::Int(id) => Ok(Item::Block(id)),
                    _ => Err(self.wrong("expected the number of a block")),
                }
            }
            Tag::Pair => {
                let pair = [self.value()?, self.value()?];
                self.values.list(&pair)
            }
            Tag::Keyword | Tag::Symbol => self.named(found.tag)?,
            Tag::Ratio => self.ratio()?,
            Tag::Char => self.character()?,
            Tag::Record => {
                self.value()?;
                return self.item();
            }
            Tag::Op => self.op_as_map()?,
            Tag::BigInt => {
                let digits = self.digits()?;
                self.whole_number(&digits)
            }
            Tag::BigDec => self.decimal()?,
            Tag::Inst => match self.item()? {
                Item::Int(millis) => self.instant(millis),
                _ => return Err(self.wrong("expected the milliseconds of a time")),
            },
            Tag::Uuid => self.uuid()?,
            Tag::Other(name) => self.tagged(name, found.fields)?,
        };
        Ok(Item::Val(value))
    }

    /// A map: a list of key, value, key, value ...
    fn mapping(&mut self) -> Result<Item> {
        let mut even = true;
        let map = self.collection(|values, items| {
            even = items.len() % 2 == 0;
            values.map(items)
        })?;
        if even {
            Ok(map)
        } else {
            Err(self.wrong("a map whose last key has no value"))
        }
    }

    /// A keyword or symbol: its name space, or nil, and its name.
    fn named(&mut self, tag: Tag) -> Result<Val> {
        let (space, name) = (self.value()?, self.value()?);
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        if let Some(space) = self.values.as_name(space) {
            text.push_str(space);
            text.push('/');
        }
        let known = self.values.as_name(name).map(|name| text.push_str(name));
        if known.is_none() {
            return Err(self.wrong("a name that is no string"));
        }
        let value = match tag {
            Tag::Keyword => self.values.keyword(&text),
            _ => self.values.string(&text),
        };
        self.text = text;
        Ok(value)
    }

    fn ratio(&mut self) -> Result<Val> {
        let (above, below) = (self.value()?, self.value()?);
        let text = format!("{}/{}", self.values.json(above), self.values.json(below));
        Ok(self.values.string(&text))
    }

    fn character(&mut self) -> Result<Val> {
        let item = self.item()?;
        let found = match item {
            Item::Int(code) => u32::try_from(code).ok().and_then(char::from_u32),
            _ => None,
        };
        match found {
            Some(c) => Ok(self.values.string(c.encode_utf8(&mut [0; 4]))),
            None => Err(self.wrong("expected the number of a character")),
        }
    }

    fn op_as_map(&mut self) -> Result<Val> {
        let mut flat = Vec::with_capacity(16);
        for name in OP_FIELDS {
            let value = self.value()?;
            flat.extend([self.values.keyword(name), value]);
        }
        let rest = self.value()?;
        if let crate::values::Look::Map(items) = self.values.look(rest) {
            flat.extend_from_slice(items);
        }
        Ok(self.values.map(&flat))
    }

    /// Bytes of a number in two's complement as decimal digits.
    fn digits(&mut self) -> Result<String> {
        let bytes = self.bytes()?;
        if bytes.len() > BIG_BYTES_MAX {
            let why = format!("a number of {} bytes, at most {BIG_BYTES_MAX}", bytes.len());
            return Err(self.wrong(why));
        }
        Ok(decimal_of(&bytes))
    }

    fn whole_number(&mut self, digits: &str) -> Val {
        match digits.parse() {
            Ok(number) => self.values.int(number),
            Err(_) => self.values.big(digits),
        }
    }

    /// A decimal number: what it would be without its point, and how many digits stand behind it.
    fn decimal(&mut self) -> Result<Val> {
        let digits = self.digits()?;
        let scale = match self.item()? {
            Item::Int(scale) => scale,
            _ => return Err(self.wrong("expected the scale of a decimal number")),
        };
        match format!("{digits}e{}", scale.saturating_neg()).parse() {
            Ok(number) => Ok(self.values.float(number)),
            Err(_) => Err(self.wrong(format!("a decimal number with scale {scale}"))),
        }
    }

    fn instant(&mut self, millis: i64) -> Val {
        let days = millis.div_euclid(86_400_000);
        let of_day = millis.rem_euclid(86_400_000);
        // Years of more than four digits are nobody's clock; the number says more then.
        let Some((year, month, day)) =
            date_of(days).filter(|&(year, ..)| (0..=9999).contains(&year))
        else {
            return self.values.int(millis);
        };
        let seconds = of_day / 1000;
        let text = format!(
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}-00:00",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60,
            of_day % 1000
        );
        self.values.string(&text)
    }

    fn uuid(&mut self) -> Result<Val> {
        use std::fmt::Write;
        let bytes = self.bytes()?;
        if bytes.len() != 16 {
            return Err(self.wrong(format!("a UUID of {} bytes", bytes.len())));
        }
        let mut text = String::with_capacity(36);
        for (i, byte) in bytes.iter().enumerate() {
            if matches!(i, 4 | 6 | 8 | 10) {
                text.push('-');
            }
            let _ = write!(text, "{byte:02x}");
        }
        Ok(self.values.string(&text))
    }

    /// A struct that nobody told us of: a list of its name and its fields.
    fn tagged(&mut self, name: Val, fields: u32) -> Result<Val> {
        let mut list = vec![name];
        self.each(Some(fields as usize), |reader| {
            list.push(reader.value()?);
            Ok(())
        })?;
        Ok(self.values.list(&list))
    }
}

/// A number in two's complement, most significant byte first, in decimal.
fn decimal_of(bytes: &[u8]) -> String {
    let negative = bytes.first().is_some_and(|&byte| byte >= 0x80);
    let mut magnitude = bytes.to_vec();
    if negative {
        // Its complement plus one.
        let mut carry = true;
        for byte in magnitude.iter_mut().rev() {
            let (sum, over) = (!*byte).overflowing_add(u8::from(carry));
            *byte = sum;
            carry = over;
        }
    }
    // Nine digits at a time, the lowest first.
    let mut parts: Vec<u32> = Vec::new();
    while magnitude.iter().any(|&byte| byte != 0) {
        let mut rest = 0u64;
        for byte in &mut magnitude {
            let number = rest << 8 | u64::from(*byte);
            *byte = (number / 1_000_000_000) as u8;
            rest = number % 1_000_000_000;
        }
        parts.push(rest as u32);
    }
    let mut text = String::from(if negative { "-" } else { "" });
    match parts.pop() {
        None => text.push('0'),
        Some(first) => text.push_str(&first.to_string()),
    }
    for part in parts.iter().rev() {
        text.push_str(&format!("{part:09}"));
    }
    text
}

/// Year, month and day of a day since 1970-01-01, in the Gregorian calendar (H. Hinnant, "chrono-
/// compatible low-level date algorithms": eras of 400 years that begin in March).
fn date_of(days: i64) -> Option<(i64, i64, i64)> {
    let z = days.checked_add(719_468)?;
    let era = z.div_euclid(146_097);
    let of_era = z.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    Some((year + era * 400 + i64::from(month <= 2), month, day))
}
