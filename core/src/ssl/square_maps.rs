//! Square maps of features on another grid: a resize is two small matrix products, and gradients flow through both.

use burn::tensor::{Tensor, TensorData};

/// Square maps `[batch, input, input, channels]` to `[batch, output, output, channels]` by weights `[output, input]`.
pub fn resize_square_maps(maps: Tensor<4>, output: usize, weights: Vec<f32>) -> Tensor<4> {
    let [batch, input, _, channels] = maps.dims();
    let device = maps.device().without_autodiff();
    let matrix = Tensor::<2>::from_data(TensorData::new(weights, [output, input]), &device);
    let over = |count: usize| matrix.clone().unsqueeze::<3>().expand([count, output, input]);
    let tall = over(batch).matmul(maps.reshape([batch, input, input * channels]));
    let wide = over(batch * output).matmul(tall.reshape([batch * output, input, channels]));
    wide.reshape([batch, output, output, channels])
}

/// Weights `[output, input]` of a one-dimensional bilinear resize, as PyTorch's without aligned corners.
pub fn bilinear_weights(input: usize, output: usize) -> Vec<f32> {
    let mut weights = vec![0.0; output * input];
    let step = input as f64 / output as f64;
    for (i, row) in weights.chunks_exact_mut(input).enumerate() {
        let at = ((i as f64 + 0.5) * step - 0.5).max(0.0);
        let low = (at as usize).min(input - 1);
        let high = (low + 1).min(input - 1);
        let part = (at - low as f64) as f32;
        row[low] += 1.0 - part;
        row[high] += part;
    }
    weights
}
