//! Gradient clipping by the global norm, as `torch.nn.utils.clip_grad_norm_`.

use rayon::prelude::*;

/// Elements a partial sum covers; fixed, so that the sum does not depend on the threads.
const PIECE: usize = 1 << 14;
/// Independent accumulators within a piece, so that the loop vectorises.
const LANES: usize = 8;

/// The L2 norm of `grad`, (P,), summed in f64 in a fixed order.
pub(super) fn grad_norm(grad: &[f32]) -> f64 {
    let sum_sq = |piece: &[f32]| {
        let mut lanes = [0.0f64; LANES];
        let whole = piece.chunks_exact(LANES);
        for (lane, &g) in lanes.iter_mut().zip(whole.remainder()) {
            *lane += f64::from(g) * f64::from(g);
        }
        for eight in whole {
            for (lane, &g) in lanes.iter_mut().zip(eight) {
                *lane += f64::from(g) * f64::from(g);
            }
        }
        lanes.iter().sum::<f64>()
    };
    let partial: Vec<f64> = grad.par_chunks(PIECE).map(sum_sq).collect();
    partial.iter().sum::<f64>().sqrt()
}

/// Scales `grad`, (P,), so that its L2 norm is at most `max_norm`; returns the norm before.
/// As in PyTorch, the factor is `min(1, max_norm / (norm + 1e-6))`, and a gradient with a NaN or
/// an overflow in it comes out as NaN.
pub(super) fn clip_grad_norm(grad: &mut [f32], max_norm: f64) -> f64 {
    let norm = grad_norm(grad);
    let factor = max_norm / (norm + 1e-6);
    if factor >= 1.0 {
        return norm;
    }
    let factor = factor as f32;
    grad.par_chunks_mut(PIECE).for_each(|piece| piece.iter_mut().for_each(|g| *g *= factor));
    norm
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_gradient_is_scaled_to_the_bound_and_a_short_one_is_left_alone() {
        let mut grad: Vec<f32> = (0..100_003).map(|i| (i % 17) as f32 - 8.0).collect();
        let exact = grad.iter().map(|&g| f64::from(g * g)).sum::<f64>().sqrt();
        let norm = clip_grad_norm(&mut grad, 2.0);
        // Whole numbers: the sum of squares is exact in any order.
        assert_eq!(norm, exact);
        // f32 rounding of each element, 6e-8, and the 1e-6 in the factor's denominator.
        assert!((grad_norm(&grad) - 2.0).abs() < 1e-6);
        let before = grad.clone();
        clip_grad_norm(&mut grad, 3.0);
        assert_eq!(grad, before);
    }

    #[test]
    fn a_gradient_with_a_nan_or_an_overflow_stays_recognisable() {
        for bad in [f32::NAN, f32::INFINITY] {
            let mut grad = vec![1.0, bad, 2.0];
            assert!(!clip_grad_norm(&mut grad, 1.0).is_finite());
            assert!(grad[1].is_nan());
        }
    }
}
