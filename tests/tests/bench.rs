//! `dinoscope bench` measures what it says, and its JSON is complete.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Stdio;

use dinoscope_tests::program::{TINY, command, ok, run};
use serde_json::Value;

fn report(arguments: &[&str]) -> Value {
    let mut all = vec!["bench", "--device", "cpu", "--json", "--repeat", "3"];
    all.extend(arguments);
    serde_json::from_str(&ok(Path::new("."), &all)).unwrap()
}

/// Every number that a row must have is there, finite and above 0.
fn check_row(row: &Value) {
    for path in ["/seconds/median", "/seconds/low", "/seconds/high", "/per_second", "/ratio"] {
        let value = row.pointer(path).and_then(Value::as_f64).unwrap_or(0.0);
        assert!(value.is_finite() && value > 0.0, "{path} of {row}");
    }
    let [low, median, high] = ["low", "median", "high"].map(|q| row["seconds"][q].as_f64().unwrap());
    assert!(low <= median && median <= high, "{row}");
    assert_eq!(row["seconds"]["runs"], 3, "{row}");
}

#[test]
fn attention_in_json_is_complete() {
    let report = report(&["--only", "attention", "--tokens", "90", "--heads", "2", "--width", "8"]);
    assert!(report["peak_flops_per_second"].as_f64().unwrap() > 1e8, "{report}");
    assert!(report["threads"].as_u64().unwrap() >= 1 && report["device"].as_str().unwrap().contains("CPU"));
    let rows = report["rows"].as_array().unwrap();
    let ways: Vec<&str> = rows.iter().map(|row| row["way"].as_str().unwrap()).collect();
    assert_eq!(ways, ["model", "unfused"]);
    // 2 operations, 3 passes: two projections of 4 dim² a token, and scores and mixing of 2 tokens dim.
    let flops = 2 * 3 * (90 * 4 * 16 * 16 + 2 * 90 * 90 * 16);
    for row in rows {
        check_row(row);
        assert_eq!((&row["sizes"]["tokens"], row["flops"].as_u64()), (&90.into(), Some(flops)), "{row}");
        assert!(row["share_of_peak"].as_f64().unwrap() > 0.0, "{row}");
        assert!(row["figures"]["largest difference"].as_f64().unwrap() < 1e-4, "{row}");
        let [before, peak] = ["before", "peak"].map(|m| row["memory"][m].as_u64().unwrap());
        // The inputs, three times as many queries, keys and values, and two gradients are the least that it needs.
        assert!(peak >= before + 5 * 90 * 16 * 4, "{row}");
    }
}

#[test]
fn a_step_its_parts_and_its_variants_are_measured() {
    let mut arguments = vec!["--only", "step,student,programs,packing,drop"];
    arguments.extend(TINY);
    let report = report(&arguments);
    let rows = report["rows"].as_array().unwrap();
    rows.iter().for_each(check_row);
    let of = |subject: &str| -> Vec<&Value> { rows.iter().filter(|row| row["subject"] == subject).collect() };
    let [step] = of("step")[..] else { panic!("one step: {report}") };
    let value = |row: &Value, key: &str| row[key].as_f64().unwrap();
    // Four pictures in two crops of 17 tokens and two of 5 for the student; the teacher sees the large ones again.
    let tokens = 4.0 * (2.0 * 17.0 + 2.0 * 5.0 + 2.0 * 17.0);
    assert!((value(step, "tokens_per_second") / value(step, "per_second") - tokens).abs() < 1e-6, "{step}");
    assert!((value(step, "images_per_second") / value(step, "per_second") - 4.0).abs() < 1e-9, "{step}");
    assert!((value(&step["figures"], "loss") - 5.0 * 64f64.ln() / 4.0).abs() < 1.5, "{step}");
    assert!(of("programs").len() >= 10 && of("student").len() == 2 && of("drop").len() == 2, "{report}");
    for row in of("packing") {
        assert!(value(&row["figures"], "largest feature difference") < 1e-4, "{row}");
        assert!(value(&row["figures"], "relative gradient difference") < 1e-3, "{row}");
    }
}

/// The protocol of programs that measure two sides in turn.
#[test]
fn paced_runs_wait_for_a_line_each() {
    let arguments = ["bench", "--device", "cpu", "--only", "forward", "--paced", "--backbone", "nano"];
    let arguments = [&arguments[..], &["--resolution", "32", "--images", "1"]].concat();
    let mut child =
        command(Path::new("."), &arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    let mut stdin = child.stdin.take().unwrap();
    assert_eq!(next()["ready"], true);
    for _ in 0..2 {
        stdin.write_all(b"\n").unwrap();
        assert!(next()["seconds"].as_f64().unwrap() > 0.0);
    }
    drop(stdin);
    let report = next();
    assert_eq!(
        (report["rows"].as_array().unwrap().len(), &report["rows"][0]["seconds"]["runs"]),
        (1, &2.into())
    );
    assert!(child.wait().unwrap().success());
}

#[test]
fn unknown_subjects_and_impossible_sizes_are_mistakes() {
    let cases: [(&[&str], &str); 4] = [
        (&["--only", "sleep"], "there are forward, step"),
        (&["--only", "forward", "--backbone", "vitx"], "there are nano"),
        (&["--only", "forward", "--resolution", "223"], "no whole number of patches"),
        (&["--only", "forward,step", "--paced"], "one subject"),
    ];
    for (arguments, wanted) in cases {
        let all = [&["bench", "--device", "cpu"], arguments].concat();
        let output = run(Path::new("."), &all);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
        assert!(message.contains(wanted), "{arguments:?}: {message}");
    }
}
