//! A model that a user wrote in Python. The search stays native: Python is asked once for each new
//! pair of a state and a class of operations, and its states are numbers here.
//!
//! Whoever asks takes the lock first and the GIL after it, and no thread of the engine holds the GIL
//! when it asks: so no two wait for each other, and nothing is asked twice.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use rustc_hash::FxHashMap;

use super::history::to_object;
use crate::budget::Budget;
use crate::history::{History, Outcome};
use crate::model::{Class, Model, Step};
use crate::values::Values;

/// A user's model (`checkers/models/user.py`).
pub struct UserModel {
    name: String,
    by_key: bool,
    by_process: bool,
    initial: u32,
    bridge: Py<PyAny>,
    budget: Budget,
    told: Mutex<Told>,
}

/// What Python has said so far.
#[derive(Default)]
struct Told {
    /// The number of a class in Python, and whether it is a read.
    classes: FxHashMap<Class, (u32, bool)>,
    /// The state after a class, `None` where it cannot happen.
    moves: FxHashMap<(u32, u32), Option<u32>>,
    /// What it raised; nothing is asked after that.
    failure: Option<String>,
}

impl UserModel {
    /// `bridge` is a `Bridge` of Python's; where it raises, `budget` is cancelled.
    pub fn new(bridge: &Bound<'_, PyAny>, budget: &Budget) -> PyResult<UserModel> {
        Ok(UserModel {
            name: bridge.getattr("name")?.extract()?,
            by_key: bridge.getattr("by_key")?.extract()?,
            by_process: bridge.getattr("by_process")?.extract()?,
            initial: bridge.getattr("initial")?.extract()?,
            bridge: bridge.clone().unbind(),
            budget: budget.clone(),
            told: Mutex::default(),
        })
    }

    /// What the user's code raised.
    pub fn failure(&self) -> Option<String> {
        self.told().failure.clone()
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ask Python, unless it failed before.
    fn ask<T>(&self, told: &mut Told, ask: impl FnOnce(Python<'_>) -> PyResult<T>) -> Option<T> {
        if told.failure.is_some() {
            return None;
        }
        match Python::attach(ask) {
            Ok(answer) => Some(answer),
            Err(error) => {
                let text = Python::attach(|py| error.value(py).to_string());
                told.failure = Some(text);
                self.budget.cancel();
                None
            }
        }
    }

    /// The number of a class, and whether it is a read.
    fn class(&self, told: &mut Told, history: &History, op: &Class) -> Option<(u32, bool)> {
        if let Some(&found) = told.classes.get(op) {
            return Some(found);
        }
        let found = self.ask(told, |py| {
            let value = |value| to_object(py, &history.values, value);
            let f = history.fs.get(op.f as usize).map_or("", String::as_str);
            let kind = match op.outcome {
                Outcome::Ok => "ok",
                Outcome::Info => "info",
                Outcome::Fail => "fail",
            };
            let process = if self.by_process {
                i64::from(op.process)
            } else {
                -1
            };
            let call = (
                f,
                value(op.arg)?,
                value(op.result)?,
                kind,
                value(op.key)?,
                process,
            );
            self.bridge
                .call_method1(py, "add", call)?
                .extract::<(u32, bool)>(py)
        })?;
        told.classes.insert(*op, found);
        Some(found)
    }
}

impl Model for UserModel {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn fs(&self) -> &[&'static str] {
        &[]
    }

    fn any_name(&self) -> bool {
        true
    }

    fn by_key(&self) -> bool {
        self.by_key
    }

    fn by_process(&self) -> bool {
        self.by_process
    }

    fn initial(&self, _: &Values) -> Vec<u32> {
        vec![self.initial]
    }

    fn step(&self, history: &History, state: &[u32], op: &Class, next: &mut Vec<u32>) -> Step {
        let &[state] = state else { return Step::No };
        let mut told = self.told();
        let Some((class, _)) = self.class(&mut told, history, op) else {
            return Step::No;
        };
        let after = match told.moves.get(&(state, class)) {
            Some(&after) => after,
            None => {
                let after = self.ask(&mut told, |py| {
                    let after = self.bridge.call_method1(py, "step", (state, class))?;
                    // -1 is no state.
                    Ok(u32::try_from(after.extract::<i64>(py)?).ok())
                });
                let Some(after) = after else { return Step::No };
                told.moves.insert((state, class), after);
                after
            }
        };
        match after {
            None => Step::No,
            Some(after) if after == state => Step::Same,
            Some(after) => {
                next.push(after);
                Step::To
            }
        }
    }

    fn is_read(&self, history: &History, op: &Class) -> bool {
        let mut told = self.told();
        self.class(&mut told, history, op)
            .is_some_and(|(_, read)| read)
    }

    fn is_blind(&self, _: &History, _: &Class) -> bool {
        false
    }

    fn accepts(&self, _: &History, _: &Class) -> Result<(), String> {
        Ok(())
    }

    fn accepts_all(&self, _: &str) -> bool {
        true
    }
}
