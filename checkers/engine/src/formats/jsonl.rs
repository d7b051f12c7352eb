//! Histories in JSON: our events.jsonl and any file with an operation event a line, and elle-cli's
//! arrays of the same maps as Jepsen's.
//!
//! Fields have the names of `harness/importer.py`: `process` or `p`, `key` or `k`, `value` or `v`,
//! `time`, `t` or `time_ns`, `error` or `err`; of two the first counts. Lines whose `ev` is not "op"
//! and fields of other names are skipped. `x` holds hints of the server's order.

use super::fields::{Field, Fields, Who};
use super::json::{in_number, is_space, Json};
use super::pair::{Sink, Type};
use super::scan::{digits, Cursor, Halt, Scan};
use super::template::{Literal, Read, Spans, Syntax, Templates};
use super::text::Reader;
use crate::values::{Val, Values};

/// The reader of JSON histories.
#[derive(Default)]
pub struct Jsonl {
    json: Json,
    /// An array is open around the objects.
    array: bool,
    /// A comma must stand before the next object of the array.
    comma: bool,
    templates: Templates,
    /// Where the values of the record stand that is being read.
    spans: Spans,
    /// No fast path: every record goes through the general reader.
    general: bool,
}

impl Syntax for Json {
    fn value(&mut self, c: &mut Cursor, values: &mut Values) -> Scan<Val> {
        Json::value(self, c, values)
    }

    #[inline]
    fn after_value(byte: u8) -> bool {
        is_space(byte) || byte == b',' || byte == b'}'
    }

    #[inline]
    fn before_value(byte: u8) -> bool {
        is_space(byte) || byte == b':'
    }

    #[inline]
    fn types() -> &'static [Literal; 4] {
        static TYPES: [Literal; 4] = [
            Literal::new(b"\"invoke\""),
            Literal::new(b"\"ok\""),
            Literal::new(b"\"fail\""),
            Literal::new(b"\"info\""),
        ];
        &TYPES
    }
}

/// Field and rank of a name: of two names of a field the one of the smaller rank counts.
fn field_of(name: &str) -> (Field, u8) {
    match name {
        "process" => (Field::Process, 0),
        "p" => (Field::Process, 1),
        "type" => (Field::Type, 0),
        "f" => (Field::F, 0),
        "key" => (Field::Key, 0),
        "k" => (Field::Key, 1),
        "value" => (Field::Value, 0),
        "v" => (Field::Value, 1),
        "time" => (Field::Time, 0),
        "t" => (Field::Time, 1),
        "time_ns" => (Field::Time, 2),
        "node" => (Field::Node, 0),
        "error" => (Field::Error, 0),
        "err" => (Field::Error, 1),
        "index" => (Field::Index, 0),
        "i" => (Field::Index, 1),
        "x" => (Field::Hints, 0),
        "ev" => (Field::Ev, 0),
        _ => (Field::Other, 0),
    }
}

const FIELDS: usize = Field::Other as usize;

impl Reader for Jsonl {
    fn record<S: Sink>(&mut self, c: &mut Cursor, base: u64, sink: &mut S) -> Scan<bool> {
        loop {
            self.json.space(c);
            let Some(&byte) = c.bytes.get(c.at) else {
                return match (c.eof, self.array) {
                    (false, _) => Err(Halt::Need),
                    (true, true) => Err(Halt::Cut),
                    (true, false) => Ok(false),
                };
            };
            match byte {
                // Within an array a field may be left out that a line must have: what was learned
                // on one side says nothing of the other.
                b'[' if !self.array => {
                    (self.array, self.comma) = (true, false);
                    self.templates = Templates::default();
                }
                b']' if self.array => {
                    self.array = false;
                    self.templates = Templates::default();
                }
                b',' if self.array && self.comma => self.comma = false,
                b'{' if self.array && self.comma => {
                    return Err(Halt::bad(c.at, "not JSON: expected ',' or ']'"));
                }
                b'{' => {
                    if !self.templates.read(&mut self.json, c, base, sink)? {
                        self.object(c, base, sink)?;
                    }
                    self.comma = true;
                    return Ok(true);
                }
                _ => return Err(Halt::bad(c.at, "expected an object: {\"process\": 0, ...}")),
            }
            c.at += 1;
        }
    }

    fn lost(&mut self) {
        self.json = Json::default();
        self.comma = false;
    }
}

impl Jsonl {
    pub fn new(general: bool) -> Jsonl {
        Jsonl {
            general,
            ..Jsonl::default()
        }
    }

    fn object<S: Sink>(&mut self, c: &mut Cursor, base: u64, sink: &mut S) -> Scan<()> {
        let start = c.at;
        self.spans.clear();
        // Value, rank and place of each field.
        let mut found = [(Val::NONE, u8::MAX, start); FIELDS];
        c.at += 1;
        self.json.space(c);
        let mut more = c.peek()? != b'}';
        c.at += usize::from(!more);
        while more {
            self.json.space(c);
            let at = c.at;
            let (field, rank) = field_of(self.json.key(c)?);
            self.json.space(c);
            let value_at = c.at;
            let value = match digits(c.bytes, c.at) {
                // A number that nobody asks for needs no place.
                Some((_, end)) if field == Field::Other && !in_number(c.bytes.get(end)) => {
                    c.at = end;
                    Val::NIL
                }
                _ => self.json.value(c, &mut sink.history().values)?,
            };
            self.spans.push((field, value_at, c.at));
            if let Some(slot) = found.get_mut(field as usize) {
                if rank <= slot.1 {
                    *slot = (value, rank, at);
                }
            }
            more = self.json.comma(c, b'}')?;
        }
        let history = sink.history();
        let ev = found[Field::Ev as usize].0;
        if !ev.is_none() && history.values.as_name(ev) != Some("op") {
            return Ok(());
        }
        for (field, name) in NEEDED {
            let value = found[field as usize].0;
            if !self.array && (value.is_none() || value.is_nil()) {
                return Err(Halt::bad(start, format!("no {name:?} here")));
            }
        }
        let mut fields = Fields::new(base + start as u64);
        for field in ALL {
            let (value, _, at) = found[field as usize];
            if !value.is_none() {
                fields.set(field, value, at, history)?;
            }
        }
        if fields.who == Who::Name && fields.kind != Some(Type::Info) {
            let at = found[Field::Process as usize].2;
            return Err(Halt::bad(at, "process must be a number from 0"));
        }
        let end = c.at;
        fields.send(start, sink)?;
        if !self.general && matches!(fields.who, Who::Number(_)) {
            let read = Read {
                spans: &self.spans,
                f: fields.event.f,
            };
            self.templates.learn::<Json>(c.bytes, start, end, &read);
        }
        Ok(())
    }
}

/// What a line cannot be without. In an array, as elle-cli's, only the type is needed.
const NEEDED: [(Field, &str); 3] = [
    (Field::Process, "process"),
    (Field::Type, "type"),
    (Field::F, "f"),
];

const ALL: [Field; 10] = [
    Field::Process,
    Field::Type,
    Field::F,
    Field::Value,
    Field::Key,
    Field::Time,
    Field::Index,
    Field::Node,
    Field::Error,
    Field::Hints,
];
