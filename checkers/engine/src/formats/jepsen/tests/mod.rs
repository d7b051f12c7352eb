mod golden;
mod hostile;
mod twins;
mod writer;

use crate::budget::Budget;
use crate::formats::pair::Pairer;
use crate::formats::{read, Options, Source};
use crate::history::History;
use crate::values::Values;

use super::fressian::Reader;

/// The history of a text in EDN.
fn of_edn(text: &str) -> History {
    read(
        Source::Bytes(text.as_bytes()),
        &Options::default(),
        &Budget::unlimited(),
    )
    .unwrap()
}

/// Everything that a history says of its operations, as text.
fn dump(h: &History) -> String {
    let mut out = String::new();
    for row in 0..h.len() {
        let json = |value| h.values.json(value);
        let extra = |column: &[crate::values::Val]| column.get(row).map(|&value| json(value));
        out.push_str(&format!(
            "{} {} key {} {} -> {} {:?} [{} {}] {} {} node {:?} error {:?}\n",
            h.process[row],
            h.f_of(row),
            json(h.key[row]),
            json(h.arg[row]),
            json(h.result[row]),
            h.outcome[row],
            h.inv[row],
            h.ret[row],
            h.inv_ns[row],
            h.ret_ns[row],
            extra(&h.node),
            extra(&h.error),
        ));
    }
    for fault in &h.faults {
        out.push_str(&format!(
            "fault {} {} at {} {}\n",
            fault.f,
            h.values.json(fault.value),
            fault.position,
            fault.time_ns
        ));
    }
    out
}
