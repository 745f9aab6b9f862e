//! Text for people: escaped, and numbers with as many digits as say something.

/// Text that HTML shows as it is, in elements and in quoted attributes.
pub(in crate::train) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Control characters have no place in HTML, not even escaped.
            c if c.is_control() && c != '\n' && c != '\t' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// Four digits that count, thousands apart, powers of ten where zeros would fill the line.
pub(super) fn number(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    let size = value.abs();
    if size == 0.0 {
        return "0".to_owned();
    }
    if !(1e-4..1e7).contains(&size) {
        let text = format!("{value:.2e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let power: String = exponent.chars().map(superscript).collect();
        let digits = trim(digits);
        return if digits == "1" { format!("10{power}") } else { format!("{digits}·10{power}") };
    }
    let whole = size.log10().floor().max(0.0) as i32 + 1;
    let decimals = if size < 1.0 { 3 - size.log10().floor() as i32 - 1 } else { (4 - whole).max(0) };
    let text = format!("{value:.*}", decimals as usize);
    group(if decimals > 0 { trim(&text) } else { &text })
}

/// Thousands of a whole number apart, with thin spaces that do not break.
pub(super) fn count(value: u64) -> String {
    group(&value.to_string())
}

/// A share as a percentage with one decimal.
pub(super) fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

fn trim(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

fn group(text: &str) -> String {
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |rest| ("−", rest));
    let (whole, rest) = digits.split_at(digits.find('.').unwrap_or(digits.len()));
    let mut out = String::from(sign);
    for (i, c) in whole.chars().enumerate() {
        // Four digits read well together.
        if i > 0 && whole.len() > 4 && (whole.len() - i).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(c);
    }
    out + rest
}

fn superscript(c: char) -> char {
    match c {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        '0' | '4'..='9' => char::from_u32('⁰' as u32 + c as u32 - '0' as u32).unwrap_or(c),
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        for (value, text) in [
            (0.0, "0"),
            (1.0, "1"),
            (-0.25, "−0.25"),
            (0.071_234, "0.0712"),
            (9.2343, "9.234"),
            (1234.56, "1235"),
            (65_536.0, "65\u{202f}536"),
            (-1_234_567.0, "−1\u{202f}234\u{202f}567"),
            (1e-6, "10⁻⁶"),
            (0.000_25, "0.00025"),
            (0.000_025, "2.5·10⁻⁵"),
            (3.2e12, "3.2·10¹²"),
            (f64::NAN, "–"),
            (f64::INFINITY, "–"),
        ] {
            assert_eq!(number(value), text, "{value}");
        }
        assert_eq!(count(1_281_167), "1\u{202f}281\u{202f}167");
        assert_eq!(percent(0.1234), "12.3 %");
    }

    #[test]
    fn nothing_gets_out_of_text() {
        assert_eq!(escape("<a href=\"x\">'&'\u{0}"), "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;\u{fffd}");
    }
}
