//! What Jepsen and Maelstrom leave on disk: `test.jepsen`, `test.fressian` and store directories.

pub mod block;
mod events;
pub mod fressian;
mod tags;
pub mod test_file;

#[cfg(test)]
mod tests;

use std::io::Read;

use crate::budget::Budget;
use crate::error::{Error, Result};
use crate::history::History;
use crate::values::{Look, Val, Values};

use super::pair::{Odd, Pairer};
use super::source::Source;
use super::text::{End, How};

/// What a test says of itself beside its history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    pub name: Option<String>,
    pub workload: Option<String>,
    /// The top-level `:valid?` of its results: "true", "false" or "unknown". A label to show, and
    /// never a verdict of ours.
    pub valid: Option<String>,
}

impl About {
    /// An entry of the test's map.
    fn entry(&mut self, key: &str, value: Val, values: &Values) {
        let text = values.as_name(value).map(str::to_string);
        match key {
            "name" => self.name = text,
            "workload" | "workload-name" => self.workload = text.or(self.workload.take()),
            _ => {}
        }
    }

    /// The results as one map.
    fn results(&mut self, value: Val, values: &Values) {
        if let Look::Map(items) = values.look(value) {
            for pair in items.chunks_exact(2) {
                if values.as_name(pair[0]) == Some("valid?") {
                    self.valid = test_file::label(values, pair[1]);
                }
            }
        }
    }
}

/// The history of a `test.jepsen`, and what was left out.
pub fn history_of_jepsen(
    source: Source<'_>,
    how: How,
    budget: &Budget,
) -> Result<(History, Vec<Odd>, End)> {
    let mut pairer = Pairer::new(how.salvage || how.lenient);
    let (end, about) = test_file::read_jepsen(source, how.salvage, &mut pairer, budget)?;
    let (mut history, odd) = pairer.finish();
    history.about = about;
    Ok((history, odd, end))
}

/// The history of a `test.fressian`.
pub fn history_of_fressian(
    source: Source<'_>,
    how: How,
    budget: &Budget,
) -> Result<(History, Vec<Odd>, End)> {
    let mut pairer = Pairer::new(how.salvage || how.lenient);
    let read;
    let bytes = match source {
        Source::Bytes(bytes) => bytes,
        Source::Path(path) => {
            read = whole(path, budget)?;
            &read
        }
    };
    let about = test_file::read_fressian(bytes, &mut pairer, budget)?;
    let (mut history, odd) = pairer.finish();
    history.about = about;
    Ok((history, odd, End::Whole))
}

/// A file in memory: this old format is one value, of the size that Jepsen could hold in memory too.
fn whole(path: &std::path::Path, budget: &Budget) -> Result<Vec<u8>> {
    let wrong = |e: std::io::Error| Error::new(format!("cannot be read: {e}"));
    let mut file = std::fs::File::open(path).map_err(wrong)?;
    let size = file.metadata().map_err(wrong)?.len();
    budget.fits(size as usize)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(wrong)?;
    Ok(bytes)
}
