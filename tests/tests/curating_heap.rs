//! The steps of curation on a heap whose truth is known: what each finds of what it is for, and how much of what it takes is right.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use dinoscope_core::data::source::scenes::SceneKind;
use dinoscope_curate::{CuratedPicture, CurationTable};
use dinoscope_tests::long_tail::{HeapTruth, LongTailHeap};
use dinoscope_tests::program::{ok, run};

/// Pictures of the largest class; more by `DINOSCOPE_CURATE_HEAP=1000`.
fn heap() -> LongTailHeap {
    let largest =
        std::env::var("DINOSCOPE_CURATE_HEAP").ok().and_then(|text| text.parse().ok()).unwrap_or(12);
    LongTailHeap { largest, tests: if largest > 100 { 8 } else { 2 } }
}

/// What a step took, of what it should have.
#[derive(Clone, Copy, Debug, Default)]
struct StepJudgement {
    taken: usize,
    right: usize,
    wanted: usize,
}

impl StepJudgement {
    fn precision(self) -> f64 {
        self.right as f64 / self.taken.max(1) as f64
    }

    fn recall(self) -> f64 {
        self.right as f64 / self.wanted.max(1) as f64
    }
}

impl std::fmt::Display for StepJudgement {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (precision, recall) = (self.precision(), self.recall());
        write!(
            out,
            "{} taken, {} wanted, precision {precision:.3} recall {recall:.3}",
            self.taken, self.wanted
        )
    }
}

fn rows(root: &Path, name: &str) -> Vec<(HeapTruth, CuratedPicture)> {
    let rows = CurationTable::read(&root.join("set").join(name)).unwrap().rows;
    rows.into_iter().map(|row| (HeapTruth::of(&row.key), row)).collect()
}

fn judge<'a>(
    rows: impl Iterator<Item = &'a (HeapTruth, CuratedPicture)>,
    is_taken: impl Fn(&CuratedPicture) -> bool,
    is_wanted: impl Fn(&HeapTruth) -> bool,
) -> StepJudgement {
    let mut out = StepJudgement::default();
    for (truth, row) in rows {
        let (taken, wanted) = (is_taken(row), is_wanted(truth));
        out.taken += usize::from(taken);
        out.wanted += usize::from(wanted);
        out.right += usize::from(taken && wanted);
    }
    out
}

/// Pictures of each class that stay.
fn classes(rows: &[(HeapTruth, CuratedPicture)]) -> BTreeMap<String, usize> {
    let mut counts: BTreeMap<String, usize> =
        SceneKind::Varied.classes().iter().map(|name| ((*name).to_owned(), 0)).collect();
    for (_, row) in rows.iter().filter(|(_, row)| row.kept != Some(false)) {
        *counts.get_mut(row.label.as_ref().unwrap()).unwrap() += 1;
    }
    counts
}

/// How far classes are from all alike: the divergence of Kullback and Leibler from the uniform distribution, in bits.
fn divergence(counts: &BTreeMap<String, usize>) -> f64 {
    let all = counts.values().sum::<usize>().max(1) as f64;
    let bits = |count: &usize| {
        let share = *count as f64 / all;
        if share > 0.0 { share * (share * counts.len() as f64).log2() } else { 0.0 }
    };
    counts.values().map(bits).sum()
}

#[test]
fn each_step_takes_what_it_is_for() {
    let dir = tempfile::tempdir().unwrap();
    let kept = std::env::var("DINOSCOPE_CURATE_FOLDER").ok();
    let root = kept.as_deref().map_or(dir.path(), Path::new);
    heap().lay_down(root).unwrap();
    let output = run(root, &["curate", "embed", "heap", "--out", "set", "--device", "cpu", "--json"]);
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    let embedded = rows(root, "embed.parquet");
    let broken = judge(embedded.iter(), |row| row.unreadable.is_some(), |truth| truth.word == "broken");
    println!("unreadable: {broken}");
    assert!(broken.taken == broken.right && broken.right == broken.wanted);
    ok(root, &["curate", "quality", "set"]);
    let good = rows(root, "quality.parquet");
    let is_left = |row: &CuratedPicture| row.kept == Some(false) && row.unreadable.is_none();
    let bad = judge(good.iter(), is_left, HeapTruth::is_bad);
    println!("quality: {bad}");
    for word in ["dark", "blurred", "small"] {
        let of_word = good.iter().filter(|(truth, _)| truth.word == word);
        println!("{word}: {}", judge(of_word, is_left, HeapTruth::is_bad));
    }
    assert!(bad.recall() > 0.8, "{bad:?}");
    ok(root, &["curate", "copies", "set", "--against", "test", "--device", "cpu"]);
    let copies = rows(root, "copies.parquet");
    let stood = |pair: &&(HeapTruth, CuratedPicture)| pair.1.component.is_some();
    let is_leak = |row: &CuratedPicture| row.why.as_ref().is_some_and(|why| why.contains("test set"));
    let leaks = judge(copies.iter().filter(stood), is_leak, |truth| truth.word == "leak");
    println!("leaks: {leaks}");
    // Of a group one stays: what is left out beside it is right, and all but one of each is wanted.
    let mut groups: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (truth, row) in
        copies.iter().filter(stood).filter(|(truth, row)| truth.word != "leak" && !is_leak(row))
    {
        let counts = groups.entry(&truth.group).or_default();
        counts.0 += 1;
        counts.1 += usize::from(row.kept == Some(false));
    }
    let mut found = StepJudgement::default();
    for (all, left) in groups.values() {
        found.taken += left;
        found.wanted += all - 1;
        found.right += (*left).min(all - 1);
    }
    println!("copies: {found}");
    assert!(found.precision() > 0.7 && found.recall() > 0.7 && leaks.recall() > 0.7, "{found:?} {leaks:?}");
    let before = classes(&copies);
    let target = (before.values().sum::<usize>() / 3).max(24).to_string();
    ok(root, &["curate", "balance", "set", "--target", &target]);
    let after = classes(&rows(root, "balance.parquet"));
    let seen = |counts: &BTreeMap<String, usize>| counts.values().filter(|count| **count > 0).count();
    println!(
        "balance to {target}: divergence {:.3} to {:.3} bits, classes {} to {}, largest {:?} to {:?}",
        divergence(&before),
        divergence(&after),
        seen(&before),
        seen(&after),
        before.values().max(),
        after.values().max()
    );
    let distinct: BTreeSet<&String> = after.keys().collect();
    assert_eq!(distinct.len(), SceneKind::Varied.classes().len());
    ok(root, &["curate", "report", "set"]);
}
