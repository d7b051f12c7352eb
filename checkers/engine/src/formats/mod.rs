//! Readers of histories that others recorded, found by content.

pub mod detect;
mod edn;
mod fields;
pub mod guess;
pub mod jepsen;
mod jepsen_edn;
mod json;
mod jsonl;
pub mod lift;
mod limo;
mod lines;
pub mod pair;
mod scan;
pub mod source;
mod spans;
mod template;
pub mod text;
pub mod write;

pub use detect::Format;
pub use pair::Odd;
pub use source::Source;

use crate::budget::{Budget, Stop};
use crate::error::{Error, Place, Result};
use crate::history::History;
use crate::spec::Spec;
use jepsen::{test_file, About};
use pair::{Pairer, Sink};
use text::End;

/// How a history is read.
#[derive(Clone, Copy, Default)]
pub struct Options {
    /// `None`: found by content.
    pub format: Option<Format>,
    /// A tail that is cut is left out, and so is whatever else cannot be read, which is a hole.
    pub salvage: bool,
    /// Every record goes through the general reader: slow, and no other answer.
    pub general: bool,
}

/// The history of a file. Err has the place of what is wrong.
pub fn read(source: Source<'_>, options: &Options, budget: &Budget) -> Result<History> {
    let format = match options.format {
        Some(format) => format,
        None => detect::detect(source)?,
    };
    let mut pairer = Pairer::new(options.salvage);
    let read = read_into(format, source, options, &mut pairer, budget);
    let (end, about) = read.map_err(|error| match error.stop {
        Some(Stop::Interrupted) => error,
        Some(stop) => {
            let events = pairer.history.events.max(pairer.history.len() as u32);
            let message = format!("{} ran out after {events} events were read", stop.text());
            Error { message, ..error }
        }
        None => located(error, format, source),
    })?;
    let (mut history, odd) = pairer.finish();
    history.about = about;
    history.format = format.name();
    history.holes = odd;
    if let End::Cut(at) = end {
        history.cut = Some(at);
    }
    Ok(history)
}

/// An error with its line and column, where the format has lines.
pub fn located(mut error: Error, format: Format, source: Source<'_>) -> Error {
    if let Place::Byte(at) = error.place {
        if !format.is_binary() {
            error.place = source.place(at);
        }
    }
    error
}

/// Read a source of that format into any sink. Returns how it ends and what it says of its test; an
/// error's place is a byte.
pub fn read_into<S: Sink>(
    format: Format,
    source: Source<'_>,
    options: &Options,
    sink: &mut S,
    budget: &Budget,
) -> Result<(End, About)> {
    let salvage = options.salvage;
    let mut edn = jepsen_edn::JepsenEdn::new(options.general);
    let mut json = jsonl::Jsonl::new(options.general);
    let end = match format {
        Format::Edn => text::drive(&mut edn, source, salvage, sink, budget),
        Format::Json | Format::Jsonl => text::drive(&mut json, source, salvage, sink, budget),
        Format::HistoryTxt | Format::Console => {
            let mut lines = lines::Lines::new(format == Format::Console);
            text::drive(&mut lines, source, salvage, sink, budget)
        }
        Format::Spans => text::drive(&mut spans::Spans::default(), source, salvage, sink, budget),
        Format::Limo => text::drive(&mut limo::Limo, source, salvage, sink, budget),
        Format::Jepsen => return test_file::read_jepsen(source, salvage, sink, budget),
        Format::Fressian => return test_file::read_fressian(source, sink, budget),
    };
    end.map(|end| (end, About::default()))
}

/// Guess the model of a history that is to be judged by `model`, or by the guess where that is
/// `None`, and lift its keys where that model has keys and its values are those of
/// jepsen.independent.
pub fn prepare(history: &mut History, model: Option<&Spec>) {
    let nil_is_unknown = Format::of(history.format).is_ok_and(Format::is_jepsen);
    let guessed = |history: &History| {
        let found = guess::guess(history, nil_is_unknown);
        found.unwrap_or_else(|error| guess::Guess {
            model: String::new(),
            reason: error.message,
        })
    };
    if let Some(mut lifted) = lift::lifted(history) {
        lifted.swap(history);
        let inner = guessed(history);
        let inner_spec = Spec::parse(&inner.model).ok();
        if model.or(inner_spec.as_ref()).is_some_and(lift::is_keyed) {
            history.guess = inner;
            history.lifted = true;
            return;
        }
        lifted.swap(history);
    }
    history.guess = guessed(history);
}
