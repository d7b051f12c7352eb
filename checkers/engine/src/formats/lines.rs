//! Jepsen's history.txt and console logs: an operation event a line.
//!
//! ```text
//! 3    :invoke  :write  4
//! INFO  jepsen.util - 3    :info    :write  :timed-out
//! ```
//!
//! Whatever stands before the process is skipped. In a log, so are lines that are no event; in
//! history.txt they are an error. An `:info` or `:fail` whose value is a keyword has its reason
//! there; a read that failed because it timed out has an unknown result, and no other meaning.

use super::edn::{is_space, Edn};
use super::fields::{Field, Fields};
use super::pair::{Sink, Type};
use super::scan::{Cursor, Halt, Scan};
use super::text::Reader;
use crate::planted;
use crate::values::{Look, Val};

/// The reader of lines.
pub struct Lines {
    edn: Edn,
    /// Other lines may stand between the events.
    log: bool,
}

impl Lines {
    pub fn new(log: bool) -> Lines {
        Lines {
            edn: Edn::default(),
            log,
        }
    }
}

/// Offsets of the process, and behind the type with its value, in a line that is an event.
pub fn event_of(line: &[u8]) -> Option<(usize, usize, usize, Type)> {
    let mut from = 0;
    loop {
        let colon = from + memchr::memchr(b':', line.get(from..)?)?;
        from = colon + 1;
        let end = word_end(line, colon);
        let name = std::str::from_utf8(line.get(from..end)?).ok();
        let Some(kind) = name.and_then(Type::of) else {
            continue;
        };
        // White space and a process before it, and before that white space or the line's start.
        let before = line.get(..colon)?;
        let gap = before.iter().rev().take_while(|&&byte| blank(byte)).count();
        let process_end = colon - gap;
        let word = before.get(..process_end)?;
        let length = word.iter().rev().take_while(|&&byte| !blank(byte)).count();
        let process = word.get(process_end - length..)?;
        let number = process.iter().all(u8::is_ascii_digit);
        let named = number || process.first() == Some(&b':');
        if gap > 0 && length > 0 && named && blank(*line.get(end).unwrap_or(&b' ')) {
            return Some((process_end - length, process_end, end, kind));
        }
    }
}

fn blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r')
}

fn word_end(line: &[u8], at: usize) -> usize {
    let rest = line.get(at..).unwrap_or(&[]);
    at + rest
        .iter()
        .position(|&byte| blank(byte))
        .unwrap_or(rest.len())
}

/// The line here, without its end, and the offset of the next one. `None` at the end of the file.
pub fn line<'a>(c: &Cursor<'a>) -> Scan<Option<(&'a [u8], usize)>> {
    let rest = c.rest();
    match memchr::memchr(b'\n', rest) {
        Some(n) => Ok(Some((rest.get(..n).unwrap_or(&[]), c.at + n + 1))),
        None if !c.eof => Err(Halt::Need),
        None if rest.is_empty() => Ok(None),
        // A line without an end may have lost more than that.
        None if planted!("salvage-tail", c.salvage, false) => Err(Halt::Cut),
        None => Ok(Some((rest, c.bytes.len()))),
    }
}

impl Reader for Lines {
    fn record<S: Sink>(&mut self, c: &mut Cursor, base: u64, sink: &mut S) -> Scan<bool> {
        loop {
            let start = c.at;
            let Some((text, next)) = line(c)? else {
                return Ok(false);
            };
            if let Some(event) = event_of(text) {
                let mut inner = Cursor {
                    bytes: c.bytes.get(..start + text.len()).unwrap_or(&[]),
                    at: start,
                    eof: true,
                    salvage: false,
                };
                let found = self.event(&mut inner, base, event, sink);
                found.map_err(|halt| cut_is_bad(halt, start))?;
                c.at = next;
                return Ok(true);
            }
            let empty = text.iter().all(|&byte| is_space(byte));
            if !self.log && !empty {
                return Err(Halt::bad(start, "expected PROCESS :TYPE :F VALUE"));
            }
            c.at = next;
        }
    }

    fn lost(&mut self) {
        self.edn = Edn::default();
    }
}

/// A line that ends too early is wrong: the next line does not go on with it.
pub fn cut_is_bad(halt: Halt, start: usize) -> Halt {
    match halt {
        Halt::Bad(bad) => Halt::Bad(bad),
        Halt::Need | Halt::Cut => Halt::bad(start, "this line ends in the middle of a value"),
    }
}

impl Lines {
    fn event<S: Sink>(
        &mut self,
        c: &mut Cursor,
        base: u64,
        (from, to, behind, kind): (usize, usize, usize, Type),
        sink: &mut S,
    ) -> Scan<()> {
        let start = c.at;
        let mut fields = Fields::new(base + start as u64);
        fields.kind = Some(kind);
        let history = sink.history();
        c.at = start + from;
        let process = self.edn.value(c, &mut history.values)?;
        if c.at != start + to {
            return Err(Halt::bad(start + from, "process must be a number from 0"));
        }
        fields.set(Field::Process, process, start + from, history)?;
        c.at = start + behind;
        let f_at = c.at;
        let f = self.edn.value(c, &mut history.values)?;
        fields.set(Field::F, f, f_at, history)?;
        let mut rest = [Val::NONE; 2];
        for slot in &mut rest {
            self.edn.space(c, &mut history.values)?;
            if c.at < c.bytes.len() {
                *slot = self.edn.value(c, &mut history.values)?;
            }
        }
        let [mut value, mut error] = rest;
        let failed = matches!(kind, Type::Fail | Type::Info);
        if let (true, true, Look::Keyword(why)) =
            (failed, error.is_none(), history.values.look(value))
        {
            let read = history
                .fs
                .get(fields.event.f as usize)
                .is_some_and(|f| f == "read");
            if kind == Type::Fail && read && why == "timed-out" {
                fields.kind = Some(Type::Info);
            }
            (value, error) = (Val::NONE, value);
        }
        fields.set(Field::Value, value, start, history)?;
        if !error.is_none() {
            fields.set(Field::Error, error, start, history)?;
        }
        fields.send(start, sink)
    }
}
