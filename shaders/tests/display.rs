//! The programs that draw against their CPU twins, on whatever device there is, with the limits of a browser.

use dinoscope_shaders::display::bench::{
    DisplayTestFixture, difference, levels, noise, two_objects, uploaded,
};
use dinoscope_shaders::display::check;
use dinoscope_shaders::display::{
    ColourRangeOptions, CommandRecorder, CovarianceBuffers, CovarianceProgram, CpuPcaPipeline, EigenBuffers,
    EigenProgram, FeatureBatchShape, PcaPipeline, PcaPipelineOptions, ProjectionBuffers, ProjectionProgram,
    StorageSlice, UpsampleFilter, covariance_cpu, eigenvectors_cpu, project_cpu, texture,
};
use dinoscope_shaders::{BackgroundMode, ShaderError};
use pollster::block_on;

use crate::adapter::device;

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn every_program_equals_its_twin() {
    let (device, queue) = device();
    let checks = block_on(check::all(&device, &queue)).unwrap();
    for check in &checks {
        println!("{:<55} {:.2e} of {:.0e}", check.name, check.error, check.tolerance);
    }
    assert!(checks.len() > 100, "only {} checks", checks.len());
    let failed: Vec<_> = checks.iter().filter(|check| !check.passed()).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

/// Matrices that subspace iteration and rotations could stumble over.
fn awkward(dim: usize) -> Vec<(&'static str, Vec<f32>)> {
    let matrix =
        |at: &dyn Fn(usize, usize) -> f32| (0..dim * dim).map(|e| at(e / dim, e % dim)).collect::<Vec<_>>();
    let mut x = noise(dim, 5);
    // The largest coefficient is not the first large one, and of the other sign.
    x[0] = -1.0;
    x[dim - 1] = 1.2;
    vec![
        ("zero", matrix(&|_, _| 0.0)),
        ("identity", matrix(&|i, j| f32::from(u8::from(i == j)))),
        ("rank one", matrix(&|i, j| x[i] * x[j])),
        ("tiny", matrix(&|i, j| 1e-30 * x[i] * x[j])),
        ("below all", matrix(&|i, j| 1e-44 * x[i] * x[j])),
        ("huge", matrix(&|i, j| 1e33 * x[i] * x[j])),
        ("two equal", matrix(&|i, j| if i == j && i < 2 { 3.0 } else { 0.0 })),
        ("one element", matrix(&|i, j| f32::from(u8::from(i == dim - 1 && j == dim - 1)))),
        (
            "not a number",
            matrix(&|i, j| if i == j { [1.0, f32::NAN, f32::INFINITY][i % 3] } else { f32::NAN }),
        ),
    ]
}

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn degenerate_spectra_stay_numbers() {
    let (device, queue) = device();
    let bench = DisplayTestFixture { device: &device, queue: &queue };
    let program = EigenProgram::new(&device);
    for dim in [1, 2, 5, 70] {
        for (what, matrix) in awkward(dim) {
            for k in [1, 3, 8] {
                let buffers = EigenBuffers::new(&device, dim, k).unwrap();
                // The basis to start from is no better.
                let start: Vec<f32> = noise(k * dim, 9)
                    .iter()
                    .enumerate()
                    .map(|(i, v)| if i % 4 == 1 { f32::NAN } else { *v })
                    .collect();
                queue.write_buffer(&buffers.components, 0, bytemuck::cast_slice(&start));
                let given = bench.exact(&matrix);
                bench.submit(|recorder| program.encode(recorder, &given, 4, k == 3, &buffers)).unwrap();
                let found = block_on(bench.floats(&buffers.components, k * dim)).unwrap();
                let values = block_on(bench.floats(&buffers.values, 9)).unwrap();
                let twin = eigenvectors_cpu(&matrix, dim, &start, 4, k == 3);
                let what = format!("{what}, {k} of {dim}");
                for (components, values) in [(&found, &values[..k]), (&twin.components, &twin.values[..])] {
                    assert!(components.iter().chain(values).all(|v| v.is_finite()), "{what}: {values:?}");
                    for (i, a) in components.chunks_exact(dim).enumerate() {
                        for (j, b) in components.chunks_exact(dim).enumerate() {
                            let product: f32 = a.iter().zip(b).map(|(x, y)| x * y).sum();
                            let expected = f32::from(u8::from(i == j && values[i] > 0.0));
                            assert!((product - expected).abs() < 1e-4, "{what}: {i} times {j} is {product}");
                        }
                    }
                }
                if what.starts_with("rank one") {
                    // With its sign.
                    let worst = difference(&found[..dim], &twin.components[..dim]);
                    assert!(worst < 1e-4, "{what}: {worst}");
                }
                assert!(
                    difference(&values[..k], &twin.values) < 1e-4,
                    "{what}: {values:?} for {:?}",
                    twin.values
                );
            }
        }
    }
}

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn components_follow_those_given() {
    let (device, queue) = device();
    let bench = DisplayTestFixture { device: &device, queue: &queue };
    let program = EigenProgram::new(&device);
    let dim = 40;
    let matrix = covariance_cpu(&two_objects(12, 12, dim), dim, None).covariance;
    let first = eigenvectors_cpu(&matrix, dim, &vec![0.0; 6 * dim], 40, false).components;
    // Second, third and first, the first of them turned round, and a little off.
    let mut given: Vec<f32> =
        [1, 2, 0, 3, 4, 5].iter().flat_map(|m| first[m * dim..][..dim].to_vec()).collect();
    given[..dim].iter_mut().for_each(|v| *v = -*v);
    given.iter_mut().zip(noise(6 * dim, 1)).for_each(|(v, n)| *v += 0.02 * n);
    let buffers = EigenBuffers::new(&device, dim, 6).unwrap();
    queue.write_buffer(&buffers.components, 0, bytemuck::cast_slice(&given));
    let on_device = bench.exact(&matrix);
    bench.submit(|recorder| program.encode(recorder, &on_device, 12, true, &buffers)).unwrap();
    let gpu = block_on(bench.floats(&buffers.components, 3 * dim)).unwrap();
    let twin = eigenvectors_cpu(&matrix, dim, &given, 12, true).components;
    for found in [&gpu, &twin[..3 * dim].to_vec()] {
        for (slot, (from, sign)) in [(1, -1.0), (2, 1.0), (0, 1.0)].into_iter().enumerate() {
            let expected: Vec<f32> = first[from * dim..][..dim].iter().map(|v| sign * v).collect();
            let worst = difference(&found[slot * dim..][..dim], &expected);
            assert!(worst < 1e-3, "place {slot}: {worst}");
        }
    }
}

/// A picture by the plain definitions, in 64 bits: all eigenvectors, sorted percentiles, no iteration.
fn exact_scores(features: &[f32], dim: usize) -> (Vec<[f64; 3]>, [(f64, f64); 3]) {
    let n = features.len() / dim;
    let mean: Vec<f64> = (0..dim)
        .map(|c| features.iter().skip(c).step_by(dim).map(|v| f64::from(*v)).sum::<f64>() / n as f64)
        .collect();
    let mut a = vec![vec![0f64; dim]; dim];
    for row in features.chunks_exact(dim) {
        for i in 0..dim {
            for j in 0..dim {
                a[i][j] += (f64::from(row[i]) - mean[i]) * (f64::from(row[j]) - mean[j]);
            }
        }
    }
    // Jacobi rotations on the whole matrix.
    let mut v: Vec<Vec<f64>> =
        (0..dim).map(|i| (0..dim).map(|j| f64::from(u8::from(i == j))).collect()).collect();
    for _ in 0..30 {
        for p in 0..dim {
            for q in p + 1..dim {
                if a[p][q] == 0.0 {
                    continue;
                }
                let angle = 0.5 * (2.0 * a[p][q]).atan2(a[q][q] - a[p][p]);
                let (s, c) = angle.sin_cos();
                for row in a.iter_mut().chain(v.iter_mut()) {
                    (row[p], row[q]) = (c * row[p] - s * row[q], s * row[p] + c * row[q]);
                }
                let (upper, lower) = a.split_at_mut(q);
                for (x, y) in upper[p].iter_mut().zip(&mut lower[0]) {
                    (*x, *y) = (c * *x - s * *y, s * *x + c * *y);
                }
            }
        }
    }
    let mut order: Vec<usize> = (0..dim).collect();
    order.sort_by(|i, j| a[*j][*j].total_cmp(&a[*i][*i]));
    let scores: Vec<[f64; 3]> = features
        .chunks_exact(dim)
        .map(|row| {
            std::array::from_fn(|m| (0..dim).map(|c| (f64::from(row[c]) - mean[c]) * v[c][order[m]]).sum())
        })
        .collect();
    let range = std::array::from_fn(|m| {
        let mut column: Vec<f64> = scores.iter().map(|s| s[m]).collect();
        column.sort_by(f64::total_cmp);
        let percentile = |share: f64| {
            let place = share * (n - 1) as f64;
            let (below, above) = (place as usize, (place as usize + 1).min(n - 1));
            column[below] + place.fract() * (column[above] - column[below])
        };
        (percentile(0.01), percentile(0.99))
    });
    (scores, range)
}

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn colours_are_those_of_exact_components_up_to_sign() {
    let (rows, cols, dim) = (16, 18, 24);
    let features = two_objects(rows, cols, dim);
    let (scores, range) = exact_scores(&features, dim);
    let compare = |packed: &[u32], what: &str| {
        for c in 0..3 {
            let level = |s: f64| (s - range[c].0) / (range[c].1 - range[c].0) * 255.0;
            let apart = |turned: bool| {
                let expected = scores.iter().map(|s| level(s[c]).clamp(0.0, 255.0));
                let got = packed.iter().map(|p| f64::from(p.to_le_bytes()[c]));
                expected
                    .zip(got)
                    .map(|(e, g)| (if turned { 255.0 - e } else { e } - g).abs())
                    .fold(0.0, f64::max)
            };
            let worst = apart(false).min(apart(true));
            assert!(worst <= 2.0, "{what}, channel {c}: {worst} levels");
        }
    };
    let options =
        PcaPipelineOptions { foreground: false, filter: UpsampleFilter::Nearest, ..Default::default() };
    let shape = FeatureBatchShape { pictures: 1, rows, cols, dim };
    let mut twin = CpuPcaPipeline::default();
    twin.fit(&features, None, shape, &options).unwrap();
    compare(&twin.draw(&features, None, (rows, cols), (cols, rows), &options).unwrap(), "CPU");

    let (device, queue) = device();
    let bench = DisplayTestFixture { device: &device, queue: &queue };
    let on_device = bench.upload(&features);
    let target = texture(&device, "target", cols as u32, rows as u32);
    let mut pipeline = PcaPipeline::new(&device);
    let draw = |pipeline: &mut PcaPipeline| {
        bench
            .submit(|recorder| {
                let features = uploaded(&on_device);
                pipeline.fit(recorder, features, None, shape, &options)?;
                pipeline.draw(recorder, features, None, (rows, cols), &options, &target)
            })
            .unwrap();
        block_on(bench.pixels(&target)).unwrap()
    };
    let first = draw(&mut pipeline);
    compare(&first, "GPU");
    // A second fit to the same features changes nothing, and from nothing the same bits come out.
    compare(&draw(&mut pipeline), "GPU, second fit");
    pipeline.forget();
    assert_eq!(draw(&mut pipeline), first, "not the same picture from the same features");
}

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn what_is_no_number_is_black_and_harms_nothing_else() {
    let (device, queue) = device();
    let bench = DisplayTestFixture { device: &device, queue: &queue };
    let (rows, cols, dim) = (9, 11, 33);
    let n = rows * cols;
    let shape = FeatureBatchShape { pictures: 1, rows, cols, dim };
    let options = PcaPipelineOptions {
        foreground: false,
        filter: UpsampleFilter::Nearest,
        background: BackgroundMode::Keep,
        range: ColourRangeOptions { percentiles: (0.0, 100.0), smoothing: 0.0 },
        ..Default::default()
    };
    let mut pipeline = PcaPipeline::new(&device);
    let mut draw = |features: &[f32], weights: &[f32]| {
        let (features, weights) = (bench.upload(features), bench.upload(weights));
        let target = texture(&device, "target", cols as u32, rows as u32);
        pipeline.forget();
        bench
            .submit(|recorder| {
                let (features, weights) = (uploaded(&features), Some(uploaded(&weights)));
                pipeline.fit(recorder, features, weights, shape, &options)?;
                pipeline.draw(recorder, features, weights, (rows, cols), &options, &target)
            })
            .unwrap();
        block_on(bench.pixels(&target)).unwrap()
    };
    let mut features = two_objects(rows, cols, dim);
    let mut weights = vec![1.0; n];
    let bad = [4, 50, 98];
    bad.iter().for_each(|i| weights[*i] = 0.0);
    let good = draw(&features, &weights);
    assert!(bad.iter().all(|i| good[*i] != 0xff00_0000), "{good:x?}");
    weights.fill(1.0);
    for (i, v) in bad.into_iter().zip([f32::NAN, f32::INFINITY, -f32::NAN]) {
        features[i * dim + i % dim] = v;
    }
    let broken = draw(&features, &weights);
    for (i, (a, b)) in broken.iter().zip(&good).enumerate() {
        assert_eq!(*a, if bad.contains(&i) { 0xff00_0000 } else { *b }, "patch {i}");
    }
    // Nothing to see: all alike, nothing foreground, nothing a number.
    let grey = vec![0xff80_8080; n];
    assert_eq!(draw(&vec![1234.567; n * dim], &weights), grey);
    assert_eq!(draw(&two_objects(rows, cols, dim), &vec![0.0; n]), grey);
    assert_eq!(draw(&vec![f32::NAN; n * dim], &weights), vec![0xff00_0000; n]);
}

/// More rows than one row of workgroups covers.
#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn many_patches_wrap_into_rows() {
    let (device, queue) = device();
    let bench = DisplayTestFixture { device: &device, queue: &queue };
    let n = 65_535 * 8 + 9;
    let mut data = noise(n, 77);
    data[n - 2] = f32::NAN;
    let features = bench.upload(&data);
    let buffers = CovarianceBuffers::new(&device, n, 1).unwrap();
    let axis = bench.exact(&[1.0]);
    let (scores, foreground) = (bench.garbage(n * 3), bench.garbage(n));
    let (covariance, project) = (CovarianceProgram::new(&device), ProjectionProgram::new(&device));
    bench
        .submit(|recorder| {
            let features = uploaded(&features);
            covariance.encode(recorder, features, None, n, &buffers)?;
            let (mean, components, scores, foreground) = (&buffers.mean, &axis, &scores, &foreground);
            let projection =
                ProjectionBuffers { features, weights: None, mean, components, scores, foreground };
            project.encode(recorder, projection, n, 1)
        })
        .unwrap();
    let twin = covariance_cpu(&data, 1, None);
    assert_eq!(twin.count, n - 1);
    let mean = block_on(bench.floats(&buffers.mean, 2)).unwrap();
    assert_eq!(mean[1], (n - 1) as f32);
    assert!((mean[0] - twin.mean[0]).abs() < 1e-6, "{mean:?} for {:?}", twin.mean);
    let variance = block_on(bench.floats(&buffers.covariance, 1)).unwrap();
    assert!(difference(&variance, &twin.covariance) < 1e-5, "{variance:?} for {:?}", twin.covariance);
    let scores = block_on(bench.floats(&scores, n * 3)).unwrap();
    assert!(difference(&scores, &project_cpu(&data, 1, &mean[..1], &[1.0])) < 1e-6);
    assert!(block_on(bench.floats(&foreground, n)).unwrap().iter().all(|f| *f == 1.0));
}

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn rounding_of_a_mean_is_no_variance() {
    let (device, queue) = device();
    let bench = DisplayTestFixture { device: &device, queue: &queue };
    // The first column differs in its last bit, the second one really.
    let n = 333;
    let data: Vec<f32> =
        (0..n).flat_map(|i| [1e6 + 0.0625 * (i % 2) as f32, 1e6 + 10.0 * (i % 2) as f32]).collect();
    let features = bench.upload(&data);
    let buffers = CovarianceBuffers::new(&device, n, 2).unwrap();
    let program = CovarianceProgram::new(&device);
    bench.submit(|recorder| program.encode(recorder, uploaded(&features), None, n, &buffers)).unwrap();
    let found = block_on(bench.floats(&buffers.covariance, 4)).unwrap();
    assert!(found[..3] == [0.0; 3] && (found[3] - 25.0).abs() < 0.1, "{found:?}");
}

/// Two objects on a background, of which the stronger one is what the first component shows.
#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn the_background_is_split_off() {
    let (rows, cols, dim) = (16, 18, 24);
    let shape = FeatureBatchShape { pictures: 1, rows, cols, dim };
    let options = PcaPipelineOptions { filter: UpsampleFilter::Nearest, ..Default::default() };
    let features = two_objects(rows, cols, dim);
    let object: Vec<bool> = features.chunks_exact(dim).map(|p| p[0] > 2.0).collect();
    let mut twin = CpuPcaPipeline::default();
    twin.fit(&features, None, shape, &options).unwrap();
    let split = twin.split().unwrap();
    assert!(split.plausible, "{split:?}");
    let packed = twin.draw(&features, None, (rows, cols), (cols, rows), &options).unwrap();
    let right = packed.iter().zip(&object).filter(|(p, object)| (**p != 0xff00_0000) == **object).count();
    assert!(right == packed.len(), "{right} of {} patches, {split:?}", packed.len());
    assert!((0..cols).all(|x| packed[x] == 0xff00_0000), "the upper border is no background");

    let (device, queue) = device();
    let bench = DisplayTestFixture { device: &device, queue: &queue };
    let on_device = bench.upload(&features);
    let target = texture(&device, "target", cols as u32, rows as u32);
    let mut pipeline = PcaPipeline::new(&device);
    bench
        .submit(|recorder| {
            pipeline.fit(recorder, uploaded(&on_device), None, shape, &options)?;
            pipeline.draw(recorder, uploaded(&on_device), None, (rows, cols), &options, &target)
        })
        .unwrap();
    assert!(levels(&block_on(bench.pixels(&target)).unwrap(), &packed) <= 2.0);
}

/// More elements of the covariance than one row of workgroups covers.
#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn wide_features_wrap_into_rows() {
    let (device, queue) = device();
    let bench = DisplayTestFixture { device: &device, queue: &queue };
    let (n, dim) = (3, 2051);
    let data = noise(n * dim, 79);
    let features = bench.upload(&data);
    let buffers = CovarianceBuffers::new(&device, n, dim).unwrap();
    let program = CovarianceProgram::new(&device);
    bench.submit(|recorder| program.encode(recorder, uploaded(&features), None, n, &buffers)).unwrap();
    let found = block_on(bench.floats(&buffers.covariance, dim * dim)).unwrap();
    let worst = difference(&found, &covariance_cpu(&data, dim, None).covariance);
    assert!(worst < 1e-5, "{worst}");
}

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn what_does_not_fit_is_refused() {
    let (device, queue) = device();
    let bench = DisplayTestFixture { device: &device, queue: &queue };
    let mut encoder = device.create_command_encoder(&Default::default());
    let recorder = &mut CommandRecorder { device: &device, encoder: &mut encoder };
    let mut pipeline = PcaPipeline::new(&device);
    let options = PcaPipelineOptions::default();
    let features = bench.exact(&[0.0; 60]);
    let whole = StorageSlice::whole(&features);
    let target = texture(&device, "target", 8, 8);
    let unfitted = pipeline.draw(recorder, whole, None, (3, 4), &options, &target);
    assert!(matches!(unfitted, Err(ShaderError::Length { what: "fits", .. })), "{unfitted:?}");
    let mut fit = |slice, weights, (cols, dim)| {
        let shape = FeatureBatchShape { pictures: 1, rows: 1, cols, dim };
        pipeline.fit(recorder, slice, weights, shape, &options)
    };
    let odd = fit(StorageSlice { offset: 2, ..whole }, None, (2, 5));
    assert!(matches!(odd, Err(ShaderError::Offset { what: "features", offset: 2, .. })), "{odd:?}");
    let short = fit(whole, None, (13, 5));
    assert!(
        matches!(short, Err(ShaderError::Length { what: "features", found: 60, expected: 65, .. })),
        "{short:?}"
    );
    let late = fit(whole.words(50, 20), None, (4, 5));
    assert!(matches!(late, Err(ShaderError::Length { found: 10, expected: 20, .. })), "{late:?}");
    let weights = fit(whole, Some(whole.words(0, 11)), (12, 5));
    assert!(
        matches!(weights, Err(ShaderError::Length { what: "weights", found: 11, expected: 12, .. })),
        "{weights:?}"
    );
    assert!(matches!(fit(whole, None, (0, 5)), Err(ShaderError::Length { found: 0, .. })));
    let wide = fit(whole, None, (12, 20_000));
    assert!(matches!(wide, Err(ShaderError::TooLarge { .. })), "{wide:?}");
    fit(whole, None, (12, 5)).unwrap();
    assert!(EigenBuffers::new(&device, 5, 9).is_err() && EigenBuffers::new(&device, 5, 0).is_err());

    let shape = |cols| FeatureBatchShape { pictures: 1, rows: 1, cols, dim: 5 };
    let mut twin = CpuPcaPipeline::default();
    assert!(twin.draw(&[0.0; 4], None, (2, 2), (4, 4), &options).is_err());
    assert!(twin.fit(&[0.0; 61], None, shape(12), &options).is_err());
    assert!(twin.fit(&[], None, shape(0), &options).is_err());
    twin.fit(&[0.0; 60], None, shape(12), &options).unwrap();
    assert!(
        levels(&twin.draw(&[0.0; 20], None, (2, 2), (4, 4), &options).unwrap(), &[0xff80_8080; 16]) == 0.0
    );
    assert!(twin.draw(&[0.0; 21], None, (2, 2), (4, 4), &options).is_err());
}
