#![allow(clippy::unwrap_used)]

use std::path::Path;

use half::f16;

use super::k_means::{RowsInMemory, assign, k_means};
use super::*;
use crate::features::hex;
use crate::made_heap::{MadePicture, lay_down};
use crate::table::CuratedPicture;

const DIM: usize = 16;

/// Rows around directions of their own: so many of each.
fn around(sizes: &[usize], seed: u64) -> Vec<Vec<f32>> {
    let mut stream = rng::stream(seed, "around", 0, 0);
    let mut rows = Vec::new();
    for (direction, size) in sizes.iter().enumerate() {
        for _ in 0..*size {
            let mut row: Vec<f32> = (0..DIM).map(|_| 0.05 * rng::normal(&mut stream)).collect();
            row[direction % DIM] += 1.0;
            rows.push(crate::embed::normalised(&row).unwrap().into_iter().map(f16::to_f32).collect());
        }
    }
    rows
}

fn how(clusters: usize) -> KMeansOptions {
    KMeansOptions { clusters, rounds: 50, seed: 3, memory: 1 << 30, beside: 0 }
}

fn heap(folder: &Path, sizes: &[usize]) {
    let picture = |(i, row): (usize, Vec<f32>)| {
        MadePicture::new(i as u64, row.into_iter().map(f16::from_f32).collect(), i.to_string())
    };
    let pictures: Vec<MadePicture> = around(sizes, 1).into_iter().enumerate().map(picture).collect();
    let row = |key: &str, i: usize, kept| CuratedPicture {
        key: key.to_owned(),
        digest: Some(hex(&pictures[i].about.digest)),
        kept,
        ..Default::default()
    };
    let more = vec![row("twice", 0, None), row("a copy", 1, Some(false))];
    lay_down(folder, names::EMBED, DIM, &pictures, more);
}

#[test]
fn clusters_are_where_the_rows_are() {
    let rows = around(&[40, 3, 25, 1, 60], 2);
    let data: Vec<f32> = rows.iter().flatten().copied().collect();
    let source = RowsInMemory { dim: DIM, data: &data };
    let found = k_means(&source, how(5), &mut |_, _, _| true).unwrap();
    let mut sizes = vec![0; 5];
    found.of.iter().for_each(|cluster| sizes[*cluster as usize] += 1);
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 3, 25, 40, 60]);
    // Assigned in f64 to the same centres, with the same distances.
    for (row, (cluster, distance)) in rows.iter().zip(found.of.iter().zip(&found.distance)) {
        let all: Vec<f64> = found
            .centres
            .chunks_exact(DIM)
            .map(|centre| row.iter().zip(centre).map(|(a, b)| f64::from(a - b).powi(2)).sum())
            .collect();
        let least = all.iter().copied().fold(f64::INFINITY, f64::min);
        assert!((all[*cluster as usize] - least).abs() < 1e-5 && (f64::from(*distance) - least).abs() < 1e-5);
    }
    // Odd numbers: more clusters than rows, one, and rows that are all alike.
    assert_eq!(k_means(&source, how(1000), &mut |_, _, _| true).unwrap().count(), rows.len());
    assert_eq!(k_means(&source, how(1), &mut |_, _, _| true).unwrap().count(), 1);
    let alike = vec![0.25; 7 * DIM];
    let found = k_means(&RowsInMemory { dim: DIM, data: &alike }, how(3), &mut |_, _, _| true).unwrap();
    assert!(found.count() == 3 && found.distance.iter().all(|distance| *distance < 1e-6));
    let stopped = k_means(&source, how(5), &mut |_, _, _| false);
    assert!(matches!(stopped, Err(CurateError::Stopped)));
    // A sample that fits the memory alone, and one that can't.
    let least = 129 * 8 + 40 * (4 * DIM + 24);
    let of = |memory| super::k_means::sample_rows(40, 129, DIM, KMeansOptions { memory, ..how(40) });
    assert_eq!((of(least).unwrap(), of(1 << 30).unwrap()), (40, 129));
    assert!(of(least - 1).unwrap_err().to_string().contains("MB is the least"));
    // The memory is bounded here too.
    let mut none = RowClusters { dim: DIM, centres: data[..DIM].to_vec(), ..Default::default() };
    assert!(assign(&source, &mut none, KMeansOptions { memory: 10, ..how(1) }).is_err());
}

#[test]
fn what_there_is_little_of_is_drawn_as_often() {
    let folder = tempfile::tempdir().unwrap();
    let sizes = [400, 20, 20, 100, 10];
    heap(folder.path(), &sizes);
    let options = BalanceOptions { clusters: vec![25, 5], ..BalanceOptions::new(folder.path(), 60) };
    let summary = balance(&options, &mut |_, _, _| true).unwrap();
    assert_eq!((summary.pictures, summary.drawn, summary.clusters.len()), (550, 60, 2));
    assert!(summary.after.0 < summary.before.0 && summary.before.0 >= 100, "{summary:?}");
    let rows = CurationTable::read(&folder.path().join(names::BALANCE)).unwrap().rows;
    let kept = |from: usize, to: usize| rows[from..to].iter().filter(|row| row.kept == Some(true)).count();
    let of = [kept(0, 400), kept(400, 420), kept(420, 440), kept(440, 540), kept(540, 550)];
    assert_eq!(of.iter().sum::<usize>(), 60);
    // 60 of 550 would be 44 of the largest and 1 of the smallest.
    assert!(of[0] < 35 && of[4] >= 2 && of[1] + of[2] >= 8, "{of:?}");
    assert!(rows[0].cluster.as_ref().unwrap().split('/').count() == 2 && rows[0].similarity.unwrap() > 0.9);
    // A row of the same bytes is never drawn beside the first, and one that was dropped before stays as it was.
    assert!(rows[550].kept == Some(false) && rows[551].kept == Some(false) && rows[551].why.is_none());
    // The same again, and from levels on the disk alone; with another seed others are drawn.
    let mut rounds = 0;
    let again = balance(&options, &mut |_, _, _| {
        rounds += 1;
        true
    });
    assert_eq!((again.unwrap(), rounds), (summary, 0));
    assert!(CurationTable::read(&folder.path().join(names::BALANCE)).unwrap().rows == rows);
    let closest = BalanceOptions { draw: ClusterDraw::Closest, ..options.clone() };
    balance(&closest, &mut |_, _, _| true).unwrap();
    assert!(CurationTable::read(&folder.path().join(names::BALANCE)).unwrap().rows != rows);
    let all = BalanceOptions { target: 5000, ..options };
    assert_eq!(balance(&all, &mut |_, _, _| true).unwrap().drawn, 550, "all that there are");
}

#[test]
fn a_stop_keeps_whole_levels_and_mistakes_are_sentences() {
    let folder = tempfile::tempdir().unwrap();
    heap(folder.path(), &[60, 60, 60]);
    let options =
        BalanceOptions { clusters: vec![30, 6], resampling: 1, ..BalanceOptions::new(folder.path(), 30) };
    let stopped = balance(&options, &mut |_, _, what| what.ends_with('1'));
    assert!(matches!(stopped, Err(CurateError::Stopped)));
    let mut heard = Vec::new();
    balance(&options, &mut |_, _, what| {
        heard.push(what.to_owned());
        true
    })
    .unwrap();
    assert!(!heard.is_empty() && heard.iter().all(|what| what.ends_with('2')), "{heard:?}");
    let said = |options: &BalanceOptions| balance(options, &mut |_, _, _| true).unwrap_err().to_string();
    assert!(said(&BalanceOptions { target: 0, ..options.clone() }).contains("--target"));
    assert!(said(&BalanceOptions { clusters: vec![5, 5], ..options.clone() }).contains("must fall"));
    assert!(
        said(&BalanceOptions { clusters: vec![20, 6], memory: 5, ..options.clone() })
            .contains("is the least")
    );
    // Copies that were looked for before the heap grew.
    std::fs::copy(folder.path().join(names::EMBED), folder.path().join(names::COPIES)).unwrap();
    assert!(said(&options).contains("run `curate copies` again"), "{}", said(&options));
    assert_eq!(BalanceOptions::new("x", 1).levels(743_000).unwrap(), [10_614, 1061, 106, 10]);
    assert_eq!(BalanceOptions::new("x", 1).levels(3).unwrap(), [2]);
}
