//! Figures as a person reads them; each of a width that does not jump.

use dinoscope_core::train::Recipe;
use dinoscope_core::train::network::NetworkConfig;

/// What is said for a terminal, as the window says it: there are buttons and fields here, no flags.
pub fn without_flags(text: &str) -> String {
    let ways = [
        ("go on with --resume, or choose another --out", "go on with it, or choose another folder"),
        (
            "go on without changing it, or choose another --out",
            "go on without changing it, or begin a new run",
        ),
        ("choose another --out, or --force", "choose another folder"),
        ("choose another --out", "choose another folder"),
        ("start it without --resume", "begin a new run"),
        ("go on with --resume", "go on with this run"),
    ];
    ways.iter().fold(text.to_owned(), |text, (flag, words)| text.replace(flag, words))
}

/// A figure with about four digits that count.
pub fn figure(x: f64) -> String {
    let size = x.abs();
    if !x.is_finite() {
        return "–".to_owned();
    }
    match size {
        0.0 => "0".to_owned(),
        _ if !(1e-3..1e7).contains(&size) => format!("{x:.2e}"),
        _ if size >= 1000.0 => grouped(x),
        _ if size >= 100.0 => format!("{x:.1}"),
        _ if size >= 10.0 => format!("{x:.2}"),
        _ if size >= 1.0 => format!("{x:.3}"),
        _ => format!("{x:.4}"),
    }
}

/// A whole number with its thousands apart.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    if digits.len() < 5 {
        return digits;
    }
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn grouped(x: f64) -> String {
    let sign = if x < 0.0 { "-" } else { "" };
    format!("{sign}{}", count(x.abs().round() as u64))
}

/// A large number in short: `22.1 M`.
pub fn short(n: f64) -> String {
    match n {
        _ if n >= 1e9 => format!("{:.1} G", n / 1e9),
        _ if n >= 1e6 => format!("{:.1} M", n / 1e6),
        _ if n >= 1e4 => format!("{:.0} k", n / 1e3),
        _ => format!("{n:.0}"),
    }
}

/// The trainable values of a recipe's model: `backbone 473 k, with heads 589 k`.
pub fn parameters(recipe: &Recipe, all: usize) -> String {
    let backbone = NetworkConfig::from(recipe).backbone.parameters();
    let own = format!("backbone {}", short(backbone as f64));
    if all > backbone { format!("{own}, with heads {}", short(all as f64)) } else { own }
}

/// A size in bytes.
pub use dinoscope_core::bytes::shown as bytes;

/// How long something takes: `45 s`, `12 min`, `3 h 20 min`, `5 days`.
pub fn duration(seconds: f64) -> String {
    let s = if seconds.is_finite() { seconds.max(0.0) } else { return "–".to_owned() };
    match s {
        _ if s < 99.5 => format!("{s:.0} s"),
        _ if s < 99.5 * 60.0 => format!("{:.0} min", s / 60.0),
        _ if s < 48.0 * 3600.0 => {
            let minutes = (s / 60.0).round() as u64;
            format!("{} h {:02} min", minutes / 60, minutes % 60)
        }
        _ => format!("{:.1} days", s / 86_400.0),
    }
}

/// A share of 1 in per cent.
pub fn percent(share: f64) -> String {
    if share.is_finite() { format!("{:.1} %", 100.0 * share) } else { "–".to_owned() }
}

/// `1 picture`, `2 pictures`.
pub fn some(n: usize, one: &str, many: &str) -> String {
    format!("{} {}", count(n as u64), if n == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_names_no_flags() {
        use dinoscope_core::train::run::RunError;
        let path = || "/runs/nano-001".to_owned();
        let said = [
            RunError::Occupied(path()).to_string(),
            RunError::Changed { path: path(), field: "model.dim".to_owned() }.to_string(),
            "the pictures are gone; bring them back, then go on with --resume. The run stopped".to_owned(),
        ];
        for text in said {
            let shown = without_flags(&text);
            assert!(text.contains("--") && !shown.contains("--"), "{text}: {shown}");
        }
        assert_eq!(without_flags("as it is"), "as it is");
    }

    #[test]
    fn figures_have_the_digits_that_count() {
        let shown = [0.0, 5.4321, -54.321, 543.21, 54_321.0, 0.054_321, 1.234e-5, f64::NAN].map(figure);
        assert_eq!(shown, ["0", "5.432", "-54.32", "543.2", "54,321", "0.0543", "1.23e-5", "–"]);
        assert_eq!([999, 9999, 12_345, 1_234_567].map(count), ["999", "9999", "12,345", "1,234,567"]);
        assert_eq!([22_056_576.0, 15_000.0, 7.0].map(short), ["22.1 M", "15 k", "7"]);
    }

    #[test]
    fn times_and_sizes_are_in_units_that_suit_them() {
        let times = [0.4, 59.0, 119.0, 7200.0, 400_000.0, f64::INFINITY].map(duration);
        assert_eq!(times, ["0 s", "59 s", "2 min", "2 h 00 min", "4.6 days", "–"]);
        let sizes = [512, 300 << 20, 3 << 30, 40 << 30].map(bytes);
        assert_eq!(sizes, ["512 B", "315 MB", "3.2 GB", "42.9 GB"]);
        assert_eq!(
            (some(1, "picture", "pictures"), percent(0.4567)),
            ("1 picture".to_owned(), "45.7 %".to_owned())
        );
    }
}
