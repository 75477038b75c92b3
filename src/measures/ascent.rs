//! How much the loss rises at most near a point, by projected gradient ascent: Keskar's epsilon-sharpness in a
//! box, and SAM's rise in a ball.
//!
//! The true maxima are not to be had for a network. Ascent gives a lower bound, the better the more steps; the
//! largest loss on the way counts. Both depend on how the weights are scaled (Dinh et al. 2017): of two ReLU
//! networks that compute the same, one may be sharp and one flat by these numbers.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::objective::Objective;
use crate::{Error, Result};

/// Steps of ascent in Keskar's box.
pub const EPSILON_STEPS: usize = 20;

/// Steps of ascent in SAM's ball; the first is SAM's own.
pub const RHO_STEPS: usize = 10;

/// What ascent reached.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ascent {
    /// The loss at the point.
    pub loss: f64,
    /// The largest loss found.
    pub highest: f64,
}

impl Ascent {
    /// How far the loss rose.
    pub fn rise(&self) -> f64 {
        self.highest - self.loss
    }
}

fn check(interrupt: &AtomicBool) -> Result<()> {
    if interrupt.load(Ordering::Relaxed) {
        return Err(Error::Interrupted { remedy: "run the same command again".into() });
    }
    Ok(())
}

/// Keskar et al.'s (2017, metric 2.1) epsilon-sharpness of `objective` at `theta`, in percent: 100 (max f - f)
/// / (1 + f) over the box |z_i| <= epsilon (|theta_i| + 1), in the whole space. The steps follow the signs of
/// the gradient, which is the steepest way in a box, each a quarter of its half width.
///
/// # Errors
/// Those of the objective; [`Error::Interrupted`].
pub fn epsilon_sharpness(
    objective: &dyn Objective,
    theta: &[f32],
    epsilon: f64,
    interrupt: &AtomicBool,
) -> Result<(f64, Ascent)> {
    let half = |i: usize| epsilon * (f64::from(theta[i].abs()) + 1.0);
    let step = |z: &mut [f64], grad: &[f32]| {
        for (i, (z, g)) in z.iter_mut().zip(grad).enumerate() {
            let sign = if *g > 0.0 {
                1.0
            } else if *g < 0.0 {
                -1.0
            } else {
                0.0
            };
            *z = (*z + 0.25 * half(i) * sign).clamp(-half(i), half(i));
        }
    };
    let found = ascend(objective, theta, EPSILON_STEPS, interrupt, step)?;
    Ok((100.0 * found.rise() / (1.0 + found.loss), found))
}

/// The rise of `objective` in the ball of radius `rho` about `theta`: the first step goes to the sphere along
/// the gradient, as SAM's does (Foret et al. 2021), and those that follow from there along the gradients at
/// each point, back onto the ball.
///
/// # Errors
/// Those of the objective; [`Error::Interrupted`].
pub fn rho_sharpness(
    objective: &dyn Objective,
    theta: &[f32],
    rho: f64,
    interrupt: &AtomicBool,
) -> Result<Ascent> {
    let step = |z: &mut [f64], grad: &[f32]| {
        let length = grad.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
        if !(length > 0.0 && length.is_finite()) {
            return;
        }
        z.iter_mut().zip(grad).for_each(|(z, g)| *z += rho * f64::from(*g) / length);
        let away = z.iter().map(|z| z * z).sum::<f64>().sqrt();
        if away > rho {
            z.iter_mut().for_each(|z| *z *= rho / away);
        }
    };
    ascend(objective, theta, RHO_STEPS, interrupt, step)
}

/// Ascent from `theta` by `step`, which moves the displacement.
fn ascend(
    objective: &dyn Objective,
    theta: &[f32],
    steps: usize,
    interrupt: &AtomicBool,
    step: impl Fn(&mut [f64], &[f32]),
) -> Result<Ascent> {
    let mut z = vec![0.0; theta.len()];
    let mut grad = vec![0.0; theta.len()];
    let loss = objective.loss_and_grad(theta, &mut grad)?;
    let mut highest = loss;
    for _ in 0..steps {
        check(interrupt)?;
        step(&mut z, &grad);
        let at: Vec<f32> = theta.iter().zip(&z).map(|(t, z)| (f64::from(*t) + z) as f32).collect();
        let here = objective.loss_and_grad(&at, &mut grad)?;
        if here.is_nan() {
            return Ok(Ascent { loss, highest: f64::NAN });
        }
        highest = highest.max(here);
    }
    Ok(Ascent { loss, highest })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::Quadratic;

    static NEVER: AtomicBool = AtomicBool::new(false);

    #[test]
    fn in_a_box_a_quadratic_rises_most_in_its_corner() {
        // At its centre: no gradient, no ascent. Beside it: to the corner farther away.
        let of = Quadratic { curvature: vec![2.0, 4.0], centre: vec![0.0, 0.0] };
        let theta = [0.1f32, 0.05];
        let (percent, found) = epsilon_sharpness(&of, &theta, 0.1, &NEVER).unwrap();
        // Half widths 0.11 and 0.105: the corner (0.21, 0.155).
        let f = |x: f64, y: f64| 0.5 * (2.0 * x * x + 4.0 * y * y);
        let (loss, corner) = (f(0.1, 0.05), f(0.21, 0.155));
        assert!((found.highest - corner).abs() < 1e-6, "{found:?} {corner}");
        assert!((percent - 100.0 * (corner - loss) / (1.0 + loss)).abs() < 1e-4);
    }

    #[test]
    fn in_a_ball_ascent_ends_along_the_sharpest_direction() {
        let of = Quadratic { curvature: vec![1.0, 9.0], centre: vec![0.0, 0.0] };
        let found = rho_sharpness(&of, &[0.0, 0.01], 0.5, &NEVER).unwrap();
        // Along the second axis, outwards: 9/2 0.51^2.
        assert!((found.highest - 4.5 * 0.51 * 0.51).abs() < 1e-5, "{found:?}");
    }
}
