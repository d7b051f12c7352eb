//! What Jepsen and Maelstrom leave on disk: `test.jepsen`, `test.fressian` and store directories.

pub mod block;
mod bytes;
mod events;
pub mod fressian;
pub mod store;
mod tags;
pub mod test_file;

#[cfg(test)]
mod tests;

use crate::values::{Look, Val, Values};

/// What a test says of itself beside its history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    pub name: Option<String>,
    pub workload: Option<String>,
    /// The top-level `:valid?` of its results: "true", "false" or "unknown". A label to show, and
    /// never a verdict of ours.
    pub valid: Option<String>,
    /// The file of its store directory that was read, from there, and those beside it that have the history too.
    pub file: Option<String>,
    pub others: Vec<String>,
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
