//! How noisy the gradient of a batch is: McCandlish et al.'s (2018, arXiv:1812.06162) simple noise scale.
//!
//! A batch of B images has a gradient whose mean is the gradient G of the expected loss and whose covariance is
//! Sigma / B, where Sigma is that of single images. B = tr Sigma / |G|^2 is the batch at which noise and signal
//! are equally long: below it twice the batch is worth twice the steps, far above it hardly anything.

use std::sync::atomic::{AtomicBool, Ordering};

use super::{Mean, jackknife};
use crate::objective::{DatasetObjective, Objective};
use crate::rng::Streams;
use crate::{Error, Result};

/// Groups of images whose gradients tell the noise.
pub const GRADIENT_GROUPS: usize = 20;

/// The gradient's noise at a point, estimated from the gradients of groups of images. The standard errors are
/// the jackknife's over the groups.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GradientNoise {
    /// |G|^2, unbiased, so that it may be below zero where the gradient is lost in its noise.
    pub squared_gradient: Mean,
    /// tr Sigma, the variance of a single image's gradient summed over the parameters.
    pub variance: Mean,
    /// The simple noise scale tr Sigma / |G|^2, in images; not a number where |G|^2 is not above zero.
    pub scale: Mean,
    /// |G|^2 / tr Sigma, the ratio of signal to noise of a single image; that of a batch of B is B times it.
    pub signal: Mean,
}

impl GradientNoise {
    /// The noise of the gradient of `objective` at `theta`, from [`GRADIENT_GROUPS`] groups of its images (or from
    /// single images where there are fewer), drawn with `streams` (stream `gradient_groups`); `None` where there
    /// are fewer than 3 images.
    ///
    /// # Errors
    /// Those of [`gradient_noise`].
    pub fn of(
        objective: &DatasetObjective,
        theta: &[f32],
        streams: &Streams,
        interrupt: &AtomicBool,
    ) -> Result<Option<Self>> {
        if objective.samples() < 3 {
            return Ok(None);
        }
        let parts = objective.groups(GRADIENT_GROUPS, &mut streams.stream("gradient_groups", 0))?;
        let gradient = |k: usize, into: &mut [f32]| {
            parts[k].loss_and_grad(theta, into)?;
            Ok(())
        };
        gradient_noise(theta.len(), parts.len(), parts[0].samples(), gradient, interrupt).map(Some)
    }

    /// The ratio of signal to noise of a batch of `images`, and its standard error.
    pub fn batch_signal(&self, images: usize) -> Mean {
        let times = images as f64;
        Mean { value: times * self.signal.value, se: times * self.signal.se }
    }

    /// |G|, and its standard error; not a number where |G|^2 is not above zero.
    pub fn gradient(&self) -> Mean {
        let value = self.squared_gradient.value.sqrt();
        Mean { value, se: self.squared_gradient.se / (2.0 * value) }
    }
}

/// |G|^2 and tr Sigma of `groups` groups of `images` images: `sum` is the squared length of the sum of their
/// gradients and `squares` the sum of the squared lengths.
fn estimate(groups: f64, images: f64, sum: f64, squares: f64) -> [f64; 2] {
    let between = (squares - sum / groups) / (groups - 1.0);
    [sum / (groups * groups) - between / groups, images * between]
}

/// tr Sigma / |G|^2, where there is a gradient.
fn scale([squared, variance]: [f64; 2]) -> f64 {
    if squared > 0.0 { variance / squared } else { f64::NAN }
}

/// The noise of the gradient from the mean gradients of `groups` groups of `images` different images each,
/// which `gradient(k, into)` writes for group k, (`dim`,). Each is asked for twice.
///
/// # Errors
/// [`Error::BadValue`] for fewer than 3 groups; [`Error::Interrupted`]; those of `gradient`.
pub fn gradient_noise(
    dim: usize,
    groups: usize,
    images: usize,
    gradient: impl Fn(usize, &mut [f32]) -> Result<()>,
    interrupt: &AtomicBool,
) -> Result<GradientNoise> {
    if groups < 3 {
        let problem = "too few for an error over groups of images";
        return Err(Error::bad_value("groups", groups, problem, "use 3 or more"));
    }
    let mut own = vec![0.0f32; dim];
    let mut next = |k: usize, of: &mut dyn FnMut(&[f32])| {
        if interrupt.load(Ordering::Relaxed) {
            return Err(Error::Interrupted { remedy: "run the same command again".into() });
        }
        gradient(k, &mut own)?;
        of(&own);
        Ok(())
    };
    let mut sum = vec![0.0f64; dim];
    for k in 0..groups {
        next(k, &mut |g| sum.iter_mut().zip(g).for_each(|(s, g)| *s += f64::from(*g)))?;
    }
    // Of each group the squared length of its gradient and the product with the sum.
    let mut parts = Vec::with_capacity(groups);
    for k in 0..groups {
        next(k, &mut |g| {
            let square: f64 = g.iter().map(|g| f64::from(*g).powi(2)).sum();
            let with_sum: f64 = g.iter().zip(&sum).map(|(g, s)| f64::from(*g) * s).sum();
            parts.push((square, with_sum));
        })?;
    }
    let whole: f64 = sum.iter().map(|s| s * s).sum();
    let squares: f64 = parts.iter().map(|p| p.0).sum();
    let (n, images) = (groups as f64, images as f64);
    let all = estimate(n, images, whole, squares);
    let without: Vec<[f64; 2]> = parts
        .iter()
        .map(|(square, with_sum)| {
            estimate(n - 1.0, images, whole - 2.0 * with_sum + square, squares - square)
        })
        .collect();
    let mean = |of: &dyn Fn([f64; 2]) -> f64| {
        let each: Vec<f64> = without.iter().map(|&w| of(w)).collect();
        Mean { value: of(all), se: jackknife(&each) }
    };
    Ok(GradientNoise {
        squared_gradient: mean(&|e| e[0]),
        variance: mean(&|e| e[1]),
        scale: mean(&scale),
        signal: mean(&|e| e[0] / e[1]),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::backend::{BackendName, backend};
    use crate::dataset::{DataSet, LoadOptions, NormChoice, NormStats, load};
    use crate::models::ModelSpec;

    static NEVER: AtomicBool = AtomicBool::new(false);

    /// Gradients of 40 parameters about a mean of length 2, of groups of 16 images whose own have a variance of
    /// 9 in each parameter.
    fn drawn(seed: u64, groups: usize, length: f64) -> GradientNoise {
        let mean = length / 40f64.sqrt();
        let gradient = |k: usize, into: &mut [f32]| {
            let mut rng = Streams::new(seed).stream("gradients", k as u64);
            into.iter_mut().for_each(|g| *g = (mean + 3.0 / 4.0 * rng.normal()) as f32);
            Ok(())
        };
        gradient_noise(40, groups, 16, gradient, &NEVER).unwrap()
    }

    #[test]
    fn the_estimates_are_unbiased_and_their_errors_are_those_that_repetition_shows() {
        let all: Vec<GradientNoise> = (0..400).map(|seed| drawn(seed, 20, 2.0)).collect();
        let check = |of: &dyn Fn(&GradientNoise) -> Mean, truth: f64| {
            let values: Vec<f64> = all.iter().map(|one| of(one).value).collect();
            let found = Mean::of(&values);
            assert!((found.value - truth).abs() < 4.0 * found.se, "{found:?} {truth}");
            let spread = found.se * 400f64.sqrt();
            let told = Mean::of(&all.iter().map(|one| of(one).se).collect::<Vec<_>>()).value;
            assert!((told / spread - 1.0).abs() < 0.25, "{told} {spread}");
        };
        check(&|one| one.squared_gradient, 4.0);
        check(&|one| one.variance, 360.0);
        // A ratio is biased by something, which many groups take away.
        let many = drawn(1, 4000, 2.0);
        assert!((many.scale.value / 90.0 - 1.0).abs() < 0.1, "{many:?}");
        assert!((many.scale.value - 90.0).abs() < 4.0 * many.scale.se, "{many:?}");
        assert!((many.signal.value * many.scale.value - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_gradient_that_is_lost_in_noise_has_no_scale() {
        // Half of the unbiased estimates of a zero are below it.
        let found: Vec<GradientNoise> = (0..20).map(|seed| drawn(seed, 10, 0.0)).collect();
        for one in &found {
            assert_eq!(one.scale.value.is_nan(), one.squared_gradient.value <= 0.0, "{one:?}");
        }
        assert!(found.iter().any(|one| one.scale.value.is_nan()));
    }

    #[test]
    fn of_single_images_it_is_the_gradients_covariance() {
        let data = load(DataSet::Digits, &LoadOptions::default()).unwrap();
        let network = ModelSpec::of("lenet5").build(data.shape(), data.classes).unwrap();
        let (theta, buffers) = (network.init_theta(&Streams::new(1)), network.init_buffers());
        let engine = backend(BackendName::Native, Arc::new(network)).unwrap();
        let stats = NormStats::of(&data, &NormChoice::Dataset).unwrap();
        let on = |images: &[usize]| {
            let sample = Arc::new(data.train.select(images));
            DatasetObjective::new(
                engine.clone(),
                buffers.clone(),
                sample,
                stats.clone(),
                data.max_value,
            )
            .unwrap()
        };
        let gradients: Vec<Vec<f32>> = (0..12)
            .map(|k| {
                let mut grad = vec![0.0; theta.len()];
                on(&[k]).loss_and_grad(&theta, &mut grad).unwrap();
                grad
            })
            .collect();
        let gradient = |k: usize, into: &mut [f32]| {
            into.copy_from_slice(&gradients[k]);
            Ok(())
        };
        let found = gradient_noise(theta.len(), 12, 1, gradient, &NEVER).unwrap();
        let mut together = vec![0.0; theta.len()];
        on(&(0..12).collect::<Vec<_>>()).loss_and_grad(&theta, &mut together).unwrap();
        let variance: f64 = (0..theta.len())
            .map(|i| Mean::of(&gradients.iter().map(|g| f64::from(g[i])).collect::<Vec<_>>()).se)
            .map(|se| 12.0 * se * se)
            .sum();
        assert!((found.variance.value / variance - 1.0).abs() < 1e-9, "{found:?} {variance}");
        let length: f64 = together.iter().map(|g| f64::from(*g).powi(2)).sum();
        let squared = found.squared_gradient.value + found.variance.value / 12.0;
        assert!((squared / length - 1.0).abs() < 1e-4, "{squared} {length}");
        // Fewer images than groups are single images, in whatever order.
        let own =
            GradientNoise::of(&on(&(0..12).collect::<Vec<_>>()), &theta, &Streams::new(3), &NEVER);
        let own = own.unwrap().unwrap();
        assert!((own.variance.value / variance - 1.0).abs() < 1e-4, "{own:?} {variance}");
        assert_eq!(
            GradientNoise::of(&on(&[0, 1]), &theta, &Streams::new(3), &NEVER).unwrap(),
            None
        );
    }

    #[test]
    fn two_groups_are_refused_and_an_interrupt_is_heard() {
        let zero = |_: usize, into: &mut [f32]| {
            into.fill(0.0);
            Ok(())
        };
        let error = gradient_noise(4, 2, 8, zero, &NEVER).unwrap_err().to_string();
        assert!(error.contains("groups") && error.contains("3 or more"), "{error}");
        let stop = AtomicBool::new(true);
        assert!(matches!(gradient_noise(4, 3, 8, zero, &stop), Err(Error::Interrupted { .. })));
    }
}
