//! Whether the loss is convex, point by point (Li et al. 2018, section 6): the ratio |lambda_min / lambda_max| of
//! the Hessian's extreme eigenvalues at the points of a light grid over a plane. Where it is near 0 the loss is
//! convex there, not only in the two directions of the plane. As in the paper's code the Hessian is that of the
//! tensors with more than one dimension.

use std::sync::atomic::AtomicBool;

use serde::{Deserialize, Serialize};

use super::points::{PointCell, PointStore};
use crate::Result;
use crate::curvature::{Block, Curvature, ExtremesConfig, extremes_of, parameters};
use crate::network::ParamLayout;
use crate::objective::Objective;
use crate::rng::Streams;

/// Lanczos' process at a point: 0.02 of the largest eigenvalue is a residual of 0.02 in the ratio, and the
/// ratio's error is about the square of that.
const CONFIG: ExtremesConfig =
    ExtremesConfig { largest: 1, smallest: 1, tolerance: 0.02, max_iterations: 60 };

/// A residual of the ratio above which it is not known.
const MOST_ERROR: f64 = 0.05;

/// The ends of the Hessian's spectrum at one point.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ConvexityCell {
    /// Row-major index.
    pub k: usize,
    /// The largest eigenvalue; NaN where the network overflows.
    #[serde(with = "crate::disk::float")]
    pub largest: f64,
    /// The smallest.
    #[serde(with = "crate::disk::float")]
    pub smallest: f64,
    /// The larger of their residuals, over the larger of their magnitudes.
    #[serde(with = "crate::disk::float")]
    pub residual: f64,
    /// Products with the Hessian that they took.
    pub products: usize,
}

impl ConvexityCell {
    /// |smallest / largest|, and 0 where no eigenvalue is negative; NaN where they are not known well enough.
    pub fn ratio(&self) -> f64 {
        if self.residual.is_nan() || self.residual > MOST_ERROR {
            return f64::NAN;
        }
        (-self.smallest).max(0.0) / self.largest.abs()
    }

    /// Measures the Hessian of `objective` at `theta`, (P,).
    fn measure(
        k: usize,
        objective: &dyn Objective,
        layout: &ParamLayout,
        theta: &[f32],
        interrupt: &AtomicBool,
    ) -> Result<Self> {
        let hessian = Curvature::hessian(objective, theta);
        let weights = Block::new(&hessian, parameters(layout, "weights")?);
        // Every point from the same vector: neighbours differ by what they are, not by a draw.
        let found = extremes_of(&weights, CONFIG, &Streams::new(0), interrupt)?;
        let first = |values: &[f64], residuals: &[f64], rest: Option<(f64, f64)>| {
            let known = values.first().copied().zip(residuals.first().copied());
            known.or(rest).unwrap_or((f64::NAN, f64::NAN))
        };
        let rest = |of: &[crate::curvature::Estimate]| of.first().map(|e| (e.value, e.residual));
        let (largest, high) =
            first(&found.eigenvalues, &found.residuals, rest(&found.rest_of_largest));
        let (smallest, low) =
            first(&found.smallest, &found.smallest_residuals, rest(&found.rest_of_smallest));
        let scale = largest.abs().max(smallest.abs());
        // `max` would drop a NaN.
        let residual = if (high + low).is_finite() { high.max(low) / scale } else { f64::NAN };
        Ok(Self { k, largest, smallest, residual, products: found.iterations })
    }
}

impl PointCell for ConvexityCell {
    const FOLDER: &'static str = "convexity";

    fn k(&self) -> usize {
        self.k
    }
}

/// A folder of convexities: `convexity/` in a surface's folder.
pub type ConvexityStore = PointStore<ConvexityCell>;

impl ConvexityStore {
    /// Measures what is missing on the plane of `origin`, `x` and `y`, as [`PointStore::fill`]; `layout` is that
    /// of the parameters.
    ///
    /// # Errors
    /// Those of [`PointStore::fill`] and of the objective.
    pub fn measure(
        &mut self,
        plane: [&[f32]; 3],
        objective: &dyn Objective,
        layout: &ParamLayout,
        interrupt: &AtomicBool,
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<()> {
        let measure = |k: usize, theta: &[f32]| {
            ConvexityCell::measure(k, objective, layout, theta, interrupt)
        };
        self.fill(plane, measure, interrupt, progress)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::ModelSpec;
    use crate::objective::{Evaluation, Quadratic};

    /// A linear net of 4 outputs and 3 inputs: 12 weights and 4 biases.
    fn layout() -> ParamLayout {
        let model = ModelSpec { hidden: vec![], ..ModelSpec::of("mlp") };
        model.build([1, 1, 3], 4).unwrap().layout
    }

    fn at(objective: &dyn Objective) -> ConvexityCell {
        let go = AtomicBool::new(false);
        ConvexityCell::measure(0, objective, &layout(), &[0.1; 16], &go).unwrap()
    }

    #[test]
    fn a_known_hessian_has_its_ratio_and_biases_are_no_part_of_it() {
        let mut curvature: Vec<f64> = (1..=16).map(f64::from).collect();
        curvature[3] = -2.4;
        // The largest and the smallest of all are biases'.
        (curvature[14], curvature[15]) = (-100.0, 100.0);
        let cell = at(&Quadratic { curvature: curvature.clone(), centre: vec![0.0; 16] });
        // A residual of up to 0.02 * 12 over a gap of 1, squared.
        let off = (cell.largest - 12.0).abs().max((cell.smallest + 2.4).abs());
        assert!(off < 0.06, "{cell:?}");
        assert!((cell.ratio() - 0.2).abs() < 2e-3, "{cell:?}");
        curvature[3] = 4.0;
        let convex = at(&Quadratic { curvature, centre: vec![0.0; 16] });
        assert_eq!(convex.ratio(), 0.0, "{convex:?}");
    }

    #[test]
    fn what_overflows_or_is_not_known_well_has_no_ratio() {
        struct Nowhere;
        impl Objective for Nowhere {
            fn dim(&self) -> usize {
                16
            }
            fn loss(&self, _: &[f32]) -> Result<Evaluation> {
                unreachable!("curvature needs no loss")
            }
            fn loss_and_grad(&self, _: &[f32], grad: &mut [f32]) -> Result<f64> {
                grad.fill(f32::NAN);
                Ok(f64::NAN)
            }
        }
        assert!(at(&Nowhere).ratio().is_nan());
        let rough =
            ConvexityCell { k: 0, largest: 1.0, smallest: -0.5, residual: 0.2, products: 60 };
        assert!(rough.ratio().is_nan());
    }
}
