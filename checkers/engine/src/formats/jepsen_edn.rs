//! Jepsen's history.edn, in all its shapes: a map a line, a vector or a list of maps, keys in any
//! order, tagged records, comments, maps over many lines; and Porcupine's kv text, which is the same
//! with `:key`.
//!
//! What happened before what is the order of the maps; `:index` and `:time` say nothing of it. An
//! event of a process that has a name is a nemesis's. An event without `:f` is a transaction.

use super::edn::{keyword_name, tag, Edn};
use super::fields::{Field, Fields};
use super::pair::Sink;
use super::scan::{Cursor, Halt};
use super::text::Reader;

/// The reader of EDN histories.
#[derive(Default)]
pub struct JepsenEdn {
    edn: Edn,
    /// The bracket that ends the vector or list that is open around the maps.
    close: Option<u8>,
}

impl Reader for JepsenEdn {
    fn record<S: Sink>(&mut self, c: &mut Cursor, base: u64, sink: &mut S) -> Result<bool, Halt> {
        loop {
            self.edn.space(c, &mut sink.history().values)?;
            let Some(&byte) = c.bytes.get(c.at) else {
                // `space` has asked for more where there may be more.
                return match self.close {
                    Some(_) => Err(Halt::Cut),
                    None => Ok(false),
                };
            };
            match byte {
                b'{' => {
                    self.map(c, base, sink)?;
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
    fn map<S: Sink>(&mut self, c: &mut Cursor, base: u64, sink: &mut S) -> Result<(), Halt> {
        let start = c.at;
        let mut fields = Fields::new(base + start as u64);
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
            let history = sink.history();
            let value = self.edn.value(c, &mut history.values)?;
            fields.set(field, value, value_at, history)?;
        }
        c.at += 1;
        fields.send(start, sink)
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
