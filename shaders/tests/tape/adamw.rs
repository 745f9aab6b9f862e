use dinoscope_shaders::adamw::gpu::{
    AdamWFlatBuffers, AdamWStepHyperparams, ArenaLayout, ArenaLayoutTable, ArenaParamGroup, ArenaSegment,
    gather, norms, update,
};
use dinoscope_shaders::launch;

use super::*;

const LENGTHS: [usize; 9] = [1, 63, 64, 65, 257, 5, 96 * 5, 384, 20_000];

const RATES: AdamWStepHyperparams = AdamWStepHyperparams {
    lr: 3e-3,
    last_layer_lr: 1e-3,
    weight_decay: 0.04,
    beta1: 0.9,
    beta2: 0.999,
    eps: 1e-8,
    step: 1,
    momentum: 0.992,
};

struct Run {
    layout: ArenaLayout,
    table: ArenaLayoutTable,
    arenas: AdamWFlatBuffers,
    /// Parameters, first and second moments, teacher; f64, by segment.
    want: [Vec<Vec<f64>>; 4],
    /// Garbage that padding starts with and keeps.
    gradients: Vec<Vec<f32>>,
}

impl Run {
    fn new(client: &Client) -> Self {
        let group = |i: usize| ArenaParamGroup {
            lr: 1.0 - i as f32 * 0.1,
            decay: (i % 2) as f32,
            is_last_layer: i % 4 == 3,
            module: (i % 3) as u32,
            idle: i == 5,
        };
        let layout = ArenaLayout::new(LENGTHS.iter().enumerate().map(|(i, n)| (*n, group(i))));
        let values = |seed: u32| -> Vec<Vec<f32>> {
            LENGTHS.iter().enumerate().map(|(i, n)| noise(*n, seed + i as u32)).collect()
        };
        let (parameters, teacher, gradients) = (values(1), values(50), values(100));
        let arenas = AdamWFlatBuffers::new(client, &layout);
        let table = layout.upload(client);
        let run = Self {
            want: [
                parameters.iter().map(|v| wide(v)).collect(),
                LENGTHS.iter().map(|n| vec![0.0; *n]).collect(),
                LENGTHS.iter().map(|n| vec![0.0; *n]).collect(),
                teacher.iter().map(|v| wide(v)).collect(),
            ],
            layout,
            table,
            arenas,
            gradients,
        };
        run.fill(client, &parameters, &run.arenas.parameters);
        run.fill(client, &teacher, &run.arenas.teacher);
        run
    }

    fn fill(&self, client: &Client, values: &[Vec<f32>], arena: &Handle) {
        let handles: Vec<Handle> = values.iter().map(|v| floats(client, v)).collect();
        gather(client, handles.iter().zip(self.layout.segments.iter().copied()), arena).unwrap();
    }

    /// What one step should do with `gradients · scale`; the norms.
    fn expect(&mut self, rates: AdamWStepHyperparams, scale: f64, max_norm: f64) -> [f64; 3] {
        let mut squares = [0.0; 3];
        for (segment, gradient) in self.layout.segments.iter().zip(&self.gradients) {
            if !segment.group.idle {
                let gradient = wide(gradient);
                squares[segment.group.module as usize] += dot(&gradient, &gradient) / (scale * scale);
            }
        }
        let norm = squares.map(f64::sqrt);
        for (i, segment) in self.layout.segments.iter().enumerate() {
            let ArenaParamGroup { lr, decay, is_last_layer, module, idle } = segment.group;
            let lr = f64::from(lr) * if is_last_layer { rates.last_layer_lr } else { rates.lr };
            let clip =
                if max_norm > 0.0 { (max_norm / (norm[module as usize] + 1e-6)).min(1.0) } else { 1.0 };
            let step = rates.step as i32;
            for j in 0..segment.length {
                let [p, m, v, t] = &mut self.want;
                let (p, m, v, t) = (&mut p[i][j], &mut m[i][j], &mut v[i][j], &mut t[i][j]);
                if !idle {
                    let g = f64::from(self.gradients[i][j]) / scale * clip;
                    *m = rates.beta1 * *m + (1.0 - rates.beta1) * g;
                    *v = rates.beta2 * *v + (1.0 - rates.beta2) * g * g;
                    let root = (*v / (1.0 - rates.beta2.powi(step))).sqrt();
                    *p = *p * (1.0 - lr * f64::from(decay) * rates.weight_decay)
                        - lr * (*m / (1.0 - rates.beta1.powi(step))) / (root + rates.eps);
                }
                *t = rates.momentum * *t + (1.0 - rates.momentum) * *p;
            }
        }
        norm
    }

    /// All that an update may change, by arena and segment; views are read so that they are tested as well.
    fn read(&self, client: &Client) -> [Vec<Vec<f32>>; 4] {
        let AdamWFlatBuffers { parameters, first, second, teacher, .. } = &self.arenas;
        [parameters, first, second, teacher].map(|arena| {
            let view = |s: &ArenaSegment| launch::view(arena, s.offset, s.length).unwrap();
            self.layout.segments.iter().map(|s| read(client, &view(s))).collect()
        })
    }
}

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn three_steps_of_adamw() {
    let client = client();
    for (scale, max_norm) in [(1.0, 0.0), (1.0, 3.0), (1024.0, 0.01)] {
        let mut run = Run::new(&client);
        let scale_handle = floats(&client, &[scale as f32]);
        for step in 1..=3 {
            let rates = AdamWStepHyperparams { step, ..RATES };
            run.gradients =
                LENGTHS.iter().enumerate().map(|(i, n)| noise(*n, 7 * step as u32 + i as u32)).collect();
            run.fill(&client, &run.gradients, &run.arenas.gradients);
            let loss_scale = (scale != 1.0).then_some(&scale_handle);
            let state = norms(&client, &run.arenas.gradients, &run.table, loss_scale, max_norm).unwrap();
            update(&client, &run.arenas, &run.table, &state, rates).unwrap();
            let norm = run.expect(rates, scale, max_norm);
            let state = read(&client, &state.0);
            close("norms", &state[3..6], &norm, 1e-5);
            assert_eq!(state[6], 1.0);
            close("inverse scale", &state[7..], &[1.0 / scale], 1e-6);
        }
        for (which, (got, want)) in run.read(&client).iter().zip(&run.want).enumerate() {
            for (i, (got, want)) in got.iter().zip(want).enumerate() {
                if want.iter().any(|v| *v != 0.0) {
                    close(&format!("scale {scale}, arena {which}, segment {i}"), got, want, 1e-5);
                } else {
                    assert!(got.iter().all(|v| *v == 0.0));
                }
            }
        }
        // Between parameters nothing was written.
        let all = read(&client, &run.arenas.parameters);
        let covered =
            |i: usize| run.layout.segments.iter().any(|s| (s.offset..s.offset + s.length).contains(&i));
        assert!(all.iter().enumerate().all(|(i, v)| covered(i) || *v == 0.0));
    }
}

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn a_gradient_that_is_not_finite_changes_nothing() {
    let client = client();
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30] {
        let mut run = Run::new(&client);
        let before = run.read(&client);
        run.gradients[8][19_999] = bad;
        run.fill(&client, &run.gradients, &run.arenas.gradients);
        let state = norms(&client, &run.arenas.gradients, &run.table, None, 3.0).unwrap();
        update(&client, &run.arenas, &run.table, &state, RATES).unwrap();
        assert_eq!(read(&client, &state.0)[6], 0.0, "{bad}");
        assert_eq!(run.read(&client), before, "{bad}");
    }
}

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn padding_in_the_gradients_counts_for_nothing() {
    let client = client();
    let mut run = Run::new(&client);
    run.arenas.gradients = floats(&client, &vec![f32::NAN; run.layout.len]);
    run.gradients[5].fill(f32::NAN); // idle
    run.fill(&client, &run.gradients, &run.arenas.gradients);
    let state = norms(&client, &run.arenas.gradients, &run.table, None, 0.0).unwrap();
    let state = read(&client, &state.0);
    assert_eq!(state[6], 1.0, "{state:?}");
}

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn views_and_segments_outside_are_refused() {
    let client = client();
    let arena = floats(&client, &noise(128, 1));
    assert!(launch::view(&arena, 64, 64).is_ok());
    assert!(launch::view(&arena, 64, 65).is_err());
    assert!(launch::view(&arena, 32, 8).is_err());
    let layout = ArenaLayout::new([(100, RATES_GROUP), (64, RATES_GROUP)]);
    assert!(gather(&client, layout.segments.iter().map(|s| (&arena, *s)), &arena).is_err());
    let empty = ArenaLayout::new([]);
    let table = empty.upload(&client);
    let state = norms(&client, &arena, &table, None, 0.0).unwrap();
    assert_eq!(read(&client, &state.0)[3..7], [0.0, 0.0, 0.0, 1.0]);
}

const RATES_GROUP: ArenaParamGroup =
    ArenaParamGroup { lr: 1.0, decay: 1.0, is_last_layer: false, module: 0, idle: false };
