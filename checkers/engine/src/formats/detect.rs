//! Which format a file has, by its content.

use super::source::{Source, Window};
use crate::error::{Error, Result};

/// A format of histories.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// Jepsen's history.edn, Porcupine's kv text.
    Edn,
    /// events.jsonl, an operation event a line, an array of them.
    Json,
}

impl Format {
    pub fn name(self) -> &'static str {
        match self {
            Format::Edn => "edn",
            Format::Json => "json",
        }
    }

    /// The format of a name.
    pub fn of(name: &str) -> Result<Format> {
        match name {
            "edn" => Ok(Format::Edn),
            "json" => Ok(Format::Json),
            _ => Err(Error::new(format!(
                "there is no format {name:?} (known: edn, json)"
            ))),
        }
    }
}

/// The format of a source. An empty one is read as EDN.
pub fn detect(source: Source<'_>) -> Result<Format> {
    let window = Window::open(source)?;
    let bytes = window.bytes();
    let mut solid = bytes.iter().filter(|byte| !byte.is_ascii_whitespace());
    Ok(match (solid.next(), solid.next(), solid.next()) {
        (Some(b'{'), Some(b'"' | b'}'), _) | (Some(b'['), Some(b'{'), Some(b'"')) => Format::Json,
        _ => Format::Edn,
    })
}
