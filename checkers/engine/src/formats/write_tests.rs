use super::*;
use crate::formats::{read, Options, Source};

const EDN: &str = r##"
{:process 0, :type :invoke, :f :write, :key "x", :value 3, :time 1000, :node "n1"}
{:process 1, :type :invoke, :f :txn, :value [[:append 3 {:a #{1 2}}] [:r :k nil]], :time 1500}
{:process :nemesis, :type :info, :f :kill, :value "n2", :time 1600}
{:process 0, :type :ok, :f :write, :key "x", :value 3, :time 4000000000}
{:process 1, :type :info, :f :txn, :value nil, :error [:timeout "a\"b\\c\n\u0001"]}
{:process 2, :type :invoke, :f :read, :value nil}
{:process 2, :type :fail, :f :read, :error :nope}
{:process 3, :type :invoke, :f :add, :value 123456789012345678901234567890}
{:process 3, :type :ok, :f :add, :value [0.5 1e300 ##Inf -7 "ä😀" true]}
{:process 4, :type :invoke, :f "odd name", :value :k/w}
{:process :nemesis, :type :info, :f :heal, :value nil}
"##;

fn of(text: &str) -> History {
    read(
        Source::Bytes(text.as_bytes()),
        &Options::default(),
        &Budget::unlimited(),
    )
    .unwrap()
}

fn written(history: &History, form: Form) -> String {
    let mut out = Vec::new();
    write(history, form, &mut out, &Budget::unlimited()).unwrap();
    String::from_utf8(out).unwrap()
}

/// All columns as text, values in the notation that is given.
fn columns(h: &History, show: fn(&Values, Val, &mut String)) -> String {
    let text = |value: Val| {
        let mut out = String::new();
        if !value.is_none() {
            show(&h.values, value, &mut out);
        }
        out
    };
    let mut all = String::new();
    for row in 0..h.len() {
        let extra = |column: &[Val]| text(column.get(row).copied().unwrap_or(Val::NONE));
        all += &format!(
            "{} {} {:?} {:?} {:?} {:?} {} {} {} {} {:?} {:?} {:?}\n",
            h.process[row],
            h.f_of(row),
            text(h.key[row]),
            text(h.arg[row]),
            text(h.result[row]),
            h.outcome[row],
            h.inv[row],
            h.ret[row],
            h.inv_ns[row],
            h.ret_ns[row],
            extra(&h.node),
            extra(&h.error),
            h.hint.get(row)
        );
    }
    for fault in &h.faults {
        let place = (fault.position, fault.time_ns);
        all += &format!("{} {:?} {place:?}\n", fault.f, text(fault.value));
    }
    all
}

fn edn(values: &Values, value: Val, out: &mut String) {
    write_edn(values, value, out);
}

fn json(values: &Values, value: Val, out: &mut String) {
    values.write_json(value, out);
}

#[test]
fn what_is_written_reads_as_the_same_columns() {
    let history = of(EDN);
    assert_eq!(history.len(), 5);
    let again = of(&written(&history, Form::Edn));
    assert_eq!(columns(&again, edn), columns(&history, edn));
    for form in [Form::Jsonl, Form::Json] {
        let again = of(&written(&history, form));
        assert_eq!(columns(&again, json), columns(&history, json), "{form:?}");
        // From JSON on nothing is lost in any form.
        for other in [Form::Edn, Form::Json, Form::Jsonl] {
            let last = of(&written(&again, other));
            assert_eq!(
                columns(&last, edn),
                columns(&again, edn),
                "{form:?} {other:?}"
            );
        }
    }
}

/// A history of events drawn by chance, as EDN.
fn drawn(seed: u64) -> String {
    let mut state = seed;
    let mut draw = move |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut open = [None; 4];
    let mut out = String::new();
    let values = [
        "nil",
        "3",
        "[1 [2 :a]]",
        "#{1 :b \"c\"}",
        "{:x 1, \"y\" [2.5]}",
        "\"\\t\"",
        "-9",
    ];
    for _ in 0..draw(60) {
        let process = draw(5) as usize;
        let value = values[draw(7) as usize];
        let f = ["read", "write", "cas"][draw(3) as usize];
        if process == 4 {
            out += &format!("{{:process :nemesis :type :info :f :{f} :value {value}}}\n");
            continue;
        }
        let time = match draw(3) {
            0 => String::new(),
            _ => format!(":time {}", draw(1 << 40)),
        };
        let (kind, f) = match open[process].take() {
            None => {
                open[process] = Some(f);
                ("invoke", f)
            }
            Some(f) => (["ok", "info", "fail"][draw(3) as usize], f),
        };
        let rest = match draw(3) {
            0 => format!(":error {value}"),
            1 => ":node \"n1\"".to_string(),
            _ => String::new(),
        };
        out +=
            &format!("{{:process {process} :type :{kind} :f :{f} :value {value} {time} {rest}}}\n");
    }
    out
}

#[test]
fn any_history_reads_as_it_was_written() {
    for seed in 0..300 {
        let history = of(&drawn(seed));
        let again = of(&written(&history, Form::Edn));
        assert_eq!(columns(&again, edn), columns(&history, edn), "seed {seed}");
        for form in [Form::Jsonl, Form::Json] {
            let again = of(&written(&history, form));
            assert_eq!(
                columns(&again, json),
                columns(&history, json),
                "seed {seed} {form:?}"
            );
        }
    }
}

#[test]
fn a_file_that_is_there_stays_as_it_is() {
    let folder = std::env::temp_dir().join(format!("dissensus-write-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("out.edn");
    let _ = std::fs::remove_file(&path);
    let (history, budget) = (of(EDN), Budget::unlimited());
    assert_eq!(write_file(&history, Form::Edn, &path, &budget), Ok(11));
    let before = std::fs::read(&path).unwrap();
    let error = write_file(&history, Form::Jsonl, &path, &budget).unwrap_err();
    assert!(error.message.contains("there already"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
    // What is stopped half way leaves nothing behind.
    let path = folder.join("stopped.edn");
    let budget = Budget::unlimited();
    budget.cancel();
    let many = (0..3000).map(|i| format!("{{:process {i} :type :invoke :f :read}}\n"));
    let many = of(&many.collect::<String>());
    assert!(write_file(&many, Form::Edn, &path, &budget).is_err());
    assert!(!path.exists());
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn the_form_of_a_name() {
    assert_eq!(Form::of_path(Path::new("a/b.edn")), Ok(Form::Edn));
    assert_eq!(Form::of("json"), Ok(Form::Json));
    assert!(Form::of_path(Path::new("a/b.txt")).is_err());
    assert!(Form::of("xml").is_err());
}
