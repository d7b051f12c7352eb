//! What results of operations say: yes or no, empty, an element.

use crate::history::Outcome;
use crate::model::Class;
use crate::values::{Look, Val, Values};

/// Yes or no, written as a truth value or as 1 and 0.
pub fn flag(values: &Values, result: Val) -> Option<bool> {
    match values.look(result) {
        Look::Bool(yes) => Some(yes),
        Look::Int(1) => Some(true),
        Look::Int(0) => Some(false),
        _ => None,
    }
}

/// Whether an update says that it had an effect. A completion that only repeats what it was invoked
/// with, as Jepsen's do, says nothing; nor does one without a value.
pub fn effect(values: &Values, op: &Class) -> Result<Option<bool>, String> {
    if op.outcome != Outcome::Ok || op.result.is_none() || op.result.is_nil() || op.result == op.arg
    {
        return Ok(None);
    }
    match flag(values, op.result) {
        Some(yes) => Ok(Some(yes)),
        None => Err(format!(
            "result {} is neither true nor false",
            values.json(op.result)
        )),
    }
}

/// "There was nothing": nil, -1, or no value at all.
pub fn empty(values: &Values, result: Val) -> bool {
    if result.small().is_some() {
        return false;
    }
    matches!(values.look(result), Look::None | Look::Nil | Look::Int(-1))
}

/// The name of an operation without case and separators: "poll_first", "POLL-FIRST", "pollFirst".
pub fn plain(name: &str) -> String {
    name.chars()
        .filter(|c| *c != '-' && *c != '_')
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

/// The text of an operation in an error: `add 3`.
pub fn shown(values: &Values, f: &str, op: &Class) -> String {
    if op.arg.is_none() || op.arg.is_nil() {
        f.to_string()
    } else {
        format!("{f} {}", values.json(op.arg))
    }
}
