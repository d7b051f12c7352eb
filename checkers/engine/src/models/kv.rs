//! A key-value map with get, put, append and delete. Every key is an object of its own.
//!
//! A state is `[VALUE, value]`, or `[TEXT, length in bytes, four bytes in each word ...]` for text:
//! text that came about by appending need not occur in the history, so that it has no number.

use crate::budget::{Meter, Stop};
use crate::error::Result;
use crate::fast::register::{self, Kind, Rules};
use crate::fast::staleness::Staleness;
use crate::history::{History, Outcome};
use crate::model::{Class, Fast, Model, Step};
use crate::models::said;
use crate::models::start::{self, Typed};
use crate::spec::Spec;
use crate::split::Object;
use crate::values::{Look, Val, Values};

const VALUE: u32 = 0;
const TEXT: u32 = 1;

/// What an operation does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Does {
    Get,
    Put,
    Append,
    Delete,
}

/// What the operation of a name does.
pub fn does(name: &str) -> Option<Does> {
    Some(match said::plain(name).as_str() {
        "get" | "read" => Does::Get,
        "put" | "write" => Does::Put,
        "append" => Does::Append,
        "delete" | "del" => Does::Delete,
        _ => return None,
    })
}

/// One key of a map.
///
/// `init=empty`: what is missing reads as the empty text, before the first put and after a delete,
/// as in Porcupine's histories. Else a key holds `init` at first (nil: nothing), nothing after a
/// delete, and nothing reads as nil.
pub struct Kv {
    name: String,
    pub init: Typed,
    /// What is missing reads as the empty text.
    pub empty: bool,
    pub nil_unknown: bool,
}

impl Kv {
    pub fn make(spec: &Spec) -> Result<Kv> {
        spec.only(&["init", "nil"])?;
        let default = if spec.name == "kv-append" {
            "empty"
        } else {
            "nil"
        };
        let init = spec.get("init").unwrap_or(default);
        Ok(Kv {
            name: start::named(spec),
            init: Typed::parse(init),
            empty: init == "empty",
            nil_unknown: start::nil_unknown(spec)?,
        })
    }

    fn does_of(&self, history: &History, op: &Class) -> Option<Does> {
        does(history.fs.get(op.f as usize)?)
    }

    /// A key without append, as a register.
    fn rules(&self, values: &Values) -> Rules {
        let nothing = match self.empty {
            true => values.find_string("").unwrap_or(start::NOWHERE),
            false => Val::NIL,
        };
        Rules {
            initial: match self.empty {
                true => nothing,
                false => self.init.find(values),
            },
            nothing,
            nil_unknown: self.nil_unknown,
            failed_cas_asserts: false,
        }
    }

    fn kind(f: &str) -> Kind {
        match does(f) {
            Some(Does::Get) => Kind::Read,
            Some(Does::Put) => Kind::Write,
            Some(Does::Delete) => Kind::Clear,
            Some(Does::Append) | None => Kind::Other,
        }
    }

    fn missing(&self) -> Vec<u32> {
        if self.empty {
            vec![TEXT, 0]
        } else {
            vec![VALUE, Val::NIL.0]
        }
    }

    /// A value as a state.
    fn held(&self, values: &Values, value: Val, out: &mut Vec<u32>) {
        if value.is_nil() || value.is_none() {
            out.extend(self.missing());
        } else {
            state_of(values, value, out);
        }
    }

    /// The result says nothing.
    fn unknown(&self, op: &Class) -> bool {
        op.outcome != Outcome::Ok || op.result.is_none() || (op.result.is_nil() && self.nil_unknown)
    }
}

fn state_of(values: &Values, value: Val, out: &mut Vec<u32>) {
    if value == start::NOWHERE {
        out.extend([VALUE, value.0]);
        return;
    }
    match values.look(value) {
        Look::Str(text) => text_state(text.as_bytes(), out),
        _ => out.extend([VALUE, value.0]),
    }
}

fn text_state(bytes: &[u8], out: &mut Vec<u32>) {
    out.extend([TEXT, bytes.len() as u32]);
    for chunk in bytes.chunks(4) {
        let mut word = [0; 4];
        word[..chunk.len()].copy_from_slice(chunk);
        out.push(u32::from_le_bytes(word));
    }
}

/// The state after an append; false where the state holds no text.
fn appended(state: &[u32], more: &[u8], next: &mut Vec<u32>) -> bool {
    let length = match state {
        [VALUE, nothing] if *nothing == Val::NIL.0 => {
            text_state(more, next);
            return true;
        }
        [TEXT, length, ..] => *length as usize,
        _ => return false,
    };
    next.extend_from_slice(state);
    let over = length % 4;
    let mut head = 0;
    if over > 0 {
        head = more.len().min(4 - over);
        if let Some(last) = next.last_mut() {
            let mut word = last.to_le_bytes();
            word[over..over + head].copy_from_slice(&more[..head]);
            *last = u32::from_le_bytes(word);
        }
    }
    for chunk in more[head..].chunks(4) {
        let mut word = [0; 4];
        word[..chunk.len()].copy_from_slice(chunk);
        next.push(u32::from_le_bytes(word));
    }
    next[1] = (length + more.len()) as u32;
    true
}

/// The text that a state holds; `None` where it holds another value. Nothing is the empty text.
fn text_of(state: &[u32]) -> Option<Vec<u8>> {
    match state {
        [VALUE, nothing] if *nothing == Val::NIL.0 => Some(Vec::new()),
        [TEXT, length, words @ ..] => {
            let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            bytes.truncate(*length as usize);
            Some(bytes)
        }
        _ => None,
    }
}

impl Model for Kv {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn fs(&self) -> &[&'static str] {
        &["get", "put", "append", "delete", "read", "write", "del"]
    }

    fn initial(&self, values: &Values) -> Vec<u32> {
        if self.empty {
            return self.missing();
        }
        let mut state = Vec::new();
        match &self.init {
            // Not looked up: the text need not occur in the history.
            Typed::Text(text) => text_state(text.as_bytes(), &mut state),
            init => state_of(values, init.find(values), &mut state),
        }
        state
    }

    fn step(&self, history: &History, state: &[u32], op: &Class, next: &mut Vec<u32>) -> Step {
        let values = &history.values;
        match self.does_of(history, op) {
            Some(Does::Get) => {
                if self.unknown(op) {
                    return Step::Same;
                }
                let mut seen = Vec::new();
                self.held(values, op.result, &mut seen);
                return if seen == state { Step::Same } else { Step::No };
            }
            Some(Does::Put) => self.held(values, op.arg, next),
            Some(Does::Delete) => *next = self.missing(),
            Some(Does::Append) => {
                let Look::Str(more) = values.look(op.arg) else {
                    return Step::No;
                };
                if !appended(state, more.as_bytes(), next) {
                    return Step::No;
                }
            }
            None => return Step::No,
        }
        if next == state {
            Step::Same
        } else {
            Step::To
        }
    }

    fn is_read(&self, history: &History, op: &Class) -> bool {
        self.does_of(history, op) == Some(Does::Get)
    }

    fn is_blind(&self, history: &History, op: &Class) -> bool {
        match self.does_of(history, op) {
            Some(Does::Get) => self.unknown(op),
            Some(Does::Put | Does::Delete) => true,
            _ => false,
        }
    }

    fn only_in(&self, history: &History, op: &Class, state: &mut Vec<u32>) -> bool {
        let told = self.does_of(history, op) == Some(Does::Get) && !self.unknown(op);
        if told {
            self.held(&history.values, op.result, state);
        }
        told
    }

    /// Legal wherever there is text, and then there is text.
    fn adds(&self, history: &History, op: &Class) -> bool {
        self.does_of(history, op) == Some(Does::Append)
    }

    /// What was appended stays: the text of the read begins with it.
    fn may_come(&self, history: &History, state: &[u32], by: Option<&Class>, read: &Class) -> bool {
        let values = &history.values;
        let goal = match values.look(read.result) {
            Look::Str(text) => text.as_bytes(),
            _ if self.empty && (read.result.is_nil() || read.result.is_none()) => b"",
            _ => return true,
        };
        let more = match by.map(|by| values.look(by.arg)) {
            None => b"",
            Some(Look::Str(text)) => text.as_bytes(),
            Some(_) => return true,
        };
        let (length, words) = match state {
            [VALUE, nothing] if *nothing == Val::NIL.0 => (0, &[][..]),
            [TEXT, length, words @ ..] => (*length as usize, words),
            _ => return true,
        };
        let begins = |text: &[u8]| {
            let mut chunks = words.iter().zip(text.chunks(4));
            chunks.all(|(word, chunk)| word.to_le_bytes().starts_with(chunk))
        };
        match (goal.get(..length), goal.get(length..)) {
            (Some(text), Some(rest)) => rest.starts_with(more) && begins(text),
            _ => false,
        }
    }

    /// A read tells only what its value is made of. Text can be appended to, and other values
    /// cannot: where there are such values, text that is put makes an append possible.
    fn matters(&self, history: &History, update: &Class, other: &Class) -> bool {
        let values = &history.values;
        let state = |value: Val| {
            let mut state = Vec::new();
            self.held(values, value, &mut state);
            state
        };
        let put = match self.does_of(history, update) {
            Some(Does::Put) => Some(state(update.arg)),
            Some(Does::Delete) => Some(self.missing()),
            _ => None,
        };
        match self.does_of(history, other) {
            Some(Does::Get) if self.unknown(other) => false,
            Some(Does::Get) => {
                let seen = state(other.result);
                match (put, text_of(&seen)) {
                    (Some(put), None) => put == seen,
                    (Some(put), Some(seen)) => {
                        text_of(&put).is_some_and(|put| seen.starts_with(&put))
                    }
                    (None, None) => false,
                    (None, Some(seen)) => match values.look(update.arg) {
                        Look::Str(more) => memchr::memmem::find(&seen, more.as_bytes()).is_some(),
                        _ => true,
                    },
                }
            }
            Some(Does::Append) => {
                let initial = text_of(&self.initial(values)).is_none();
                initial && put.is_some_and(|put| text_of(&put).is_some())
            }
            Some(Does::Put) => {
                let no_text = text_of(&state(other.arg)).is_none();
                no_text && put.is_some_and(|put| text_of(&put).is_some())
            }
            _ => false,
        }
    }

    fn accepts(&self, history: &History, op: &Class) -> std::result::Result<(), String> {
        let values = &history.values;
        match self.does_of(history, op) {
            None => Err(format!(
                "{} has no operation {}",
                self.name, history.fs[op.f as usize]
            )),
            Some(Does::Append) if !matches!(values.look(op.arg), Look::Str(_)) => {
                Err(format!("append takes text, not {}", values.json(op.arg)))
            }
            Some(_) => Ok(()),
        }
    }

    /// Without append, a key is a register.
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
