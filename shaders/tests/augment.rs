//! Views made on a GPU against the twin that defines them.

use cubecl::client::Client;
use dinoscope_shaders::ShaderError;
use dinoscope_shaders::augment::{ChannelNormalization, ColourJitterStep, CropSpec, cpu, gpu};

use crate::adapter::client;

const NORMALIZE: ChannelNormalization =
    ChannelNormalization { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };

/// A small linear congruential generator.
struct Dice(u32);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) as usize % below
    }

    fn between(&mut self, from: f32, to: f32) -> f32 {
        from + (to - from) * self.roll(1001) as f32 / 1000.0
    }
}

/// Pictures one after another: colours that flow, edges, noise, and bytes of nobody in between.
struct Pictures {
    bytes: Vec<u8>,
    /// Offset, width and height.
    places: Vec<[usize; 3]>,
}

impl Pictures {
    fn draw(shapes: &[(usize, usize)]) -> Self {
        let mut dice = Dice(1);
        let mut pictures = Self { bytes: Vec::new(), places: Vec::new() };
        for &(width, height) in shapes {
            pictures.places.push([pictures.bytes.len(), width, height]);
            for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
                let edge = if (x / 7 + y / 5) % 3 == 0 { 90 } else { 0 };
                for value in [x * 255 / width, y * 255 / height, (x + y) * 3 % 200] {
                    pictures.bytes.push(((value + edge + dice.roll(30)) % 256) as u8);
                }
            }
            // The next one begins somewhere inside of a word.
            for _ in 0..dice.roll(4) {
                pictures.bytes.push(199);
            }
        }
        pictures
    }

    /// A view of all of a picture, with nothing done to it.
    fn view(&self, picture: usize, slot: usize) -> CropSpec {
        let [offset, width, height] = self.places[picture];
        CropSpec {
            offset,
            width,
            height,
            crop: [0, 0, width, height],
            flip: false,
            jitter: Vec::new(),
            grayscale: false,
            blur: None,
            solarize: false,
            slot,
        }
    }
}

/// In steps of 1/255 per view: the mean difference of the GPU from the twin, and the largest.
fn compare(client: &Client, pictures: &Pictures, views: &[CropSpec], size: usize) -> Vec<(f64, f64)> {
    let expected = cpu::augment(&pictures.bytes, views, size, &NORMALIZE);
    let mut padded = pictures.bytes.clone();
    padded.resize(padded.len().next_multiple_of(4), 0xee);
    let pixels = client.create_from_slice(&padded);
    // Memory that the program will be given again, full of what it must not rely on.
    for elements in [expected.len(), expected.len() / 3] {
        let garbage = client.create_from_slice(bytemuck::cast_slice(&vec![f32::NAN; elements]));
        drop(garbage);
    }
    let made = gpu::augment(client, &pixels, pictures.bytes.len(), views, size, &NORMALIZE).unwrap();
    let made = client.read_one(made).unwrap();
    let made: Vec<f32> = bytemuck::pod_collect_to_vec(&made[..expected.len() * 4]);
    assert!(made.iter().all(|value| value.is_finite()));
    let plane = size * size;
    let steps = |i: usize| f64::from((made[i] - expected[i]) * 255.0 * NORMALIZE.std[i / plane % 3]).abs();
    let of_slot = |slot: usize| {
        let all = slot * 3 * plane..(slot + 1) * 3 * plane;
        (all.clone().map(steps).sum::<f64>() / (3 * plane) as f64, all.map(steps).fold(0.0, f64::max))
    };
    views.iter().map(|view| of_slot(view.slot)).collect()
}

/// Both round to bytes now and then, so that a value may be a step off; `amplified` where jitter makes more of it.
fn assert_close(client: &Client, pictures: &Pictures, views: &[CropSpec], size: usize, amplified: f64) {
    for (view, (mean, largest)) in views.iter().zip(compare(client, pictures, views, size)) {
        assert!(
            mean < 0.02 && largest < amplified + 0.01,
            "{size}: mean {mean}, largest {largest}, {view:?}"
        );
    }
}

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn crops_are_resized_and_mirrored() {
    let client = client();
    let pictures = Pictures::draw(&[
        (1, 1),
        (1, 40),
        (40, 1),
        (50, 37),
        (37, 50),
        (7, 9),
        (300, 5),
        (5, 300),
        (200, 160),
    ]);
    for size in [1, 15, 16, 17, 48] {
        let mut views = Vec::new();
        for picture in 0..pictures.places.len() {
            for flip in [false, true] {
                let whole = CropSpec { flip, ..pictures.view(picture, views.len()) };
                let (width, height) = (whole.width, whole.height);
                let part = [width / 3, height / 4, (width / 2).max(1), (height / 2).max(1)];
                views.push(whole.clone());
                views.push(CropSpec { crop: part, slot: views.len(), ..whole });
            }
        }
        assert_close(&client, &pictures, &views, size, 1.0);
    }
}

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn the_same_size_changes_nothing() {
    let client = client();
    let pictures = Pictures::draw(&[(3, 2), (21, 21)]);
    let view = pictures.view(1, 0);
    let pixels = client.create_from_slice(&{
        let mut padded = pictures.bytes.clone();
        padded.resize(padded.len().next_multiple_of(4), 0);
        padded
    });
    let plain = ChannelNormalization { mean: [0.0; 3], std: [1.0 / 255.0; 3] };
    let made = gpu::augment(&client, &pixels, pictures.bytes.len(), std::slice::from_ref(&view), 21, &plain)
        .unwrap();
    let made = client.read_one(made).unwrap();
    let made: Vec<f32> = bytemuck::pod_collect_to_vec(&made[..3 * 21 * 21 * 4]);
    for (i, value) in made.iter().enumerate() {
        let expected = pictures.bytes[view.offset + 3 * (i % 441) + i / 441];
        assert!((value - f32::from(expected)).abs() < 1e-3, "{i}: {value} instead of {expected}");
    }
}

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn jitter_comes_in_every_order() {
    let client = client();
    let pictures = Pictures::draw(&[(24, 24)]);
    let steps = [
        ColourJitterStep::Brightness(1.3),
        ColourJitterStep::Contrast(0.6),
        ColourJitterStep::Saturation(1.2),
        ColourJitterStep::Hue(-0.08),
    ];
    let mut views = Vec::new();
    for (a, b, c) in (0..4).flat_map(|a| (0..3).flat_map(move |b| (0..2).map(move |c| (a, b, c)))) {
        let mut left = steps.to_vec();
        let jitter = vec![left.remove(a), left.remove(b), left.remove(c), left.remove(0)];
        views.push(CropSpec { jitter, ..pictures.view(0, views.len()) });
    }
    for step in steps {
        views.push(CropSpec { jitter: vec![step], ..pictures.view(0, views.len()) });
    }
    // All of them look different: none of the operations is nothing, and orders matter.
    let all = cpu::augment(&pictures.bytes, &views, 24, &NORMALIZE);
    let shown: Vec<_> = all.chunks(3 * 24 * 24).collect();
    assert!(shown.iter().enumerate().all(|(i, view)| shown[..i].iter().all(|other| other != view)));
    assert_close(&client, &pictures, &views, 24, 1.0);
    assert_close(&client, &pictures, &views, 19, 4.0);
}

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn every_colour_is_turned_alike() {
    let client = client();
    // All colours of seventeen levels, in one picture of the views' size, so that nothing is rounded before.
    let mut pictures = Pictures { bytes: Vec::new(), places: vec![[0, 71, 71]] };
    for i in 0..71 * 71 {
        pictures.bytes.extend([i % 17, i / 17 % 17, i / 289 % 17].map(|level: usize| (level * 15) as u8));
    }
    let views: Vec<CropSpec> = [-0.5, -0.1, -0.004, 0.0, 0.03, 0.1, 0.5]
        .iter()
        .enumerate()
        .map(|(slot, &turns)| CropSpec {
            jitter: vec![ColourJitterStep::Hue(turns)],
            ..pictures.view(0, slot)
        })
        .collect();
    for (view, (_, largest)) in views.iter().zip(compare(&client, &pictures, &views, 71)) {
        assert!(largest < 0.01, "{:?}: {largest}", view.jitter);
    }
}

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn views_are_blurred_made_grey_and_solarized() {
    let client = client();
    let pictures = Pictures::draw(&[(60, 45), (1, 1), (3, 50)]);
    for size in [1, 2, 5, 20, 33] {
        let mut views = Vec::new();
        for (blur, bits) in
            [None, Some(0.1), Some(0.7), Some(2.0)].into_iter().zip([0usize, 1, 2, 3].repeat(4))
        {
            for picture in 0..3 {
                let (grayscale, solarize) = (bits & 1 == 1, bits & 2 == 2);
                views.push(CropSpec { blur, grayscale, solarize, ..pictures.view(picture, views.len()) });
                views.push(CropSpec { blur, ..pictures.view(picture, views.len()) });
            }
        }
        // 127 and 128 solarize to the same, so that a step off stays one.
        assert_close(&client, &pictures, &views, size, 1.0);
    }
}

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn whole_plans_land_in_their_slots() {
    let client = client();
    let pictures = Pictures::draw(&[(64, 48), (33, 70), (90, 20)]);
    let mut dice = Dice(5);
    let count = 40;
    let views: Vec<CropSpec> = (0..count)
        .map(|i| {
            // 7 has no factor in common with 40: every slot once.
            let view = pictures.view(dice.roll(3), i * 7 % count);
            let (width, height) = (1 + dice.roll(view.width), 1 + dice.roll(view.height));
            let crop =
                [dice.roll(view.width - width + 1), dice.roll(view.height - height + 1), width, height];
            let mut steps = vec![
                ColourJitterStep::Brightness(dice.between(0.6, 1.4)),
                ColourJitterStep::Contrast(dice.between(0.6, 1.4)),
                ColourJitterStep::Saturation(dice.between(0.8, 1.2)),
                ColourJitterStep::Hue(dice.between(-0.1, 0.1)),
            ];
            let jitter = (0..dice.roll(5)).map(|_| steps.remove(dice.roll(steps.len()))).collect();
            CropSpec {
                crop,
                flip: dice.roll(2) == 0,
                jitter,
                grayscale: dice.roll(5) == 0,
                blur: (dice.roll(2) == 0).then(|| dice.between(0.1, 2.0)),
                solarize: dice.roll(5) == 0,
                ..view
            }
        })
        .collect();
    // A step at the edge of a hue's sixth is many after hue, and jitter makes more of it.
    for size in [16, 30] {
        for (view, (mean, largest)) in views.iter().zip(compare(&client, &pictures, &views, size)) {
            assert!(mean < 0.05 && largest < 10.0, "{size}: mean {mean}, largest {largest}, {view:?}");
        }
    }
}

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn what_leads_outside_is_refused() {
    let client = client();
    let pictures = Pictures::draw(&[(10, 8)]);
    let bytes = 10 * 8 * 3;
    let pixels = client.create_from_slice(&pictures.bytes[..bytes]);
    let refused = |view: CropSpec, size: usize| {
        gpu::augment(&client, &pixels, bytes, &[view], size, &NORMALIZE).expect_err("nothing was refused")
    };
    let view = || pictures.view(0, 0);
    assert!(gpu::augment(&client, &pixels, bytes, &[view()], 16, &NORMALIZE).is_ok());
    assert!(gpu::augment(&client, &pixels, bytes, &[], 16, &NORMALIZE).is_ok());
    for wrong in [
        CropSpec { offset: 1, ..view() },
        CropSpec { height: 9, ..view() },
        CropSpec { crop: [1, 0, 10, 8], ..view() },
        CropSpec { crop: [0, 3, 10, 6], ..view() },
        CropSpec { crop: [0, 0, 0, 8], ..view() },
        CropSpec { slot: 1, ..view() },
        CropSpec { jitter: vec![ColourJitterStep::Contrast(1.0); 2], ..view() },
        CropSpec { jitter: vec![ColourJitterStep::Hue(0.1); 5], ..view() },
    ] {
        let error = refused(wrong.clone(), 16);
        assert!(matches!(error, ShaderError::Length { .. }), "{wrong:?}: {error}");
    }
    assert!(matches!(refused(view(), 0), ShaderError::TooLarge { .. }));
    assert!(matches!(refused(view(), 5000), ShaderError::TooLarge { .. }));
    let twice = gpu::augment(&client, &pixels, bytes, &[view(), view()], 16, &NORMALIZE);
    assert!(matches!(twice, Err(ShaderError::Length { .. })));
    let short = gpu::augment(&client, &pixels, bytes + 4, &[view()], 16, &NORMALIZE);
    assert!(matches!(short, Err(ShaderError::Length { what: "pixels", .. })));
}
