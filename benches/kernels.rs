//! The convolution kernels, one thread: `cargo bench --bench kernels [FILTER]`.
//!
//! divan times them, with floating-point operations as its items: `180 Gitem/s` is 180 GFLOP/s, by
//! the convolution's definition (so that Winograd can exceed the peak). A table at the end gives the
//! medians as shares of the peak of one thread, measured in the same run. Images are as many as fit
//! the cache beside the weights, as in evaluation.

use std::sync::Mutex;
use std::time::Instant;

use divan::Bencher;
use divan::counter::ItemsCount;
use lossreel::backend::native::conv_bench::{Algorithm, ConvBench, ConvCase};
use lossreel::backend::native::peak::Peak;

/// Layers by their usual names: the stages of ResNet-20 and WRN-56-4, VGG-9's widest, the stem,
/// the strided ones and the projection.
const LAYERS: &[(&str, ConvCase)] = &[
    ("16@32x32", case(16, 16, 32, 3, 1)),
    ("32@16x16", case(32, 32, 16, 3, 1)),
    ("64@8x8", case(64, 64, 8, 3, 1)),
    ("64@32x32", case(64, 64, 32, 3, 1)),
    ("128@16x16", case(128, 128, 16, 3, 1)),
    ("256@8x8", case(256, 256, 8, 3, 1)),
    ("stem 3-16@32x32", case(3, 16, 32, 3, 1)),
    ("stem 3-64@32x32", case(3, 64, 32, 3, 1)),
    ("strided 16-32@32x32", case(16, 32, 32, 3, 2)),
    ("strided 32-64@16x16", case(32, 64, 16, 3, 2)),
    ("projection 16-32@32x32", case(16, 32, 32, 1, 2)),
];

const fn case(
    inputs: usize,
    outputs: usize,
    side: usize,
    kernel: usize,
    stride: usize,
) -> ConvCase {
    ConvCase { inputs, outputs, side, kernel, stride }
}

/// (kernel, layer, median GFLOP/s).
static FOUND: Mutex<Vec<(&str, &str, f64)>> = Mutex::new(Vec::new());

fn names() -> impl Iterator<Item = &'static str> {
    LAYERS.iter().map(|layer| layer.0)
}

fn measure(
    bencher: Bencher,
    (kernel, algorithm): (&'static str, Algorithm),
    layer: &'static str,
    work: fn(&mut ConvBench),
) {
    let case = LAYERS.iter().find(|l| l.0 == layer).expect("divan passes our own names").1;
    let pixels = case.side * case.side * case.inputs.max(case.outputs);
    let images = (65_536 / pixels).clamp(1, 8);
    let mut bench = ConvBench::new(case, images, algorithm);
    let flops = case.flops() * images as u64;
    // divan keeps its figures to itself; the table at the end needs them.
    let mut seconds = Vec::new();
    bencher.counter(ItemsCount::new(flops)).bench_local(|| {
        let started = Instant::now();
        work(divan::black_box(&mut bench));
        seconds.push(started.elapsed().as_secs_f64());
    });
    seconds.sort_by(f64::total_cmp);
    if let Some(median) = seconds.get(seconds.len() / 2) {
        let gflops = flops as f64 / median / 1e9;
        FOUND.lock().unwrap_or_else(|e| e.into_inner()).push((kernel, layer, gflops));
    }
}

#[divan::bench(args = names())]
fn forward_direct(bencher: Bencher, layer: &'static str) {
    measure(bencher, ("forward_direct", Algorithm::Direct), layer, ConvBench::forward);
}

#[divan::bench(args = names())]
fn forward(bencher: Bencher, layer: &'static str) {
    measure(bencher, ("forward", Algorithm::Fastest), layer, ConvBench::forward);
}

#[divan::bench(args = names())]
fn forward_bf16(bencher: Bencher, layer: &'static str) {
    measure(bencher, ("forward_bf16", Algorithm::Fastest), layer, ConvBench::forward_bf16);
}

#[divan::bench(args = names())]
fn backward_data_direct(bencher: Bencher, layer: &'static str) {
    measure(bencher, ("backward_data_direct", Algorithm::Direct), layer, ConvBench::backward_data);
}

#[divan::bench(args = names())]
fn backward_data(bencher: Bencher, layer: &'static str) {
    measure(bencher, ("backward_data", Algorithm::Fastest), layer, ConvBench::backward_data);
}

#[divan::bench(args = names())]
fn backward_weights_direct(bencher: Bencher, layer: &'static str) {
    measure(
        bencher,
        ("backward_weights_direct", Algorithm::Direct),
        layer,
        ConvBench::backward_weights,
    );
}

#[divan::bench(args = names())]
fn backward_weights(bencher: Bencher, layer: &'static str) {
    measure(bencher, ("backward_weights", Algorithm::Fastest), layer, ConvBench::backward_weights);
}

fn main() {
    divan::Divan::from_args().sample_size(8).min_time(std::time::Duration::from_millis(100)).main();
    let found = FOUND.lock().unwrap_or_else(|e| e.into_inner());
    if found.is_empty() {
        return;
    }
    let peak = Peak::measure(1);
    println!("\none thread, {}: peak {:.0} GFLOP/s\n", peak.level, peak.gflops);
    println!("{:<24} {:<24} {:>8} {:>8}", "kernel", "layer", "GFLOP/s", "of peak");
    for (kernel, layer, gflops) in found.iter() {
        let share = 100.0 * gflops / peak.gflops;
        println!("{kernel:<24} {layer:<24} {gflops:>8.1} {share:>6.1} %");
    }
}
