//! What the engine finds out.

use crate::budget::Stop;
use crate::values::Val;

/// What was found of one object: a key, or the whole history.
pub enum Answer {
    /// It is legal: rows in an order that the model allows and that keeps real time. Rows that may
    /// never have happened and did not are left out.
    Legal(Vec<u32>),
    Illegal(Core),
    Unknown {
        why: Stop,
        /// So many returns, from the first on, are known to be legal.
        proven: u32,
        /// Returns in all.
        returns: u32,
    },
}

/// Why an object is illegal, before anything is minimised.
pub struct Core {
    /// The row whose return is not possible: no order exists of what was invoked before its return.
    /// That what returned earlier is legal is not said.
    pub blocked: u32,
    /// Rows that the algorithm can name as the reason; a first guess of the minimal sub-history,
    /// which may be empty.
    pub rows: Vec<u32>,
}

/// The answer for one object.
pub struct Keyed {
    /// `NONE` for the whole history.
    pub key: Val,
    /// Name of the algorithm: "search", "zones", "queue-intervals" ...
    pub algorithm: &'static str,
    pub answer: Answer,
    /// Configurations that the general search visited.
    pub visited: u64,
}

/// A violation that a fold found.
pub struct Finding {
    /// Name of the rule that is broken: "lost", "duplicate", "negative-balance" ...
    pub rule: &'static str,
    /// The rows that show it, in order: a minimal sub-history in which it is still broken.
    pub rows: Vec<u32>,
    /// One sentence; "(1)" is the first of `rows`.
    pub text: String,
}
