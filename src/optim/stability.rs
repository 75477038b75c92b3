//! The edge of stability: how sharp a valley full-batch gradient descent can go down.
//!
//! Along an eigenvector of the Hessian with eigenvalue `lambda` plain gradient descent multiplies
//! the distance to the minimum by `1 - lr lambda`: it diverges where `lambda > 2 / lr`. Training a
//! net with the full batch, sharpness rises to about that and hovers (Cohen et al., "Gradient
//! Descent on Neural Networks Typically Occurs at the Edge of Stability", ICLR 2021, whose appendix
//! B has the thresholds with momentum). A rule that divides the gradient by P goes down valleys of P^-1 H in
//! the same way, whose largest eigenvalue is the preconditioned sharpness (Cohen et al., "Adaptive Gradient
//! Methods at the Edge of Stability", arXiv:2207.14484).

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

    /// The edge of stability of the *preconditioned* sharpness, the largest eigenvalue of P^-1 H with
    /// [`Optimizer::preconditioner`](super::Optimizer::preconditioner)'s P, as a product with the learning rate:
    /// (2 + 2 beta1) / (1 - beta1) for Adam and AdamW (38 at 0.9), 2 + 2 momentum for RMSprop; what
    /// [`OptimConfig::edge`] says of SGD, whose P is 1. `None` where none is known, and with clipping.
    pub fn preconditioned_edge(&self) -> Option<f64> {
        match self.rule {
            _ if self.grad_clip.is_some() => None,
            RuleName::Sgd => self.edge(),
            // The mean is an exponential one: a heavy ball at a rate of (1 - beta1) lr.
            RuleName::Adam | RuleName::AdamW => {
                let beta = self.beta1.unwrap_or(0.9);
                (beta < 1.0).then(|| (2.0 + 2.0 * beta) / (1.0 - beta))
            }
            RuleName::RmsProp => Some(2.0 + 2.0 * self.momentum.unwrap_or(0.0)),
            _ => None,
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

    /// Along parabolas whose curvatures are `share` of the edge times the preconditioner that a state of ones
    /// gives; squares of gradients are forgotten so slowly that it stands still.
    #[test]
    fn preconditioned_parabolas_just_below_the_edge_converge_and_just_above_it_diverge() {
        for toml in [
            "rule = \"adam\"\nbeta2 = 0.999999999999",
            "rule = \"adam\"\nbeta1 = 0.5\nbeta2 = 0.999999999999",
            "rule = \"adamw\"\nbeta2 = 0.999999999999",
            "rule = \"rmsprop\"\nalpha = 0.999999999999",
            "rule = \"rmsprop\"\nalpha = 0.999999999999\nmomentum = 0.7",
        ] {
            let config: OptimConfig = toml::from_str(&format!("{toml}\nweight_decay = 0")).unwrap();
            let config = config.resolve().unwrap();
            let edge = config.preconditioned_edge().unwrap();
            for (share, below) in [(0.98, true), (1.02, false)] {
                let mut optimizer = Optimizer::<f64>::new(&config, 2, &[]).unwrap();
                let names: Vec<&'static str> = optimizer.slots().map(|(name, _)| name).collect();
                let squares = |name: &str| name.ends_with("sq") || name.starts_with("square");
                let state = names.iter().map(|name| {
                    let values = if squares(name) { vec![4.0, 0.25] } else { vec![0.0; 2] };
                    (*name, values)
                });
                // So late that no mean is corrected any more.
                let t = 10_000_000_000_000;
                optimizer.restore(t, Vec::new(), state.collect::<Vec<_>>()).unwrap();
                let p = optimizer.preconditioner().unwrap();
                assert!((p[0] - 2.0).abs() < 1e-3 && (p[1] - 0.5).abs() < 1e-3, "{toml}: {p:?}");
                let lr = 0.01;
                let mut theta = vec![1e-6, 1e-6];
                // Far away from the minimum the gradients are so large that the state no longer stands still.
                let mut farthest = [0.0f64; 2];
                for _ in 0..3000 {
                    let mut grad: Vec<f64> =
                        theta.iter().zip(&p).map(|(w, p)| share * edge / lr * p * w).collect();
                    optimizer.step(&mut theta, &mut grad, lr);
                    farthest.iter_mut().zip(&theta).for_each(|(f, w)| *f = f.max(w.abs()));
                }
                for (w, farthest) in theta.iter().zip(farthest) {
                    let what = format!("{toml} {share}: {farthest:e}, at the end {w:e}");
                    if below {
                        assert!(farthest < 1e-4 && w.abs() < 1e-9, "{what}");
                    } else {
                        assert!(farthest > 1e-2, "{what}");
                    }
                }
            }
        }
    }

    #[test]
    fn there_is_a_preconditioner_only_of_rules_that_have_a_diagonal_one_and_after_a_step() {
        for (toml, has) in
            [("rule = \"adam\"", true), ("rule = \"sgd\"", false), ("rule = \"lion\"", false)]
        {
            let config: OptimConfig = toml::from_str(toml).unwrap();
            let mut optimizer = Optimizer::<f32>::new(&config, 3, &[]).unwrap();
            assert_eq!(optimizer.preconditioner(), None, "{toml}");
            optimizer.step(&mut [1.0; 3], &mut [0.5, 0.0, -1.0], 0.1);
            assert_eq!(optimizer.preconditioner().is_some(), has, "{toml}");
        }
        let adam: OptimConfig = toml::from_str("rule = \"adam\"").unwrap();
        let edge = adam.resolve().unwrap().preconditioned_edge().unwrap();
        assert!((edge - 38.0).abs() < 1e-9, "{edge}");
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
