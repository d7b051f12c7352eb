//! The blocks of a `test.jepsen` file: found, and held against their checksums.
//!
//! ```text
//!  "JEPSEN" | version: i32 | offset of the newest index block: i64 | block | block | ...
//!  block:  length with this header: i64 | crc: u32 | type: i16 in a field of 16 bytes | data
//!  index:  id of the root block: i32 | (id: i32, offset: i64) ...
//! ```
//!
//! All numbers are big-endian. The checksum is the CRC-32 of the data, then of the header with its
//! checksum as zero. A header has 28 bytes: the type, of which two are used, takes 16 and not the 2
//! that Jepsen's documentation gives it.
//!
//! Jepsen appends blocks and writes a block's header when its data is complete, then an index that
//! knows the block, then the place of that index at the file's start. So a run that was killed, or a
//! file that was cut, has whole blocks up to some byte, and an index that knows all of them but the
//! last few. What stands behind the newest index is looked for block by block.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::budget::Budget;
use crate::error::{Error, Result};
use crate::planted;

use crate::formats::source::Source;

pub const MAGIC: &[u8] = b"JEPSEN";
/// Magic, version, offset of the index.
const FIRST_BLOCK: u64 = 18;
const HEADER: usize = 28;
/// The kinds of file that there are.
const VERSIONS: [u32; 2] = [0, 1];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Index,
    Fressian,
    PartialMap,
    Stream,
    BigVector,
}

impl Kind {
    fn of(number: u16) -> Option<Kind> {
        Some(match number {
            1 => Kind::Index,
            2 => Kind::Fressian,
            3 => Kind::PartialMap,
            4 => Kind::Stream,
            5 => Kind::BigVector,
            _ => return None,
        })
    }
}

/// A block that is whole.
pub struct Block {
    pub kind: Kind,
    pub offset: u64,
    pub data: Vec<u8>,
}

impl Block {
    /// Byte of the file at which its data begins.
    pub fn data_at(&self) -> u64 {
        self.offset + data_start() as u64
    }

    pub fn end(&self) -> u64 {
        self.data_at() + self.data.len() as u64
    }
}

/// Why there is no block.
#[derive(Debug)]
pub enum Broken {
    /// It would end behind the end of the file, or its header was never written: the file was cut.
    Cut { offset: u64 },
    /// It is all there, and wrong.
    Damaged(Error),
}

impl Broken {
    pub fn into_error(self) -> Error {
        match self {
            Broken::Damaged(error) => error,
            Broken::Cut { offset } => Error::at_byte(offset, "the file ends within this block"),
        }
    }
}

enum Bytes<'a> {
    File(File),
    Memory(&'a [u8]),
}

/// A file of blocks.
pub struct Blocks<'a> {
    bytes: Bytes<'a>,
    pub len: u64,
    pub version: u32,
    /// Id of the block that holds the test.
    pub root: Option<i32>,
    places: HashMap<i32, u64>,
    /// Blocks of streamed operations behind the newest index, in order.
    pub loose: Vec<u64>,
    /// The file does not end where its last whole block ends: from this byte on it was cut.
    pub cut: Option<u64>,
    budget: Budget,
}

impl<'a> Blocks<'a> {
    /// Read the header and the index, or look for what an index would know.
    /// With `salvage` a damaged index is as good as none.
    pub fn open(source: Source<'a>, salvage: bool, budget: &Budget) -> Result<Blocks<'a>> {
        let (bytes, len) = opened(source)?;
        let mut blocks = Blocks {
            bytes,
            len,
            version: 0,
            root: None,
            places: HashMap::new(),
            loose: Vec::new(),
            cut: None,
            budget: budget.clone(),
        };
        let mut start = [0; FIRST_BLOCK as usize];
        blocks.read_at(0, &mut start[..MAGIC.len().min(len as usize)])?;
        if start[..MAGIC.len()] != *MAGIC {
            return Err(Error::at_byte(
                0,
                "not a .jepsen file: it does not begin with JEPSEN",
            ));
        }
        if len < FIRST_BLOCK {
            return Err(Error::at_byte(len, "the file ends within its header"));
        }
        blocks.read_at(0, &mut start)?;
        blocks.version = number(&start[6..10]) as u32;
        if !VERSIONS.contains(&blocks.version) {
            let why = format!("a .jepsen file of version {}, known: 0, 1", blocks.version);
            return Err(Error::at_byte(6, why));
        }
        blocks.find_index(number(&start[10..18]), salvage)?;
        Ok(blocks)
    }

    /// Take the index that the header names; without it, the last one that is whole. Then look at
    /// what stands behind everything that it knows.
    fn find_index(&mut self, named: u64, salvage: bool) -> Result<()> {
        let mut from = FIRST_BLOCK;
        if named >= FIRST_BLOCK {
            match self.block_at(named) {
                Ok(block) if block.kind == Kind::Index => {
                    from = self.take_index(&block)?;
                }
                Ok(_) if !salvage => {
                    return Err(Error::at_byte(
                        10,
                        format!("byte {named} begins no index block"),
                    ))
                }
                Err(Broken::Damaged(error)) if !salvage || error.stop.is_some() => {
                    return Err(error)
                }
                Err(Broken::Cut { offset }) => self.cut = Some(offset.min(self.len)),
                Ok(_) | Err(Broken::Damaged(_)) => {}
            }
        }
        while from < self.len {
            let block = match self.block_at(from) {
                Ok(block) => block,
                Err(Broken::Cut { .. }) => {
                    self.cut = Some(from);
                    break;
                }
                // What no index knows of is no part of the file: the run was ended within it.
                Err(Broken::Damaged(error)) if self.root.is_some() && error.stop.is_none() => {
                    self.cut = Some(from);
                    break;
                }
                Err(Broken::Damaged(error)) => return Err(error),
            };
            from = block.end();
            match block.kind {
                Kind::Index => {
                    from = from.max(self.take_index(&block)?);
                    self.loose.clear();
                }
                Kind::Stream => self.loose.push(block.offset),
                _ => {}
            }
        }
        Ok(())
    }

    /// Remember what an index says; returns where the last of its blocks ends.
    fn take_index(&mut self, block: &Block) -> Result<u64> {
        let at = block.data_at();
        let Some((root, pairs)) = block.data.split_at_checked(4) else {
            return Err(Error::at_byte(at, "an index without a root"));
        };
        if pairs.len() % 12 != 0 {
            return Err(Error::at_byte(at, "an index that ends within an entry"));
        }
        self.budget.fits(pairs.len() * 4)?;
        let root = number(root) as u32 as i32;
        self.root = (root != 0).then_some(root);
        self.places.clear();
        let mut last = block.offset;
        for pair in pairs.chunks_exact(12) {
            let offset = number(&pair[4..]);
            self.places.insert(number(&pair[..4]) as u32 as i32, offset);
            if offset < self.len {
                last = last.max(offset);
            }
        }
        let end = self
            .header_at(last)
            .map(|(length, ..)| last.saturating_add(length));
        Ok(end.unwrap_or(last).max(block.end()).min(self.len))
    }

    /// The block of that number. `None` where no index knows it.
    pub fn block(&self, id: i32) -> Option<std::result::Result<Block, Broken>> {
        Some(self.block_at(*self.places.get(&id)?))
    }

    /// The block that begins at that byte.
    pub fn block_at(&self, offset: u64) -> std::result::Result<Block, Broken> {
        let damaged = |why: String| Broken::Damaged(Error::at_byte(offset, why));
        let (length, crc, kind) = self.header_at(offset).ok_or(Broken::Cut { offset })?;
        // A header of zeros is one that was never written.
        if length == 0 && crc == 0 && kind == 0 {
            return Err(Broken::Cut { offset });
        }
        if length < HEADER as u64 || length > i64::MAX as u64 {
            return Err(damaged(format!("a block of {} bytes", length as i64)));
        }
        if offset.checked_add(length).is_none_or(|end| end > self.len) {
            return Err(Broken::Cut { offset });
        }
        let size = (length - data_start() as u64) as usize;
        let fits = self.budget.fits(size);
        fits.map_err(|stop| Broken::Damaged(stop.into()))?;
        let mut data = vec![0; size];
        self.read_at(offset + data_start() as u64, &mut data)
            .map_err(Broken::Damaged)?;
        let mut sum = crc32fast::Hasher::new();
        sum.update(&data);
        let mut header = [0; HEADER];
        self.read_at(offset, &mut header).map_err(Broken::Damaged)?;
        header[8..12].fill(0);
        sum.update(&header);
        let found = sum.finalize();
        if planted!("crc-unchecked", found != crc, false) {
            let why = format!("the block's checksum is {found:08x}, its header says {crc:08x}");
            return Err(damaged(why));
        }
        let kind = Kind::of(kind).ok_or_else(|| damaged(format!("a block of type {kind}")))?;
        Ok(Block { kind, offset, data })
    }

    /// Length, checksum and type of the block that begins there; `None` where the file ends in it.
    fn header_at(&self, offset: u64) -> Option<(u64, u32, u16)> {
        let end = offset.checked_add(HEADER as u64)?;
        if end > self.len {
            return None;
        }
        let mut header = [0; HEADER];
        self.read_at(offset, &mut header).ok()?;
        let (length, crc) = (number(&header[..8]), number(&header[8..12]) as u32);
        Some((length, crc, number(&header[12..14]) as u16))
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        match &self.bytes {
            Bytes::File(file) => file
                .read_exact_at(out, offset)
                .map_err(|e| Error::at_byte(offset, format!("cannot be read: {e}"))),
            Bytes::Memory(bytes) => {
                let start = usize::try_from(offset).ok();
                let end = start.and_then(|start| start.checked_add(out.len()));
                let part = start
                    .zip(end)
                    .and_then(|(start, end)| bytes.get(start..end));
                let part = part.ok_or_else(|| Error::at_byte(offset, "the file ends"))?;
                out.copy_from_slice(part);
                Ok(())
            }
        }
    }
}

/// Where the data begins in a block.
fn data_start() -> usize {
    planted!("header-14", HEADER, 14)
}

fn opened(source: Source<'_>) -> Result<(Bytes<'_>, u64)> {
    match source {
        Source::Bytes(bytes) => Ok((Bytes::Memory(bytes), bytes.len() as u64)),
        Source::Path(path) => {
            let wrong = |e: std::io::Error| Error::new(format!("cannot be read: {e}"));
            let file = File::open(path).map_err(wrong)?;
            let about = file.metadata().map_err(wrong)?;
            if !about.is_file() {
                return Err(Error::new(
                    "a .jepsen file is read at many places, not from a pipe",
                ));
            }
            Ok((Bytes::File(file), about.len()))
        }
    }
}

/// Bytes as a number, the most significant first; at most eight of them.
pub fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0, |number, &byte| number << 8 | u64::from(byte))
}
