//! Guesses the model of a history from its operations, and says why.
//!
//! Where two models have the same operations, the guess is the one that asks for less: a wrong guess
//! must not accuse anybody. The rules are those of `checkers/guess.py`.

use std::collections::BTreeSet;

use crate::error::{Error, Result};
use crate::history::{History, Outcome};
use crate::models::said::plain;
use crate::values::{Look, Val};

/// Operations of each name whose values are looked at.
const SAMPLE_MAX: usize = 1000;

/// A model and why it is that one.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Guess {
    pub model: String,
    pub reason: String,
}

/// The operations of a history: names, and some values of each.
struct Seen<'a> {
    history: &'a History,
    names: Vec<&'a str>,
    /// Some rows of each name.
    rows: Vec<Vec<u32>>,
}

impl<'a> Seen<'a> {
    fn of(history: &'a History) -> Seen<'a> {
        let mut rows: Vec<Vec<u32>> = vec![Vec::new(); history.fs.len()];
        let most = SAMPLE_MAX * history.fs.len();
        for (row, &f) in history.f.iter().enumerate().take(most) {
            if let Some(rows) = rows
                .get_mut(f as usize)
                .filter(|rows| rows.len() < SAMPLE_MAX)
            {
                rows.push(row as u32);
            }
        }
        // A name that only a nemesis has is none of an operation.
        let mut used = vec![false; history.fs.len()];
        for &f in &history.f {
            used[f as usize] = true;
        }
        let names = history.fs.iter().zip(used).filter(|(_, used)| *used);
        Seen {
            history,
            names: names.map(|(name, _)| name.as_str()).collect(),
            rows,
        }
    }

    /// There is no other operation than these.
    fn has_only(&self, known: &[&str]) -> bool {
        self.names.iter().all(|name| known.contains(name))
    }

    fn has(&self, name: &str) -> bool {
        self.names.contains(&name)
    }

    /// Results of the operations of a name that succeeded.
    fn results<'b>(&'b self, name: &str) -> impl Iterator<Item = Look<'a>> + 'b {
        let h = self.history;
        let place = h.fs.iter().position(|known| known == name);
        let rows = place
            .and_then(|at| self.rows.get(at))
            .map_or(&[][..], Vec::as_slice);
        let ok = rows
            .iter()
            .filter(|&&row| h.outcome[row as usize] == Outcome::Ok);
        ok.map(|&row| h.values.look(h.result[row as usize]))
    }

    fn some(&self, name: &str, test: impl Fn(&Look<'_>) -> bool) -> bool {
        self.results(name).any(|found| test(&found))
    }
}

fn is_list(found: &Look<'_>) -> bool {
    matches!(found, Look::List(_) | Look::Set(_))
}

fn is_whole(found: &Look<'_>) -> bool {
    matches!(found, Look::Int(_) | Look::Big(_))
}

/// The model of a history. `nil_is_unknown`: it comes from where a read of nil says nothing. Err
/// where no model has its operations.
pub fn guess(history: &History, nil_is_unknown: bool) -> Result<Guess> {
    let seen = Seen::of(history);
    let mut names = seen.names.clone();
    names.sort_unstable();
    let names = if names.is_empty() {
        "none".to_string()
    } else {
        names.join(", ")
    };
    let found = transactions(&seen)
        .or_else(|| registers(&seen, nil_is_unknown))
        .or_else(|| sets(&seen))
        .or_else(|| by_names(&seen));
    let Some((model, more)) = found else {
        let why = format!("no model has the operations {names}: choose one with --model");
        return Err(Error::new(why));
    };
    Ok(Guess {
        model,
        reason: format!("the operations are {names}{more}"),
    })
}

type Found = Option<(String, String)>;

fn found(model: &str, more: &str) -> Found {
    Some((model.to_string(), more.to_string()))
}

/// The names of the micro-operations of a transaction.
fn micro<'a>(history: &'a History, value: Val, kinds: &mut BTreeSet<&'a str>) {
    let values = &history.values;
    let parts = values.as_list(value).unwrap_or(&[]);
    let three = |part: &Val| values.as_list(*part).filter(|items| items.len() == 3);
    if parts.iter().all(|part| three(part).is_some()) {
        let first = parts.iter().filter_map(|part| three(part)?.first());
        kinds.extend(first.filter_map(|kind| values.as_name(*kind)));
    }
}

fn transactions(seen: &Seen<'_>) -> Found {
    let h = seen.history;
    let mut kinds = BTreeSet::new();
    for &row in seen.rows.iter().flatten() {
        micro(h, h.arg[row as usize], &mut kinds);
        micro(h, h.result[row as usize], &mut kinds);
    }
    let any = |names: &[&str]| names.iter().any(|name| kinds.contains(name));
    if !seen.names.is_empty() && seen.has_only(&["txn"]) {
        if any(&["append"]) {
            let model = "list-append(level=strict-serializable)";
            return found(model, " of appends and reads");
        }
        if any(&["read", "write"]) {
            return found("multi-register", " of reads and writes");
        }
        let model = "rw-register(level=strict-serializable)";
        return found(model, " of reads and writes of registers");
    }
    if seen.has_only(&["read", "write"]) && any(&["r", "w"]) {
        return found("long-fork", ", the reads are of several keys");
    }
    None
}

fn registers(seen: &Seen<'_>, nil_is_unknown: bool) -> Found {
    let (nil, more) = if nil_is_unknown {
        ("(nil=unknown)", ", a read of nil says nothing")
    } else {
        ("", "")
    };
    if seen.names.is_empty() {
        return None;
    }
    let balances = |found: &Look<'_>| matches!(found, Look::Map(_));
    if seen.has_only(&["read", "transfer"]) && seen.some("read", balances) {
        return found("bank", ", the reads are of balances");
    }
    if seen.has_only(&["read", "write", "cas"]) {
        let name = if seen.has("cas") {
            "cas-register"
        } else {
            "register"
        };
        // Reads alone may be of anything: of a set, a list, a counter.
        return found(&format!("{name}{nil}"), more);
    }
    None
}

fn sets(seen: &Seen<'_>) -> Found {
    const KNOWN: &[&str] = &[
        "add",
        "read",
        "inc",
        "dec",
        "increment",
        "decrement",
        "broadcast",
    ];
    if seen.names.is_empty() || !seen.has_only(KNOWN) {
        return None;
    }
    match seen.results("read").filter(is_list).count() {
        0 => {}
        1 => return found("jepsen-set", ", one read finds a list"),
        _ => return found("set-full", ", the reads find lists"),
    }
    if seen.has_only(&["add", "read"]) && seen.some("read", is_whole) {
        return found("counter(bounds)", ", the reads find numbers");
    }
    if seen.has("broadcast") {
        return found("g-set", "");
    }
    found("counter", "")
}

/// Model and names that point to it, without case and separators; the first that has all of them is
/// the guess.
const FAMILIES: &[(&str, &[&str])] = &[
    ("unique-ids", &["generate"]),
    ("kv", &["get", "put", "append", "delete", "cas"]),
    ("append", &["append", "read"]),
    (
        "queue",
        &["enqueue", "dequeue", "enq", "deq", "peek", "offer", "poll"],
    ),
    ("stack", &["push", "pop", "peek", "top"]),
    ("priority-queue", &["insert", "poll", "peek"]),
    (
        "set",
        &["add", "remove", "contains", "insert", "delete", "read"],
    ),
    ("log", &["send", "poll", "append", "read"]),
    (
        "mutex",
        &[
            "acquire",
            "release",
            "lock",
            "unlock",
            "tryacquire",
            "trylock",
        ],
    ),
    ("semaphore(init=0)", &["incr", "decr"]),
    ("rmw-register", &["readmodifywrite", "rmw"]),
    (
        "fetch-and-add",
        &["fetchandadd", "fetchandinc", "addandget", "faa", "read"],
    ),
];

fn by_names(seen: &Seen<'_>) -> Found {
    let names: Vec<String> = seen.names.iter().map(|name| plain(name)).collect();
    if names.is_empty() {
        return None;
    }
    let family = FAMILIES
        .iter()
        .find(|(_, known)| names.iter().all(|name| known.contains(&name.as_str())));
    if let Some((model, _)) = family {
        return refined(model, seen);
    }
    const ENDS: &[&str] = &["front", "back", "first", "last", "left", "right"];
    const VERBS: &[&str] = &["push", "pop", "peek", "add", "offer", "poll", "remove"];
    let of_deque = |name: &String| {
        let verb = ENDS.iter().find_map(|end| name.strip_suffix(end));
        verb.is_some_and(|verb| VERBS.contains(&verb))
    };
    if names.iter().all(of_deque) {
        return found("deque", "");
    }
    None
}

/// Where results tell two models apart that have the same operations.
fn refined(model: &str, seen: &Seen<'_>) -> Found {
    if model == "append" && !seen.some("read", is_list) && seen.some("append", is_whole) {
        return found("log", ", appends answer with offsets");
    }
    let token = |found: &Look<'_>| matches!(found, Look::Int(number) if *number > 1);
    if model == "mutex" && seen.some("acquire", token) {
        return found("fenced-lock", ", acquires answer with tokens");
    }
    if model == "kv" && seen.has("append") {
        return found("kv-append", ", appends begin with empty text");
    }
    found(model, "")
}
