//! `test.jepsen` and the older `test.fressian`: a test as a map, with its history and results.
//!
//! The root block is the test's map. Its `:history` names a block: one vector (version 0), or a list
//! of chunks (version 1), each a block into which Jepsen streamed operations while the test ran. Its
//! `:results` names a map whose first part holds `:valid?`.
//!
//! A file that was cut is read up to its last whole block, chunks that no index knows yet included:
//! what is read is a prefix of the history, and the caller is told so. A chunk that is damaged, and
//! not merely cut off, is an error, or with `salvage` a hole.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::budget::{Budget, Meter};
use crate::error::{Error, Place, Result};
use crate::formats::pair::Sink;
use crate::formats::source::Source;
use crate::formats::text::End;
use crate::planted;
use crate::values::{Look, Val, Values};

use super::block::{number, Block, Blocks, Broken, Kind};
use super::fressian::{Head, Item, Reader};
use super::tags::Tag;
use super::About;

/// Lists of chunks inside lists of chunks.
const CHUNKS_DEPTH_MAX: u32 = 4;

/// Read the history of a `test.jepsen` file into a sink.
pub fn read_jepsen<S: Sink>(
    source: Source<'_>,
    salvage: bool,
    sink: &mut S,
    budget: &Budget,
) -> Result<(End, About)> {
    let blocks = Blocks::open(source, salvage, budget)?;
    let mut about = About::default();
    let mut test = Test::default();
    if let Some(root) = blocks.root {
        test = read_test(&blocks, root, &mut about, budget)?;
    }
    let mut history = Chunks {
        blocks: &blocks,
        salvage,
        sink,
        meter: budget.meter(),
        read: 0,
        cut: None,
    };
    if let Some(id) = test.history {
        history.block(id, 0)?;
    }
    for &offset in &blocks.loose {
        if history.cut.is_none() {
            history.chunk(blocks.block_at(offset), 0)?;
        }
    }
    let cut = history.cut.or(blocks.cut);
    if let Some(id) = test.results {
        // A label that cannot be read is no label.
        about.valid = read_valid(&blocks, id, budget).ok().flatten();
    }
    Ok((cut.map_or(End::Whole, End::Cut), about))
}

/// Whether a `test.fressian` file begins with these bytes: a map that is a list of keys and values.
pub fn is_fressian(start: &[u8]) -> bool {
    matches!(start, [0xC0, 0xE4..=0xEE, ..])
}

/// Read the history of a `test.fressian` file: the test's map, with the operations in it.
pub fn read_fressian<S: Sink>(
    source: Source<'_>,
    sink: &mut S,
    budget: &Budget,
) -> Result<(End, About)> {
    let read;
    let bytes = match source {
        Source::Bytes(bytes) => bytes,
        Source::Path(path) => {
            read = whole(path, budget)?;
            &read
        }
    };
    let mut meter = budget.meter();
    let mut about = About::default();
    let values = std::mem::take(&mut sink.history().values);
    let mut reader = Reader::new(bytes, 0, values, &mut meter);
    let found = reader.test_with_history(sink, &mut about);
    sink.history().values = std::mem::take(&mut reader.values);
    found.map(|()| (End::Whole, about))
}

/// A file in memory: this old format is one value, of a size that Jepsen held in memory too.
fn whole(path: &Path, budget: &Budget) -> Result<Vec<u8>> {
    let wrong = |e: std::io::Error| Error::new(format!("cannot be read: {e}"));
    let mut file = File::open(path).map_err(wrong)?;
    let size = file.metadata().map_err(wrong)?.len();
    budget.fits(size as usize)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(wrong)?;
    Ok(bytes)
}

/// The blocks that a test names.
#[derive(Default)]
struct Test {
    history: Option<i32>,
    results: Option<i32>,
}

/// Read a test's map: which blocks it names, and what it is called.
fn read_test(blocks: &Blocks, root: i32, about: &mut About, budget: &Budget) -> Result<Test> {
    let block = match blocks.block(root) {
        Some(found) => found.map_err(Broken::into_error)?,
        None => {
            return Err(Error::at_byte(
                10,
                format!("the index does not know block {root}"),
            ))
        }
    };
    let (data, at) = match block.kind {
        Kind::Fressian => (&block.data[..], block.data_at()),
        Kind::PartialMap => (block.data.get(4..).unwrap_or(&[]), block.data_at() + 4),
        _ => {
            return Err(Error::at_byte(
                block.offset,
                "the root block is not a test's map",
            ))
        }
    };
    let mut test = Test::default();
    let mut meter = budget.meter();
    let mut reader = Reader::new(data, at, Values::default(), &mut meter);
    reader.map_entries(|reader, key| {
        let item = reader.item()?;
        match (key, item) {
            ("history", Item::Block(id)) => test.history = i32::try_from(id).ok(),
            ("results", Item::Block(id)) => test.results = i32::try_from(id).ok(),
            (_, Item::Val(value)) => about.entry(key, value, &reader.values),
            _ => {}
        }
        Ok(())
    })?;
    Ok(test)
}

/// The `:valid?` of results.
fn read_valid(blocks: &Blocks, id: i32, budget: &Budget) -> Result<Option<String>> {
    let Some(found) = blocks.block(id) else {
        return Ok(None);
    };
    let block = found.map_err(Broken::into_error)?;
    let skip = if block.kind == Kind::PartialMap { 4 } else { 0 };
    let data = block.data.get(skip..).unwrap_or(&[]);
    let mut meter = budget.meter();
    let mut reader = Reader::new(data, block.data_at(), Values::default(), &mut meter);
    let mut valid = None;
    reader.map_entries(|reader, key| {
        let value = reader.value()?;
        if key == "valid?" {
            valid = label(&reader.values, value);
        }
        Ok(())
    })?;
    Ok(valid)
}

/// A `:valid?` as text: "true", "false" or "unknown".
pub fn label(values: &Values, value: Val) -> Option<String> {
    match values.look(value) {
        Look::Bool(valid) => Some(valid.to_string()),
        Look::Keyword(name) | Look::Str(name) => Some(name.to_string()),
        _ => None,
    }
}

impl Reader<'_> {
    /// Call `each` with each key of the map that is next, whose value it has to read. Keys that are
    /// no keywords are skipped.
    fn map_entries(&mut self, mut each: impl FnMut(&mut Self, &str) -> Result<()>) -> Result<()> {
        let count = match self.head()? {
            Head::Struct(found) if found.tag == Tag::Map => match self.head()? {
                Head::List(count) => count,
                _ => return Err(self.wrong("expected a map")),
            },
            Head::Whole(Item::Val(Val::NIL)) => return Ok(()),
            _ => return Err(self.wrong("expected a map")),
        };
        let entries = match count {
            Some(count) if count % 2 != 0 => {
                return Err(self.wrong("a map whose last key has no value"))
            }
            Some(count) => Some(count / 2),
            None => None,
        };
        self.each(entries, |reader| {
            reader.begin()?;
            let key = reader.value()?;
            let name = reader.values.as_name(key).unwrap_or("").to_string();
            each(reader, &name)
        })
    }

    fn test_with_history<S: Sink>(&mut self, sink: &mut S, about: &mut About) -> Result<()> {
        let mut found = false;
        self.map_entries(|reader, key| match key {
            "history" => {
                found = true;
                reader.vector(sink).map(|_| ())
            }
            "results" => {
                let value = reader.value()?;
                about.results(value, &reader.values);
                Ok(())
            }
            _ => {
                let value = reader.value()?;
                about.entry(key, value, &reader.values);
                Ok(())
            }
        })?;
        if found {
            Ok(())
        } else {
            Err(Error::at_byte(0, "a test without a :history"))
        }
    }

    /// A vector of operations, or nil; returns how many there are.
    fn vector<S: Sink>(&mut self, sink: &mut S) -> Result<u64> {
        let mut read = 0;
        let mut head = self.head()?;
        // A vector of Jepsen's own is a struct around a list.
        if let Head::Struct(found) = head {
            if found.tag != Tag::Seq {
                return Err(self.wrong("expected a history"));
            }
            head = self.head()?;
        }
        match head {
            Head::List(count) => self.each(count, |reader| {
                read += 1;
                reader.event(sink)
            })?,
            Head::Whole(Item::Val(Val::NIL)) => {}
            _ => return Err(self.wrong("expected a history")),
        }
        Ok(read)
    }
}

/// Reads the chunks of a history one after the other.
struct Chunks<'b, 's, S: Sink> {
    blocks: &'b Blocks<'b>,
    salvage: bool,
    sink: &'s mut S,
    meter: Meter,
    /// Events so far, those of chunks that could not be read included.
    read: u64,
    /// The history ends at this byte, because what follows was cut off.
    cut: Option<u64>,
}

impl<S: Sink> Chunks<'_, '_, S> {
    fn block(&mut self, id: i32, depth: u32) -> Result<()> {
        match self.blocks.block(id) {
            Some(found) => self.chunk(found, depth),
            None => {
                let why = format!("the index does not know block {id} of the history");
                self.damaged(Error::at_byte(10, why))
            }
        }
    }

    /// Something cannot be read: an error, or a hole.
    fn damaged(&mut self, error: Error) -> Result<()> {
        if !self.salvage || error.stop.is_some() {
            return Err(error);
        }
        let at = match error.place {
            Place::Byte(at) => at,
            _ => return Err(error),
        };
        self.sink.hole(at, error.message);
        Ok(())
    }

    fn chunk(&mut self, found: std::result::Result<Block, Broken>, depth: u32) -> Result<()> {
        let block = match found {
            Ok(block) => block,
            Err(Broken::Damaged(error)) => return self.damaged(error),
            Err(Broken::Cut { offset }) => {
                self.cut = Some(offset.min(self.blocks.len));
                return Ok(());
            }
        };
        let read = match block.kind {
            Kind::BigVector => return self.big_vector(&block, depth),
            Kind::Fressian => self.events(&block, |reader, sink| reader.vector(sink)),
            Kind::Stream => self.events(&block, |reader, sink| {
                let mut read = 0;
                while !reader.at_end()? {
                    reader.event(sink)?;
                    read += 1;
                }
                Ok(read)
            }),
            _ => Err(Error::at_byte(
                block.offset,
                "a block that holds no operations",
            )),
        };
        match read {
            Ok(read) => {
                self.read = self.read.saturating_add(read);
                Ok(())
            }
            Err(error) => self.damaged(error),
        }
    }

    fn events(
        &mut self,
        block: &Block,
        read: impl FnOnce(&mut Reader, &mut S) -> Result<u64>,
    ) -> Result<u64> {
        let values = std::mem::take(&mut self.sink.history().values);
        let mut reader = Reader::new(&block.data, block.data_at(), values, &mut self.meter);
        let found = read(&mut reader, self.sink);
        self.sink.history().values = std::mem::take(&mut reader.values);
        found
    }

    /// A list of chunks: number of elements, then the first element and the block of each chunk.
    fn big_vector(&mut self, block: &Block, depth: u32) -> Result<()> {
        if depth >= CHUNKS_DEPTH_MAX {
            return self.damaged(Error::at_byte(
                block.offset,
                "lists of chunks inside each other",
            ));
        }
        let split = block.data.split_at_checked(8);
        let Some((count, chunks)) = split.filter(|(_, chunks)| chunks.len() % 12 == 0) else {
            return self.damaged(Error::at_byte(
                block.offset,
                "a list of chunks that is not whole",
            ));
        };
        let start = self.read;
        for (i, chunk) in chunks.chunks_exact(12).enumerate() {
            let first = number(&chunk[..8]);
            let have = self.read - start;
            if have != first && !self.salvage && planted!("chunk-gap", true, false) {
                let at = block.data_at() + 8 + 12 * i as u64;
                let why = format!("a chunk begins at operation {first}, {have} were read");
                return Err(Error::at_byte(at, why));
            }
            // With salvage, what a chunk before did not give is counted as if it had.
            self.read = start.saturating_add(first.max(have));
            self.block(number(&chunk[8..]) as u32 as i32, depth + 1)?;
            if self.cut.is_some() {
                return Ok(());
            }
        }
        let (count, have) = (number(count), self.read - start);
        if count != have && !self.salvage {
            let why = format!("a history of {count} operations, {have} were read");
            return Err(Error::at_byte(block.data_at(), why));
        }
        Ok(())
    }
}
