//! The CPU twin of the cross-entropy over prototypes.

use crate::cpu::{DisjointSlice, MatrixView, blocks, chunk_rows, math, multiply, unwritten, wide};

/// Logits that exist at once: 16 MiB, however many prototypes there are.
const LOGITS: usize = 1 << 22;

/// Student rows and what they are compared with.
#[derive(Clone, Copy, Debug)]
pub struct CpuCrossEntropyInputs<'a> {
    /// `[rows, bottleneck]`
    pub z: &'a [f32],
    /// `[K, bottleneck]`
    pub directions: &'a [f32],
    /// `[target rows, K]`
    pub targets: &'a [f32],
    /// `[rows]`: each row's first target, or -1.
    pub first: &'a [i32],
    /// `[rows]`: each row's second target, or -1.
    pub second: &'a [i32],
    /// Width of `z`.
    pub bottleneck: usize,
    /// The student's temperature.
    pub temperature: f32,
}

/// What the way there gives, a value a row.
#[derive(Clone, Debug)]
pub struct CpuCrossEntropyResult {
    /// Sum of the cross-entropies against the row's targets.
    pub loss: Vec<f32>,
    /// `log Σ exp(logit / temperature)`.
    pub lse: Vec<f32>,
    /// Entropy of the student's softmax.
    pub entropy: Vec<f32>,
}

impl<'a> CpuCrossEntropyInputs<'a> {
    fn prototypes(&self) -> usize {
        self.directions.len() / self.bottleneck.max(1)
    }

    /// Calls `f` with the first row and the logits over temperature of one chunk of rows after the other.
    fn chunks(&self, mut f: impl FnMut(usize, &mut [f32])) {
        let (k, d, rows) = (self.prototypes(), self.bottleneck, self.first.len());
        let chunk = (LOGITS / k.max(1)).clamp(1, rows.max(1));
        // SAFETY: of each chunk, only what the product wrote is handed on.
        let mut logits = unsafe { unwritten(chunk * k) };
        for start in (0..rows).step_by(chunk) {
            let m = chunk.min(rows - start);
            let z = MatrixView::new(&self.z[start * d..(start + m) * d], m, d);
            let logits = &mut logits[..m * k];
            multiply(
                logits,
                z,
                MatrixView::new(self.directions, k, d).transposed(),
                1.0 / self.temperature,
                false,
            );
            f(start, logits);
        }
    }

    fn target(&self, index: i32) -> Option<&'a [f32]> {
        let k = self.prototypes();
        usize::try_from(index).ok().map(|row| &self.targets[row * k..(row + 1) * k])
    }
}

/// Loss, log-sum-exp and entropy of every row.
pub fn forward(inputs: &CpuCrossEntropyInputs) -> CpuCrossEntropyResult {
    let (k, rows) = (inputs.prototypes(), inputs.first.len());
    // SAFETY: chunks, and blocks within them, cover every row, and write its three values.
    let (mut loss, mut lse, mut entropy) = unsafe { (unwritten(rows), unwritten(rows), unwritten(rows)) };
    let (loss_at, lse_at, entropy_at) =
        (DisjointSlice::new(&mut loss), DisjointSlice::new(&mut lse), DisjointSlice::new(&mut entropy));
    inputs.chunks(|start, logits| {
        blocks(logits.len() / k, chunk_rows(k), |part| {
            // SAFETY: blocks are apart.
            let (loss, lse, entropy) = unsafe {
                let span = start + part.start..start + part.end;
                (loss_at.part(span.clone()), lse_at.part(span.clone()), entropy_at.part(span))
            };
            wide(
                #[inline(always)]
                || {
                    for (i, row) in part.enumerate() {
                        let logits = &logits[row * k..(row + 1) * k];
                        let max = math::max(logits);
                        let mass = math::sum(k, |j| math::exp(logits[j] - max));
                        let total = max + mass.ln();
                        let mean = math::sum(k, |j| math::exp(logits[j] - max) * (logits[j] - max)) / mass;
                        let mut sum = 0.0;
                        for target in [inputs.first[start + row], inputs.second[start + row]] {
                            if let Some(t) = inputs.target(target) {
                                sum += math::sum(k, |j| t[j] * (total - logits[j]));
                            }
                        }
                        (loss[i], lse[i], entropy[i]) = (sum, total, mass.ln() - mean);
                    }
                },
            );
        });
    });
    CpuCrossEntropyResult { loss, lse, entropy }
}

/// Gradients of `z` and `directions`, from the gradient of every row's loss.
pub fn backward(inputs: &CpuCrossEntropyInputs, lse: &[f32], d_loss: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let (k, d, rows) = (inputs.prototypes(), inputs.bottleneck, inputs.first.len());
    // SAFETY: chunks cover every row, and the product writes all of it.
    let (mut d_z, mut d_directions) = (unsafe { unwritten(rows * d) }, vec![0.0; k * d]);
    inputs.chunks(|start, logits| {
        let m = logits.len() / k;
        let parts = DisjointSlice::new(logits);
        blocks(m, chunk_rows(k), |part| {
            wide(
                #[inline(always)]
                || {
                    for row in part {
                        // SAFETY: blocks are apart.
                        let logits = unsafe { parts.part(row * k..(row + 1) * k) };
                        let (lse, weight) = (lse[start + row], d_loss[start + row] / inputs.temperature);
                        let first = inputs.target(inputs.first[start + row]);
                        let second = inputs.target(inputs.second[start + row]);
                        // Targets need not sum to 1: padding sums to 0.
                        let mass = |t: Option<&[f32]>| t.map_or(0.0, |t| math::sum(k, |j| t[j]));
                        let mass = mass(first) + mass(second);
                        for logit in logits.iter_mut() {
                            *logit = weight * mass * math::exp(*logit - lse);
                        }
                        for target in [first, second].into_iter().flatten() {
                            logits.iter_mut().zip(target).for_each(|(logit, t)| *logit -= weight * t);
                        }
                    }
                },
            );
        });
        let slopes = MatrixView::new(logits, m, k);
        multiply(
            &mut d_z[start * d..(start + m) * d],
            slopes,
            MatrixView::new(inputs.directions, k, d),
            1.0,
            false,
        );
        let z = MatrixView::new(&inputs.z[start * d..(start + m) * d], m, d);
        multiply(&mut d_directions, slopes.transposed(), z, 1.0, true);
    });
    (d_z, d_directions)
}
