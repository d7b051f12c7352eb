//! Explains before anything is judged: what in a history, or in its file, makes a verdict impossible
//! or misleading.
//!
//! `of_history` looks at columns alone and is cheap enough to stand before every check. `of_file`
//! reads the file itself, takes all that does not fit, and knows lines and indices as well.

mod file;
mod rules;
mod seen;
mod values;

use crate::budget::Budget;
use crate::error::{Place, Result};
use crate::formats::Odd;
use crate::history::History;
use crate::values::json_string;

pub use file::of_file;

/// Places of a finding that are kept.
const SHOWN: usize = 5;

/// How much a finding matters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    /// The history cannot be judged as it is.
    Error,
    /// A verdict may mislead.
    Warning,
    Note,
}

impl Severity {
    pub fn text(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        }
    }
}

/// What a rule found: all its cases in one.
#[derive(Clone, Debug, PartialEq)]
pub struct Lint {
    pub code: &'static str,
    pub severity: Severity,
    pub count: u64,
    /// The first few of the rows and of the events that show it; which of the two depends on the
    /// rule, and either may be empty.
    pub rows: Vec<u32>,
    pub events: Vec<u32>,
    /// Where in the file, where that was looked at.
    pub places: Vec<Place>,
    /// One sentence with the number of cases and the first one.
    pub text: String,
}

impl Lint {
    fn new(code: &'static str, severity: Severity) -> Lint {
        Lint {
            code,
            severity,
            count: 0,
            rows: Vec::new(),
            events: Vec::new(),
            places: Vec::new(),
            text: String::new(),
        }
    }

    /// One more case, shown by a row at one of its events.
    fn case(&mut self, row: usize, event: u32) {
        self.count += 1;
        if self.rows.len() < SHOWN {
            self.rows.push(row as u32);
            self.events.push(event);
        }
    }

    /// The finding with its sentence, where there was a case.
    fn told(mut self, tell: impl FnOnce(&Lint) -> String) -> Option<Lint> {
        if self.count == 0 {
            return None;
        }
        self.text = tell(&self);
        Some(self)
    }

    fn write_json(&self, out: &mut String) {
        use std::fmt::Write;
        let severity = self.severity.text();
        let _ = write!(
            out,
            r#"{{"code":"{}","severity":"{severity}","count":{},"rows":{:?},"events":{:?},"places":["#,
            self.code, self.count, self.rows, self.events
        );
        for (i, place) in self.places.iter().enumerate() {
            let _ = match place {
                Place::Line { line, column } => write!(out, r#""{line}:{column}""#),
                Place::Byte(byte) => write!(out, r#""byte {byte}""#),
                Place::Nowhere => write!(out, r#""""#),
            };
            out.push_str(if i + 1 < self.places.len() { "," } else { "" });
        }
        out.push_str(r#"],"text":"#);
        json_string(&self.text, out);
        out.push('}');
    }
}

/// Findings as a JSON array, the gravest first.
pub fn json(found: &[Lint]) -> String {
    let mut out = String::from("[");
    for (i, lint) in found.iter().enumerate() {
        out.push_str(if i > 0 { "," } else { "" });
        lint.write_json(&mut out);
    }
    out.push(']');
    out
}

/// What the columns of a history show, the gravest first.
pub fn of_history(history: &History, budget: &Budget) -> Result<Vec<Lint>> {
    let mut found = rules::all(history, budget)?;
    // What salvage left out is no obstacle any more: the verdict takes it into account.
    found.extend(of_odd(&history.holes, Severity::Warning));
    found.extend(history.cut.map(cut));
    found.sort_by_key(|lint| lint.severity);
    Ok(found)
}

/// The file ends in the middle.
fn cut(at: u64) -> Lint {
    let mut lint = Lint::new("cut", Severity::Warning);
    lint.count = 1;
    lint.places.push(Place::Byte(at));
    lint.text =
        format!("the file was cut off at byte {at}: what is read is a prefix of the history");
    lint
}

/// What did not fit when the file was read, a finding for each rule.
fn of_odd(odd: &[Odd], severity: Severity) -> Vec<Lint> {
    const TOLD: [(&str, &str); 6] = [
        ("unreadable", "cannot be read"),
        ("no-invocation", "completions without an invocation"),
        (
            "still-open",
            "invocations of a process whose operation is still open",
        ),
        ("other-name", "completions of another f than was invoked"),
        ("other-key", "completions of another key than was invoked"),
        ("", "events that do not fit"),
    ];
    let mut found: Vec<Lint> = Vec::new();
    for odd in odd {
        let at = found.iter().position(|lint| lint.code == odd.rule);
        let at = at.unwrap_or_else(|| {
            found.push(Lint::new(odd.rule, severity));
            found.len() - 1
        });
        let lint = &mut found[at];
        lint.count += 1;
        if lint.places.len() < SHOWN {
            lint.places.push(Place::Byte(odd.at));
        }
        if lint.text.is_empty() {
            lint.text.clone_from(&odd.text);
        }
    }
    for lint in &mut found {
        let told = TOLD.iter().find(|(rule, _)| [lint.code, ""].contains(rule));
        let what = told.map_or("", |(_, what)| what);
        let first = std::mem::take(&mut lint.text);
        lint.text = match (lint.code, lint.count) {
            ("unreadable", 1) => format!("a part cannot be read: {first}"),
            ("unreadable", n) => format!("{n} parts cannot be read, the first: {first}"),
            (_, 1) => format!("{first} ({what})"),
            (_, n) => format!("{n} {what}, the first: {first}"),
        };
    }
    found
}

#[cfg(test)]
mod tests;
