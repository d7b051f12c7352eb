//! Readers of histories that others recorded, found by content.

pub mod detect;
mod edn;
mod fields;
pub mod jepsen;
mod jepsen_edn;
mod json;
mod jsonl;
mod limo;
mod lines;
pub mod pair;
mod scan;
pub mod source;
mod spans;
pub mod text;

pub use detect::Format;
pub use pair::Odd;
pub use source::Source;

use crate::budget::Budget;
use crate::error::Result;
use crate::history::History;
use text::{End, How};

/// How a history is read.
#[derive(Clone, Copy, Default)]
pub struct Options {
    /// `None`: found by content.
    pub format: Option<Format>,
    /// A tail that is cut is left out, and so is whatever else cannot be read, which is a hole.
    pub salvage: bool,
}

/// The history of a file. Err has the place of what is wrong.
pub fn read(source: Source<'_>, options: &Options, budget: &Budget) -> Result<History> {
    let format = match options.format {
        Some(format) => format,
        None => detect::detect(source)?,
    };
    let located = |mut error: crate::error::Error| {
        if let crate::error::Place::Byte(at) = error.place {
            if !format.is_binary() {
                error.place = source.place(at);
            }
        }
        error
    };
    let how = How {
        salvage: options.salvage,
        lenient: false,
    };
    let read = match format {
        Format::Edn => text::history(&mut jepsen_edn::JepsenEdn::default(), source, how, budget),
        Format::Json => text::history(&mut jsonl::Jsonl::default(), source, how, budget),
        Format::HistoryTxt => text::history(&mut lines::Lines::new(false), source, how, budget),
        Format::Console => text::history(&mut lines::Lines::new(true), source, how, budget),
        Format::Spans => text::history(&mut spans::Spans::default(), source, how, budget),
        Format::Limo => text::history(&mut limo::Limo, source, how, budget),
        Format::Jepsen => jepsen::history_of_jepsen(source, how, budget),
        Format::Fressian => jepsen::history_of_fressian(source, how, budget),
    };
    let (mut history, odd, end) = read.map_err(located)?;
    history.format = format.name();
    history.holes = odd;
    if let End::Cut(at) = end {
        history.cut = Some(at);
    }
    Ok(history)
}
