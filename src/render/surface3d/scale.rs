//! From values to heights: the level scale of the other pictures, or a linear one, cut off where
//! the user says.

use crate::error::{Error, Result};
use crate::render::page::scale::{LevelScale, Spacing, ticks};
use crate::render::scene::Levels;

/// How heights grow with values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Heights {
    /// Logarithmic where no value is negative, else linear.
    #[default]
    Auto,
    /// Equal steps are equal factors.
    Log,
    /// Equal steps are equal differences.
    Linear,
}

/// The scale of `values`, cut off at `clip`, with the levels of `choice`.
///
/// Errors: [`Error::BadValue`] on logarithmic heights for negative values, and on a `clip` with
/// nothing below it.
pub fn scale(
    values: &[f64],
    heights: Heights,
    clip: Option<f64>,
    choice: &Levels,
) -> Result<LevelScale> {
    let negative = values.iter().any(|v| *v < 0.0);
    if heights == Heights::Log && negative {
        return Err(Error::bad_value(
            "heights",
            "log",
            "the surface has negative values",
            "choose linear heights",
        ));
    }
    let kept: Vec<f64> = match clip {
        None => values.to_vec(),
        Some(clip) => values.iter().copied().filter(|v| v.is_nan() || *v <= clip).collect(),
    };
    let finite = |v: &[f64]| v.iter().any(|v| v.is_finite());
    if let Some(clip) = clip.filter(|c| !c.is_finite() || (finite(values) && !finite(&kept))) {
        return Err(Error::bad_value(
            "clip",
            clip,
            "nothing of the surface lies below it",
            "choose a value between its lowest and its highest",
        ));
    }
    let mut scale = match heights {
        Heights::Linear => linear(&kept),
        Heights::Log => LevelScale::new(kept.iter().copied()),
        Heights::Auto => LevelScale::chosen(kept.iter().copied(), choice),
    };
    if let Some(clip) = clip.filter(|clip| values.iter().any(|v| v > clip)) {
        // The cap lies at the value asked for, not at the greatest sample below it.
        scale.high = if scale.clipped_high { scale.high } else { clip };
        scale.clipped_high = true;
    }
    Ok(scale)
}

/// A linear scale from the least value to the greatest, or to the 98th percentile where the rest
/// would flatten everything below.
fn linear(values: &[f64]) -> LevelScale {
    let mut finite: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    finite.sort_by(f64::total_cmp);
    let (Some(&low), Some(&largest)) = (finite.first(), finite.last()) else {
        return LevelScale::new(values.iter().copied());
    };
    // As on the other scale: less than rounding is nothing.
    let largest = if largest - low > 1e-9 * largest.abs().max(low.abs()) { largest } else { low };
    let percentile_98 = finite[finite.len() * 98 / 100].min(largest);
    let high = if largest - low > 4.0 * (percentile_98 - low) && percentile_98 > low {
        percentile_98
    } else {
        largest
    };
    let inside = |v: &f64| *v > low && *v < high;
    let levels: Vec<f64> = ticks(low, high, 12).into_iter().filter(inside).collect();
    LevelScale {
        levels: if levels.is_empty() { vec![low] } else { levels },
        spacing: Spacing::Linear,
        low,
        high,
        clipped_low: values.contains(&f64::NEG_INFINITY),
        clipped_high: high < largest || values.contains(&f64::INFINITY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(values: &[f64], heights: Heights, clip: Option<f64>) -> Result<LevelScale> {
        super::scale(values, heights, clip, &Levels::default())
    }

    #[test]
    fn heights_are_logarithmic_linear_and_clipped_as_asked() {
        let values = [0.1, 1.0, 10.0, 50.0];
        let auto = scale(&values, Heights::Auto, None).unwrap();
        assert_eq!((auto.spacing, auto.low, auto.high), (Spacing::Log, 0.1, 50.0));
        let linear = scale(&values, Heights::Linear, Some(20.0)).unwrap();
        assert_eq!(
            (linear.spacing, linear.high, linear.clipped_high),
            (Spacing::Linear, 20.0, true)
        );
        assert!(
            scale(&[-1.0, 1.0], Heights::Log, None).unwrap_err().to_string().contains("linear")
        );
        assert!(scale(&values, Heights::Auto, Some(0.05)).is_err());
        let noise = [1.0, 1.0 + 1e-12, 1.0 + 3e-12];
        for heights in [Heights::Auto, Heights::Linear] {
            let flat = scale(&noise, heights, None).unwrap();
            assert!(flat.low == flat.high && !flat.clipped_high, "{flat:?}");
        }
        assert!(scale(&[f64::NAN], Heights::Linear, Some(1.0)).is_ok());
    }
}
