//! The spectrum of features: how much each direction carries, on a scale of powers of ten.

use dinoscope_analysis::canvas::{
    ACCENT, ALARM, CanvasTextStyle, Colour, GRID, INK, PAPER, PictureCanvas, SOFT, TextAnchor,
};
use dinoscope_analysis::lettering;
use dinoscope_data::Picture;

const WIDTH: usize = 880;
const HEIGHT: usize = 500;
const LEFT: usize = 92;
const RIGHT: usize = 36;
const TOP: usize = 88;
const BOTTOM: usize = 68;
/// Powers of ten below which a direction carries nothing: the line ends there. The last direction of features that
/// have passed a norm is always such a one.
const NOTHING: f64 = -9.0;

/// Variances of one subject, largest first.
pub(super) struct SpectrumCurve<'a> {
    pub name: &'a str,
    pub variances: &'a [f64],
}

/// The colours of lines, in their order.
const COLOURS: [Colour; 3] = [ACCENT, ALARM, SOFT];

/// Draws the variances of each subject, relative to its largest; the first is drawn last, over the others.
pub(super) fn draw(lines: &[SpectrumCurve<'_>]) -> Picture {
    let mut canvas = PictureCanvas::new(WIDTH, HEIGHT, PAPER);
    canvas.text(
        "Variance along the principal directions, relative to the largest",
        32.0,
        36.0,
        CanvasTextStyle::new(18.0, INK),
    );
    let count = lines.first().map_or(1, |line| line.variances.len()).max(2);
    let powers: Vec<Vec<f64>> = lines.iter().map(|line| powers(line.variances, count)).collect();
    // As far down as anything reaches.
    let floor = powers.iter().flatten().copied().fold(-1.0, f64::min).floor();
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    let x = |i: usize| LEFT as f32 + (right - LEFT) as f32 * i as f32 / (count - 1) as f32;
    let y = |power: f64| TOP as f32 + (bottom - TOP) as f32 * (power / floor) as f32;
    let soft = CanvasTextStyle::new(14.0, SOFT);
    for power in (0..=(-floor) as i32).map(|p| -f64::from(p)) {
        canvas.area(LEFT, y(power).round() as usize, right - LEFT, 1, GRID);
        let name = if power == 0.0 { "1".to_owned() } else { format!("10⁻{}", superscript(-power as u32)) };
        canvas.text(&name, LEFT as f32 - 14.0, y(power), soft.anchored(TextAnchor::End));
    }
    for i in ticks(count) {
        let anchor = if i == 0 {
            TextAnchor::Start
        } else if i + 1 == count {
            TextAnchor::End
        } else {
            TextAnchor::Middle
        };
        canvas.text(&(i + 1).to_string(), x(i), bottom as f32 + 20.0, soft.anchored(anchor));
    }
    let middle = (LEFT + right) as f32 / 2.0;
    canvas.text("direction, largest first", middle, bottom as f32 + 44.0, soft.anchored(TextAnchor::Middle));
    let mut legend = LEFT as f32;
    for (i, line) in lines.iter().enumerate() {
        let colour = COLOURS[i % COLOURS.len()];
        canvas.line([legend, 66.0], [legend + 22.0, 66.0], 3.0, colour);
        canvas.text(line.name, legend + 30.0, 66.0, CanvasTextStyle::new(14.0, INK));
        legend += 30.0 + lettering::width(line.name, 14.0) + 28.0;
    }
    for (i, powers) in powers.iter().enumerate().rev() {
        let at = |k: usize| [x(k), y(powers[k])];
        for k in 1..powers.len() {
            canvas.line(at(k - 1), at(k), if i == 0 { 3.0 } else { 2.0 }, COLOURS[i % COLOURS.len()]);
        }
    }
    canvas.picture()
}

/// Powers of ten of the first `count` variances relative to the largest, up to the first that carries nothing.
fn powers(variances: &[f64], count: usize) -> Vec<f64> {
    let largest = variances.first().copied().unwrap_or(0.0);
    let power = |v: &f64| if *v > 0.0 { (v / largest).log10() } else { f64::NEG_INFINITY };
    variances.iter().take(count).map(power).take_while(|power| *power > NOTHING).collect()
}

/// Directions that are named: the first, the last, and round numbers between.
fn ticks(count: usize) -> Vec<usize> {
    let step =
        [1, 2, 5, 10, 20, 50, 100, 200, 500].into_iter().find(|step| count / step <= 8).unwrap_or(1000);
    let between =
        (step..count).step_by(step).filter(|i| i + step / 2 < count && *i > step / 2).map(|i| i - 1);
    let mut all: Vec<usize> =
        std::iter::once(0).chain(between.filter(|i| *i > 0)).chain([count - 1]).collect();
    all.dedup();
    all
}

fn superscript(value: u32) -> String {
    const DIGITS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    value.to_string().bytes().map(|b| DIGITS[usize::from(b - b'0') % 10]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fall_from_left_to_right() {
        let falling: Vec<f64> = (0..40).map(|i| 10f64.powf(-f64::from(i) / 10.0)).collect();
        let flat = [2.0; 40];
        let lines =
            [SpectrumCurve { name: "a", variances: &falling }, SpectrumCurve { name: "b", variances: &flat }];
        let picture = draw(&lines);
        let heights = |colour: Colour| -> Vec<usize> {
            let at = |x: usize, y: usize| &picture.rgb[(y * WIDTH + x) * 3..][..3];
            (LEFT + 20..WIDTH - RIGHT - 20)
                .step_by(50)
                .filter_map(|x| (TOP - 4..HEIGHT - BOTTOM).find(|y| at(x, *y) == colour))
                .collect()
        };
        let (first, second) = (heights(ACCENT), heights(ALARM));
        assert!(first.len() > 10 && first.is_sorted_by(|a, b| a < b), "{first:?}");
        assert!(second.len() > 8 && second.iter().all(|y| y.abs_diff(TOP) <= 2), "{second:?}");
    }

    #[test]
    fn a_line_ends_where_nothing_is_carried() {
        assert_eq!(powers(&[4.0, 0.4, 4e-7, 0.0, 0.0], 9).len(), 3);
        assert_eq!(powers(&[4.0, 0.4, 4e-12], 9).len(), 2);
        assert_eq!(powers(&[4.0, 0.4, 0.04], 2).len(), 2);
    }

    #[test]
    fn nothing_to_show_is_drawn_as_well() {
        let inside = |picture: &Picture, colour: Colour| {
            let at = |x: usize, y: usize| &picture.rgb[(y * WIDTH + x) * 3..][..3];
            (TOP..=HEIGHT - BOTTOM).any(|y| (LEFT..WIDTH - RIGHT).any(|x| at(x, y) == colour))
        };
        let empty = draw(&[]);
        assert_eq!((empty.width, empty.height), (WIDTH, HEIGHT));
        assert!(inside(&empty, GRID) && !inside(&empty, ACCENT), "a frame without lines");
        for variances in [&[][..], &[0.0][..], &[0.0, 0.0][..], &[1.0, 1e-30][..]] {
            let picture = draw(&[SpectrumCurve { name: "a", variances }]);
            assert!(inside(&picture, GRID) && !inside(&picture, ACCENT), "{variances:?} make no line");
            assert_ne!(picture, empty, "its name stands above");
        }
    }

    #[test]
    fn directions_are_named_at_round_numbers() {
        assert_eq!(ticks(192), [0, 49, 99, 149, 191]);
        assert_eq!(ticks(2), [0, 1]);
        assert_eq!(ticks(6), [0, 1, 2, 3, 4, 5]);
        assert_eq!(superscript(12), "¹²");
    }
}
