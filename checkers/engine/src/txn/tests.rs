//! Small histories in a line each: "PROCESS[!|?] [INV-RET]: ops; ...", see `history`.

use super::*;
use crate::history::{Outcome, OPEN};
use crate::values::Val;

/// "0: ax1 rx12; 1? 3-: ay1": transactions with process, outcome (! failed, ? unknown), times of
/// invocation and return (0-99 where they are not given), and one-letter operations: append, write,
/// read, each with a one-letter key and one-digit values.
fn history(text: &str, workload: Workload) -> History {
    let mut h = History::default();
    let f = h.name("txn");
    let mut events: Vec<(u32, bool, usize)> = Vec::new();
    let mut txns = Vec::new();
    for (row, part) in text.split(';').enumerate() {
        let (head, ops) = part.split_once(':').unwrap();
        let mut head = head.split_whitespace();
        let who = head.next().unwrap();
        let (from, to) = head.next().unwrap_or("0-99").split_once('-').unwrap();
        events.push((from.parse().unwrap(), false, row));
        if !to.is_empty() && !who.ends_with('?') {
            events.push((to.parse().unwrap(), true, row));
        }
        txns.push((who.to_string(), ops.to_string()));
    }
    events.sort();
    let mut row_of = vec![usize::MAX; txns.len()];
    for (position, &(_, returns, at)) in (0u32..).zip(&events) {
        if returns {
            h.ret[row_of[at]] = position;
            continue;
        }
        row_of[at] = h.process.len();
        let (who, ops) = &txns[at];
        let items: Vec<Val> = ops
            .split_whitespace()
            .map(|op| micro(&mut h, op, workload))
            .collect();
        let value = h.values.list(&items);
        h.process
            .push(who.trim_end_matches(['!', '?']).parse().unwrap());
        h.f.push(f);
        h.key.push(Val::NONE);
        h.arg.push(value);
        h.result.push(value);
        h.outcome.push(match who.chars().last() {
            Some('!') => Outcome::Fail,
            Some('?') => Outcome::Info,
            _ => Outcome::Ok,
        });
        h.inv.push(position);
        h.ret.push(OPEN);
        h.inv_ns.push(-1);
        h.ret_ns.push(-1);
    }
    h.events = events.len() as u32;
    h
}

fn micro(h: &mut History, op: &str, workload: Workload) -> Val {
    let mut chars = op.chars();
    let kind = match chars.next() {
        Some('a') => "append",
        Some('w') => "w",
        _ => "r",
    };
    let key = h.values.keyword(&chars.next().unwrap().to_string());
    let digits: Vec<Val> = chars.map(|c| Val(c.to_digit(10).unwrap())).collect();
    let value = if kind == "r" && workload == Workload::ListAppend {
        h.values.list(&digits)
    } else {
        digits.first().copied().unwrap_or(Val::NIL)
    };
    let kind = h.values.keyword(kind);
    h.values.list(&[kind, key, value])
}

fn names(text: &str, workload: Workload) -> Vec<String> {
    let h = history(text, workload);
    let found = judge(&h, workload, &Budget::unlimited()).unwrap();
    let mut names: Vec<String> = found.anomalies.iter().map(|a| a.name.clone()).collect();
    names.sort();
    names.dedup();
    assert_eq!(
        names.is_empty(),
        found.order.is_some() && found.strict,
        "{text}: {names:?}"
    );
    names
}

fn lists(text: &str) -> Vec<String> {
    names(text, Workload::ListAppend)
}

#[test]
fn legal_lists_have_a_serial_order() {
    for text in [
        "0: ax1; 1: rx1",
        "0 1-2: ax1 ay1; 1 3-4: rx1 ax2; 0 5-6: rx12 ry1",
        "0?: ax1; 1 5-6: rx; 1 7-8: rx1",
        "0?: ax1; 1 5-6: rx",
        "0!: ax1; 1: rx",
        "0: ax1; 1: ax2; 2: ax3; 3: rx",
        "0: rx ax1; 1: rx1 ax2 rx12",
    ] {
        assert_eq!(lists(text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn every_cycle_of_lists() {
    for (text, expected) in [
        ("0: ax1 ay2; 1: ax2 ay1; 2: rx12 ry12", "G0"),
        ("0: ax1 ry1; 1: ay1 rx1", "G1c"),
        ("0: ax1 az1; 1: rx1 ay1; 2: ry1 rz", "G-single-item"),
        ("0: rx ay1; 1: ry ax1", "G2-item"),
        ("0 1-2: ax1; 1 3-4: rx", "G-single-item-realtime"),
        ("0 1-2: ax1; 0 3-4: rx", "G-single-item-process"),
        ("0 3-4: ax1; 1 1-2: rx1", "G1c-realtime"),
        ("0 1-2: ax1; 1 3-4: ax2; 2: rx21", "G0-realtime"),
        (
            "0: ry rx1; 1: ay1 az1; 2: rz1 ru; 3: au1 ax1",
            "G-nonadjacent-item",
        ),
    ] {
        assert_eq!(lists(text), [expected], "{text}");
    }
}

#[test]
fn anomalies_of_lists_without_cycles() {
    for (text, expected) in [
        ("0!: ax1; 1: rx1", &["G1a"][..]),
        ("0: ax1 ax2; 1: rx1", &["G-single-item", "G1b"]),
        (
            "0: ax1 ay1; 1: rx1 ry; 2: ry1",
            &["G-single-item", "fractured-read", "fractured-view"],
        ),
        (
            "0: ax1 ay1; 1: ry rx1; 2: ry1",
            &["G-single-item", "fractured-read"],
        ),
        ("0: rx1", &["garbage-read"]),
        ("0: ax1; 1: rx11", &["duplicate-elements"]),
        ("0: ax1; 1: ax2; 2: rx12; 3: rx21", &["incompatible-order"]),
        ("0: ax1 rx", &["internal"]),
        ("0: rx1 ax1", &["future-read"]),
        ("0!: ax1; 1: ax2; 2: rx12", &["G1a", "dirty-update"]),
        ("0: rx ax1; 1: rx ax2", &["G2-item", "lost-update"]),
    ] {
        assert_eq!(lists(text), expected, "{text}");
    }
}

fn registers(text: &str) -> Vec<String> {
    names(text, Workload::RwRegister)
}

#[test]
fn legal_registers_have_a_serial_order() {
    for text in [
        "0: wx1; 1: rx1",
        "0: wx1; 1: rx",
        "0 1-2: wx1 wy1; 1 3-4: rx1 wx2; 0 5-6: rx2 ry1",
        "0?: wx1; 1 5-6: rx; 1 7-8: rx1",
        "0?: wx1; 1 5-6: rx",
        "0!: wx1; 1: rx",
        "0 1-9: wx1; 1 1-9: wx2; 2 10-12: rx1; 3 11-13: rx1",
        "0: wx1 wy1; 1: wx2 wy2; 2: rx1 ry1; 3: rx2 ry2",
    ] {
        assert_eq!(registers(text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn anomalies_of_registers() {
    for (text, expected) in [
        ("0: wx1; 1: rx2", &["garbage-read"][..]),
        ("0!: wx1; 1: rx1", &["G1a"]),
        ("0: wx1 wx2; 1: rx1", &["G1b"]),
        ("0: wx1 rx2; 1: wx2", &["internal"]),
        ("0: rx1 wx1", &["future-read"]),
        ("0: wx1 ry1; 1: wy1 rx1", &["G1c"]),
        ("0: rx wx1; 1: rx wx2", &["G2-item", "lost-update"]),
        ("0: rx wy1; 1: ry wx1", &["G2-item"]),
        (
            "0: wx1 wy1; 1: rx1 ry",
            &["G-single-item", "fractured-read", "fractured-view"],
        ),
        ("0: wx1 wz1; 1: rx1 wy1; 2: ry1 rz", &["G-single-item"]),
        // Stale: found without any option.
        (
            "0 1-2: wx1; 0 3-4: wx2; 1 5-6: rx1",
            &["G-single-item-realtime"],
        ),
        (
            "0 1-2: wx1; 0 3-4: wx2; 0 5-6: rx1",
            &["G-single-item-process"],
        ),
        ("0 1-2: wx1; 1 3-4: rx", &["G-single-item-realtime"]),
        (
            "0 1-90: wx1; 1 1-90: wx2; 2 1-2: rx1; 3 3-4: rx2; 4 5-6: rx1",
            &["G-nonadjacent-item-realtime", "G-single-item-realtime"],
        ),
        // Two versions of each of two keys, in orders that no version order explains.
        ("0: wx1 wy1; 1: wx2 wy2; 2: rx1 ry2", &["no-serial-order"]),
    ] {
        assert_eq!(registers(text), expected, "{text}");
    }
}

#[test]
fn the_shortest_cycle_leaps_over_what_lies_between() {
    let text = "0 1-2: ax1 az1; 0 3-4: ax2 az2; 0 5-6: az3; 1 7-8: rx1 rz123";
    let h = history(text, Workload::ListAppend);
    let found = judge(&h, Workload::ListAppend, &Budget::unlimited()).unwrap();
    let steps = |name: &str| {
        let anomaly = found.anomalies.iter().find(|a| a.name == name);
        anomaly.map(|a| a.steps.len())
    };
    assert_eq!(steps("G-single-item"), Some(3));
    assert_eq!(steps("G-single-item-process"), Some(3));
    assert_eq!(steps("G-single-item-realtime"), Some(2));
}
