//! How rows count in a certificate.

use crate::history::{History, Outcome, OPEN};
use crate::model::{Class, Model, Part};
use crate::values::Val;

/// How a row counts after the cut, and until when it can take effect. What returns after the cut
/// may take effect, or not; its result counts all the same, since a legal order of the whole history
/// has it there with that result.
pub fn part_of(history: &History, model: &dyn Model, row: u32, end: u32) -> (Part, u32) {
    let at = row as usize;
    if history.inv[at] >= end {
        return (Part::Drop, OPEN);
    }
    let class = Class::of(model, history, row as usize);
    let over = history.end(at);
    match model.part(history, &class) {
        Part::Must if over > end && model.is_read(history, &class) => (Part::Drop, OPEN),
        Part::Must if over > end => (Part::May, OPEN),
        Part::Must => (Part::Must, over),
        part => (part, OPEN),
    }
}

/// The class of a row that is not kept; `None` where it can be left out. A result that says no more
/// than that it was done is left out, so that there are fewer classes: what takes effect with such a
/// result also does without one.
pub fn free_class(history: &History, model: &dyn Model, row: u32) -> Option<Class> {
    let mut class = Class::of(model, history, row as usize);
    if model.part(history, &class) == Part::Drop || model.is_read(history, &class) {
        return None;
    }
    if class.outcome == Outcome::Ok && says_nothing(&class) {
        class.outcome = Outcome::Info;
        class.result = Val::NONE;
    }
    Some(class)
}

fn says_nothing(class: &Class) -> bool {
    let result = class.result;
    result.is_none() || result.is_nil() || result == Val::TRUE || result == class.arg
}
