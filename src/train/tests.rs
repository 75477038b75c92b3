//! Every rule trains a real network, and goes on from a checkpoint as if it had never stopped.

use std::fs;
use std::path::Path;

use super::*;
use crate::optim::RuleName;
use crate::record::Existing;
use crate::spec::Spec;
use crate::stages::train::{create, resume};

/// The embedded digits and a small net with BatchNorm, whose middle layer is a hidden one.
const BASE: &str = r#"
[model]
arch = "mlp"
hidden = [32, 32]

[data]
set = "digits"
train_samples = 400
test_samples = 100

[optim]
weight_decay = 5e-4

[schedule]
kind = "constant"

[train]
epochs = 4
batch_size = 50
seed = 3
"#;

fn spec(set: &[&str]) -> Spec {
    let set: Vec<String> = set.iter().map(|s| s.to_string()).collect();
    Spec::parse(BASE, &set).unwrap()
}

fn setup(set: &[&str]) -> Setup {
    let spec = spec(set);
    spec.setup(&spec.data.load(spec.train.seed).unwrap()).unwrap()
}

/// Trains to the end; the metrics of the epochs.
fn epochs(setup: &Setup) -> Vec<EpochMetrics> {
    let mut epochs = Vec::new();
    let mut state = setup.begin().unwrap();
    let verdict = train(setup, &mut state, &AtomicBool::new(false), &mut |event| {
        if let Event::Epoch { metrics, .. } = event {
            epochs.push(metrics);
        }
        Ok(())
    });
    assert_eq!(verdict.unwrap(), Verdict::Finished);
    epochs
}

/// Rates at which each rule gets somewhere in 32 steps, and whatever else it needs.
fn settings(rule: RuleName) -> &'static [&'static str] {
    match rule {
        RuleName::Sgd => &["optim.lr=0.05"],
        RuleName::Adam | RuleName::AdamW | RuleName::NAdam => &["optim.lr=0.01"],
        RuleName::RAdam => &["optim.lr=0.05"],
        RuleName::RmsProp => &["optim.lr=0.003"],
        RuleName::Adagrad => &["optim.lr=0.05"],
        RuleName::Adadelta => &["optim.lr=10"],
        RuleName::Lion => &["optim.lr=0.003"],
        RuleName::Muon => &["optim.lr=0.05", "optim.adamw_lr=0.01"],
        RuleName::Soap => &["optim.lr=0.01"],
        RuleName::Shampoo => &["optim.lr=0.1"],
        RuleName::Sophia => &["optim.lr=0.01"],
        RuleName::Adan => &["optim.lr=0.01"],
        RuleName::AdEmaMix => &["optim.lr=0.003"],
        RuleName::Mars => &["optim.lr=0.01", "optim.adamw_lr=0.01"],
        RuleName::Adopt => &["optim.lr=0.01"],
        RuleName::Prodigy => &["optim.d0=1e-3"],
        RuleName::ScheduleFreeSgd => &["optim.lr=0.5"],
        RuleName::ScheduleFreeAdamW => &["optim.lr=0.02"],
        RuleName::Lars => &["optim.lr=0.5", "optim.trust_coefficient=0.05"],
        RuleName::Lamb => &["optim.lr=0.03"],
        // 20 steps are too few for running statistics.
        RuleName::Lbfgs => &["train.batch_size=400", "train.epochs=20", "model.norm=none"],
    }
}

#[test]
fn every_rule_learns_the_digits() {
    let mut slow = Vec::new();
    for &rule in RuleName::ALL {
        let named = format!("optim.rule={rule}");
        let set: Vec<&str> = [named.as_str()].iter().chain(settings(rule)).copied().collect();
        let last = *epochs(&setup(&set)).last().unwrap();
        if last.train.accuracy() < 0.8 {
            slow.push(format!("{rule}: {:.2}", last.train.accuracy()));
        }
    }
    assert!(slow.is_empty(), "{}", slow.join(", "));
}

#[test]
fn a_full_batch_rule_never_climbs() {
    let epochs = epochs(&setup(&[
        "optim.rule=lbfgs",
        "train.batch_size=400",
        "train.epochs=15",
        "optim.weight_decay=0",
        "model.norm=none",
    ]));
    let losses: Vec<f64> = epochs.iter().map(|e| e.running_loss).collect();
    assert!(losses.is_sorted_by(|a, b| a >= b), "{losses:?}");
    assert!(losses[losses.len() - 1] < 0.1 * losses[0], "{losses:?}");
}

#[test]
fn sharpness_aware_minimisation_moves_running_statistics_once_a_step() {
    let after_a_step = |set: &[&str]| {
        let setup = setup(set);
        let mut state = setup.begin().unwrap();
        let stop = AtomicBool::new(false);
        let listener = &mut |event: Event<'_>| {
            stop.store(matches!(event, Event::Step { .. }), Ordering::Relaxed);
            Ok(())
        };
        assert_eq!(train(&setup, &mut state, &stop, listener).unwrap(), Verdict::Interrupted);
        (state.theta, state.buffers)
    };
    let (plain, sam) = (after_a_step(&[]), after_a_step(&["optim.sam_rho=0.5"]));
    assert_eq!(plain.1, sam.1);
    assert_ne!(plain.0, sam.0);
}

#[test]
fn statistics_at_theta_are_means_over_the_first_batches() {
    let setup = setup(&["optim.rule=schedule_free_adamw"]);
    let mut state = setup.begin().unwrap();
    train(&setup, &mut state, &AtomicBool::new(false), &mut |_| Ok(())).unwrap();
    let found = setup.buffers_at_theta(&state).unwrap();
    assert_ne!(*found, state.buffers);

    // The first layer's means, by hand: an epoch is 8 batches, and all of them are used.
    let layout = &setup.backend.network().layout;
    let param = |name: &str| {
        let found = layout.params.iter().find(|p| p.name == name).unwrap();
        &state.theta[found.range()]
    };
    let buffer = |name: &str| {
        let found = layout.buffers.iter().find(|b| b.name == name).unwrap();
        found.range()
    };
    let (weight, bias) = (param("fc1.weight"), param("fc1.bias"));
    let data = &setup.data.train;
    let batcher = Batcher::new(data, setup.data.max_value, &setup.stats).unwrap();
    let (images, _) = batcher.batch(&(0..400).collect::<Vec<_>>(), None);
    for (unit, mean) in found[buffer("bn1.running_mean")].iter().enumerate() {
        let row = &weight[64 * unit..64 * (unit + 1)];
        let product = |image: &[f32]| -> f64 {
            image.iter().zip(row).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum()
        };
        let sum: f64 = images.chunks(64).map(product).sum();
        let want = sum / 400.0 + f64::from(bias[unit]);
        // f32 sums over 64 inputs and 50 images, divided by a momentum of 0.1.
        assert!((f64::from(*mean) - want).abs() < 1e-5, "{unit}: {mean} {want}");
    }
    assert!(found[buffer("bn1.running_var")].iter().all(|v| *v > 0.0));
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into(), fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn a_run_that_is_stopped_and_resumed_leaves_the_same_snapshots() {
    let full_batch = &["train.batch_size=400", "train.epochs=20", "optim.rule=lbfgs"][..];
    for set in [
        &["optim.rule=muon"][..],
        &["optim.rule=soap", "optim.precondition_frequency=3"],
        &["optim.rule=shampoo", "optim.precondition_frequency=3"],
        &["optim.rule=schedule_free_sgd", "optim.lr=0.5"],
        &["optim.rule=schedule_free_adamw", "optim.sam_rho=0.05"],
        &["optim.rule=nadam", "optim.sam_rho=0.05", "optim.sam_adaptive=true"],
        &["optim.rule=prodigy"],
        &["optim.rule=sophia", "optim.hessian_every=3"],
        full_batch,
    ] {
        let set: Vec<&str> = [set, &["record.every=3 steps"]].concat();
        let spec = spec(&set);
        let folder = tempfile::tempdir().unwrap();
        let [whole, halved] = ["whole", "halved"].map(|name| folder.path().join(name));
        let never = AtomicBool::new(false);
        create(&spec, &whole, Existing::Refuse).unwrap().train(&never, &mut |_| ()).unwrap();

        let stop = AtomicBool::new(false);
        let mut begun = create(&spec, &halved, Existing::Refuse).unwrap();
        let verdict = begun.train(&stop, &mut |event| {
            if let Event::Step { metrics, .. } = event {
                stop.store(metrics.step == 13, Ordering::Relaxed);
            }
        });
        assert_eq!(verdict.unwrap(), Verdict::Interrupted);
        drop(begun);
        resume(&halved).unwrap().train(&never, &mut |_| ()).unwrap();
        let (whole, halved) = (files(&whole.join("snapshots")), files(&halved.join("snapshots")));
        assert!(whole.len() > 6 && whole == halved, "{set:?}");
    }
}
