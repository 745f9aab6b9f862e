//! Charts that were drawn on white paper, on the panel of the dark theme: paper becomes panel and ink becomes text, colours
//! stay what they are, photographs are left alone. Files that are saved keep their paper.

use std::collections::HashMap;

use dinoscope_core::analysis::canvas::Place;
use egui::{Color32, ColorImage, Theme};

use crate::studio::theme::ThemeTokens;

/// A chart on the panel of the dark theme. Places are those of the chart at its full size.
pub fn on_panel(chart: &ColorImage, full: [usize; 2], kept: &[Place]) -> ColorImage {
    let [width, height] = chart.size;
    let mut dark = chart.clone();
    let mut known = HashMap::new();
    let mut last = (Color32::WHITE, turned(Color32::WHITE));
    for pixel in &mut dark.pixels {
        if *pixel != last.0 {
            last = (*pixel, *known.entry(*pixel).or_insert_with(|| turned(*pixel)));
        }
        *pixel = last.1;
    }
    let scaled = |at: usize, side: usize, full: usize| at * side / full.max(1);
    for &[left, top, w, h] in kept {
        let columns = scaled(left, width, full[0])..scaled(left + w, width, full[0]).min(width);
        for y in scaled(top, height, full[1])..scaled(top + h, height, full[1]).min(height) {
            let row = y * width;
            let (from, to) = (row + columns.start, row + columns.end);
            if from < to {
                dark.pixels[from..to].copy_from_slice(&chart.pixels[from..to]);
            }
        }
    }
    dark
}

/// Lightness, and how far from grey in two directions: OKLab, where steps are as large as they look.
fn oklab(colour: Color32) -> [f32; 3] {
    let [r, g, b] = [colour.r(), colour.g(), colour.b()].map(|byte| {
        let v = f32::from(byte) / 255.0;
        if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
    });
    let l = (0.412_221_46 * r + 0.536_332_55 * g + 0.051_445_995 * b).cbrt();
    let m = (0.211_903_5 * r + 0.680_699_5 * g + 0.107_396_96 * b).cbrt();
    let s = (0.088_302_46 * r + 0.281_718_85 * g + 0.629_978_7 * b).cbrt();
    [
        0.210_454_26 * l + 0.793_617_8 * m - 0.004_072_047 * s,
        1.977_998_5 * l - 2.428_592_2 * m + 0.450_593_7 * s,
        0.025_904_037 * l + 0.782_771_77 * m - 0.808_675_77 * s,
    ]
}

fn srgb([lightness, a, b]: [f32; 3]) -> Color32 {
    let l = (lightness + 0.396_337_78 * a + 0.215_803_76 * b).powi(3);
    let m = (lightness - 0.105_561_346 * a - 0.063_854_17 * b).powi(3);
    let s = (lightness - 0.089_484_18 * a - 1.291_485_5 * b).powi(3);
    let linear = [
        4.076_741_7 * l - 3.307_711_6 * m + 0.230_969_94 * s,
        -1.268_438 * l + 2.609_757_4 * m - 0.341_319_38 * s,
        -0.004_196_086_3 * l - 0.703_418_6 * m + 1.707_614_7 * s,
    ];
    let [r, g, b] = linear.map(|v| {
        let v = if v <= 0.003_130_8 { 12.92 * v } else { 1.055 * v.powf(1.0 / 2.4) - 0.055 };
        (255.0 * v.clamp(0.0, 1.0)).round() as u8
    });
    Color32::from_rgb(r, g, b)
}

/// Lightness of the ink that charts are drawn with.
const INK: f32 = 0.21;

/// A colour of paper and ink, turned round. What is a colour of its own stays as light as it is, or becomes lighter.
fn turned(colour: Color32) -> Color32 {
    let t = ThemeTokens::of(Theme::Dark);
    let ([panel, panel_a, panel_b], [text, ..]) = (oklab(t.panel), oklab(t.text));
    let [lightness, a, b] = oklab(colour);
    let round = panel + (1.0 - lightness) * (text - panel) / (1.0 - INK);
    let own = ((a.hypot(b) - 0.06) / 0.06).clamp(0.0, 1.0);
    let lightness_now = round + own * (round.max(lightness) - round);
    // Paper has the panel's tint; ink and colours have none.
    let tint = lightness * (1.0 - own);
    srgb([lightness_now.min(1.0), a + tint * panel_a, b + tint * panel_b])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apart(a: Color32, b: Color32) -> u8 {
        [(a.r(), b.r()), (a.g(), b.g()), (a.b(), b.b())]
            .map(|(a, b)| a.abs_diff(b))
            .into_iter()
            .max()
            .unwrap_or(0)
    }

    #[test]
    fn paper_becomes_the_panel_and_ink_its_text() {
        let t = ThemeTokens::of(Theme::Dark);
        assert!(apart(turned(Color32::WHITE), t.panel) <= 1, "{:?}", turned(Color32::WHITE));
        let ink = turned(Color32::from_rgb(0x18, 0x18, 0x1b));
        assert!(apart(ink, t.text) <= 6, "{ink:?}");
        // Every tint of the accent is darker than ink, and brighter the more there is of it.
        let tint = |share: f32| Color32::WHITE.lerp_to_gamma(Color32::from_rgb(0x0f, 0x76, 0x6e), share);
        let lightness = |colour| oklab(turned(colour))[0];
        let steps: Vec<f32> = (0..=10).map(|i| lightness(tint(i as f32 / 10.0))).collect();
        assert!(steps.is_sorted() && steps[10] < 0.75, "{steps:?}");
        // A colour of its own keeps its lightness.
        let yellow = Color32::from_rgb(0xf0, 0xc0, 0x30);
        assert!(apart(turned(yellow), yellow) <= 12, "{:?}", turned(yellow));
    }

    #[test]
    fn photographs_keep_their_colours_at_every_size() {
        let mut chart = ColorImage::filled([40, 20], Color32::WHITE);
        for y in 4..12 {
            chart.pixels[y * 40 + 8..y * 40 + 24].fill(Color32::from_rgb(9, 9, 200));
        }
        for full in [[40, 20], [80, 40]] {
            let scale = full[0] / 40;
            let dark = on_panel(&chart, full, &[[8 * scale, 4 * scale, 16 * scale, 8 * scale]]);
            assert_eq!(dark.pixels[5 * 40 + 10], Color32::from_rgb(9, 9, 200));
            assert!(dark.pixels[0].r() < 40 && dark.pixels[5 * 40 + 24].r() < 40);
        }
        let beyond = on_panel(&chart, [40, 20], &[[36, 18, 90, 90]]);
        assert_eq!(beyond.pixels[799], Color32::WHITE, "what reaches out is cut");
    }
}
