//! The fused operations against burn's own operations and its gradients.

use std::sync::Arc;

use burn::tensor::activation::{log_softmax, silu, softmax};
use burn::tensor::{Device, Distribution, Gradients, IndexingUpdateOp, Int, Tensor, TensorData};

use super::*;
use crate::fused::packing::{BatchPlace, CropGroup, CropSubset, SequencePacking};
use dinoscope_base::rng::stream;

const DIM: usize = 12;
const HEADS: usize = 3;
/// Large enough that a norm with another one is far off.
const EPS: f64 = 0.05;

fn device() -> Device {
    Device::flex().autodiff()
}

fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), &Device::flex())
}

fn tracked<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tensor::from_data(x.into_data(), &device()).require_grad()
}

fn host<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().iter::<f32>().collect()
}

fn close<const D: usize>(name: &str, got: Tensor<D>, want: Tensor<D>, tolerance: f32) {
    assert_eq!(got.dims(), want.dims(), "{name}");
    let (got, want) = (host(got), host(want));
    let size = want.iter().fold(1e-3f32, |a, w| a.max(w.abs()));
    for (i, (g, w)) in got.iter().zip(&want).enumerate() {
        assert!((g - w).abs() <= tolerance * size, "{name} at {i}: {g} is not {w}");
    }
}

/// Parameters of a branch.
#[derive(Clone)]
struct Weights {
    norm: [Tensor<1>; 2],
    inner: (Tensor<2>, Option<Tensor<1>>),
    outer: (Tensor<2>, Tensor<1>),
    gamma: Option<Tensor<1>>,
}

impl Weights {
    fn new(inner: usize, hidden: usize, bias: bool, gamma: bool) -> Self {
        let vector = |n| tracked(random([n]));
        Self {
            norm: [vector(DIM), vector(DIM)],
            inner: (tracked(random([inner, DIM]).mul_scalar(0.4)), bias.then(|| vector(inner))),
            outer: (tracked(random([DIM, hidden]).mul_scalar(0.4)), vector(DIM)),
            gamma: gamma.then(|| vector(DIM)),
        }
    }

    fn list(&self) -> Vec<BranchParameter> {
        let mut list: Vec<BranchParameter> = self.norm.clone().map(BranchParameter::from).into();
        list.push(self.inner.0.clone().into());
        list.extend(self.inner.1.clone().map(BranchParameter::from));
        list.push(self.outer.0.clone().into());
        list.push(self.outer.1.clone().into());
        list.extend(self.gamma.clone().map(BranchParameter::from));
        list
    }

    /// `x` with the branch added, the plain way.
    fn plain(
        &self,
        x: Tensor<2>,
        subset: Option<&CropSubset>,
        mix: impl Fn(Tensor<2>) -> Tensor<2>,
    ) -> Tensor<2> {
        let rows = subset.map(|s| {
            let rows: Tensor<1, Int> =
                Tensor::from_data(TensorData::new(s.rows.clone(), [s.rows.len()]), &Device::flex());
            let scale: Tensor<2> =
                Tensor::from_data(TensorData::new(s.scale.clone(), [s.scale.len(), 1]), &Device::flex());
            (rows, scale)
        });
        let kept = match &rows {
            Some((rows, _)) => x.clone().select(0, rows.clone()),
            None => x.clone(),
        };
        let centred = kept.clone() - kept.mean_dim(1);
        let variance = centred.clone().square().mean_dim(1);
        let [weight, bias] = self.norm.clone();
        let normed = centred / variance.add_scalar(EPS).sqrt() * weight.unsqueeze() + bias.unsqueeze();
        let mut inner = normed.matmul(self.inner.0.clone().transpose());
        if let Some(bias) = &self.inner.1 {
            inner = inner + bias.clone().unsqueeze();
        }
        let mut out = mix(inner).matmul(self.outer.0.clone().transpose()) + self.outer.1.clone().unsqueeze();
        if let Some(gamma) = &self.gamma {
            out = out * gamma.clone().unsqueeze();
        }
        match rows {
            Some((rows, scale)) => x.select_assign(0, rows, out * scale, IndexingUpdateOp::Add),
            None => x + out,
        }
    }

    fn compare(&self, name: &str, a: &Gradients, b: &Gradients, tolerance: f32) {
        let both = |x: &Tensor<1>| (x.grad(a).unwrap(), x.grad(b).unwrap());
        let matrices = |x: &Tensor<2>| (x.grad(a).unwrap(), x.grad(b).unwrap());
        let mut vectors =
            vec![("norm weight", &self.norm[0]), ("norm bias", &self.norm[1]), ("bias", &self.outer.1)];
        vectors.extend(self.inner.1.as_ref().map(|b| ("inner bias", b)));
        vectors.extend(self.gamma.as_ref().map(|g| ("gamma", g)));
        for (which, tensor) in vectors {
            let (got, want) = both(tensor);
            close(&format!("{name}: {which}"), got, want, tolerance);
        }
        for (which, tensor) in [("inner", &self.inner.0), ("outer", &self.outer.0)] {
            let (got, want) = matrices(tensor);
            close(&format!("{name}: {which}"), got, want, tolerance);
        }
    }
}

fn packing() -> SequencePacking {
    SequencePacking {
        groups: vec![
            CropGroup { count: 4, tokens: 5 },
            CropGroup { count: 3, tokens: 2 },
            CropGroup { count: 2, tokens: 1 },
        ],
    }
}

fn attention_plan(weights: &Weights, subset: Option<Arc<CropSubset>>) -> AttentionPlan {
    AttentionPlan {
        packing: Arc::new(packing()),
        subset,
        heads: HEADS,
        qkv_bias: weights.inner.1.is_some(),
        key_bias: true,
        rope: false,
        gamma: weights.gamma.is_some(),
        eps: EPS,
        precision: ComputePrecision::F32,
        checkpoint: false,
        shards: None,
    }
}

fn plain_attention(qkv: Tensor<2>, packing: &SequencePacking) -> Tensor<2> {
    let parts = packing.spans().map(|(start, group)| {
        let rows = group.count * group.tokens;
        let width = DIM / HEADS;
        let part = qkv.clone().narrow(0, start, rows).reshape([group.count, group.tokens, 3, HEADS, width]);
        let part = part.permute([2, 0, 3, 1, 4]);
        let [q, k, v] = std::array::from_fn(|i| part.clone().narrow(0, i, 1).squeeze_dim::<4>(0));
        let p = softmax(q.matmul(k.transpose()).mul_scalar((width as f64).powf(-0.5)), 3);
        p.matmul(v).swap_dims(1, 2).reshape([rows, DIM])
    });
    Tensor::cat(parts.collect(), 0)
}

#[test]
fn attention_branches_and_their_gradients_are_the_plain_ones() {
    for (bias, gamma, rate) in [(true, true, 0.0), (false, false, 0.0), (true, true, 0.4), (true, false, 0.4)]
    {
        let weights = Weights::new(3 * DIM, DIM, bias, gamma);
        let x = tracked(random([packing().len(), DIM]));
        let subset =
            packing().draw_subset(rate, &mut stream(1, "drop", 0, 0), BatchPlace::WHOLE).map(Arc::new);
        let kept = subset.as_ref().map_or_else(packing, |s| s.packing.clone());
        let toward = random([packing().len(), DIM]);
        let name = format!("bias {bias} gamma {gamma} rate {rate}");

        let plain = weights.plain(x.clone(), subset.as_deref(), |qkv| plain_attention(qkv, &kept));
        let want = (plain.clone() * toward.clone()).sum().backward();
        for checkpoint in [false, true] {
            let plan = AttentionPlan { checkpoint, ..attention_plan(&weights, subset.clone()) };
            let fused = attention_branch(x.clone(), weights.list(), plan);
            close(&name, fused.clone(), plain.clone(), 1e-5);
            let got = (fused * toward.clone()).sum().backward();
            close(&name, x.grad(&got).unwrap(), x.grad(&want).unwrap(), 2e-5);
            weights.compare(&name, &got, &want, 2e-5);
        }
    }
}

/// Cosines and sines of all groups of [`packing`], any angles.
fn angles() -> Tensor<2> {
    let positions = packing().groups.iter().map(|group| group.tokens).sum::<usize>();
    let angles = random([positions, DIM / HEADS / 2]);
    Tensor::cat(vec![angles.clone().cos(), angles.sin()], 1)
}

/// Queries and keys `[rows, 3 dim]` turned the way the rule is written: `x cos + rotated(x) sin`.
fn plain_turn(qkv: Tensor<2>, table: &Tensor<2>, packing: &SequencePacking) -> Tensor<2> {
    let (width, mut first) = (DIM / HEADS, 0);
    let parts: Vec<Tensor<2>> = packing
        .spans()
        .map(|(start, group)| {
            let rows = group.count * group.tokens;
            let shape = [group.count, group.tokens, 3 * HEADS, width];
            let x = qkv.clone().narrow(0, start, rows).reshape(shape);
            let (turned, values) = (x.clone().narrow(2, 0, 2 * HEADS), x.narrow(2, 2 * HEADS, HEADS));
            let table = table.clone().narrow(0, first, group.tokens);
            first += group.tokens;
            let both = |at: usize| {
                let half = table.clone().narrow(1, at * width / 2, width / 2);
                Tensor::cat(vec![half.clone(), half], 1).reshape([1, group.tokens, 1, width])
            };
            let [a, b] = [0, width / 2].map(|at| turned.clone().narrow(3, at, width / 2));
            let rotated = Tensor::cat(vec![b.neg(), a], 3);
            Tensor::cat(vec![turned * both(0) + rotated * both(1), values], 2).reshape([rows, 3 * DIM])
        })
        .collect();
    Tensor::cat(parts, 0)
}

/// Turned by positions, with and without biases, of keys too, and with crops that are dropped.
#[test]
fn attention_branches_with_rotary_positions_are_the_plain_ones() {
    let table = tracked(angles()).detach();
    for (bias, key_bias, rate) in [(true, true, 0.0), (false, false, 0.0), (true, false, 0.4)] {
        let weights = Weights::new(3 * DIM, DIM, bias, true);
        let x = tracked(random([packing().len(), DIM]));
        let subset =
            packing().draw_subset(rate, &mut stream(1, "drop", 0, 0), BatchPlace::WHOLE).map(Arc::new);
        let kept = subset.as_ref().map_or_else(packing, |s| s.packing.clone());
        let toward = random([packing().len(), DIM]);
        let name = format!("bias {bias} of keys {key_bias} rate {rate}");
        let mix = |qkv: Tensor<2>| plain_attention(plain_turn(qkv, &table, &kept), &kept);
        let plain = weights.plain(x.clone(), subset.as_deref(), mix);
        let want = (plain.clone() * toward.clone()).sum().backward();
        for checkpoint in [false, true] {
            let plan = attention_plan(&weights, subset.clone());
            let plan = AttentionPlan { checkpoint, rope: true, key_bias, ..plan };
            let mut list = weights.list();
            list.push(table.clone().into());
            let fused = attention_branch(x.clone(), list, plan);
            close(&name, fused.clone(), plain.clone(), 1e-5);
            let got = (fused * toward.clone()).sum().backward();
            close(&name, x.grad(&got).unwrap(), x.grad(&want).unwrap(), 2e-5);
            if key_bias || !bias {
                weights.compare(&name, &got, &want, 2e-5);
                continue;
            }
            // All but the keys' third is what it was, and that is 0.
            let own = weights.inner.1.as_ref().unwrap();
            let (got, want) = (own.grad(&got).unwrap(), own.grad(&want).unwrap());
            assert!(host(want.clone().narrow(0, DIM, DIM)).iter().any(|g| g.abs() > 1e-3));
            assert_eq!(host(got.clone().narrow(0, DIM, DIM)), [0.0; DIM]);
            for at in [0, 2 * DIM] {
                close(&name, got.clone().narrow(0, at, DIM), want.clone().narrow(0, at, DIM), 2e-5);
            }
        }
    }
}

/// The turn composed of burn's operations beside the CPU's own, both ways and in 16 bits.
#[test]
fn turns_as_they_are_composed() {
    use burn::backend::Flex;
    use burn::backend::tensor::FloatTensor;
    use dinoscope_shaders::rope::RopeTurn;
    let tensor = |x: Tensor<2>| FloatTensor::<Flex>::from_data(x.into_data());
    let (qkv, table) = (tensor(random([packing().len(), 3 * DIM])), tensor(angles()));
    let bias = FloatTensor::<Flex>::from_data(random::<1>([3 * DIM]).into_data());
    for (turn, bias) in [(RopeTurn::Forward, Some(bias)), (RopeTurn::Back, None)] {
        let want =
            composed::rotate::<Flex>(qkv.clone(), bias.clone(), table.clone(), &packing(), HEADS, turn);
        let got = Flex::rotate(qkv.clone(), bias.clone(), table.clone(), &packing(), HEADS, turn);
        got.into_data()
            .assert_approx_eq(&want.clone().into_data(), burn::tensor::Tolerance::<f32>::absolute(1e-5));
        let half = composed::cast::<Flex>(qkv.clone(), burn::backend::FloatDType::BF16);
        let got = Flex::rotate(half, bias, table.clone(), &packing(), HEADS, turn);
        let got = composed::full::<Flex>(got).into_data();
        got.assert_approx_eq(&want.into_data(), burn::tensor::Tolerance::<f32>::absolute(5e-2));
    }
}

#[test]
fn feed_forward_branches_and_their_gradients_are_the_plain_ones() {
    for (kind, gamma, rate) in [
        (FeedForwardKind::Mlp, true, 0.0),
        (FeedForwardKind::Mlp, false, 0.4),
        (FeedForwardKind::SwiGlu, true, 0.4),
        (FeedForwardKind::SwiGlu, false, 0.0),
    ] {
        let inner = if kind == FeedForwardKind::Mlp { 20 } else { 40 };
        let weights = Weights::new(inner, 20, true, gamma);
        let x = tracked(random([packing().len(), DIM]));
        let subset =
            packing().draw_subset(rate, &mut stream(2, "drop", 0, 0), BatchPlace::WHOLE).map(Arc::new);
        let toward = random([packing().len(), DIM]);
        let mix = |h: Tensor<2>| match kind {
            // burn's own gradient of GELU is that of the tanh approximation; erf's is exact.
            FeedForwardKind::Mlp => {
                h.clone() * (h.div_scalar(std::f32::consts::SQRT_2).erf().add_scalar(1.0)).mul_scalar(0.5)
            }
            FeedForwardKind::SwiGlu => silu(h.clone().narrow(1, 0, 20)) * h.narrow(1, 20, 20),
        };
        let plain = weights.plain(x.clone(), subset.as_deref(), mix);
        let want = (plain.clone() * toward.clone()).sum().backward();
        for checkpoint in [false, true] {
            let plan = FeedForwardPlan {
                subset: subset.clone(),
                kind,
                gamma,
                eps: EPS,
                precision: ComputePrecision::F32,
                checkpoint,
                shards: None,
            };
            let fused = feed_forward_branch(x.clone(), weights.list(), plan);
            close("ffn", fused.clone(), plain.clone(), 1e-5);
            let got = (fused * toward.clone()).sum().backward();
            close("ffn x", x.grad(&got).unwrap(), x.grad(&want).unwrap(), 2e-5);
            weights.compare(&format!("{kind:?} rate {rate}"), &got, &want, 2e-5);
        }
    }
}

#[test]
fn half_precision_is_close() {
    let weights = Weights::new(3 * DIM, DIM, true, true);
    let ffn = Weights::new(20, 20, true, true);
    let x = tracked(random([packing().len(), DIM]));
    let run = |precision| {
        let plan = AttentionPlan { precision, ..attention_plan(&weights, None) };
        let y = attention_branch(x.clone(), weights.list(), plan);
        let plan = FeedForwardPlan {
            subset: None,
            kind: FeedForwardKind::Mlp,
            gamma: true,
            eps: EPS,
            precision,
            checkpoint: false,
            shards: None,
        };
        let y = feed_forward_branch(y, ffn.list(), plan);
        let grads = y.clone().square().sum().backward();
        (y, grads)
    };
    let (want, full) = run(ComputePrecision::F32);
    for (precision, tolerance) in [(ComputePrecision::F16, 4e-3), (ComputePrecision::Bf16, 3e-2)] {
        let (got, half) = run(precision);
        close("half", got, want.clone(), tolerance);
        close("half x", x.grad(&half).unwrap(), x.grad(&full).unwrap(), 2.0 * tolerance);
        weights.compare("half attention", &half, &full, 3.0 * tolerance);
        ffn.compare("half ffn", &half, &full, 3.0 * tolerance);
    }
}

#[test]
fn single_layers_are_the_plain_ones() {
    let (x, w, b) = (tracked(random([7, 5])), tracked(random([4, 5])), tracked(random([4])));
    let plain = |x: Tensor<2>| x.matmul(w.clone().transpose()) + b.clone().unsqueeze();
    let exact = |h: Tensor<2>| {
        h.clone() * (h.div_scalar(std::f32::consts::SQRT_2).erf().add_scalar(1.0)).mul_scalar(0.5)
    };
    let cases = [
        (linear(x.clone(), w.clone(), b.clone()), plain(x.clone())),
        (linear_gelu(x.clone(), w.clone(), b.clone()), exact(plain(x.clone()))),
    ];
    for (got, want) in cases {
        close("layer", got.clone(), want.clone(), 1e-5);
        let (got, want) = (got.square().sum().backward(), want.square().sum().backward());
        close("x", x.grad(&got).unwrap(), x.grad(&want).unwrap(), 1e-5);
        close("weight", w.grad(&got).unwrap(), w.grad(&want).unwrap(), 1e-5);
        close("bias", b.grad(&got).unwrap(), b.grad(&want).unwrap(), 1e-5);
    }
}

#[test]
fn cross_entropy_is_the_plain_one() {
    let (z, directions) = (tracked(random([4, 3])), tracked(random([6, 3])));
    let targets = softmax(random([2, 6]), 1);
    let pairs = Arc::new(TargetPairs { first: vec![0, 1, 0, -1], second: vec![-1, -1, 1, -1] });
    let weights = random([4]);
    let logits = z.clone().matmul(directions.clone().transpose()).div_scalar(0.1);
    let logs = log_softmax(logits, 1);
    let met = Tensor::cat(
        vec![targets.clone(), targets.clone().sum_dim(0), Tensor::zeros([1, 6], &Device::flex())],
        0,
    );
    let want = (met * logs.clone()).sum_dim(1).neg().reshape([4]);
    let got = cross_entropy(z.clone(), directions.clone(), targets, pairs, 0.1);
    close("loss", got.loss.clone(), want.clone(), 1e-5);
    let entropy = (logs.clone().exp() * logs).sum_dim(1).neg().reshape([4]);
    close("entropy", got.entropy, entropy, 1e-5);
    let (a, b) = ((got.loss * weights.clone()).sum().backward(), (want * weights).sum().backward());
    close("z", z.grad(&a).unwrap(), z.grad(&b).unwrap(), 1e-5);
    close("directions", directions.grad(&a).unwrap(), directions.grad(&b).unwrap(), 1e-5);
}

#[test]
fn an_update_of_many_parameters_is_the_composed_one() {
    use burn::backend::Flex;
    use burn::backend::tensor::FloatTensor;
    let primitive = |x: &Tensor<1>| x.clone().try_into_primitive::<Flex>().unwrap();
    for (clip, broken, scale) in [(0.0, false, 1.0), (0.3, false, 1.0), (0.3, false, 8.0), (0.3, true, 8.0)] {
        let parameters: Vec<ParamUpdate<Tensor<1>>> = [5usize, 1, 300, 7]
            .into_iter()
            .enumerate()
            .map(|(i, n)| ParamUpdate {
                value: random([n]),
                teacher: random([n]),
                first: random([n]),
                second: random([n]).square(),
                gradient: (n != 1).then(|| random([n]).mul_scalar(if broken { f32::INFINITY } else { 1.0 })),
                module: i % 2,
                lr: 0.01 * n as f64,
                decay: 0.1,
            })
            .collect();
        let rates = UpdateHyperparams {
            beta1: 0.9,
            beta2: 0.99,
            eps: 1e-8,
            steps: 3,
            momentum: 0.95,
            clip,
            skip_not_finite: true,
        };
        let inside: Vec<ParamUpdate<FloatTensor<Flex>>> =
            parameters.iter().map(|p| p.clone().map(|x| primitive(&x))).collect();
        let before: Vec<_> = parameters.iter().map(|p| p.value.clone()).collect();
        let norm = |module: usize| -> f32 {
            let own = parameters.iter().filter(|p| p.module == module).flat_map(|p| p.gradient.clone());
            own.flat_map(host).map(|g| (g / scale).powi(2)).sum::<f32>().sqrt()
        };
        let norms = [norm(0), norm(1)];
        let factors = norms.map(|n| {
            let within = if clip > 0.0 { (clip as f32 / n).min(1.0) } else { 1.0 };
            primitive(&Tensor::full([1], if broken { f32::NAN } else { within / scale }, &Device::flex()))
        });
        let want = composed::adamw::<Flex>(inside, &factors, &rates);
        let loss_scale = (scale != 1.0).then(|| Tensor::full([1], scale, &Device::flex()));
        let (got, found) = optimise(parameters, loss_scale, &rates, &mut UpdateArenas::default());
        assert_eq!(host(found.overflow)[0] > 0.0, broken);
        for (got, want) in found.norms.into_iter().zip(norms) {
            assert!(broken || (host(got)[0] - want).abs() < 1e-4 * want);
        }
        for ((got, want), before) in got.into_iter().zip(want).zip(before) {
            if broken {
                close("skipped", got.value.clone(), before, 0.0);
            }
            close("value", got.value, Tensor::from_primitive::<Flex>(want.value), 2e-6);
            close("teacher", got.teacher, Tensor::from_primitive::<Flex>(want.teacher), 2e-6);
            close("first", got.first, Tensor::from_primitive::<Flex>(want.first), 2e-6);
            close("second", got.second, Tensor::from_primitive::<Flex>(want.second), 2e-6);
        }
    }
}

#[test]
fn l2_norm_and_weight_norm_are_those_of_burn() {
    let length = |x: Tensor<2>| x.square().sum_dim(1).sqrt();
    for (rows, dim) in [(1, 3), (7, 5), (33, 96)] {
        let (x, gain, weight) = (tracked(random([rows, dim])), tracked(random([rows])), random([rows, dim]));
        let loss = |y: Tensor<2>| (y * weight.clone().autodiff()).sum().backward();

        let (got, want) = (l2_norm(x.clone(), 1e-12), x.clone() / length(x.clone()));
        close("l2 norm", got.clone(), want.clone(), 1e-5);
        let (got, want) = (loss(got), loss(want));
        close("gradient of x", x.grad(&got).unwrap(), x.grad(&want).unwrap(), 1e-4);

        let scale = gain.clone().reshape([rows, 1]) / length(x.clone());
        let (got, want) = (weight_norm(x.clone(), gain.clone()), x.clone() * scale);
        close("weight norm", got.clone(), want.clone(), 1e-5);
        let (got, want) = (loss(got), loss(want));
        close("gradient of v", x.grad(&got).unwrap(), x.grad(&want).unwrap(), 1e-4);
        close("gradient of the gain", gain.grad(&got).unwrap(), gain.grad(&want).unwrap(), 1e-4);
    }
}

/// The reference composed of burn's operations, which other precisions take, beside the CPU's own.
#[test]
fn l2_norm_as_it_is_composed() {
    use burn::backend::Flex;
    use burn::backend::tensor::FloatTensor;

    let (rows, dim) = (9, 5);
    let mut x = host(random([rows, dim]));
    x[..dim].fill(0.0);
    let tensor =
        |values: Vec<f32>, shape: Vec<usize>| FloatTensor::<Flex>::from_data(TensorData::new(values, shape));
    let x = tensor(x, vec![rows, dim]);
    let (gain, dy) =
        (tensor(host(random([rows])), vec![rows]), tensor(host(random([rows, dim])), vec![rows, dim]));
    for gain in [None, Some(gain)] {
        let (y, inverse) = Flex::l2_norm(x.clone(), gain.clone(), EPS);
        let (want, want_inverse) = composed::l2_norm::<Flex>(x.clone(), gain.clone(), EPS);
        let (dx, d_gain) = Flex::l2_norm_backward(x.clone(), gain.clone(), inverse.clone(), dy.clone(), EPS);
        let (want_dx, want_gain) =
            composed::l2_norm_backward::<Flex>(x.clone(), gain, want_inverse.clone(), dy.clone(), EPS);
        for (got, want) in [(y, want), (inverse, want_inverse), (dx, want_dx), (d_gain, want_gain)] {
            let near = burn::tensor::Tolerance::<f32>::absolute(1e-4);
            got.into_data().assert_approx_eq(&want.into_data(), near);
        }
    }
}

/// Distances to neighbours as they are composed, and on the CPU; the slopes of both are those of burn.
#[test]
fn distances_to_neighbours_are_those_of_burn() {
    for (all, views, per_view, dim) in [(3, 1, 1, 4), (13, 2, 5, 7), (40, 1, 33, 96)] {
        let of = NeighbourViews { views, per_view, eps: 1e-8 };
        let (x, weight) = (tracked(random([all, dim])), random([of.rows()]));
        let loss = |y: Tensor<1>| (y * weight.clone().autodiff()).sum().backward();
        let got = neighbour_distances(x.clone(), of);
        let slopes = x.grad(&loss(got.clone())).unwrap();

        let own = x.clone().narrow(0, 0, of.rows());
        let unit = own.clone() / own.square().sum_dim(1).sqrt();
        let products = unit.clone().matmul(unit.clone().transpose()).into_data();
        let products: Vec<f32> = products.iter().collect();
        let near = |row: usize| {
            let view = row / per_view * per_view..(row / per_view + 1) * per_view;
            let product = |other: usize| if other == row { -1.0 } else { products[row * of.rows() + other] };
            view.max_by(|a, b| product(*a).total_cmp(&product(*b))).unwrap() as i32
        };
        let near: Vec<i32> = (0..of.rows()).map(near).collect();
        let near: Tensor<1, Int> = Tensor::from_data(TensorData::new(near, [of.rows()]), &Device::flex());
        let off = (unit.clone() - unit.select(0, near)).add_scalar(of.eps);
        let want = off.square().sum_dim(1).sqrt().reshape([of.rows()]);
        close("distance", got, want.clone(), 1e-5);
        if per_view > 1 {
            close("slope of the distance", slopes.clone(), x.grad(&loss(want)).unwrap(), 1e-4);
        }

        use burn::backend::Flex;
        use burn::backend::tensor::FloatTensor;
        let tensor = |x: Tensor<2>| FloatTensor::<Flex>::from_data(x.into_data());
        let values = tensor(x.clone());
        let (composed_distance, state) = composed::neighbour_distances::<Flex>(values.clone(), of);
        let d = FloatTensor::<Flex>::from_data(weight.clone().into_data());
        let dx = composed::neighbour_distances_backward::<Flex>(values, state, of, d);
        let near = burn::tensor::Tolerance::<f32>::absolute(1e-4);
        let want = neighbour_distances(x.clone(), of).into_data();
        composed_distance.into_data().assert_approx_eq(&want, near);
        if per_view > 1 {
            dx.into_data().assert_approx_eq(&slopes.into_data(), near);
        }
    }
}
