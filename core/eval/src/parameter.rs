//! What a head learns through burn's tape, and the two ways in which it is moved.

use burn::tensor::{Device, Gradients, Tensor, TensorData};

/// A tensor that is learned, with what its optimiser remembers.
#[derive(Clone, Debug)]
pub(crate) struct HeadParameter<const D: usize> {
    /// Off the tape, so that what is only asked of a head leaves no graph behind; in a twin a leaf of the tape.
    pub value: Tensor<D>,
    /// Sum of the gradients since the last move.
    gradient: Option<Tensor<D>>,
    /// SGD's velocity, or AdamW's two moments.
    moments: Vec<Tensor<D>>,
    moves: i32,
}

impl<const D: usize> HeadParameter<D> {
    /// `values` in a shape, on the device without a tape.
    pub fn new(values: Vec<f32>, shape: [usize; D], device: &Device) -> Self {
        Self::at(Tensor::from_data(TensorData::new(values, shape), device))
    }

    fn at(value: Tensor<D>) -> Self {
        Self { value, gradient: None, moments: Vec::new(), moves: 0 }
    }

    /// The same value as a leaf of a tape of its own, so that several losses can be followed side by side.
    pub fn twin(&self) -> Self {
        Self::at(self.value.clone().autodiff().require_grad())
    }

    /// Takes a twin's gradient of a loss.
    pub fn collect(&mut self, gradients: &mut Gradients) {
        self.gradient = self.value.grad_remove(gradients);
    }

    /// Adds what a twin collected to the gradients that move it next.
    pub fn absorb(&mut self, twin: &mut Self) {
        self.gradient = match (self.gradient.take(), twin.gradient.take()) {
            (Some(sum), Some(new)) => Some(sum + new),
            (sum, new) => sum.or(new),
        };
    }

    /// SGD with momentum as PyTorch has it: `v = m v + g`, `w -= rate · v`.
    pub fn sgd(&mut self, rate: f64, momentum: f64) {
        let Some(gradient) = self.gradient.take() else { return };
        let velocity = match self.moments.pop() {
            Some(velocity) => velocity * momentum + gradient,
            None => gradient,
        };
        self.value = self.value.clone() - velocity.clone() * rate;
        self.moments.push(velocity);
    }

    /// AdamW with PyTorch's defaults (betas 0.9 and 0.999, epsilon 1e-8).
    pub fn adamw(&mut self, rate: f64, weight_decay: f64) {
        const BETAS: [f64; 2] = [0.9, 0.999];
        const EPSILON: f64 = 1e-8;
        let Some(gradient) = self.gradient.take() else { return };
        self.moves += 1;
        let mixed = |old: Option<Tensor<D>>, new: Tensor<D>, beta: f64| match old {
            Some(old) => old * beta + new * (1.0 - beta),
            None => new * (1.0 - beta),
        };
        let (second, first) = (self.moments.pop(), self.moments.pop());
        let first = mixed(first, gradient.clone(), BETAS[0]);
        let second = mixed(second, gradient.square(), BETAS[1]);
        let [step, root] = BETAS.map(|beta| 1.0 - beta.powi(self.moves));
        let length = (second.clone().sqrt() / root.sqrt()) + EPSILON;
        let kept = self.value.clone() * (1.0 - rate * weight_decay);
        self.value = kept - first.clone() * (rate / step) / length;
        self.moments = vec![first, second];
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Moves values along gradients, and says where they are after each move.
    fn moved(gradients: [[f32; 2]; 2], go: impl Fn(&mut HeadParameter<1>)) -> [Vec<f32>; 2] {
        let device = Device::flex();
        let mut parameter = HeadParameter::new(vec![1.0, -2.0], [2], &device);
        gradients.map(|gradient| {
            // In two parts, which add up.
            for part in [0.25, 0.75] {
                let mut twin = parameter.twin();
                let by = Tensor::<1>::from_data(gradient.map(|g| part * g), &device);
                twin.collect(&mut (twin.value.clone() * by).sum().backward());
                parameter.absorb(&mut twin);
            }
            go(&mut parameter);
            parameter.value.clone().into_data().iter().collect()
        })
    }

    fn near(found: &[f32], want: [f64; 2]) {
        assert!(found.iter().zip(want).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-5), "{found:?} {want:?}");
    }

    #[test]
    fn steps_are_those_of_torch() {
        // torch.optim.AdamW([1., -2.], lr=0.1, weight_decay=0.01), gradients [0.5, -1] then [0.25, 3].
        let [first, second] = moved([[0.5, -1.0], [0.25, 3.0]], |p| p.adamw(0.1, 0.01));
        near(&first, [0.899, -1.898]);
        // First moments 0.07 and 0.21, second 0.00031225 and 0.009999, corrected by 0.19 and 0.001999.
        let want = [
            0.899 * 0.999 - 0.1 * (0.07 / 0.19) / (0.000_312_25f64 / 0.001_999).sqrt(),
            -1.898 * 0.999 - 0.1 * (0.21 / 0.19) / (0.009_999f64 / 0.001_999).sqrt(),
        ];
        near(&second, want);
        // torch.optim.SGD(lr=0.1, momentum=0.9)
        let [first, second] = moved([[0.5, -1.0], [0.25, 3.0]], |p| p.sgd(0.1, 0.9));
        near(&first, [0.95, -1.9]);
        near(&second, [0.95 - 0.1 * 0.7, -1.9 - 0.1 * 2.1]);
    }
}
