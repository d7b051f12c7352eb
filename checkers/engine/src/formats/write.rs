//! Writes a history in a text form that others read: event by event, in the order in which they
//! happened, and never over a file that is there.
//!
//! What is written reads as the same columns. JSON has no keywords, sets and keys that are no
//! strings: there they become strings and lists, as everywhere where a history is shown.

use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::path::Path;

use crate::budget::Budget;
use crate::error::{Error, Result};
use crate::history::{Fault, History, Outcome, NO_TIME, OPEN};
use crate::planted;
use crate::values::{json_string, Look, Val, Values};

use super::pair::PROCESS_END;

/// A form to write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// An object a line, as in our events.jsonl.
    Jsonl,
    /// Jepsen's history.edn: a map a line.
    Edn,
    /// An array of objects, as elle-cli takes it.
    Json,
}

const FORMS: [(&str, Form); 3] = [
    ("jsonl", Form::Jsonl),
    ("edn", Form::Edn),
    ("json", Form::Json),
];

impl Form {
    pub fn name(self) -> &'static str {
        let named = FORMS.iter().find(|(_, form)| *form == self);
        named.map_or("", |(name, _)| name)
    }

    /// The form of a name.
    pub fn of(name: &str) -> Result<Form> {
        let found = FORMS.iter().find(|(known, _)| *known == name);
        found.map(|(_, form)| *form).ok_or_else(|| {
            let known = "jsonl, edn, json (elle-cli)";
            Error::new(format!(
                "there is no form {name:?} to write (known: {known})"
            ))
        })
    }

    /// The form that a file's name asks for.
    pub fn of_path(path: &Path) -> Result<Form> {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
        let found = FORMS.iter().find(|(known, _)| *known == extension);
        found.map(|(_, form)| *form).ok_or_else(|| {
            Error::new("its name does not say what to write: .jsonl, .edn, .json, or --to FORM")
        })
    }
}

/// Write a history into a new file. Err, with nothing left behind, where there is one already.
/// Returns the number of events.
pub fn write_file(history: &History, form: Form, path: &Path, budget: &Budget) -> Result<u64> {
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    let file = file.map_err(|e| match e.kind() {
        std::io::ErrorKind::AlreadyExists => Error::new("is there already, and stays as it is"),
        _ => Error::new(format!("cannot be written: {e}")),
    })?;
    let mut out = BufWriter::with_capacity(1 << 18, file);
    let written = write(history, form, &mut out, budget).and_then(|events| {
        let flushed = out.flush();
        flushed.map_err(|e| Error::new(format!("cannot be written: {e}")))?;
        Ok(events)
    });
    if written.is_err() {
        // Half a history would read as a whole one. The file is ours: it was not there before.
        let _ = std::fs::remove_file(path);
    }
    written
}

/// Write a history. Returns the number of events.
pub fn write(history: &History, form: Form, out: &mut dyn Write, budget: &Budget) -> Result<u64> {
    let mut meter = budget.meter();
    let returns = returns(history, budget)?;
    let mut lines = Lines {
        history,
        form,
        out,
        free: free_process(history),
        line: String::new(),
        events: 0,
    };
    lines.raw(if form == Form::Json { "[" } else { "" })?;
    let mut returns = returns.iter().copied().peekable();
    let mut faults = history.faults.iter().peekable();
    let mut row = 0;
    while row < history.len() || returns.peek().is_some() {
        meter.tick()?;
        let next = returns.peek().map(|&row| history.ret[row as usize]);
        let invoked = history.inv.get(row).copied();
        let first = next.unwrap_or(OPEN).min(invoked.unwrap_or(OPEN));
        while let Some(fault) = faults.next_if(|fault| fault.position <= first) {
            lines.fault(fault)?;
        }
        // A return before an invocation at the same place: the one precedes the other.
        if next.is_some_and(|ret| invoked.is_none_or(|inv| ret <= inv)) {
            if let Some(done) = returns.next() {
                lines.completion(done as usize)?;
            }
        } else {
            lines.invocation(row)?;
            row += 1;
        }
    }
    for fault in faults {
        lines.fault(fault)?;
    }
    lines.raw(if form == Form::Json { "]\n" } else { "" })?;
    Ok(lines.events)
}

/// Rows that returned, in the order of their returns.
fn returns(history: &History, budget: &Budget) -> Result<Vec<u32>> {
    budget.fits(history.len() * 4)?;
    let mut rows: Vec<u32> = (0..history.len() as u32)
        .filter(|&row| history.ret[row as usize] != OPEN)
        .collect();
    rows.sort_unstable_by_key(|&row| (history.ret[row as usize], row));
    Ok(rows)
}

/// Processes from here on are of operations that had none.
fn free_process(history: &History) -> u32 {
    let named = history
        .process
        .iter()
        .filter(|&&process| process < PROCESS_END);
    named.max().map_or(0, |&process| process + 1)
}

struct Lines<'a> {
    history: &'a History,
    form: Form,
    out: &'a mut dyn Write,
    free: u32,
    line: String,
    events: u64,
}

impl Lines<'_> {
    fn raw(&mut self, text: &str) -> Result<()> {
        let written = self.out.write_all(text.as_bytes());
        written.map_err(|e| Error::new(format!("cannot be written: {e}")))
    }

    fn invocation(&mut self, row: usize) -> Result<()> {
        let h = self.history;
        self.begin();
        self.client(row, "invoke");
        self.value("value", h.arg[row]);
        self.time(h.inv_ns[row]);
        self.optional("node", h.node.get(row));
        self.end()
    }

    fn completion(&mut self, row: usize) -> Result<()> {
        let h = self.history;
        self.begin();
        self.client(
            row,
            match h.outcome[row] {
                Outcome::Ok => "ok",
                Outcome::Fail => "fail",
                Outcome::Info => planted!("convert-info-ok", "info", "ok"),
            },
        );
        self.optional("value", Some(&h.result[row]));
        self.time(h.ret_ns[row]);
        self.optional("error", h.error.get(row));
        if let Some(&hint) = h.hint.get(row).filter(|&&hint| hint >= 0) {
            self.hint(hint);
        }
        self.end()
    }

    fn fault(&mut self, fault: &Fault) -> Result<()> {
        self.begin();
        match self.form {
            Form::Edn => self.line.push_str("{:process :nemesis, :type :info"),
            _ => self.line.push_str(r#"{"process":"nemesis","type":"info""#),
        }
        self.name("f", &fault.f);
        self.value("value", fault.value);
        self.time(fault.time_ns);
        self.end()
    }

    /// Who did what: process, type, f and key.
    fn client(&mut self, row: usize, kind: &str) {
        use std::fmt::Write;
        let h = self.history;
        let process = match h.process[row].checked_sub(PROCESS_END) {
            Some(nobody) => self.free.saturating_add(nobody),
            None => h.process[row],
        };
        let _ = match self.form {
            Form::Edn => write!(self.line, "{{:process {process}, :type :{kind}"),
            _ => write!(self.line, r#"{{"process":{process},"type":"{kind}""#),
        };
        self.name("f", h.f_of(row));
        self.optional("key", Some(&h.key[row]));
    }

    fn field(&mut self, name: &str) {
        match self.form {
            Form::Edn => {
                self.line.push_str(", :");
                self.line.push_str(name);
                self.line.push(' ');
            }
            _ => {
                self.line.push_str(",\"");
                self.line.push_str(name);
                self.line.push_str("\":");
            }
        }
    }

    fn name(&mut self, field: &str, name: &str) {
        self.field(field);
        match self.form {
            Form::Edn => edn_keyword(name, &mut self.line),
            _ => json_string(name, &mut self.line),
        }
    }

    fn value(&mut self, field: &str, value: Val) {
        self.field(field);
        match self.form {
            Form::Edn => write_edn(&self.history.values, value, &mut self.line),
            _ => self.history.values.write_json(value, &mut self.line),
        }
    }

    fn optional(&mut self, field: &str, value: Option<&Val>) {
        if let Some(&value) = value.filter(|value| !value.is_none()) {
            self.value(field, value);
        }
    }

    fn time(&mut self, time: i64) {
        use std::fmt::Write;
        if time != NO_TIME {
            self.field("time");
            let _ = write!(self.line, "{time}");
        }
    }

    /// The server's order, in the field that our own events have for it.
    fn hint(&mut self, hint: i64) {
        use std::fmt::Write;
        self.field("x");
        let _ = match self.form {
            Form::Edn => write!(self.line, "{{:rev {hint}}}"),
            _ => write!(self.line, r#"{{"rev":{hint}}}"#),
        };
    }

    fn begin(&mut self) {
        self.line.clear();
        if self.form == Form::Json && self.events > 0 {
            self.line.push_str(",\n");
        }
    }

    fn end(&mut self) -> Result<()> {
        use std::fmt::Write;
        // Elle wants an index of each operation; in a file of lines it is the number of the line.
        if self.form == Form::Json {
            let _ = write!(self.line, ",\"index\":{}", self.events);
        }
        self.line.push('}');
        if self.form != Form::Json {
            self.line.push('\n');
        }
        self.events += 1;
        let line = std::mem::take(&mut self.line);
        let written = self.raw(&line);
        self.line = line;
        written
    }
}

/// Text that reads back as a keyword of that name, or as a string where no keyword can have it.
fn edn_keyword(name: &str, out: &mut String) {
    let plain = |c: char| c.is_alphanumeric() || "-_./*+!?<>=&%$|'".contains(c);
    if name.is_empty() || !name.chars().all(plain) {
        json_string(name, out);
        return;
    }
    out.push(':');
    out.push_str(name);
}

/// A value as EDN.
pub fn write_edn(values: &Values, value: Val, out: &mut String) {
    use std::fmt::Write;
    match values.look(value) {
        Look::None | Look::Nil => out.push_str("nil"),
        Look::Bool(yes) => out.push_str(if yes { "true" } else { "false" }),
        Look::Int(number) => {
            let _ = write!(out, "{number}");
        }
        Look::Big(text) => {
            out.push_str(text);
            out.push('N');
        }
        Look::Float(number) if number.is_nan() => out.push_str("##NaN"),
        Look::Float(number) if number.is_infinite() => {
            out.push_str(if number > 0.0 { "##Inf" } else { "##-Inf" });
        }
        Look::Float(number) => {
            let _ = write!(out, "{number:?}");
        }
        Look::Str(text) => json_string(text, out),
        Look::Keyword(name) => edn_keyword(name, out),
        Look::List(items) => all_edn(values, items, "[", "]", out),
        Look::Set(items) => all_edn(values, items, "#{", "}", out),
        Look::Map(items) => all_edn(values, items, "{", "}", out),
    }
}

fn all_edn(values: &Values, items: &[Val], open: &str, close: &str, out: &mut String) {
    out.push_str(open);
    for (i, &item) in items.iter().enumerate() {
        if i > 0 {
            out.push(' ');
        }
        write_edn(values, item, out);
    }
    out.push_str(close);
}

#[cfg(test)]
#[path = "write_tests.rs"]
mod tests;
