//! Figures as a person reads them.

/// How long something takes: `45 s`, `12 min`, `3 h 20 min`.
pub fn duration(seconds: f64) -> String {
    let s = if seconds.is_finite() { seconds.max(0.0) } else { return "–".to_owned() };
    match s {
        _ if s < 9.95 => format!("{s:.1} s"),
        _ if s < 99.5 => format!("{s:.0} s"),
        _ if s < 99.5 * 60.0 => format!("{:.0} min", s / 60.0),
        _ => {
            let minutes = (s / 60.0).round() as u64;
            format!("{} h {:02} min", minutes / 60, minutes % 60)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_units_that_suit_them() {
        let times = [0.44, 59.0, 119.0, 7200.0, f64::NAN].map(duration);
        assert_eq!(times, ["0.4 s", "59 s", "2 min", "2 h 00 min", "–"]);
    }
}
