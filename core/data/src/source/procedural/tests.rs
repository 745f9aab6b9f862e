//! What procedural pictures promise: the same bytes from the same seed, and pictures that differ and show something.
#![allow(clippy::unwrap_used)]

use super::*;

#[test]
fn the_same_seed_gives_the_same_bytes_on_any_number_of_threads() {
    let alone: Vec<Picture> = (0..12).map(|i| draw(3, i, 40)).collect();
    let together: Vec<Picture> = std::thread::scope(|scope| {
        let work: Vec<_> = (0..12).map(|i| scope.spawn(move || draw(3, i, 40))).collect();
        work.into_iter().map(|work| work.join().unwrap()).collect()
    });
    assert_eq!(together, alone);
    assert_ne!(draw(3, 0, 40), draw(4, 0, 40));
    let source = ProceduralSource::new(3, 12, 40);
    assert_eq!(
        (source.load(5).unwrap(), source.label(5), source.classes().len()),
        (alone[5].clone(), None, 0)
    );
    assert!(source.load(12).unwrap_err().to_string().contains("only 12"));
    // Nothing is kept, and any number can be had.
    assert_eq!(
        ProceduralSource::new(3, usize::MAX, 8).load(usize::MAX - 1).unwrap(),
        draw(3, usize::MAX - 1, 8)
    );
}

#[test]
fn pictures_are_drawn_as_they_were() {
    // A run that goes on sees the pictures that it saw, whichever version began it.
    let digest = |size| {
        let bytes = (0..24).flat_map(|index| draw(1 << 32, index, size).rgb);
        bytes.fold(0xcbf2_9ce4_8422_2325u64, |digest, byte| {
            (digest ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        })
    };
    assert_eq!([32, 96].map(digest), [0xa2d4_b54d_165a_f770, 0x313f_5906_9e8e_c8f4]);
}

#[test]
fn every_size_is_drawn() {
    for size in [0, 1, 2, 7, 64] {
        for index in 0..12 {
            let picture = draw(1, index, size);
            assert_eq!(
                (picture.width, picture.height, picture.rgb.len()),
                (size.max(1), size.max(1), size.max(1).pow(2) * 3)
            );
        }
    }
}

/// Mean and standard deviation of the bytes.
fn spread(picture: &Picture) -> (f32, f32) {
    let n = picture.rgb.len() as f32;
    let mean = picture.rgb.iter().map(|byte| f32::from(*byte)).sum::<f32>() / n;
    let square = picture.rgb.iter().map(|byte| (f32::from(*byte) - mean).powi(2)).sum::<f32>() / n;
    (mean, square.sqrt())
}

#[test]
fn pictures_show_something_and_no_two_the_same() {
    let pictures: Vec<Picture> = (0..150).map(|i| draw(7, i, 32)).collect();
    let all: Vec<(f32, f32)> = pictures.iter().map(spread).collect();
    let flat = all.iter().filter(|(_, deviation)| *deviation < 8.0).count();
    assert!(flat < 8, "{flat} of 150 show next to nothing");
    assert!(all.iter().all(|(mean, _)| (35.0..225.0).contains(mean)), "{all:?}");
    let colours = |picture: &Picture| {
        let seen: std::collections::BTreeSet<[u8; 3]> =
            picture.rgb.chunks_exact(3).map(|p| [p[0] >> 4, p[1] >> 4, p[2] >> 4]).collect();
        seen.len()
    };
    let rich = pictures.iter().filter(|picture| colours(picture) > 40).count();
    assert!(rich > 90, "{rich} of 150 have more than 40 colours");
}

#[test]
fn spectra_fall_with_the_frequency_as_those_of_photographs_do() {
    // Differences to neighbours at distance 1 and 4: equal in white noise, 4 apart on a slope; pictures lie between.
    let (mut near, mut far) = (0.0, 0.0);
    for index in 0..100 {
        let picture = draw(9, index, 48);
        let grey = |x: usize, y: usize| f32::from(picture.rgb[3 * (y * 48 + x) + 1]);
        for y in 0..48 {
            for x in 0..44 {
                near += (grey(x + 1, y) - grey(x, y)).powi(2);
                far += (grey(x + 4, y) - grey(x, y)).powi(2);
            }
        }
    }
    let ratio = (far / near).sqrt();
    assert!((1.3..3.0).contains(&ratio), "{ratio}");
}
