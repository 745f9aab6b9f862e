//! Cases for the report.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::analysis::image_out::png;
use crate::data::Picture;
use crate::train::improvement::AccuracyChange;

fn empty() -> RunReport<'static> {
    RunReport {
        title: "run",
        verdict: None,
        facts: &[],
        series: &[],
        film: &[],
        knn: &[],
        knn_note: "",
        crops: &[],
        crops_note: "",
        change: None,
        recipe_toml: "",
        warnings: &[],
    }
}

/// Every element that is opened is closed, in order. Enough of a parser for the page's own HTML.
fn check_nesting(html: &str) {
    let mut open: Vec<&str> = Vec::new();
    let body = html.split("<body>").nth(1).unwrap().split("<script>").next().unwrap();
    for tag in body.split('<').skip(1) {
        let name: &str = tag.split([' ', '>', '\n']).next().unwrap();
        if let Some(closed) = name.strip_prefix('/') {
            assert_eq!(open.pop(), Some(closed), "near <{}", &tag[..tag.len().min(60)]);
        } else if !tag.split('>').next().unwrap().ends_with('/') && !["img", "br"].contains(&name) {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "left open: {open:?}");
}

#[test]
fn empty_parts_are_left_out() {
    let html = empty().html();
    check_nesting(&html);
    assert!(!html.contains("<section") && html.contains("<h1>run</h1>"));
}

#[test]
fn all_parts_nest_and_nothing_gets_out_of_its_text() {
    let evil = "</script><img src=x onerror=alert(1)>\"'&";
    let picture = Picture::of_rgb(4, 4, vec![90; 48]);
    let film: Vec<TimelapseFrame> = (0..40)
        .map(|i| TimelapseFrame { iteration: i * 10, label: evil.to_owned(), png: png(&picture).unwrap() })
        .collect();
    let series = [
        ReportSeries {
            name: evil.into(),
            chart: evil.into(),
            unit: evil.into(),
            note: evil.into(),
            ..ReportSeries::default()
        },
        ReportSeries::of_metric(
            "loss",
            (0..200).map(|i| (i, 1.0 / (i as f64 + 1.0) + (i % 3) as f64)).collect(),
        ),
        ReportSeries::of_metric("teacher_entropy", vec![(0, f64::NAN), (1, 2.0)]),
        ReportSeries::of_metric("student_entropy", vec![(1, 3.0)]),
        ReportSeries::of_metric(evil, vec![(1, 3.0), (2, 2.0)]),
        ReportSeries::of_metric("grad_norm_backbone", vec![(1, 3.0)]),
        ReportSeries::of_metric("images_per_second", vec![(1, 300.0), (2, 100.0), (3, 200.0)]),
    ];
    let knn = [
        KnnRow { name: evil.into(), accuracy: Accuracy { correct: 80, total: 100 }, highlighted: true },
        KnnRow { name: "raw".into(), accuracy: Accuracy { correct: 0, total: 0 }, highlighted: false },
    ];
    let accuracy = |correct| Accuracy { correct, total: 100 };
    let change = ReportChange {
        sentence: Some(evil.to_owned()),
        figures: vec![(
            evil.to_owned(),
            AccuracyChange { before: accuracy(20), after: accuracy(80), steps: 9 },
        )],
        pairs: vec![(evil.to_owned(), vec![(evil.to_owned(), png(&picture).unwrap()); 2])],
    };
    let facts = [(evil.to_owned(), evil.to_owned())];
    let warnings = [evil.to_owned()];
    let report = RunReport {
        title: evil,
        verdict: Some((VerdictLevel::Wrong, evil)),
        facts: &facts,
        series: &series,
        film: &film,
        knn: &knn,
        knn_note: evil,
        crops: &knn[..1],
        crops_note: evil,
        change: Some(&change),
        recipe_toml: evil,
        warnings: &warnings,
    };
    let html = report.html();
    check_nesting(&html);
    assert!(!html.contains("<img src=x"), "text became HTML");
    assert_eq!(html.matches("</script>").count(), 1);
    assert!(
        !html.contains("src=\"http") && !html.contains("@import") && !html.contains("url("),
        "loads something"
    );
    // Entropies share a chart, frames are thinned, the median speed is shown.
    assert_eq!(html.matches("<figure class=\"chart\">").count(), 5);
    assert_eq!(html.matches("<figure><img").count(), FILM_FRAMES + 2);
    assert!(
        html.contains("<h2>Before and after</h2>")
            && html.contains("20.0 % (13.3–28.9) → 80.0 % (71.1–86.7)")
    );
    assert!(html.contains("step 390</figcaption>") && html.contains("<p class=\"value\">200</p>"));
    assert!(html.contains("80.0 %") && html.contains("71.1 – 86.7 %"));
}

#[test]
fn helpers() {
    assert_eq!(evenly(&[1, 2, 3], 5), [1, 2, 3]);
    assert_eq!(evenly(&(0..101).collect::<Vec<_>>(), 3), [0, 50, 100]);
    let picture = Picture::of_rgb(7, 5, vec![0; 105]);
    assert_eq!(png_size(&png(&picture).unwrap()), Some((7, 5)));
    assert_eq!(png_size(b"no"), None);
    let used = ReportSeries::of_metric("prototype_use", vec![(3, 0.25)]);
    assert_eq!((used.points[0].1, used.unit.as_str()), (25.0, "%"));
}
