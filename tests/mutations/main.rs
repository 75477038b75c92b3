//! Whatever the bytes of a file, reading it ends in a value or in an error that names the file: no
//! panic, no memory out of proportion to the file, no endless work. Sound files are changed at random,
//! always in the same ways; `LOSSREEL_MUTATIONS=N` tries N inputs of each kind of file.
//!
//! The allocator of this test binary counts, so its tests run one after the other.

mod allocator;
mod mutate;
mod run_files;
mod targets;
mod weights;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use lossreel::rng::{Rng, Streams};

use allocator::{alone, peak_of};

/// Inputs of each kind where nothing else is asked for: some twenty seconds for all kinds.
const INPUTS: u64 = 10_000;

/// No input may take longer.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// Failures that are told; the rest are counted.
const TOLD: usize = 10;

fn inputs() -> u64 {
    let asked = std::env::var("LOSSREEL_MUTATIONS").ok();
    asked.map_or(INPUTS, |count| count.parse().expect("LOSSREEL_MUTATIONS is a number"))
}

/// What reading one input came to.
#[derive(Debug, PartialEq)]
enum Outcome {
    Accepted,
    Refused,
    /// An error that says nothing, or not about what.
    Wrong(String),
}

/// One kind of file.
trait Target {
    /// A bad file.
    fn input(&mut self, rng: &mut Rng) -> Vec<u8>;
    /// Reads it.
    fn read(&mut self, input: &[u8]) -> Outcome;
    /// The most memory that reading it may take.
    fn bound(&self, input: &[u8]) -> usize;
}

/// When the input that is being read began, in milliseconds from the first one; 0 between inputs.
static BEGAN: AtomicU64 = AtomicU64::new(0);
static INPUT: AtomicU64 = AtomicU64::new(0);

fn now() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    1 + START.get_or_init(Instant::now).elapsed().as_millis() as u64
}

/// Ends the process when one input takes too long: nothing else can stop it.
fn watch() {
    static WATCH: OnceLock<()> = OnceLock::new();
    WATCH.get_or_init(|| {
        std::thread::spawn(|| {
            loop {
                std::thread::sleep(TIME_LIMIT / 4);
                let began = BEGAN.load(Ordering::Relaxed);
                if began > 0 && now() - began > TIME_LIMIT.as_millis() as u64 {
                    eprintln!("input {} does not end", INPUT.load(Ordering::Relaxed));
                    std::process::abort();
                }
            }
        });
    });
}

/// Tries a share of the inputs on a target. `LOSSREEL_MUTATION=K` tries the K-th alone.
fn try_target(name: &str, target: &mut dyn Target, share: f64) {
    let only: Option<u64> = std::env::var("LOSSREEL_MUTATION").ok().and_then(|k| k.parse().ok());
    let count = (inputs() as f64 * share) as u64;
    let started = Instant::now();
    watch();
    let (mut accepted, mut refused, mut peak, mut failures) = (0u64, 0u64, 0, Vec::new());
    let mut failed = 0u64;
    for k in only.map_or(0..count, |k| k..k + 1) {
        let mut rng = Streams::new(17).stream(name, k);
        let input = target.input(&mut rng);
        if only.is_some() {
            println!("{:?}", String::from_utf8_lossy(&input));
        }
        INPUT.store(k, Ordering::Relaxed);
        BEGAN.store(now(), Ordering::Relaxed);
        let mut outcome = None;
        let taken = peak_of(|| {
            outcome = catch_unwind(AssertUnwindSafe(|| target.read(&input))).ok();
        });
        BEGAN.store(0, Ordering::Relaxed);
        peak = peak.max(taken);
        let failure = match outcome {
            None => Some("a panic".to_string()),
            Some(Outcome::Wrong(what)) => Some(what),
            Some(_) if taken > target.bound(&input) => {
                Some(format!("{taken} bytes of heap for {} of file", input.len()))
            }
            Some(Outcome::Accepted) => {
                accepted += 1;
                None
            }
            Some(Outcome::Refused) => {
                refused += 1;
                None
            }
        };
        if let Some(what) = failure {
            failed += 1;
            if failures.len() < TOLD {
                failures.push(format!("input {k}: {what}"));
            }
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{name}: {count} inputs, {accepted} accepted, {refused} refused, {failed} failed, \
         {peak} bytes at most, {seconds:.1} s"
    );
    assert!(failures.is_empty(), "{failed} inputs of {name}:\n{}", failures.join("\n"));
    assert!(only.is_some() || refused > 0, "no input of {name} was refused");
}

macro_rules! targets {
    ($($test:ident, $name:literal, $target:expr, $share:expr;)*) => {$(
        #[test]
        fn $test() {
            let _alone = alone();
            try_target($name, &mut $target, $share);
        }
    )*};
}

targets! {
    legacy_torch_files, "legacy torch", targets::Weights::legacy(), 1.0;
    pickles_of_random_opcodes, "pickle", targets::Pickles::new(), 1.0;
    torch_archives, "torch archive", targets::Weights::archives(), 1.0;
    pickles_in_archives_with_right_checksums, "pickle in an archive", targets::Archive::new(), 1.0;
    safetensors_files, "safetensors", targets::Weights::safetensors(), 1.0;
    headers_of_safetensors, "safetensors header", targets::Header::new(), 1.0;
    hdf5_surfaces, "HDF5 surface", targets::Hdf5::surfaces(), 1.0;
    hdf5_directions, "HDF5 directions", targets::Hdf5::directions(), 0.5;
    gzipped_idx_files, "idx", targets::Idx::new(), 0.2;
    specs, "spec", targets::Specs::new(), 1.0;
    headers_of_surfaces, "grid.json", run_files::InRun::surface("grid.json"), 0.5;
    cells_of_surfaces, "cells.jsonl", run_files::InRun::surface("cells.jsonl"), 1.0;
    losses_on_the_path, "paths.jsonl", run_files::InRun::surface("paths.jsonl"), 0.5;
    headers_of_gradients, "gradients", run_files::InRun::gradients("grid.json"), 0.3;
    cells_of_gradients, "gradient cells", run_files::InRun::gradients("cells.jsonl"), 0.3;
    stacks, "stack.json", run_files::InRun::stack(), 0.5;
    planes, "plane", run_files::InRun::plane(), 0.7;
    joint_planes, "joint.json", run_files::InRun::joint(), 0.2;
    manifests, "manifest.json", run_files::InRun::manifest(), 0.5;
    metrics, "metrics.jsonl", run_files::InRun::metrics(), 0.5;
    layouts, "layout.json", run_files::InRun::layout(), 0.5;
    snapshots, "snapshot", run_files::InRun::snapshot(), 0.5;
    checkpoints, "checkpoint", run_files::InRun::checkpoint(), 0.3;
    curvatures, "curvature", run_files::InRun::curvature(), 0.3;
}
