//! Certificates: the smallest part of a history that is still illegal, in a form that separate
//! programs can check.
//!
//! Minimising only weakens, so that what is left accuses nobody who is innocent:
//!
//!   - what was invoked after the last return that is kept is cut off;
//!   - an operation that changes nothing may go;
//!   - any other operation that is not kept is *free*: it may take effect or not, at any time but
//!     for the gaps that the certificate names, and as often as there are such operations; where
//!     `repeat` is set, any number of times.
//!
//! A gap is a time in which no free operation of one class was under way. Every legal order of the
//! history is a legal order of what is left: take from it what the cut leaves and drop what is no
//! longer asked for. So if what is left has none, neither has the history.

mod classes;
mod minimise;
mod replay;
#[cfg(test)]
mod tests;
mod verify;
mod weak;

use crate::model::Class;
use crate::values::Val;

pub use classes::free_class;
pub use minimise::minimise;
pub use replay::replay;
pub use verify::{verify, Checked};

/// No free operation of a class was under way between two positions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    pub class: Class,
    /// The return after which it begins, and the row that returned there; `None`: the beginning.
    pub after: Option<(u32, u32)>,
    /// The invocation before which it ends, and its row; `None`: the end.
    pub before: Option<(u32, u32)>,
}

/// Why an object is illegal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    pub key: Val,
    pub model: String,
    /// The history is cut after this position: the return of `blocked`.
    pub end: u32,
    /// Rows that are kept as they are, up to the cut, in order.
    pub kept: Vec<u32>,
    pub gaps: Vec<Gap>,
    /// A free operation may take effect any number of times.
    pub repeat: bool,
    /// The row among `kept` that returns last: its return is not possible.
    pub blocked: u32,
    /// One more weakening of any kind named above makes it legal. False where that would have taken
    /// too long to find out.
    pub minimal: bool,
}
