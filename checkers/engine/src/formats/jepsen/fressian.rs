//! Fressian, the binary form in which Jepsen stores values, read into a history's `Values`.
//!
//! A code byte says what follows. Small things have their number or length in the code; a value can
//! be put into the *priority cache* and be named by its place there; a struct names its tag and
//! number of fields once and is named by its place in the *struct cache* afterwards. Both caches
//! last until RESET_CACHES or a footer. A place is taken before the value behind it is read, so
//! that a value inside a cached value has the higher number.
//!
//! Text is CESU-8: a character beyond 16 bits is two surrogates of three bytes each.
//!
//! What is read is not trusted. Counts are held against the bytes that are left, so that nothing is
//! allocated that the input could not fill; nesting is bounded; and since the cache can name a
//! large value many times (a list of two names of a list of two names ...), the number of values
//! that a value would unfold to is bounded too.

use crate::budget::Meter;
use crate::error::{Error, Result};
use crate::planted;
use crate::values::{Val, Values};

use super::tags::{Array, Tag};

/// Values inside each other. Histories have less than twenty; the stack has room for many more.
const DEPTH_MAX: u32 = 200;
/// Values that one value may unfold to, where the same one is named again and again.
const WEIGHT_MAX: u64 = 1 << 22;

/// What was read: a whole number that is not interned unless somebody wants it as a value, a
/// reference to another block of the file, or a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Item {
    Val(Val),
    Int(i64),
    Block(i64),
}

/// A struct's tag and number of fields.
#[derive(Clone, Copy)]
pub(super) struct Struct {
    pub tag: Tag,
    pub fields: u32,
}

/// What stands next, looked at as far as its kind.
pub(super) enum Head {
    Struct(Struct),
    /// A list of so many values, or one that ends with a mark.
    List(Option<usize>),
    /// Read to its end.
    Whole(Item),
}

pub struct Reader<'a> {
    pub(super) data: &'a [u8],
    pub(super) pos: usize,
    /// Place of `data` in the file, for messages.
    pub(super) base: u64,
    pub values: Values,
    meter: &'a mut Meter,
    /// `None` while the value is still being read.
    priority: Vec<Option<(Item, u64)>>,
    structs: Vec<Struct>,
    depth: u32,
    weight: u64,
    /// Where the bytes that the next footer speaks of begin.
    pub(super) footed: usize,
    /// Elements of the lists that are being read.
    stack: Vec<Val>,
    pub(super) text: String,
}

impl<'a> Reader<'a> {
    /// Read `data`, which stands at byte `base` of its file. The values are the reader's until
    /// whoever lent them takes them back.
    pub fn new(data: &'a [u8], base: u64, values: Values, meter: &'a mut Meter) -> Reader<'a> {
        Reader {
            data,
            pos: 0,
            base,
            values,
            meter,
            priority: Vec::new(),
            structs: Vec::new(),
            depth: 0,
            weight: 0,
            footed: 0,
            stack: Vec::new(),
            text: String::new(),
        }
    }

    /// Byte of the file at which the reader stands.
    pub fn place(&self) -> u64 {
        self.base + self.pos as u64
    }

    pub(super) fn wrong(&self, why: impl Into<String>) -> Error {
        Error::at_byte(self.place(), why)
    }

    /// Nothing is left but footers.
    pub fn at_end(&mut self) -> Result<bool> {
        while self.data.get(self.pos) == Some(&0xCF) {
            self.pos += 1;
            self.footer()?;
        }
        Ok(self.pos >= self.data.len())
    }

    /// Begin a value of its own: what it may unfold to is counted from here.
    pub(super) fn begin(&mut self) -> Result<()> {
        self.weight = 0;
        Ok(self.meter.tick()?)
    }

    /// The next value.
    pub fn value(&mut self) -> Result<Val> {
        let item = self.item()?;
        Ok(self.interned(item))
    }

    pub(super) fn interned(&mut self, item: Item) -> Val {
        match item {
            Item::Val(value) => value,
            Item::Int(number) | Item::Block(number) => self.values.int(number),
        }
    }

    /// The next value; a whole number is not interned.
    pub fn item(&mut self) -> Result<Item> {
        match self.head()? {
            Head::Whole(item) => Ok(item),
            Head::Struct(found) => self.nested(|reader| reader.fields(found)),
            Head::List(count) => self.nested(|reader| reader.list(count)),
        }
    }

    fn nested(&mut self, read: impl FnOnce(&mut Self) -> Result<Item>) -> Result<Item> {
        if self.depth >= DEPTH_MAX {
            return Err(self.wrong(format!("more than {DEPTH_MAX} values inside each other")));
        }
        self.depth += 1;
        let item = read(self);
        self.depth -= 1;
        item
    }

    fn heavier(&mut self, more: u64) -> Result<()> {
        self.weight = self.weight.saturating_add(more);
        if self.weight > WEIGHT_MAX {
            return Err(self.wrong(format!("a value of more than {WEIGHT_MAX} values")));
        }
        Ok(())
    }

    /// The next code and, for what has no parts that a caller may want one by one, its value.
    pub(super) fn head(&mut self) -> Result<Head> {
        loop {
            let code = self.byte()?;
            self.heavier(1)?;
            if let Some(number) = self.int(code)? {
                return Ok(Head::Whole(Item::Int(number)));
            }
            let item = match code {
                0x80..=0x9F => self.cached(i64::from(code) - 0x80)?,
                0xCC => {
                    let at = self.count_any()?;
                    self.cached(at)?
                }
                0xCD => self.put()?,
                0xCF => {
                    self.footer()?;
                    continue;
                }
                0xFE => {
                    self.reset();
                    continue;
                }
                0xA0..=0xAF => return self.known_struct(i64::from(code) - 0xA0),
                0xF0 => {
                    let at = self.count_any()?;
                    return self.known_struct(at);
                }
                0xEF => return self.new_struct(),
                0xE4..=0xEB => return Ok(Head::List(Some(code as usize - 0xE4))),
                0xEC => return Ok(Head::List(Some(self.count()?))),
                0xED | 0xEE => return Ok(Head::List(None)),
                0xB0..=0xB5 | 0xC0..=0xCA => match Tag::of_code(code) {
                    Some(tag) => return Ok(Head::Struct(Struct { tag, fields: 1 })),
                    None => return Err(self.unknown(code)),
                },
                _ => self.plain(code)?,
            };
            return Ok(Head::Whole(item));
        }
    }

    fn unknown(&self, code: u8) -> Error {
        let at = self.place().saturating_sub(1);
        Error::at_byte(at, format!("no Fressian value begins with {code:#04x}"))
    }

    /// Strings, bytes, numbers with a fraction, and the three constants.
    fn plain(&mut self, code: u8) -> Result<Item> {
        let value = match code {
            0xD0..=0xD9 => {
                let bytes = self.bytes_of(code)?;
                self.text.clear();
                for byte in bytes {
                    use std::fmt::Write;
                    let _ = write!(self.text, "{byte:02x}");
                }
                self.values.string(&self.text)
            }
            0xDA..=0xE3 => {
                self.string_of(code)?;
                self.values.string(&self.text)
            }
            0xF5 => Val::TRUE,
            0xF6 => Val::FALSE,
            0xF7 => Val::NIL,
            0xF9 => {
                let bits = self.raw(4)? as u32;
                self.values.float(f64::from(f32::from_bits(bits)))
            }
            0xFA => {
                let bits = self.raw(8)?;
                self.values.float(f64::from_bits(bits))
            }
            0xFB => Val(0),
            0xFC => Val(1),
            _ => return Err(self.unknown(code)),
        };
        Ok(Item::Val(value))
    }

    // ---- numbers -------------------------------------------------------------------------------

    pub(super) fn byte(&mut self) -> Result<u8> {
        let byte = self.data.get(self.pos).copied();
        let byte = byte.ok_or_else(|| self.wrong("the data ends within a value"))?;
        self.pos += 1;
        Ok(byte)
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let end = self.pos.checked_add(count);
        let found = end.and_then(|end| self.data.get(self.pos..end));
        let found = found.ok_or_else(|| {
            let left = self.data.len() - self.pos;
            self.wrong(format!("{count} bytes are announced, {left} are left"))
        })?;
        self.pos += count;
        Ok(found)
    }

    /// So many bytes as an unsigned number, most significant first.
    pub(super) fn raw(&mut self, count: usize) -> Result<u64> {
        let bytes = self.take(count)?;
        Ok(bytes
            .iter()
            .fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    /// The whole number that begins with `code`, where one does.
    fn int(&mut self, code: u8) -> Result<Option<i64>> {
        let c = i64::from(code);
        let (high, rest) = match code {
            0xFF => return Ok(Some(-1)),
            0x00..=0x3F => return Ok(Some(c)),
            0x40..=0x5F => (c - 0x50, 1),
            0x60..=0x6F => (c - planted!("fressian-packing", 0x68, 0x67), 2),
            0x70..=0x73 => (c - 0x72, 3),
            0x74..=0x77 => (c - 0x76, 4),
            0x78..=0x7B => (c - 0x7A, 5),
            0x7C..=0x7F => (c - 0x7E, 6),
            0xF8 => (0, 8),
            _ => return Ok(None),
        };
        let low = self.raw(rest)?;
        let high = if rest == 8 { 0 } else { high << (8 * rest) };
        Ok(Some(high | low as i64))
    }

    /// A whole number, as a count or a place.
    fn count_any(&mut self) -> Result<i64> {
        let code = self.byte()?;
        let number = self.int(code)?;
        number.ok_or_else(|| self.wrong("expected a whole number"))
    }

    /// The number of things that follow, each of at least a byte.
    pub(super) fn count(&mut self) -> Result<usize> {
        let number = self.count_any()?;
        let left = self.data.len() - self.pos;
        match usize::try_from(number) {
            Ok(count) if count <= left => Ok(count),
            _ => Err(self.wrong(format!(
                "{number} values are announced, {left} bytes are left"
            ))),
        }
    }

    // ---- caches --------------------------------------------------------------------------------

    pub(super) fn reset(&mut self) {
        self.priority.clear();
        self.structs.clear();
    }

    fn put(&mut self) -> Result<Item> {
        let before = self.weight;
        let mut at = self.priority.len();
        self.priority.push(None);
        if planted!("fressian-cache-late", false, true) {
            self.priority.pop();
        }
        // A put of a put of a put ... is nesting as well.
        let item = self.nested(|reader| reader.item())?;
        let weight = self.weight - before;
        if planted!("fressian-cache-late", false, true) {
            at = self.priority.len();
            self.priority.push(None);
        }
        let slot = self.priority.get_mut(at);
        *slot.ok_or_else(|| {
            Error::at_byte(self.base + self.pos as u64, "the cache was emptied")
        })? = Some((item, weight));
        Ok(item)
    }

    fn cached(&mut self, at: i64) -> Result<Item> {
        let known = self.priority.len();
        let found = usize::try_from(at)
            .ok()
            .and_then(|at| self.priority.get(at));
        match found.copied() {
            Some(Some((item, weight))) => {
                self.heavier(weight)?;
                Ok(item)
            }
            Some(None) => Err(self.wrong(format!("cached value {at} contains itself"))),
            None => Err(self.wrong(format!("cached value {at} of {known}"))),
        }
    }

    fn known_struct(&mut self, at: i64) -> Result<Head> {
        let known = self.structs.len();
        let found = usize::try_from(at).ok().and_then(|at| self.structs.get(at));
        match found {
            Some(&found) => Ok(Head::Struct(found)),
            None => Err(self.wrong(format!("struct {at} of {known}"))),
        }
    }

    fn new_struct(&mut self) -> Result<Head> {
        let tag = self.nested(|reader| reader.item())?;
        let tag = self.interned(tag);
        let fields = self.count()? as u32;
        let name = self.values.as_name(tag);
        let found = Struct {
            tag: name.and_then(Tag::of_name).unwrap_or(Tag::Other(tag)),
            fields,
        };
        self.structs.push(found);
        Ok(Head::Struct(found))
    }

    // ---- lists ---------------------------------------------------------------------------------

    /// Whether a list whose length is not given ends here; its end mark is read.
    fn list_ends(&mut self) -> bool {
        match self.data.get(self.pos) {
            Some(0xFD) => {
                self.pos += 1;
                true
            }
            // An open list may be ended by the end of the data.
            None => true,
            _ => false,
        }
    }

    /// Call `each` for each element, of which the reader has read nothing yet.
    pub(super) fn each(
        &mut self,
        count: Option<usize>,
        mut each: impl FnMut(&mut Self) -> Result<()>,
    ) -> Result<()> {
        match count {
            Some(count) => {
                for _ in 0..count {
                    self.meter.tick()?;
                    each(self)?;
                }
            }
            None => {
                while !self.list_ends() {
                    self.meter.tick()?;
                    each(self)?;
                }
            }
        }
        Ok(())
    }

    fn list(&mut self, count: Option<usize>) -> Result<Item> {
        let base = self.gather(count)?;
        let list = self.values.list(&self.stack[base..]);
        self.stack.truncate(base);
        Ok(Item::Val(list))
    }

    /// The elements of a list on top of the stack, from the place that is returned.
    fn gather(&mut self, count: Option<usize>) -> Result<usize> {
        let base = self.stack.len();
        self.each(count, |reader| {
            let value = reader.value()?;
            reader.stack.push(value);
            Ok(())
        })?;
        Ok(base)
    }

    /// The next value, which must be a list or nil, as the kind of value that `make` makes of it.
    pub(super) fn collection(
        &mut self,
        make: impl FnOnce(&mut Values, &[Val]) -> Val,
    ) -> Result<Item> {
        let base = self.stack.len();
        match self.head()? {
            Head::List(count) => {
                self.gather(count)?;
            }
            Head::Whole(Item::Val(value)) => match self.values.as_list(value) {
                Some(items) => self.stack.extend_from_slice(items),
                None if value.is_nil() => {}
                None => return Err(self.wrong("expected a list")),
            },
            // A vector of Jepsen's own is a struct around a list.
            Head::Struct(found) => {
                let item = self.nested(|reader| reader.fields(found))?;
                let value = self.interned(item);
                match self.values.as_items(value) {
                    Some(items) => self.stack.extend_from_slice(items),
                    None => return Err(self.wrong("expected a list")),
                }
            }
            Head::Whole(_) => return Err(self.wrong("expected a list")),
        }
        let made = make(&mut self.values, &self.stack[base..]);
        self.stack.truncate(base);
        Ok(Item::Val(made))
    }

    /// A list with its length before it and each element of one kind.
    pub(super) fn array(&mut self, kind: Array) -> Result<Item> {
        let count = self.count()?;
        let base = self.stack.len();
        self.each(Some(count), |reader| {
            let value = reader.value()?;
            let fits = match kind {
                Array::Int => reader.values.as_int(value).is_some(),
                Array::Any => true,
            };
            if !fits {
                return Err(reader.wrong("expected a whole number"));
            }
            reader.stack.push(value);
            Ok(())
        })?;
        let list = self.values.list(&self.stack[base..]);
        self.stack.truncate(base);
        Ok(Item::Val(list))
    }
}
