//! What a model is: the sequential object that a history is held against.
//!
//! A state is a slice of words, whatever the model likes to keep in them; the search interns states
//! and classes of operations as numbers and asks `step` once for each pair of them, so that a step
//! may be slow and states may be large.

use crate::budget::{Meter, Stop};
use crate::fast::staleness::Staleness;
use crate::history::{History, Outcome};
use crate::split::{self, Object};
use crate::values::{Val, Values};
use crate::verdict::{Answer, Finding};

/// Operations that no model can tell apart.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Class {
    /// Place of the name in the history's `fs`.
    pub f: u16,
    /// `NONE` unless the model's operations span keys (`Model::by_key` is false).
    pub key: Val,
    pub arg: Val,
    /// What it returned; `NONE` unless `outcome` is `Ok`.
    pub result: Val,
    pub outcome: Outcome,
    /// 0 unless the model asks who it was (`Model::by_process`).
    pub process: u32,
}

impl Class {
    /// The class of a row.
    #[inline]
    pub fn of(model: &dyn Model, history: &History, row: usize) -> Class {
        let outcome = history.outcome[row];
        let ok = outcome == Outcome::Ok;
        Class {
            f: history.f[row],
            key: if model.by_key() {
                Val::NONE
            } else {
                history.key[row]
            },
            arg: history.arg[row],
            result: if ok { history.result[row] } else { Val::NONE },
            outcome,
            process: if model.by_process() {
                history.process[row]
            } else {
                0
            },
        }
    }
}

/// What an operation does in a state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// It cannot happen here with this result.
    No,
    /// It can, and changes nothing.
    Same,
    /// It can; the state after it is in `next`.
    To,
}

/// How an operation counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// It takes effect between its invocation and its return.
    Must,
    /// It takes effect after its invocation, or never.
    May,
    /// It says nothing.
    Drop,
}

/// A sequential object. All methods are pure.
pub trait Model: Send + Sync {
    /// Its name with its options, so that `models::make` makes it again.
    fn name(&self) -> String;

    /// Names of its operations.
    fn fs(&self) -> &[&'static str];

    /// It takes operations of every name: `fs` says nothing.
    fn any_name(&self) -> bool {
        false
    }

    /// Each key is an object of its own (locality); else the whole history is one object.
    fn by_key(&self) -> bool {
        true
    }

    /// The objects of a history. A row that is in none of them says nothing.
    fn objects(&self, history: &History) -> Vec<Object> {
        if self.by_key() {
            split::by_key(history)
        } else {
            split::whole(history)
        }
    }

    /// Who does an operation matters: an owner of a lock.
    fn by_process(&self) -> bool {
        false
    }

    /// The state depends on which operations were done and not on their order.
    fn order_free(&self) -> bool {
        false
    }

    /// The state of an object of which nothing was asked.
    fn initial(&self, values: &Values) -> Vec<u32>;

    /// Apply an operation; `next` is empty at the call and holds the new state where the answer is
    /// `To`.
    fn step(&self, history: &History, state: &[u32], op: &Class, next: &mut Vec<u32>) -> Step;

    /// It never changes the state, whatever the state is.
    fn is_read(&self, history: &History, op: &Class) -> bool;

    /// It is legal in every state, and where it changes the state, the state after it does not
    /// depend on the one before: a plain write, a read whose result says nothing.
    fn is_blind(&self, history: &History, op: &Class) -> bool;

    /// Where an operation is legal in one state alone (a read with its value, a cas), that state
    /// is put into `state`. It spares the search to ask for it, and lets it see in one pass what
    /// nobody can have written; false is always right.
    fn only_in(&self, _: &History, _op: &Class, _state: &mut Vec<u32>) -> bool {
        false
    }

    /// An update that only adds to the state. All of them are legal in the same states, and in every
    /// state after one of them; what one has led to says `may_come`.
    fn adds(&self, _: &History, _op: &Class) -> bool {
        false
    }

    /// Whether the read may be legal in the state after `by` (an operation that adds; `None`: in
    /// the state itself), or after any more operations that add.
    fn may_come(&self, _: &History, _state: &[u32], _by: Option<&Class>, _read: &Class) -> bool {
        true
    }

    /// Whether `other` can depend on whether `update` happens. Take operations out of a legal order,
    /// all that belong to some classes: where none of these classes matters to an operation that
    /// is left, what is left must be a legal order again. It lets certificates be small: a write of
    /// 1 does not matter to a read of 2, nor an element of a queue to another one.
    fn matters(&self, _: &History, _update: &Class, _other: &Class) -> bool {
        true
    }

    /// How an operation counts.
    fn part(&self, history: &History, op: &Class) -> Part {
        match op.outcome {
            Outcome::Ok => Part::Must,
            Outcome::Fail => Part::Drop,
            Outcome::Info if self.is_read(history, op) => Part::Drop,
            Outcome::Info => Part::May,
        }
    }

    /// Err names an argument or a result that the model cannot read: asked once for each class.
    fn accepts(&self, history: &History, op: &Class) -> Result<(), String>;

    /// Whether `accepts` takes every operation of this name.
    fn accepts_all(&self, _f: &str) -> bool {
        false
    }

    /// Judge an object by a polynomial algorithm, where its condition holds (`fast/`).
    fn fast(&self, _: &History, _: &Object, _: &mut Meter) -> Result<Fast, Stop> {
        Ok(None)
    }

    /// How stale its reads were, where that can be said (`fast/staleness.rs`).
    fn staleness(&self, _: &History, _: &Object, _: &mut Meter) -> Result<Option<Staleness>, Stop> {
        Ok(None)
    }
}

/// A check that is one pass over the whole history and no search for an order: Jepsen's set, bank,
/// counter by bounds, unique ids, long fork.
pub trait Fold: Send + Sync {
    /// Its name with its options.
    fn name(&self) -> String;

    /// Names of its operations.
    fn fs(&self) -> &[&'static str];

    /// All violations, the plainest first; none where the history is legal.
    fn judge(&self, history: &History, meter: &mut Meter) -> Result<Vec<Finding>, Stop>;
}

/// What a name stands for.
pub enum Judge {
    Object(Box<dyn Model>),
    Fold(Box<dyn Fold>),
    /// Transactions: list-append or rw-register (`txn/`).
    Transactions(crate::spec::Spec),
}

/// What a model can say by an algorithm of its own: the algorithm's name and its answer, or `None`
/// where its condition does not hold and the general search has to do it.
pub type Fast = Option<(&'static str, Answer)>;
