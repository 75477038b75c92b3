//! Numbers as text, by one rule in every picture and caption.

/// A number for people: three significant digits, `1,240`, `0.041`, `2.5×10⁻⁷`, `−3`, `∞`.
pub fn number(value: f64) -> String {
    significant(value, 3)
}

/// A number for people with up to `digits` significant digits, trailing zeros dropped.
pub fn significant(value: f64, digits: usize) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    let sign = if value < 0.0 { "−" } else { "" };
    let size = value.abs();
    if size.is_infinite() {
        return format!("{sign}∞");
    }
    if size == 0.0 {
        return "0".into();
    }
    let scientific = format!("{size:.*e}", digits.max(1) - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trimmed = |s: &str| {
        if s.contains('.') {
            s.trim_end_matches('0').trim_end_matches('.').to_string()
        } else {
            s.to_string()
        }
    };
    if !(-3..6).contains(&exponent) {
        let mantissa = trimmed(mantissa);
        let power = superscript(exponent);
        return if mantissa == "1" {
            format!("{sign}10{power}")
        } else {
            format!("{sign}{mantissa}×10{power}")
        };
    }
    let decimals = (digits as i32 - 1 - exponent).max(0) as usize;
    let plain = trimmed(&format!("{size:.decimals$}"));
    let (whole, fraction) = plain.split_once('.').unwrap_or((&plain, ""));
    let whole = thousands(whole);
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// A number with exactly `decimals` decimals: for values that change while one looks.
pub fn fixed(value: f64, decimals: usize) -> String {
    if value.is_finite() && value.abs() < 1e6 {
        let text = format!("{:.decimals$}", value.abs());
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        let sign = if value < 0.0 { "−" } else { "" };
        let dot = if fraction.is_empty() { "" } else { "." };
        format!("{sign}{}{dot}{fraction}", thousands(whole))
    } else {
        number(value)
    }
}

/// Digits in groups of three.
pub fn thousands(digits: &str) -> String {
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn superscript(exponent: i32) -> String {
    let digit = |c: char| match c {
        '-' => '⁻',
        _ => ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'][c as usize - '0' as usize],
    };
    exponent.to_string().chars().map(digit).collect()
}

/// An epoch with up to `decimals` decimals, which it has only between two whole ones.
pub(in crate::render) fn epoch_text(epoch: f64, decimals: usize) -> String {
    let whole = (epoch - epoch.round()).abs() < 0.5 * 0.1f64.powi(decimals as i32);
    fixed(epoch, if whole { 0 } else { decimals })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        let cases = [
            (0.1, "0.1"),
            (1240.0, "1,240"),
            (123456.0, "123,456"),
            (0.04123, "0.0412"),
            (2.5e-7, "2.5×10⁻⁷"),
            (1e30, "10³⁰"),
            (-3.0, "−3"),
            (0.0, "0"),
            (0.9996, "1"),
            (f64::INFINITY, "∞"),
            (f64::NAN, "NaN"),
            (0.001, "0.001"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
        assert_eq!(fixed(12.0, 1), "12.0");
        let epochs = [12.0, 12.004, 12.006, 0.996, 1234.5].map(|e| epoch_text(e, 2));
        assert_eq!(epochs, ["12", "12", "12.01", "1", "1,234.50"]);
        assert_eq!(fixed(-1234.56, 1), "−1,234.6");
    }
}
