//! Softmax cross-entropy on the host, in f64 from f32 logits: one definition for every backend.

/// Loss of one image, `log sum_j exp(z_j) - z_label`, and whether the label has the largest logit
/// (the first of equals). A logit that is NaN gives a NaN loss and counts as wrong; an infinite
/// spread gives infinity.
pub fn cross_entropy(logits: &[f32], label: u8) -> (f64, bool) {
    let label = usize::from(label);
    let (mut best, mut max) = (0, f64::NEG_INFINITY);
    for (j, &z) in logits.iter().enumerate() {
        if f64::from(z) > max {
            (best, max) = (j, f64::from(z));
        }
    }
    if logits.iter().any(|z| z.is_nan()) {
        return (f64::NAN, false);
    }
    if max.is_infinite() {
        // +inf beside finite logits: certainty, right or wrong. Several infinities: undefined.
        let infinities = logits.iter().filter(|z| z.is_infinite() && **z > 0.0).count();
        return match (infinities, best == label) {
            (1, true) => (0.0, true),
            (1, false) => (f64::INFINITY, false),
            _ => (f64::NAN, false),
        };
    }
    let sum: f64 = logits.iter().map(|&z| (f64::from(z) - max).exp()).sum();
    (sum.ln() + max - f64::from(logits[label]), best == label)
}

/// Mean loss of a batch with label smoothing `epsilon`, the number of right answers, and the
/// gradient of that mean with respect to the logits, written over `grad` (n, classes):
/// `(softmax(z) - q) / n` with `q = (1 - epsilon) onehot + epsilon / classes`.
pub fn cross_entropy_grad(
    logits: &[f32],
    labels: &[u8],
    epsilon: f64,
    grad: &mut [f32],
) -> (f64, usize) {
    let n = labels.len();
    let classes = logits.len() / n;
    let (mut total, mut correct) = (0.0, 0);
    for ((z, g), &label) in
        logits.chunks_exact(classes).zip(grad.chunks_exact_mut(classes)).zip(labels)
    {
        let (loss, right) = cross_entropy(z, label);
        correct += usize::from(right);
        let max = z.iter().fold(f64::NEG_INFINITY, |m, &v| m.max(f64::from(v)));
        let sum: f64 = z.iter().map(|&v| (f64::from(v) - max).exp()).sum();
        // -sum_j q_j log p_j = (1 - epsilon) (-log p_label) + epsilon mean_j(-log p_j)
        let spread = if epsilon == 0.0 {
            0.0
        } else {
            z.iter().map(|&v| sum.ln() + max - f64::from(v)).sum::<f64>() / classes as f64
        };
        total += (1.0 - epsilon) * loss + epsilon * spread;
        for (j, (g, &v)) in g.iter_mut().zip(z).enumerate() {
            let p = (f64::from(v) - max).exp() / sum;
            let q = epsilon / classes as f64
                + if j == usize::from(label) { 1.0 - epsilon } else { 0.0 };
            *g = ((p - q) / n as f64) as f32;
        }
    }
    (total / n as f64, correct)
}

/// The tangent of one image's gradient `softmax(z) - q` along `tangent`, the logits' own:
/// `(diag(p) - p p') tangent` with `p = softmax(z)`, written over `out`; all (classes).
pub fn cross_entropy_grad_tangent(logits: &[f32], tangent: &[f32], out: &mut [f32]) {
    let max = logits.iter().fold(f64::NEG_INFINITY, |m, &v| m.max(f64::from(v)));
    let weight = |z: f32| (f64::from(z) - max).exp();
    let sum: f64 = logits.iter().map(|&z| weight(z)).sum();
    let pairs = || logits.iter().zip(tangent);
    let mean: f64 = pairs().map(|(&z, &t)| weight(z) / sum * f64::from(t)).sum();
    for (o, (&z, &t)) in out.iter_mut().zip(pairs()) {
        *o = (weight(z) / sum * (f64::from(t) - mean)) as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_logits_cost_the_logarithm_of_the_classes() {
        let (loss, right) = cross_entropy(&[0.5; 10], 0);
        assert!((loss - 10f64.ln()).abs() < 1e-12);
        assert!(right, "the first of equals is the answer");
        assert!(!cross_entropy(&[0.5; 10], 3).1);
    }

    #[test]
    fn huge_nan_and_infinite_logits_are_kept_as_such() {
        assert_eq!(cross_entropy(&[1e30, 0.0], 0), (0.0, true));
        assert!((cross_entropy(&[1e30, 0.0], 1).0 - 1e30).abs() < 1e23);
        assert!(cross_entropy(&[f32::NAN, 0.0], 1).0.is_nan());
        assert_eq!(cross_entropy(&[f32::INFINITY, 0.0], 1), (f64::INFINITY, false));
        assert!(cross_entropy(&[f32::INFINITY, f32::INFINITY], 1).0.is_nan());
    }

    #[test]
    fn the_gradient_agrees_with_central_differences() {
        let logits = [0.3f32, -1.2, 2.0, 0.7, 0.1, -0.4];
        let labels = [2, 0];
        for epsilon in [0.0, 0.1] {
            let mut grad = [0f32; 6];
            cross_entropy_grad(&logits, &labels, epsilon, &mut grad);
            for i in 0..6 {
                let at = |delta: f32| {
                    let mut z = logits;
                    z[i] += delta;
                    cross_entropy_grad(&z, &labels, epsilon, &mut [0.0; 6]).0
                };
                // The step is a power of two near 1e-3: truncation and f32 rounding of the
                // logits both stay under 1e-6.
                let h = 2f32.powi(-10);
                let numeric = (at(h) - at(-h)) / f64::from(2.0 * h);
                assert!((numeric - f64::from(grad[i])).abs() < 1e-6, "{i}: {numeric} {}", grad[i]);
            }
        }
    }

    #[test]
    fn the_tangent_of_the_gradient_agrees_with_central_differences() {
        let (logits, label) = ([0.3f32, -1.2, 2.0, 0.7], [2]);
        let tangent = [1.0f32, -0.5, 0.25, 2.0];
        let mut exact = [0f32; 4];
        cross_entropy_grad_tangent(&logits, &tangent, &mut exact);
        // Gradients rounded to f32, 6e-8, over a step of 2^-7; the step squared, 6e-5, times the
        // third derivative.
        let h = 2f32.powi(-8);
        let at = |sign: f32| {
            let z: Vec<f32> = logits.iter().zip(tangent).map(|(z, t)| z + sign * h * t).collect();
            let mut grad = [0f32; 4];
            cross_entropy_grad(&z, &label, 0.0, &mut grad);
            grad
        };
        for ((e, a), b) in exact.iter().zip(at(1.0)).zip(at(-1.0)) {
            let numeric = (a - b) / (2.0 * h);
            assert!((e - numeric).abs() < 5e-5, "{e} {numeric}");
        }
        assert!(exact.iter().sum::<f32>().abs() < 1e-6, "shifting all logits changes nothing");
    }
}
