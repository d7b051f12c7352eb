//! Which format a file has, by its content: the first block is looked at, never the name.

use super::jepsen::{block, test_file};
use super::lines::event_of;
use super::source::{Source, Window};
use crate::error::{Error, Result};

/// A format of histories.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// Jepsen's history.edn, Porcupine's kv text.
    Edn,
    /// events.jsonl, or an operation event a line.
    Jsonl,
    /// An array of operation events: elle-cli's.
    Json,
    /// Jepsen's history.txt.
    HistoryTxt,
    /// What Jepsen prints while it runs.
    Console,
    /// fastlin, PolyLin, fptlin.
    Spans,
    Limo,
    /// Jepsen's test.jepsen.
    Jepsen,
    /// Jepsen's old test.fressian.
    Fressian,
}

/// Names of the formats: the first of each is what it is called.
const NAMES: &[(&str, Format)] = &[
    ("edn", Format::Edn),
    ("porcupine-kv", Format::Edn),
    ("json", Format::Json),
    ("elle-cli", Format::Json),
    ("jsonl", Format::Jsonl),
    ("history-txt", Format::HistoryTxt),
    ("jepsen-console", Format::Console),
    ("fastlin", Format::Spans),
    ("fptlin", Format::Spans),
    ("polylin", Format::Spans),
    ("limo", Format::Limo),
    ("jepsen", Format::Jepsen),
    ("fressian", Format::Fressian),
];

impl Format {
    pub fn name(self) -> &'static str {
        let named = NAMES.iter().find(|(_, format)| *format == self);
        named.map_or("", |(name, _)| name)
    }

    /// It comes from Jepsen, where a read of nil says nothing.
    pub fn is_jepsen(self) -> bool {
        !matches!(self, Format::Jsonl | Format::Spans | Format::Limo)
    }

    /// It has no lines: a place in it is a byte.
    pub fn is_binary(self) -> bool {
        matches!(self, Format::Jepsen | Format::Fressian)
    }

    /// The format of a name.
    pub fn of(name: &str) -> Result<Format> {
        if let Some((_, format)) = NAMES.iter().find(|(known, _)| *known == name) {
            return Ok(*format);
        }
        let known: Vec<&str> = NAMES.iter().map(|(known, _)| *known).collect();
        let known = known.join(", ");
        Err(Error::new(format!(
            "there is no format {name:?} (known: {known})"
        )))
    }
}

/// The format of a source. An empty one is read as EDN.
pub fn detect(source: Source<'_>) -> Result<Format> {
    let window = Window::open(source)?;
    let bytes = window.bytes();
    if bytes.starts_with(block::MAGIC) {
        return Ok(Format::Jepsen);
    }
    if test_file::is_fressian(bytes) {
        return Ok(Format::Fressian);
    }
    let mut solid = bytes
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace() && *byte != b',');
    let Some(first) = solid.next() else {
        return Ok(Format::Edn);
    };
    let (second, third) = (solid.next().unwrap_or(0), solid.next().unwrap_or(0));
    let head = bytes.trim_ascii_start();
    let line = head.split(|&byte| byte == b'\n').next().unwrap_or(&[]);
    let found = match first {
        b'{' if matches!(second, b'"' | b'}') => Some(Format::Jsonl),
        b'[' if second == b'{' && third == b'"' => Some(Format::Json),
        b'[' if second == b']' && third == 0 => Some(Format::Json),
        b'[' if second.is_ascii_digit() => Some(Format::Limo),
        b'{' | b'[' | b'(' | b';' | b'^' => Some(Format::Edn),
        b'#' => Some(hash(line)),
        _ => lines(head, window.eof),
    };
    found.ok_or_else(|| {
        let known = "EDN, JSON, history.txt, a Jepsen log, test.jepsen, fastlin, fptlin, LiMo";
        Error::at_line(
            1,
            1,
            format!("this looks like no format that is known ({known})"),
        )
    })
}

/// A file that begins with a hash: a header of one word, or EDN.
fn hash(line: &[u8]) -> Format {
    let rest = line.get(1..).unwrap_or(&[]).trim_ascii();
    let word = |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'_');
    if rest.starts_with(b"@object") {
        Format::Limo
    } else if !rest.is_empty() && rest.iter().all(word) {
        Format::Spans
    } else {
        Format::Edn
    }
}

/// A file of lines: with Jepsen's events, or with spans.
fn lines(head: &[u8], eof: bool) -> Option<Format> {
    let mut plain = true;
    let mut lines = head.split(|&byte| byte == b'\n').peekable();
    while let Some(line) = lines.next() {
        // The last one may be a part of a line.
        if lines.peek().is_none() && !eof {
            break;
        }
        if let Some((at, ..)) = event_of(line) {
            let format = if plain && at == 0 {
                Format::HistoryTxt
            } else {
                Format::Console
            };
            return Some(format);
        }
        plain = plain && line.trim_ascii().is_empty();
    }
    let first = std::str::from_utf8(head.split(|&byte| byte == b'\n').next()?).ok()?;
    let words: Vec<&str> = first.split_ascii_whitespace().collect();
    let number = |at: usize| {
        words
            .get(at)
            .is_some_and(|word| word.parse::<i64>().is_ok())
    };
    let n = words.len();
    let spans = (4..=6).contains(&n)
        && ((number(0) && number(1) && number(2) && !number(3))
            || (number(n - 1) && number(n - 2) && (!number(0) || !number(1))));
    spans.then_some(Format::Spans)
}
