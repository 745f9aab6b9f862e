//! Sizes in bytes for a person: alike in the terminal, the window and every message.

/// A size in steps of a thousand: `512 B`, `84 kB`, `9.1 MB`, `88 MB`, `2.3 GB`.
///
/// Disks, downloads and file managers count so; memory is counted alike, so that a file and the memory it takes can be
/// compared.
pub fn shown(bytes: u64) -> String {
    let size = bytes as f64;
    // Rounding reaches the next unit before the number does.
    match size {
        _ if bytes < 1000 => format!("{bytes} B"),
        _ if size < 999_500.0 => format!("{:.0} kB", size / 1e3),
        _ if size < 9.95e6 => format!("{:.1} MB", size / 1e6),
        _ if size < 999.5e6 => format!("{:.0} MB", size / 1e6),
        _ if size < 99.95e9 => format!("{:.1} GB", size / 1e9),
        _ => format!("{:.0} GB", size / 1e9),
    }
}

/// How much of a size there is: `12 MB of 88 MB`; the first alone where the whole is not known.
pub fn part(done: u64, total: Option<u64>) -> String {
    match total {
        Some(total) => format!("{} of {}", shown(done), shown(total)),
        None => shown(done),
    }
}

/// A size as a person writes it: `2GB`, `500 MB`, `1.5GiB`, `4096`.
///
/// # Errors
/// What was expected.
pub fn parse(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let scale: f64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "kb" | "k" => 1e3,
        "mb" | "m" => 1e6,
        "gb" | "g" => 1e9,
        "tb" | "t" => 1e12,
        "kib" => f64::from(1u32 << 10),
        "mib" => f64::from(1u32 << 20),
        "gib" => f64::from(1u32 << 30),
        "tib" => 1024.0 * f64::from(1u32 << 30),
        _ => f64::NAN,
    };
    let size = number.parse::<f64>().map(|number| number * scale).unwrap_or(f64::NAN);
    if size.is_finite() {
        Ok(size as u64)
    } else {
        Err(format!("{text} is no size: give one such as 500MB or 2GB"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_in_steps_of_a_thousand() {
        let sizes = [
            0,
            999,
            1000,
            84_400,
            999_499,
            999_500,
            9_100_000,
            88_283_115,
            999_499_999,
            999_500_000,
            2_290_000_000,
            40 << 30,
            149_000_000_000,
        ];
        let wanted = [
            "0 B", "999 B", "1 kB", "84 kB", "999 kB", "1.0 MB", "9.1 MB", "88 MB", "999 MB", "1.0 GB",
            "2.3 GB", "42.9 GB", "149 GB",
        ];
        assert_eq!(sizes.map(shown), wanted);
        assert_eq!(part(12_000_000, Some(88_283_115)), "12 MB of 88 MB");
        assert_eq!(part(512, None), "512 B");
    }

    #[test]
    fn what_a_person_writes_is_read() {
        for (text, size) in [
            ("2GB", 2_000_000_000),
            (" 500 mb", 500_000_000),
            ("1.5GiB", 3 << 29),
            ("4096", 4096),
            ("7k", 7000),
        ] {
            assert_eq!(parse(text), Ok(size), "{text}");
        }
        for text in ["", "GB", "2XB", "-1GB", "1.2.3GB"] {
            assert!(parse(text).is_err_and(|said| said.contains("500MB")), "{text}");
        }
    }
}
