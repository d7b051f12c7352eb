//! Operations as they stand in Fressian: `Op` records of seven fields, and plain maps.
//!
//! What a field means, and what an event of it becomes, is that of `history.edn` (`fields.rs`), so
//! that the same run is the same history from both files.

use smallvec::SmallVec;

use crate::error::{Error, Result};
use crate::formats::fields::{Field, Fields};
use crate::formats::jepsen_edn::field_of;
use crate::formats::pair::Sink;
use crate::formats::scan::Halt;
use crate::history::NO_TIME;
use crate::values::{Look, Val, Values};

use super::fressian::{Head, Item, Reader};
use super::tags::Tag;

/// The fields of one operation, in the order in which they stand.
struct Raw {
    at: u64,
    fields: SmallVec<[(Field, Item); 12]>,
}

/// Fields of an `Op`, in its order; the seventh is a map of all others.
const OP: [Field; 6] = [
    Field::Index,
    Field::Time,
    Field::Type,
    Field::Process,
    Field::F,
    Field::Value,
];

impl Raw {
    fn push(&mut self, values: &Values, key: Val, item: Item) {
        let field = match values.look(key) {
            Look::Keyword(name) => field_of(name),
            _ => Field::Other,
        };
        if field != Field::Other {
            self.fields.push((field, item));
        }
    }
}

impl Reader<'_> {
    /// Read the next operation and hand it on.
    pub fn event<S: Sink>(&mut self, sink: &mut S) -> Result<()> {
        let raw = self.raw_event()?;
        // The sink's history needs its values while it takes the operation.
        std::mem::swap(&mut self.values, &mut sink.history().values);
        let taken = take(&raw, sink);
        std::mem::swap(&mut self.values, &mut sink.history().values);
        match taken {
            Ok(()) => Ok(()),
            Err(Halt::Bad(why)) => Err(Error::at_byte(raw.at, why.1)),
            Err(_) => Err(Error::at_byte(raw.at, "the operation ends too early")),
        }
    }

    fn raw_event(&mut self) -> Result<Raw> {
        self.begin()?;
        let mut raw = Raw {
            at: self.place(),
            fields: SmallVec::new(),
        };
        let mut head = self.head()?;
        while let Head::Struct(found) = head {
            match found.tag {
                // Its class's name and a map.
                Tag::Record => {
                    self.value()?;
                    head = self.head()?;
                }
                Tag::Op => {
                    for field in OP {
                        let item = self.item()?;
                        raw.fields.push((field, item));
                    }
                    let rest = self.item()?;
                    return self.whole(raw, rest);
                }
                Tag::Map => {
                    head = self.head()?;
                    if let Head::List(count) = head {
                        return self.pairs(raw, count);
                    }
                }
                _ => {
                    let item = self.fields(found)?;
                    return self.whole(raw, item);
                }
            }
        }
        match head {
            Head::Whole(item) => self.whole(raw, item),
            _ => Err(Error::at_byte(
                raw.at,
                "expected an operation, found a list",
            )),
        }
    }

    fn pairs(&mut self, mut raw: Raw, count: Option<usize>) -> Result<Raw> {
        let mut key = None;
        self.each(count, |reader| {
            let item = reader.item()?;
            match key.take() {
                None => key = Some(reader.interned(item)),
                Some(key) => raw.push(&reader.values, key, item),
            }
            Ok(())
        })?;
        match key {
            None => Ok(raw),
            Some(_) => Err(self.wrong("a map whose last key has no value")),
        }
    }

    /// Take the fields from a map, or the list behind a map's tag, that was read as a value: one
    /// that was cached.
    fn whole(&mut self, mut raw: Raw, item: Item) -> Result<Raw> {
        let Item::Val(value) = item else {
            return Err(Error::at_byte(
                raw.at,
                "expected an operation, found a number",
            ));
        };
        let values = &self.values;
        match values.look(value) {
            Look::Map(items) | Look::List(items) => {
                for pair in items.chunks_exact(2) {
                    raw.push(values, pair[0], Item::Val(pair[1]));
                }
            }
            Look::Nil => {}
            _ => {
                return Err(Error::at_byte(
                    raw.at,
                    "expected an operation, found a value",
                ))
            }
        }
        Ok(raw)
    }
}

fn take<S: Sink>(raw: &Raw, sink: &mut S) -> std::result::Result<(), Halt> {
    let mut fields = Fields::new(raw.at);
    for &(field, item) in &raw.fields {
        match (field, item) {
            // Times are many and large: they are not interned.
            (Field::Time, Item::Int(time)) => fields.event.time = time.max(NO_TIME),
            (Field::Index, Item::Int(index)) => fields.event.index = index,
            (_, Item::Int(number) | Item::Block(number)) => {
                let history = sink.history();
                let value = history.values.int(number);
                fields.set(field, value, 0, history)?;
            }
            (_, Item::Val(value)) => fields.set(field, value, 0, sink.history())?,
        }
    }
    fields.send(0, sink)
}
