//! Against PyTorch's numbers (tests/oracles/optimizers.py), and what a checkpoint relies on.

use serde::Deserialize;

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
        ParamRange { range: 0..WEIGHTS, decay: true },
        ParamRange { range: WEIGHTS..PARAMS, decay: false },
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
    assert_eq!(schedules.len(), 7);
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

/// Every rule, in its variants with the most state.
fn configs() -> Vec<OptimConfig> {
    oracle().cases.into_iter().map(|case| case.config).collect()
}

#[test]
fn a_restored_optimizer_goes_on_bit_for_bit() {
    for config in configs() {
        let mut whole = Optimizer::new(&config, PARAMS, &ranges()).unwrap();
        let mut theta = start(PARAMS);
        for step in 0..5 {
            advance(&mut whole, &mut theta, step, 0.02);
        }
        let mut saved: Vec<_> = whole.slots().map(|(name, v)| (name, v.to_vec())).collect();
        saved.reverse();
        let mut resumed = Optimizer::new(&config, PARAMS, &ranges()).unwrap();
        resumed.restore(whole.t(), saved).unwrap();
        let mut theta_resumed = theta.clone();
        for step in 5..10 {
            advance(&mut whole, &mut theta, step, 0.02);
            advance(&mut resumed, &mut theta_resumed, step, 0.02);
        }
        assert_eq!(theta, theta_resumed, "{config:?}");
    }
}

#[test]
fn a_state_that_is_not_the_rules_is_refused_and_changes_nothing() {
    let mut optimizer = Optimizer::new(&OptimConfig::default(), 3, &[]).unwrap();
    optimizer.step(&mut [1.0; 3], &mut [1.0; 3], 0.1);
    for (slots, want) in [
        (vec![("exp_avg", vec![0.0; 3])], "lacks"),
        (vec![("momentum_buffer", vec![0.0; 2])], "holds 2 values, not 3"),
        (vec![("momentum_buffer", vec![0.0; 3]), ("exp_avg", vec![])], "no state `exp_avg`"),
    ] {
        let message = optimizer.restore(7, slots).unwrap_err().to_string();
        assert!(message.contains(want), "{message}");
    }
    assert_eq!(optimizer.t(), 1);
}

#[test]
fn the_number_of_threads_does_not_show_in_the_result() {
    let params = 100_003; // several pieces, the last one short
    for config in configs() {
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let mut optimizer = Optimizer::new(&config, params, &[]).unwrap();
                let mut theta = start(params);
                for step in 0..3 {
                    let stats = advance(&mut optimizer, &mut theta, step, 0.02);
                    assert!(stats.grad_norm > 0.0);
                }
                theta
            })
        };
        let (one, three) = (run(1), run(3));
        assert!(one == three, "{config:?}");
        // And the pieces fit together: a piece alone does what it does among others. The gradient
        // of the first step depends on neighbours, so compare one step on the same gradient.
        if config.grad_clip.is_none() && config.decay_on == DecayOn::All {
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
}

#[test]
fn a_diverging_rate_ends_in_values_that_are_not_finite_and_never_panics() {
    for config in configs() {
        let mut optimizer = Optimizer::new(&config, PARAMS, &ranges()).unwrap();
        let mut theta = start(PARAMS);
        for step in 0..50 {
            let mut grad = gradient(&theta, step);
            grad.iter_mut().for_each(|g| *g *= 1e20);
            optimizer.step(&mut theta, &mut grad, 1e30);
        }
        assert!(theta.iter().any(|w| !w.is_finite()), "{config:?}");
    }
}
