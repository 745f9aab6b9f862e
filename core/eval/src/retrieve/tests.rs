//! Cases for the numbers of retrieval.
#![allow(clippy::unwrap_used)]

use super::*;
use dinoscope_base::rng::{self, RngExt};

fn near(found: f64, wanted: f64) -> bool {
    (found - wanted).abs() < 1e-9
}

/// Unit vectors at some degrees.
fn directions(degrees: &[f32]) -> Vec<f32> {
    degrees.iter().flat_map(|d| [d.to_radians().cos(), d.to_radians().sin()]).collect()
}

fn answered(mut search: RetrievalSearch<'_>) -> Vec<RetrievalQueryResult> {
    while search.round().is_some() {}
    search.answers()
}

#[test]
fn scores_by_hand() {
    // Right at places 1 and 3: trapezoids (1 + 1) / 2 and (1/2 + 2/3) / 2, each half the recall.
    let score = RetrievalScore::of([true, false, true, false]).unwrap();
    assert!(near(score.average, 0.5 + 7.0 / 24.0));
    // R is 2, and the second of the first two is wrong.
    assert!(near(score.average_at_r, 0.5));
    // Counting ends with the third place.
    assert!(near(score.first[0], 1.0) && near(score.first[1], 2.0 / 3.0) && near(score.first[2], 2.0 / 3.0));
    let perfect = RetrievalScore::of([true, true, false]).unwrap();
    assert!(near(perfect.average, 1.0) && near(perfect.average_at_r, 1.0) && perfect.first == [1.0; 3]);
    assert_eq!((RetrievalScore::of([false; 4]), RetrievalScore::of([])), (None, None));
}

#[test]
fn numbers_are_those_of_the_source() {
    // What `compute_map` of the revisited benchmarks gives for these directions and lists.
    let queries = directions(&[0.0, 40.0, 95.0]);
    let degrees = [3.0, 8.0, 15.0, 21.0, 29.0, 37.0, 44.0, 52.0, 61.0, 73.0, 88.0, 99.0, 120.0, 150.0, 171.0];
    let database = directions(&degrees);
    let mut grades = vec![RelevanceGrade::Unrelated; 3 * degrees.len()];
    let lists: [[&[usize]; 3]; 3] =
        [[&[1, 4], &[2, 9], &[0, 3]], [&[], &[7, 14], &[5]], [&[10, 12], &[], &[8]]];
    for (query, of_query) in lists.iter().enumerate() {
        for (list, grade) in
            of_query.iter().zip([RelevanceGrade::Easy, RelevanceGrade::Hard, RelevanceGrade::Junk])
        {
            list.iter().for_each(|at| grades[query * degrees.len() + at] = grade);
        }
    }
    let protocols = [RetrievalProtocol::Medium, RetrievalProtocol::Hard];
    let known = RelevanceLabels::Graded(&grades);
    let answers = answered(RetrievalSearch::new(2, &queries, &database, known, &protocols, 3).unwrap());
    let wanted = [
        (
            vec![0.866_071_428_571_428_6, 0.138_278_388_278_388_3, 1.0 / 3.0],
            [1.0 / 3.0, 1.3 / 3.0, 1.1 / 3.0],
        ),
        (vec![0.633_333_333_333_333_3, 0.138_278_388_278_388_3], [0.5, 0.2, 0.216_666_666_666_666_67]),
    ];
    for (protocol, (averages, first)) in wanted.iter().enumerate() {
        let scores: Vec<RetrievalScore> = answers.iter().filter_map(|a| a.scores[protocol]).collect();
        assert_eq!(scores.len(), averages.len(), "queries without an answer are left out");
        assert!(scores.iter().zip(averages).all(|(s, a)| near(s.average, *a)), "{scores:?}");
        for (k, wanted) in first.iter().enumerate() {
            let mean = scores.iter().map(|s| s.first[k]).sum::<f64>() / scores.len() as f64;
            assert!(near(mean, *wanted), "{protocol} {k}: {mean}");
        }
    }
    // Junk is not shown: the nearest to 0 degrees are at 8, 15 and 29, not at 3 and 21.
    let nearest: Vec<(usize, bool)> = answers[0].nearest.iter().map(|n| (n.picture, n.right)).collect();
    assert_eq!(nearest, [(1, true), (2, true), (4, true)]);
    assert!((answers[0].nearest[0].similarity - 8f32.to_radians().cos()).abs() < 1e-6);
}

#[test]
fn classes_are_found_without_the_query_itself() {
    // Three directions for three classes, many more queries than a round, some noise.
    let (classes, each, dim) = (3u32, 120, 5);
    let labels: Vec<u32> = (0..classes * each).map(|i| i % classes).collect();
    let mut stream = rng::stream(2, "retrieve", 0, 0);
    let of = |label: u32, noise: f32, stream: &mut rng::Stream| -> Vec<f32> {
        (0..dim)
            .map(|k| f32::from(u8::from(k == label as usize)) + noise * (stream.random::<f32>() - 0.5))
            .collect()
    };
    for (noise, low, high) in [(0.1, 1.0, 1.0), (3.0, 0.34, 0.9)] {
        let data: Vec<f32> = labels.iter().flat_map(|l| of(*l, noise, &mut stream)).collect();
        let known = RelevanceLabels::SameClass(&labels);
        let search =
            RetrievalSearch::new(dim, &data, &data, known, &[RetrievalProtocol::Medium], 400).unwrap();
        let answers = answered(search);
        let averages: Vec<f64> = answers.iter().map(|a| a.scores[0].unwrap().average).collect();
        let mean = averages.iter().sum::<f64>() / averages.len() as f64;
        assert!(mean >= low - 1e-9 && mean <= high + 1e-9, "{mean}");
        for (query, answer) in answers.iter().enumerate() {
            assert_eq!(answer.nearest.len(), labels.len() - 1);
            assert!(answer.nearest.iter().all(|n| n.picture != query));
            assert!(answer.nearest.is_sorted_by(|a, b| a.similarity >= b.similarity));
            assert!(answer.nearest.iter().all(|n| n.right == (labels[n.picture] == labels[query])));
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let new = |queries: &[f32], database: &[f32], known| {
        RetrievalSearch::new(2, queries, database, known, &[RetrievalProtocol::Medium], 1).map(|_| ())
    };
    let (one, two) = (directions(&[0.0]), directions(&[0.0, 9.0]));
    assert!(new(&two, &two, RelevanceLabels::SameClass(&[0, 0])).is_ok());
    assert!(new(&one, &two, RelevanceLabels::SameClass(&[0, 0])).is_err());
    assert!(new(&two, &two, RelevanceLabels::SameClass(&[0])).is_err());
    assert!(new(&one, &two, RelevanceLabels::Graded(&[RelevanceGrade::Easy])).is_err());
    assert!(new(&[], &two, RelevanceLabels::Graded(&[])).is_err());
    assert!(new(&one[..1], &two, RelevanceLabels::Graded(&[RelevanceGrade::Easy; 2])).is_err());
    let broken = new(&[1.0, f32::NAN], &two, RelevanceLabels::Graded(&[RelevanceGrade::Easy; 2]));
    assert!(matches!(broken, Err(EvalProtocolError::NotFinite { set: "query", index: 0 })));
}
