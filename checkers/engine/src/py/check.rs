//! Judging a history against a model.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use pyo3::prelude::*;

use super::guard;
use super::history::PyHistory;
use super::model::UserModel;
use crate::budget::Budget;
use crate::certify::Checked;
use crate::check::{check as judge_all, known, Certified, Options, Report};
use crate::error::{Error, Result};
use crate::history::{History, Outcome};
use crate::model::Judge;
use crate::models;
use crate::spec::Spec;
use crate::values::json_string;
use crate::verdict::{Answer, Finding, Keyed};

/// What a model says of a history, as JSON: {"model", "configurations", "cpu_ns", "objects": [{"key",
/// "algorithm", "answer": "illegal" | "unknown", "visited", ...}], "legal": how many more there are,
/// "algorithms": {name: objects}, "staleness": {"ns", "versions"}, "certificates"}; of a fold
/// {"model", "findings": [{"rule", "rows", "text"}]}. With `orders`, the legal objects are listed
/// too ("legal"), each with its rows in an order that the model allows. `user` is the `Bridge` to a
/// model that a user wrote. Raises ValueError for what the model does not have.
#[pyfunction]
#[pyo3(signature = (
    history, model, *, cpu_s=None, memory_bytes=None, configurations=None, threads=0,
    search_only=false, prepass=true, certificates=3, orders=false, watch=None, user=None
))]
#[allow(clippy::too_many_arguments)]
pub fn check(
    py: Python<'_>,
    history: &PyHistory,
    model: &str,
    cpu_s: Option<f64>,
    memory_bytes: Option<usize>,
    configurations: Option<u64>,
    threads: usize,
    search_only: bool,
    prepass: bool,
    certificates: usize,
    orders: bool,
    watch: Option<&Bound<'_, PyAny>>,
    user: Option<&Bound<'_, PyAny>>,
) -> PyResult<String> {
    let options = Options {
        threads,
        search_only,
        prepass,
        certificates,
    };
    let cpu_ns = cpu_s.map_or(u64::MAX, |s| (s.max(0.0) * 1e9) as u64);
    let budget = Budget::new(
        cpu_ns,
        memory_bytes.unwrap_or(usize::MAX),
        configurations.unwrap_or(u64::MAX),
    );
    let inner = Arc::clone(&history.inner);
    if let Some(bridge) = user {
        let model = UserModel::new(bridge, &budget)?;
        return guard::run(py, &budget, watch, || {
            let report = judge_all(&inner, &model, &options, &budget);
            // What the user's code raised comes first: it is why the search stopped.
            match model.failure() {
                Some(text) => Err(Error::new(text)),
                None => Ok(report_json(&inner, &report?, &budget, orders)),
            }
        });
    }
    let judge = Spec::parse(model)
        .and_then(|spec| models::make(&spec))
        .map_err(guard::to_python)?;
    guard::run(py, &budget, watch, || {
        answer(&inner, &judge, &options, &budget, orders)
    })
}

fn answer(
    history: &History,
    judge: &Judge,
    options: &Options,
    budget: &Budget,
    orders: bool,
) -> Result<String> {
    match judge {
        Judge::Object(model) => {
            let report = judge_all(history, &**model, options, budget)?;
            Ok(report_json(history, &report, budget, orders))
        }
        Judge::Fold(fold) => {
            known(history, &fold.name(), fold.fs())?;
            let found = fold.judge(history, &mut budget.meter());
            let mut out = String::from("{\"model\":");
            json_string(&fold.name(), &mut out);
            match found {
                Ok(findings) => findings_json(&findings, &mut out),
                Err(why) => {
                    let _ = write!(out, ",\"why\":\"{}\"", why.text());
                }
            }
            out.push('}');
            Ok(out)
        }
        Judge::Transactions(spec) => Err(Error::new(format!(
            "model {} is one of transactions",
            spec.name
        ))),
    }
}

fn report_json(history: &History, report: &Report, budget: &Budget, orders: bool) -> String {
    let mut out = String::from("{\"model\":");
    json_string(&report.model, &mut out);
    let _ = write!(
        out,
        ",\"configurations\":{},\"cpu_ns\":{},\"objects\":[",
        report.configurations,
        budget.used_ns()
    );
    let legal = |keyed: &&Keyed| matches!(keyed.answer, Answer::Legal(_));
    let told = report
        .objects
        .iter()
        .filter(|keyed| orders || !legal(keyed));
    for (at, keyed) in told.enumerate() {
        if at > 0 {
            out.push(',');
        }
        keyed_json(history, keyed, orders, &mut out);
    }
    let _ = write!(
        out,
        "],\"legal\":{}",
        report.objects.iter().filter(legal).count()
    );
    algorithms_json(&report.objects, &mut out);
    if let Some(worst) = report.staleness {
        let _ = write!(
            out,
            ",\"staleness\":{{\"ns\":{},\"versions\":{}}}",
            worst.ns, worst.versions
        );
    }
    out.push_str(",\"certificates\":[");
    for (at, certified) in report.certificates.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        certificate_json(history, certified, &mut out);
    }
    out.push_str("]}");
    out
}

/// How many objects each algorithm judged.
fn algorithms_json(objects: &[Keyed], out: &mut String) {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for keyed in objects.iter().filter(|keyed| !keyed.algorithm.is_empty()) {
        *counts.entry(keyed.algorithm).or_default() += 1;
    }
    out.push_str(",\"algorithms\":{");
    for (at, (name, count)) in counts.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        json_string(name, out);
        let _ = write!(out, ":{count}");
    }
    out.push('}');
}

/// {"key", "end", "kept", "blocked", "repeat", "minimal", "gaps": [{"f", "arg", "result", "known",
/// "process", "from", "from_row", "to", "to_row"}], "checked": "" where it holds, else why not}. A
/// gap without `from` begins at the beginning.
fn certificate_json(history: &History, certified: &Certified, out: &mut String) {
    let certificate = &certified.certificate;
    out.push_str("{\"key\":");
    history.values.write_json(certificate.key, out);
    let _ = write!(
        out,
        ",\"end\":{},\"blocked\":{},\"repeat\":{},\"minimal\":{}",
        certificate.end, certificate.blocked, certificate.repeat, certificate.minimal
    );
    rows_json("kept", &certificate.kept, out);
    out.push_str(",\"gaps\":[");
    for (at, gap) in certificate.gaps.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.push_str("{\"f\":");
        json_string(&history.fs[gap.class.f as usize], out);
        out.push_str(",\"arg\":");
        history.values.write_json(gap.class.arg, out);
        out.push_str(",\"result\":");
        history.values.write_json(gap.class.result, out);
        let known = gap.class.outcome == Outcome::Ok;
        let _ = write!(out, ",\"known\":{known},\"process\":{}", gap.class.process);
        for (name, side) in [("from", gap.after), ("to", gap.before)] {
            if let Some((position, row)) = side {
                let _ = write!(out, ",\"{name}\":{position},\"{name}_row\":{row}");
            }
        }
        out.push('}');
    }
    out.push_str("],\"checked\":");
    match &certified.checked {
        Checked::Holds => out.push_str("\"\""),
        Checked::Refuted(why) => json_string(why, out),
        Checked::TooMuch => out.push_str("null"),
    }
    out.push('}');
}

fn keyed_json(history: &History, keyed: &Keyed, orders: bool, out: &mut String) {
    out.push_str("{\"key\":");
    history.values.write_json(keyed.key, out);
    out.push_str(",\"algorithm\":");
    json_string(keyed.algorithm, out);
    let _ = write!(out, ",\"visited\":{},\"answer\":", keyed.visited);
    match &keyed.answer {
        Answer::Legal(order) => {
            out.push_str("\"legal\"");
            if orders {
                rows_json("order", order, out);
            }
        }
        Answer::Illegal(core) => {
            let _ = write!(out, "\"illegal\",\"blocked\":{}", core.blocked);
            rows_json("rows", &core.rows, out);
        }
        Answer::Unknown {
            why,
            proven,
            returns,
        } => {
            let _ = write!(
                out,
                "\"unknown\",\"why\":\"{}\",\"proven\":{proven},\"returns\":{returns}",
                why.text()
            );
        }
    }
    out.push('}');
}

fn rows_json(name: &str, rows: &[u32], out: &mut String) {
    let _ = write!(out, ",\"{name}\":[");
    for (at, row) in rows.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        let _ = write!(out, "{row}");
    }
    out.push(']');
}

fn findings_json(findings: &[Finding], out: &mut String) {
    out.push_str(",\"findings\":[");
    for (at, finding) in findings.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.push_str("{\"rule\":");
        json_string(finding.rule, out);
        rows_json("rows", &finding.rows, out);
        out.push_str(",\"text\":");
        json_string(&finding.text, out);
        out.push('}');
    }
    out.push(']');
}
