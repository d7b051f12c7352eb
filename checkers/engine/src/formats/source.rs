//! Where a history comes from, in blocks: the file is never in memory as a whole.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use crate::error::{Error, Place, Result};

/// What is read at once: it should fit into a core's own cache.
const BLOCK_BYTES: usize = 256 << 10;
/// A record that is longer is not one operation.
pub const RECORD_BYTES_MAX: usize = 64 << 20;

/// A history's bytes.
#[derive(Clone, Copy)]
pub enum Source<'a> {
    Path(&'a Path),
    Bytes(&'a [u8]),
}

impl<'a> Source<'a> {
    fn reader(&self) -> Result<Box<dyn Read + 'a>> {
        match *self {
            Source::Bytes(bytes) => Ok(Box::new(bytes)),
            Source::Path(path) => {
                let file = File::open(path).map_err(|e| match e.kind() {
                    ErrorKind::NotFound => Error::new("there is no such file"),
                    _ => Error::new(format!("cannot be read: {e}")),
                })?;
                Ok(Box::new(file))
            }
        }
    }

    /// Its size, where that is known before it is read.
    pub fn size(&self) -> Option<u64> {
        match *self {
            Source::Bytes(bytes) => Some(bytes.len() as u64),
            Source::Path(path) => {
                let about = path.metadata().ok()?;
                about.is_file().then_some(about.len())
            }
        }
    }

    /// The place of an offset: line and column where the source can be read again.
    pub fn place(&self, offset: u64) -> Place {
        self.places(&[offset]).pop().unwrap_or(Place::Byte(offset))
    }

    /// The places of offsets that are in order.
    pub fn places(&self, offsets: &[u64]) -> Vec<Place> {
        let again = match self {
            Source::Bytes(_) => true,
            Source::Path(path) => path.is_file(),
        };
        let counted = if again { self.count(offsets) } else { None };
        counted.unwrap_or_else(|| offsets.iter().map(|&at| Place::Byte(at)).collect())
    }

    fn count(&self, offsets: &[u64]) -> Option<Vec<Place>> {
        let mut reader = self.reader().ok()?;
        let mut block = vec![0; BLOCK_BYTES];
        let mut places = Vec::with_capacity(offsets.len());
        let (mut base, mut line, mut line_at) = (0u64, 1u64, 0u64);
        let mut wanted = offsets.iter().copied().peekable();
        loop {
            let n = match reader.read(&mut block) {
                Ok(n) => n,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return None,
            };
            let mut newlines = memchr::memchr_iter(b'\n', block.get(..n)?).peekable();
            while let Some(offset) = wanted.peek().copied() {
                if offset >= base + n as u64 && n > 0 {
                    break;
                }
                while let Some(at) = newlines.peek().map(|&at| base + at as u64) {
                    if at >= offset {
                        break;
                    }
                    newlines.next();
                    (line, line_at) = (line + 1, at + 1);
                }
                let column = offset.saturating_sub(line_at) + 1;
                places.push(Place::Line { line, column });
                wanted.next();
            }
            if n == 0 || wanted.peek().is_none() {
                return Some(places);
            }
            for at in newlines {
                (line, line_at) = (line + 1, base + at as u64 + 1);
            }
            base += n as u64;
        }
    }
}

/// A window that moves over a source.
pub struct Window<'a> {
    reader: Box<dyn Read + 'a>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Offset of `buffer[0]` in the source.
    base: u64,
    pub eof: bool,
    /// Size of the source, where that is known.
    pub size: Option<u64>,
}

impl<'a> Window<'a> {
    pub fn open(source: Source<'a>) -> Result<Window<'a>> {
        let size = source.size();
        // A small file needs no whole block; the byte more is where its end is found.
        let small = size.and_then(|size| usize::try_from(size).ok());
        let room = small.map_or(BLOCK_BYTES, |size| BLOCK_BYTES.min(size.max(4095) + 1));
        let mut window = Window {
            reader: source.reader()?,
            buffer: vec![0; room],
            start: 0,
            end: 0,
            base: 0,
            eof: false,
            size,
        };
        window.more()?;
        Ok(window)
    }

    /// What was read and not yet consumed.
    pub fn bytes(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or(&[])
    }

    /// Offset of the first of `bytes` in the source.
    pub fn offset(&self) -> u64 {
        self.base + self.start as u64
    }

    pub fn consume(&mut self, n: usize) {
        self.start = (self.start + n).min(self.end);
    }

    /// Read more behind `bytes`, or find that the source ends. Err for a record that is too long.
    pub fn more(&mut self) -> Result<()> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.base += self.start as u64;
        self.end -= self.start;
        self.start = 0;
        if self.end > self.buffer.len() / 2 {
            if self.end >= RECORD_BYTES_MAX {
                let most = RECORD_BYTES_MAX >> 20;
                let why = format!("one operation of more than {most} MB begins here");
                return Err(Error::at_byte(self.base, why));
            }
            self.buffer.resize(self.buffer.len() * 2, 0);
        } else if self.buffer.len() > BLOCK_BYTES && self.end < BLOCK_BYTES / 2 {
            self.buffer.truncate(BLOCK_BYTES);
            self.buffer.shrink_to_fit();
        }
        while self.end < self.buffer.len() {
            match self.reader.read(&mut self.buffer[self.end..]) {
                Ok(0) => {
                    self.eof = true;
                    break;
                }
                Ok(n) => self.end += n,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(Error::new(format!("cannot be read: {e}"))),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_offsets() {
        let source = Source::Bytes(b"ab\ncd\n\nef");
        let line = |line, column| Place::Line { line, column };
        let found = source.places(&[0, 2, 3, 5, 6, 7, 9, 20]);
        let wanted = [
            line(1, 1),
            line(1, 3),
            line(2, 1),
            line(2, 3),
            line(3, 1),
            line(4, 1),
            line(4, 3),
            line(4, 14),
        ];
        assert_eq!(found, wanted);
    }

    #[test]
    fn a_window_grows_for_a_long_record_and_has_an_end() {
        let bytes = vec![b'x'; RECORD_BYTES_MAX + (1 << 20)];
        let mut window = Window::open(Source::Bytes(&bytes)).unwrap();
        let mut turns = 0;
        let error = loop {
            if let Err(error) = window.more() {
                break error;
            }
            turns += 1;
            assert!(turns < 20 && !window.eof);
        };
        assert!(error.message.contains("64 MB"), "{error}");
        let mut window = Window::open(Source::Bytes(&bytes[..10])).unwrap();
        window.consume(4);
        window.more().unwrap();
        assert_eq!(
            (window.bytes().len(), window.offset(), window.eof),
            (6, 4, true)
        );
    }
}
