//! Text with a whole operation a line, with its start and its end: fastlin, PolyLin, fptlin.
//!
//! ```text
//! # queue                   # stack
//! enq 2 0 1                 0 1 5 PUSH 1
//! METHOD VALUE [RESULT] START END      PROCESS START END METHOD VALUE [RESULT]
//! ```
//!
//! An operation whose end is another's start is before it, as these tools have it: of events at one
//! moment, ends come before starts. An operation of no length starts before it ends, and is
//! concurrent with the others of no length at its moment. Without a process each operation is one's
//! own: nothing is said of sessions.

use rustc_hash::FxHashMap;

use super::lines::line;
use super::pair::{Sink, NAMES_MAX, PROCESS_END};
use super::scan::{Cursor, Halt, Scan};
use super::text::Reader;
use crate::error::{Error, Result};
use crate::history::{History, Outcome, OPEN};
use crate::planted;
use crate::values::Val;

#[derive(Clone, Copy)]
struct Span {
    start: i64,
    end: i64,
    process: u32,
    f: u16,
    arg: Val,
    result: Val,
}

/// What stands where in a line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// METHOD VALUE [RESULT] START END
    Method,
    /// ID METHOD VALUE [RESULT] START END
    Id,
    /// PROCESS START END METHOD VALUE [RESULT]
    Process,
}

/// The reader of operations with their spans.
#[derive(Default)]
pub struct Spans {
    spans: Vec<Span>,
    layout: Option<Layout>,
}

const WORDS_MAX: usize = 6;

impl Reader for Spans {
    fn record<S: Sink>(&mut self, c: &mut Cursor, _: u64, sink: &mut S) -> Scan<bool> {
        loop {
            let start = c.at;
            let Some((text, next)) = line(c)? else {
                return Ok(false);
            };
            let text = std::str::from_utf8(text)
                .map_err(|e| Halt::bad(start + e.valid_up_to(), "this is not UTF-8"))?;
            let mut words = [""; WORDS_MAX];
            let mut n = 0;
            if !text.starts_with('#') {
                for word in text.split_ascii_whitespace() {
                    let slot = words.get_mut(n);
                    *slot.ok_or_else(|| Halt::bad(start, "too many words in this line"))? = word;
                    n += 1;
                }
            }
            if n > 0 {
                let words = words.get(..n).unwrap_or(&[]);
                let span = self
                    .span(words, sink.history())
                    .map_err(|why| Halt::bad(start, why))?;
                if self.spans.len() >= (OPEN / 2 - 1) as usize {
                    return Err(Halt::bad(start, "more operations than 32 bits can count"));
                }
                self.spans.push(span);
                c.at = next;
                return Ok(true);
            }
            c.at = next;
        }
    }

    fn finish<S: Sink>(&mut self, sink: &mut S) -> Result<()> {
        let spans = std::mem::take(&mut self.spans);
        rows(spans, self.layout == Some(Layout::Process), sink.history())
    }
}

impl Spans {
    fn span(&mut self, words: &[&str], history: &mut History) -> std::result::Result<Span, String> {
        let number = |at: usize| words.get(at).and_then(|word| word.parse::<i64>().ok());
        let layout = *self.layout.get_or_insert(match (number(0), number(1)) {
            (None, _) => Layout::Method,
            (Some(_), None) => Layout::Id,
            (Some(_), Some(_)) => Layout::Process,
        });
        let (method, times) = match layout {
            Layout::Method => (0, words.len().saturating_sub(2)),
            Layout::Id => (1, words.len().saturating_sub(2)),
            Layout::Process => (3, 1),
        };
        let (first, last) = match layout {
            Layout::Process => (method + 1, words.len()),
            _ => (method + 1, times),
        };
        let shape = "expected METHOD VALUE [RESULT] START END, or PROCESS START END METHOD VALUE";
        let name = *words.get(method).ok_or(shape)?;
        let given = words.get(first..last).ok_or(shape)?;
        let (Some(start), Some(end)) = (number(times), number(times + 1)) else {
            return Err(format!("{shape}: no start and end here"));
        };
        if name.parse::<i64>().is_ok() || given.len() > 2 {
            return Err(shape.to_string());
        }
        if start > end || start < 0 {
            return Err(format!("it ends at {end}, before its start at {start}"));
        }
        let process = match layout {
            Layout::Process => u32::try_from(number(0).unwrap_or(-1))
                .ok()
                .filter(|&process| process < PROCESS_END)
                .ok_or("process must be a number from 0")?,
            _ => self.spans.len() as u32,
        };
        let f = name_of(history, name)?;
        let mut values = [Val::NONE; 2];
        for (slot, word) in values.iter_mut().zip(given) {
            *slot = word_value(history, word);
        }
        let (arg, result) = roles(name, values, history);
        Ok(Span {
            start,
            end,
            process,
            f,
            arg,
            result,
        })
    }
}

fn name_of(history: &mut History, name: &str) -> std::result::Result<u16, String> {
    if history.fs.len() >= NAMES_MAX && !history.fs.iter().any(|known| known == name) {
        return Err(format!(
            "more than {NAMES_MAX} different names of operations"
        ));
    }
    Ok(history.name(name))
}

fn word_value(history: &mut History, word: &str) -> Val {
    match word.parse::<i64>() {
        Ok(number) => history.values.int(number),
        Err(_) => history.values.string(word),
    }
}

/// What of an operation's values is its argument and what its result.
fn roles(name: &str, [first, second]: [Val; 2], history: &mut History) -> (Val, Val) {
    let plain: String = name
        .chars()
        .filter(|letter| letter.is_ascii_alphanumeric())
        .map(|letter| letter.to_ascii_lowercase())
        .collect();
    if plain == "readmodifywrite" || plain == "rmw" || plain == "cas" {
        let pair = history.values.list(&[first, second]);
        return (pair, pair);
    }
    let gives = [
        "deq", "pop", "poll", "peek", "read", "get", "top", "incr", "decr", "remove",
    ];
    let takes_one = second.is_none();
    if takes_one && gives.iter().any(|start| plain.starts_with(start)) {
        return (Val::NIL, first);
    }
    let or_nil = |value: Val| if value.is_none() { Val::NIL } else { value };
    // A yes or no that cannot be taken for a repeated argument.
    let answers = ["insert", "add", "remove", "delete", "contains", "member"];
    let answer = match second.small() {
        Some(0) if answers.contains(&plain.as_str()) => Val::FALSE,
        Some(1) if answers.contains(&plain.as_str()) => Val::TRUE,
        _ => or_nil(second),
    };
    (or_nil(first), answer)
}

/// The rows of the spans: a merge of their starts and their ends.
fn rows(mut spans: Vec<Span>, processes: bool, history: &mut History) -> Result<()> {
    spans.sort_by_key(|span| (span.start, span.end));
    if processes {
        alone(&spans)?;
    }
    let mut ends: Vec<u32> = (0..spans.len() as u32).collect();
    ends.sort_by_key(|&row| {
        let span = &spans[row as usize];
        (span.end, span.start)
    });
    let mut ends = ends.into_iter().peekable();
    let mut event = 0;
    for (row, span) in spans.iter().enumerate() {
        while let Some(&other) = ends.peek() {
            let ending = &spans[other as usize];
            let both_short = ending.start == ending.end && span.start == span.end;
            let touches = ending.end == span.start && !both_short;
            let before = ending.end < span.start || planted!("spans-touching", touches, false);
            if other as usize >= row || !before {
                break;
            }
            history.ret[other as usize] = event;
            event += 1;
            ends.next();
        }
        history.process.push(span.process);
        history.f.push(span.f);
        history.key.push(Val::NONE);
        history.arg.push(span.arg);
        history.result.push(span.result);
        history.outcome.push(Outcome::Ok);
        history.inv.push(event);
        history.ret.push(OPEN);
        history.inv_ns.push(span.start);
        history.ret_ns.push(span.end);
        event += 1;
    }
    for other in ends {
        history.ret[other as usize] = event;
        event += 1;
    }
    history.events = event;
    history.times_in_order = true;
    Ok(())
}

/// Err where a process has two operations at once.
fn alone(spans: &[Span]) -> Result<()> {
    let mut until: FxHashMap<u32, i64> = FxHashMap::default();
    for span in spans {
        match until.insert(span.process, span.end) {
            Some(end) if end > span.start => {
                let why = format!(
                    "process {} starts an operation at {} while another of its is not over",
                    span.process, span.start
                );
                return Err(Error::new(why));
            }
            _ => {}
        }
    }
    Ok(())
}
