//! What keeps the teacher from collapsing: softmax with a moving centre, or Sinkhorn–Knopp.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::collective::Collective;
use crate::fused;

/// How teacher logits become targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Centering {
    /// Softmax after subtracting a moving average of the logits (Caron et al. 2021).
    Softmax,
    /// Three iterations of Sinkhorn–Knopp (Caron et al. 2020; Ruan et al. 2023).
    SinkhornKnopp,
}

/// Iterations of Sinkhorn–Knopp.
pub const SINKHORN_ITERATIONS: usize = 3;
/// Momentum of the softmax centre.
pub const CENTER_MOMENTUM: f64 = 0.9;

/// `softmax((logits - center) / temperature)`: logits `[rows, K]`, centre `[1, K]`.
pub fn softmax_center(logits: Tensor<2>, center: Tensor<2>, temperature: f64) -> Tensor<2> {
    let center = center.reshape([-1]);
    fused::softmax_center(logits, center, temperature)
}

/// The centre after a batch: `0.9 c + 0.1 mean(logits)`.
///
/// `weights` `[rows, 1]` is 1 for rows that count and 0 for padding; `None` counts all rows. With no row that
/// counts the centre stays. The mean is over all processes' rows for DINO's CLS logits; for iBOT upstream
/// averages the processes' means; here it is over all of them too, so that it does not depend on their number.
pub fn update_center<C: Collective>(
    center: Tensor<2>,
    logits: Tensor<2>,
    weights: Option<Tensor<2>>,
    collective: &C,
) -> Tensor<2> {
    let (total, count) = match weights {
        None => {
            let rows = logits.dims()[0] * collective.ranks();
            (collective.sum(logits.sum_dim(0)), center.clone().zeros_like().add_scalar(rows as f64))
        }
        Some(w) => {
            let count = collective.sum(w.clone().sum_dim(0));
            let [_, k] = center.dims();
            (collective.sum((logits * w).sum_dim(0)), count.expand([1, k]))
        }
    };
    let empty = count.clone().equal_scalar(0.0);
    let moved = center.clone().mul_scalar(CENTER_MOMENTUM)
        + (total / count.clamp_min(1.0)).mul_scalar(1.0 - CENTER_MOMENTUM);
    moved.mask_where(empty, center)
}

/// Sinkhorn–Knopp over logits `[rows, K]`: targets whose rows sum to 1 and whose columns are about equally used.
///
/// `weights` `[rows, 1]` marks the rows that take part (1) and padding (0); padding comes out as zeros.
/// Works on the two scaling vectors instead of the matrix: `Q = u exp(logits / t) v`. One global shift before
/// the exponential keeps it finite and changes nothing; a shift per row would change the result.
pub fn sinkhorn_knopp<C: Collective>(
    logits: Tensor<2>,
    temperature: f64,
    weights: Option<Tensor<2>>,
    collective: &C,
) -> Tensor<2> {
    let [rows, prototypes] = logits.dims();
    if collective.ranks() == 1 {
        // Alone nothing has to be summed over processes in between, and it is one program.
        let weights = weights.unwrap_or_else(|| Tensor::ones([rows, 1], &logits.device()));
        return fused::sinkhorn(logits, weights.reshape([rows]), temperature, SINKHORN_ITERATIONS);
    }
    let weights = weights.unwrap_or_else(|| Tensor::ones([rows, 1], &logits.device()));
    let total = collective.sum(weights.clone().sum()).unsqueeze::<2>().clamp_min(1.0);
    // The same for all processes: their rows are weighed against each other in the columns' sums.
    let shift = collective.max(logits.clone().max()).unsqueeze::<2>();
    let q = (logits - shift).div_scalar(temperature).exp() * weights.clone();
    // Smallest normal f32: a prototype or row without any mass gets zeros, not 0 / 0.
    let tiny = f32::MIN_POSITIVE;
    let mut u = weights.clone(); // [rows, 1]
    let mut v = Tensor::<2>::ones([1, prototypes], &q.device());
    for _ in 0..SINKHORN_ITERATIONS {
        // Columns: each prototype gets 1/K of the mass, over all processes.
        let column = collective.sum(u.clone().transpose().matmul(q.clone()));
        v = column.mul_scalar(prototypes as f64).clamp_min(tiny).recip();
        // Rows: each sample gets 1/B.
        let row = q.clone().matmul(v.clone().transpose());
        u = weights.clone() / (row * total.clone()).clamp_min(tiny);
    }
    q * v * (u * total)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::ssl::OneProcess;
    use crate::ssl::RankGroup;
    use crate::ssl::ranks::threads::ThreadRank;
    use burn::tensor::{Device, TensorData};

    const LOGITS: [f32; 12] = [0.10, 0.0, -0.10, 0.20, 0.10, 0.0, 0.30, -0.20, 0.05, 0.0, 0.0, 0.0];

    fn matrix(values: &[f32], rows: usize) -> Tensor<2> {
        let shape = [rows, values.len() / rows];
        Tensor::from_data(TensorData::new(values.to_vec(), shape), &Device::flex())
    }
    fn host(t: Tensor<2>) -> Vec<f32> {
        t.into_data().iter::<f32>().collect()
    }
    fn close(got: Tensor<2>, want: &[f32], tolerance: f32) {
        let got = host(got);
        assert!(got.iter().zip(want).all(|(g, w)| (g - w).abs() <= tolerance), "{got:?} is not {want:?}");
    }

    #[test]
    fn sinkhorn_matches_the_reference() {
        let sk = |t| sinkhorn_knopp(matrix(&LOGITS, 4), t, None, &OneProcess);
        let want = [
            0.203183, 0.610643, 0.186174, 0.203183, 0.610643, 0.186174, 0.791981, 0.000108, 0.207911,
            0.005760, 0.210902, 0.783337,
        ];
        close(sk(0.04), &want, 2e-6);
        let want = [
            0.272244, 0.507170, 0.220586, 0.272244, 0.507170, 0.220586, 0.712862, 0.004380, 0.282757,
            0.043704, 0.339730, 0.616566,
        ];
        close(sk(0.07), &want, 2e-6);
    }

    #[test]
    fn padding_takes_no_part_in_sinkhorn() {
        let mut padded = LOGITS.to_vec();
        padded.extend([0.1, 0.0, -0.1, 0.1, 0.0, -0.1]);
        let weights = matrix(&[1.0, 1.0, 1.0, 1.0, 0.0, 0.0], 6);
        let got = host(sinkhorn_knopp(matrix(&padded, 6), 0.04, Some(weights), &OneProcess));
        let alone = host(sinkhorn_knopp(matrix(&LOGITS, 4), 0.04, None, &OneProcess));
        assert!(got[..12].iter().zip(&alone).all(|(a, b)| (a - b).abs() < 1e-6));
        assert!(got[12..].iter().all(|x| *x == 0.0));
    }

    #[test]
    fn large_logits_stay_finite_and_constants_per_prototype_do_not_matter() {
        let big: Vec<f32> = LOGITS.iter().map(|x| x + 4.0).collect();
        let plain = host(sinkhorn_knopp(matrix(&LOGITS, 4), 0.04, None, &OneProcess));
        close(sinkhorn_knopp(matrix(&big, 4), 0.04, None, &OneProcess), &plain, 2e-5);
        let shifted: Vec<f32> =
            LOGITS.iter().zip([0.3, -0.2, 0.1].iter().cycle()).map(|(x, s)| x + s).collect();
        close(sinkhorn_knopp(matrix(&shifted, 4), 0.04, None, &OneProcess), &plain, 2e-5);
    }

    /// What each of two ranks makes of its half of the rows.
    fn halves<R: Send>(rows: &[f32], each: impl Fn(Tensor<2>, &RankGroup) -> R + Sync) -> Vec<R> {
        let half = rows.len() / 2;
        std::thread::scope(|scope| {
            let each = &each;
            let work = |rank: RankGroup, own: &[f32]| {
                let own = own.to_vec();
                scope.spawn(move || each(matrix(&own, own.len() / 3), &rank))
            };
            let ranks = ThreadRank::all(2).into_iter().zip(rows.chunks(half));
            let running: Vec<_> = ranks.map(|(rank, own)| work(rank, own)).collect();
            running.into_iter().map(|thread| thread.join().unwrap()).collect()
        })
    }

    #[test]
    fn several_processes_balance_as_one() {
        // The second half's largest logit is far above the first's: a shift of each rank's own would weigh them wrongly.
        let rows: Vec<f32> =
            LOGITS.iter().enumerate().map(|(i, x)| x + if i < 6 { 0.0 } else { 0.3 }).collect();
        let alone = host(sinkhorn_knopp(matrix(&rows, 4), 0.04, None, &OneProcess));
        let shared = halves(&rows, |own, rank| host(sinkhorn_knopp(own, 0.04, None, rank))).concat();
        assert!(alone.iter().zip(&shared).all(|(a, b)| (a - b).abs() < 2e-5), "{shared:?} is not {alone:?}");
        // With a row of padding in the second half.
        let weights = |rank: usize| matrix(if rank == 0 { &[1.0, 1.0] } else { &[1.0, 0.0] }, 2);
        let all = matrix(&[1.0, 1.0, 1.0, 0.0], 4);
        let alone = host(sinkhorn_knopp(matrix(&rows, 4), 0.04, Some(all), &OneProcess));
        let padded = |own: Tensor<2>, rank: &RankGroup| {
            host(sinkhorn_knopp(own, 0.04, Some(weights(rank.rank())), rank))
        };
        let shared = halves(&rows, padded).concat();
        assert!(alone.iter().zip(&shared).all(|(a, b)| (a - b).abs() < 2e-5), "{shared:?} is not {alone:?}");
    }

    #[test]
    fn several_processes_move_one_centre() {
        let start = || matrix(&[0.1, -0.2, 0.3], 1);
        let alone = host(update_center(start(), matrix(&LOGITS, 4), None, &OneProcess));
        for moved in halves(&LOGITS, |own, rank| host(update_center(start(), own, None, rank))) {
            assert!(
                alone.iter().zip(&moved).all(|(a, b)| (a - b).abs() < 1e-6),
                "{moved:?} is not {alone:?}"
            );
        }
    }

    #[test]
    fn all_rows_padded_is_zero_not_nan() {
        let got = host(sinkhorn_knopp(matrix(&LOGITS, 4), 0.04, Some(matrix(&[0.0; 4], 4)), &OneProcess));
        assert!(got.iter().all(|x| *x == 0.0), "{got:?}");
    }

    #[test]
    fn center_moves_a_tenth_of_the_way() {
        let zero = matrix(&[0.0; 3], 1);
        let want = [0.0150, -0.0025, -0.00125];
        close(update_center(zero.clone(), matrix(&LOGITS, 4), None, &OneProcess), &want, 1e-7);
        let weights = matrix(&[1.0, 1.0, 1.0, 1.0], 4);
        close(update_center(zero, matrix(&LOGITS, 4), Some(weights), &OneProcess), &want, 1e-7);
    }

    #[test]
    fn center_stays_where_nothing_was_masked() {
        let center = matrix(&[0.1, 0.2, 0.3], 1);
        let none = matrix(&[0.0; 4], 4);
        close(update_center(center, matrix(&LOGITS, 4), Some(none), &OneProcess), &[0.1, 0.2, 0.3], 0.0);
    }
}
