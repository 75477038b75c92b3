//! How fast a network trains and is evaluated on this machine, and what a surface would cost.
//!
//! Training is the trainer's step (forward, backward, optimizer) on a batch that lies in memory;
//! evaluation is a surface's: cells of a plane, several at once, through the objective. Both go in
//! rounds of about a second after a warm-up. The median counts; smallest and largest are kept, for
//! on a shared machine the spread says how far to trust it.

use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;

use super::Progress;
use crate::backend::native::peak::Peak;
use crate::backend::native::{Caches, Level};
use crate::backend::{Backend, PassTimes, Precision, TrainPass};
use crate::dataset::{BatchTargets, LabelledImages, NormStats};
use crate::landscape::theta_at;
use crate::names::named_enum;
use crate::network::Network;
use crate::objective::{DatasetObjective, Objective};
use crate::optim::{OptimConfig, Optimizer};
use crate::rng::Streams;
use crate::{Error, Result};
use crate::{memory, parallel};

named_enum! {
    /// What is measured.
    pub enum BenchOnly("measurement") {
        /// Training steps.
        Train = "train",
        /// Evaluation.
        Eval = "eval",
    }
}

/// How to measure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BenchRequest {
    /// Images a training step.
    pub batch_size: usize,
    /// Rounds of each measurement.
    pub rounds: usize,
    /// About how long a round takes, in seconds; one step or one sixteen images a cell at least.
    pub round_secs: f64,
    /// One measurement, or `None` for both.
    pub only: Option<BenchOnly>,
    /// Where the time of training passes goes, layer by layer, as well.
    pub layers: bool,
}

impl Default for BenchRequest {
    fn default() -> Self {
        Self { batch_size: 128, rounds: 5, round_secs: 1.0, only: None, layers: false }
    }
}

impl BenchRequest {
    fn check(&self) -> Result<()> {
        if !(1..=65_536).contains(&self.batch_size) {
            return Err(Error::bad_value(
                "batch-size",
                self.batch_size,
                "not a number of images to train on at once",
                "use 1 to 65536",
            ));
        }
        if !(1..=1000).contains(&self.rounds) {
            return Err(Error::bad_value(
                "rounds",
                self.rounds,
                "not a number of rounds",
                "use 1 to 1000",
            ));
        }
        if !(self.round_secs >= 0.0 && self.round_secs <= 3600.0) {
            return Err(Error::bad_value(
                "round-secs",
                self.round_secs,
                "not the length of a round",
                "use 0 to 3600 seconds",
            ));
        }
        Ok(())
    }
}

/// What was measured, with the keys scripts read. What was not is `null`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BenchReport {
    /// The architecture with its options.
    pub arch: String,
    /// Shape of an image, (c, h, w).
    pub image: [usize; 3],
    /// Trained values.
    pub parameters: usize,
    /// Multiply-accumulates of one image's forward pass.
    pub macs: u64,
    /// The engine.
    pub backend: String,
    /// The numbers that its evaluation multiplies.
    pub precision: Precision,
    /// What it executes the convolutions of an evaluation with and how many of them, the most
    /// frequent first; empty for the candle backend.
    pub eval_kernels: Vec<(String, usize)>,
    /// Threads.
    pub threads: usize,
    /// Images a training step.
    pub batch_size: usize,
    /// The caches that the engine plans for.
    pub caches: Caches,
    /// The processor's measured f32 peak on these threads, 1e9 operations a second.
    pub peak_gflops: f64,
    /// The instructions that reached the peak, those the native engine uses.
    pub peak_level: Level,
    /// Training, median of the rounds.
    pub train_images_per_s: Option<f64>,
    /// Training, each round.
    pub train_rounds: Vec<f64>,
    /// Training, 1e9 operations a second: two a multiply-accumulate, three passes as costly as the
    /// forward one (itself, both gradients).
    pub train_gflops: Option<f64>,
    /// That over the peak, 0..1. It can exceed 1 where convolutions are computed with fewer
    /// multiplications than their definition has (Winograd).
    pub train_peak_share: Option<f64>,
    /// Where the time of training passes went.
    pub layers: Option<PassTimes>,
    /// Evaluation, median of the rounds.
    pub eval_images_per_s: Option<f64>,
    /// Evaluation, each round.
    pub eval_rounds: Vec<f64>,
    /// Evaluation, 1e9 operations a second, two a multiply-accumulate.
    pub eval_gflops: Option<f64>,
    /// That over the peak.
    pub eval_peak_share: Option<f64>,
    /// Images a cell that evaluation was measured with.
    pub eval_samples: Option<usize>,
    /// Seconds of an epoch of 50,000 images at this speed, augmentation and evaluation not counted.
    pub epoch_50000_seconds: Option<f64>,
    /// Seconds of a surface of 51 x 51 cells of 1,000 images at this speed.
    pub surface_51x51_seconds: Option<f64>,
}

/// Measures `backend` on as many threads as the current pool has. `progress` counts rounds.
///
/// # Errors
/// [`Error::BadValue`] for a request out of range; [`Error::TooLarge`]; those of the backend.
pub fn bench(
    backend: &Arc<dyn Backend>,
    request: &BenchRequest,
    progress: Progress<'_>,
) -> Result<BenchReport> {
    request.check()?;
    let network = backend.network();
    let image = network.input.iter().product();
    memory::check("a batch of these images", memory::product(&[request.batch_size, image, 4]))?;
    memory::check("training this network", memory::product(&[network.layout.dim(), 16]))?;
    let threads = parallel::threads();
    let peak = Peak::measure(threads);
    let wanted = |what| request.only.is_none_or(|only| only == what);
    let measurements = if request.only.is_some() { 1 } else { 2 };
    let total = measurements * request.rounds;
    let mut report = empty_report(network, backend, request, peak);
    let macs = network.macs() as f64;
    if wanted(BenchOnly::Train) {
        let rates = train_rounds(backend, request, &|done| progress(done, total))?;
        let rate = median(&rates);
        let gflops = 6.0 * macs * rate / 1e9;
        report.train_rounds = rates;
        report.train_images_per_s = Some(rate);
        report.train_gflops = Some(gflops);
        report.train_peak_share = Some(gflops / peak.gflops);
        report.epoch_50000_seconds = Some(50_000.0 / rate);
    }
    if request.layers {
        report.layers = Some(layers(backend, request)?);
    }
    if wanted(BenchOnly::Eval) {
        let before = total - request.rounds;
        let (samples, rates) = eval_rounds(backend, request, &|d| progress(before + d, total))?;
        let rate = median(&rates);
        let gflops = 2.0 * macs * rate / 1e9;
        report.eval_samples = Some(samples);
        report.eval_rounds = rates;
        report.eval_images_per_s = Some(rate);
        report.eval_gflops = Some(gflops);
        report.eval_peak_share = Some(gflops / peak.gflops);
        report.surface_51x51_seconds = Some(51.0 * 51.0 * 1000.0 / rate);
    }
    Ok(report)
}

fn empty_report(
    network: &Network,
    backend: &Arc<dyn Backend>,
    request: &BenchRequest,
    peak: Peak,
) -> BenchReport {
    BenchReport {
        arch: network.arch.clone(),
        image: network.input,
        parameters: network.layout.dim(),
        macs: network.macs(),
        backend: backend.name().to_string(),
        precision: backend.precision(),
        eval_kernels: backend.eval_kernels(),
        threads: peak.threads,
        batch_size: request.batch_size,
        caches: Caches::detect(),
        peak_gflops: peak.gflops,
        peak_level: peak.level,
        train_images_per_s: None,
        train_rounds: vec![],
        train_gflops: None,
        train_peak_share: None,
        layers: None,
        eval_images_per_s: None,
        eval_rounds: vec![],
        eval_gflops: None,
        eval_peak_share: None,
        eval_samples: None,
        epoch_50000_seconds: None,
        surface_51x51_seconds: None,
    }
}

/// Images/s of whole training steps, a round each.
fn train_rounds(
    backend: &Arc<dyn Backend>,
    request: &BenchRequest,
    progress: &dyn Fn(usize),
) -> Result<Vec<f64>> {
    let network = backend.network();
    let streams = Streams::new(0);
    let (images, labels) = batch(network, request.batch_size, &streams);
    // The paper's optimizer. The rate below is low: one batch again and again is not its recipe.
    let mut optimizer = Optimizer::new(&OptimConfig::default(), network.layout.dim(), &[])?;
    let (mut theta, mut buffers) = (network.init_theta(&streams), network.init_buffers());
    let mut grad = vec![0.0; theta.len()];
    let mut step = 0;
    rounds(request, request.batch_size, progress, || {
        let pass = TrainPass {
            theta: &theta,
            buffers: &mut buffers,
            images: &images,
            targets: BatchTargets::Classes(&labels),
            label_smoothing: 0.0,
            streams: &streams,
            step,
        };
        backend.train_pass(pass, &mut grad)?;
        optimizer.step(&mut theta, &mut grad, 0.01);
        step += 1;
        Ok(())
    })
}

/// Images of noise, with labels.
fn batch(network: &Network, n: usize, streams: &Streams) -> (Vec<f32>, Vec<u8>) {
    let mut rng = streams.stream("bench", 0);
    let image: usize = network.input.iter().product();
    let images = (0..n * image).map(|_| rng.normal() as f32).collect();
    let rows = n * network.positions();
    (images, (0..rows).map(|i| (i % network.classes) as u8).collect())
}

/// Where training passes spend their time, measured as long as all rounds of a measurement take.
fn layers(backend: &Arc<dyn Backend>, request: &BenchRequest) -> Result<PassTimes> {
    let network = backend.network();
    let streams = Streams::new(0);
    let (images, labels) = batch(network, request.batch_size, &streams);
    let (theta, mut buffers) = (network.init_theta(&streams), network.init_buffers());
    let pass = TrainPass {
        theta: &theta,
        buffers: &mut buffers,
        images: &images,
        targets: BatchTargets::Classes(&labels),
        label_smoothing: 0.0,
        streams: &streams,
        step: 0,
    };
    let seconds = request.rounds as f64 * request.round_secs;
    let times = backend.time_layers(pass, &mut vec![0.0; theta.len()], seconds)?;
    times.ok_or_else(|| {
        Error::bad_value(
            "layers",
            backend.name(),
            "this backend does not know what its layers take",
            "use the native backend",
        )
    })
}

/// Images/s of a surface's cells, a round each, and the images a cell had.
fn eval_rounds(
    backend: &Arc<dyn Backend>,
    request: &BenchRequest,
    progress: &dyn Fn(usize),
) -> Result<(usize, Vec<f64>)> {
    let network = backend.network();
    let theta = network.init_theta(&Streams::new(0));
    let cells: Vec<usize> = (0..parallel::threads()).collect();
    let evaluate = |objective: &DatasetObjective| {
        parallel::map(&cells, |&k| {
            // Neighbouring cells: every one folds and packs weights of its own.
            objective.loss(&theta_at(&theta, &theta, &theta, [1e-3 * k as f64, 0.0]))
        })
    };
    // A few images show how many make a round; a cell of the common surface has 1,000.
    let few = objective(backend, FEW)?;
    evaluate(&few)?;
    let started = Instant::now();
    evaluate(&few)?;
    let rate = FEW as f64 / started.elapsed().as_secs_f64();
    let samples = ((request.round_secs * rate) as usize).clamp(FEW, 1000);
    let objective = objective(backend, samples)?;
    let rates =
        rounds(request, samples * cells.len(), progress, || evaluate(&objective).map(|_| ()))?;
    Ok((samples, rates))
}

/// Images a cell has at least.
const FEW: usize = 16;

/// The loss on `samples` images of noise.
fn objective(backend: &Arc<dyn Backend>, samples: usize) -> Result<DatasetObjective> {
    let network = backend.network();
    let shape = network.input;
    let mut rng = Streams::new(0).stream("bench", 1);
    let pixels = samples * shape.iter().product::<usize>();
    let images = (0..pixels).map(|_| rng.below(256) as u8).collect();
    let labels = (0..samples).map(|i| (i % network.classes) as u8).collect();
    let split = LabelledImages::new(images, labels, shape)?;
    let stats = NormStats { mean: vec![0.5; shape[0]], std: vec![0.25; shape[0]] };
    DatasetObjective::new(backend.clone(), network.init_buffers(), Arc::new(split), stats, 255.0)
}

/// Images/s of each round of `work`, one call of which does `images`.
fn rounds(
    request: &BenchRequest,
    images: usize,
    progress: &dyn Fn(usize),
    mut work: impl FnMut() -> Result<()>,
) -> Result<Vec<f64>> {
    // Warm-up: first touches of memory, caches, clocks. Its last call says how many make a round.
    let warming = Instant::now();
    let once = loop {
        let started = Instant::now();
        work()?;
        if warming.elapsed().as_secs_f64() >= 0.25 * request.round_secs {
            break started.elapsed().as_secs_f64();
        }
    };
    let repeats = (request.round_secs / once).round().max(1.0) as usize;
    let mut rates = Vec::with_capacity(request.rounds);
    for round in 0..request.rounds {
        let started = Instant::now();
        for _ in 0..repeats {
            work()?;
        }
        rates.push((repeats * images) as f64 / started.elapsed().as_secs_f64());
        progress(round + 1);
    }
    Ok(rates)
}

/// The middle value, or the mean of the two middle ones.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (half, odd) = (sorted.len() / 2, sorted.len() % 2 == 1);
    if odd { sorted[half] } else { 0.5 * (sorted[half - 1] + sorted[half]) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{BackendName, backend};
    use crate::models::ModelSpec;

    fn mlp() -> Arc<dyn Backend> {
        let net = ModelSpec::of("mlp").build([1, 4, 4], 3).unwrap();
        backend(BackendName::Candle, Arc::new(net)).unwrap()
    }

    #[test]
    fn a_report_agrees_with_itself() {
        let request =
            BenchRequest { batch_size: 8, rounds: 3, round_secs: 0.01, only: None, layers: false };
        let calls = std::sync::Mutex::new(vec![]);
        let report =
            bench(&mlp(), &request, &|done, total| calls.lock().unwrap().push((done, total)))
                .unwrap();
        let expected: Vec<_> = (1..=6).map(|done| (done, 6)).collect();
        assert_eq!(calls.into_inner().unwrap(), expected);
        // 16 x 128 + 128 x 128 + 128 x 3
        assert_eq!(report.macs, 18_816);
        for (rounds, rate, gflops, share, passes) in [
            (
                &report.train_rounds,
                report.train_images_per_s,
                report.train_gflops,
                report.train_peak_share,
                3.0,
            ),
            (
                &report.eval_rounds,
                report.eval_images_per_s,
                report.eval_gflops,
                report.eval_peak_share,
                1.0,
            ),
        ] {
            assert_eq!(rounds.len(), 3);
            let (rate, gflops, share) = (rate.unwrap(), gflops.unwrap(), share.unwrap());
            assert!(rounds.contains(&rate) && rate > 0.0);
            assert!((gflops - passes * 2.0 * 18_816.0 * rate / 1e9).abs() <= 1e-12 * gflops);
            assert!(share > 0.0 && share < 1.0, "{share} of {}", report.peak_gflops);
        }
        let rate = report.train_images_per_s.unwrap();
        assert_eq!(report.epoch_50000_seconds.unwrap(), 50_000.0 / rate);
        let rate = report.eval_images_per_s.unwrap();
        assert_eq!(report.surface_51x51_seconds.unwrap(), 2_601_000.0 / rate);
    }

    #[test]
    fn one_measurement_leaves_the_other_out() {
        let request = BenchRequest {
            batch_size: 4,
            rounds: 1,
            round_secs: 0.0,
            only: Some(BenchOnly::Eval),
            layers: false,
        };
        let report = bench(&mlp(), &request, &|_, _| ()).unwrap();
        assert!(report.train_images_per_s.is_none() && report.train_rounds.is_empty());
        assert_eq!(report.eval_rounds.len(), 1);
        assert_eq!(report.eval_samples, Some(16));
    }

    #[test]
    fn a_request_out_of_range_is_refused() {
        let good = BenchRequest::default();
        for (bad, word) in [
            (BenchRequest { batch_size: 0, ..good }, "batch-size"),
            (BenchRequest { rounds: 0, ..good }, "rounds"),
            (BenchRequest { round_secs: f64::NAN, ..good }, "round-secs"),
        ] {
            let err = bench(&mlp(), &bad, &|_, _| ()).unwrap_err().to_string();
            assert!(err.contains(word), "{err}");
        }
    }

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(&[7.0]), 7.0);
    }
}
