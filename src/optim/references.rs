//! Every rule in f64 against its reference implementation (tests/oracles/optimizers_f64.py).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::*;

const ORACLE: &str = include_str!("../../tests/oracles/optimizers_f64.json");
const SHAPES: [&[usize]; 7] = [&[4, 3], &[4], &[3, 2, 2, 2], &[3], &[5, 3], &[2, 5], &[2]];
/// Parameters.
pub(super) const PARAMS: usize = 70;
const STEPS: u64 = 20;

#[derive(Deserialize)]
struct Oracle {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    config: OptimConfig,
    lr_decay: f64,
    after: BTreeMap<u64, Vec<f64>>,
}

fn cases() -> Vec<Case> {
    serde_json::from_str::<Oracle>(ORACLE).unwrap().cases
}

/// The configs of all cases: every rule, in variants.
pub(super) fn configs() -> Vec<OptimConfig> {
    cases().into_iter().map(|case| case.config).collect()
}

/// The script's tensors.
pub(super) fn tensors() -> Vec<ParamRange> {
    let mut start = 0;
    let tensor = |(i, shape): (usize, &&[usize])| {
        let range = start..start + shape.iter().product::<usize>();
        start = range.end;
        let (weight, hidden) = (shape.len() > 1, i == 2 || i == 4);
        ParamRange { range, shape: shape.to_vec(), weight, hidden }
    };
    SHAPES.iter().enumerate().map(tensor).collect()
}

pub(super) fn start<F: Real>(params: usize) -> Vec<F> {
    (0..params).map(|i| F::of(0.8 * (0.9 * i as f64).cos())).collect()
}

/// The script's gradient of step `step`, from 0; for L-BFGS that of its one function.
pub(super) struct Script {
    pub step: u64,
    pub full_batch: bool,
}

impl Script {
    /// sum_i s_i (t_i - sin(i + 1))^2 / 2 + (t_(i+1) - t_i^2)^2
    fn valley<F: Real>(theta: &[F], grad: &mut [F]) -> f64 {
        let n = theta.len();
        let at = |i: usize| theta[i % n].f64();
        let mut loss = 0.0;
        for (i, slope) in grad.iter_mut().enumerate() {
            let scale = 0.5 + 4.0 * ((i % 7) as f64).powi(2);
            let off = at(i) - (i as f64 + 1.0).sin();
            let (bend, before) = (at(i + 1) - at(i) * at(i), at(i + n - 1));
            loss += 0.5 * scale * off * off + bend * bend;
            let pull = 2.0 * (at(i) - before * before);
            *slope = F::of(scale * off - 4.0 * bend * at(i) + pull);
        }
        loss
    }
}

impl<F: Real> BatchLoss<F> for Script {
    fn loss_and_grad(&mut self, theta: &[F], grad: &mut [F]) -> Result<f64> {
        if self.full_batch {
            return Ok(Self::valley(theta, grad));
        }
        let at = |i: usize| theta[i].f64();
        for (i, slope) in grad.iter_mut().enumerate() {
            *slope = F::of(
                (0.5 + 0.3 * (i % 5) as f64) * (at(i) - (i as f64 + 1.0).sin())
                    + 0.3 * at((i + 1) % theta.len()).sin()
                    + 0.2 * (0.7 * self.step as f64 + i as f64).cos(),
            );
        }
        Ok(0.0)
    }

    fn probe(&mut self, t: u64, out: &mut [F]) {
        for (i, sign) in out.iter_mut().enumerate() {
            let wave = (1.3 * t as f64 + 2.1 * i as f64 + 0.4).sin();
            *sign = F::of(if wave > 0.0 { 1.0 } else { -1.0 });
        }
    }
}

/// One step on the script's gradient.
pub(super) fn advance<F: Real>(
    optimizer: &mut Optimizer<F>,
    theta: &mut [F],
    step: u64,
    lr: f64,
) -> StepStats {
    let mut script = Script { step, full_batch: optimizer.rule() == RuleName::Lbfgs };
    let (mut grad, mut room) = (vec![F::zero(); theta.len()], Vec::new());
    let point = optimizer.gradient_point(theta, &mut room);
    let loss = script.loss_and_grad(point, &mut grad).unwrap();
    optimizer.step_on(theta, &mut grad, loss, lr, &mut script).unwrap()
}

/// How far a rule in f64 may be from its reference after 20 steps, relative to the parameters.
fn tolerance(config: &OptimConfig) -> f64 {
    match config.rule {
        // torch.optim.Muon divides by max(norm, 1e-7), the authors and this by norm + 1e-7.
        RuleName::Muon if config.muon_scale == Some(MuonScale::Rms) => 2e-7,
        // Inverse roots of matrices whose eigenvalues span orders of magnitude.
        RuleName::Shampoo => 1e-11,
        // A quotient of sums over all parameters, which each side adds in its own order.
        RuleName::Prodigy => 1e-12,
        // Some hundred roundings of 1e-16.
        _ => 2e-14,
    }
}

#[test]
fn every_rule_in_f64_follows_its_reference_for_20_steps() {
    let cases = cases();
    for &rule in RuleName::ALL {
        assert!(cases.iter().any(|case| case.config.rule == rule), "no reference for {rule}");
    }
    let mut failures = Vec::new();
    for case in cases {
        let mut optimizer = Optimizer::<f64>::new(&case.config, PARAMS, &tensors()).unwrap();
        let mut theta = start::<f64>(PARAMS);
        let mut lr = case.config.lr();
        let tolerance = tolerance(&case.config);
        for step in 0..STEPS {
            advance(&mut optimizer, &mut theta, step, lr);
            lr *= case.lr_decay;
            let Some(want) = case.after.get(&optimizer.t()) else { continue };
            let scale = (want.iter().map(|w| w * w).sum::<f64>() / want.len() as f64).sqrt();
            let off = |(got, want): (&f64, &f64)| (got - want).abs() / want.abs().max(scale);
            let worst = theta.iter().zip(want).map(off).fold(0.0, f64::max);
            if worst.is_nan() || worst > tolerance {
                failures.push(format!("{worst:.1e} after {}: {:?}", step + 1, case.config));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_rule_in_f32_stays_near_itself_in_f64() {
    for config in configs() {
        let mut wide = Optimizer::<f64>::new(&config, PARAMS, &tensors()).unwrap();
        let mut narrow = Optimizer::<f32>::new(&config, PARAMS, &tensors()).unwrap();
        let (mut exact, mut rounded) = (start::<f64>(PARAMS), start::<f32>(PARAMS));
        for step in 0..5 {
            advance(&mut wide, &mut exact, step, config.lr());
            advance(&mut narrow, &mut rounded, step, config.lr());
        }
        let square = |v: f64| v * v;
        let off: f64 = exact.iter().zip(&rounded).map(|(e, r)| square(e - f64::from(*r))).sum();
        let off = (off / exact.iter().map(|e| square(*e)).sum::<f64>()).sqrt();
        // Roundings of 6e-8 a step. A difference of gradients (sophia) loses three digits of them, an
        // inverse root of a nearly singular matrix more.
        let tolerance = if config.rule == RuleName::Shampoo { 5e-4 } else { 1e-5 };
        assert!(off < tolerance, "{off:.1e}: {config:?}");
    }
}
