//! The edge of stability: how sharp a valley full-batch gradient descent can go down.
//!
//! Along an eigenvector of the Hessian with eigenvalue `lambda` plain gradient descent multiplies the
//! distance to the minimum by `1 - lr lambda`: it diverges where `lambda > 2 / lr`. Training a net with
//! the full batch, sharpness rises to about that and hovers (Cohen et al., "Gradient Descent on Neural
//! Networks Typically Occurs at the Edge of Stability", ICLR 2021, whose appendix B has the
//! thresholds with momentum).

use super::{OptimConfig, RuleName};

/// A threshold of sharpness with the formula it comes from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Edge {
    /// lambda lr at the edge.
    pub product: f64,
    /// How the threshold is written: `2/lr`.
    pub formula: &'static str,
}

impl OptimConfig {
    /// The edge of stability of this (resolved) optimizer; `None` where none is known: for rules that
    /// rescale the gradient, and with clipping, which bounds the step instead. Weight decay, which
    /// adds itself to every eigenvalue, is left out.
    pub fn edge(&self) -> Option<Edge> {
        if self.rule != RuleName::Sgd || self.grad_clip.is_some() {
            return None;
        }
        let beta = self.momentum.unwrap_or(0.9);
        let taken = 1.0 - self.dampening.unwrap_or(0.0);
        if taken == 0.0 {
            return None;
        }
        // Where the iteration's matrix has the eigenvalue -1: heavy ball
        // b <- beta b + g, theta <- theta - lr b; Nesterov theta <- theta - lr (g + beta b).
        Some(match (beta == 0.0, self.nesterov == Some(true)) {
            (true, _) => Edge { product: 2.0, formula: "2/lr" },
            (_, false) if taken == 1.0 => {
                Edge { product: 2.0 + 2.0 * beta, formula: "(2 + 2β)/lr" }
            }
            (_, false) => {
                Edge { product: (2.0 + 2.0 * beta) / taken, formula: "(2 + 2β)/((1 − d) lr)" }
            }
            (_, true) => Edge {
                product: (2.0 + 2.0 * beta) / (1.0 + 2.0 * beta),
                formula: "(2 + 2β)/((1 + 2β) lr)",
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Optimizer;
    use super::*;

    /// How far 2,000 steps at `lambda` times the edge leave a parabola's minimum.
    fn distance(config: &OptimConfig, share: f64) -> f64 {
        let (lr, edge) = (0.1, config.edge().unwrap());
        let lambda = (share * edge.product / lr) as f32;
        let mut optimizer = Optimizer::new(config, 1, &[]).unwrap();
        let mut theta = vec![1.0f32];
        for _ in 0..2000 {
            let mut grad = vec![lambda * theta[0]];
            optimizer.step(&mut theta, &mut grad, lr);
        }
        f64::from(theta[0].abs())
    }

    #[test]
    fn a_parabola_just_below_the_edge_converges_and_just_above_it_diverges() {
        for toml in [
            "momentum = 0",
            "momentum = 0.9\nnesterov = false",
            "momentum = 0.9",
            "momentum = 0.5",
            "momentum = 0.6\ndampening = 0.4\nnesterov = false",
        ] {
            let config: OptimConfig = toml::from_str(&format!("{toml}\nweight_decay = 0")).unwrap();
            let config = config.resolve().unwrap();
            assert!(distance(&config, 0.99) < 1e-3, "{toml}: {}", distance(&config, 0.99));
            let above = distance(&config, 1.01);
            assert!(!above.is_finite() || above > 1e3, "{toml}: {above}");
        }
    }

    #[test]
    fn there_is_none_for_rules_that_rescale_and_with_clipping() {
        for toml in ["rule = \"adam\"", "rule = \"rmsprop\"", "grad_clip = 1.0", "dampening = 1.0"]
        {
            let config: OptimConfig = toml::from_str(toml).unwrap();
            assert_eq!(config.resolve().unwrap().edge(), None, "{toml}");
        }
        let plain: OptimConfig = toml::from_str("momentum = 0").unwrap();
        assert_eq!(plain.resolve().unwrap().edge().unwrap().formula, "2/lr");
    }
}
