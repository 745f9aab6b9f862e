//! The backbone and head against the reference implementation on tiny models, and the invariants of the method.
#![allow(clippy::unwrap_used)]
#![allow(clippy::excessive_precision)] // The reference's digits, as printed.

use std::sync::Arc;

use burn::tensor::{Bool, Device, Distribution, Tensor, TensorData};

use super::block::{DropPath, VitForwardOptions};
use super::head::{DinoHead, DinoHeadConfig};
use super::layers::WeightInit;
use super::params::{self, take_gradients};
use super::rope::{RopeAugmentation, RopeDraws};
use super::vit::{LayerSelection, Vit, VitInput};
use super::{PosEmbedInterpolation, VitConfig};
use crate::fused::packing::BatchPlace;
use dinoscope_base::device::block_on;
use dinoscope_base::rng::stream;
use dinoscope_base::state_dict::{HostTensor, StateDict};

fn tiny() -> VitConfig {
    VitConfig::new(8, 2, 8, 2, 2)
}

/// The reference's filling: keys in byte order, `sin(0.7 i + 1.3 j)` for value i of key j.
fn filled(config: &VitConfig) -> Vit {
    let vit = Vit::init(config, 0, &Device::flex());
    let shapes: StateDict = block_on(params::state_dict(&vit, |p| p.to_owned())).unwrap();
    let mut dict = StateDict::new();
    for (j, (key, tensor)) in shapes.iter().enumerate() {
        let value = |i: usize| {
            let s = (0.7 * i as f64 + 1.3 * j as f64).sin();
            let norm_weight =
                key.ends_with("norm1.weight") || key.ends_with("norm2.weight") || key == "norm.weight";
            (if norm_weight {
                1.0 + 0.1 * s
            } else if key.ends_with("gamma") {
                0.5 + 0.1 * s
            } else {
                0.2 * s
            }) as f32
        };
        let data = (0..tensor.data.len()).map(value).collect();
        dict.insert(key.clone(), HostTensor::new(tensor.shape.clone(), data));
    }
    let (vit, missing) = params::load(vit, &dict, |p| p.to_owned());
    assert!(missing.is_empty(), "{missing:?}");
    vit
}

fn input(height: usize, width: usize) -> Tensor<4> {
    let values: Vec<f32> = (0..3 * height * width).map(|i| (0.05 * i as f64).sin() as f32).collect();
    Tensor::from_data(TensorData::new(values, [1, 3, height, width]), &Device::flex())
}

fn host<const D: usize>(t: Tensor<D>) -> Vec<f32> {
    t.into_data().iter::<f32>().collect()
}

fn close(got: Vec<f32>, want: &[f32], tolerance: f32) {
    assert_eq!(got.len(), want.len());
    assert!(got.iter().zip(want).all(|(g, w)| (g - w).abs() <= tolerance), "{got:?}\nis not\n{want:?}");
}

#[test]
fn mlp_matches_the_reference() {
    let f = filled(&tiny()).forward(input(8, 8), None);
    let want = [1.089386, -1.254878, 1.680267, -0.564924, 0.552219, -0.477182, -1.268802, 0.020741];
    close(host(f.cls), &want, 1e-5);
    let want = [-0.623798, 0.822434, -0.930801, 0.151978, 1.458088, -1.652504, 0.546615, 0.056333];
    close(host(f.patches.narrow(1, 0, 1)), &want, 1e-5);
    close(host(f.prenorm.sum()), &[-0.374083], 1e-4);
}

#[test]
fn resampled_positions_match_the_reference() {
    let vit = filled(&tiny());
    let f = vit.forward(input(6, 12), None);
    let want = [1.108764, -1.194297, 1.701819, -0.707681, 0.588825, -0.628154, -1.101246, 0.031403];
    close(host(f.cls), &want, 1e-5);
    close(host(f.prenorm.sum()), &[-5.462374], 1e-4);
    let layers = vit.intermediate_layers(input(6, 12), LayerSelection::Last(2), true);
    let want = [-0.772870, 1.247654, -0.813548, -0.344205, 1.371492, -1.469699, -0.070675, 0.745441];
    close(host(layers[0].patches.clone().narrow(1, 1, 1)), &want, 1e-5);
    let at = vit.intermediate_layers(input(6, 12), LayerSelection::At(&[0, 1]), true);
    close(host(at[1].cls.clone()), &host(layers[1].cls.clone()), 0.0);
}

#[test]
fn masked_patches_match_the_reference() {
    let masked: Vec<bool> = (0..16).map(|i| [1, 5, 6, 15].contains(&i)).collect();
    let masks = Tensor::<2, Bool>::from_data(TensorData::new(masked, [1, 16]), &Device::flex());
    let f = filled(&tiny()).forward(input(8, 8), Some(masks));
    let want = [-0.737763, 1.114601, -1.364244, 1.336613, -0.866987, 0.702580, -0.098188, -0.272156];
    close(host(f.cls), &want, 1e-5);
}

#[test]
fn registers_match_the_reference() {
    let config = VitConfig { interpolation: PosEmbedInterpolation::ANTIALIAS, ..tiny().with_registers(2) };
    let vit = filled(&config);
    let f = vit.forward(input(8, 8), None);
    let want = [-0.146546, -0.008861, -0.768117, 1.513878, -0.894795, 1.265508, -1.253908, 0.050959];
    close(host(f.cls), &want, 1e-5);
    let want = [0.818316, -0.617797, 1.318075, -1.472174, 0.881892, -1.301629, 0.289277, 0.029677];
    close(host(f.registers.unwrap().narrow(1, 0, 1)), &want, 1e-5);
    close(host(f.prenorm.sum()), &[-2.440970], 1e-4);
    assert_eq!(f.patches.dims(), [1, 16, 8]);
    let want = [0.230627, -0.551602, -0.458745, 1.338018, -0.845642, 1.301457, -1.529023, 0.297857];
    close(host(vit.forward(input(6, 12), None).cls), &want, 1e-5);
}

#[test]
fn swiglu_matches_the_reference() {
    let vit = filled(&tiny().with_swiglu());
    assert_eq!(vit.config.hidden, 24);
    let want = [-1.204290, 1.133251, 0.780197, -0.065260, 1.244350, -0.139896, -1.683963, -0.553041];
    close(host(vit.forward(input(8, 8), None).cls), &want, 1e-5);
    let want = [-1.119156, 1.288364, 0.708292, -0.123547, 1.233449, -0.294437, -1.722646, -0.432668];
    close(host(vit.forward(input(6, 12), None).cls), &want, 1e-5);
}

#[test]
fn head_matches_the_reference() {
    let config = DinoHeadConfig { dim: 8, prototypes: 5, hidden: 6, bottleneck: 4, layers: 3 };
    let head = DinoHead::init(&config, &mut WeightInit::Random(stream(0, "head", 0, 0)), &Device::flex());
    let key = |p: &str| head.official_key(p);
    let shapes = block_on(params::state_dict(&head, key)).unwrap();
    assert_eq!(
        shapes.keys().collect::<Vec<_>>(),
        [
            "last_layer.weight_g",
            "last_layer.weight_v",
            "mlp.0.bias",
            "mlp.0.weight",
            "mlp.2.bias",
            "mlp.2.weight",
            "mlp.4.bias",
            "mlp.4.weight"
        ]
    );
    let mut dict = StateDict::new();
    for (j, (key, t)) in shapes.iter().enumerate() {
        let value = |i: usize| match key.as_str() {
            "last_layer.weight_g" => 1.0,
            _ => (0.5 * (0.7 * i as f64 + 1.3 * j as f64).sin()) as f32,
        };
        dict.insert(key.clone(), HostTensor::new(t.shape.clone(), (0..t.data.len()).map(value).collect()));
    }
    let keys = head.clone();
    let (head, missing) = params::load(head, &dict, |p| keys.official_key(p));
    assert!(missing.is_empty());
    let x: Vec<f32> = (0..16).map(|i| (0.3 * f64::from(i)).cos() as f32).collect();
    let x = Tensor::<2>::from_data(TensorData::new(x, [2, 8]), &Device::flex());
    let want = [
        0.543799, -0.502214, 0.415099, -0.291665, 0.136111, 0.630282, -0.569948, 0.458699, -0.307529,
        0.121730,
    ];
    close(host(head.forward(x)), &want, 1e-5);
}

#[test]
fn counted_parameters_are_the_module_s() {
    let plain = VitConfig { layerscale: None, ..tiny() };
    for config in [tiny(), tiny().with_registers(3), tiny().with_swiglu(), plain, tiny().with_rope()] {
        let mut count = 0;
        params::visit(&Vit::init(&config, 0, &Device::flex()), |seen| {
            count += seen.shape.iter().product::<usize>()
        });
        assert_eq!(count, config.parameters());
    }
}

fn random(shape: [usize; 4]) -> Tensor<4> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), &Device::flex())
}

#[test]
fn one_packed_pass_equals_separate_passes_with_gradients() {
    packed_equals_apart(&tiny());
    packed_equals_apart(&tiny().with_registers(2).with_rope());
}

fn packed_equals_apart(config: &VitConfig) {
    let device = Device::flex().autodiff();
    let vit = Vit::init(config, 3, &device);
    let (global, local) = (random([4, 3, 8, 8]), random([6, 3, 4, 4]));
    let crops = |images: &Tensor<4>| VitInput { images: images.clone(), masks: None };
    let loss = |f: &[super::VitOutput]| {
        f.iter().map(|f| f.prenorm.clone().powi_scalar(2).sum()).reduce(|a, b| a + b).unwrap()
    };
    let packed = vit.forward_packed(&[crops(&global), crops(&local)], VitForwardOptions::default());
    let apart = [vit.forward(global, None), vit.forward(local, None)];
    for (a, b) in packed.iter().zip(&apart) {
        close(host(a.patches.clone()), &host(b.patches.clone()), 1e-5);
        close(host(a.cls.clone()), &host(b.cls.clone()), 1e-5);
    }
    let a = take_gradients(&vit, &mut loss(&packed).backward());
    let b = take_gradients(&vit, &mut loss(&apart).backward());
    for (name, g) in &a {
        let (g, want) = (host(g.clone()), host(b[name].clone()));
        let size = want.iter().fold(1e-3f32, |m, v| m.max(v.abs()));
        assert!(g.iter().zip(&want).all(|(x, y)| (x - y).abs() < 1e-4 * size), "{name}");
    }
}

#[test]
fn masked_pixels_do_not_matter() {
    let vit = filled(&tiny());
    let masked: Vec<bool> = (0..16).map(|i| i == 0).collect();
    let masks = Tensor::<2, Bool>::from_data(TensorData::new(masked, [1, 16]), &Device::flex());
    let changed = input(8, 8)
        .slice_assign([0..1, 0..3, 0..2, 0..2], Tensor::full([1, 3, 2, 2], f32::NAN, &Device::flex()));
    let (a, b) = (vit.forward(input(8, 8), Some(masks.clone())), vit.forward(changed, Some(masks)));
    close(host(a.prenorm), &host(b.prenorm), 0.0);
    let none = Tensor::<2, Bool>::from_data(TensorData::new(vec![false; 16], [1, 16]), &Device::flex());
    close(host(vit.forward(input(8, 8), Some(none)).cls), &host(vit.forward(input(8, 8), None).cls), 0.0);
}

#[test]
fn dropped_crops_pass_a_branch_unchanged_and_kept_ones_are_scaled() {
    let vit = Vit::init(&VitConfig { layerscale: Some(0.5), ..tiny() }, 5, &Device::flex());
    let block = &vit.blocks[0];
    let packing = Arc::new(crate::fused::SequencePacking::single(10, 3));
    let x = Tensor::<2>::random([30, 8], Distribution::Normal(0.0, 1.0), &Device::flex());
    // The attention branch alone: the other adds nothing.
    let mut block = block.clone();
    block.ls2 = Some(super::layers::LayerScale::init(8, 0.0, &Device::flex()));
    let plain = host(block.forward(x.clone(), &packing, None, &mut VitForwardOptions::default()) - x.clone());
    // The same draws twice: once by hand, once through the block.
    let rate = 0.3;
    let first = packing.draw_subset(rate, &mut stream(9, "drop", 0, 0), BatchPlace::WHOLE).unwrap();
    let kept: Vec<usize> = first.rows.iter().map(|r| *r as usize).collect();
    let mut rng = stream(9, "drop", 0, 0);
    let mut drop = DropPath { rate, rng: &mut rng, place: BatchPlace::WHOLE };
    let mut pass = VitForwardOptions { drop: Some(&mut drop), ..VitForwardOptions::default() };
    let (before, out) = (host(x.clone()), host(block.forward(x, &packing, None, &mut pass)));
    for row in 0..30 {
        let factor = if kept.contains(&row) { 10.0 / 7.0 } else { 0.0 };
        for c in 0..8 {
            let want = before[row * 8 + c] + factor * plain[row * 8 + c];
            assert!((out[row * 8 + c] - want).abs() < 1e-5, "row {row}");
        }
    }
}

#[test]
fn a_process_that_keeps_no_crop_passes_all_of_them_on() {
    let vit = Vit::init(&tiny(), 5, &Device::flex());
    let packing = Arc::new(crate::fused::SequencePacking::single(1, 3));
    let x = Tensor::<2>::random([3, 8], Distribution::Normal(0.0, 1.0), &Device::flex());
    let (mut unchanged, ranks) = (0, 8);
    for rank in 0..ranks {
        let mut rng = stream(9, "drop", 0, 0);
        let place = BatchPlace { rank, ranks, images: 1 };
        let mut drop = DropPath { rate: 0.9, rng: &mut rng, place };
        let mut pass = VitForwardOptions { drop: Some(&mut drop), ..VitForwardOptions::default() };
        let out = host(vit.blocks[0].forward(x.clone(), &packing, None, &mut pass));
        unchanged += usize::from(out == host(x.clone()));
    }
    // One crop of eight passes each of the two branches.
    assert!((6..=7).contains(&unchanged), "{unchanged}");
}

#[test]
fn weight_norm_gradient_is_orthogonal_to_its_rows_and_zero_rows_are_finite() {
    let device = Device::flex().autodiff();
    let config = DinoHeadConfig { dim: 8, prototypes: 5, hidden: 6, bottleneck: 4, layers: 3 };
    let head = DinoHead::init(&config, &mut WeightInit::Random(stream(1, "head", 0, 0)), &device);
    let x = Tensor::<2>::random([3, 8], Distribution::Normal(0.0, 1.0), &Device::flex());
    // A zero row passes the MLP (biases are 0) as zeros: its norm must not make NaN.
    let x = Tensor::cat(vec![x, Tensor::zeros([1, 8], &Device::flex())], 0);
    let mut grads = head.forward(x).powi_scalar(3).sum().backward();
    let grads = take_gradients(&head, &mut grads);
    assert!(grads.values().all(|g| host(g.clone()).iter().all(|v| v.is_finite())));
    let g = host(grads["last_layer.weight_v"].clone());
    let v = host(head.last_layer.weight_v.val().inner());
    for k in 0..5 {
        let dot: f32 = (0..4).map(|i| g[k * 4 + i] * v[k * 4 + i]).sum();
        assert!(dot.abs() < 1e-4, "row {k}: {dot}");
    }
}

/// Rotary positions: where patches are counts, and crops move in training alone, by draws of each block.
#[test]
fn rotary_positions_are_told_apart_and_moved_by_draws() {
    // Positions act on scores alone, and scores must be large enough to matter.
    let vit = filled(&VitConfig { layerscale: Some(1.0), ..tiny().with_rope() });
    let wide = input(4, 16);
    // By three patches of eight: half the picture is a whole turn of the shortest period.
    let moved = Tensor::cat(vec![wide.clone().narrow(3, 6, 10), wide.clone().narrow(3, 0, 6)], 3);
    let (here, there) = (vit.forward(wide.clone(), None), vit.forward(moved, None));
    let apart = |a: &Tensor<2>, b: &Tensor<2>| {
        host(a.clone()).iter().zip(host(b.clone())).fold(0f32, |most, (a, b)| most.max((a - b).abs()))
    };
    assert!(apart(&here.cls, &there.cls) > 1e-3, "CLS sees where things are");

    let crops = [VitInput { images: wide.clone(), masks: None }];
    let moved = |augmentation, seed| {
        let rng = &mut stream(seed, "rope", 0, 0);
        let mut moves = RopeDraws { augmentation, rng };
        let pass = VitForwardOptions { rope: Some(&mut moves), ..VitForwardOptions::default() };
        vit.forward_packed(&crops, pass).swap_remove(0).cls
    };
    close(host(moved(RopeAugmentation::NONE, 1)), &host(here.cls.clone()), 0.0);
    let [first, again, other] = [1, 1, 2].map(|seed| moved(RopeAugmentation::DINOV3, seed));
    close(host(first.clone()), &host(again), 0.0);
    assert!(apart(&first, &other) > 1e-4 && apart(&first, &here.cls) > 1e-4);
}

#[test]
fn pauses_and_layers_change_nothing() {
    for config in [tiny().with_registers(1), tiny().with_registers(1).with_rope()] {
        let vit = filled(&config);
        let whole = vit.forward(input(6, 12), None);
        let paused = block_on(vit.forward_pausing(input(6, 12), async || true)).unwrap();
        close(host(paused.patches), &host(whole.patches.clone()), 0.0);
        let last = vit.intermediate_layers(input(6, 12), LayerSelection::Last(1), true).remove(0);
        close(host(last.patches), &host(whole.patches), 0.0);
        let attention = vit.attention(input(6, 12), 1, None);
        let paused = block_on(vit.attention_pausing(input(6, 12), 1, None, async || true)).unwrap();
        close(host(paused), &host(attention.clone()), 0.0);
        let sums = host(attention.sum_dim(3));
        assert!(sums.iter().all(|sum| (sum - 1.0).abs() < 1e-5));
    }
}

#[test]
fn features_and_attention_of_one_pass_are_those_of_two() {
    let mut config = VitConfig::new(16, 2, 48, 3, 4).with_rope();
    (config.registers, config.layerscale) = (2, None);
    let vit = Vit::init(&config, 5, &Device::flex());
    let images = Tensor::cat(vec![input(16, 24), input(16, 24).mul_scalar(0.3)], 0);
    let alone = vit.forward(images.clone(), None);
    for (block, query) in [(0, None), (1, Some(3)), (2, Some(0))] {
        let (features, attention) = vit.forward_with_attention(images.clone(), block, query);
        assert_eq!(host(attention), host(vit.attention(images.clone(), block, query)), "block {block}");
        assert_eq!(host(features.cls), host(alone.cls.clone()));
        assert_eq!(host(features.patches), host(alone.patches.clone()));
        assert_eq!(host(features.prenorm), host(alone.prenorm.clone()));
        assert_eq!(features.registers.map(host), alone.registers.clone().map(host));
    }
}
