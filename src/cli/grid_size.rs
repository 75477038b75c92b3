//! Sizes and ranges of grids as options write them.

use lossreel::{Error, Result};

/// Parses `51x51` (or `51`, for a square) as columns and rows.
///
/// # Errors
/// [`Error::BadValue`] for anything else, or more than 4,000 a side.
pub fn parse_size(text: &str) -> Result<[usize; 2]> {
    let side = |s: &str| s.trim().parse::<usize>().ok().filter(|n| (1..=4000).contains(n));
    let parsed = match text.split_once('x') {
        Some((x, y)) => side(x).zip(side(y)),
        None => side(text).map(|n| (n, n)),
    };
    parsed.map(|(x, y)| [x, y]).ok_or_else(|| {
        Error::bad_value("--grid", text, "not columns x rows from 1 to 4000", "write 51x51")
    })
}

/// Parses `-1,1` (both axes) or `-1,1,-2,2` (x then y).
///
/// # Errors
/// [`Error::BadValue`] for anything else, or a minimum that is not below its maximum.
pub fn parse_range(text: &str) -> Result<[(f64, f64); 2]> {
    let bad = |problem: &str| {
        Error::bad_value("--range", text, problem, "write --range=-1,1 or --range=-1,1,-2,2")
    };
    let numbers: Vec<f64> = text
        .split(',')
        .map(|n| n.trim().parse().ok().filter(|v: &f64| v.is_finite()))
        .collect::<Option<_>>()
        .ok_or_else(|| bad("not a list of numbers"))?;
    let (x, y) = match numbers[..] {
        [a, b] => ((a, b), (a, b)),
        [a, b, c, d] => ((a, b), (c, d)),
        _ => return Err(bad("neither two nor four numbers")),
    };
    if x.0 >= x.1 || y.0 >= y.1 {
        return Err(bad("a minimum that is not below its maximum"));
    }
    Ok([x, y])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_ranges_parse_or_say_how_to_write_them() {
        assert_eq!(parse_size("51x31").unwrap(), [51, 31]);
        assert_eq!(parse_size("7").unwrap(), [7, 7]);
        assert_eq!(parse_range("-1,1").unwrap(), [(-1.0, 1.0); 2]);
        assert_eq!(parse_range("-1,1,0,2e3").unwrap(), [(-1.0, 1.0), (0.0, 2000.0)]);
        for text in ["", "0x5", "axb", "5x5x5", "99999"] {
            assert!(parse_size(text).unwrap_err().to_string().contains("51x51"), "{text}");
        }
        for text in ["1", "1,-1", "a,b", "1,2,3", "0,nan", "0,inf"] {
            assert!(parse_range(text).unwrap_err().to_string().contains("--range"), "{text}");
        }
    }
}
