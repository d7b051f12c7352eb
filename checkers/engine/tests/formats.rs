//! The readers of formats, from outside.

use dissensus_engine::budget::Budget;
use dissensus_engine::formats::{read, Options, Source};
use dissensus_engine::history::History;

fn text(bytes: &str) -> Result<History, String> {
    let options = Options::default();
    read(
        Source::Bytes(bytes.as_bytes()),
        &options,
        &Budget::unlimited(),
    )
    .map_err(|e| e.to_string())
}

/// A history as text, a line an operation.
fn shown(h: &History) -> String {
    let mut out = String::new();
    for row in 0..h.len() {
        let v = |value| {
            if h.values.look(value) == dissensus_engine::values::Look::None {
                "-".to_string()
            } else {
                h.values.json(value)
            }
        };
        out += &format!(
            "{} {} {} {} {} {:?} {} {} {} {}\n",
            h.process[row],
            h.f_of(row),
            v(h.key[row]),
            v(h.arg[row]),
            v(h.result[row]),
            h.outcome[row],
            h.inv[row],
            h.ret[row] as i32,
            h.inv_ns[row],
            h.ret_ns[row],
        );
    }
    out
}

#[test]
fn edn_and_json_of_the_same_history_are_the_same() {
    let edn = "; a comment\n[{:process 0, :type :invoke, :f :write, :value 3, :index 0, :time 5}
        #jepsen.history.Op{:type :ok :time 9 :process 0 :f :write :value 3}
        {:process :nemesis :type :info :f :start :value nil}
        #_ {:process 1} {:process 1 :type :invoke :f :read :value nil}]";
    let json = r#"{"process":0,"type":"invoke","f":"write","value":3,"time":5}
        {"p":0,"type":"ok","f":"write","v":3,"t":9}
        {"ev":"phase"}
        {"p":1,"type":"invoke","f":"read"}"#;
    let (edn, json) = (text(edn).unwrap(), text(json).unwrap());
    assert_eq!(
        shown(&edn),
        "0 write - 3 3 Ok 0 1 5 9\n1 read - null - Info 2 -1 -1 -1\n"
    );
    assert_eq!(shown(&edn), shown(&json));
    assert_eq!((edn.faults.len(), json.faults.len()), (1, 0));
}

#[test]
#[ignore]
fn one_file() {
    let path = std::env::var("FILE").unwrap();
    let t = std::time::Instant::now();
    let h = read(
        Source::Path(path.as_ref()),
        &Options::default(),
        &Budget::unlimited(),
    );
    let t = t.elapsed();
    match h {
        Err(e) => println!("{path}: {e}"),
        Ok(h) => println!("{path}: {} ops {:?}", h.len(), t),
    }
}
