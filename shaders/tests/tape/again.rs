use dinoscope_shaders::layer_norm::gpu::{Past, Shape, backward};

use super::*;

#[test]
fn the_same_step_gives_the_same_bits() {
    let Some(client) = client() else { return };
    let (tokens, dim) = (700, 96);
    let shape = Shape { tokens, kept: tokens, dim };
    let [x, dy] = [1, 2].map(|seed| floats(&client, &noise(tokens * dim, seed)));
    let (weight, stats) = (floats(&client, &noise(dim, 3)), floats(&client, &noise(2 * tokens, 4)));
    let run = || {
        let got = backward(&client, &dy, &x, None, &stats, &weight, Past::None, shape, F32).unwrap();
        [got.x, got.weight, got.bias]
            .map(|h| read(&client, &h).iter().map(|v| v.to_bits()).collect::<Vec<_>>())
    };
    let first = run();
    (0..5).for_each(|_| assert!(run() == first));
}
