//! Bilinear resampling, one axis at a time.
//!
//! As torch's `interpolate(mode="bilinear", align_corners=False)`: positions are centres, the rim is repeated.

use burn::tensor::{Device, Tensor, TensorData};

/// Where an output position looks: two neighbouring inputs and how much the second counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct InterpolationTap {
    pub low: usize,
    pub high: usize,
    pub share: f32,
}

/// The outputs of one axis.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct InterpolationAxis {
    /// Inputs that there are.
    pub input: usize,
    /// One for each output.
    pub taps: Vec<InterpolationTap>,
}

impl InterpolationAxis {
    /// `input` positions as `output` positions.
    pub fn new(input: usize, output: usize) -> Self {
        Self::part(input, output, 0, output)
    }

    /// The same, of which only the `count` outputs from `first` on are wanted.
    pub fn part(input: usize, output: usize, first: usize, count: usize) -> Self {
        let step = input as f64 / output.max(1) as f64;
        let tap = |i: usize| {
            let place = ((i as f64 + 0.5) * step - 0.5).max(0.0);
            let low = (place as usize).min(input.saturating_sub(1));
            let high = (low + 1).min(input.saturating_sub(1));
            InterpolationTap { low, high, share: if high > low { (place - low as f64) as f32 } else { 0.0 } }
        };
        Self { input, taps: (first..first + count).map(tap).collect() }
    }

    /// Every `step`-th output, from the middle of the first `step` on.
    pub fn every(mut self, step: usize) -> Self {
        self.taps = self.taps.into_iter().skip((step - 1) / 2).step_by(step).collect();
        self
    }

    /// What each output takes of each input, `[outputs, inputs]`.
    fn matrix(&self, device: &Device) -> Tensor<2> {
        let mut shares = vec![0.0; self.len() * self.input];
        for (tap, row) in self.taps.iter().zip(shares.chunks_exact_mut(self.input.max(1))) {
            row[tap.low] += 1.0 - tap.share;
            row[tap.high] += tap.share;
        }
        Tensor::from_data(TensorData::new(shares, [self.len(), self.input]), device)
    }

    /// Outputs that there are.
    pub fn len(&self) -> usize {
        self.taps.len()
    }
}

/// `out = low + share · (high - low)`, number by number.
#[inline(always)]
pub(crate) fn blend(low: &[f32], high: &[f32], share: f32, out: &mut [f32]) {
    for ((out, low), high) in out.iter_mut().zip(low).zip(high) {
        *out = low + share * (high - low);
    }
}

/// `[down.input, across.input]` numbers as `[down.len(), across.len()]`.
pub(crate) fn resize(values: &[f32], down: &InterpolationAxis, across: &InterpolationAxis) -> Vec<f32> {
    let (cols, width) = (across.input, across.len());
    let mut out = vec![0.0; down.len() * width];
    let mut row = vec![0.0; cols];
    for (tap, out) in down.taps.iter().zip(out.chunks_exact_mut(width.max(1))) {
        blend(&values[tap.low * cols..][..cols], &values[tap.high * cols..][..cols], tap.share, &mut row);
        for (tap, out) in across.taps.iter().zip(out) {
            *out = row[tap.low] + tap.share * (row[tap.high] - row[tap.low]);
        }
    }
    out
}

/// The same on the tape: maps `[n, down.input, across.input]` as `[n, down.len(), across.len()]`.
pub(crate) fn enlarge_maps(
    maps: Tensor<3>,
    down: &InterpolationAxis,
    across: &InterpolationAxis,
) -> Tensor<3> {
    let device = maps.device().without_autodiff();
    let [n, rows, cols] = maps.dims();
    let wide = maps.reshape([n * rows, cols]).matmul(across.matrix(&device).transpose());
    down.matrix(&device).unsqueeze().matmul(wide.reshape([n, rows, across.len()]))
}

/// The same with the numbers of a position side by side: `[down.input, across.input, n]` as
/// `[down.len(), across.len(), n]`.
pub(crate) fn enlarge_positions(
    maps: Tensor<3>,
    down: &InterpolationAxis,
    across: &InterpolationAxis,
) -> Tensor<3> {
    let device = maps.device().without_autodiff();
    let ([rows, _, n], width) = (maps.dims(), across.len());
    let wide = across.matrix(&device).unsqueeze::<3>().matmul(maps);
    down.matrix(&device).matmul(wide.reshape([rows, width * n])).reshape([down.len(), width, n])
}

#[cfg(test)]
mod tests {
    use super::*;
    use dinoscope_base::rng::{normal, stream};

    #[test]
    fn values_are_those_of_torch() {
        // torch.nn.functional.interpolate(torch.tensor([[[0., 1.], [4., 9.]]])[None], size=(3, 5), mode="bilinear")
        let found =
            resize(&[0.0, 1.0, 4.0, 9.0], &InterpolationAxis::new(2, 3), &InterpolationAxis::new(2, 5));
        let want = [0.0, 0.1, 0.5, 0.9, 1.0, 2.0, 2.3, 3.5, 4.7, 5.0, 4.0, 4.5, 6.5, 8.5, 9.0];
        assert!(found.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?}");
        let same: Vec<f32> = (0..12).map(|i| i as f32).collect();
        assert_eq!(resize(&same, &InterpolationAxis::new(3, 3), &InterpolationAxis::new(4, 4)), same);
        let one = InterpolationAxis::part(7, 20, 5, 9);
        assert_eq!(one.taps, InterpolationAxis::new(7, 20).taps[5..14]);
    }

    #[test]
    fn the_tape_says_the_same() {
        let mut rng = stream(1, "enlarged", 0, 0);
        // Enlarging, reducing and in parts.
        for (down, across) in [
            (InterpolationAxis::new(3, 11), InterpolationAxis::new(4, 9)),
            (InterpolationAxis::new(9, 4), InterpolationAxis::new(5, 5)),
            (InterpolationAxis::part(4, 30, 3, 20), InterpolationAxis::part(1, 8, 2, 3)),
        ] {
            let values: Vec<f32> = (0..2 * down.input * across.input).map(|_| normal(&mut rng)).collect();
            let maps = TensorData::new(values.clone(), [2, down.input, across.input]);
            let maps = Tensor::<3>::from_data(maps, &Device::flex());
            let found = enlarge_maps(maps.clone(), &down, &across);
            assert_eq!(found.dims(), [2, down.len(), across.len()]);
            let beside = enlarge_positions(maps.permute([1, 2, 0]), &down, &across).permute([2, 0, 1]);
            assert_eq!(beside.dims(), found.dims());
            let want = values.chunks_exact(values.len() / 2).flat_map(|map| resize(map, &down, &across));
            let near = |found: &Tensor<3>| {
                let found = found.to_data();
                found.iter::<f32>().zip(want.clone()).all(|(a, b)| (a - b).abs() < 1e-5)
            };
            assert!(near(&found) && near(&beside));
        }
    }
}
