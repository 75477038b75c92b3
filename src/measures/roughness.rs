//! Roughness: how much a surface goes up and down for the height that it spans.
//!
//! Along a row or a column the total variation, the sum of the absolute differences between neighbours, is at
//! least the range between its lowest and its highest loss. Their ratio is 1 on a slope, at most 2 across one
//! valley or one hill, and grows by each further one. It depends neither on the loss's unit nor on its scale.

use super::Field;

/// The mean of that ratio over the rows and columns that are not flat; NaN where all are. Holes are left out:
/// the cells on both sides count as neighbours.
pub fn roughness(field: &Field) -> f64 {
    let (nx, ny) = (field.nx(), field.ny());
    let row = |iy: usize| (0..nx).map(|ix| field.values[iy * nx + ix]).collect::<Vec<f64>>();
    let column = |ix: usize| (0..ny).map(|iy| field.values[iy * nx + ix]).collect::<Vec<f64>>();
    let lines = (0..ny).map(row).chain((0..nx).map(column));
    let ratios: Vec<f64> = lines.filter_map(|line| of_line(&line)).collect();
    ratios.iter().sum::<f64>() / ratios.len() as f64
}

fn of_line(line: &[f64]) -> Option<f64> {
    let finite: Vec<f64> = line.iter().copied().filter(|v| v.is_finite()).collect();
    let variation: f64 = finite.windows(2).map(|w| (w[1] - w[0]).abs()).sum();
    let low = finite.iter().copied().fold(f64::INFINITY, f64::min);
    let high = finite.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (finite.len() > 1 && high > low).then(|| variation / (high - low))
}

#[cfg(test)]
mod tests {
    use super::super::field::tests::of;
    use super::*;

    #[test]
    fn a_slope_has_1_a_valley_2_and_waves_two_for_each() {
        assert!((roughness(&of(31, 1.0, |x, y| x + 2.0 * y)) - 1.0).abs() < 1e-12);
        assert!((roughness(&of(31, 1.0, |x, y| x * x + y * y)) - 2.0).abs() < 1e-12);
        // Three whole waves from the middle of a slope: 12 quarter waves up and down of half the range.
        let waves = roughness(&of(241, 1.0, |x, y| {
            (3.0 * std::f64::consts::PI * x).sin() + (3.0 * std::f64::consts::PI * y).sin()
        }));
        assert!((waves - 6.0).abs() < 0.01, "{waves}");
        assert!(roughness(&of(5, 1.0, |_, _| 1.0)).is_nan());
    }
}
