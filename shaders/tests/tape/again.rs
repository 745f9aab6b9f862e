use dinoscope_shaders::layer_norm::gpu::{LayerNormShape, SkipGradient, backward};

use super::*;

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn the_same_step_gives_the_same_bits() {
    let client = client();
    let (tokens, dim) = (700, 96);
    let shape = LayerNormShape { tokens, kept: tokens, dim };
    let [x, dy] = [1, 2].map(|seed| floats(&client, &noise(tokens * dim, seed)));
    let (weight, stats) = (floats(&client, &noise(dim, 3)), floats(&client, &noise(2 * tokens, 4)));
    let run = || {
        let got = backward(&client, &dy, &x, None, &stats, &weight, SkipGradient::None, shape, F32).unwrap();
        [got.x, got.weight, got.bias]
            .map(|h| read(&client, &h).iter().map(|v| v.to_bits()).collect::<Vec<_>>())
    };
    let first = run();
    (0..5).for_each(|_| assert!(run() == first));
}

/// What the other cases rest on: an output that a program forgot to write shows.
#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn new_buffers_hold_garbage() {
    let client = client();
    for count in [1, 65, 257, 4000, 30_000] {
        let found = read(&client, &client.empty(4 * count));
        assert!(found.iter().any(|v| v.is_nan()), "{count} new floats hold no garbage");
    }
}
