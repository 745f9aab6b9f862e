//! How much of each colour a picture has.

use dinoscope_data::Picture;

/// Steps of each channel.
const STEPS: usize = 8;
/// Colours that are told apart.
pub(super) const DIM: usize = STEPS * STEPS * STEPS;

/// The joint histogram of red, green and blue in 8 steps each, `[512]`, red slowest: the square roots of the shares of
/// pixels, times `sqrt(512)`.
///
/// With square roots the cosine of two pictures is the Bhattacharyya coefficient of their histograms, and their distance
/// is Hellinger's: the shares themselves would compare the largest one of each picture and little else.
pub fn colour_histogram(view: &Picture) -> Vec<f32> {
    let mut counts = vec![0u32; DIM];
    let pixels = view.rgb.as_chunks::<3>().0;
    for pixel in pixels {
        let [red, green, blue] = pixel.map(|level| usize::from(level) * STEPS / 256);
        counts[(red * STEPS + green) * STEPS + blue] += 1;
    }
    let scale = DIM as f64 / pixels.len().max(1) as f64;
    counts.into_iter().map(|count| (f64::from(count) * scale).sqrt() as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f32, b: f32) -> bool {
        (a - b).abs() < 1e-5
    }

    #[test]
    fn four_pixels_by_hand() {
        // Two of one colour on both sides of nothing, one at either end, one beside a border between steps.
        let rgb = [[0, 0, 0], [31, 31, 31], [255, 255, 255], [32, 31, 200]].concat();
        let found = colour_histogram(&Picture::of_rgb(2, 2, rgb));
        assert_eq!(found.len(), 512);
        let root = 512f32.sqrt();
        // Half of the pixels, a quarter, a quarter; 200 is in the step 6 of blue.
        let wanted = [(0, 0.5f32), (511, 0.25), (64 + 6, 0.25)];
        for (bin, value) in found.iter().enumerate() {
            let share = wanted.iter().find(|(at, _)| *at == bin).map_or(0.0, |(_, share)| *share);
            assert!(near(*value, root * share.sqrt()), "{bin}: {value}");
        }
    }

    #[test]
    fn the_cosine_is_the_overlap_of_histograms_wherever_the_colours_are() {
        let stripes = |left: [u8; 3], right: [u8; 3], share: usize| {
            let rgb = (0..64).flat_map(|i| if i % 8 < share { left } else { right }).collect();
            colour_histogram(&Picture::of_rgb(8, 8, rgb))
        };
        let cosine = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>() / 512.0;
        let (red, blue, green) = ([250, 0, 0], [0, 0, 250], [0, 250, 0]);
        let most_red = stripes(red, blue, 6);
        assert!(near(cosine(&most_red, &most_red), 1.0), "the length of each is one, but for the scale");
        assert!(near(cosine(&most_red, &stripes(blue, red, 2)), 1.0), "places do not matter");
        // sqrt(6/8 · 2/8) + sqrt(2/8 · 6/8)
        assert!(near(cosine(&most_red, &stripes(red, blue, 2)), 2.0 * (12.0f32 / 64.0).sqrt()));
        assert!(near(cosine(&most_red, &stripes(green, green, 4)), 0.0));
    }
}
