//! Locks: mutex, reentrant mutex, semaphore, lock with fencing tokens.
//!
//! An acquisition that says 0 or false was refused: it saw that nothing could be had. Any other
//! result, or none, is a success.

use crate::budget::{Meter, Stop};
use crate::error::{Error, Result};
use crate::fast;
use crate::history::{History, Outcome};
use crate::model::{Class, Fast, Model, Step};
use crate::models::said;
use crate::spec::Spec;
use crate::split::Object;
use crate::values::{Look, Val, Values};

/// What an operation does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Does {
    Acquire,
    Release,
    /// Something done under a lock, with the token that the lock gave.
    Use,
}

/// Which lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lock {
    /// At most `cap` are out at once, `start` can be had at first; a mutex has one of one.
    Permits { start: u32, cap: u32 },
    /// One owner, which may take it again and again; state: owner, depth.
    Reentrant,
    /// One at a time; each acquisition returns a token that is larger than all before it. State:
    /// held, last token given, last token used.
    Fenced,
}

/// A lock.
pub struct Locking {
    pub name: &'static str,
    pub lock: Lock,
}

/// Tokens are kept one higher and as two words; none yet is 0.
pub type Token = u64;

/// The token that a value is.
pub fn token_of(values: &Values, value: Val) -> Option<Token> {
    match values.look(value) {
        Look::Int(number) if number >= 0 => (number as u64).checked_add(1),
        _ => None,
    }
}

fn word(state: &[u32], at: usize) -> u32 {
    state.get(at).copied().unwrap_or(0)
}

fn token_at(state: &[u32], at: usize) -> Token {
    u64::from(word(state, at)) << 32 | u64::from(word(state, at + 1))
}

impl Locking {
    pub fn make(spec: &Spec) -> Result<Locking> {
        let (name, lock) = match spec.name.as_str() {
            "semaphore" => ("semaphore", permits(spec)?),
            "reentrant-mutex" => ("reentrant-mutex", Lock::Reentrant),
            "fenced-lock" => ("fenced-lock", Lock::Fenced),
            _ => ("mutex", Lock::Permits { start: 1, cap: 1 }),
        };
        if name != "semaphore" {
            spec.only(&["init"])?;
            if !matches!(spec.get("init"), None | Some("free")) {
                return Err(Error::new(format!(
                    "model {}: init can only be free",
                    spec.name
                )));
            }
        }
        Ok(Locking { name, lock })
    }

    /// What the operation of a name does, `None` where there is no such operation.
    pub fn does(&self, name: &str) -> Option<Does> {
        Some(match (self.lock, said::plain(name).as_str()) {
            (_, "acquire" | "lock") => Does::Acquire,
            (_, "release" | "unlock") => Does::Release,
            (Lock::Permits { .. }, "decr" | "tryacquire") => Does::Acquire,
            (Lock::Permits { .. }, "incr") => Does::Release,
            (_, "tryacquire" | "trylock") => Does::Acquire,
            (Lock::Fenced, "use" | "write") => Does::Use,
            _ => return None,
        })
    }

    fn does_of(&self, history: &History, op: &Class) -> Option<Does> {
        self.does(&history.fs[op.f as usize])
    }

    /// What an operation does, by its place in the history's names.
    pub fn table(&self, history: &History) -> Vec<Option<Does>> {
        history.fs.iter().map(|name| self.does(name)).collect()
    }

    /// Whether an operation was refused, as its result says: 0 is the answer of one that was, except
    /// where it is a token.
    pub fn refused(&self, history: &History, does: Does, result: Val) -> bool {
        match (self.lock, does) {
            (Lock::Fenced, Does::Acquire | Does::Release) => result == Val::FALSE,
            (_, Does::Release) => false,
            _ => said::flag(&history.values, result) == Some(false),
        }
    }

    fn permits_step(state: &[u32], start: u32, cap: u32, does: Does, refused: bool) -> Left {
        let left = if state.is_empty() { start } else { state[0] };
        match (does, refused) {
            (Does::Acquire, true) => Left::stays(left == 0),
            (Does::Acquire, false) if left > 0 => Left::To(left - 1),
            (Does::Release, _) if left < cap => Left::To(left + 1),
            _ => Left::No,
        }
    }

    fn reentrant_step(state: &[u32], op: &Class, does: Does, refused: bool) -> Option<[u32; 2]> {
        let (owner, depth) = (word(state, 0), word(state, 1));
        let mine = depth > 0 && owner == op.process;
        match (does, refused) {
            (Does::Acquire, true) if depth > 0 && !mine => Some([owner, depth]),
            (Does::Acquire, false) if depth == 0 || mine => Some([op.process, depth + 1]),
            (Does::Release, _) if mine && depth == 1 => Some([0, 0]),
            (Does::Release, _) if mine => Some([owner, depth - 1]),
            _ => None,
        }
    }

    fn fenced_step(
        &self,
        history: &History,
        state: &[u32],
        op: &Class,
        does: Does,
    ) -> Option<[u32; 5]> {
        let values = &history.values;
        let (mut held, mut given, mut used) =
            (word(state, 0), token_at(state, 1), token_at(state, 3));
        let known = op.outcome == Outcome::Ok;
        let refused = known && self.refused(history, does, op.result);
        match does {
            Does::Acquire if refused => {
                if held == 0 {
                    return None;
                }
            }
            Does::Acquire => {
                // Nobody can show the token of an acquisition that told it to nobody: the least one
                // leaves the most possible.
                let token = token_of(values, op.result).unwrap_or(given.saturating_add(1));
                if held != 0 || token <= given {
                    return None;
                }
                (held, given) = (1, token);
            }
            // It says that its token is not the one that holds the lock. Without a token it says
            // nothing: who asks is not known.
            Does::Release if refused => {
                if held != 0 && token_of(values, op.arg) == Some(given) {
                    return None;
                }
            }
            Does::Release => {
                let token = token_of(values, op.arg);
                if held == 0 || token.is_some_and(|token| token != given) {
                    return None;
                }
                held = 0;
            }
            Does::Use => {
                let token = token_of(values, op.arg)?;
                if refused != (token < used) || token > given {
                    return None;
                }
                used = used.max(token);
            }
        }
        let (high, low) = (
            |token: Token| (token >> 32) as u32,
            |token: Token| token as u32,
        );
        Some([held, high(given), low(given), high(used), low(used)])
    }
}

/// What is left of the permits.
enum Left {
    No,
    Same,
    To(u32),
}

impl Left {
    fn stays(legal: bool) -> Left {
        if legal {
            Left::Same
        } else {
            Left::No
        }
    }
}

fn permits(spec: &Spec) -> Result<Lock> {
    spec.only(&["n", "init"])?;
    let number = |option: &str| match spec.get(option) {
        None => Ok(None),
        Some(text) => match text.parse::<u32>() {
            Ok(number) if number < u32::MAX => Ok(Some(number)),
            _ => Err(Error::new(format!(
                "model semaphore: {option}={text} is no number of permits"
            ))),
        },
    };
    match (number("n")?, number("init")?) {
        (None, None) => Err(Error::new(
            "model semaphore: write semaphore(n=N), or semaphore(init=N) where releases need no \
             acquisition before",
        )),
        (Some(n), None) => Ok(Lock::Permits { start: n, cap: n }),
        (None, Some(start)) => Ok(Lock::Permits {
            start,
            cap: u32::MAX,
        }),
        (Some(n), Some(start)) if start <= n => Ok(Lock::Permits { start, cap: n }),
        (Some(n), Some(start)) => Err(Error::new(format!(
            "model semaphore: init={start} is more than n={n}"
        ))),
    }
}

impl Model for Locking {
    fn name(&self) -> String {
        match self.lock {
            Lock::Permits { start, cap } if self.name == "semaphore" => {
                if cap == u32::MAX {
                    format!("semaphore(init={start})")
                } else if cap == start {
                    format!("semaphore(n={cap})")
                } else {
                    format!("semaphore(n={cap};init={start})")
                }
            }
            _ => self.name.to_string(),
        }
    }

    fn fs(&self) -> &[&'static str] {
        match self.lock {
            Lock::Permits { .. } if self.name == "semaphore" => &[
                "acquire",
                "release",
                "lock",
                "unlock",
                "try-acquire",
                "decr",
                "incr",
                "DECR",
                "INCR",
            ],
            Lock::Fenced => &[
                "acquire",
                "release",
                "lock",
                "unlock",
                "try-acquire",
                "try-lock",
                "use",
                "write",
            ],
            _ => &[
                "acquire",
                "release",
                "lock",
                "unlock",
                "try-acquire",
                "try-lock",
            ],
        }
    }

    fn by_process(&self) -> bool {
        self.lock == Lock::Reentrant
    }

    fn order_free(&self) -> bool {
        matches!(self.lock, Lock::Permits { .. })
    }

    fn initial(&self, _: &Values) -> Vec<u32> {
        match self.lock {
            Lock::Permits { start, .. } => vec![start],
            Lock::Reentrant => vec![0; 2],
            Lock::Fenced => vec![0; 5],
        }
    }

    fn step(&self, history: &History, state: &[u32], op: &Class, next: &mut Vec<u32>) -> Step {
        let Some(does) = self.does_of(history, op) else {
            return Step::No;
        };
        let refused = op.outcome == Outcome::Ok && self.refused(history, does, op.result);
        match self.lock {
            Lock::Permits { start, cap } => {
                match Self::permits_step(state, start, cap, does, refused) {
                    Left::No => return Step::No,
                    Left::Same => return Step::Same,
                    Left::To(left) => next.push(left),
                }
            }
            Lock::Reentrant => match Self::reentrant_step(state, op, does, refused) {
                None => return Step::No,
                Some(after) => next.extend(after),
            },
            Lock::Fenced => match self.fenced_step(history, state, op, does) {
                None => return Step::No,
                Some(after) => next.extend(after),
            },
        }
        if next == state {
            next.clear();
            Step::Same
        } else {
            Step::To
        }
    }

    fn is_read(&self, history: &History, op: &Class) -> bool {
        if op.outcome != Outcome::Ok {
            return false;
        }
        self.does_of(history, op)
            .is_some_and(|does| self.refused(history, does, op.result))
    }

    fn is_blind(&self, _: &History, _: &Class) -> bool {
        false
    }

    fn accepts(&self, history: &History, op: &Class) -> std::result::Result<(), String> {
        let values = &history.values;
        let f = &history.fs[op.f as usize];
        match self.does(f) {
            None => Err(format!("{} has no operation {f}", self.name())),
            Some(Does::Use) if token_of(values, op.arg).is_none() => Err(format!(
                "{}: the argument is no fencing token",
                said::shown(values, f, op)
            )),
            Some(Does::Acquire)
                if self.lock == Lock::Fenced
                    && op.outcome == Outcome::Ok
                    && token_of(values, op.result).is_none()
                    && values.look(op.result) != Look::Bool(false) =>
            {
                Err(format!(
                    "{f}: result {} is no fencing token",
                    values.json(op.result)
                ))
            }
            _ => Ok(()),
        }
    }

    fn fast(
        &self,
        history: &History,
        object: &Object,
        meter: &mut Meter,
    ) -> std::result::Result<Fast, Stop> {
        fast::locks::judge(self, history, object, meter)
    }
}
