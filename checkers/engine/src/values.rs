//! Values of operations as 32-bit numbers: equal number means equal value.
//!
//! Whole numbers from 0 below 2^31 - 1 are their own number and take no memory; everything else is
//! interned once in an arena. A list, set or map is a slice of such numbers, so that a million
//! distinct values cost no object each.

use std::hash::{BuildHasher, Hash, Hasher};

use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;

const TABLE: u32 = 1 << 31;

/// A value: a small whole number, or an entry of the history's `Values`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Val(pub u32);

impl Val {
    /// JSON null, EDN nil.
    pub const NIL: Val = Val(TABLE);
    pub const TRUE: Val = Val(TABLE | 1);
    pub const FALSE: Val = Val(TABLE | 2);
    /// There is no such value: a field that was not given.
    pub const NONE: Val = Val(u32::MAX);
    /// The first number that does not fit into a `Val` itself.
    pub const SMALL_END: u32 = TABLE - 1;

    /// The whole number that this is, where it is a small one.
    #[inline]
    pub fn small(self) -> Option<u32> {
        (self.0 < Self::SMALL_END).then_some(self.0)
    }

    #[inline]
    pub fn is_nil(self) -> bool {
        self == Self::NIL
    }

    #[inline]
    pub fn is_none(self) -> bool {
        self == Self::NONE
    }

    #[inline]
    fn entry(self) -> usize {
        (self.0 & !TABLE) as usize
    }
}

/// What kind of value an entry is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Kind {
    Nil,
    Bool,
    /// A whole number of 64 bits that is no small one.
    Int,
    /// A whole number beyond 64 bits: its decimal text.
    Big,
    /// A floating-point number that is not whole: its bits.
    Float,
    Str,
    /// An EDN keyword: its name without the colon. Not equal to the string of that name.
    Keyword,
    List,
    /// Elements in order of their number, each once.
    Set,
    /// key, value, key, value ... in order of the keys' numbers.
    Map,
}

#[derive(Clone, Copy)]
struct Entry {
    kind: Kind,
    start: u32,
    len: u32,
}

/// A value as it can be looked at.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Look<'a> {
    /// `Val::NONE`.
    None,
    Nil,
    Bool(bool),
    Int(i64),
    Big(&'a str),
    Float(f64),
    Str(&'a str),
    Keyword(&'a str),
    List(&'a [Val]),
    Set(&'a [Val]),
    /// key, value, key, value ...
    Map(&'a [Val]),
}

/// The arena of a history's values.
pub struct Values {
    entries: Vec<Entry>,
    bytes: Vec<u8>,
    items: Vec<Val>,
    /// Hash and number of each entry that has content.
    found: HashTable<(u32, u32)>,
}

impl Default for Values {
    fn default() -> Self {
        let entry = |kind, start, len| Entry { kind, start, len };
        Values {
            entries: vec![
                entry(Kind::Nil, 0, 0),
                entry(Kind::Bool, 1, 0),
                entry(Kind::Bool, 0, 0),
            ],
            bytes: Vec::new(),
            items: Vec::new(),
            found: HashTable::new(),
        }
    }
}

/// The hash that an entry keeps.
fn hash_of(kind: Kind, bytes: &[u8]) -> u32 {
    let mut hasher = FxBuildHasher.build_hasher();
    kind.hash(&mut hasher);
    hasher.write(bytes);
    hasher.finish() as u32
}

fn hash_of_items(kind: Kind, items: &[Val]) -> u32 {
    let mut hasher = FxBuildHasher.build_hasher();
    for pair in items.chunks(2) {
        let second = pair.get(1).map_or(0, |value| u64::from(value.0));
        hasher.write_u64(u64::from(pair[0].0) | second << 32);
    }
    hasher.write_usize(items.len());
    kind.hash(&mut hasher);
    hasher.finish() as u32
}

/// The hash as the table wants it: all its bits count.
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

impl Values {
    /// Number of entries; small whole numbers have none.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        false
    }

    /// It is so near to what 32 bits can number that nothing more should be put in: a reader asks
    /// before each block, and no block adds more than the rest.
    pub fn is_full(&self) -> bool {
        const ROOM: usize = 1 << 28;
        let most = self.bytes.len().max(self.items.len());
        most > u32::MAX as usize - ROOM || self.entries.len() > TABLE as usize - ROOM
    }

    /// A whole number.
    #[inline]
    pub fn int(&mut self, number: i64) -> Val {
        if (0..i64::from(Val::SMALL_END)).contains(&number) {
            return Val(number as u32);
        }
        self.scalar(Kind::Int, &number.to_le_bytes())
    }

    pub fn boolean(&self, yes: bool) -> Val {
        if yes {
            Val::TRUE
        } else {
            Val::FALSE
        }
    }

    /// A number with a fraction; a whole one below 2^53 is the whole number, as in JSON.
    pub fn float(&mut self, number: f64) -> Val {
        if number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0 {
            return self.int(number as i64);
        }
        self.scalar(Kind::Float, &number.to_bits().to_le_bytes())
    }

    /// A whole number beyond 64 bits, by its decimal text.
    pub fn big(&mut self, text: &str) -> Val {
        self.scalar(Kind::Big, text.as_bytes())
    }

    pub fn string(&mut self, text: &str) -> Val {
        self.scalar(Kind::Str, text.as_bytes())
    }

    pub fn keyword(&mut self, name: &str) -> Val {
        self.scalar(Kind::Keyword, name.as_bytes())
    }

    pub fn list(&mut self, items: &[Val]) -> Val {
        self.compound(Kind::List, items)
    }

    /// A set; the order and repetition of `items` do not matter.
    pub fn set(&mut self, items: &[Val]) -> Val {
        let mut sorted = items.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        self.compound(Kind::Set, &sorted)
    }

    /// A map from `items` = key, value, key, value ...; the last of equal keys counts.
    pub fn map(&mut self, items: &[Val]) -> Val {
        let mut pairs: Vec<(Val, Val)> = Vec::with_capacity(items.len() / 2);
        for pair in items.chunks_exact(2) {
            match pairs.iter_mut().find(|(key, _)| *key == pair[0]) {
                Some(slot) if items.len() <= 64 => slot.1 = pair[1],
                _ => pairs.push((pair[0], pair[1])),
            }
        }
        pairs.sort_by_key(|(key, _)| *key);
        let mut flat: Vec<Val> = Vec::with_capacity(items.len());
        for (key, value) in pairs {
            let last = flat.len();
            if last >= 2 && flat[last - 2] == key {
                flat[last - 1] = value;
            } else {
                flat.extend([key, value]);
            }
        }
        self.compound(Kind::Map, &flat)
    }

    /// The number of a value that is there already, `None` for one that never occurred.
    pub fn find_string(&self, text: &str) -> Option<Val> {
        let hash = hash_of(Kind::Str, text.as_bytes());
        self.find_scalar(hash, Kind::Str, text.as_bytes())
    }

    /// The number of a whole number that is there already, `None` for one that never occurred.
    pub fn find_int(&self, number: i64) -> Option<Val> {
        if (0..i64::from(Val::SMALL_END)).contains(&number) {
            return Some(Val(number as u32));
        }
        let bytes = number.to_le_bytes();
        self.find_scalar(hash_of(Kind::Int, &bytes[..]), Kind::Int, &bytes)
    }

    /// The number is one of a value here, or of none.
    pub fn has(&self, value: Val) -> bool {
        value.small().is_some() || value.is_none() || value.entry() < self.entries.len()
    }

    /// Look at a value.
    pub fn look(&self, value: Val) -> Look<'_> {
        if let Some(number) = value.small() {
            return Look::Int(i64::from(number));
        }
        if value.is_none() {
            return Look::None;
        }
        let entry = self.entries[value.entry()];
        match entry.kind {
            Kind::Nil => Look::Nil,
            Kind::Bool => Look::Bool(entry.start == 1),
            Kind::Int => Look::Int(i64::from_le_bytes(self.eight(entry))),
            Kind::Float => Look::Float(f64::from_bits(u64::from_le_bytes(self.eight(entry)))),
            Kind::Big => Look::Big(self.text(entry)),
            Kind::Str => Look::Str(self.text(entry)),
            Kind::Keyword => Look::Keyword(self.text(entry)),
            Kind::List => Look::List(self.slice(entry)),
            Kind::Set => Look::Set(self.slice(entry)),
            Kind::Map => Look::Map(self.slice(entry)),
        }
    }

    /// The elements of a list.
    #[inline]
    pub fn as_list(&self, value: Val) -> Option<&[Val]> {
        match self.look(value) {
            Look::List(items) => Some(items),
            _ => None,
        }
    }

    /// The elements of a list or a set.
    pub fn as_items(&self, value: Val) -> Option<&[Val]> {
        match self.look(value) {
            Look::List(items) | Look::Set(items) => Some(items),
            _ => None,
        }
    }

    pub fn as_int(&self, value: Val) -> Option<i64> {
        match self.look(value) {
            Look::Int(number) => Some(number),
            _ => None,
        }
    }

    /// The text of a string or the name of a keyword.
    pub fn as_name(&self, value: Val) -> Option<&str> {
        match self.look(value) {
            Look::Str(text) | Look::Keyword(text) => Some(text),
            _ => None,
        }
    }

    fn eight(&self, entry: Entry) -> [u8; 8] {
        let start = entry.start as usize;
        let mut out = [0; 8];
        out.copy_from_slice(&self.bytes[start..start + 8]);
        out
    }

    fn text(&self, entry: Entry) -> &str {
        // Only whole strings are put in, so this never fails.
        std::str::from_utf8(self.raw(entry)).unwrap_or("")
    }

    fn raw(&self, entry: Entry) -> &[u8] {
        &self.bytes[entry.start as usize..(entry.start + entry.len) as usize]
    }

    fn slice(&self, entry: Entry) -> &[Val] {
        &self.items[entry.start as usize..(entry.start + entry.len) as usize]
    }

    fn find_scalar(&self, hash: u32, kind: Kind, bytes: &[u8]) -> Option<Val> {
        self.found
            .find(spread(hash), |&(other, at)| {
                let entry = self.entries[at as usize];
                other == hash && entry.kind == kind && self.raw(entry) == bytes
            })
            .map(|&(_, at)| Val(at | TABLE))
    }

    fn scalar(&mut self, kind: Kind, bytes: &[u8]) -> Val {
        let hash = hash_of(kind, bytes);
        if let Some(found) = self.find_scalar(hash, kind, bytes) {
            return found;
        }
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(bytes);
        self.push(
            hash,
            Entry {
                kind,
                start,
                len: bytes.len() as u32,
            },
        )
    }

    fn compound(&mut self, kind: Kind, items: &[Val]) -> Val {
        let hash = hash_of_items(kind, items);
        let entries = &self.entries;
        let arena = &self.items;
        let found = self.found.find(spread(hash), |&(other, at)| {
            let entry = entries[at as usize];
            other == hash
                && entry.kind == kind
                && entry.len as usize == items.len()
                && arena[entry.start as usize..(entry.start + entry.len) as usize] == *items
        });
        if let Some(&(_, at)) = found {
            return Val(at | TABLE);
        }
        let start = self.items.len() as u32;
        self.items.extend_from_slice(items);
        self.push(
            hash,
            Entry {
                kind,
                start,
                len: items.len() as u32,
            },
        )
    }

    fn push(&mut self, hash: u32, entry: Entry) -> Val {
        let at = self.entries.len() as u32;
        self.entries.push(entry);
        self.found
            .insert_unique(spread(hash), (hash, at), |&(hash, _)| spread(hash));
        Val(at | TABLE)
    }

    /// The value as JSON. Keywords become strings, sets become lists, keys of maps become strings.
    pub fn write_json(&self, value: Val, out: &mut String) {
        use std::fmt::Write;
        match self.look(value) {
            Look::None | Look::Nil => out.push_str("null"),
            Look::Bool(yes) => out.push_str(if yes { "true" } else { "false" }),
            Look::Int(number) => {
                let _ = write!(out, "{number}");
            }
            Look::Big(text) => out.push_str(text),
            Look::Float(number) if number.is_finite() => {
                let _ = write!(out, "{number:?}");
            }
            Look::Float(number) => {
                let _ = write!(out, "\"{number}\"");
            }
            Look::Str(text) | Look::Keyword(text) => json_string(text, out),
            Look::List(items) | Look::Set(items) => {
                out.push('[');
                for (i, &item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    self.write_json(item, out);
                }
                out.push(']');
            }
            Look::Map(items) => {
                out.push('{');
                for (i, pair) in items.chunks_exact(2).enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    match self.as_name(pair[0]) {
                        Some(name) => json_string(name, out),
                        None => json_string(&self.json(pair[0]), out),
                    }
                    out.push(':');
                    self.write_json(pair[1], out);
                }
                out.push('}');
            }
        }
    }

    /// The value as JSON text.
    pub fn json(&self, value: Val) -> String {
        let mut out = String::new();
        self.write_json(value, &mut out);
        out
    }
}

/// Text as a JSON string.
pub fn json_string(text: &str, out: &mut String) {
    use std::fmt::Write;
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if (c as u32) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_have_equal_numbers_and_others_not() {
        let mut v = Values::default();
        assert_eq!(v.int(7), Val(7));
        let (a, b) = (v.int(-1), v.int(-1));
        assert_eq!(a, b);
        assert_eq!(v.look(a), Look::Int(-1));
        assert_ne!(v.string("7"), v.int(7));
        assert_ne!(v.keyword("x"), v.string("x"));
        assert_eq!(v.float(3.0), Val(3));
        let (one, two) = (v.int(1), v.int(2));
        assert_ne!(v.list(&[one, two]), v.list(&[two, one]));
        assert_eq!(v.set(&[one, two]), v.set(&[two, one, two]));
        assert_eq!(v.map(&[one, two, two, one]), v.map(&[two, one, one, two]));
        assert_eq!(v.map(&[one, one, one, two]), v.map(&[one, two]));
    }

    #[test]
    fn json_of_every_kind() {
        let mut v = Values::default();
        let name = v.keyword("a\"b");
        let half = v.float(0.5);
        let inner = v.list(&[Val::NIL, Val::TRUE, half]);
        let map = v.map(&[name, inner]);
        assert_eq!(v.json(map), r#"{"a\"b":[null,true,0.5]}"#);
    }
}
