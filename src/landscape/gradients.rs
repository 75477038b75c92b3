//! Measured gradients over a plane: at the points of a light grid of its own the gradient in parameter
//! space, of which the part along the plane's two axes is kept. That is what arrows on a map can
//! honestly show: the slope of the surface at a point is known there, not made of its neighbours.

use std::sync::atomic::AtomicBool;

use serde::{Deserialize, Serialize};

use super::points::{PointCell, PointStore};
use crate::Result;
use crate::objective::Objective;

/// The gradient at one point.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GradientCell {
    /// Row-major index.
    pub k: usize,
    /// The loss there.
    #[serde(with = "crate::disk::float")]
    pub loss: f64,
    /// <gradient, x>: how the loss changes per unit of the plane's first coordinate. For axes of
    /// length 1 the gradient's component along them; NaN where the network overflows.
    #[serde(with = "crate::disk::float")]
    pub gx: f64,
    /// <gradient, y>, likewise.
    #[serde(with = "crate::disk::float")]
    pub gy: f64,
    /// Length of the whole gradient: what of it the plane does not show, too.
    #[serde(with = "crate::disk::float")]
    pub norm: f64,
}

impl GradientCell {
    /// The gradient of `objective` at `theta`, seen along `x` and `y`, all (P,); `grad` is scratch.
    fn measure(
        k: usize,
        objective: &dyn Objective,
        theta: &[f32],
        [x, y]: [&[f32]; 2],
        grad: &mut [f32],
    ) -> Result<Self> {
        let loss = objective.loss_and_grad(theta, grad)?;
        let dot = |a: &[f32], b: &[f32]| -> f64 {
            a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
        };
        let (gx, gy, norm) = (dot(grad, x), dot(grad, y), dot(grad, grad).sqrt());
        Ok(Self { k, loss, gx, gy, norm })
    }
}

impl PointCell for GradientCell {
    const FOLDER: &'static str = "gradients";

    fn k(&self) -> usize {
        self.k
    }
}

/// A folder of measured gradients: `gradients/` in a surface's folder.
pub type GradientStore = PointStore<GradientCell>;

impl GradientStore {
    /// Measures what is missing on the plane of `origin`, `x` and `y`, as [`PointStore::fill`].
    ///
    /// # Errors
    /// Those of [`PointStore::fill`] and of the objective.
    pub fn measure(
        &mut self,
        plane: [&[f32]; 3],
        objective: &dyn Objective,
        interrupt: &AtomicBool,
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<()> {
        let [origin, x, y] = plane;
        let mut grad = vec![0.0; origin.len()];
        let measure =
            |k: usize, theta: &[f32]| GradientCell::measure(k, objective, theta, [x, y], &mut grad);
        self.fill(plane, measure, interrupt, progress)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::Ordering;

    use super::super::points::point_grid;
    use super::super::{Axis, Grid, Header, theta_at};
    use super::*;
    use crate::backend::{BackendName, Precision, backend};
    use crate::dataset::SplitName;
    use crate::dataset::{DataSet, LoadOptions, NormChoice, NormStats, load};
    use crate::models::ModelSpec;
    use crate::network::ParamLayout;
    use crate::objective::{BatchNormPolicy, DatasetObjective, Evaluation, Quadratic};
    use crate::record::{EvaluatedOn, SampleSource};
    use crate::rng::Streams;

    fn header(grid: Grid) -> Header {
        Header {
            through: None,
            until: None,
            format_version: 1,
            grid,
            plane_digest: "p".into(),
            plane: "x and y".into(),
            on: EvaluatedOn {
                dataset: "none".into(),
                data_digest: String::new(),
                split: SplitName::Train,
                samples: 0,
                sample_order: SampleSource::File,
                sample_seed: 0,
                batch_norm: BatchNormPolicy::None,
                backend: "analytic".into(),
                precision: Precision::F32,
                precision_error: None,
                answers: 1,
                norm_stats: None,
            },
        }
    }

    fn grid() -> Grid {
        let axis = |min, max| Axis { min, max, n: 41 };
        point_grid(&Grid { x: axis(-2.0, 2.0), y: axis(-1.0, 3.0) }, [5, 4])
    }

    const PLANE: [&[f32]; 3] = [&[0.5, 0.0, 1.0], &[2.0, 0.0, 1.0], &[0.0, 1.0, 3.0]];

    fn quadratic() -> Quadratic {
        Quadratic { curvature: vec![3.0, -1.0, 0.5], centre: vec![1.0, 2.0, -3.0] }
    }

    fn measured(folder: &Path, objective: &dyn Objective) -> GradientStore {
        let mut store = GradientStore::begin(folder, header(grid())).unwrap();
        store.measure(PLANE, objective, &AtomicBool::new(false), &|_, _| ()).unwrap();
        store
    }

    #[test]
    fn points_are_in_the_middle_of_tiles() {
        let grid = grid();
        assert_eq!(grid.point(0), [-1.6, -0.5]);
        assert_eq!(grid.point(19), [1.6, 2.5]);
    }

    #[test]
    fn a_quadratics_gradients_are_the_analytic_ones_per_unit_of_skew_axes_of_any_length() {
        let folder = tempfile::tempdir().unwrap();
        let store = measured(folder.path(), &quadratic());
        let (Quadratic { curvature, centre }, [origin, x, y]) = (quadratic(), PLANE);
        for cell in store.cells.iter().flatten() {
            let [a, b] = store.header.grid.point(cell.k);
            let gradient: Vec<f64> = (0..3)
                .map(|i| {
                    let at = f64::from(origin[i]) + a * f64::from(x[i]) + b * f64::from(y[i]);
                    curvature[i] * (at - centre[i])
                })
                .collect();
            let along = |d: &[f32]| -> f64 { (0..3).map(|i| gradient[i] * f64::from(d[i])).sum() };
            let norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
            // theta and the gradient are rounded to f32.
            for (found, want) in [(cell.gx, along(x)), (cell.gy, along(y)), (cell.norm, norm)] {
                assert!((found - want).abs() < 1e-5 * norm.max(1.0), "{cell:?}: {want}");
            }
        }
        assert_eq!(store.cells.iter().flatten().count(), 20);
    }

    #[test]
    fn interrupted_gradients_go_on_and_end_in_the_same_bytes() {
        let (whole, halved) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        measured(whole.path(), &quadratic());
        let mut store = GradientStore::begin(halved.path(), header(grid())).unwrap();
        let interrupt = AtomicBool::new(false);
        let stop = |done: usize, _: usize| interrupt.store(done == 7, Ordering::Relaxed);
        let err = store.measure(PLANE, &quadratic(), &interrupt, &stop).unwrap_err().to_string();
        assert!(err.contains("7 of 20 gradients are kept"), "{err}");
        assert_eq!(GradientStore::open(halved.path()).unwrap().unwrap().missing().len(), 13);
        measured(halved.path(), &quadratic());
        let read = |at: &Path| std::fs::read(at.join("gradients/cells.jsonl")).unwrap();
        assert!(read(whole.path()) == read(halved.path()));
        let other = point_grid(&grid(), [3, 3]);
        let err = GradientStore::begin(whole.path(), header(other)).unwrap_err().to_string();
        assert!(err.contains("5x4 points"), "{err}");
    }

    #[test]
    fn an_overflow_is_a_nan_that_is_done() {
        struct Nowhere;
        impl Objective for Nowhere {
            fn dim(&self) -> usize {
                3
            }
            fn loss(&self, _: &[f32]) -> Result<Evaluation> {
                unreachable!("gradients need no second loss")
            }
            fn loss_and_grad(&self, theta: &[f32], grad: &mut [f32]) -> Result<f64> {
                grad.fill(if theta[0] < 0.0 { f32::NAN } else { 1.0 });
                Ok(f64::NAN)
            }
        }
        let folder = tempfile::tempdir().unwrap();
        measured(folder.path(), &Nowhere);
        let again = GradientStore::open(folder.path()).unwrap().unwrap();
        let nan = again.cells.iter().flatten().filter(|c| c.gx.is_nan()).count();
        assert!(again.missing().is_empty() && nan == 8, "{nan}");
    }

    /// A unit vector of sines.
    fn direction(layout: &ParamLayout, phase: f64) -> Vec<f32> {
        let v: Vec<f64> = (0..layout.dim()).map(|i| (0.37 * i as f64 + phase).sin()).collect();
        let norm = v.iter().map(|v| v * v).sum::<f64>().sqrt();
        v.iter().map(|v| (v / norm) as f32).collect()
    }

    #[test]
    fn a_nets_measured_gradient_is_the_slope_of_its_surface() {
        let data = load(DataSet::Digits, &LoadOptions::default()).unwrap();
        let model = ModelSpec { width: 0.25, ..ModelSpec::of("resnet8") };
        let network = Arc::new(model.build(data.shape(), data.classes).unwrap());
        let theta = network.init_theta(&Streams::new(4));
        let (x, y) = (direction(&network.layout, 0.0), direction(&network.layout, 1.0));
        let stats = NormStats::of(&data, &NormChoice::Dataset).unwrap();
        let sample = Arc::new(data.train.select(&(0..200).collect::<Vec<_>>()));
        for name in [BackendName::Native, BackendName::Candle] {
            let (engine, buffers) = (backend(name, network.clone()), network.init_buffers());
            let objective = DatasetObjective::new(
                engine.unwrap(),
                buffers,
                sample.clone(),
                stats.clone(),
                data.max_value,
            );
            let objective = objective.unwrap();
            let mut grad = vec![0.0; theta.len()];
            for at in [[0.0, 0.0], [0.8, -0.5], [-1.0, 1.5]] {
                let loss = |da: f64, db: f64| {
                    let point = theta_at(&theta, &x, &y, [at[0] + da, at[1] + db]);
                    objective.loss(&point).unwrap().loss
                };
                let h = 0.02;
                let slope = [
                    (loss(h, 0.0) - loss(-h, 0.0)) / (2.0 * h),
                    (loss(0.0, h) - loss(0.0, -h)) / (2.0 * h),
                ];
                let point = theta_at(&theta, &x, &y, at);
                let cell = GradientCell::measure(0, &objective, &point, [&x, &y], &mut grad);
                let cell = cell.unwrap();
                let steep = cell.gx.hypot(cell.gy);
                // Losses in f32 are good to 1e-7 of them over 0.04; the rest is h^2 and the kinks.
                for (found, want) in [cell.gx, cell.gy].into_iter().zip(slope) {
                    let off = (found - want).abs();
                    assert!(off < 0.02 * steep + 2e-5, "{name} {at:?}: {cell:?} {slope:?}");
                }
                assert!(cell.norm >= 0.99 * cell.gx.abs().max(cell.gy.abs()), "{cell:?}");
            }
        }
    }
}
