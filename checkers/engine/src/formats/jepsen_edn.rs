//! Jepsen's history.edn, in all its shapes: a map a line, a vector or a list of maps, keys in any
//! order, tagged records, comments, maps over many lines; and Porcupine's kv text, which is the same
//! with `:key`.
//!
//! What happened before what is the order of the maps; `:index` and `:time` say nothing of it. An
//! event of a process that has a name is a nemesis's. An event without `:f` is a transaction.

use super::edn::{ends_token, is_space, keyword_name, tag, Edn};
use super::fields::{Field, Fields, Who};
use super::pair::Sink;
use super::scan::{digits, Cursor, Halt, Scan};
use super::template::{Literal, Read, Spans, Syntax, Templates};
use super::text::Reader;
use crate::values::{Val, Values};

/// The reader of EDN histories.
#[derive(Default)]
pub struct JepsenEdn {
    edn: Edn,
    /// The bracket that ends the vector or list that is open around the maps.
    close: Option<u8>,
    templates: Templates,
    /// Where the values of the record stand that is being read.
    spans: Spans,
    /// No fast path: every record goes through the general reader.
    general: bool,
}

impl Syntax for Edn {
    fn value(&mut self, c: &mut Cursor, values: &mut Values) -> Scan<Val> {
        Edn::value(self, c, values)
    }

    #[inline]
    fn after_value(byte: u8) -> bool {
        is_space(byte) || byte == b'}'
    }

    #[inline]
    fn before_value(byte: u8) -> bool {
        is_space(byte)
    }

    #[inline]
    fn types() -> &'static [Literal; 4] {
        static TYPES: [Literal; 4] = [
            Literal::new(b":invoke"),
            Literal::new(b":ok"),
            Literal::new(b":fail"),
            Literal::new(b":info"),
        ];
        &TYPES
    }
}

impl Reader for JepsenEdn {
    fn record<S: Sink>(&mut self, c: &mut Cursor, base: u64, sink: &mut S) -> Scan<bool> {
        loop {
            match (c.bytes.get(c.at), c.bytes.get(c.at + 1)) {
                (Some(b'\n'), Some(b'{')) => c.at += 1,
                _ => self.edn.space(c, &mut sink.history().values)?,
            }
            let Some(&byte) = c.bytes.get(c.at) else {
                // `space` has asked for more where there may be more.
                return match self.close {
                    Some(_) => Err(Halt::Cut),
                    None => Ok(false),
                };
            };
            match byte {
                b'{' => {
                    if !self.templates.read(&mut self.edn, c, base, sink)? {
                        self.map(c, base, sink)?;
                    }
                    return Ok(true);
                }
                b'[' if self.close.is_none() => self.close = Some(b']'),
                b'(' if self.close.is_none() => self.close = Some(b')'),
                _ if self.close == Some(byte) => self.close = None,
                b'#' if !matches!(c.bytes.get(c.at + 1), Some(b'{' | b'#' | b'"') | None) => {
                    let start = c.at;
                    c.at += 1;
                    tag(c)?;
                    if c.at == start + 1 {
                        return Err(Halt::bad(start, "a tag without a name"));
                    }
                    continue;
                }
                _ => return Err(Halt::bad(c.at, "expected a map: {:process 0, :type ...}")),
            }
            c.at += 1;
        }
    }

    fn lost(&mut self) {
        self.edn = Edn::default();
    }
}

impl JepsenEdn {
    pub fn new(general: bool) -> JepsenEdn {
        JepsenEdn {
            general,
            ..JepsenEdn::default()
        }
    }

    fn map<S: Sink>(&mut self, c: &mut Cursor, base: u64, sink: &mut S) -> Result<(), Halt> {
        let start = c.at;
        let mut fields = Fields::new(base + start as u64);
        self.spans.clear();
        c.at += 1;
        loop {
            self.edn.space(c, &mut sink.history().values)?;
            let at = c.at;
            let field = match c.peek()? {
                b'}' => break,
                b':' => field_of(keyword_name(c)?),
                _ => {
                    self.edn.value(c, &mut sink.history().values)?;
                    Field::Other
                }
            };
            if field != Field::Other && fields.has(field) {
                return Err(Halt::bad(at, "this key stands here twice"));
            }
            self.edn.space(c, &mut sink.history().values)?;
            let value_at = c.at;
            if c.peek()? == b'}' {
                return Err(Halt::bad(at, "a key without a value"));
            }
            self.set(field, c, &mut fields, sink)?;
            self.spans.push((field, value_at, c.at));
        }
        c.at += 1;
        let end = c.at;
        fields.send(start, sink)?;
        if !self.general && fields.who != Who::Name {
            let read = Read {
                spans: &self.spans,
                f: fields.event.f,
            };
            self.templates.learn::<Edn>(c.bytes, start, end, &read);
        }
        Ok(())
    }

    /// Read a field's value.
    fn set<S: Sink>(
        &mut self,
        field: Field,
        c: &mut Cursor,
        fields: &mut Fields,
        sink: &mut S,
    ) -> Scan<()> {
        if let Some((number, end)) = digits(c.bytes, c.at) {
            let whole = c.bytes.get(end).is_some_and(|&byte| ends_token(byte));
            if whole && fields.set_number(field, number) {
                c.at = end;
                return Ok(());
            }
        }
        let at = c.at;
        let history = sink.history();
        let value = self.edn.value(c, &mut history.values)?;
        fields.set(field, value, at, history)
    }
}

/// The field that a keyword names.
pub fn field_of(name: &str) -> Field {
    match name {
        "process" => Field::Process,
        "type" => Field::Type,
        "f" => Field::F,
        "value" => Field::Value,
        "key" => Field::Key,
        "time" => Field::Time,
        "index" => Field::Index,
        "node" => Field::Node,
        "error" => Field::Error,
        _ => Field::Other,
    }
}
