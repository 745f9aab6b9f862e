#![allow(clippy::unwrap_used)]

use super::*;
use dinoscope_base::rng;
use half::f16;

/// Rows in memory.
struct Rows {
    dim: usize,
    data: Vec<f32>,
}

impl Rows {
    /// Directions in half precision, as they are stored; some are there twice.
    fn new(rows: usize, dim: usize, seed: u64) -> Self {
        let mut stream = rng::stream(seed, "nearest", 0, 0);
        let mut data = Vec::new();
        for row in 0..rows {
            let values: Vec<f32> = (0..dim).map(|_| rng::normal(&mut stream)).collect();
            match row % 7 {
                5 => data.extend_from_within((row - 3) * dim..(row - 2) * dim),
                _ => data.extend(crate::embed::normalised(&values).unwrap().into_iter().map(f16::to_f32)),
            }
        }
        Self { dim, data }
    }

    fn at(&self, row: usize) -> &[f32] {
        &self.data[row * self.dim..(row + 1) * self.dim]
    }
}

impl FeatureRows for Rows {
    fn rows(&self) -> usize {
        self.data.len() / self.dim
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn read(&self, rows: Range<usize>, out: &mut [f32]) -> Result<(), CurateError> {
        out.copy_from_slice(&self.data[rows.start * self.dim..rows.end * self.dim]);
        Ok(())
    }
}

/// All similarities of a query in f64, nearest first.
fn reference(queries: &Rows, keys: &Rows, q: usize, same: bool) -> Vec<(usize, f64)> {
    let dot = |key: usize| -> f64 {
        queries.at(q).iter().zip(keys.at(key)).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    let mut all: Vec<(usize, f64)> =
        (0..keys.rows()).filter(|key| !(same && *key == q)).map(|key| (key, dot(key))).collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    all
}

fn found(queries: &Rows, keys: &Rows, options: SearchOptions, plan: &BlockPlan) -> Vec<Vec<Neighbour>> {
    let mut all = Vec::new();
    for range in plan.blocks(queries.rows()) {
        all.extend(nearest(queries, range, keys, options, plan, &mut |_, _, _| true).unwrap());
    }
    all
}

#[test]
fn neighbours_are_those_of_every_product_in_f64_at_awkward_sizes() {
    let none = f32::NEG_INFINITY;
    for (n, m, dim, k, floor, same) in [
        (1, 1, 1, 1, none, true),
        (1, 1, 3, 64, none, false),
        (5, 5, 8, 64, none, true),
        (300, 300, 48, 7, none, true),
        (259, 1031, 33, 64, none, false),
        (700, 513, 20, 1, none, false),
        (300, 300, 16, 64, 0.5, true),
        (300, 90, 64, 10, 0.9, false),
        (40, 40, 16, 0, 0.2, true),
    ] {
        let keys = Rows::new(m, dim, 1);
        let queries = if same { Rows::new(n, dim, 1) } else { Rows::new(n, dim, 2) };
        let options = SearchOptions { k, floor, same };
        let plans = [(n, m), (STRIP.min(n), TILE.min(m)), (3.min(n), 17.min(m))];
        let of = |(queries_at_once, keys_at_once)| {
            let plan = BlockPlan { queries: queries_at_once, keys: keys_at_once, bytes: 0 };
            found(&queries, &keys, options, &plan)
        };
        let all = of(plans[0]);
        let mut edges = 0;
        for (q, near) in all.iter().enumerate() {
            let wanted = reference(&queries, &keys, q, same);
            let above = wanted.iter().filter(|(_, s)| *s > f64::from(floor) + 1e-6).count();
            let least = above.min(k.max(1)).max(usize::from(!wanted.is_empty()));
            assert!(near.len() >= least && near.len() <= k.max(1), "{n} {m} {dim}: {} {least}", near.len());
            for (rank, near) in near.iter().enumerate() {
                // Which of two that are equally near comes first may be rounded the other way.
                let by_key = wanted.iter().find(|(key, _)| *key == near.key as usize).unwrap().1;
                assert!((by_key - f64::from(near.similarity)).abs() < 1e-5, "{n} {m} {dim} {q}");
                assert!((wanted[rank].1 - by_key).abs() < 1e-5, "{n} {m} {dim} {q} {rank}");
            }
            assert!(near.windows(2).all(|pair| order(&pair[0], &pair[1]).is_lt()));
            edges += near.len();
        }
        assert!(edges > 0 || m - usize::from(same) == 0);
        for plan in &plans[1..] {
            let other = of(*plan);
            let alike = all.iter().zip(&other).all(|(a, b)| {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a.similarity - b.similarity).abs() < 1e-5)
            });
            assert!(alike, "{n} {m} {dim}: blocks {plan:?}");
        }
    }
}

#[test]
fn what_is_no_number_is_near_to_nothing() {
    let mut rows = Rows::new(40, 16, 3);
    rows.data[3 * 16..4 * 16].fill(f32::NAN);
    rows.data[9 * 16 + 2] = f32::INFINITY;
    rows.data[10 * 16..11 * 16].fill(0.0);
    let plan = BlockPlan { queries: 40, keys: 40, bytes: 0 };
    let all = found(&rows, &rows, SearchOptions { k: 5, floor: 0.0, same: true }, &plan);
    assert!(all[3].is_empty(), "{:?}", all[3]);
    assert!(all.iter().flatten().all(|near| near.key != 3 && !near.similarity.is_nan()));
}

#[test]
fn blocks_fit_the_memory_that_was_given() {
    for (queries, keys, dim, k) in
        [(1, 1, 1, 1), (1000, 1000, 384, 64), (10_000_000, 10_000_000, 1536, 64), (3, 900_000, 192, 1)]
    {
        for threads in [1, 2, 64] {
            let shape = SearchShape { dim, queries, keys, k, beside: queries * 300 };
            let least = match BlockPlan::of_threads(0, shape, threads) {
                Err(CurateError::Option(said)) => {
                    let (_, figure) = said.rsplit_once("--memory ").unwrap();
                    figure.split("MB").next().unwrap().parse::<usize>().unwrap() * 1_000_000
                }
                other => panic!("{other:?}"),
            };
            for budget in [least, least + 12_345_678, 2 * least + 1, 1 << 34] {
                let plan = BlockPlan::of_threads(budget.max(least), shape, threads).unwrap();
                assert!(plan.bytes <= budget.max(least), "{shape:?} {threads}: {plan:?} of {budget}");
                assert!(plan.queries >= 1 && plan.queries <= queries && plan.keys >= 1 && plan.keys <= keys);
                let told = plan.queries * (4 * dim + list_capacity(k) * 8) + plan.keys * 4 * dim;
                assert!(told < plan.bytes, "what is in memory is counted");
            }
            assert!(BlockPlan::of_threads(least - 1_000_001, shape, threads).is_err());
        }
    }
    // All queries are in a block, each once.
    let plan = BlockPlan { queries: 256, keys: 1, bytes: 0 };
    let blocks: Vec<_> = plan.blocks(600).collect();
    assert_eq!(blocks, [0..256, 256..512, 512..600]);
    assert_eq!(plan.blocks(0).count(), 0);
}

#[test]
fn who_listens_may_stop() {
    let rows = Rows::new(40, 16, 3);
    let plan = BlockPlan { queries: 40, keys: 16, bytes: 0 };
    let mut heard = Vec::new();
    let options = SearchOptions { k: 5, floor: 0.0, same: true };
    let stopped = nearest(&rows, 0..40, &rows, options, &plan, &mut |done, all, _| {
        heard.push((done, all));
        heard.len() < 2
    });
    assert!(matches!(stopped, Err(CurateError::Stopped)));
    assert_eq!(heard, [(16, 40), (32, 40)]);
}

/// How long a search takes: `DINOSCOPE_KNN_ROWS=100000 cargo nextest run … --run-ignored all how_long_a_search_takes`.
#[test]
#[ignore = "measures"]
fn how_long_a_search_takes() {
    let rows = std::env::var("DINOSCOPE_KNN_ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(20_000);
    let data = Rows::new(rows, 384, 9);
    let shape = SearchShape { dim: 384, queries: rows, keys: rows, k: 64, beside: 0 };
    let plan = BlockPlan::new(2_000_000_000, shape).unwrap();
    for (what, floor) in [("all 64", f32::NEG_INFINITY), ("above 0.9", 0.9)] {
        let start = std::time::Instant::now();
        let edges: usize =
            found(&data, &data, SearchOptions { k: 64, floor, same: true }, &plan).iter().map(Vec::len).sum();
        println!("{rows} rows, {what}: {:.2} s, {edges} edges, {plan:?}", start.elapsed().as_secs_f64());
    }
}
