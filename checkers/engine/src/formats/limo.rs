//! LiMo's histories: `# @object atomic-stack`, then `[1] call push 1` and `[1] return`, a line each.

use super::fields::Fields;
use super::fields::Who;
use super::lines::line;
use super::pair::{Sink, Type, NAMES_MAX, NO_NAME, PROCESS_END};
use super::scan::{Cursor, Halt, Scan};
use super::text::Reader;
use crate::history::History;
use crate::values::Val;

/// The reader of LiMo's histories.
#[derive(Default)]
pub struct Limo;

impl Reader for Limo {
    fn record<S: Sink>(&mut self, c: &mut Cursor, base: u64, sink: &mut S) -> Scan<bool> {
        loop {
            let start = c.at;
            let Some((text, next)) = line(c)? else {
                return Ok(false);
            };
            let text = std::str::from_utf8(text)
                .map_err(|e| Halt::bad(start + e.valid_up_to(), "this is not UTF-8"))?
                .trim();
            if !text.is_empty() && !text.starts_with('#') {
                let mut fields = Fields::new(base + start as u64);
                event(text, sink.history(), &mut fields).map_err(|why| Halt::bad(start, why))?;
                fields.send(start, sink)?;
                c.at = next;
                return Ok(true);
            }
            c.at = next;
        }
    }
}

fn event(text: &str, history: &mut History, fields: &mut Fields) -> Result<(), &'static str> {
    const SHAPE: &str = "expected [THREAD] call METHOD VALUE, or [THREAD] return VALUE";
    let (thread, rest) = text
        .strip_prefix('[')
        .and_then(|t| t.split_once(']'))
        .ok_or(SHAPE)?;
    let thread: u32 = thread.trim().parse().map_err(|_| SHAPE)?;
    if thread >= PROCESS_END {
        return Err("a thread is a number from 0 below 2^31");
    }
    fields.who = Who::Number(thread);
    let rest = rest.trim();
    let (verb, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    match verb {
        "return" => {
            fields.kind = Some(Type::Ok);
            fields.event.f = NO_NAME;
            fields.event.value = value_of(rest.trim(), history);
        }
        "call" => {
            let word_end = rest.find(|c: char| c == '(' || c.is_whitespace());
            let (method, value) = rest.split_at(word_end.unwrap_or(rest.len()));
            if method.is_empty() {
                return Err(SHAPE);
            }
            if history.fs.len() >= NAMES_MAX && !history.fs.iter().any(|known| known == method) {
                return Err("too many different names of operations");
            }
            let value = value.trim();
            let inner = value
                .strip_prefix('(')
                .and_then(|value| value.strip_suffix(')'));
            fields.kind = Some(Type::Invoke);
            fields.event.f = history.name(method);
            fields.event.value = value_of(inner.unwrap_or(value).trim(), history);
        }
        _ => return Err(SHAPE),
    }
    Ok(())
}

fn value_of(word: &str, history: &mut History) -> Val {
    match word.parse::<i64>() {
        Ok(number) => history.values.int(number),
        Err(_) if word.is_empty() => Val::NONE,
        Err(_) => history.values.string(word),
    }
}
