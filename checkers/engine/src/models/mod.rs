//! The models, by name: a line of `make` each, a file for each family.

pub mod counters;
pub mod folds_money;
pub mod folds_sets;
pub mod kv;
pub mod locks;
pub mod logs;
pub mod multi;
pub mod queues;
pub mod register;
pub mod said;
pub mod sets;
pub mod start;
pub mod tallies;

use crate::error::{Error, Result};
use crate::model::{Fold, Judge, Model};
use crate::spec::Spec;

use counters::Counter;
use folds_money::{Bank, Lease, LongFork};
use folds_sets::{JepsenSet, SetFull, TotalQueue};
use kv::Kv;
use locks::Locking;
use logs::{Append, Log};
use multi::MultiRegister;
use queues::{Collection, Flavour};
use register::Register;
use sets::Set;
use tallies::{CounterBounds, Leader, UniqueIds};

/// The model of a name. Err names what is wrong with it.
pub fn make(spec: &Spec) -> Result<Judge> {
    Ok(match spec.name.as_str() {
        "register" | "cas-register" | "rmw-register" => object(Register::make(spec)?),
        "queue" => object(Collection::make(spec, Flavour::Queue)?),
        "stack" => object(Collection::make(spec, Flavour::Stack)?),
        "deque" => object(Collection::make(spec, Flavour::Deque)?),
        "priority-queue" => object(Collection::make(spec, Flavour::Priority)?),
        "set" => object(Set::make(spec, false)?),
        "g-set" => object(Set::make(spec, true)?),
        "mutex" | "reentrant-mutex" | "semaphore" | "fenced-lock" => object(Locking::make(spec)?),
        "kv" | "kv-append" => object(Kv::make(spec)?),
        "counter" if spec.get("bounds").is_some() => fold(CounterBounds::make(spec)?),
        "counter" | "fetch-and-add" => object(Counter::make(spec)?),
        "multi-register" => object(MultiRegister::make(spec)?),
        "log" => object(Log::make(spec)?),
        "append" => object(Append::make(spec)?),
        "unique-ids" => fold(UniqueIds::make(spec)?),
        "leader" => fold(Leader::make(spec)?),
        "jepsen-set" => fold(JepsenSet::make(spec)?),
        "set-full" => fold(SetFull::make(spec)?),
        "total-queue" => fold(TotalQueue::make(spec)?),
        "bank" => fold(Bank::make(spec)?),
        "long-fork" => fold(LongFork::make(spec)?),
        "lease" => fold(Lease::make(spec)?),
        name => return Err(Error::new(format!("there is no model {name:?}"))),
    })
}

fn object(model: impl Model + 'static) -> Judge {
    Judge::Object(Box::new(model))
}

fn fold(fold: impl Fold + 'static) -> Judge {
    Judge::Fold(Box::new(fold))
}
