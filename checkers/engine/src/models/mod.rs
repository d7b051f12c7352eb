//! The models, by name: a line of `make` each, a file for each family.

pub mod locks;
pub mod queues;
pub mod said;
pub mod sets;

use crate::error::{Error, Result};
use crate::model::{Judge, Model};
use crate::spec::Spec;

use locks::Locking;
use queues::{Collection, Flavour};
use sets::Set;

/// The model of a name. Err names what is wrong with it.
pub fn make(spec: &Spec) -> Result<Judge> {
    Ok(match spec.name.as_str() {
        "queue" => object(Collection::make(spec, Flavour::Queue)?),
        "stack" => object(Collection::make(spec, Flavour::Stack)?),
        "deque" => object(Collection::make(spec, Flavour::Deque)?),
        "priority-queue" => object(Collection::make(spec, Flavour::Priority)?),
        "set" => object(Set::make(spec, false)?),
        "g-set" => object(Set::make(spec, true)?),
        "mutex" | "reentrant-mutex" | "semaphore" | "fenced-lock" => object(Locking::make(spec)?),
        name => return Err(Error::new(format!("there is no model {name:?}"))),
    })
}

fn object(model: impl Model + 'static) -> Judge {
    Judge::Object(Box::new(model))
}
