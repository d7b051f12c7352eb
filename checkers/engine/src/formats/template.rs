//! The fast path: a record is read by the shape of an earlier one.
//!
//! Programs write their records alike: the same keys in the same order, and only the values differ.
//! The general reader says where the values of a record stood; what stands between them is a
//! template. A record that has the same bytes in between is read value by value. One that differs
//! anywhere, or whose values are not of the plainest kind, goes to the general reader, which is the
//! only one that decides what is an error.
//!
//! Why both read the same: the bytes between two values are those of the earlier record, they begin
//! with a byte that ends every token and end with one that begins none, so the general reader would
//! have stopped at the same places; a value that it would have read on behind such a place, as in
//! `12N` after `12`, does not have the template's bytes behind it.

use super::fields::{Field, Fields, Who};
use super::pair::{Sink, Type, NO_NAME, PROCESS_END};
use super::scan::{digits, Cursor, Scan};
use crate::history::History;
use crate::planted;
use crate::values::{Val, Values};

/// Templates that are kept at once.
const KEPT: usize = 4;
/// A record with more bytes around its values has no template.
const LITERALS_MAX: usize = 48;
const SLOTS: usize = 16;

/// The notation that a template is of.
pub trait Syntax {
    /// The value here.
    fn value(&mut self, c: &mut Cursor, values: &mut Values) -> Scan<Val>;

    /// A byte that can stand behind a value and before the next key.
    fn after_value(byte: u8) -> bool;

    /// A byte that can stand before a value, and is no part of a token.
    fn before_value(byte: u8) -> bool;

    /// The text of each type, in the order of `Type`.
    fn types() -> &'static [Literal; 4];
}

/// At most 16 bytes, to be compared at once.
#[derive(Clone, Copy, Default)]
pub struct Literal {
    word: u128,
    mask: u128,
    len: usize,
}

impl Literal {
    pub const fn new(bytes: &[u8]) -> Literal {
        let mut word = 0;
        let mut mask = 0;
        let mut at = 0;
        while at < bytes.len() && at < 16 {
            word |= (bytes[at] as u128) << (8 * at);
            mask |= 0xFF << (8 * at);
            at += 1;
        }
        Literal {
            word,
            mask,
            len: at,
        }
    }

    /// Whether it stands at an offset; `None` near the end of the block.
    #[inline(always)]
    fn stands(&self, bytes: &[u8], at: usize) -> Option<bool> {
        if self.len > 8 {
            return sixteen(bytes, at).map(|word| self.is(word));
        }
        let chunk = bytes.get(at..)?.first_chunk::<8>()?;
        let word = u64::from_le_bytes(*chunk);
        Some(word & self.mask as u64 == self.word as u64)
    }

    #[inline(always)]
    fn is(&self, word: u128) -> bool {
        word & self.mask == self.word
    }
}

/// The 16 bytes at an offset; `None` near the end of the block.
#[inline(always)]
fn sixteen(bytes: &[u8], at: usize) -> Option<u128> {
    let chunk = bytes.get(at..)?.first_chunk::<16>()?;
    Some(u128::from_le_bytes(*chunk))
}

/// Short texts and what they stand for.
pub struct Memo<T> {
    slots: [(Literal, Option<T>); SLOTS],
}

impl<T: Copy> Default for Memo<T> {
    fn default() -> Self {
        Memo {
            slots: [(Literal::default(), None); SLOTS],
        }
    }
}

impl<T: Copy> Memo<T> {
    #[inline(always)]
    fn slot(word: u128) -> usize {
        ((word as u32).wrapping_mul(0x9E37_79B1) >> 28) as usize
    }

    /// What the text here stands for, and its length.
    #[inline(always)]
    pub fn get(&self, bytes: &[u8], at: usize) -> Option<(T, usize)> {
        let word = sixteen(bytes, at)?;
        let (literal, found) = &self.slots[Self::slot(word)];
        match *found {
            Some(found) if planted!("template-memo", literal.is(word), true) => {
                Some((found, literal.len))
            }
            _ => None,
        }
    }

    /// Keep the text between two offsets, where it is short.
    pub fn put(&mut self, bytes: &[u8], from: usize, to: usize, what: T) {
        let text = bytes.get(from..to).unwrap_or(&[]);
        if (1..=16).contains(&text.len()) {
            if let Some(word) = sixteen(bytes, from) {
                self.slots[Self::slot(word)] = (Literal::new(text), Some(what));
            }
        }
    }
}

/// What comes next in a record: some bytes, and behind them a value or more bytes.
#[derive(Clone, Copy)]
struct Part {
    literal: Literal,
    field: Option<Field>,
}

/// Where the values of a record stand: field, begin, end.
pub type Spans = Vec<(Field, usize, usize)>;

/// The templates of a file.
#[derive(Default)]
pub struct Templates {
    kept: Vec<Vec<Part>>,
    /// The one that fitted last.
    last: usize,
    next: usize,
    names: Memo<u16>,
    values: Memo<Val>,
}

impl Templates {
    /// Read the record that begins here by a template, and put the cursor behind it. False where
    /// none fits: the cursor stays, and the general reader has to read it.
    #[inline]
    pub fn read<X: Syntax, S: Sink>(
        &mut self,
        syntax: &mut X,
        c: &mut Cursor,
        base: u64,
        sink: &mut S,
    ) -> Scan<bool> {
        let start = c.at;
        let last = self.last;
        if self.try_one(last, syntax, c, base, sink)? {
            return Ok(true);
        }
        for which in 0..self.kept.len() {
            if which != last && self.try_one(which, syntax, c, base, sink)? {
                self.last = which;
                return Ok(true);
            }
        }
        c.at = start;
        Ok(false)
    }

    #[inline(always)]
    fn try_one<X: Syntax, S: Sink>(
        &mut self,
        which: usize,
        syntax: &mut X,
        c: &mut Cursor,
        base: u64,
        sink: &mut S,
    ) -> Scan<bool> {
        let start = c.at;
        let mut fields = Fields::new(base + start as u64);
        if self
            .fits(which, syntax, c, &mut fields, sink.history())
            .is_some()
        {
            return fields.send(start, sink).map(|()| true);
        }
        c.at = start;
        Ok(false)
    }

    #[inline]
    fn fits<X: Syntax>(
        &mut self,
        which: usize,
        syntax: &mut X,
        c: &mut Cursor,
        fields: &mut Fields,
        history: &mut History,
    ) -> Option<()> {
        let Templates {
            kept,
            names,
            values,
            ..
        } = self;
        let types = X::types();
        let bytes = c.bytes;
        for part in kept.get(which)? {
            let mut at = c.at;
            if !part.literal.stands(bytes, at)? {
                return None;
            }
            at += part.literal.len;
            c.at = at;
            let Some(field) = part.field else {
                continue;
            };
            match field {
                Field::Time => {
                    let (number, end) = digits(bytes, at)?;
                    fields.event.time = number as i64;
                    c.at = end;
                }
                Field::Index => {
                    let (number, end) = digits(bytes, at)?;
                    fields.event.index = number as i64;
                    c.at = end;
                }
                Field::Process => {
                    let (number, end) = digits(bytes, at)?;
                    if number >= u64::from(PROCESS_END) {
                        return None;
                    }
                    fields.who = Who::Number(number as u32);
                    c.at = end;
                }
                Field::Type => {
                    let word = sixteen(bytes, at)?;
                    let kind = guess_type(word);
                    let literal = &types[kind as usize];
                    if !literal.is(word) {
                        return None;
                    }
                    fields.kind = Some(kind);
                    c.at = at + literal.len;
                }
                Field::F => {
                    let (f, len) = names.get(bytes, at)?;
                    fields.event.f = f;
                    c.at = at + len;
                }
                Field::Value => {
                    fields.event.value = plain_value(values, syntax, c, field, history)?;
                }
                _ => {
                    let value = plain_value(values, syntax, c, field, history)?;
                    fields.set(field, value, at, history).ok()?;
                }
            }
        }
        Some(())
    }

    /// Learn from a record that the general reader has read, from its first byte to the one behind
    /// its last.
    #[cold]
    pub fn learn<X: Syntax>(&mut self, bytes: &[u8], from: usize, to: usize, read: &Read<'_>) {
        // Of a field that stands there twice the last one counts: nothing is learned of either.
        let mut seen = 0u16;
        for (field, ..) in read.spans {
            let bit = 1 << *field as u16;
            if *field != Field::Other && seen & bit != 0 {
                return;
            }
            seen |= bit;
        }
        for (field, begin, end) in read.spans {
            if *field == Field::F && read.f != NO_NAME {
                self.names.put(bytes, *begin, *end, read.f);
            }
        }
        if let Some(parts) = parts::<X>(bytes, from, to, read.spans) {
            if self.kept.len() < KEPT {
                self.kept.push(parts);
            } else {
                self.kept[self.next % KEPT] = parts;
                self.next += 1;
            }
        }
    }
}

/// What the general reader found.
pub struct Read<'a> {
    pub spans: &'a Spans,
    pub f: u16,
}

/// The type that a word can only be, if it is one: by its third and fourth bytes.
#[inline(always)]
fn guess_type(word: u128) -> Type {
    let (third, fourth) = ((word >> 16) as u8, (word >> 24) as u8);
    match third {
        b'k' => Type::Ok,
        b'a' => Type::Fail,
        _ if fourth == b'v' => Type::Invoke,
        _ => Type::Info,
    }
}

/// A value of any kind.
#[inline(always)]
fn plain_value<X: Syntax>(
    memo: &mut Memo<Val>,
    syntax: &mut X,
    c: &mut Cursor,
    field: Field,
    history: &mut History,
) -> Option<Val> {
    let at = c.at;
    if let Some((number, end)) = digits(c.bytes, at) {
        c.at = end;
        // A number that nobody asks for needs no place.
        return Some(match field {
            Field::Other => Val::NIL,
            _ => history.values.int(number as i64),
        });
    }
    if let Some((value, len)) = memo.get(c.bytes, at) {
        c.at += len;
        return Some(value);
    }
    let value = syntax.value(c, &mut history.values).ok()?;
    memo.put(c.bytes, at, c.at, value);
    Some(value)
}

/// The template of a record, where it can have one.
fn parts<X: Syntax>(bytes: &[u8], from: usize, to: usize, spans: &Spans) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    let mut at = from;
    for &(field, begin, end) in spans {
        // What kind of line it is must not change.
        if field == Field::Ev {
            continue;
        }
        let literal = bytes.get(at..begin)?;
        let ends_well = literal.last().is_some_and(|&byte| X::before_value(byte));
        let begins_well = at == from || literal.first().is_some_and(|&byte| X::after_value(byte));
        if !ends_well || !begins_well {
            return None;
        }
        push(&mut parts, literal, Some(field));
        at = end;
    }
    let literal = bytes.get(at..to)?;
    if !literal.first().is_some_and(|&byte| X::after_value(byte)) {
        return None;
    }
    push(&mut parts, literal, None);
    (parts.len() <= LITERALS_MAX).then_some(parts)
}

fn push(parts: &mut Vec<Part>, literal: &[u8], field: Option<Field>) {
    let chunks = literal.len().div_ceil(16);
    for (n, chunk) in literal.chunks(16).enumerate() {
        parts.push(Part {
            literal: Literal::new(chunk),
            field: field.filter(|_| n + 1 == chunks),
        });
    }
}
