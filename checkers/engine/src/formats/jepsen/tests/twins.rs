//! The same run as `history.edn` and as `test.jepsen` is the same history.

use super::writer::{edn_of, ints, kw, test_fressian, text, File, Op, V};
use super::*;
use crate::formats::jepsen::test_file::{read_fressian, read_jepsen};
use crate::formats::jepsen::About;
use crate::formats::text::End;

/// A run with some of everything, the same for the same seed.
pub fn run(seed: u64, events: usize) -> Vec<Op> {
    let mut state = seed | 1;
    let mut draw = move |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut open: Vec<Option<(&'static str, V)>> = vec![None; 5];
    let mut ops = Vec::new();
    for i in 0..events {
        let process = draw(6) as usize;
        let time = 1_000 + (i as i64) * 1_700_000_000;
        let op = |process, kind, f, value, rest| Op {
            process,
            kind,
            f,
            value,
            time,
            rest,
        };
        if process == 5 {
            ops.push(op(kw("nemesis"), "info", "kill", text("n1"), Vec::new()));
            continue;
        }
        let who = V::Int(process as i64);
        let Some((f, value)) = open[process].take() else {
            let n = draw(3000) as i64 - 100;
            let (f, value) = match draw(6) {
                0 => ("write", V::Int(n)),
                1 => ("read", V::Nil),
                2 => ("cas", ints(&[n, n + 1])),
                3 => (
                    "txn",
                    V::List(vec![V::List(vec![kw("append"), V::Int(3), V::Int(n)])]),
                ),
                4 => ("add", text("ä \u{1F600}\n")),
                _ => (
                    "write",
                    V::Map(vec![(kw("x"), V::F64(0.5)), (text("y"), V::Bool(true))]),
                ),
            };
            open[process] = Some((f, value.clone()));
            let rest = vec![(kw("node"), text("n3"))];
            ops.push(op(
                who,
                "invoke",
                f,
                value,
                if n % 2 == 0 { rest } else { Vec::new() },
            ));
            continue;
        };
        let value = match f {
            "read" => V::Set(vec![V::Int(draw(9) as i64), kw("z")]),
            _ => value,
        };
        ops.push(match draw(8) {
            0 => op(who, "fail", f, value, vec![(kw("error"), kw("nope"))]),
            1 => op(
                who,
                "info",
                f,
                value,
                vec![(kw("error"), V::List(vec![kw("timeout")]))],
            ),
            _ => op(who, "ok", f, value, Vec::new()),
        });
    }
    ops
}

pub fn of_jepsen(bytes: &[u8], salvage: bool) -> crate::error::Result<(History, End, About)> {
    let mut pairer = Pairer::new(salvage);
    let budget = Budget::unlimited();
    let (end, about) = read_jepsen(Source::Bytes(bytes), salvage, &mut pairer, &budget)?;
    Ok((pairer.finish().0, end, about))
}

#[test]
fn twins_of_streamed_chunks() {
    for seed in 1..12 {
        let ops = run(seed, 40 * seed as usize);
        let (file, _) = File::streamed(&ops, 37);
        let (history, end, about) = of_jepsen(&file.bytes, false).unwrap();
        assert_eq!(dump(&history), dump(&of_edn(&edn_of(&ops))), "seed {seed}");
        assert_eq!(end, End::Whole);
        assert_eq!(about.valid.as_deref(), Some("false"));
        assert_eq!(about.name.as_deref(), Some("lin-kv"));
    }
}

#[test]
fn twins_of_one_vector() {
    let ops = run(3, 500);
    let (history, end, about) = of_jepsen(&File::whole(&ops).bytes, false).unwrap();
    assert_eq!(dump(&history), dump(&of_edn(&edn_of(&ops))));
    assert_eq!((end, about.valid.as_deref()), (End::Whole, Some("unknown")));
}

#[test]
fn twins_of_a_test_in_one_map() {
    let ops = run(4, 300);
    let mut pairer = Pairer::new(false);
    let bytes = test_fressian(&ops);
    let source = Source::Bytes(&bytes);
    let (_, about) = read_fressian(source, &mut pairer, &Budget::unlimited()).unwrap();
    assert_eq!(dump(&pairer.finish().0), dump(&of_edn(&edn_of(&ops))));
    assert_eq!(
        (about.valid.as_deref(), about.name.as_deref()),
        (Some("true"), Some("etcd"))
    );
}

#[test]
fn a_cut_file_is_read_up_to_its_last_whole_block() {
    let ops = run(5, 300);
    let (file, chunks) = File::streamed(&ops, 50);
    // The run was killed while the fourth chunk was written: all that follows is not there, and the
    // header knows the index behind the third.
    for (keep, cut_at) in [(3, chunks[3]), (1, chunks[1]), (0, chunks[0])] {
        for more in [0, 10, 28, 40] {
            let end = file.offset_of(cut_at) + more;
            let (history, found, _) = of_jepsen(&file.bytes[..end], false).unwrap();
            let wanted = of_edn(&edn_of(&ops[..50 * keep]));
            assert_eq!(
                dump(&history),
                dump(&wanted),
                "{keep} chunks and {more} bytes"
            );
            assert_eq!(found, End::Cut(file.offset_of(cut_at) as u64));
        }
    }
    // A whole chunk that no index knows is read all the same.
    let end = file.offset_of(chunks[2] + 1) - 1;
    let (history, found, _) = of_jepsen(&file.bytes[..end], false).unwrap();
    assert_eq!(dump(&history), dump(&of_edn(&edn_of(&ops[..150]))));
    assert!(matches!(found, End::Cut(_)), "{found:?}");
}

#[test]
fn a_header_that_was_never_written_ends_the_file() {
    let ops = run(6, 120);
    let (file, chunks) = File::streamed(&ops, 50);
    let mut bytes = file.bytes.clone();
    let at = file.offset_of(chunks[2]);
    bytes.truncate(at + 100);
    bytes[at..at + 28].fill(0);
    let (history, end, _) = of_jepsen(&bytes, false).unwrap();
    assert_eq!(dump(&history), dump(&of_edn(&edn_of(&ops[..100]))));
    assert_eq!(end, End::Cut(at as u64));
}

#[test]
fn a_damaged_block_is_an_error_with_its_place_and_salvaged_a_hole() {
    let ops = run(7, 200);
    let (file, chunks) = File::streamed(&ops, 50);
    let mut bytes = file.bytes.clone();
    let at = file.offset_of(chunks[1]);
    bytes[at + 60] ^= 1;
    let error = of_jepsen(&bytes, false).map(|_| ()).unwrap_err();
    assert_eq!(error.place, crate::error::Place::Byte(at as u64), "{error}");
    assert!(error.message.contains("checksum"), "{error}");
    let mut pairer = Pairer::new(true);
    let budget = Budget::unlimited();
    read_jepsen(Source::Bytes(&bytes), true, &mut pairer, &budget).unwrap();
    let (history, odd) = pairer.finish();
    assert!(
        odd.iter()
            .any(|odd| odd.rule == "unreadable" && odd.at == at as u64),
        "{odd:?}"
    );
    assert!(history.len() > 40);
}

#[test]
fn a_chunk_that_is_missing_from_the_list_is_noticed() {
    let ops = run(8, 100);
    let (mut file, chunks) = File::streamed(&ops, 50);
    file.big_vector(1, 100, &[(50, chunks[1])]);
    file.index();
    let error = of_jepsen(&file.bytes, false).map(|_| ()).unwrap_err();
    assert!(error.message.contains("begins at operation 50"), "{error}");
    file.big_vector(1, 100, &[(0, chunks[0])]);
    file.index();
    let error = of_jepsen(&file.bytes, false).map(|_| ()).unwrap_err();
    assert!(
        error.message.contains("history of 100 operations, 50"),
        "{error}"
    );
}

/// A short run of a register.
fn register() -> Vec<Op> {
    let op = |process, kind, f, value, i: i64| Op {
        process,
        kind,
        f,
        value,
        time: 1_000_000_000 * i,
        rest: Vec::new(),
    };
    let mut ops = vec![
        op(V::Int(0), "invoke", "write", V::Int(1), 1),
        op(V::Int(1), "invoke", "read", V::Nil, 2),
        op(V::Int(0), "ok", "write", V::Int(1), 3),
        op(kw("nemesis"), "info", "kill", text("n1"), 4),
        op(V::Int(1), "ok", "read", V::Int(1), 5),
        op(V::Int(2), "invoke", "cas", ints(&[1, 2]), 6),
        op(V::Int(2), "info", "cas", ints(&[1, 2]), 7),
        op(V::Int(1), "invoke", "read", V::Nil, 8),
        op(V::Int(1), "ok", "read", V::Int(2), 9),
    ];
    ops[6].rest = vec![(kw("error"), kw("timeout"))];
    ops
}

#[test]
fn what_a_nemesis_did_is_no_operation() {
    let mut ops = register();
    ops.rotate_left(3);
    for text in [
        edn_of(&ops[..1]) + &edn_of(&register()),
        edn_of(&register()),
    ] {
        let history = of_edn(&text);
        assert_eq!(history.fs, ["write", "read", "cas"]);
        assert_eq!(
            history.faults.last().map(|fault| &fault.f[..]),
            Some("kill")
        );
        let names: Vec<&str> = (0..history.len()).map(|row| history.f_of(row)).collect();
        assert_eq!(names, ["write", "read", "cas", "read"]);
    }
}

/// The files that the tests in Python read are what the writer here writes.
#[test]
fn the_files_of_the_tests_in_python() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/checkers/formats/");
    let ops = register();
    let bytes = File::streamed(&ops, 4).0.bytes;
    let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let lines: Vec<String> = hex.chunks(40).map(|line| line.concat() + "\n").collect();
    for (name, wanted) in [
        ("run.jepsen.hex", lines.concat()),
        ("run.edn", edn_of(&ops)),
    ] {
        let path = format!("{folder}{name}");
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        if std::env::var_os("DISSENSUS_WRITE_GOLDEN").is_some() {
            std::fs::write(&path, &wanted).unwrap();
        } else {
            assert_eq!(
                found, wanted,
                "{path}: DISSENSUS_WRITE_GOLDEN=1 writes it again"
            );
        }
    }
}
