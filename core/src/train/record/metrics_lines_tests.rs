//! Lines as they were written, to the last byte; damage that is said and kept.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::train::metrics::of_pairs as values;

fn text(iterations: std::ops::Range<u64>) -> String {
    let line =
        |i| serde_json::to_string(&MetricsLine::new(i, &values(&[("loss", 1.0 / (i + 3) as f64)]))).unwrap();
    iterations.map(|i| line(i) + "\n").collect()
}

/// A file of these bytes in a folder of its own.
fn file(bytes: impl AsRef<[u8]>) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("metrics.jsonl");
    files::write(&file, bytes).unwrap();
    (dir, file)
}

#[test]
fn numbers_come_back_to_the_last_bit() {
    // Numbers that serde_json reads one place off, and those at the edges.
    let mut rng = crate::rng::stream(7, "bits", 0, 0);
    let odd = (0..5000).map(|_| f64::from_bits(crate::rng::RngExt::random::<u64>(&mut rng)));
    let edges = [0.0, -0.0, 1e-310, f64::MIN_POSITIVE, f64::MAX, 0.1 + 0.2, 5e-324, -2.5e17];
    for value in odd.filter(|v| v.is_finite()).chain(edges) {
        let written = serde_json::to_vec(&MetricsLine::new(3, &values(&[("loss", value)]))).unwrap();
        let read = MetricsLine::parse(&written).unwrap().values["loss"].unwrap();
        assert_eq!(read.to_bits(), value.to_bits(), "{value:e}");
    }
}

#[test]
fn lines_are_read_as_json_says() {
    let line = MetricsLine::parse(br#" { "iteration" : 7 , "a\"\u0062" : -1.5e3, "none":null } "#).unwrap();
    assert_eq!((line.iteration, line.values["a\"b"], line.values["none"]), (7, Some(-1500.0), None));
    assert_eq!(MetricsLine::parse(b"{\"iteration\":2}\r\n").unwrap().values.len(), 0);
    for other in [
        "",
        "{}",
        "[1]",
        "{\"iteration\":-1}",
        "{\"iteration\":1.5}",
        "{\"iteration\":1,\"a\":\"b\"}",
        "{\"iteration\":1,\"a\":[1]}",
        "{\"iteration\":1,\"a\":true}",
        "{\"iteration\":1,\"a\":{}}",
        "{\"iteration\":1,\"a\":01}",
        "{\"iteration\":1,\"a\":NaN}",
        "{\"iteration\":1,}",
        "{\"iteration\":1} 2",
    ] {
        assert_eq!(MetricsLine::parse(other.as_bytes()), None, "{other}");
    }
    assert_eq!(MetricsLine::parse(b"{\"iteration\":1,\"a\xff\":1}"), None);
}

#[test]
fn what_is_kept_is_kept_byte_for_byte() {
    let whole = text(0..9);
    let (_dir, path) = file(whole.clone() + "{\"iteration\":5,\"knn_top1\":0.5}\n{\"itera");
    assert_eq!(rewind(&path, 5, 1).unwrap().damaged, 4, "an evaluation after later steps is out of order");
    let (_dir, path) = file(whole.clone() + "{\"itera");
    assert_eq!(rewind(&path, 5, 1).unwrap(), RewindIssues::default());
    assert_eq!(files::read_to_string(&path).unwrap(), text(0..5));
    // A line that lacks nothing but its end.
    files::write(&path, text(0..5).trim_end()).unwrap();
    assert_eq!(rewind(&path, 5, 1).unwrap(), RewindIssues::default());
    assert_eq!(files::read_to_string(&path).unwrap(), text(0..5));
    // Spaces that our writer would not put, and numbers of more places than there are.
    let odd = "{ \"iteration\": 0, \"loss\": 0.30000000000000004000 }\n";
    let (dir, path) = file(odd);
    let modified = || files::metadata(&path).unwrap().modified().unwrap();
    let before = modified();
    for _ in 0..3 {
        assert_eq!(rewind(&path, 1, 1).unwrap(), RewindIssues::default());
    }
    assert_eq!((files::read_to_string(&path).unwrap().as_str(), modified()), (odd, before));
    assert_eq!(files::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn damage_is_left_out_said_and_kept() {
    let mut bytes = text(0..6).into_bytes();
    let second = bytes.iter().position(|b| *b == b'\n').unwrap() + 5;
    bytes[second] |= 0x80;
    let (dir, path) = file(&bytes);
    let mut seen = Vec::new();
    each(&path, |line| seen.push(line.iteration)).unwrap();
    assert_eq!(seen, [0, 2, 3, 4, 5], "one bad byte costs one line");
    let wrong = rewind(&path, 6, 1).unwrap();
    assert_eq!((wrong.damaged, wrong.first, wrong.gap), (1, 2, None));
    assert_eq!(files::read_to_string(&path).unwrap(), text(0..1) + &text(2..6));
    let kept = dir.path().join("metrics.jsonl.bak");
    assert_eq!((wrong.kept_as.as_ref(), files::read(&kept).unwrap()), (Some(&kept), bytes));
    let said = wrong.sentences().concat();
    assert!(said.contains("1 line of") && said.contains("line 2") && said.contains(".bak"), "{said}");

    // Once more, and the first copy stays.
    files::write(&path, text(0..1) + "no json\n\n" + &text(1..2)).unwrap();
    let wrong = rewind(&path, 2, 1).unwrap();
    assert_eq!((wrong.damaged, wrong.first), (2, 2));
    assert_eq!(wrong.kept_as.unwrap(), dir.path().join("metrics.jsonl.bak-2"));
    assert_eq!(files::read_to_string(&path).unwrap(), text(0..2));
    // A step that says it is another, among those before it.
    files::write(&path, text(0..2) + &text(40..41) + &text(3..5)).unwrap();
    let wrong = rewind(&path, 5, 1).unwrap();
    assert_eq!((wrong.damaged, wrong.first), (1, 3));
    assert_eq!(files::read_to_string(&path).unwrap(), text(0..2) + &text(3..5));
}

#[test]
fn figures_that_are_missing_at_the_end_are_said() {
    let gap = |text: &str, iteration, apart| rewind(&file(text).1, iteration, apart).unwrap().gap;
    assert_eq!(gap(&text(0..5), 5, 1), None);
    assert_eq!(gap(&text(0..3), 5, 1), Some((3, 4)));
    assert_eq!(gap("", 5, 1), Some((0, 4)));
    assert_eq!(gap("", 0, 1), None);
    // Reports every ten steps, and a run that was stopped between two.
    let tens = text(0..1) + &text(9..10) + &text(19..20);
    assert_eq!(gap(&tens, 26, 10), None);
    assert_eq!(gap(&tens, 26, 1), None, "their distance is seen");
    assert_eq!(gap(&tens, 30, 10), Some((20, 29)));
}

#[test]
fn a_line_without_end_is_not_taken_into_memory() {
    let (_dir, path) = file([vec![b'x'; 3 << 20], b"\n".to_vec(), text(0..2).into_bytes()].concat());
    let mut lines = RawLineReader::open(&path).unwrap().unwrap();
    while lines.next().unwrap().is_some() {
        assert!(lines.bytes.capacity() <= 2 << 20, "{}", lines.bytes.capacity());
    }
    let wrong = rewind(&path, 2, 1).unwrap();
    assert_eq!((wrong.damaged, wrong.first), (1, 1));
    assert_eq!(files::read_to_string(&path).unwrap(), text(0..2));
}
