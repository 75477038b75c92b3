//! Losses on the host, in f64 from f32 outputs: one definition for every backend.
//!
//! Outputs are rows of `classes` numbers, one row an example or one for each position of a sequence; a
//! batch's loss is the mean over its rows.

use crate::dataset::BatchTargets;

/// The loss of the outputs of one example or of several, and the number of right answers among them.
///
/// Cross-entropy is the mean of [`cross_entropy`] over the rows. The squared error is the mean of
/// `(z - y)^2` over all outputs; with numbers as targets no answer is right or wrong.
pub fn loss(outputs: &[f32], targets: BatchTargets<'_>) -> (f64, usize) {
    match targets {
        BatchTargets::Classes(labels) => {
            let rows = outputs.chunks_exact(outputs.len() / labels.len()).zip(labels);
            let (sum, correct) = rows.fold((0.0, 0), |(sum, correct), (z, &label)| {
                let (loss, right) = cross_entropy(z, label);
                (sum + loss, correct + usize::from(right))
            });
            (sum / labels.len() as f64, correct)
        }
        _ => squared(outputs, targets, |_, _| ()),
    }
}

/// The same with the gradient of the loss with respect to the outputs, written over `grad` (their length);
/// cross-entropy with label smoothing `epsilon`.
pub fn loss_grad(
    outputs: &[f32],
    targets: BatchTargets<'_>,
    epsilon: f64,
    grad: &mut [f32],
) -> (f64, usize) {
    match targets {
        BatchTargets::Classes(labels) => cross_entropy_grad(outputs, labels, epsilon, grad),
        _ => {
            let share = 2.0 / outputs.len() as f64;
            squared(outputs, targets, |at, error| grad[at] = (share * error) as f32)
        }
    }
}

/// The tangent of [`loss_grad`]'s gradient (without smoothing) along `tangent`, the outputs' own, written
/// over `out`; all of the outputs' length.
pub fn loss_grad_tangent(
    outputs: &[f32],
    tangent: &[f32],
    targets: BatchTargets<'_>,
    out: &mut [f32],
) {
    match targets {
        BatchTargets::Classes(labels) => {
            let classes = outputs.len() / labels.len();
            let rows = outputs.chunks_exact(classes).zip(tangent.chunks_exact(classes));
            for ((z, t), out) in rows.zip(out.chunks_exact_mut(classes)) {
                cross_entropy_grad_tangent(z, t, out);
                out.iter_mut().for_each(|v| *v /= labels.len() as f32);
            }
        }
        // The squared error's second derivative is 2 / outputs everywhere.
        _ => {
            let share = 2.0 / outputs.len() as f64;
            out.iter_mut().zip(tangent).for_each(|(o, t)| *o = (share * f64::from(*t)) as f32);
        }
    }
}

/// The mean squared error and the right answers; calls `each` with the place and the error `z - y` of every
/// output.
fn squared(
    outputs: &[f32],
    targets: BatchTargets<'_>,
    mut each: impl FnMut(usize, f64),
) -> (f64, usize) {
    let mut sum = 0.0;
    let mut add = |at: usize, y: f64| {
        let error = f64::from(outputs[at]) - y;
        sum += error * error;
        each(at, error);
    };
    let correct = match targets {
        BatchTargets::Values(values) => {
            values.iter().enumerate().for_each(|(at, y)| add(at, f64::from(*y)));
            0
        }
        BatchTargets::Classes(labels) | BatchTargets::OneHot(labels) => {
            let classes = outputs.len() / labels.len();
            for (row, &label) in labels.iter().enumerate() {
                for j in 0..classes {
                    add(row * classes + j, if j == usize::from(label) { 1.0 } else { 0.0 });
                }
            }
            let rows = outputs.chunks_exact(classes).zip(labels);
            rows.filter(|(z, label)| largest(z) == Some(usize::from(**label))).count()
        }
    };
    (sum / outputs.len() as f64, correct)
}

/// The place of the largest of `outputs`, the first of equals; none where one is NaN.
pub fn largest(outputs: &[f32]) -> Option<usize> {
    let best = (0..outputs.len()).reduce(|a, b| if outputs[b] > outputs[a] { b } else { a });
    best.filter(|_| !outputs.iter().any(|z| z.is_nan()))
}

/// Loss of one image, `log sum_j exp(z_j) - z_label`, and whether the label has the largest logit
/// (the first of equals). A logit that is NaN gives a NaN loss and counts as wrong; an infinite
/// spread gives infinity.
fn cross_entropy(logits: &[f32], label: u8) -> (f64, bool) {
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
fn cross_entropy_grad(
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
fn cross_entropy_grad_tangent(logits: &[f32], tangent: &[f32], out: &mut [f32]) {
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
    fn the_squared_error_and_its_derivatives_are_those_of_pytorch() {
        // torch.nn.functional.mse_loss([[1, -2], [0.5, 3]], [[0, 1], [2, 3]]) = (1 + 9 + 2.25 + 0) / 4.
        let (outputs, values) = ([1.0f32, -2.0, 0.5, 3.0], [0.0f32, 1.0, 2.0, 3.0]);
        let mut grad = [0f32; 4];
        let targets = BatchTargets::Values(&values);
        assert_eq!(loss_grad(&outputs, targets, 0.0, &mut grad), (3.0625, 0));
        assert_eq!(loss(&outputs, targets), (3.0625, 0));
        assert_eq!(grad, [0.5, -1.5, -0.75, 0.0]);
        let mut tangent = [0f32; 4];
        loss_grad_tangent(&outputs, &[1.0, 2.0, 0.0, -4.0], targets, &mut tangent);
        assert_eq!(tangent, [0.5, 1.0, 0.0, -2.0]);
        // Class 1 twice: to (0, 1); the second row has its largest output there.
        let classes = BatchTargets::OneHot(&[1, 1]);
        let expected = (1.0 + 9.0 + 0.25 + 4.0) / 4.0;
        assert_eq!(loss_grad(&outputs, classes, 0.0, &mut grad), (expected, 1));
        assert_eq!(grad, [0.5, -1.5, 0.25, 1.0]);
    }

    #[test]
    fn a_sequence_s_loss_is_the_mean_over_its_positions() {
        let (rows, labels) = ([0.3f32, -1.2, 2.0, 0.7, 0.1, -0.4], [2, 0]);
        let both = loss(&rows, BatchTargets::Classes(&labels));
        let [a, b] = [0, 1].map(|k| cross_entropy(&rows[3 * k..][..3], labels[k]));
        assert_eq!(both, ((a.0 + b.0) / 2.0, usize::from(a.1) + usize::from(b.1)));
        let (mut grad, mut tangent) = ([0f32; 6], [0f32; 6]);
        let t = [1.0f32, -0.5, 0.25, 2.0, 0.0, 1.0];
        loss_grad_tangent(&rows, &t, BatchTargets::Classes(&labels), &mut tangent);
        let h = 2f32.powi(-8);
        let mut at = |sign: f32| {
            let z: Vec<f32> = rows.iter().zip(t).map(|(z, t)| z + sign * h * t).collect();
            loss_grad(&z, BatchTargets::Classes(&labels), 0.0, &mut grad);
            grad
        };
        let (up, down) = (at(1.0), at(-1.0));
        for (i, found) in tangent.iter().enumerate() {
            let numeric = (up[i] - down[i]) / (2.0 * h);
            assert!((found - numeric).abs() < 5e-5, "{found} {numeric}");
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
