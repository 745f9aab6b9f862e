//! The colours, by what they are for. Every text colour is readable on every ground: the tests compute it.

use egui::{Color32, Theme};

/// The colours of one theme.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ThemeTokens {
    /// Whether this is the dark theme.
    pub dark: bool,
    /// Behind everything.
    pub window: Color32,
    /// A panel.
    pub panel: Color32,
    /// What can be clicked; what stands out of a panel.
    pub raised: Color32,
    /// The same under the pointer.
    pub hovered: Color32,
    /// The same while the button is down.
    pub pressed: Color32,
    /// Where one writes; the rail of a slider.
    pub field: Color32,
    /// Borders of panels, separators: barely there.
    pub outline: Color32,
    /// Borders of what one writes into, handles: to be found without searching.
    pub border: Color32,
    /// Text.
    pub text: Color32,
    /// Text of less weight.
    pub muted: Color32,
    /// The accent: the one loud button, what is chosen, what has the keyboard.
    pub accent: Color32,
    /// The accent under the pointer.
    pub accent_hovered: Color32,
    /// Text on the accent.
    pub on_accent: Color32,
    /// Ground of what is chosen.
    pub accent_soft: Color32,
    /// All is well.
    pub good: Color32,
    /// Worth a look.
    pub watch: Color32,
    /// Wrong.
    pub bad: Color32,
    /// Ground of a badge that says all is well.
    pub good_soft: Color32,
    /// Ground of a badge that asks for a look.
    pub watch_soft: Color32,
    /// Ground of a badge that says what is wrong.
    pub bad_soft: Color32,
    /// Curves, in the order of use; apart from each other for colour-blind people too.
    pub series: [Color32; 8],
    /// Over everything while something is dragged in: nothing is to be read through it.
    pub drop_shade: Color32,
    /// Under what floats.
    pub shadow: Color32,
    /// Ground of a label that lies on a picture, whatever the theme; its text is [`ThemeTokens::ON_PICTURE`].
    pub picture_shade: Color32,
}

const fn hex(rgb: u32) -> Color32 {
    Color32::from_rgb((rgb >> 16) as u8, (rgb >> 8) as u8, rgb as u8)
}

const DARK: ThemeTokens = ThemeTokens {
    dark: true,
    window: hex(0x16171a),
    panel: hex(0x1c1d21),
    raised: hex(0x26282d),
    hovered: hex(0x2f3238),
    pressed: hex(0x383b42),
    field: hex(0x17181b),
    outline: hex(0x2b2d33),
    border: hex(0x676b76),
    text: hex(0xe6e7ea),
    muted: hex(0x9a9ea8),
    accent: hex(0x5bb5c5),
    accent_hovered: hex(0x73c5d3),
    on_accent: hex(0x07191d),
    accent_soft: hex(0x1d383f),
    good: hex(0x74c58d),
    watch: hex(0xe2b457),
    bad: hex(0xf28b82),
    good_soft: hex(0x1c3325),
    watch_soft: hex(0x392f18),
    bad_soft: hex(0x432423),
    series: [
        hex(0x5bb5c5),
        hex(0xf7b279),
        hex(0x8a68b3),
        hex(0xeef7b8),
        hex(0xb3676e),
        hex(0xd0a4f7),
        hex(0xa09f7b),
        hex(0xf7c1da),
    ],
    drop_shade: hex(0x16171a),
    shadow: Color32::from_black_alpha(0x60),
    picture_shade: Color32::from_black_alpha(0xb0),
};

const LIGHT: ThemeTokens = ThemeTokens {
    dark: false,
    window: hex(0xf4f4f6),
    panel: hex(0xffffff),
    raised: hex(0xeceef1),
    hovered: hex(0xe2e5e9),
    pressed: hex(0xd6dae0),
    field: hex(0xf7f8f9),
    outline: hex(0xe2e4e8),
    border: hex(0x868c97),
    text: hex(0x1b1c1f),
    muted: hex(0x5b616c),
    accent: hex(0x0a6c7e),
    accent_hovered: hex(0x085a69),
    on_accent: hex(0xffffff),
    accent_soft: hex(0xd7ecf0),
    good: hex(0x1b7040),
    watch: hex(0x7d4e00),
    bad: hex(0xb42f27),
    good_soft: hex(0xdcefe2),
    watch_soft: hex(0xf8e8c9),
    bad_soft: hex(0xfae0dd),
    series: [
        hex(0x0a6c7e),
        hex(0x9f3414),
        hex(0x7967ca),
        hex(0xce6ca6),
        hex(0x7b8f06),
        hex(0x2a3690),
        hex(0x937252),
        hex(0x541712),
    ],
    drop_shade: hex(0xf4f4f6),
    shadow: Color32::from_black_alpha(0x1c),
    picture_shade: Color32::from_black_alpha(0xb0),
};

impl ThemeTokens {
    /// Text on a picture, over [`ThemeTokens::picture_shade`].
    pub const ON_PICTURE: Color32 = Color32::WHITE;

    /// The colours of `theme`.
    pub fn of(theme: Theme) -> &'static Self {
        match theme {
            Theme::Dark => &DARK,
            Theme::Light => &LIGHT,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn linear(color: Color32) -> [f64; 3] {
        [color.r(), color.g(), color.b()].map(|byte| {
            let v = f64::from(byte) / 255.0;
            if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
        })
    }

    fn luminance(color: Color32) -> f64 {
        let [r, g, b] = linear(color);
        0.2126 * r + 0.7152 * g + 0.0722 * b
    }

    /// WCAG's contrast ratio.
    fn contrast(a: Color32, b: Color32) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    fn both() -> [&'static ThemeTokens; 2] {
        [&DARK, &LIGHT]
    }

    #[test]
    fn contrast_is_what_wcag_says() {
        assert!((contrast(Color32::BLACK, Color32::WHITE) - 21.0).abs() < 1e-9);
        assert!((contrast(hex(0x777777), Color32::WHITE) - 4.478).abs() < 1e-3);
    }

    #[test]
    fn every_text_is_readable_on_every_ground() {
        for t in both() {
            let grounds = [t.window, t.panel, t.raised, t.hovered, t.field, t.accent_soft];
            for text in [t.text, t.muted, t.accent, t.good, t.watch, t.bad] {
                for ground in grounds {
                    let ratio = contrast(text, ground);
                    assert!(ratio >= 4.5, "{text:?} on {ground:?}: {ratio:.2} (dark: {})", t.dark);
                }
            }
            let pairs = [
                (t.on_accent, t.accent),
                (t.on_accent, t.accent_hovered),
                (t.text, t.pressed),
                (t.good, t.good_soft),
                (t.watch, t.watch_soft),
                (t.bad, t.bad_soft),
                (t.text, t.good_soft),
                (t.text, t.watch_soft),
                (t.text, t.bad_soft),
            ];
            for (text, ground) in pairs {
                let ratio = contrast(text, ground);
                assert!(ratio >= 4.5, "{text:?} on {ground:?}: {ratio:.2} (dark: {})", t.dark);
            }
        }
        // A label on the brightest picture there can be.
        let ground = Color32::WHITE.blend(DARK.picture_shade);
        assert!(contrast(ThemeTokens::ON_PICTURE, ground) >= 4.5);
    }

    #[test]
    fn rings_borders_and_curves_stand_out_from_what_is_behind() {
        for t in both() {
            for ground in [t.window, t.panel, t.raised] {
                assert!(contrast(t.accent, ground) >= 3.0);
                assert!(contrast(t.border, t.panel) >= 3.0);
            }
            for curve in t.series {
                for ground in [t.window, t.panel, t.field] {
                    let ratio = contrast(curve, ground);
                    assert!(ratio >= 3.0, "{curve:?} on {ground:?}: {ratio:.2}");
                }
            }
        }
    }

    /// OKLab, where distances are about what the eye sees.
    fn oklab([r, g, b]: [f64; 3]) -> [f64; 3] {
        let l = (0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b).cbrt();
        let m = (0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b).cbrt();
        let s = (0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b).cbrt();
        [
            0.2104542553 * l + 0.7936177850 * m - 0.0040720468 * s,
            1.9779984951 * l - 2.4285922050 * m + 0.4505937099 * s,
            0.0259040371 * l + 0.7827717662 * m - 0.8086757660 * s,
        ]
    }

    /// How people see colours: as most do, and without one kind of cone (Machado, Oliveira and Fernandes 2009).
    const EYES: [(&str, [[f64; 3]; 3]); 4] = [
        ("all cones", [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
        (
            "protanopia",
            [
                [0.152286, 1.052583, -0.204868],
                [0.114503, 0.786281, 0.099216],
                [-0.003882, -0.048116, 1.051998],
            ],
        ),
        (
            "deuteranopia",
            [
                [0.367322, 0.860646, -0.227968],
                [0.280085, 0.672501, 0.047413],
                [-0.011820, 0.042940, 0.968881],
            ],
        ),
        (
            "tritanopia",
            [
                [1.255528, -0.076749, -0.178779],
                [-0.078411, 0.930809, 0.147602],
                [0.004733, 0.691367, 0.303900],
            ],
        ),
    ];

    #[test]
    fn curves_differ_for_every_eye() {
        for t in both() {
            for (eye, matrix) in EYES {
                let seen = t.series.map(|color| {
                    let rgb = linear(color);
                    oklab(
                        matrix
                            .map(|row| row.iter().zip(rgb).map(|(a, b)| a * b).sum::<f64>().clamp(0.0, 1.0)),
                    )
                });
                for (i, a) in seen.iter().enumerate() {
                    for (j, b) in seen.iter().enumerate().skip(i + 1) {
                        let distance = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
                        // The first four are what one figure needs; all eight are a crowd.
                        let least = if j < 4 { 0.09 } else { 0.06 };
                        assert!(
                            distance >= least,
                            "{eye}: {:?} and {:?} are {distance:.3} apart (dark: {})",
                            t.series[i],
                            t.series[j],
                            t.dark
                        );
                    }
                }
            }
        }
    }
}
