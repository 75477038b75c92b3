//! Against PyTorch's numbers (tests/oracles/optimizers.py), and what a checkpoint relies on.

use std::ops::Range;

use serde::Deserialize;

use super::references::{self, configs, tensors};
use super::*;

const ORACLE: &str = include_str!("../../tests/oracles/optimizers.json");
const PARAMS: usize = 37;
const WEIGHTS: usize = 30;

#[derive(Deserialize)]
struct Oracle {
    cases: Vec<Case>,
    schedules: Vec<Rates>,
}

#[derive(Deserialize)]
struct Case {
    config: OptimConfig,
    lr_decay: f64,
    after: std::collections::BTreeMap<u64, Vec<f64>>,
    norms: Vec<f64>,
}

#[derive(Deserialize)]
struct Rates {
    config: ScheduleConfig,
    base_lr: f64,
    steps_per_epoch: u64,
    epochs: u64,
    rates: Vec<f64>,
}

fn oracle() -> Oracle {
    serde_json::from_str(ORACLE).unwrap()
}

fn start(params: usize) -> Vec<f32> {
    (0..params).map(|i| (0.8 * (0.9 * i as f64).cos()) as f32).collect()
}

/// The script's function, in f64 and rounded once.
fn gradient(theta: &[f32], step: u64) -> Vec<f32> {
    let at = |i: usize| f64::from(theta[i]);
    let element = |i: usize| {
        (0.5 + 0.3 * (i % 5) as f64) * (at(i) - (i as f64 + 1.0).sin())
            + 0.3 * at((i + 1) % theta.len()).sin()
            + 0.2 * (0.7 * step as f64 + i as f64).cos()
    };
    (0..theta.len()).map(|i| element(i) as f32).collect()
}

/// One step on the script's gradient.
fn advance(optimizer: &mut Optimizer, theta: &mut [f32], step: u64, lr: f64) -> StepStats {
    let mut grad = gradient(theta, step);
    optimizer.step(theta, &mut grad, lr)
}

fn ranges() -> Vec<ParamRange> {
    vec![
        ParamRange { range: 0..WEIGHTS, shape: vec![5, 6], weight: true, hidden: false },
        ParamRange { range: WEIGHTS..PARAMS, shape: vec![7], weight: false, hidden: false },
    ]
}

#[test]
fn every_rule_follows_pytorch_for_20_steps() {
    let cases = oracle().cases;
    assert_eq!(cases.len(), 16);
    for case in cases {
        let mut optimizer = Optimizer::new(&case.config, PARAMS, &ranges()).unwrap();
        let mut theta = start(PARAMS);
        let mut lr = case.config.lr();
        for step in 0..20 {
            let stats = advance(&mut optimizer, &mut theta, step, lr);
            lr *= case.lr_decay;
            if let Some(&norm) = case.norms.get(step as usize) {
                // PyTorch sums the squares in f32.
                assert!((stats.grad_norm / norm - 1.0).abs() < 1e-6, "{:?}", case.config);
            }
            let Some(want) = case.after.get(&optimizer.t()) else { continue };
            let scale = (want.iter().map(|w| w * w).sum::<f64>() / PARAMS as f64).sqrt();
            for (i, (&got, &want)) in theta.iter().zip(want).enumerate() {
                // Both sides round to f32 (6e-8) at each step. A theta that passes near zero
                // keeps the rounding of its larger past, hence the scale.
                let tolerance = 1e-6 * want.abs().max(scale);
                let error = (f64::from(got) - want).abs();
                assert!(error <= tolerance, "{:?}: step {step}, {i}: {error:e}", case.config);
            }
        }
    }
}

#[test]
fn every_schedule_gives_pytorchs_rates() {
    let schedules = oracle().schedules;
    assert_eq!(schedules.len(), 9);
    for Rates { config, base_lr, steps_per_epoch, epochs, rates } in schedules {
        let config = config.resolve(epochs).unwrap();
        for (step, want) in rates.into_iter().enumerate() {
            let total = steps_per_epoch * epochs;
            let got = config.lr_at(base_lr, step as u64, steps_per_epoch, total);
            // PyTorch works some of these out step from step: a few tens of f64 roundings.
            assert!((got / want - 1.0).abs() < 1e-10, "{config:?}: step {step}: {got} not {want}");
        }
    }
}

fn optimizer(config: &OptimConfig) -> Optimizer {
    Optimizer::new(config, references::PARAMS, &tensors()).unwrap()
}

#[test]
fn a_restored_optimizer_goes_on_bit_for_bit() {
    for config in configs() {
        let mut whole = optimizer(&config);
        let mut theta = references::start(references::PARAMS);
        for step in 0..5 {
            references::advance(&mut whole, &mut theta, step, 0.02);
        }
        let mut saved: Vec<_> = whole.slots().map(|(name, v)| (name, v.to_vec())).collect();
        saved.reverse();
        let mut scalars: Vec<_> = whole.scalars().collect();
        scalars.reverse();
        let mut resumed = optimizer(&config);
        resumed.restore(whole.t(), scalars, saved).unwrap();
        let mut theta_resumed = theta.clone();
        for step in 5..10 {
            references::advance(&mut whole, &mut theta, step, 0.02);
            references::advance(&mut resumed, &mut theta_resumed, step, 0.02);
        }
        assert_eq!(theta, theta_resumed, "{config:?}");
    }
}

#[test]
fn a_state_that_is_not_the_rules_is_refused_and_changes_nothing() {
    let mut optimizer = Optimizer::<f32>::new(&OptimConfig::default(), 3, &[]).unwrap();
    optimizer.step(&mut [1.0; 3], &mut [1.0; 3], 0.1);
    for (slots, want) in [
        (vec![("exp_avg", vec![0.0; 3])], "lacks"),
        (vec![("momentum_buffer", vec![0.0; 2])], "holds 2 values, not 3"),
        (vec![("momentum_buffer", vec![0.0; 3]), ("exp_avg", vec![])], "no state `exp_avg`"),
    ] {
        let message = optimizer.restore(7, [], slots).unwrap_err().to_string();
        assert!(message.contains(want), "{message}");
    }
    let slots = [("momentum_buffer", vec![0.0; 3])];
    let message = optimizer.restore(7, [("d", 1.0)], slots).unwrap_err().to_string();
    assert!(message.contains("no state `d`"), "{message}");
    assert_eq!(optimizer.t(), 1);
    for config in configs() {
        let mut optimizer = self::optimizer(&config);
        let names: Vec<_> = optimizer.slots().map(|(name, v)| (name, v.len())).collect();
        for wrong in 0..names.len() {
            let slot = |(i, (name, len)): (usize, &(&'static str, usize))| {
                (*name, vec![0.0; len + usize::from(i == wrong)])
            };
            let slots: Vec<_> = names.iter().enumerate().map(slot).collect();
            let scalars: Vec<_> = optimizer.scalars().collect();
            let message = optimizer.restore(1, scalars, slots).unwrap_err().to_string();
            assert!(message.contains(names[wrong].0), "{message}");
        }
    }
}

/// Several pieces, the last one short: a convolution inside, matrices around it, and vectors.
fn large() -> (usize, Vec<ParamRange>) {
    let shapes: [&[usize]; 6] = [&[40, 30], &[40], &[24, 20, 3, 3], &[90, 48], &[90_000], &[123]];
    let mut params = 0;
    let tensor = |(i, shape): (usize, &&[usize])| {
        let range = params..params + shape.iter().product::<usize>();
        params = range.end;
        let (weight, hidden) = (shape.len() > 1, i == 2 || i == 3);
        ParamRange { range, shape: shape.to_vec(), weight, hidden }
    };
    let tensors = shapes.iter().enumerate().map(tensor).collect();
    (params, tensors)
}

#[test]
fn the_number_of_threads_does_not_show_in_the_result() {
    let (params, tensors) = large();
    for config in configs() {
        let config = OptimConfig { precondition_frequency: None, ..config };
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let mut optimizer = Optimizer::new(&config, params, &tensors).unwrap();
                let mut theta = start(params);
                for step in 0..3 {
                    let stats = references::advance(&mut optimizer, &mut theta, step, 0.02);
                    assert!(stats.grad_norm > 0.0);
                }
                theta
            })
        };
        let (one, three) = (run(1), run(3));
        assert!(one == three, "{config:?}");
    }
}

#[test]
fn the_pieces_of_elementwise_rules_fit_together() {
    let params = 100_003;
    for case in oracle().cases {
        let config = case.config;
        if config.grad_clip.is_some() || config.decay_on != DecayOn::All {
            continue;
        }
        // A piece alone does what it does among others, on the same gradient.
        let (theta, grad) = (start(params), gradient(&start(params), 0));
        let step = |range: Range<usize>| {
            let mut theta = theta[range.clone()].to_vec();
            let mut optimizer = Optimizer::new(&config, theta.len(), &[]).unwrap();
            optimizer.step(&mut theta, &mut grad[range].to_vec(), 0.02);
            theta
        };
        assert!(step(0..params)[65_500..65_600] == step(65_500..65_600), "{config:?}");
    }
}

/// The script's batch with gradients that overflow.
struct Steep(references::Script);

impl BatchLoss<f32> for Steep {
    fn loss_and_grad(&mut self, theta: &[f32], grad: &mut [f32]) -> Result<f64> {
        let loss = self.0.loss_and_grad(theta, grad)?;
        grad.iter_mut().for_each(|g| *g *= 1e20);
        Ok(1e20 * loss)
    }

    fn probe(&mut self, t: u64, out: &mut [f32]) {
        self.0.probe(t, out);
    }
}

#[test]
fn a_diverging_rate_never_panics_and_ends_far_away() {
    for config in configs() {
        let mut optimizer = optimizer(&config);
        let mut theta = references::start::<f32>(references::PARAMS);
        for step in 0..50 {
            let full_batch = config.rule == RuleName::Lbfgs;
            let mut batch = Steep(references::Script { step, full_batch });
            let (mut grad, mut room) = (vec![0.0; theta.len()], Vec::new());
            let point = optimizer.gradient_point(&theta, &mut room);
            let loss = batch.loss_and_grad(point, &mut grad).unwrap();
            optimizer.step_on(&mut theta, &mut grad, loss, 1e30, &mut batch).unwrap();
        }
        // Steps of a bounded size, like Lion's, get to 1e30 and no further; a line search may find its
        // way from there.
        let far = |w: &f32| !w.is_finite() || w.abs() > 1e20;
        assert!(config.rule == RuleName::Lbfgs || theta.iter().any(far), "{config:?}");
    }
}

#[test]
fn a_gradient_that_is_not_finite_never_panics() {
    for config in configs() {
        for bad in [f32::NAN, f32::INFINITY] {
            let mut optimizer = optimizer(&config);
            let mut theta = references::start::<f32>(references::PARAMS);
            for step in 0..4 {
                let mut script = references::Script { step, full_batch: false };
                let mut grad = vec![bad; theta.len()];
                optimizer.step_on(&mut theta, &mut grad, f64::NAN, 0.1, &mut script).unwrap();
            }
        }
    }
}

#[test]
fn schedule_free_takes_its_gradient_beside_the_average_after_the_first_step() {
    for rule in [RuleName::ScheduleFreeSgd, RuleName::ScheduleFreeAdamW] {
        let config = OptimConfig { rule, ..OptimConfig::default() };
        let mut optimizer = optimizer(&config);
        let mut theta = references::start::<f32>(references::PARAMS);
        let mut room = Vec::new();
        assert_eq!(optimizer.gradient_point(&theta, &mut room), theta);
        // The first step has all the weight: x, y and z are one.
        for step in 0..2 {
            references::advance(&mut optimizer, &mut theta, step, 0.1);
        }
        let (_, z) = optimizer.slots().next().unwrap();
        let y = optimizer.gradient_point(&theta, &mut room);
        for ((y, z), x) in y.iter().zip(z).zip(&theta) {
            assert!((y - (0.1 * z + 0.9 * x)).abs() < 1e-6);
        }
        assert!(y != theta);
    }
}
