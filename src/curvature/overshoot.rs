//! Whether a step went too far: the alpha of Schneider, Dangel and Hennig's Cockpit (2021, arXiv:2102.06604).
//!
//! Along a step d from theta the loss has the slope a = <gradient(theta), d> where the step begins and
//! b = <gradient(theta + d), d> where it ends. The parabola with these slopes has its minimum after a / (a - b) of
//! the step, and alpha = -b / a says where the step ended on it: -1 where it did not move down the parabola at all,
//! 0 at the minimum, 1 on the other side as high as where it began, above 1 higher than that. Cockpit fits the
//! parabola to losses and slopes of mini-batches; here both slopes are of the same images, whose noise is then in
//! both, and two slopes are enough.

use std::sync::atomic::{AtomicBool, Ordering};

use super::{GRADIENT_GROUPS, Mean, jackknife};
use crate::objective::{DatasetObjective, Objective};
use crate::rng::Streams;
use crate::{Error, Result};

/// Where a step ended on the parabola along it. The standard errors are the jackknife's over groups of images.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Overshoot {
    /// The slope along the step where it began, in loss for the whole step; above zero the step went uphill on
    /// these images.
    pub before: Mean,
    /// The same where it ended.
    pub after: Mean,
    /// -after / before; not a number where the step went uphill from its beginning.
    pub alpha: Mean,
    /// Length of the step, in units of theta.
    pub length: f64,
}

impl Overshoot {
    /// That of the step from `from` to `to`, (P,) each, on the images of `objective`, in [`GRADIENT_GROUPS`] groups
    /// (or single images where there are fewer), drawn with `streams` (stream `gradient_groups`); `None` where there
    /// are fewer than 3 images, and for a step of no length.
    ///
    /// # Errors
    /// [`Error::Interrupted`]; those of the backend.
    pub fn of(
        objective: &DatasetObjective,
        from: &[f32],
        to: &[f32],
        streams: &Streams,
        interrupt: &AtomicBool,
    ) -> Result<Option<Self>> {
        let step: Vec<f64> =
            to.iter().zip(from).map(|(to, from)| f64::from(*to) - f64::from(*from)).collect();
        let length = step.iter().map(|d| d * d).sum::<f64>().sqrt();
        if objective.samples() < 3 || length == 0.0 {
            return Ok(None);
        }
        let parts = objective.groups(GRADIENT_GROUPS, &mut streams.stream("gradient_groups", 0))?;
        let mut gradient = vec![0.0f32; from.len()];
        let mut slopes = Vec::with_capacity(parts.len());
        for part in &parts {
            let mut slope = |at: &[f32]| -> Result<f64> {
                if interrupt.load(Ordering::Relaxed) {
                    return Err(Error::Interrupted { remedy: "run the same command again".into() });
                }
                part.loss_and_grad(at, &mut gradient)?;
                Ok(gradient.iter().zip(&step).map(|(g, d)| f64::from(*g) * d).sum())
            };
            slopes.push([slope(from)?, slope(to)?]);
        }
        Ok(Some(Self::of_slopes(&slopes, length)))
    }

    /// From the slopes before and after of each of 3 groups or more.
    fn of_slopes(slopes: &[[f64; 2]], length: f64) -> Self {
        let n = slopes.len() as f64;
        let sum = |side: usize| slopes.iter().map(|s| s[side]).sum::<f64>();
        let sums = [sum(0), sum(1)];
        let mean = |of: fn([f64; 2]) -> f64| {
            let without =
                |own: &[f64; 2]| of([0, 1].map(|side| (sums[side] - own[side]) / (n - 1.0)));
            let each: Vec<f64> = slopes.iter().map(without).collect();
            Mean { value: of(sums.map(|sum| sum / n)), se: jackknife(&each) }
        };
        Self {
            before: mean(|s| s[0]),
            after: mean(|s| s[1]),
            alpha: mean(|[before, after]| if before < 0.0 { -after / before } else { f64::NAN }),
            length,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::backend::{BackendName, backend};
    use crate::dataset::{DataSet, LoadOptions, NormChoice, NormStats, load};
    use crate::models::ModelSpec;

    static NEVER: AtomicBool = AtomicBool::new(false);

    /// Groups that all have the same parabola, c/2 (t - m)^2, at t = 0 and t = 1.
    fn on_a_parabola(minimum: f64) -> f64 {
        let slopes = [[-3.0 * minimum, 3.0 * (1.0 - minimum)]; 5];
        let found = Overshoot::of_slopes(&slopes, 2.0);
        assert!(found.alpha.value.is_nan() || found.alpha.se < 1e-12, "{found:?}");
        found.alpha.value
    }

    #[test]
    fn it_says_where_a_step_ends_on_a_parabola() {
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
        near(on_a_parabola(1.0), 0.0);
        near(on_a_parabola(0.5), 1.0);
        near(on_a_parabola(2.0), -0.5);
        near(on_a_parabola(1e9), -1.0 + 1e-9);
        near(on_a_parabola(0.25), 3.0);
        assert!(on_a_parabola(-1.0).is_nan());
    }

    #[test]
    fn its_error_is_the_one_that_repetition_shows() {
        let mut rng = Streams::new(3).stream("test", 0);
        let all: Vec<Overshoot> = (0..400)
            .map(|_| {
                let noise = |rng: &mut crate::rng::Rng| 0.3 * rng.normal();
                let slopes: Vec<[f64; 2]> = (0..20)
                    .map(|_| {
                        let common = noise(&mut rng);
                        [-2.0 + common, 0.5 + common + noise(&mut rng)]
                    })
                    .collect();
                Overshoot::of_slopes(&slopes, 1.0)
            })
            .collect();
        let values: Vec<f64> = all.iter().map(|one| one.alpha.value).collect();
        let found = Mean::of(&values);
        assert!((found.value - 0.25).abs() < 4.0 * found.se + 1e-3, "{found:?}");
        let spread = found.se * 400f64.sqrt();
        let told = Mean::of(&all.iter().map(|one| one.alpha.se).collect::<Vec<_>>()).value;
        assert!((told / spread - 1.0).abs() < 0.15, "{told} {spread}");
    }

    #[test]
    fn its_slopes_are_those_of_the_loss_of_a_network() {
        let data = load(DataSet::Digits, &LoadOptions::default()).unwrap();
        let network = ModelSpec::of("mlp").build(data.shape(), data.classes).unwrap();
        let (theta, buffers) = (network.init_theta(&Streams::new(1)), network.init_buffers());
        let engine = backend(BackendName::Native, Arc::new(network)).unwrap();
        let stats = NormStats::of(&data, &NormChoice::Dataset).unwrap();
        let sample = Arc::new(data.train.select(&(0..100).collect::<Vec<_>>()));
        let objective =
            DatasetObjective::new(engine, buffers, sample, stats, data.max_value).unwrap();
        let mut gradient = vec![0.0; theta.len()];
        objective.loss_and_grad(&theta, &mut gradient).unwrap();
        let along = |rate: f32| -> Vec<f32> {
            theta.iter().zip(&gradient).map(|(w, g)| w - rate * g).collect()
        };
        let of = |to: &[f32]| Overshoot::of(&objective, &theta, to, &Streams::new(0), &NEVER);
        let found = of(&along(0.1)).unwrap().unwrap();
        // Central differences of the loss along the step, for the whole step.
        let loss = |t: f32| objective.loss(&along(0.1 * t)).unwrap().loss;
        for (t, told) in [(0.0, found.before.value), (1.0, found.after.value)] {
            let slope = (loss(t + 0.02) - loss(t - 0.02)) / 0.04;
            assert!((told / slope - 1.0).abs() < 1e-2, "{t}: {told} {slope}");
        }
        let norm = gradient.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>();
        assert!((found.before.value / (-0.1 * norm) - 1.0).abs() < 1e-4, "{found:?}");
        assert!((found.length / (0.1 * norm.sqrt()) - 1.0).abs() < 1e-4, "{found:?}");
        // A tiny step falls short, a huge one overshoots, uphill there is none, nor for no step.
        let alpha = |rate| of(&along(rate)).unwrap().unwrap().alpha.value;
        assert!(alpha(1e-4) < -0.9 && alpha(1e-4) > -1.0 && alpha(10.0) > 0.0);
        assert!(alpha(-0.1).is_nan());
        assert_eq!(of(&theta.clone()).unwrap(), None);
        let stop = AtomicBool::new(true);
        let stopped = Overshoot::of(&objective, &theta, &along(0.1), &Streams::new(0), &stop);
        assert!(matches!(stopped, Err(Error::Interrupted { .. })));
    }
}
