#![allow(clippy::unwrap_used)]

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder, Rgb};

use super::*;
use crate::augment::{CropBox, GramCropRecipe, ViewKind, ViewPlan, resized_crop};
use crate::decode::{DecodeOptions, decode_bytes, decode_bytes_as};
use dinoscope_base::rng::{RngExt, stream};

/// Soft shapes in colour with a sensor's noise, `width` by `height`.
fn painting(width: u32, height: u32) -> RgbImage {
    let mut noise = stream(0, "noise", 0, 0);
    RgbImage::from_fn(width, height, |x, y| {
        let (x, y) = (x as f32 / width as f32, y as f32 / height as f32);
        let mut wave =
            |a: f32, b: f32| (127.5 + 120.0 * (a * x + b * y).sin() + noise.random_range(-6.0f32..6.0)) as u8;
        Rgb([wave(7.0, 3.0), wave(2.0, 11.0), wave(-5.0, 9.0)])
    })
}

fn jpeg(picture: &RgbImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, 92).encode_image(picture).unwrap();
    bytes
}

fn png(picture: &RgbImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    let encoder = image::codecs::png::PngEncoder::new(&mut bytes);
    encoder
        .write_image(picture.as_raw(), picture.width(), picture.height(), ExtendedColorType::Rgb8)
        .unwrap();
    bytes
}

fn least(pixels: u64, shorter: u32) -> DecodeOptions {
    DecodeOptions { least: Some(LeastPictureSize { pixels, shorter, longer: 0 }), ..DecodeOptions::default() }
}

/// Mean difference of two pictures of one size, in levels.
fn apart(a: &Picture, b: &Picture) -> f64 {
    assert_eq!((a.width, a.height), (b.width, b.height));
    let sum: u64 = a.rgb.iter().zip(&b.rgb).map(|(&a, &b)| u64::from(a.abs_diff(b))).sum();
    sum as f64 / a.rgb.len() as f64
}

/// Mean difference of a pixel from the ones beside and below it together, in levels.
fn step(picture: &Picture) -> f64 {
    let row = 3 * picture.width;
    let mean = |by: usize| {
        let sum: u64 =
            picture.rgb.iter().zip(&picture.rgb[by..]).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        sum as f64 / picture.rgb.len() as f64
    };
    mean(3) + mean(row)
}

#[test]
fn no_crop_of_a_recipe_has_to_be_enlarged() {
    let recipes = [
        CropRecipe::default(),
        CropRecipe {
            global_size: 64,
            global_scale: (0.5, 1.0),
            local_size: 32,
            local_scale: (0.15, 0.5),
            ..CropRecipe::default()
        },
        CropRecipe { locals: 0, ..CropRecipe::default() },
    ];
    // What a Gram teacher sees counts as a global crop of its size does.
    let gram = Some(GramCropRecipe { size: 448, distorted: true, from: 0 });
    let with_gram = LeastPictureSize::of_crops(&CropRecipe { gram, ..CropRecipe::default() }, 0);
    let large = CropRecipe { global_size: 448, ..CropRecipe::default() };
    assert_eq!(with_gram, LeastPictureSize::of_crops(&large, 0));
    for recipe in recipes {
        let size = LeastPictureSize::of_crops(&recipe, 0);
        for (width, height) in [(4000, 3000), (3000, 3000), (1500, 9000)] {
            let (width, height) = size.of(width, height).unwrap();
            for draw in 0..2000 {
                for (kind, side) in
                    [(ViewKind::Global1, recipe.global_size), (ViewKind::Local, recipe.local_size)]
                {
                    if kind == ViewKind::Local && recipe.locals == 0 {
                        continue;
                    }
                    let plan = ViewPlan::draw(&mut stream(1, "test", draw, 0), kind, width, height, &recipe);
                    let crop = plan.crop;
                    assert!(
                        crop.width >= side && crop.height >= side,
                        "{crop:?} of {width} × {height} for {side}"
                    );
                }
            }
        }
        // A tenth less and some would be.
        let less = LeastPictureSize { pixels: size.pixels * 9 / 10, ..LeastPictureSize::default() };
        let (width, height) = less.of(4000, 3000).unwrap();
        let kind = if recipe.locals == 0 { ViewKind::Global1 } else { ViewKind::Local };
        let side = if recipe.locals == 0 { recipe.global_size } else { recipe.local_size };
        let narrow = (0..20_000).any(|draw| {
            let mut stream = stream(1, "test", draw, 0);
            let crop = ViewPlan::draw(&mut stream, kind, width, height, &recipe).crop;
            crop.width < side || crop.height < side
        });
        assert!(narrow || recipe.global_size == 64, "the size is larger than it has to be");
    }
}

/// What is cut out of the reduced picture is what is cut out of the whole one at the same place.
#[test]
fn crops_hardly_move() {
    let painting = painting(1600, 1200);
    let bytes = jpeg(&painting);
    let recipe = CropRecipe::default();
    let options =
        DecodeOptions { least: Some(LeastPictureSize::of_crops(&recipe, 0)), ..DecodeOptions::default() };
    let whole = decode_bytes("", &bytes).unwrap();
    let small = decode_bytes_as("", &bytes, options).unwrap().picture;
    let factor = whole.width as f64 / small.width as f64;
    assert!(factor > 1.5, "{factor}");
    let mut sum = 0.0;
    for draw in 0..40 {
        let (kind, side) = match draw % 2 {
            0 => (ViewKind::Global1, recipe.global_size),
            _ => (ViewKind::Local, recipe.local_size),
        };
        let plan = ViewPlan::draw(&mut stream(2, "test", draw, 0), kind, small.width, small.height, &recipe);
        let larger = |length: usize| (length as f64 * factor).round() as usize;
        let crop = plan.crop;
        let of_whole = CropBox {
            left: larger(crop.left),
            top: larger(crop.top),
            width: larger(crop.width).min(whole.width - larger(crop.left)),
            height: larger(crop.height).min(whole.height - larger(crop.top)),
        };
        sum += apart(&resized_crop(&small, crop, side, side), &resized_crop(&whole, of_whole, side, side));
    }
    assert!(sum / 40.0 < 2.0, "{} levels apart", sum / 40.0);
}

#[test]
fn sizes_are_reduced_to_the_least_and_never_below() {
    let size = LeastPictureSize { pixels: 10_000, shorter: 50, longer: 90 };
    assert_eq!(size.of(400, 400), Some((100, 100)));
    assert_eq!(size.of(4000, 100), Some((2000, 50)));
    assert_eq!(LeastPictureSize { longer: 90, ..LeastPictureSize::default() }.of(300, 900), Some((30, 90)));
    assert_eq!(
        size.and(LeastPictureSize { shorter: 200, ..size }),
        LeastPictureSize { shorter: 200, ..size }
    );
    for small in [(100, 100), (50, 80), (0, 10), (1, 1)] {
        assert_eq!(size.of(small.0, small.1), None, "{small:?}");
    }
}

#[test]
fn a_reduced_photograph_is_the_whole_one_made_smaller() {
    // A side that is no multiple of eight moves what it shows by less than half a pixel.
    for ((wide, high), pixels_moved) in [((800, 608), 0.0), ((803, 611), 0.5)] {
        let painting = painting(wide, high);
        for (pixels, shorter) in [(4_000, 20), (30_000, 90), (60_000, 1), (110_000, 1), (300_000, 1)] {
            let options = least(pixels, shorter);
            for (kind, bytes) in [("JPEG", jpeg(&painting)), ("PNG", png(&painting))] {
                let whole = decode_bytes("", &bytes).unwrap();
                let (width, height) = options.least.unwrap().of(whole.width, whole.height).unwrap();
                let small = resize_to(&whole, width, height);
                // Of a PNG all pixels are decoded.
                let most = if kind == "PNG" { 1e-9 } else { 1.0 + pixels_moved * step(&small) };
                let decoded = decode_bytes_as("", &bytes, options).unwrap().picture;
                let apart = apart(&decoded, &small);
                assert!(apart < most, "{kind} of {wide} × {high} to {pixels}: {apart} levels apart");
            }
        }
    }
}

#[test]
fn a_small_part_of_the_pixels_is_made_at_all() {
    let bytes = jpeg(&painting(1603, 1201));
    let made = |pixels| {
        let least = LeastPictureSize { pixels, ..LeastPictureSize::default() };
        scaled_jpeg(&bytes, (1603, 1201), least).map(|rgb| rgb.dimensions())
    };
    assert_eq!(made(20_000), Some((200, 150)));
    assert_eq!(made(100_000), Some((401, 300)));
    assert_eq!(made(400_000), Some((802, 601)));
    assert_eq!(made(600_000), None);
}

#[test]
fn grey_turned_and_damaged_ones_stay_what_they_are() {
    let grey = image::GrayImage::from_fn(320, 200, |x, _| image::Luma([(x / 2) as u8]));
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, 95).encode_image(&grey).unwrap();
    let picture = decode_bytes_as("", &bytes, least(1000, 1)).unwrap().picture;
    assert_eq!((picture.width, picture.height), (40, 25));
    assert!(picture.rgb.as_chunks::<3>().0.iter().all(|[r, g, b]| r == g && g == b));

    // An orientation that turns it by a quarter.
    let exif = b"\xff\xe1\0\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let mut turned = jpeg(&painting(320, 200));
    turned.splice(2..2, *exif);
    let picture = decode_bytes_as("", &turned, least(1000, 1)).unwrap().picture;
    assert_eq!((picture.width, picture.height), (25, 40));

    let mut short = jpeg(&painting(320, 200));
    short.truncate(short.len() / 2);
    let said = |options| decode_bytes_as("half.jpg", &short, options).unwrap_err().to_string();
    assert_eq!(said(least(1000, 1)), said(DecodeOptions::default()));
}
