//! Shampoo (Gupta, Koren & Singer 2018, algorithm 2): for each dimension of a tensor a matrix sums
//! the Gram matrices of the gradients unfolded along it; the step is the gradient times the inverse
//! 2k-th root of each of the k matrices. Dimensions beyond `max_dim` have none.

use rayon::prelude::*;

use super::OptimConfig;
use super::factors::{Factored, eigen, square, square_mut};
use super::pieces::in_pieces;
use super::real::Real;
use super::rule::{Described, Rule, Update, hyperparameters};
use super::tensors::{Tensors, cut};

hyperparameters! {
    /// Shampoo's hyperparameters.
    struct ShampooConfig {
        matrix_eps: f64 = 1e-4,
        precondition_frequency: u64 = 10,
        max_dim: u64 = 1024,
    }
}

/// Shampoo on the tensors of a network.
#[derive(Debug)]
pub(super) struct Shampoo {
    config: ShampooConfig,
    tensors: Tensors,
    factored: Vec<Factored>,
}

impl Described for Shampoo {
    const WORDS: &'static str = "Shampoo";
    const LR: f64 = 0.1;
    const KEYS: &'static [&'static str] = ShampooConfig::KEYS;

    fn write_out(config: &mut OptimConfig) {
        ShampooConfig::write_out(config);
    }

    fn build<F: Real>(config: &OptimConfig, tensors: &Tensors) -> Box<dyn Rule<F>> {
        let config = ShampooConfig::of(config);
        let factored = Factored::all(tensors, config.max_dim, true);
        Box::new(Self { config, tensors: tensors.clone(), factored })
    }
}

impl Shampoo {
    /// Writes matrix^(-1 / root) over `out`; NaN where the matrix is not finite.
    fn inverse_root<F: Real>(&self, matrix: &[F], n: usize, root: usize, out: &mut [F]) {
        let Some((values, vectors)) = eigen(square(matrix, n)) else {
            return out.fill(F::nan());
        };
        // The matrix is at least matrix_eps times the identity; rounding may say otherwise.
        let power = |v: f64| v.max(self.config.matrix_eps).powf(-1.0 / root as f64);
        let powers = ndarray::Array1::from_iter(values.into_iter().map(power));
        let product = (&vectors * &powers).dot(&vectors.t());
        square_mut(out, n).zip_mut_with(&product, |out, &v| *out = F::of(v));
    }
}

impl<F: Real> Rule<F> for Shampoo {
    fn slots(&self, _: usize) -> Vec<(&'static str, usize)> {
        let len = self.factored.iter().map(|f| f.len).sum();
        vec![("precondition", len), ("inverse_root", len)]
    }

    fn step(&self, u: Update<'_, F>) {
        let [sums, roots] = u.slots else { panic!("shampoo keeps two state vectors") };
        let lens = || self.factored.iter().map(|f| f.len);
        let state = cut(sums, lens()).into_iter().zip(cut(roots, lens()));
        let values = self.tensors.cut(u.theta).into_iter().zip(self.tensors.cut(u.grad));
        let all: Vec<_> = self.factored.iter().zip(values).zip(state).collect();
        let due = (u.t - 1).is_multiple_of(self.config.precondition_frequency);
        let lr = F::of(u.lr);
        all.into_par_iter().for_each(|((factored, (theta, grad)), (sums, roots))| {
            for (mode, range) in factored.factors() {
                let (sum, n) = (&mut sums[range.clone()], mode.size);
                if u.t == 1 {
                    square_mut(sum, n).diag_mut().fill(F::of(self.config.matrix_eps));
                }
                mode.add_gram(F::one(), F::one(), grad, sum);
                if due {
                    self.inverse_root(sum, n, 2 * factored.modes.len(), &mut roots[range]);
                }
            }
            let mut room = Vec::new();
            for (mode, range) in factored.factors() {
                mode.multiply(square(&roots[range], mode.size), grad, &mut room);
            }
            in_pieces(theta, grad, [], &|theta, grad, []| {
                for (w, &g) in theta.iter_mut().zip(grad) {
                    *w -= lr * g;
                }
            });
        });
    }
}
