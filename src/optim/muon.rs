//! Muon (Jordan et al. 2024, <https://kellerjordan.github.io/posts/muon/>): momentum whose matrix is
//! orthogonalised by Newton-Schulz steps, as the authors' code.
//!
//! Hidden weights, every weight of a layer but the network's first and last, get it, those of
//! convolutions as (out, in kh kw) matrices; all other parameters follow AdamW at a rate of their own,
//! `adamw_lr`, which the schedule scales alike. The authors iterate in bf16; this is in the element
//! type of the parameters. Decoupled decay is `theta <- theta (1 - lr wd)` with each part's own rate.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;

use super::OptimConfig;
use super::adam::Adam;
use super::clip::grad_norm;
use super::config::{Decay, MuonScale};
use super::decay::scale;
use super::pieces::in_pieces;
use super::real::Real;
use super::rule::{Described, Rule, Update, hyperparameters};
use super::tensors::{ParamRange, Tensors};

/// The coefficients of x -> a x + b x^3 + c x^5, which the authors chose for its slope at zero.
const QUINTIC: [f64; 3] = [3.4445, -4.7750, 2.0315];

hyperparameters! {
    /// Muon's hyperparameters.
    struct MuonConfig {
        momentum: f64 = 0.95,
        nesterov: bool = true,
        ns_steps: u64 = 5,
        muon_scale: MuonScale = MuonScale::Shape,
        adamw_lr: f64 = 3e-4,
        adamw_beta1: f64 = 0.9,
        adamw_beta2: f64 = 0.95,
        adamw_eps: f64 = 1e-10,
    }
}

/// Muon on the tensors of a network.
#[derive(Debug)]
pub(super) struct Muon {
    config: MuonConfig,
    tensors: Tensors,
}

impl Described for Muon {
    const WORDS: &'static str = "Muon";
    const LR: f64 = 0.02;
    const WEIGHT_DECAY: f64 = 1e-2;
    const DECAY: Decay = Decay::Decoupled;
    const KEYS: &'static [&'static str] = MuonConfig::KEYS;

    fn write_out(config: &mut OptimConfig) {
        MuonConfig::write_out(config);
    }

    fn build<F: Real>(config: &OptimConfig, tensors: &Tensors) -> Box<dyn Rule<F>> {
        Box::new(Self { config: MuonConfig::of(config), tensors: tensors.clone() })
    }
}

/// Steps of the quintic Newton-Schulz iteration, X <- a X + b (X X^T) X + c (X X^T)^2 X, which map
/// each singular value x to a x + b x^3 + c x^5.
fn newton_schulz<F: Real>(mut x: Array2<F>, steps: u64) -> Array2<F> {
    let [a, b, c] = QUINTIC.map(F::of);
    for _ in 0..steps {
        let gram = x.dot(&x.t());
        let mut polynomial = gram.clone();
        general_mat_mul(c, &gram, &gram, b, &mut polynomial);
        let mut next = x.clone();
        general_mat_mul(F::one(), &polynomial, &x, a, &mut next);
        x = next;
    }
    x
}

/// `matrix` with its singular values moved near 1, after division by its norm.
fn orthogonalised<F: Real>(matrix: ArrayView2<F>, steps: u64) -> Array2<F> {
    let norm = F::of(matrix.as_slice().map_or(f64::NAN, grad_norm)) + F::of(1e-7);
    // The smaller Gram matrix of the two.
    if matrix.nrows() > matrix.ncols() {
        newton_schulz(matrix.t().mapv(|v| v / norm), steps).reversed_axes()
    } else {
        newton_schulz(matrix.mapv(|v| v / norm), steps)
    }
}

impl Muon {
    fn update_matrix<F: Real>(
        &self,
        lr: f64,
        tensor: &ParamRange,
        theta: &mut [F],
        grad: &mut [F],
        buffer: &mut [F],
    ) {
        let (momentum, nesterov) = (F::of(self.config.momentum), self.config.nesterov);
        let take = F::of(1.0 - self.config.momentum);
        // m <- mu m + (1 - mu) g, and the gradient becomes (1 - mu) g + mu m, or m.
        in_pieces(grad, &[], [buffer], &|grad, _, [buffer]| {
            for (g, m) in grad.iter_mut().zip(buffer) {
                *m += take * (*g - *m);
                *g = if nesterov { *g + momentum * (*m - *g) } else { *m };
            }
        });
        let rows = tensor.shape[0];
        let columns = grad.len() / rows.max(1);
        let matrix = ArrayView2::from_shape((rows, columns), grad).expect("a tensor's own size");
        let step = orthogonalised(matrix, self.config.ns_steps);
        let (rows, columns) = (rows as f64, columns as f64);
        let factor = match self.config.muon_scale {
            MuonScale::Shape => (rows / columns).max(1.0).sqrt(),
            MuonScale::Rms => 0.2 * rows.max(columns).sqrt(),
        };
        let rate = F::of(lr * factor);
        theta.iter_mut().zip(&step).for_each(|(w, &s)| *w -= rate * s);
    }
}

impl<F: Real> Rule<F> for Muon {
    fn slots(&self, params: usize) -> Vec<(&'static str, usize)> {
        // The second moment of what Muon itself moves stays zero.
        vec![("momentum_buffer", params), ("exp_avg_sq", params)]
    }

    fn owns(&self, kind: Decay) -> bool {
        kind == Decay::Decoupled
    }

    fn step(&self, u: Update<'_, F>) {
        let [m, v] = u.slots else { panic!("muon keeps two state vectors") };
        let MuonConfig { adamw_lr, adamw_beta1, adamw_beta2, adamw_eps, .. } = self.config;
        let others = Adam { beta1: adamw_beta1, beta2: adamw_beta2, eps: adamw_eps };
        let state = self.tensors.cut(m).into_iter().zip(self.tensors.cut(v));
        let values = self.tensors.cut(u.theta).into_iter().zip(self.tensors.cut(u.grad)).zip(state);
        let all: Vec<_> = self.tensors.0.iter().zip(values).collect();
        all.into_par_iter().for_each(|(tensor, ((theta, grad), (m, v)))| {
            let lr = if tensor.hidden { u.lr } else { adamw_lr * u.scheduled };
            if u.decay.kind == Decay::Decoupled && u.decay.covers(tensor.range.start) {
                scale(theta, F::of(1.0 - lr * u.decay.rate));
            }
            if tensor.hidden {
                self.update_matrix(lr, tensor, theta, grad, m);
            } else {
                others.update(u.t, lr, [m, v], theta, grad);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newton_schulz_maps_singular_values_by_the_quintic() {
        let start = [0.1, 0.5, 1.0];
        for (steps, want) in
            [(1, [0.339695, 1.188859, 0.701000]), (5, [0.712120, 0.765439, 0.696436])]
        {
            let diagonal = Array2::from_diag(&ndarray::arr1(&start));
            let mapped = newton_schulz::<f64>(diagonal, steps);
            for (i, want) in want.into_iter().enumerate() {
                // The values are given to six decimals.
                assert!((mapped[[i, i]] - want).abs() < 6e-7, "{steps}: {}", mapped[[i, i]]);
            }
            let off = mapped.sum() - mapped.diag().sum();
            assert!(off.abs() < 1e-14);
        }
    }

    #[test]
    fn tall_and_wide_matrices_come_out_nearly_orthogonal() {
        for shape in [(3, 8), (8, 3)] {
            let entry = |(i, j): (usize, usize)| {
                ((3 * i + 5 * j * j) as f32).sin() / 3.0 + f32::from(u8::from(i == j))
            };
            let out = orthogonalised(Array2::from_shape_fn(shape, entry).view(), 5);
            assert_eq!(out.dim(), shape);
            let gram = if shape.0 < shape.1 { out.dot(&out.t()) } else { out.t().dot(&out) };
            // Singular values end between 0.68 and 1.13 (the authors' plot).
            assert!(gram.diag().iter().all(|d| (0.4..1.4).contains(d)), "{gram}");
        }
    }
}
