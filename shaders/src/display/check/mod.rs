//! The programs of this module against their CPU twins on a given device, in tests and in a browser.
//!
//! Inputs are awkward on purpose: sizes around those of workgroups, features that begin in the middle
//! of a buffer, numbers that are not finite, outputs full of garbage. Small, so that a device in
//! software is done in seconds. Errors are relative to the largest number, except for colours, where they count
//! levels of 255; they are infinite where only one side has a number.

pub mod bench;

use super::split::{ForegroundSplitBuffers, split_buffer};
use super::{
    ColourMap, ColourMapProgram, ColourRangeEstimate, ColourRangeOptions, ColourRangeProgram,
    CovarianceBuffers, CovarianceProgram, CpuPcaPipeline, EigenBuffers, EigenProgram, FeatureBatchShape,
    ForegroundSplitProgram, OverlayOptions, OverlayProgram, PcaPipeline, PcaPipelineOptions,
    ProjectionBuffers, ProjectionProgram, SimilarityProgram, UpsampleFilter, UpsampleInput, UpsampleProgram,
    colour_map_cpu, covariance_cpu, eigenvectors_cpu, overlay_cpu, project_cpu, ranges, ranges_cpu,
    similarity_cpu, split_cpu, texture, upsample_cpu, upsample_scalars_cpu,
};
use crate::check::KernelComparison;
use crate::{BackgroundMode, ColourRange, ShaderError};
use bench::{DisplayTestFixture, difference, levels, noise, two_objects, uploaded};

/// Runs every program and its twin. An error is one of the device; a difference that is too large is a
/// [`KernelComparison`] that has not passed.
pub async fn all(device: &wgpu::Device, queue: &wgpu::Queue) -> Result<Vec<KernelComparison>, ShaderError> {
    let bench = DisplayTestFixture { device, queue };
    let mut found = Vec::new();
    features(bench, &mut found).await?;
    ranges_of_scores(bench, &mut found).await?;
    similar(bench, &mut found).await?;
    scalars(bench, &mut found).await?;
    pictures(bench, &mut found).await?;
    splits(bench, &mut found).await?;
    chain(bench, &mut found).await?;
    Ok(found)
}

fn note(found: &mut Vec<KernelComparison>, name: String, error: f32, tolerance: f64) {
    found.push(KernelComparison { name, error: error.into(), tolerance });
}

/// Covariance, eigenvectors and projection.
async fn features(
    bench: DisplayTestFixture<'_>,
    found: &mut Vec<KernelComparison>,
) -> Result<(), ShaderError> {
    let (covariance, eigen) = (CovarianceProgram::new(bench.device), EigenProgram::new(bench.device));
    let project = ProjectionProgram::new(bench.device);
    for (rows, cols, dim) in [(1, 1, 5), (9, 7, 1), (8, 8, 5), (13, 5, 63), (16, 12, 65), (17, 21, 257)] {
        let n = rows * cols;
        let mut data = two_objects(rows, cols, dim);
        let mut weights: Vec<f32> = noise(n, 3).iter().map(|v| f32::from(u8::from(*v > -0.4))).collect();
        weights[0] = 1.0;
        for (i, bad) in [f32::NAN, f32::INFINITY, -f32::NAN, 1e30, f32::NEG_INFINITY].into_iter().enumerate()
        {
            if let Some(v) = data.get_mut((7 * i + 3) * dim + i % dim) {
                *v = bad;
            }
        }
        if let Some(w) = weights.get_mut(5) {
            *w = f32::NAN;
        }
        let name = |what: &str| format!("{what} of {n} x {dim}");
        let twin = covariance_cpu(&data, dim, Some(&weights));
        let (features, weights) = (bench.upload(&data), bench.upload(&weights));
        let buffers = CovarianceBuffers::new(bench.device, n, dim)?;
        bench.submit(|recorder| {
            let weights = Some(uploaded(&weights));
            covariance.encode(recorder, uploaded(&features), weights, n, &buffers)
        })?;
        let mean = bench.floats(&buffers.mean, dim + 1).await?;
        note(found, name("mean"), difference(&mean[..dim], &twin.mean), 1e-5);
        let counted = if mean[dim] == twin.count as f32 { 0.0 } else { f32::INFINITY };
        note(found, name("counted rows"), counted, 0.0);
        let matrix = bench.floats(&buffers.covariance, dim * dim).await?;
        note(found, name("covariance"), difference(&matrix, &twin.covariance), 1e-5);

        // The matrix that the twin gets is the one that the device has, so that only this step is compared.
        let k = 6;
        let buffers = EigenBuffers::new(bench.device, dim, k)?;
        let given = bench.exact(&matrix);
        bench.submit(|recorder| eigen.encode(recorder, &given, 12, false, &buffers))?;
        let twin = eigenvectors_cpu(&matrix, dim, &vec![0.0; k * dim], 12, false);
        let values = bench.floats(&buffers.values, 9).await?;
        note(found, name("eigenvalues"), difference(&values[..k], &twin.values), 1e-5);
        note(found, name("sum of eigenvalues"), difference(&values[8..], &[twin.trace]), 1e-5);
        // Those behind the clear directions are near each other, and may turn into each other.
        let clear = dim.min(3) * dim;
        let components = bench.floats(&buffers.components, k * dim).await?;
        note(found, name("eigenvectors"), difference(&components[..clear], &twin.components[..clear]), 1e-3);

        let axes = bench.exact(&components);
        let center = bench.exact(&mean);
        let (scores, foreground) = (bench.garbage(n * 3 + 1), bench.garbage(n + 1));
        bench.submit(|recorder| {
            let (features, weights) = (uploaded(&features), Some(uploaded(&weights)));
            let (mean, components, scores, foreground) = (&center, &axes, &scores, &foreground);
            let projection = ProjectionBuffers { features, weights, mean, components, scores, foreground };
            project.encode(recorder, projection, n, dim)
        })?;
        let twin = project_cpu(&data, dim, &mean[..dim], &components);
        let scores = bench.floats(&scores, n * 3 + 1).await?;
        note(found, name("scores"), difference(&scores[..n * 3], &twin), 1e-5);
        let behind = bench.words(&foreground, n + 1).await?[n];
        let kept = scores[n * 3].to_bits() == u32::MAX && behind == u32::MAX;
        note(found, name("what is behind the scores"), if kept { 0.0 } else { f32::INFINITY }, 0.0);
    }
    Ok(())
}

async fn ranges_of_scores(
    bench: DisplayTestFixture<'_>,
    found: &mut Vec<KernelComparison>,
) -> Result<(), ShaderError> {
    let program = ColourRangeProgram::new(bench.device);
    for (n, channels) in [(1, 3), (2, 1), (255, 2), (257, 3), (1000, 3)] {
        let mut scores = noise(n * channels, 23);
        for (i, bad) in [f32::NAN, 1e9, f32::NEG_INFINITY, -3e7, -0.0, 0.0].into_iter().enumerate() {
            if let Some(v) = scores.get_mut(10 + 37 * i) {
                *v = bad;
            }
        }
        let mut foreground: Vec<f32> = noise(n, 5).iter().map(|v| f32::from(u8::from(*v > -0.9))).collect();
        if n > 50 {
            foreground[50] = f32::NAN;
        }
        let buffer = ranges::ranges_buffer(bench.device)?;
        let mask = bench.upload(&foreground);
        let mut twin = ColourRangeEstimate::default();
        // The second round smooths with what the first one left; everything has grown by then.
        for smoothing in [0.0, 0.7] {
            let options = ColourRangeOptions { percentiles: (1.0, 97.5), smoothing };
            let on_device = bench.upload(&scores);
            twin = ranges_cpu(&scores, channels, &foreground, &options, Some(&twin));
            bench.submit(|recorder| {
                let (scores, mask) = (uploaded(&on_device), Some(uploaded(&mask)));
                program.encode(recorder, scores, mask, (n, channels), &options, &buffer)
            })?;
            let got = bench.floats(&buffer, ranges::WORDS).await?;
            let worst = difference(&got[..3], &twin.range.lo).max(difference(&got[8..11], &twin.range.hi));
            note(found, format!("range of {n} x {channels}, smoothing {smoothing}"), worst, 1e-6);
            let spreads = vec![twin.spread; channels];
            let worst = difference(&got[12..][..channels], &spreads);
            note(found, format!("spread of {n} x {channels}"), worst, 1e-5);
            scores.iter_mut().enumerate().for_each(|(i, v)| *v = *v * 3.0 + 0.1 * (i % 5) as f32);
        }
    }
    Ok(())
}

async fn similar(
    bench: DisplayTestFixture<'_>,
    found: &mut Vec<KernelComparison>,
) -> Result<(), ShaderError> {
    let program = SimilarityProgram::new(bench.device);
    for (n, dim, query) in [(1, 5, 0), (63, 1, 2), (65, 64, 64), (130, 257, 7)] {
        let mut data = noise(n * dim, 41);
        if n > 20 {
            data[10 * dim] = f32::NAN;
            data[11 * dim..12 * dim].fill(0.0);
            data[12 * dim..13 * dim].fill(1e-25);
        }
        // A row of the features, and one from elsewhere.
        let external = noise(dim, 43);
        let (features, other) = (bench.upload(&data), bench.upload(&external));
        for (what, queries, host) in [
            ("a patch", uploaded(&features).words(query * dim, dim), &data[query * dim..][..dim]),
            ("a vector", uploaded(&other), external.as_slice()),
        ] {
            let out = bench.garbage(n);
            bench.submit(|recorder| {
                program.encode(recorder, uploaded(&features), (n, dim), (queries, 1), &out)
            })?;
            let worst = difference(&bench.floats(&out, n).await?, &similarity_cpu(&data, dim, host));
            note(found, format!("similarity of {n} x {dim} to {what}"), worst, 1e-5);
        }
        let q = n.min(14);
        let out = bench.garbage(q * n);
        bench.submit(|recorder| {
            let features = uploaded(&features);
            program.encode(recorder, features, (n, dim), (features.words(0, q * dim), q), &out)
        })?;
        let worst =
            difference(&bench.floats(&out, q * n).await?, &similarity_cpu(&data, dim, &data[..q * dim]));
        note(found, format!("similarity of {n} x {dim} to {q} patches"), worst, 1e-5);
    }
    Ok(())
}

async fn scalars(
    bench: DisplayTestFixture<'_>,
    found: &mut Vec<KernelComparison>,
) -> Result<(), ShaderError> {
    let program = ColourMapProgram::new(bench.device);
    for (n, range) in [
        (1, ColourRange::single(0.0, 1.0)),
        (65, ColourRange::single(-0.5, 0.75)),
        (1000, ColourRange::single(-1.0, 1.0)),
        (70, ColourRange::single(0.5, 0.5)),
        (70, ColourRange::single(f32::NEG_INFINITY, 0.5)),
    ] {
        let mut values = noise(n, 51);
        for (i, bad) in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e38].into_iter().enumerate() {
            if let Some(v) = values.get_mut(5 * i + 2) {
                *v = bad;
            }
        }
        let on_device = bench.upload(&values);
        for map in [ColourMap::Inferno, ColourMap::Viridis, ColourMap::Grey] {
            let out = bench.garbage(n);
            bench.submit(|recorder| program.encode(recorder, uploaded(&on_device), n, range, map, &out))?;
            let worst = levels(&bench.words(&out, n).await?, &colour_map_cpu(&values, range, map));
            note(found, format!("{map:?} of {n} numbers"), worst, 1.0);
        }
    }
    Ok(())
}

/// Upsampling and overlay.
async fn pictures(
    bench: DisplayTestFixture<'_>,
    found: &mut Vec<KernelComparison>,
) -> Result<(), ShaderError> {
    let (upsample, over) = (UpsampleProgram::new(bench.device), OverlayProgram::new(bench.device));
    for (shape, size) in
        [((1, 1), (5, 3)), ((1, 9), (63, 7)), ((5, 4), (65, 33)), ((16, 17), (8, 9)), ((7, 7), (7, 7))]
    {
        let n = shape.0 * shape.1;
        let packed: Vec<u32> = noise(n, 61).iter().map(|v| v.to_bits().wrapping_mul(2_654_435_761)).collect();
        let as_floats: Vec<f32> = packed.iter().map(|v| f32::from_bits(*v)).collect();
        let colours = bench.upload(&as_floats);
        let mut values = noise(n, 67);
        if n > 30 {
            values[30] = f32::NAN;
        }
        let numbers = bench.upload(&values);
        for filter in [UpsampleFilter::Nearest, UpsampleFilter::Bilinear, UpsampleFilter::Bicubic] {
            let name = format!("{filter:?}, {shape:?} to {size:?}");
            let target = texture(bench.device, "target", size.0 as u32, size.1 as u32);
            bench.submit(|recorder| {
                upsample.encode(
                    recorder,
                    UpsampleInput { patches: uploaded(&colours), shape, filter },
                    &target,
                )
            })?;
            let worst = levels(&bench.pixels(&target).await?, &upsample_cpu(&packed, shape, size, filter)?);
            note(found, format!("{name}, colours"), worst, 1.0);
            let (range, map) = (ColourRange::single(-0.9, 0.8), ColourMap::Viridis);
            bench.submit(|recorder| {
                let grid = UpsampleInput { patches: uploaded(&numbers), shape, filter };
                upsample.encode_scalars(recorder, grid, range, map, &target)
            })?;
            let twin = upsample_scalars_cpu(&values, shape, size, filter, range, map)?;
            note(found, format!("{name}, numbers"), levels(&bench.pixels(&target).await?, &twin), 1.0);
        }
    }
    let (width, height) = (37, 11);
    let random = |seed| noise(width * height, seed).iter().map(|v| v.to_bits() << 3).collect::<Vec<u32>>();
    let (under, layer) = (random(71), random(73));
    let (picture, lies) = (bench.picture(&under, width, height), bench.picture(&layer, width, height));
    for overlay in [(0.0, 0.0), (1.0, 0.0), (0.6, 0.4), (0.5, 1.0), (7.0, f32::NAN)] {
        let overlay = OverlayOptions { opacity: overlay.0, swipe: overlay.1 };
        let target = texture(bench.device, "target", width as u32, height as u32);
        bench.submit(|recorder| over.encode(recorder, &picture, &lies, overlay, &target))?;
        let twin = overlay_cpu(&under, &layer, width, overlay)?;
        let worst = levels(&bench.pixels(&target).await?, &twin);
        note(found, format!("overlay {:?}, {:?}", overlay.opacity, overlay.swipe), worst, 1.0);
    }
    // Three sizes: the nearest pixels, as when a grid is upsampled.
    let size = (50, 23);
    let (few, target) = (bench.picture(&layer[..35], 7, 5), texture(bench.device, "target", 50, 23));
    let overlay = OverlayOptions { opacity: 0.5, swipe: 0.3 };
    bench.submit(|recorder| over.encode(recorder, &picture, &few, overlay, &target))?;
    let fitted = upsample_cpu(&under, (height, width), size, UpsampleFilter::Nearest)?;
    let twin = upsample_cpu(&layer[..35], (5, 7), size, UpsampleFilter::Nearest)?;
    let twin = overlay_cpu(&fitted, &twin, size.0, overlay)?;
    note(found, "overlay of three sizes".to_owned(), levels(&bench.pixels(&target).await?, &twin), 1.0);
    Ok(())
}

/// From features to pictures, twice, so that the second fit goes on from the first; a patch is not a number.
async fn chain(bench: DisplayTestFixture<'_>, found: &mut Vec<KernelComparison>) -> Result<(), ShaderError> {
    let (rows, cols, dim, size) = (14, 15, 65, (45, 42));
    let shape = FeatureBatchShape { pictures: 2, rows, cols, dim };
    let n = rows * cols;
    let mut pipeline = PcaPipeline::new(bench.device);
    for foreground in [false, true] {
        pipeline.forget();
        let mut twin = CpuPcaPipeline::default();
        let background = BackgroundMode::Dim;
        let options =
            PcaPipelineOptions { foreground, vectors: 5, iterations: 6, background, ..Default::default() };
        let mut data = [two_objects(rows, cols, dim), two_objects(rows, cols, dim)].concat();
        data[(n + 40) * dim + 3] = f32::NAN;
        let weights: Vec<f32> = (0..2 * n).map(|i| f32::from(u8::from(i % 29 != 0))).collect();
        for round in 0..2 {
            let (features, mask) = (bench.upload(&data), bench.upload(&weights));
            let target = texture(bench.device, "target", size.0 as u32, size.1 as u32);
            bench.submit(|recorder| {
                let (features, mask) = (uploaded(&features), uploaded(&mask));
                pipeline.fit(recorder, features, Some(mask), shape, &options)?;
                // The second picture.
                let (features, mask) = (features.words(n * dim, n * dim), Some(mask.words(n, n)));
                pipeline.draw(recorder, features, mask, (rows, cols), &options, &target)
            })?;
            twin.fit(&data, Some(&weights), shape, &options)?;
            let expected = twin.draw(&data[n * dim..], Some(&weights[n..]), (rows, cols), size, &options)?;
            let worst = levels(&bench.pixels(&target).await?, &expected);
            let what = if foreground { "foreground" } else { "everything" };
            note(found, format!("principal components of {what}, round {round}"), worst, 2.0);
            data.iter_mut().zip(noise(2 * n * dim, 91)).for_each(|(v, n)| *v += 0.05 * n);
        }
    }
    Ok(())
}

/// The side of the first component, with and without borders and a decision before.
async fn splits(bench: DisplayTestFixture<'_>, found: &mut Vec<KernelComparison>) -> Result<(), ShaderError> {
    let program = ForegroundSplitProgram::new(bench.device);
    let dim = 70;
    for (pictures, rows, cols, lean) in [
        (1, 1, 1, 0.0),
        (1, 2, 40, 0.2),
        (3, 9, 10, 0.9),
        (3, 9, 10, -0.9),
        (1, 20, 20, 0.15),
        (1, 20, 20, -0.15),
        (1, 20, 20, 5.0),
    ] {
        let n = pictures * rows * cols;
        let mut scores = noise(n * 3, 101);
        for (i, score) in scores.chunks_exact_mut(3).enumerate() {
            let (row, col) = (i % (rows * cols) / cols, i % cols);
            let edge = row == 0 || col == 0 || row + 1 == rows || col + 1 == cols;
            score[0] += if edge || lean > 1.0 { lean } else { -lean };
        }
        if n > 50 {
            (scores[33], scores[60]) = (f32::NAN, f32::INFINITY);
        }
        let weights: Vec<f32> = noise(n, 103).iter().map(|v| f32::from(u8::from(*v > -0.7))).collect();
        let state = split_buffer(bench.device, dim)?;
        let (axis, mask) = (bench.exact(&scores), bench.exact(&weights));
        let mut twin = None;
        // The component turns round between the rounds; then the decision before is asked, unless borders are clear.
        for turn in [1.0, -1.0] {
            let component: Vec<f32> = noise(dim, 107).iter().map(|v| turn * v).collect();
            let (on_device, foreground) = (bench.exact(&component), bench.garbage(n));
            let buffers = ForegroundSplitBuffers {
                scores: &axis,
                weights: &mask,
                component: &on_device,
                state: &state,
                foreground: &foreground,
            };
            bench.submit(|recorder| program.encode(recorder, buffers, n, (rows, cols), dim, true))?;
            let split = split_cpu(&scores, Some(&weights), (rows, cols), &component, twin.as_ref());
            let name = format!("split of {pictures} x {rows} x {cols}, borders {lean}, component {turn}");
            let worst =
                difference(&bench.floats(&foreground, n).await?, &split.foreground(&scores, Some(&weights)));
            note(found, format!("{name}: foreground"), worst, 0.0);
            let decided = bench.floats(&state, dim + 4).await?;
            note(found, format!("{name}: direction"), difference(&decided[4..], &split.direction), 0.0);
            note(found, format!("{name}: share"), difference(&decided[2..3], &[split.share]), 1e-6);
            note(found, format!("{name}: evidence"), difference(&decided[3..4], &[split.evidence]), 1e-5);
            twin = Some(split);
        }
    }
    Ok(())
}
