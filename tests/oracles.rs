//! Whole networks against PyTorch. `oracles/networks.py` builds the same nets there, in f64 from
//! weights rounded to f32, and printed `oracles/networks.json`: gradients of a pass in train mode,
//! ten steps of SGD, and the losses of published checkpoints on real images. (Single ops are tested
//! where they are written; this is where a wrong gradient of the library below would show.)

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use lossreel::backend::native::{Level, NativeBackend};
use lossreel::backend::{Backend, BackendName, Precision, TrainPass, backend};
use lossreel::curvature::{ExtremesConfig, extremes};
use lossreel::dataset::{BatchTargets, DataSet, NormChoice, SampleOrder, SplitName};
use lossreel::landscape::theta_at;
use lossreel::models::{ActivationChoice, ModelSpec, Norm, Shortcut};
use lossreel::network::{Activation, Network, ParamLayout};
use lossreel::objective::{Evaluation, Objective};
use lossreel::optim::{OptimConfig, Optimizer, ParamRange};
use lossreel::rng::Streams;
use lossreel::spec::DataSpec;
use lossreel::stages::plane::flat_direction;
use lossreel::stages::{SampleChoice, Subject, WeightsFile};
use lossreel::weights::hdf5;
use serde::Deserialize;

#[derive(Deserialize)]
struct Oracles {
    train: Vec<TrainCase>,
    sgd: SgdCase,
    real: Real,
}

/// Norm, a projection, first, middle and last entry of a tensor.
type Fingerprint = [f64; 5];

#[derive(Deserialize)]
struct TrainCase {
    model: ModelSpec,
    input: [usize; 3],
    images: usize,
    label_smoothing: f64,
    loss: f64,
    correct: usize,
    params: Vec<(String, Vec<usize>)>,
    grads: Vec<Fingerprint>,
    buffers: Vec<(String, Fingerprint)>,
}

#[derive(Deserialize)]
struct SgdCase {
    model: ModelSpec,
    input: [usize; 3],
    images: usize,
    rule: Rule,
    losses: Vec<f64>,
    theta: Vec<f64>,
    buffers: Vec<f64>,
}

#[derive(Deserialize)]
struct Rule {
    lr: f64,
    momentum: f64,
    nesterov: bool,
    weight_decay: f64,
}

#[derive(Deserialize)]
struct Real {
    akamaster_test_500: Found,
    li2018_test_500: Found,
    li2018_curve_train_200: Vec<OnLine>,
}

#[derive(Deserialize)]
struct OnLine {
    x: f64,
    #[serde(flatten)]
    found: Found,
}

#[derive(Deserialize)]
struct Found {
    loss: f64,
    correct: usize,
    total: usize,
}

fn oracles() -> Oracles {
    serde_json::from_str(include_str!("oracles/networks.json")).unwrap()
}

/// `n` values in [-1, 1) from an integer hash, the script's `noise`.
fn noise(start: usize, n: usize) -> Vec<f32> {
    let hash = |i: usize| {
        let mut x = i as u32;
        x ^= x >> 16;
        x = x.wrapping_mul(0x7FEB_352D);
        x ^= x >> 15;
        x = x.wrapping_mul(0x846C_A68B);
        x ^ (x >> 16)
    };
    (start..start + n).map(|i| (f64::from(hash(i) >> 9) / 4_194_304.0 - 1.0) as f32).collect()
}

/// The script's `fill`.
fn fill(layout: &ParamLayout) -> Vec<f32> {
    let mut theta = noise(0, layout.dim());
    for p in &layout.params {
        let values = &mut theta[p.range()];
        let fan_in = (values.len() / p.shape[0]) as f64;
        let (centre, scale) = match (p.shape.len(), p.name.ends_with("weight")) {
            (1, true) => (1.0, 0.3),
            (1, false) => (0.0, 0.2),
            _ => (0.0, (6.0 / fan_in).sqrt()),
        };
        values.iter_mut().for_each(|v| *v = (centre + scale * f64::from(*v)) as f32);
    }
    theta
}

/// The script's `batch`.
fn batch(index: usize, n: usize, input: [usize; 3]) -> (Vec<f32>, Vec<u8>) {
    let noise = noise(1_000_000 * (index + 1), n * input.iter().product::<usize>());
    let images = noise.into_iter().map(|v| (1.7 * f64::from(v)) as f32).collect();
    (images, (0..n).map(|i| ((7 * i + index) % 10) as u8).collect())
}

fn fingerprint(v: &[f32]) -> Fingerprint {
    let norm = v.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
    let dot = v.iter().zip(noise(77, v.len())).map(|(v, u)| f64::from(*v) * f64::from(u)).sum();
    let at = |i: usize| f64::from(v[i]);
    [norm, dot, at(0), at(v.len() / 2), at(v.len() - 1)]
}

/// Every number of a fingerprint within `tolerance` of the tensor's norm, plus `floor`.
fn assert_near(got: Fingerprint, want: Fingerprint, tolerance: f64, floor: f64, what: &str) {
    // The projection sums over the whole tensor: its error may be as large as that of the norm.
    for (g, w) in got.iter().zip(want) {
        let off = (g - w).abs();
        assert!(off <= tolerance * want[0] + floor, "{what}: {got:?} against {want:?} ({off:.1e})");
    }
}

fn candle(model: &ModelSpec, input: [usize; 3]) -> Arc<dyn Backend> {
    backend(BackendName::Candle, Arc::new(model.build(input, 10).unwrap())).unwrap()
}

/// f32 carries 6e-8 a rounding; a gradient passes some ten layers of sums over up to a thousand
/// products and BatchNorm's division by small deviations: about 1e-5 of a tensor's norm at worst, so
/// 1e-4. Where the true gradient is zero (a bias that BatchNorm takes out again) rounding alone is
/// left, 1e-6 of the whole gradient's norm. Any of the known traps is an error of 1 % and more.
#[test]
fn gradients_and_batch_statistics_of_whole_nets_are_those_of_pytorch() {
    for case in oracles().train {
        let what = format!("{} {:?}", case.model.arch, case.model);
        let engine = candle(&case.model, case.input);
        let layout = engine.network().layout.clone();
        let named: Vec<_> =
            layout.params.iter().map(|p| (p.name.clone(), p.shape.clone())).collect();
        assert_eq!(named, case.params, "{what}");

        let (images, labels) = batch(0, case.images, case.input);
        let mut buffers = engine.network().init_buffers();
        let mut grad = vec![f32::NAN; layout.dim()];
        let pass = TrainPass {
            theta: &fill(&layout),
            buffers: &mut buffers,
            images: &images,
            targets: BatchTargets::Classes(&labels),
            label_smoothing: case.label_smoothing,
            streams: &Streams::new(0),
            step: 0,
        };
        let found = engine.train_pass(pass, &mut grad).unwrap();
        assert!((found.loss - case.loss).abs() < 1e-5 * case.loss, "{what}: {found:?}");
        assert_eq!(found.correct, case.correct, "{what}");
        let whole = case.grads.iter().map(|g| g[0] * g[0]).sum::<f64>().sqrt();
        for (p, want) in layout.params.iter().zip(case.grads) {
            let got = fingerprint(&grad[p.range()]);
            assert_near(got, want, 1e-4, 1e-6 * whole, &format!("{what}, {}", p.name));
        }
        assert_eq!(layout.buffers.len(), case.buffers.len(), "{what}");
        for (b, (name, want)) in layout.buffers.iter().zip(case.buffers) {
            assert_eq!(b.name, name, "{what}");
            let got = fingerprint(&buffers[b.range()]);
            assert_near(got, want, 1e-5, 0.0, &format!("{what}, {name}"));
        }
    }
}

#[derive(Deserialize)]
struct HvpCase {
    model: ModelSpec,
    input: [usize; 3],
    images: usize,
    /// Which of the script's batches.
    #[serde(default)]
    batch: usize,
    loss: f64,
    params: Vec<(String, Vec<usize>)>,
    products: Vec<Fingerprint>,
}

/// `oracles/hvp.py`'s `set_statistics`.
fn statistics(layout: &ParamLayout) -> Vec<f32> {
    let mut buffers = noise(500_000, layout.buffer_dim());
    for b in &layout.buffers {
        let (centre, scale) = if b.name.ends_with("var") { (2.0, 1.0) } else { (0.0, 0.3) };
        let values = &mut buffers[b.range()];
        values.iter_mut().for_each(|v| *v = (centre + scale * f64::from(*v)) as f32);
    }
    buffers
}

/// An exact product carries f32 rounding like a gradient does: 1e-4 of a tensor's norm.
fn assert_products(case: HvpCase) {
    let what = format!("{} {:?}", case.model.arch, case.model);
    let network = Arc::new(case.model.build(case.input, 10).unwrap());
    let engine = backend(BackendName::Native, network).unwrap();
    let layout = &engine.network().layout;
    let named: Vec<_> = layout.params.iter().map(|p| (p.name.clone(), p.shape.clone())).collect();
    assert_eq!(named, case.params, "{what}");

    let (theta, buffers) = (fill(layout), statistics(layout));
    let (images, labels) = batch(case.batch, case.images, case.input);
    let mut out = vec![f32::NAN; layout.dim()];
    let found = engine
        .eval_gradient(&theta, &buffers, &images, BatchTargets::Classes(&labels), &mut out)
        .unwrap();
    assert!((found.loss - case.loss).abs() < 1e-5 * case.loss, "{what}: {found:?}");
    let v = noise(2_000_000, layout.dim());
    let targets = BatchTargets::Classes(&labels);
    engine.eval_hvp(&theta, &buffers, &images, targets, &v, &mut out).unwrap();
    let whole = case.products.iter().map(|h| h[0] * h[0]).sum::<f64>().sqrt();
    for (p, want) in layout.params.iter().zip(case.products) {
        let got = fingerprint(&out[p.range()]);
        assert_near(got, want, 1e-4, 1e-6 * whole, &format!("{what}, {}", p.name));
    }
}

/// `oracles/hvp.py` has the products in f64, by double backward. Differences in f32 would be off by
/// 1e-2.
#[test]
fn hessian_vector_products_of_whole_nets_are_those_of_pytorch() {
    let cases: Vec<HvpCase> = serde_json::from_str(include_str!("oracles/hvp.json")).unwrap();
    cases.into_iter().for_each(assert_products);
}

/// `oracles/hvp_differences.py` has the same for the paper's ResNet-20, by central differences of
/// its gradient in f64, which agree with themselves at half the step to 1e-6.
#[test]
fn a_hessian_vector_product_of_resnet20_is_the_central_difference_of_its_gradient() {
    assert_products(serde_json::from_str(include_str!("oracles/hvp_differences.json")).unwrap());
}

#[derive(Deserialize)]
struct GaussNewtonCase {
    model: ModelSpec,
    input: [usize; 3],
    images: usize,
    params: Vec<(String, Vec<usize>)>,
    products: Vec<Fingerprint>,
}

/// `oracles/gauss_newton.py` has them in f64, and curvlinops gave the same. Rounding as of the Hessian's.
#[test]
fn gauss_newton_products_of_whole_nets_are_those_of_pytorch_and_curvlinops() {
    let cases = include_str!("oracles/gauss_newton.json");
    for case in serde_json::from_str::<Vec<GaussNewtonCase>>(cases).unwrap() {
        let what = format!("{} {:?}", case.model.arch, case.model);
        let network = Arc::new(case.model.build(case.input, 10).unwrap());
        let engine = backend(BackendName::Native, network).unwrap();
        let layout = &engine.network().layout;
        let named: Vec<_> =
            layout.params.iter().map(|p| (p.name.clone(), p.shape.clone())).collect();
        assert_eq!(named, case.params, "{what}");
        let (theta, buffers) = (fill(layout), statistics(layout));
        let (images, labels) = batch(0, case.images, case.input);
        let v = noise(2_000_000, layout.dim());
        let mut out = vec![f32::NAN; layout.dim()];
        let targets = BatchTargets::Classes(&labels);
        engine.eval_gauss_newton(&theta, &buffers, &images, targets, &v, &mut out).unwrap();
        let whole = case.products.iter().map(|h| h[0] * h[0]).sum::<f64>().sqrt();
        for (p, want) in layout.params.iter().zip(case.products) {
            let got = fingerprint(&out[p.range()]);
            assert_near(got, want, 1e-4, 1e-6 * whole, &format!("{what}, {}", p.name));
        }
    }
}

#[derive(Deserialize)]
struct SpectrumCase {
    model: ModelSpec,
    input: [usize; 3],
    images: usize,
    loss: f64,
    largest: Vec<f64>,
    smallest: f64,
}

/// A net on the formula's images, as the curvature sees it.
struct Formula {
    engine: Arc<dyn Backend>,
    buffers: Vec<f32>,
    images: Vec<f32>,
    labels: Vec<u8>,
}

impl Objective for Formula {
    fn dim(&self) -> usize {
        self.engine.network().layout.dim()
    }

    fn loss(&self, theta: &[f32]) -> lossreel::Result<Evaluation> {
        let loss = self.loss_and_grad(theta, &mut vec![0.0; theta.len()])?;
        Ok(Evaluation { loss, loss_se: f64::NAN, correct: 0, total: self.labels.len() })
    }

    fn loss_and_grad(&self, theta: &[f32], grad: &mut [f32]) -> lossreel::Result<f64> {
        let Self { engine, buffers, images, labels } = self;
        let targets = BatchTargets::Classes(labels);
        Ok(engine.eval_gradient(theta, buffers, images, targets, grad)?.loss)
    }

    fn hvp(&self, theta: &[f32], v: &[f32], out: &mut [f32]) -> lossreel::Result<()> {
        let Self { engine, buffers, images, labels } = self;
        engine.eval_hvp(theta, buffers, images, BatchTargets::Classes(labels), v, out)
    }
}

#[derive(Deserialize)]
struct TargetCases {
    squared: TargetCase,
    values: TargetCase,
    characters: TargetCase,
}

#[derive(Deserialize)]
struct TargetCase {
    loss: f64,
    correct: usize,
    params: Vec<(String, Vec<usize>)>,
    grads: Vec<Fingerprint>,
    products: Vec<Fingerprint>,
}

impl TargetCase {
    /// Loss, gradient and product with the Hessian by both backends; the reference's product is a difference.
    fn check(&self, network: &Network, images: &[f32], targets: BatchTargets<'_>) {
        let layout = &network.layout;
        let named: Vec<_> =
            layout.params.iter().map(|p| (p.name.clone(), p.shape.clone())).collect();
        assert_eq!(named, self.params, "{}", network.arch);
        let (theta, buffers) = (fill(layout), statistics(layout));
        let v = noise(2_000_000, layout.dim());
        for name in [BackendName::Native, BackendName::Candle] {
            let what = format!("{} on {name}", network.arch);
            let engine = backend(name, Arc::new(network.clone())).unwrap();
            let mut out = vec![f32::NAN; layout.dim()];
            let found = engine.eval_gradient(&theta, &buffers, images, targets, &mut out).unwrap();
            assert!((found.loss - self.loss).abs() < 1e-5 * self.loss, "{what}: {found:?}");
            assert_eq!(found.correct, self.correct, "{what}");
            self.near(layout, &out, &self.grads, &what);
            if name == BackendName::Native && !self.products.is_empty() {
                engine.eval_hvp(&theta, &buffers, images, targets, &v, &mut out).unwrap();
                self.near(layout, &out, &self.products, &what);
            }
        }
    }

    fn near(&self, layout: &ParamLayout, got: &[f32], want: &[Fingerprint], what: &str) {
        let whole = want.iter().map(|g| g[0] * g[0]).sum::<f64>().sqrt();
        for (p, want) in layout.params.iter().zip(want) {
            let got = fingerprint(&got[p.range()]);
            assert_near(got, *want, 1e-4, 1e-6 * whole, &format!("{what}, {}", p.name));
        }
    }
}

/// `oracles/targets.py` has PyTorch's numbers.
#[test]
fn squared_errors_and_a_language_model_are_those_of_pytorch() {
    let cases: TargetCases = serde_json::from_str(include_str!("oracles/targets.json")).unwrap();
    let half = ModelSpec { width: 0.5, ..ModelSpec::of("resnet8") };
    let (images, labels) = batch(0, 12, [3, 8, 8]);
    let network = half.build([3, 8, 8], 10).unwrap();
    cases.squared.check(&network, &images, BatchTargets::OneHot(&labels));

    let tanh = ActivationChoice(Some(Activation::Tanh));
    let mlp =
        ModelSpec { hidden: vec![12], activation: tanh, norm: Norm::None, ..ModelSpec::of("mlp") };
    let (images, _) = batch(0, 9, [1, 4, 4]);
    let values = noise(3_000_000, 9 * 10);
    let network = mlp.build([1, 4, 4], 10).unwrap();
    cases.values.check(&network, &images, BatchTargets::Values(&values));

    let (vocabulary, context, n) = (7, 11, 5);
    let gpt = ModelSpec { dim: 24, depth: 2, heads: 3, ..ModelSpec::of("gpt") };
    let network = gpt.build([vocabulary, 1, context], vocabulary).unwrap();
    let place = |i: usize| (3 * i * i + i) % vocabulary;
    let mut columns = vec![0.0; n * vocabulary * context];
    for i in 0..n * context {
        let (example, at) = (i / context, i % context);
        columns[(example * vocabulary + place(i)) * context + at] = 1.0;
    }
    let following: Vec<u8> = (0..n * context).map(|i| ((5 * i + 2) % vocabulary) as u8).collect();
    cases.characters.check(&network, &columns, BatchTargets::Classes(&following));
}

/// `oracles/curvature.py` has whole spectra in f64 by a dense solver. Products in f32 are good to
/// some 1e-5 of the largest eigenvalue; Lanczos' process is asked for 1e-5 of it and its error is
/// the square of that.
#[test]
fn the_ends_of_whole_spectra_are_those_of_pytorchs_dense_hessians() {
    let cases: Vec<SpectrumCase> =
        serde_json::from_str(include_str!("oracles/curvature.json")).unwrap();
    for case in cases {
        let what = format!("{} {:?}", case.model.arch, case.model);
        let network = Arc::new(case.model.build(case.input, 10).unwrap());
        let engine = backend(BackendName::Native, network).unwrap();
        let layout = &engine.network().layout;
        let (theta, buffers) = (fill(layout), statistics(layout));
        let (images, labels) = batch(0, case.images, case.input);
        let of = Formula { engine, buffers, images, labels };
        let loss = of.loss(&theta).unwrap().loss;
        assert!((loss - case.loss).abs() < 1e-5 * case.loss, "{what}: {loss}");
        let (largest, tolerance) = (4, 1e-5);
        let config = ExtremesConfig { largest, smallest: 1, tolerance, max_iterations: 600 };
        let never = AtomicBool::new(false);
        let found = extremes(&of, &theta, config, &Streams::new(0), &never).unwrap();
        assert!(found.converged, "{what}: {found:?}");
        let size = case.largest[0];
        for (value, want) in found.eigenvalues.iter().zip(&case.largest) {
            assert!((value - want).abs() < 1e-4 * size, "{what}: {found:?} {:?}", case.largest);
        }
        assert!((found.smallest[0] - case.smallest).abs() < 1e-4 * size, "{what}: {found:?}");
    }
}

fn distance(got: &[f32], want: &[f64]) -> f64 {
    assert_eq!(got.len(), want.len());
    let square = |v: f64| v * v;
    let off: f64 = got.iter().zip(want).map(|(g, w)| square(f64::from(*g) - w)).sum();
    (off / want.iter().map(|w| square(*w)).sum::<f64>()).sqrt()
}

/// Ten steps at a rate that moves the weights by about their own size: 1e-6 of rounding a step may
/// grow some tenfold on the way, so 1e-4 of the norm. A wrong term of the rule would be 1e-2.
#[test]
fn ten_steps_of_sgd_on_a_residual_net_end_where_pytorch_ends() {
    let case = oracles().sgd;
    let engine = candle(&case.model, case.input);
    let layout = &engine.network().layout;
    let mut theta = fill(layout);
    let start = theta.clone();
    let mut buffers = engine.network().init_buffers();
    let mut grad = vec![0.0; theta.len()];
    let config = OptimConfig {
        lr: Some(case.rule.lr),
        momentum: Some(case.rule.momentum),
        nesterov: Some(case.rule.nesterov),
        weight_decay: Some(case.rule.weight_decay),
        ..OptimConfig::default()
    };
    let ranges = ParamRange::of_layout(layout);
    let mut optimizer = Optimizer::new(&config, theta.len(), &ranges).unwrap();
    for (step, want) in case.losses.iter().enumerate() {
        let (images, labels) = batch(step, case.images, case.input);
        let pass = TrainPass {
            theta: &theta,
            buffers: &mut buffers,
            images: &images,
            targets: BatchTargets::Classes(&labels),
            label_smoothing: 0.0,
            streams: &Streams::new(0),
            step: step as u64,
        };
        let found = engine.train_pass(pass, &mut grad).unwrap();
        assert!((found.loss - want).abs() < 1e-4 * want, "step {step}: {} {want}", found.loss);
        optimizer.step(&mut theta, &mut grad, case.rule.lr);
    }
    assert!(distance(&start, &case.theta) > 0.1, "the weights hardly moved: this tests nothing");
    let (theta, buffers) = (distance(&theta, &case.theta), distance(&buffers, &case.buffers));
    assert!(theta < 1e-4 && buffers < 1e-4, "theta is off by {theta:.1e}, buffers {buffers:.1e}");
}

/// The folder of real data, or `None` and a word on stderr.
fn data(needed: &[&str]) -> Option<PathBuf> {
    let root = std::env::var_os("LOSSREEL_DATA")
        .map(PathBuf::from)
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"));
    for name in needed {
        if !root.join(name).exists() {
            eprintln!("skipped: no {} (set LOSSREEL_DATA)", root.join(name).display());
            return None;
        }
    }
    Some(root)
}

const CIFAR: &str = "cifar-10-batches-bin/test_batch.bin";
const AKAMASTER: &str = "akamaster-resnet20/resnet20-12fca82f.th";
const LI2018: &str = "li2018-resnet56/model_300.t7";
const DIRECTION: &str = "li2018-resnet56/direction-1d.h5";

fn subject(root: &Path, weights: &str, model: &ModelSpec, norm: NormChoice) -> Subject {
    let spec = DataSpec {
        set: DataSet::Cifar10,
        dir: Some(root.join("cifar-10-batches-bin")),
        norm_stats: Some(norm),
        ..DataSpec::default()
    };
    let path = root.join(weights);
    let engine = BackendName::Candle;
    Subject::of_file(&WeightsFile { path: &path, key: None, model, data: &spec, seed: 0, engine })
        .unwrap()
}

fn first(split: SplitName, n: usize) -> SampleChoice {
    SampleChoice { split, samples: Some(n), order: SampleOrder::File, seed: 0 }
}

/// The mean of hundreds of losses, each good to some 1e-6 after 56 layers in f32: 1e-5 relative.
/// Counts are exact: no logit is that near to another.
fn assert_found(objective: &dyn Objective, theta: &[f32], want: &Found, what: &str) {
    let got = objective.loss(theta).unwrap();
    let off = (got.loss - want.loss).abs() / want.loss;
    assert!(off < 1e-5, "{what}: loss {} against {} ({off:.1e})", got.loss, want.loss);
    assert_eq!((got.correct, got.total), (want.correct, want.total), "{what}");
}

#[test]
fn an_option_a_resnet20_from_the_wild_has_pytorchs_loss_on_real_images() {
    let Some(root) = data(&[CIFAR, AKAMASTER]) else { return };
    let model = ModelSpec { shortcut: Shortcut::OptionA, ..ModelSpec::of("resnet20") };
    let subject = subject(&root, AKAMASTER, &model, NormChoice::Imagenet);
    let objective = subject.objective(first(SplitName::Test, 500)).unwrap();
    assert_found(&objective, &subject.theta, &oracles().real.akamaster_test_500, "akamaster");
}

#[test]
fn the_papers_resnet56_and_its_direction_have_pytorchs_losses_on_real_images() {
    let Some(root) = data(&[CIFAR, LI2018, DIRECTION]) else { return };
    let real = oracles().real;
    let subject = subject(&root, LI2018, &ModelSpec::of("resnet56"), NormChoice::Paper);
    let objective = subject.objective(first(SplitName::Test, 500)).unwrap();
    assert_found(&objective, &subject.theta, &real.li2018_test_500, "the model");

    let path = root.join(DIRECTION);
    let file = hdf5::read_directions(&path).unwrap();
    let direction = flat_direction(&subject.network().layout, &file.x, &path).unwrap();
    let objective = subject.objective(first(SplitName::Train, 200)).unwrap();
    for point in real.li2018_curve_train_200 {
        let theta = theta_at(&subject.theta, &direction, &direction, [point.x, 0.0]);
        assert_found(&objective, &theta, &point.found, &format!("at {}", point.x));
    }
}

/// The engine evaluating in `precision` at `level`, on `subject`'s network and images.
fn at_level(subject: &Subject, level: Level, precision: Precision, n: usize) -> impl Objective {
    let network = Arc::new(subject.network().clone());
    let engine = NativeBackend::at_level(network, level).unwrap().evaluating_in(precision);
    let objective = subject.objective(first(SplitName::Test, n)).unwrap();
    objective.with_backend(Arc::new(engine), subject.buffers.clone()).unwrap()
}

/// Of 400 images: bf16 is off by its rounding, 8 bits in the operands of twenty layers, which is
/// chance, and another chance at each level: 3e-4 to 5e-3 of the loss, so 1e-2, and an answer at
/// most. (Of all 10,000 images it is 2e-4 to 2e-3.)
#[test]
fn bf16_moves_a_resnet20s_loss_and_accuracy_on_real_images_by_no_more_than_is_stated() {
    let Some(root) = data(&[CIFAR, AKAMASTER]) else { return };
    let model = ModelSpec { shortcut: Shortcut::OptionA, ..ModelSpec::of("resnet20") };
    let subject = subject(&root, AKAMASTER, &model, NormChoice::Imagenet);
    let exact =
        subject.objective(first(SplitName::Test, 400)).unwrap().loss(&subject.theta).unwrap();
    for level in Level::all() {
        let f32 = at_level(&subject, level, Precision::F32, 400).loss(&subject.theta).unwrap();
        let off = (f32.loss - exact.loss).abs() / exact.loss;
        assert!(off < 1e-5, "f32 at {level}: {off:e}");
        let bf16 = at_level(&subject, level, Precision::Bf16, 400).loss(&subject.theta).unwrap();
        let off = (bf16.loss - exact.loss).abs() / exact.loss;
        let moved = bf16.correct.abs_diff(exact.correct);
        eprintln!("{level}: loss {:.6} for {:.6}, {moved} answers", bf16.loss, exact.loss);
        assert!((1e-5..1e-2).contains(&off) && moved <= 3, "bf16 at {level}: {off:e}, {moved}");
    }
}
