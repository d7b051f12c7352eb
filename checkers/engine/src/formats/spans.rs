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

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;

use rustc_hash::FxHashMap;

use super::lines::line;
use super::pair::{Sink, NAMES_MAX, PROCESS_END};
use super::scan::{digits, Cursor, Halt, Scan};
use super::template::Memo;
use super::text::Reader;
use crate::error::{Error, Result};
use crate::history::{History, Outcome, OPEN};
use crate::planted;
use crate::values::Val;

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

/// The reader of operations with their spans. The columns get a row for each line as it is read;
/// rows are put in order, and their events numbered, at the end.
#[derive(Default)]
pub struct Spans {
    layout: Option<Layout>,
    names: Memo<u16>,
    /// What the values of each name are, by its place in the history's names.
    roles: Vec<Option<Roles>>,
}

const WORDS_MAX: usize = 6;
const SHAPE: &str = "expected METHOD VALUE [RESULT] START END, or PROCESS START END METHOD VALUE";

impl Reader for Spans {
    fn record<S: Sink>(&mut self, c: &mut Cursor, _: u64, sink: &mut S) -> Scan<bool> {
        loop {
            let start = c.at;
            let Some((text, next)) = line(c)? else {
                return Ok(false);
            };
            let text = std::str::from_utf8(text)
                .map_err(|e| Halt::bad(start + e.valid_up_to(), "this is not UTF-8"))?;
            let mut words = Words {
                bytes: c.bytes,
                at: Default::default(),
                n: 0,
            };
            if !text.starts_with('#') && !words.split(start..start + text.len()) {
                return Err(Halt::bad(start, "too many words in this line"));
            }
            if words.n > 0 {
                self.row(&words, sink.history())
                    .map_err(|why| Halt::bad(start, why))?;
                c.at = next;
                return Ok(true);
            }
            c.at = next;
        }
    }

    fn finish<S: Sink>(&mut self, sink: &mut S) -> Result<()> {
        let history = sink.history();
        in_order(history);
        if self.layout == Some(Layout::Process) {
            alone(history)?;
        }
        number(history);
        Ok(())
    }
}

/// The words of a line: where each stands in the block.
struct Words<'a> {
    bytes: &'a [u8],
    at: [Range<usize>; WORDS_MAX],
    n: usize,
}

impl<'a> Words<'a> {
    /// False where there are too many.
    fn split(&mut self, line: Range<usize>) -> bool {
        let text = self.bytes.get(line.clone()).unwrap_or(&[]);
        let mut from = 0;
        for (i, byte) in text.iter().chain(b" ").enumerate() {
            if !byte.is_ascii_whitespace() {
                continue;
            }
            if i > from {
                let Some(slot) = self.at.get_mut(self.n) else {
                    return false;
                };
                *slot = line.start + from..line.start + i;
                self.n += 1;
            }
            from = i + 1;
        }
        true
    }

    fn get(&self, at: usize) -> Option<&Range<usize>> {
        self.at.get(..self.n)?.get(at)
    }

    fn text(&self, word: &Range<usize>) -> &'a str {
        // The line is UTF-8, and words end at ASCII.
        std::str::from_utf8(self.bytes.get(word.clone()).unwrap_or(&[])).unwrap_or("")
    }

    #[inline]
    fn number_of(&self, word: &Range<usize>) -> Option<i64> {
        match digits(self.bytes, word.start) {
            Some((number, end)) if end == word.end => Some(number as i64),
            _ => self.text(word).parse().ok(),
        }
    }

    #[inline]
    fn number(&self, at: usize) -> Option<i64> {
        self.number_of(self.get(at)?)
    }
}

impl Spans {
    /// Put the operation of a line behind the others.
    fn row(&mut self, words: &Words, h: &mut History) -> std::result::Result<(), String> {
        let layout = match self.layout {
            Some(layout) => layout,
            None => match (words.number(0), words.number(1)) {
                (None, _) => Layout::Method,
                (Some(_), None) => Layout::Id,
                (Some(_), Some(_)) => Layout::Process,
            },
        };
        self.layout = Some(layout);
        let times_at = words.n.saturating_sub(2);
        let (method, times, last) = match layout {
            Layout::Method => (0, times_at, times_at),
            Layout::Id => (1, times_at, times_at),
            Layout::Process => (3, 1, words.n),
        };
        let name = words.get(method).ok_or(SHAPE)?;
        let given = words.at.get(method + 1..last).ok_or(SHAPE)?;
        let (Some(start), Some(end)) = (words.number(times), words.number(times + 1)) else {
            return Err(format!("{SHAPE}: no start and end here"));
        };
        if given.len() > 2 {
            return Err(SHAPE.to_string());
        }
        if start > end || start < 0 {
            return Err(format!("it ends at {end}, before its start at {start}"));
        }
        if h.len() >= (OPEN / 2 - 1) as usize {
            return Err("more operations than 32 bits can count".to_string());
        }
        let process = match layout {
            Layout::Process => u32::try_from(words.number(0).unwrap_or(-1))
                .ok()
                .filter(|&process| process < PROCESS_END)
                .ok_or("process must be a number from 0")?,
            _ => h.len() as u32,
        };
        let f = self.name_of(words, name, h)?;
        let mut values = [Val::NONE; 2];
        for (slot, word) in values.iter_mut().zip(given) {
            *slot = match words.number_of(word) {
                Some(number) => h.values.int(number),
                None => h.values.string(words.text(word)),
            };
        }
        let (arg, result) = self.roles_of(f, h).split(values, h);
        h.process.push(process);
        h.f.push(f);
        h.key.push(Val::NONE);
        h.arg.push(arg);
        h.result.push(result);
        h.outcome.push(Outcome::Ok);
        h.inv_ns.push(start);
        h.ret_ns.push(end);
        Ok(())
    }

    fn name_of(
        &mut self,
        words: &Words,
        word: &Range<usize>,
        history: &mut History,
    ) -> std::result::Result<u16, String> {
        if let Some((f, length)) = self.names.get(words.bytes, word.start) {
            if length == word.len() {
                return Ok(f);
            }
        }
        let name = words.text(word);
        if name.parse::<i64>().is_ok() {
            return Err(SHAPE.to_string());
        }
        if history.fs.len() >= NAMES_MAX && !history.fs.iter().any(|known| known == name) {
            return Err(format!(
                "more than {NAMES_MAX} different names of operations"
            ));
        }
        let f = history.name(name);
        self.names.put(words.bytes, word.start, word.end, f);
        Ok(f)
    }

    fn roles_of(&mut self, f: u16, history: &History) -> Roles {
        let at = f as usize;
        if let Some(Some(roles)) = self.roles.get(at) {
            return *roles;
        }
        let roles = Roles::of(history.fs.get(at).map_or("", String::as_str));
        self.roles.resize(self.roles.len().max(at + 1), None);
        self.roles[at] = Some(roles);
        roles
    }
}

/// What of an operation's values is its argument and what its result, by its name.
#[derive(Clone, Copy)]
struct Roles {
    /// Both values are its argument, and both its result.
    pair: bool,
    /// One value alone is its result.
    gives: bool,
    /// Its second value is a yes or no, that cannot be taken for a repeated argument.
    answers: bool,
}

impl Roles {
    fn of(name: &str) -> Roles {
        const GIVES: [&str; 10] = [
            "deq", "pop", "poll", "peek", "read", "get", "top", "incr", "decr", "remove",
        ];
        const ANSWERS: [&str; 6] = ["insert", "add", "remove", "delete", "contains", "member"];
        let plain: String = name
            .chars()
            .filter(|letter| letter.is_ascii_alphanumeric())
            .map(|letter| letter.to_ascii_lowercase())
            .collect();
        Roles {
            pair: matches!(plain.as_str(), "readmodifywrite" | "rmw" | "cas"),
            gives: GIVES.iter().any(|start| plain.starts_with(start)),
            answers: ANSWERS.contains(&plain.as_str()),
        }
    }

    #[inline]
    fn split(self, [first, second]: [Val; 2], history: &mut History) -> (Val, Val) {
        if self.pair {
            let pair = history.values.list(&[first, second]);
            return (pair, pair);
        }
        if second.is_none() && self.gives {
            return (Val::NIL, first);
        }
        let or_nil = |value: Val| if value.is_none() { Val::NIL } else { value };
        let answer = match second.small() {
            Some(0) if self.answers => Val::FALSE,
            Some(1) if self.answers => Val::TRUE,
            _ => or_nil(second),
        };
        (or_nil(first), answer)
    }
}

/// Put the rows in order of their starts, then of their ends.
fn in_order(h: &mut History) {
    let when = |row: usize| (h.inv_ns[row], h.ret_ns[row]);
    if (1..h.len()).all(|row| when(row - 1) <= when(row)) {
        return;
    }
    let mut order: Vec<u32> = (0..h.len() as u32).collect();
    order.sort_by_key(|&row| when(row as usize));
    fn put<T: Copy>(column: &mut Vec<T>, order: &[u32]) {
        *column = order.iter().map(|&row| column[row as usize]).collect();
    }
    put(&mut h.process, &order);
    put(&mut h.f, &order);
    put(&mut h.arg, &order);
    put(&mut h.result, &order);
    put(&mut h.inv_ns, &order);
    put(&mut h.ret_ns, &order);
}

/// Number the events of rows that are in order: a merge of their starts and their ends. Of those
/// that have started, the one that ends first is on top of a heap, which is as large as there are
/// operations at once.
fn number(h: &mut History) {
    let mut open: BinaryHeap<Reverse<(i64, u32)>> = BinaryHeap::new();
    let mut event = 0;
    h.ret.resize(h.len(), OPEN);
    for row in 0..h.len() {
        let (start, end) = (h.inv_ns[row], h.ret_ns[row]);
        while let Some(&Reverse((ending, other))) = open.peek() {
            let both_short = h.inv_ns[other as usize] == ending && start == end;
            let touches = ending == start && !both_short;
            if !(ending < start || planted!("spans-touching", touches, false)) {
                break;
            }
            h.ret[other as usize] = event;
            event += 1;
            open.pop();
        }
        h.inv.push(event);
        event += 1;
        open.push(Reverse((end, row as u32)));
    }
    while let Some(Reverse((_, other))) = open.pop() {
        h.ret[other as usize] = event;
        event += 1;
    }
    h.events = event;
    h.times_in_order = true;
}

/// Err where a process has two operations at once.
fn alone(h: &History) -> Result<()> {
    let mut until: FxHashMap<u32, i64> = FxHashMap::default();
    for row in 0..h.len() {
        let (process, start) = (h.process[row], h.inv_ns[row]);
        match until.insert(process, h.ret_ns[row]) {
            Some(end) if end > start => {
                let why = format!(
                    "process {process} starts an operation at {start} while another of its is \
                     not over"
                );
                return Err(Error::new(why));
            }
            _ => {}
        }
    }
    Ok(())
}
