//! What the engine costs more inside a candle program: `cargo bench --bench candle_op [ARCH ...]`.
//!
//! A training step of SGD by the engine alone, and the same step as candle's operation with candle's
//! loss, backward pass and optimizer, in turns; medians of the rounds, batches of 128 and 32.

use std::sync::Arc;
use std::time::Instant;

use candle_core::{Device, Tensor, Var};
use candle_nn::{Optimizer, SGD, loss};
use lossreel::backend::native::candle_op::{CandleNet, Statistics};
use lossreel::backend::{BackendName, TrainPass, backend};
use lossreel::dataset::BatchTargets;
use lossreel::models::ModelSpec;
use lossreel::rng::Streams;

const ROUNDS: usize = 9;
const ROUND_SECS: f64 = 0.4;
const LR: f64 = 0.01;

/// Seconds a step, `steps` of them.
fn timed(steps: usize, mut step: impl FnMut()) -> f64 {
    let started = Instant::now();
    (0..steps).for_each(|_| step());
    started.elapsed().as_secs_f64() / steps as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Seconds a step by the engine alone and as candle's operation.
fn measure(arch: &str, n: usize) -> [f64; 2] {
    let network = Arc::new(ModelSpec::of(arch).build([3, 32, 32], 10).expect("a known net"));
    let streams = Streams::new(0);
    let mut rng = streams.stream("bench", 0);
    let images: Vec<f32> = (0..n * 3 * 32 * 32).map(|_| rng.normal() as f32).collect();
    let labels: Vec<u8> = (0..n).map(|i| (i % 10) as u8).collect();

    let engine = backend(BackendName::Native, network.clone()).expect("the engine has this net");
    let (mut theta, mut buffers) = (network.init_theta(&streams), network.init_buffers());
    let mut grad = vec![0.0; theta.len()];
    let mut alone = || {
        let pass = TrainPass {
            theta: &theta,
            buffers: &mut buffers,
            images: &images,
            targets: BatchTargets::Classes(&labels),
            label_smoothing: 0.0,
            streams: &streams,
            step: 0,
        };
        engine.train_pass(pass, &mut grad).expect("a training pass");
        theta.iter_mut().zip(&grad).for_each(|(t, g)| *t -= LR as f32 * g);
    };

    let net = CandleNet::new(network.clone(), streams).expect("the engine has this net");
    let x = Tensor::from_slice(&images, (n, 3, 32, 32), &Device::Cpu).expect("a tensor");
    let y =
        Tensor::from_iter(labels.iter().map(|&l| u32::from(l)), &Device::Cpu).expect("a tensor");
    let var = Var::from_vec(network.init_theta(&streams), network.layout.dim(), &Device::Cpu);
    let var = var.expect("a variable");
    let mut sgd = SGD::new(vec![var.clone()], LR).expect("an optimizer");
    let mut inside = || {
        let logits = net.forward(&x, &var, Statistics::Batch).expect("a forward pass");
        let loss = loss::cross_entropy(&logits, &y).expect("a loss");
        sgd.backward_step(&loss).expect("a step");
    };

    timed(2, &mut alone);
    timed(2, &mut inside);
    let steps = (ROUND_SECS / timed(2, &mut alone)).ceil() as usize;
    let mut rounds = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        rounds[0].push(timed(steps, &mut alone));
        rounds[1].push(timed(steps, &mut inside));
    }
    rounds.map(median)
}

fn main() {
    // cargo passes --bench.
    let asked: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let default = ["resnet20", "vgg9"].map(String::from).to_vec();
    println!("{} threads, ms a training step", rayon::current_num_threads());
    println!("{:<12} {:>6} {:>10} {:>10} {:>9}", "net", "batch", "engine", "in candle", "overhead");
    for arch in if asked.is_empty() { default } else { asked } {
        for n in [128, 32] {
            let [alone, inside] = measure(&arch, n).map(|s| 1e3 * s);
            let overhead = 100.0 * (inside / alone - 1.0);
            println!("{arch:<12} {n:>6} {alone:>10.2} {inside:>10.2} {overhead:>7.1} %");
        }
    }
}
