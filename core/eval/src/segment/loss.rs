//! Cross-entropy of logits that are enlarged to the size of the labels, and what its gradient is for the logits.

use dinoscope_shaders::cpu::{math::exp, wide};

use super::head::SegmentationSample;
use crate::dense::axis::{add, blend};
use dinoscope_data::source::dense::IGNORED;

/// Classes come in groups of so many, a vector each.
pub(super) const LANES: usize = 16;

/// The sum of the cross-entropy over the pixels of a view, and `scale` times its gradient for the logits of the cells,
/// both `[cells, padded]` where `padded` is a multiple of [`LANES`].
///
/// Nothing of the enlarged logits is kept: each pixel is a mix of four cells, and sends its slopes back to them.
pub(super) fn cross_entropy(
    logits: &[f32],
    padded: usize,
    sample: &SegmentationSample<'_>,
    scale: f32,
) -> (f64, Vec<f32>) {
    let stride = sample.across.input * padded;
    let mut slopes = vec![0.0; sample.down.input * stride];
    let (mut row, mut of_row) = (vec![0.0; stride], vec![0.0; stride]);
    let mut pixel = vec![0.0; padded];
    let mut loss = 0.0;
    wide(
        #[inline(always)]
        || {
            let lines = sample.truth.chunks_exact(sample.across.len().max(1));
            for (tap, line) in sample.down.taps.iter().zip(lines) {
                blend(
                    &logits[tap.low * stride..][..stride],
                    &logits[tap.high * stride..][..stride],
                    tap.share,
                    &mut row,
                );
                of_row.fill(0.0);
                for (tap, &label) in sample.across.taps.iter().zip(line) {
                    if label == IGNORED {
                        continue;
                    }
                    let (low, high) = (tap.low * padded, tap.high * padded);
                    blend(&row[low..][..padded], &row[high..][..padded], tap.share, &mut pixel);
                    loss += f64::from(softmax_slopes(&mut pixel, usize::from(label), scale));
                    add(&mut of_row[low..][..padded], &pixel, 1.0 - tap.share);
                    add(&mut of_row[high..][..padded], &pixel, tap.share);
                }
                add(&mut slopes[tap.low * stride..][..stride], &of_row, 1.0 - tap.share);
                add(&mut slopes[tap.high * stride..][..stride], &of_row, tap.share);
            }
        },
    );
    (loss, slopes)
}

/// Turns logits into `scale` times the slopes of their cross-entropy, which is returned.
#[inline(always)]
fn softmax_slopes(logits: &mut [f32], label: usize, scale: f32) -> f32 {
    let right = logits[label];
    let groups = logits.as_chunks_mut::<LANES>().0;
    let mut peaks = [f32::MIN; LANES];
    for group in groups.iter() {
        for (peak, value) in peaks.iter_mut().zip(group) {
            *peak = if *value > *peak { *value } else { *peak };
        }
    }
    let peak = peaks.iter().fold(f32::MIN, |a, b| a.max(*b));
    let mut sums = [0.0; LANES];
    for group in groups.iter_mut() {
        for (sum, value) in sums.iter_mut().zip(group.iter_mut()) {
            *value = exp(*value - peak);
            *sum += *value;
        }
    }
    let sum: f32 = sums.iter().sum();
    let share = scale / sum;
    for value in groups.iter_mut().flatten() {
        *value *= share;
    }
    logits[label] -= scale;
    sum.ln() + peak - right
}
