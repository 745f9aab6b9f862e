//! The head's loss as it is written down, and the statistics of its norm.

use super::*;
use crate::dense::extractor::DenseView;
use crate::dense::frame::CenterPadding;
use dinoscope_base::device::block_on;
use dinoscope_data::Picture;
use dinoscope_model::params::read;

const DIM: usize = 5;

fn host<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    block_on(read(tensor.clone())).unwrap()
}

/// Two views of different grids, 2 × 3 and 3 × 4 cells, with sizes that are no multiples of them.
fn views(classes: usize) -> Vec<(DenseFeatureMap, DenseExample<u8>)> {
    let mut rng = stream(4, "maps", 0, 0);
    let frames = [
        CenterPadding { width: 10, height: 8, patch: 4, exact: false },
        CenterPadding { width: 15, height: 11, patch: 4, exact: true },
    ];
    let mut view = |frame: CenterPadding| {
        let cells = frame.rows() * frame.cols();
        let patches = (0..cells * DIM).map(|i| 0.5 * (i % DIM) as f32 + normal(&mut rng)).collect();
        let patches = Tensor::from_data(TensorData::new(patches, [cells, DIM]), &Device::flex());
        let truth = |i: usize| if i % 7 == 3 { IGNORED } else { (i * i % 11 % classes) as u8 };
        let truth = (0..frame.width * frame.height).map(truth).collect();
        let picture = Picture::of_rgb(frame.width, frame.height, Vec::new());
        let example = DenseExample { view: DenseView { picture, frame }, truth, picture: 0 };
        (DenseFeatureMap { patches, cls: None }, example)
    };
    frames.map(&mut view).into()
}

/// The loss as it is written down: normalise, convolve, enlarge, compare, in f64.
fn plain_loss(head: &SegmentationHead, views: &[(DenseFeatureMap, DenseExample<u8>)]) -> f64 {
    let maps: Vec<Vec<f32>> = views.iter().map(|(map, _)| host(&map.patches)).collect();
    let cells: usize = maps.iter().map(|map| map.len() / DIM).sum();
    let moment = |d: usize, f: &dyn Fn(f64) -> f64| {
        maps.iter().flat_map(|map| map.iter().skip(d).step_by(DIM)).map(|x| f(f64::from(*x))).sum::<f64>()
            / cells as f64
    };
    let means: Vec<f64> = (0..DIM).map(|d| moment(d, &|x| x)).collect();
    let roots: Vec<f64> =
        (0..DIM).map(|d| (moment(d, &|x| (x - means[d]).powi(2)) + EPSILON).sqrt()).collect();
    let (gain, shift) = (host(&head.gain.value), host(&head.shift.value));
    let (weight, bias) = (host(&head.weight.value), host(&head.bias.value));
    let (mut loss, mut count) = (0.0, 0);
    for (map, (_, example)) in maps.iter().zip(views) {
        let (down, across) = example.view.frame.axes(1);
        let logit = |cell: usize, class: usize| -> f64 {
            let of = |d: usize| {
                let n = (f64::from(map[cell * DIM + d]) - means[d]) / roots[d];
                f64::from(weight[class * DIM + d]) * (f64::from(gain[d]) * n + f64::from(shift[d]))
            };
            f64::from(bias[class]) + (0..DIM).map(of).sum::<f64>()
        };
        for (pixel, label) in example.truth.iter().enumerate().filter(|(_, label)| **label != IGNORED) {
            let (down, tap) = (down.taps[pixel / across.len()], across.taps[pixel % across.len()]);
            let mixed = |class: usize| {
                let row = |y: usize| {
                    let at = |x: usize| logit(y * across.input + x, class);
                    at(tap.low) + f64::from(tap.share) * (at(tap.high) - at(tap.low))
                };
                row(down.low) + f64::from(down.share) * (row(down.high) - row(down.low))
            };
            let sum: f64 = (0..bias.len()).map(|class| mixed(class).exp()).sum();
            loss += sum.ln() - mixed(usize::from(*label));
            count += 1;
        }
    }
    loss / f64::from(count)
}

#[test]
fn the_loss_is_that_of_the_formula_and_falls() {
    for classes in [3, 18] {
        let views = views(classes);
        let mut head = SegmentationHead::new(DIM, classes, 1, 2, &Device::flex());
        let mut rng = stream(9, "values", 0, 0);
        let mut noise = |n: usize| (0..n).map(|_| 1.0 + 0.5 * normal(&mut rng)).collect();
        let device = Device::flex();
        head.gain = HeadParameter::new(noise(DIM), [1, DIM], &device);
        head.shift = HeadParameter::new(noise(DIM), [1, DIM], &device);
        head.weight = HeadParameter::new(noise(classes * DIM), [classes, DIM], &device);
        head.bias = HeadParameter::new(noise(classes), [1, classes], &device);
        let batch: Vec<_> = views.iter().map(|(map, example)| (map.clone(), example)).collect();
        for _ in 0..3 {
            let want = plain_loss(&head, &views);
            let found = host(&head.learn(&batch).unwrap())[0];
            assert!((f64::from(found) - want).abs() < 1e-5, "{found} is not {want}");
            head.parameters().into_iter().for_each(|parameter| parameter.adamw(0.01, 0.0));
            assert!(plain_loss(&head, &views) < want);
        }
    }
}

#[test]
fn statistics_are_those_of_all_cells() {
    let views = views(2);
    let all: Vec<f32> = views.iter().flat_map(|(map, _)| host(&map.patches)).collect();
    let mut head = SegmentationHead::new(DIM, 2, 1, 0, &Device::flex());
    let batch: Vec<_> = views.iter().map(|(map, example)| (map.clone(), example)).collect();
    head.learn(&batch).unwrap();
    let (means, variances) = (host(&head.running.mean), host(&head.running.variance));
    for d in 0..DIM {
        let column: Vec<f64> = all.iter().skip(d).step_by(DIM).map(|v| f64::from(*v)).collect();
        let mean = column.iter().sum::<f64>() / 18.0;
        let unbiased = column.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 17.0;
        // A tenth of the first batch.
        assert!((f64::from(means[d]) - 0.1 * mean).abs() < 1e-6);
        assert!((f64::from(variances[d]) - 0.9 - 0.1 * unbiased).abs() < 1e-6);
    }
}

#[test]
fn nothing_is_learned_where_nothing_counts() {
    let mut views = views(4);
    views.iter_mut().for_each(|(_, example)| example.truth.fill(IGNORED));
    let batch: Vec<_> = views.iter().map(|(map, example)| (map.clone(), example)).collect();
    assert!(SegmentationHead::new(DIM, 4, 1, 0, &Device::flex()).learn(&batch).is_none());
}
