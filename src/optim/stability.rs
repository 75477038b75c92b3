//! The edge of stability: how sharp a valley full-batch gradient descent can go down.
//!
//! Along an eigenvector of the Hessian with eigenvalue `lambda` plain gradient descent multiplies
//! the distance to the minimum by `1 - lr lambda`: it diverges where `lambda > 2 / lr`. Training a
//! net with the full batch, sharpness rises to about that and hovers (Cohen et al., "Gradient
//! Descent on Neural Networks Typically Occurs at the Edge of Stability", ICLR 2021, whose appendix
//! B has the thresholds with momentum).

use super::{OptimConfig, RuleName};

impl OptimConfig {
    /// The edge of stability of this (resolved) optimizer as lambda lr: 2 for plain gradient
    /// descent, 2 + 2 beta with momentum. `None` where none is known: for rules that rescale the
    /// gradient, and with clipping, which bounds the step instead. Weight decay, which adds itself
    /// to every eigenvalue, is left out.
    pub fn edge(&self) -> Option<f64> {
        if self.rule != RuleName::Sgd || self.grad_clip.is_some() {
            return None;
        }
        let beta = self.momentum.unwrap_or(0.9);
        let taken = 1.0 - self.dampening.unwrap_or(0.0);
        // Where the iteration's matrix has the eigenvalue -1, for the heavy ball
        // b <- beta b + (1 - dampening) g, theta <- theta - lr b, and for Nesterov's
        // theta <- theta - lr (g + beta b).
        match (beta == 0.0, self.nesterov == Some(true)) {
            (true, _) => Some(2.0),
            (_, true) => Some((2.0 + 2.0 * beta) / (1.0 + 2.0 * beta)),
            _ => (taken > 0.0).then(|| (2.0 + 2.0 * beta) / taken),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Optimizer;
    use super::*;

    /// How far 2,000 steps at `lambda` times the edge leave a parabola's minimum.
    fn distance(config: &OptimConfig, share: f64) -> f64 {
        let (lr, edge) = (0.1, config.edge().unwrap());
        let lambda = (share * edge / lr) as f32;
        let mut optimizer = Optimizer::<f32>::new(config, 1, &[]).unwrap();
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
        assert_eq!(plain.resolve().unwrap().edge(), Some(2.0));
    }
}
