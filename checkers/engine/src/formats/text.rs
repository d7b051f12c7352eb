//! Drives a reader of text over a source, block by block, and makes a hole of what it cannot read
//! where that is asked for.

use super::pair::Sink;
use super::scan::{Cursor, Halt, Scan};
use super::source::{Source, Window};
use crate::budget::Budget;
use crate::error::{Error, Place, Result};
use crate::history::History;

/// A reader of one format.
pub trait Reader {
    /// Read one record, here or behind what separates records; false at the end of the file. What
    /// it gives the sink it gives only when it has read the record whole. `base` is the offset of
    /// the block in the file.
    fn record<S: Sink>(&mut self, c: &mut Cursor, base: u64, sink: &mut S) -> Scan<bool>;

    /// The reader goes on at the beginning of a line, whatever it was in.
    fn lost(&mut self) {}

    /// All was read: whatever it has kept back it gives now.
    fn finish<S: Sink>(&mut self, _: &mut S) -> Result<()> {
        Ok(())
    }
}

/// What a reader found of the end of the text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    Whole,
    /// It ends in the middle of a record that begins at this offset.
    Cut(u64),
}

/// Read all of a source into a sink.
pub fn drive<R: Reader, S: Sink>(
    reader: &mut R,
    source: Source<'_>,
    salvage: bool,
    sink: &mut S,
    budget: &Budget,
) -> Result<End> {
    let mut meter = budget.meter();
    let mut window = Window::open(source)?;
    // In a hole: nothing was read since it began.
    let mut lost = false;
    let mut expected = false;
    // Behind something unreadable whose line goes on.
    let mut skip = false;
    loop {
        meter.look()?;
        room(sink.history())?;
        let base = window.offset();
        if !expected && base > 0 {
            expected = true;
            expect(sink.history(), base, window.size, budget);
        }
        let mut c = Cursor {
            bytes: window.bytes(),
            at: 0,
            eof: window.eof,
            salvage,
        };
        if skip {
            skip = !skip_line(&mut c, 0);
        }
        let (done, halt) = loop {
            let start = c.at;
            if skip {
                break (start, if c.eof { Halt::Cut } else { Halt::Need });
            }
            match reader.record(&mut c, base, sink) {
                Ok(true) => lost = false,
                Ok(false) => return reader.finish(sink).map(|()| End::Whole),
                Err(Halt::Bad(bad)) if salvage => {
                    reader.lost();
                    if !lost {
                        sink.hole(base + bad.0 as u64, bad.1);
                        lost = true;
                    }
                    skip = !skip_line(&mut c, bad.0.max(start));
                }
                Err(halt) => break (start, halt),
            }
        };
        match halt {
            Halt::Bad(bad) => return Err(Error::at_byte(base + bad.0 as u64, bad.1)),
            Halt::Cut if salvage => {
                reader.finish(sink)?;
                return Ok(End::Cut(base + solid(c.bytes, done) as u64));
            }
            Halt::Cut => {
                let why = "the file ends in the middle of what begins here (--salvage reads what \
                           is before it)";
                return Err(Error::at_byte(base + solid(c.bytes, done) as u64, why));
            }
            Halt::Need => {}
        }
        window.consume(done);
        match window.more() {
            Err(error) if salvage && error.place != Place::Nowhere => {
                reader.lost();
                sink.hole(window.offset(), error.message);
                (lost, skip) = (true, true);
            }
            more => more?,
        }
    }
}

/// Where something stands, from an offset on.
fn solid(bytes: &[u8], from: usize) -> usize {
    let rest = bytes.get(from..).unwrap_or(&[]);
    let space = |byte: &&u8| byte.is_ascii_whitespace() || **byte == b',';
    from + rest.iter().take_while(space).count()
}

/// Go on behind the line of an offset; false where the line goes on behind the block.
fn skip_line(c: &mut Cursor, from: usize) -> bool {
    let found = memchr::memchr(b'\n', c.bytes.get(from..).unwrap_or(&[]));
    c.at = found.map_or(c.bytes.len(), |n| from + n + 1);
    found.is_some()
}

/// Make room for the rows of the whole source, by those of its beginning.
fn expect(history: &mut History, read: u64, size: Option<u64>, budget: &Budget) {
    let Some(size) = size.filter(|&size| size > read) else {
        return;
    };
    let rows = history.len() as u128 * u128::from(size) / u128::from(read.max(1));
    // A little more than that: a column that grows once more is copied.
    let Ok(rows) = usize::try_from(rows + rows / 32) else {
        return;
    };
    if budget.has_room(rows.saturating_mul(History::ROW_BYTES)) {
        history.reserve(rows);
    }
}

fn room(history: &History) -> Result<()> {
    if history.values.is_full() {
        return Err(Error::new("more values than 32 bits can number"));
    }
    Ok(())
}
