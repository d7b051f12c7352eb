//! Registers: one value that is written, read, and compared and set.
//!
//! The state is the value that the register holds. Options:
//!
//! ```text
//!  init=VALUE             what it holds at first: JSON, or a bare word; nil by default
//!                         (0 for rmw-register)
//!  nil=absent|unknown     an ok read of nil saw that nothing is there (default), or says nothing
//!  failed-cas=dropped|asserts
//!                         a cas that failed says nothing (default), or that another value was there
//! ```

use super::start::{self, Typed};
use crate::budget::{Meter, Stop};
use crate::error::Result;
use crate::fast::register::{self, Kind, Rules};
use crate::fast::staleness::Staleness;
use crate::history::{History, Outcome};
use crate::model::{Class, Fast, Model, Part, Step};
use crate::spec::Spec;
use crate::split::Object;
use crate::values::{Val, Values};

/// What an operation asks of a register.
enum Act {
    Read,
    Write,
    /// It sets the second value where the first one is.
    Cas(Val, Val),
    /// It takes its place where another value than this one is.
    Not(Val),
    /// Its argument cannot be read.
    Wrong,
}

/// The kind of register: which operations it has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flavour {
    Plain,
    Cas,
    Rmw,
}

pub struct Register {
    flavour: Flavour,
    name: String,
    init: Typed,
    nil_is_unknown: bool,
    failed_cas_asserts: bool,
}

impl Register {
    pub fn make(spec: &Spec) -> Result<Register> {
        let (flavour, known): (_, &[&str]) = match spec.name.as_str() {
            "register" => (Flavour::Plain, &["init", "nil"]),
            "cas-register" => (Flavour::Cas, &["init", "nil", "failed-cas"]),
            _ => (Flavour::Rmw, &["init", "nil"]),
        };
        spec.only(known)?;
        let usual = if flavour == Flavour::Rmw { "0" } else { "nil" };
        let failed_cas = start::word(spec, "failed-cas", &["dropped", "asserts"])?;
        Ok(Register {
            flavour,
            name: start::named(spec),
            init: Typed::parse(spec.get("init").unwrap_or(usual)),
            nil_is_unknown: start::nil_unknown(spec)?,
            failed_cas_asserts: failed_cas == "asserts",
        })
    }

    fn rules(&self, values: &Values) -> Rules {
        Rules {
            initial: self.init.find(values),
            nothing: Val::NIL,
            nil_unknown: self.nil_is_unknown,
            failed_cas_asserts: self.failed_cas_asserts,
        }
    }

    fn kind(f: &str) -> Kind {
        match f {
            "read" | "READ" => Kind::Read,
            "write" | "WRITE" => Kind::Write,
            _ => Kind::Cas,
        }
    }

    fn act(&self, history: &History, op: &Class) -> Act {
        let name = history.fs.get(op.f as usize).map_or("", String::as_str);
        let pair = || match history.values.as_list(op.arg) {
            Some(&[from, to]) => Some((from, to)),
            _ => None,
        };
        match name {
            "read" | "READ" => Act::Read,
            "write" | "WRITE" => Act::Write,
            _ => match pair() {
                None => Act::Wrong,
                Some((from, to)) => match op.outcome {
                    Outcome::Fail => Act::Not(from),
                    Outcome::Ok if op.result == Val::FALSE => Act::Not(from),
                    _ => Act::Cas(from, to),
                },
            },
        }
    }

    /// What a read saw; `None` where its result says nothing.
    fn seen(&self, op: &Class) -> Option<Val> {
        if op.outcome != Outcome::Ok {
            return None;
        }
        if op.result.is_nil() || op.result.is_none() {
            return (!self.nil_is_unknown).then_some(Val::NIL);
        }
        Some(op.result)
    }
}

impl Model for Register {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn fs(&self) -> &[&'static str] {
        match self.flavour {
            Flavour::Plain => &["read", "write"],
            Flavour::Cas => &["read", "write", "cas"],
            Flavour::Rmw => &[
                "read",
                "write",
                "rmw",
                "READ",
                "WRITE",
                "READ_MODIFY_WRITE",
                "read-modify-write",
            ],
        }
    }

    fn initial(&self, values: &Values) -> Vec<u32> {
        vec![self.init.find(values).0]
    }

    fn step(&self, history: &History, state: &[u32], op: &Class, next: &mut Vec<u32>) -> Step {
        let held = Val(state.first().copied().unwrap_or(Val::NIL.0));
        let set = |next: &mut Vec<u32>, value: Val| {
            if value == held {
                return Step::Same;
            }
            next.push(value.0);
            Step::To
        };
        match self.act(history, op) {
            Act::Read => match self.seen(op) {
                Some(value) if value != held => Step::No,
                _ => Step::Same,
            },
            Act::Write => set(next, op.arg),
            Act::Cas(from, to) if from == held => set(next, to),
            Act::Not(from) if from != held => Step::Same,
            _ => Step::No,
        }
    }

    fn is_read(&self, history: &History, op: &Class) -> bool {
        match self.act(history, op) {
            Act::Read | Act::Not(_) => true,
            Act::Cas(from, to) => from == to,
            Act::Write | Act::Wrong => false,
        }
    }

    fn is_blind(&self, history: &History, op: &Class) -> bool {
        match self.act(history, op) {
            Act::Write => true,
            Act::Read => self.seen(op).is_none(),
            _ => false,
        }
    }

    fn only_in(&self, history: &History, op: &Class, state: &mut Vec<u32>) -> bool {
        let value = match self.act(history, op) {
            Act::Read => self.seen(op),
            Act::Cas(from, _) => Some(from),
            _ => None,
        };
        state.extend(value.map(|value| value.0));
        value.is_some()
    }

    /// What nothing looks for might as well never have been there.
    fn matters(&self, history: &History, update: &Class, other: &Class) -> bool {
        let set = match self.act(history, update) {
            Act::Write => update.arg,
            Act::Cas(_, to) => to,
            _ => return false,
        };
        match self.act(history, other) {
            Act::Read => self.seen(other) == Some(set),
            Act::Cas(from, _) => from == set,
            Act::Not(from) => from != set,
            Act::Write | Act::Wrong => false,
        }
    }

    fn part(&self, history: &History, op: &Class) -> Part {
        match op.outcome {
            Outcome::Ok => Part::Must,
            Outcome::Fail => match self.act(history, op) {
                Act::Not(_) if self.failed_cas_asserts => Part::Must,
                _ => Part::Drop,
            },
            Outcome::Info if self.is_read(history, op) => Part::Drop,
            Outcome::Info => Part::May,
        }
    }

    fn accepts_all(&self, f: &str) -> bool {
        matches!(f, "read" | "READ" | "write" | "WRITE")
    }

    fn accepts(&self, history: &History, op: &Class) -> std::result::Result<(), String> {
        match self.act(history, op) {
            Act::Wrong => Err(format!(
                "{} takes [expected, new], not {}",
                history.fs[op.f as usize],
                history.values.json(op.arg)
            )),
            _ => Ok(()),
        }
    }

    /// Each value written once: zones, and chains of cas.
    fn fast(
        &self,
        history: &History,
        object: &Object,
        meter: &mut Meter,
    ) -> std::result::Result<Fast, Stop> {
        let rules = self.rules(&history.values);
        register::judge(history, object, rules, Self::kind, meter)
    }

    fn staleness(
        &self,
        history: &History,
        object: &Object,
        meter: &mut Meter,
    ) -> std::result::Result<Option<Staleness>, Stop> {
        let rules = self.rules(&history.values);
        register::staleness(history, object, rules, Self::kind, meter)
    }
}
