//! Runs a graph by ONNX's definition of its operators, slowly and plainly: a second opinion on what a file computes.

use std::collections::BTreeMap;

use super::read::{Model, Node, Tensor};

/// The outputs of `model` for one input.
pub fn run(model: &Model, input: Tensor) -> BTreeMap<String, Tensor> {
    let mut values = model.constants.clone();
    values.insert(model.inputs[0].0.clone(), input);
    for node in &model.nodes {
        let inputs: Vec<&Tensor> = node
            .inputs
            .iter()
            .map(|name| values.get(name).unwrap_or_else(|| panic!("{}: {name} is not there yet", node.name)))
            .collect();
        let outputs = operator(node, &inputs);
        assert_eq!(outputs.len(), node.outputs.len(), "{}", node.name);
        for (name, value) in node.outputs.iter().zip(outputs) {
            assert!(values.insert(name.clone(), value).is_none(), "{name} is made twice");
        }
    }
    model.outputs.iter().map(|(name, _)| (name.clone(), values[name].clone())).collect()
}

fn operator(node: &Node, x: &[&Tensor]) -> Vec<Tensor> {
    let truth = |is: bool| if is { 1.0 } else { 0.0 };
    let one = match node.op.as_str() {
        "Add" => both(x[0], x[1], |a, b| a + b),
        "Sub" => both(x[0], x[1], |a, b| a - b),
        "Mul" => both(x[0], x[1], |a, b| a * b),
        "Div" => both(x[0], x[1], |a, b| a / b),
        "Max" => both(x[0], x[1], f32::max),
        "Equal" => both(x[0], x[1], |a, b| truth(a == b)),
        "Less" => both(x[0], x[1], |a, b| truth(a < b)),
        "LessOrEqual" => both(x[0], x[1], |a, b| truth(a <= b)),
        "And" => both(x[0], x[1], |a, b| a * b),
        "Where" => {
            let yes = both(x[0], x[1], |c, a| if c == 1.0 { a } else { 0.0 });
            both(&yes, &both(x[0], x[2], |c, b| if c == 1.0 { 0.0 } else { b }), |a, b| a + b)
        }
        "Cos" => each(x[0], f32::cos),
        "Sin" => each(x[0], f32::sin),
        "Abs" => each(x[0], f32::abs),
        "Erf" => each(x[0], erf),
        "Sigmoid" => each(x[0], |v| 1.0 / (1.0 + (-v).exp())),
        "Cast" => {
            assert_eq!(node.int("to"), Some(1));
            x[0].clone()
        }
        "Shape" => list(x[0].shape.iter().map(|&n| n as f32).collect()),
        "Range" => {
            assert_eq!((x[0].data[0], x[2].data[0]), (0.0, 1.0));
            list((0..x[1].data[0] as usize).map(|i| i as f32).collect())
        }
        "Reshape" => reshape(x[0], x[1]),
        "Unsqueeze" => {
            let mut shape = x[0].shape.clone();
            shape.insert(x[1].data[0] as usize, 1);
            Tensor { shape, data: x[0].data.clone() }
        }
        "Expand" => {
            let shape: Vec<usize> = x[1].data.iter().map(|&n| n as usize).collect();
            let ones = Tensor { data: vec![1.0; shape.iter().product()], shape };
            both(x[0], &ones, |a, _| a)
        }
        "Transpose" => {
            let order: Vec<usize> = node.ints("perm").iter().map(|&axis| axis as usize).collect();
            let shape: Vec<usize> = order.iter().map(|&axis| x[0].shape[axis]).collect();
            let (from, to) = (strides(&x[0].shape), strides(&shape));
            let source = |i: usize| -> usize {
                order.iter().enumerate().map(|(a, &axis)| i / to[a] % shape[a] * from[axis]).sum()
            };
            Tensor { data: (0..x[0].data.len()).map(|i| x[0].data[source(i)]).collect(), shape }
        }
        "Gather" => gather(x[0], x[1], node.int("axis").unwrap_or(0)),
        "Concat" => concat(x, axis(node, x[0])),
        "Split" => return split(x[0], axis(node, x[0]), node.outputs.len()),
        "MatMul" => matmul(x[0], x[1]),
        "ReduceSum" => {
            assert_eq!((x[0].shape.len(), x[1].data.as_slice()), (2, [1.0].as_slice()));
            let sums = x[0].data.chunks(x[0].shape[1]).map(|row| row.iter().sum()).collect();
            Tensor { shape: vec![x[0].shape[0], 1], data: sums }
        }
        "Softmax" => rows(x[0], axis(node, x[0]), |row| {
            let highest = row.iter().copied().fold(f32::MIN, f32::max);
            row.iter_mut().for_each(|v| *v = (*v - highest).exp());
            let sum: f32 = row.iter().sum();
            row.iter_mut().for_each(|v| *v /= sum);
        }),
        "LayerNormalization" => {
            let normed = rows(x[0], axis(node, x[0]), |row| {
                let n = row.len() as f32;
                let mean = row.iter().sum::<f32>() / n;
                let variance = row.iter().map(|v| (v - mean) * (v - mean)).sum::<f32>() / n;
                let deviation = (variance + node.float("epsilon")).sqrt();
                row.iter_mut().for_each(|v| *v = (*v - mean) / deviation);
            });
            both(&both(&normed, x[1], |a, b| a * b), x[2], |a, b| a + b)
        }
        "Conv" => patches(node, x),
        op => panic!("{}: {op} was not expected in a backbone", node.name),
    };
    vec![one]
}

fn strides(shape: &[usize]) -> Vec<usize> {
    (0..shape.len()).map(|axis| shape[axis + 1..].iter().product()).collect()
}

fn list(data: Vec<f32>) -> Tensor {
    Tensor { shape: vec![data.len()], data }
}

fn each(x: &Tensor, f: impl Fn(f32) -> f32) -> Tensor {
    Tensor { shape: x.shape.clone(), data: x.data.iter().map(|&v| f(v)).collect() }
}

/// Element by element, with ONNX's broadcasting.
fn both(a: &Tensor, b: &Tensor, f: impl Fn(f32, f32) -> f32) -> Tensor {
    let rank = a.shape.len().max(b.shape.len());
    let padded = |t: &Tensor| [vec![1; rank - t.shape.len()], t.shape.clone()].concat();
    let (sa, sb) = (padded(a), padded(b));
    let join = |(&m, &n): (&usize, &usize)| {
        assert!(m == n || m == 1 || n == 1, "{:?} and {:?}", a.shape, b.shape);
        if m == 1 { n } else { m }
    };
    let shape: Vec<usize> = sa.iter().zip(&sb).map(join).collect();
    let out = strides(&shape);
    let place = |i: usize, own: &[usize]| -> usize {
        let step = strides(own);
        (0..rank).map(|axis| if own[axis] == 1 { 0 } else { i / out[axis] % shape[axis] * step[axis] }).sum()
    };
    let count = shape.iter().product();
    let data = (0..count).map(|i| f(a.data[place(i, &sa)], b.data[place(i, &sb)])).collect();
    Tensor { shape, data }
}

fn axis(node: &Node, x: &Tensor) -> usize {
    let axis = node.int("axis").unwrap();
    if axis < 0 { (axis + x.shape.len() as i64) as usize } else { axis as usize }
}

/// `f` on every row of the last axis.
fn rows(x: &Tensor, axis: usize, mut f: impl FnMut(&mut [f32])) -> Tensor {
    assert_eq!(axis + 1, x.shape.len());
    let mut out = x.clone();
    out.data.chunks_mut(x.shape[axis]).for_each(&mut f);
    out
}

fn reshape(x: &Tensor, wanted: &Tensor) -> Tensor {
    let mut shape: Vec<i64> = wanted.data.iter().map(|&n| n as i64).collect();
    for (axis, n) in shape.iter_mut().enumerate().filter(|(_, n)| **n == 0) {
        *n = x.shape[axis] as i64;
    }
    let known: i64 = shape.iter().filter(|&&n| n > 0).product();
    let shape =
        shape.iter().map(|&n| if n < 0 { x.data.len() / known as usize } else { n as usize }).collect();
    let out = Tensor { shape, data: x.data.clone() };
    assert_eq!(out.shape.iter().product::<usize>(), out.data.len());
    out
}

/// Slices along an axis: how many come before, and how long one is.
fn around(shape: &[usize], axis: usize) -> (usize, usize) {
    (shape[..axis].iter().product(), shape[axis + 1..].iter().product())
}

fn gather(x: &Tensor, at: &Tensor, axis: i64) -> Tensor {
    let axis = axis as usize;
    let (before, after) = around(&x.shape, axis);
    let mut data = Vec::new();
    for i in 0..before {
        for &k in &at.data {
            let start = (i * x.shape[axis] + k as usize) * after;
            data.extend_from_slice(&x.data[start..start + after]);
        }
    }
    Tensor { shape: [&x.shape[..axis], &at.shape, &x.shape[axis + 1..]].concat(), data }
}

fn concat(x: &[&Tensor], axis: usize) -> Tensor {
    let (before, after) = around(&x[0].shape, axis);
    let mut data = Vec::new();
    for i in 0..before {
        for t in x {
            let length = t.shape[axis] * after;
            data.extend_from_slice(&t.data[i * length..(i + 1) * length]);
        }
    }
    let mut shape = x[0].shape.clone();
    shape[axis] = x.iter().map(|t| t.shape[axis]).sum();
    Tensor { shape, data }
}

fn split(x: &Tensor, axis: usize, parts: usize) -> Vec<Tensor> {
    let (before, after) = around(&x.shape, axis);
    assert_eq!(x.shape[axis] % parts, 0);
    let mut shape = x.shape.clone();
    shape[axis] /= parts;
    let length = shape[axis] * after;
    let part = |p: usize| {
        let slices =
            (0..before).flat_map(|i| &x.data[(i * parts + p) * length..(i * parts + p + 1) * length]);
        Tensor { shape: shape.clone(), data: slices.copied().collect() }
    };
    (0..parts).map(part).collect()
}

/// Matrices in the last two axes; leading axes are broadcast.
fn matmul(a: &Tensor, b: &Tensor) -> Tensor {
    let cut = |t: &Tensor| {
        (t.shape[..t.shape.len() - 2].to_vec(), t.shape[t.shape.len() - 2], t.shape[t.shape.len() - 1])
    };
    let ((la, m, k), (lb, l, n)) = (cut(a), cut(b));
    assert_eq!(k, l, "{:?} times {:?}", a.shape, b.shape);
    // Broadcasting the numbers of the matrices gives which pairs there are.
    let numbered =
        |shape: Vec<usize>| Tensor { data: (0..shape.iter().product()).map(|i| i as f32).collect(), shape };
    let (of_a, of_b) = (
        both(&numbered(la.clone()), &numbered(lb.clone()), |i, _| i),
        both(&numbered(la), &numbered(lb), |_, j| j),
    );
    let mut data = Vec::new();
    for (i, j) in of_a.data.iter().zip(&of_b.data) {
        let (a, b) = (&a.data[*i as usize * m * k..], &b.data[*j as usize * k * n..]);
        for row in 0..m {
            data.extend((0..n).map(|col| (0..k).map(|x| a[row * k + x] * b[x * n + col]).sum::<f32>()));
        }
    }
    Tensor { shape: [of_a.shape.as_slice(), &[m, n]].concat(), data }
}

/// A convolution whose stride is its kernel.
fn patches(node: &Node, x: &[&Tensor]) -> Tensor {
    let [batch, channels, height, width] = x[0].shape[..] else { panic!("{:?}", x[0].shape) };
    let [dim, _, side, _] = x[1].shape[..] else { panic!("{:?}", x[1].shape) };
    assert_eq!(
        (node.ints("strides"), node.ints("kernel_shape")),
        (vec![side as i64; 2], vec![side as i64; 2])
    );
    let (down, across) = (height / side, width / side);
    let mut data = Vec::new();
    for (b, d) in (0..batch).flat_map(|b| (0..dim).map(move |d| (b, d))) {
        for (row, col) in (0..down).flat_map(|row| (0..across).map(move |col| (row, col))) {
            let mut sum = x[2].data[d];
            for (c, i, j) in
                (0..channels).flat_map(|c| (0..side * side).map(move |k| (c, k / side, k % side)))
            {
                let pixel = ((b * channels + c) * height + row * side + i) * width + col * side + j;
                sum += x[0].data[pixel] * x[1].data[((d * channels + c) * side + i) * side + j];
            }
            data.push(sum);
        }
    }
    Tensor { shape: vec![batch, dim, down, across], data }
}

/// The error function by its power series, which is exact enough below 4; above, f32 knows only 1.
fn erf(x: f32) -> f32 {
    let z = f64::from(x);
    if z.abs() > 4.0 {
        return x.signum();
    }
    let (mut term, mut sum) = (z, z);
    for n in 1..100 {
        term *= -z * z / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    (sum * std::f64::consts::FRAC_2_SQRT_PI) as f32
}
