//! What operations say of a register, for the algorithms that need each value to be written once.

use crate::budget::{Meter, Stop};
use crate::fast::clusters::Label;
use crate::fast::staleness::{self, Staleness};
use crate::fast::zones;
use crate::history::{History, Outcome};
use crate::model::Fast;
use crate::split::Object;
use crate::values::Val;

/// What the operations of a name do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Read,
    Write,
    /// Argument [expected, new].
    Cas,
    /// Write nothing, as a delete does.
    Clear,
    /// Another algorithm is needed.
    Other,
}

/// How a register is to be understood.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    pub initial: Val,
    /// What is there where nothing is: nil, unless that reads as another value.
    pub nothing: Val,
    pub nil_unknown: bool,
    /// A cas that failed saw another value.
    pub failed_cas_asserts: bool,
}

/// Judge a register by zones and chains. `kind` is asked once for each name.
pub fn judge(
    history: &History,
    object: &Object,
    rules: Rules,
    kind: impl Fn(&str) -> Kind,
    meter: &mut Meter,
) -> Result<Fast, Stop> {
    let kinds: Vec<Kind> = history.fs.iter().map(|f| kind(f)).collect();
    let label = |row, known| label(history, &kinds, rules, row, known);
    zones::judge(history, object, rules.initial, label, meter)
}

/// How stale the reads of a register were; `None` where a value is written twice.
pub fn staleness(
    history: &History,
    object: &Object,
    rules: Rules,
    kind: impl Fn(&str) -> Kind,
    meter: &mut Meter,
) -> Result<Option<Staleness>, Stop> {
    let kinds: Vec<Kind> = history.fs.iter().map(|f| kind(f)).collect();
    let label = |row, known| label(history, &kinds, rules, row, known);
    staleness::measure(history, object, rules.initial, label, meter)
}

#[inline(always)]
fn label(history: &History, kinds: &[Kind], rules: Rules, row: u32, known: bool) -> Label {
    let row = row as usize;
    let kind = kinds
        .get(history.f[row] as usize)
        .copied()
        .unwrap_or(Kind::Other);
    let failed = history.outcome[row] == Outcome::Fail;
    match kind {
        Kind::Cas if failed && rules.failed_cas_asserts => Label::Other,
        _ if failed => Label::Nothing,
        Kind::Read if !known => Label::Nothing,
        Kind::Read => match history.result[row] {
            value if value.is_nil() || value.is_none() => match rules.nil_unknown {
                true => Label::Nothing,
                false => Label::Read(rules.nothing),
            },
            value => Label::Read(value),
        },
        Kind::Write if history.arg[row].is_none() => Label::Other,
        Kind::Write if history.arg[row].is_nil() => Label::Write(rules.nothing),
        Kind::Write => Label::Write(history.arg[row]),
        Kind::Clear => Label::Write(rules.nothing),
        // A cas that returned and says that it found another value.
        Kind::Cas if known && history.result[row] == Val::FALSE => Label::Other,
        Kind::Cas => match history.values.as_list(history.arg[row]) {
            Some(&[expected, new]) => Label::Cas(expected, new),
            _ => Label::Other,
        },
        Kind::Other => Label::Other,
    }
}
