//! Collections that are emptied at one end: queue, stack, deque, priority queue.
//!
//! One model serves all four: a state is the elements in order, and a flavour says which end each
//! operation works at. A priority queue keeps its elements sorted, the largest last, and works as a
//! stack from there.

use crate::budget::{Meter, Stop};
use crate::error::{Error, Result};
use crate::fast;
use crate::history::{History, Outcome};
use crate::model::{Class, Fast, Model, Part, Step};
use crate::models::said;
use crate::spec::Spec;
use crate::split::Object;
use crate::values::{Val, Values};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flavour {
    Queue,
    Stack,
    Deque,
    Priority,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    Front,
    Back,
}

/// What an operation does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Does {
    Put(End),
    Take(End),
    Peek(End),
}

/// A queue, stack, deque or priority queue.
pub struct Collection {
    pub flavour: Flavour,
    /// A failed take says that the collection was empty.
    pub failed_asserts: bool,
}

impl Collection {
    pub fn make(spec: &Spec, flavour: Flavour) -> Result<Collection> {
        spec.only(&["init", "failed"])?;
        if !matches!(spec.get("init"), None | Some("empty")) {
            return Err(Error::new(format!(
                "model {}: init can only be empty",
                spec.name
            )));
        }
        let failed_asserts = match spec.get("failed") {
            None | Some("dropped") => false,
            Some("asserts") => true,
            Some(other) => {
                return Err(Error::new(format!(
                    "model {}: failed={other} (known: dropped, asserts)",
                    spec.name
                )))
            }
        };
        Ok(Collection {
            flavour,
            failed_asserts,
        })
    }

    /// What the operation of a name does, `None` where there is no such operation.
    pub fn does(&self, name: &str) -> Option<Does> {
        use Does::{Peek, Put, Take};
        use End::{Back, Front};
        let name = said::plain(name);
        Some(match (self.flavour, name.as_str()) {
            (Flavour::Queue, "enqueue" | "enq" | "offer") => Put(Back),
            (Flavour::Queue, "dequeue" | "deq" | "poll") => Take(Front),
            (Flavour::Queue, "peek") => Peek(Front),
            (Flavour::Stack, "push") => Put(Back),
            (Flavour::Stack, "pop") => Take(Back),
            (Flavour::Stack, "peek" | "top") => Peek(Back),
            (Flavour::Priority, "insert" | "enqueue" | "enq" | "offer") => Put(Back),
            (Flavour::Priority, "poll" | "dequeue" | "deq") => Take(Back),
            (Flavour::Priority, "peek") => Peek(Back),
            (Flavour::Deque, "pushfront" | "addfirst" | "offerfirst" | "pushleft") => Put(Front),
            (Flavour::Deque, "pushback" | "addlast" | "offerlast" | "pushright") => Put(Back),
            (Flavour::Deque, "popfront" | "pollfirst" | "removefirst" | "popleft") => Take(Front),
            (Flavour::Deque, "popback" | "polllast" | "removelast" | "popright") => Take(Back),
            (Flavour::Deque, "peekfront" | "peekfirst" | "peekleft") => Peek(Front),
            (Flavour::Deque, "peekback" | "peeklast" | "peekright") => Peek(Back),
            _ => return None,
        })
    }

    /// What an operation does, by its place in the history's names.
    pub fn table(&self, history: &History) -> Vec<Option<Does>> {
        history.fs.iter().map(|name| self.does(name)).collect()
    }

    fn does_of(&self, history: &History, op: &Class) -> Option<Does> {
        self.does(&history.fs[op.f as usize])
    }

    fn put(&self, values: &Values, state: &[u32], end: End, element: u32, next: &mut Vec<u32>) {
        if self.flavour == Flavour::Priority {
            let priority = |word: u32| values.as_int(Val(word)).unwrap_or(i64::MIN);
            let at = state.partition_point(|&other| priority(other) <= priority(element));
            next.extend_from_slice(&state[..at]);
            next.push(element);
            next.extend_from_slice(&state[at..]);
        } else if end == End::Front {
            next.push(element);
            next.extend_from_slice(state);
        } else {
            next.extend_from_slice(state);
            next.push(element);
        }
    }
}

impl Model for Collection {
    fn name(&self) -> String {
        let name = match self.flavour {
            Flavour::Queue => "queue",
            Flavour::Stack => "stack",
            Flavour::Deque => "deque",
            Flavour::Priority => "priority-queue",
        };
        if self.failed_asserts {
            format!("{name}(failed=asserts)")
        } else {
            name.to_string()
        }
    }

    fn fs(&self) -> &[&'static str] {
        match self.flavour {
            Flavour::Queue => &["enqueue", "dequeue", "enq", "deq", "offer", "poll", "peek"],
            Flavour::Stack => &["push", "pop", "peek", "top"],
            Flavour::Priority => &[
                "insert", "poll", "peek", "enqueue", "dequeue", "enq", "deq", "offer",
            ],
            Flavour::Deque => &[
                "push-front",
                "push-back",
                "pop-front",
                "pop-back",
                "peek-front",
                "peek-back",
                "add-first",
                "add-last",
                "offer-first",
                "offer-last",
                "poll-first",
                "poll-last",
                "remove-first",
                "remove-last",
                "peek-first",
                "peek-last",
                "push-left",
                "push-right",
                "pop-left",
                "pop-right",
                "peek-left",
                "peek-right",
            ],
        }
    }

    fn initial(&self, _: &Values) -> Vec<u32> {
        Vec::new()
    }

    fn step(&self, history: &History, state: &[u32], op: &Class, next: &mut Vec<u32>) -> Step {
        let (end, takes) = match self.does_of(history, op) {
            None => return Step::No,
            Some(Does::Put(end)) => {
                self.put(&history.values, state, end, op.arg.0, next);
                return Step::To;
            }
            Some(Does::Take(end)) => (end, true),
            Some(Does::Peek(end)) => (end, false),
        };
        let found = match end {
            End::Front => state.first(),
            End::Back => state.last(),
        };
        let legal = match (op.outcome, found) {
            (Outcome::Info, _) => true,
            (_, None) => said::empty(&history.values, op.result),
            (_, Some(&element)) => element == op.result.0,
        };
        if !legal {
            return Step::No;
        }
        if !takes || found.is_none() {
            return Step::Same;
        }
        next.extend_from_slice(match end {
            End::Front => &state[1..],
            End::Back => &state[..state.len() - 1],
        });
        Step::To
    }

    fn is_read(&self, history: &History, op: &Class) -> bool {
        match self.does_of(history, op) {
            Some(Does::Peek(_)) => true,
            Some(Does::Take(_)) => {
                op.outcome != Outcome::Info && said::empty(&history.values, op.result)
            }
            _ => false,
        }
    }

    fn is_blind(&self, _: &History, _: &Class) -> bool {
        false
    }

    /// Without an element, and all that was done with it, the others are in the same order: what
    /// came out next still does, and what was empty still is. A take whose result is not known may
    /// have taken any element.
    fn matters(&self, history: &History, update: &Class, other: &Class) -> bool {
        let element = |op: &Class| match self.does_of(history, op)? {
            Does::Put(_) => Some(op.arg),
            _ if op.outcome == Outcome::Ok => Some(op.result),
            _ => None,
        };
        let nothing = |value: Val| said::empty(&history.values, value);
        match (element(update), element(other)) {
            (Some(one), _) if nothing(one) => true,
            (Some(one), Some(other)) => one == other,
            (Some(_), None) => false,
            (None, _) => true,
        }
    }

    fn part(&self, history: &History, op: &Class) -> Part {
        match op.outcome {
            Outcome::Ok => Part::Must,
            Outcome::Info if self.is_read(history, op) => Part::Drop,
            Outcome::Info => Part::May,
            Outcome::Fail => match self.does_of(history, op) {
                Some(Does::Take(_)) if self.failed_asserts => Part::Must,
                _ => Part::Drop,
            },
        }
    }

    fn accepts(&self, history: &History, op: &Class) -> std::result::Result<(), String> {
        let values = &history.values;
        let f = &history.fs[op.f as usize];
        match self.does(f) {
            None => Err(format!("{} has no operation {f}", self.name())),
            Some(Does::Put(_)) if said::empty(values, op.arg) => Err(format!(
                "{}: nil and -1 mean that nothing was there, and cannot be elements",
                said::shown(values, f, op)
            )),
            Some(Does::Put(_))
                if self.flavour == Flavour::Priority && values.as_int(op.arg).is_none() =>
            {
                Err(format!(
                    "{}: a priority is a whole number of at most 64 bits",
                    said::shown(values, f, op)
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
        match self.flavour {
            Flavour::Queue => fast::queue::judge(self, history, object, meter),
            Flavour::Stack => fast::stack::judge(self, history, object, meter),
            Flavour::Priority => fast::priority::judge(self, history, object, meter),
            Flavour::Deque => Ok(None),
        }
    }
}
