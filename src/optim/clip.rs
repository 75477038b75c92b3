//! Gradient clipping by the global norm, as `torch.nn.utils.clip_grad_norm_`.

use rayon::prelude::*;

use super::real::Real;

/// Elements a partial sum covers; fixed, so that the sum does not depend on the threads.
const PIECE: usize = 1 << 14;
/// Independent accumulators within a piece, so that the loop vectorises.
const LANES: usize = 8;

/// The inner product of `a` and `b`, of one length, summed in f64 in a fixed order.
pub(super) fn dot<F: Real>(a: &[F], b: &[F]) -> f64 {
    let piece = |(a, b): (&[F], &[F])| {
        let mut lanes = [0.0f64; LANES];
        let (whole_a, whole_b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
        let rest = whole_a.remainder().iter().zip(whole_b.remainder());
        for (lane, (&a, &b)) in lanes.iter_mut().zip(rest) {
            *lane += a.f64() * b.f64();
        }
        for (a, b) in whole_a.zip(whole_b) {
            for (lane, (&a, &b)) in lanes.iter_mut().zip(a.iter().zip(b)) {
                *lane += a.f64() * b.f64();
            }
        }
        lanes.iter().sum::<f64>()
    };
    let partial: Vec<f64> = a.par_chunks(PIECE).zip(b.par_chunks(PIECE)).map(piece).collect();
    partial.iter().sum::<f64>()
}

/// The L2 norm of `grad`, summed in f64 in a fixed order.
pub(super) fn grad_norm<F: Real>(grad: &[F]) -> f64 {
    dot(grad, grad).sqrt()
}

/// The sum of the absolute values of `values`, in f64 in a fixed order.
pub(super) fn abs_sum<F: Real>(values: &[F]) -> f64 {
    let piece = |piece: &[F]| piece.iter().map(|v| v.f64().abs()).sum::<f64>();
    let partial: Vec<f64> = values.par_chunks(PIECE).map(piece).collect();
    partial.iter().sum::<f64>()
}

/// Scales `grad`, (P,), so that its L2 norm is at most `max_norm`; returns the norm before.
/// As in PyTorch, the factor is `min(1, max_norm / (norm + 1e-6))`, and a gradient with a NaN or
/// an overflow in it comes out as NaN.
pub(super) fn clip_grad_norm<F: Real>(grad: &mut [F], max_norm: f64) -> f64 {
    let norm = grad_norm(grad);
    let factor = max_norm / (norm + 1e-6);
    if factor >= 1.0 {
        return norm;
    }
    let factor = F::of(factor);
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
            let mut grad = vec![1.0f32, bad, 2.0];
            assert!(!clip_grad_norm(&mut grad, 1.0).is_finite());
            assert!(grad[1].is_nan());
        }
    }
}
