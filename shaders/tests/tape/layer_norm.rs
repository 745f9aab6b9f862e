use dinoscope_shaders::layer_norm::gpu::{LayerNormShape, SkipGradient, backward, forward};

use super::*;

/// Large enough that a norm with another one is far off.
const EPSILON: f32 = 0.05;

/// `(y, stats)` in f64.
fn reference(x: &[f64], rows: &[usize], weight: &[f64], bias: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let dim = weight.len();
    let (mut y, mut stats) = (Vec::new(), Vec::new());
    for row in rows {
        let x = &x[row * dim..][..dim];
        let mean = x.iter().sum::<f64>() / dim as f64;
        let variance = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / dim as f64;
        let inverse = 1.0 / (variance + f64::from(EPSILON)).sqrt();
        y.extend(x.iter().zip(weight).zip(bias).map(|((x, w), b)| (x - mean) * inverse * w + b));
        stats.extend([mean, inverse]);
    }
    (y, stats)
}

struct Case {
    shape: LayerNormShape,
    rows: Option<Vec<usize>>,
    x: Vec<f32>,
    weight: Vec<f32>,
    bias: Vec<f32>,
    dy: Vec<f32>,
    past: Vec<f32>,
}

impl Case {
    fn new(tokens: usize, dim: usize, gathered: bool) -> Self {
        let rows = gathered.then(|| some_rows(tokens, 3));
        let kept = rows.as_ref().map_or(tokens, Vec::len);
        let x = noise(tokens * dim, 1).iter().map(|v| v + 0.5).collect();
        let shape = LayerNormShape { tokens, kept, dim };
        let (weight, bias) = (noise(dim, 2), noise(dim, 4));
        Self { shape, rows, x, weight, bias, dy: noise(kept * dim, 5), past: noise(tokens * dim, 6) }
    }

    fn taken(&self) -> Vec<usize> {
        self.rows.clone().unwrap_or_else(|| (0..self.shape.tokens).collect())
    }

    fn run(&self, client: &Client, mode: usize) -> [Vec<f32>; 5] {
        let rows: Option<Vec<i32>> = self.rows.as_ref().map(|r| r.iter().map(|v| *v as i32).collect());
        let rows = rows.map(|r| indices(client, &r));
        let (x, weight) = (floats(client, &self.x), floats(client, &self.weight));
        let bias = floats(client, &self.bias);
        let out = forward(client, &x, rows.as_ref(), &weight, &bias, self.shape, EPSILON, F32).unwrap();
        let (dy, past) = (floats(client, &self.dy), floats(client, &self.past));
        let past = match mode {
            0 => SkipGradient::None,
            1 => SkipGradient::Kept(&past),
            _ => SkipGradient::Reused(past),
        };
        let back =
            backward(client, &dy, &x, rows.as_ref(), &out.stats, &weight, past, self.shape, F32).unwrap();
        [&out.y, &out.stats, &back.x, &back.weight, &back.bias].map(|handle| read(client, handle))
    }

    fn check(&self, client: &Client, mode: usize) {
        let what = format!("layer norm {:?}, rows {:?}, past {mode}", self.shape, self.rows.is_some());
        let [y, stats, dx, d_weight, d_bias] = self.run(client, mode);
        let (x, weight, bias, dy) = (wide(&self.x), wide(&self.weight), wide(&self.bias), wide(&self.dy));
        let rows = self.taken();
        let (want_y, want_stats) = reference(&x, &rows, &weight, &bias);
        close(&format!("{what}: y"), &y, &want_y, 1e-5);
        close(&format!("{what}: stats"), &stats, &want_stats, 1e-5);
        let dim = self.shape.dim;
        let mut want = if mode == 0 { vec![0.0; x.len()] } else { wide(&self.past) };
        let (mut want_weight, mut want_bias) = (vec![0.0; dim], vec![0.0; dim]);
        for (kept, row) in rows.iter().enumerate() {
            let [mean, inverse] = [want_stats[2 * kept], want_stats[2 * kept + 1]];
            let normal: Vec<f64> = x[row * dim..][..dim].iter().map(|v| (v - mean) * inverse).collect();
            let outer = &dy[kept * dim..][..dim];
            let inner: Vec<f64> = outer.iter().zip(&weight).map(|(g, w)| g * w).collect();
            let flat = inner.iter().sum::<f64>() / dim as f64;
            let slope = dot(&inner, &normal) / dim as f64;
            for i in 0..dim {
                want[row * dim + i] += inverse * (inner[i] - flat - normal[i] * slope);
                want_weight[i] += outer[i] * normal[i];
                want_bias[i] += outer[i];
            }
        }
        close(&format!("{what}: dx"), &dx, &want, 1e-4);
        close(&format!("{what}: dweight"), &d_weight, &want_weight, 1e-4);
        close(&format!("{what}: dbias"), &d_bias, &want_bias, 1e-4);
    }
}

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn layer_norm_of_awkward_shapes() {
    let client = client();
    for (tokens, dim) in [(1, 5), (1, 384), (63, 96), (65, 5), (257, 65), (3, 1), (5, 1030), (64, 512)] {
        for gathered in [false, true] {
            for mode in 0..3 {
                Case::new(tokens, dim, gathered).check(&client, mode);
            }
        }
    }
}

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn layer_norm_slopes() {
    let client = client();
    let case = Case::new(7, 5, true);
    let [_, _, dx, d_weight, d_bias] = case.run(&client, 0);
    let (x, weight, bias, dy) = (wide(&case.x), wide(&case.weight), wide(&case.bias), wide(&case.dy));
    let rows = case.taken();
    let loss = |x: &[f64], weight: &[f64], bias: &[f64]| dot(&reference(x, &rows, weight, bias).0, &dy);
    close("slope of x", &dx, &slopes(&x, |x| loss(x, &weight, &bias)), 1e-4);
    close("slope of weight", &d_weight, &slopes(&weight, |w| loss(&x, w, &bias)), 1e-4);
    close("slope of bias", &d_bias, &slopes(&bias, |b| loss(&x, &weight, b)), 1e-4);
}

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn layer_norm_without_rows() {
    let client = client();
    let mut case = Case::new(5, 6, true);
    case.rows = Some(vec![]);
    case.shape.kept = 0;
    case.dy.clear();
    for (mode, want) in [(0, vec![0.0; 30]), (1, case.past.clone()), (2, case.past.clone())] {
        // Nothing can be made of an empty upload, so a buffer stands in for the indices that nobody reads.
        let (x, weight) = (floats(&client, &case.x), floats(&client, &case.weight));
        let rows = indices(&client, &[0]);
        let out = forward(&client, &x, Some(&rows), &weight, &weight, case.shape, EPSILON, F32).unwrap();
        let kept = floats(&client, &case.past);
        let past = match mode {
            0 => SkipGradient::None,
            1 => SkipGradient::Kept(&kept),
            _ => SkipGradient::Reused(kept.clone()),
        };
        let back =
            backward(&client, &rows, &x, Some(&rows), &out.stats, &weight, past, case.shape, F32).unwrap();
        assert_eq!(read(&client, &back.x), want);
        assert_eq!(read(&client, &back.weight), [0.0; 6]);
        assert_eq!(read(&client, &back.bias), [0.0; 6]);
    }
}

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn layer_norm_keeps_nan_in_its_row() {
    let client = client();
    let mut case = Case::new(9, 96, false);
    case.x[3 * 96 + 17] = f32::NAN;
    let [y, stats, dx, ..] = case.run(&client, 1);
    for row in 0..9 {
        let is_bad = row == 3;
        assert!(y[row * 96..][..96].iter().all(|v| v.is_nan() == is_bad), "y of row {row}");
        assert!(stats[2 * row..][..2].iter().all(|v| v.is_nan() == is_bad), "stats of row {row}");
        assert!(dx[row * 96..][..96].iter().all(|v| v.is_nan() == is_bad), "dx of row {row}");
    }
}
