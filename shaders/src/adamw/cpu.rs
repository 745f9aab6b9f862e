//! The CPU twin of the optimiser's update.

use crate::cpu::{DisjointSlice, blocks, math, wide};

/// What the update of one parameter needs beside its values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CpuAdamWParams {
    /// Learning rate of this parameter over `1 - beta1^step`.
    pub step: f32,
    /// What is left of a value after weight decay: `1 - lr decay`.
    pub keep: f32,
    /// Factor on the gradient: clipping, and the inverse of a loss scale.
    pub gradient: f32,
    /// Decay of the first moment, and 1 less it.
    pub beta1: [f32; 2],
    /// Decay of the second moment, and 1 less it.
    pub beta2: [f32; 2],
    /// `1 / √(1 - beta2^step)`
    pub correction: f32,
    /// Added to the root of the second moment.
    pub eps: f32,
    /// Momentum of the teacher, and 1 less it: near 1 the difference must be taken in f64.
    pub momentum: [f32; 2],
}

/// One parameter with its moments, its teacher's copy and its gradient; all of the same length.
#[derive(Debug)]
pub struct AdamWParamSlices<'a> {
    /// Student's value.
    pub value: &'a mut [f32],
    /// Mean of gradients.
    pub first: &'a mut [f32],
    /// Mean of squared gradients.
    pub second: &'a mut [f32],
    /// Teacher's value.
    pub teacher: &'a mut [f32],
    /// Gradient; none where the loss did not reach, and then only the teacher moves.
    pub gradient: Option<&'a [f32]>,
}

/// Values that a thread takes at a time.
const BLOCK: usize = 1 << 14;

/// Σ x², in blocks, so that it does not depend on the number of threads.
pub fn squared_norm(values: &[f32]) -> f64 {
    let mut partial = vec![0.0f64; values.len().div_ceil(BLOCK)];
    let sums = DisjointSlice::new(&mut partial);
    blocks(values.len(), BLOCK, |span| {
        // SAFETY: a place for each block.
        let sum = unsafe { sums.part(span.start / BLOCK..span.start / BLOCK + 1) };
        let values = &values[span];
        wide(
            #[inline(always)]
            || sum[0] = f64::from(math::sum(values.len(), |i| values[i] * values[i])),
        );
    });
    partial.iter().sum()
}

/// One update of AdamW, and the teacher's step towards its result.
pub fn update(parameter: AdamWParamSlices, rates: CpuAdamWParams) {
    let AdamWParamSlices { value, first, second, teacher, gradient } = parameter;
    let len = value.len();
    let (value, first, second, teacher) = (
        DisjointSlice::new(value),
        DisjointSlice::new(first),
        DisjointSlice::new(second),
        DisjointSlice::new(teacher),
    );
    let r = rates;
    blocks(len, BLOCK, |span| {
        // SAFETY: blocks are apart.
        let (p, m, v, t) = unsafe {
            let span = || span.clone();
            (value.part(span()), first.part(span()), second.part(span()), teacher.part(span()))
        };
        wide(
            #[inline(always)]
            || {
                if let Some(gradient) = gradient {
                    let g = &gradient[span.clone()];
                    for i in 0..p.len() {
                        let g = g[i] * r.gradient;
                        m[i] = r.beta1[0] * m[i] + r.beta1[1] * g;
                        v[i] = r.beta2[0] * v[i] + r.beta2[1] * g * g;
                        p[i] = p[i] * r.keep - r.step * m[i] / (v[i].sqrt() * r.correction + r.eps);
                    }
                }
                for i in 0..p.len() {
                    t[i] = r.momentum[0] * t[i] + r.momentum[1] * p[i];
                }
            },
        );
    });
}
