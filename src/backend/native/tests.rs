//! The engine against the reference backend: whole nets, forward and backward, at every level of
//! instructions, with any number of threads.

use super::*;
use crate::backend::{BackendName, backend};
use crate::models::{ActivationChoice, ArchFile, ModelSpec, Norm, Padding, Shortcut, Stem};
use crate::network::Activation;
use crate::rng::Streams;

#[derive(Clone)]
pub(super) struct Case {
    pub theta: Vec<f32>,
    pub buffers: Vec<f32>,
    pub images: Vec<f32>,
    /// A class for each row of outputs.
    pub labels: Vec<u8>,
    /// Whether they are held against the outputs by squared error.
    pub squared: bool,
}

impl Case {
    pub fn new(network: &Network, n: usize) -> Self {
        let streams = Streams::new(17);
        let mut rng = streams.stream("test", 0);
        let [c, h, w] = network.input;
        let images = (0..n * c * h * w).map(|_| rng.normal() as f32).collect();
        let rows = n * network.positions();
        let labels = (0..rows).map(|_| rng.below(network.classes) as u8).collect();
        let mut theta = network.init_theta(&streams);
        // Away from the symmetric start, where much would cancel.
        theta.iter_mut().for_each(|v| *v += 0.05 * rng.normal() as f32);
        let mut buffers = network.init_buffers();
        buffers.iter_mut().for_each(|v| *v += 0.2 * rng.uniform() as f32);
        Self { theta, buffers, images, labels, squared: false }
    }

    /// The targets of the batch.
    pub fn targets(&self) -> BatchTargets<'_> {
        if self.squared {
            BatchTargets::OneHot(&self.labels)
        } else {
            BatchTargets::Classes(&self.labels)
        }
    }

    /// Loss, right answers, gradient and buffers after a pass in train mode.
    fn train(&self, backend: &dyn Backend) -> (TrainLoss, Vec<f32>, Vec<f32>) {
        let (mut grad, mut buffers) = (vec![f32::NAN; self.theta.len()], self.buffers.clone());
        let pass = TrainPass {
            theta: &self.theta,
            buffers: &mut buffers,
            images: &self.images,
            targets: self.targets(),
            label_smoothing: 0.1,
            streams: &Streams::new(3),
            step: 5,
        };
        let loss = backend.train_pass(pass, &mut grad).unwrap();
        (loss, grad, buffers)
    }

    fn eval(&self, backend: &dyn Backend) -> (TrainLoss, Vec<f32>) {
        let mut grad = vec![f32::NAN; self.theta.len()];
        let loss = backend
            .eval_gradient(&self.theta, &self.buffers, &self.images, self.targets(), &mut grad)
            .unwrap();
        (loss, grad)
    }
}

/// ||a - b|| / ||b||.
pub(super) fn distance(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let off: f64 = a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
    let size: f64 = b.iter().map(|b| f64::from(*b).powi(2)).sum();
    (off / size.max(1e-30)).sqrt()
}

/// Convolutions of each channel by itself, of all strides and paddings, the first on the images.
fn depthwise(input: [usize; 3]) -> Network {
    let file = r#"
        layers = [
            { op = "depthwise_conv2d", kernel = 3, padding = 1 },
            { op = "conv2d", out = 20, kernel = 1, bias = false },
            { op = "batch_norm" },
            { op = "relu", name = "a" },
            { op = "depthwise_conv2d", kernel = 5, padding = "same", bias = false },
            { op = "batch_norm", name = "b" },
            { op = "add", from = ["b", "a"] },
            { op = "silu" },
            { op = "depthwise_conv2d", kernel = 3, stride = 2, padding = 1, bias = false },
            { op = "batch_norm" },
            { op = "relu" },
            { op = "depthwise_conv2d", kernel = 2, stride = 3 },
            { op = "flatten" },
            { op = "linear", out = "classes" },
        ]
    "#;
    let layers = toml::from_str::<ArchFile>(file).unwrap().layers;
    ModelSpec { layers, ..ModelSpec::of("depthwise") }.build(input, 5).unwrap()
}

/// Nets of every layer the engine has, on images that are not square, odd batches.
pub(super) fn nets() -> Vec<(Network, usize)> {
    let small = |arch: &str| ModelSpec { width: 0.25, hidden: vec![20, 9], ..ModelSpec::of(arch) };
    let with = |a| ActivationChoice(Some(a));
    let gpt = ModelSpec { dim: 24, depth: 2, heads: 2, ..ModelSpec::of("gpt") };
    let vit = ModelSpec { dim: 36, depth: 2, heads: 3, patch: 2, ..ModelSpec::of("vit") };
    vec![
        (ModelSpec { dropout: 0.2, ..vit.clone() }.build([3, 6, 10], 4).unwrap(), 5),
        (ModelSpec { dropout: 0.1, ..gpt }.build([7, 1, 11], 7).unwrap(), 5),
        (small("resnet8").build([3, 8, 6], 5).unwrap(), 5),
        (depthwise([3, 9, 7]), 4),
        (
            ModelSpec { shortcut: Shortcut::OptionA, ..ModelSpec::of("resnet8") }
                .build([3, 12, 8], 10)
                .unwrap(),
            3,
        ),
        (
            ModelSpec { shortcut: Shortcut::None, ..small("resnet8") }.build([1, 7, 9], 4).unwrap(),
            19,
        ),
        (ModelSpec { norm: Norm::None, ..small("resnet8") }.build([2, 8, 8], 3).unwrap(), 2),
        (ModelSpec { dropout: 0.3, ..small("wrn-8-2") }.build([3, 8, 8], 5).unwrap(), 4),
        (small("vgg9").build([3, 9, 8], 4).unwrap(), 4),
        (small("lenet5").build([1, 14, 10], 4).unwrap(), 1),
        (
            ModelSpec { padding: Padding::Valid, ..small("lenet5") }.build([1, 18, 16], 4).unwrap(),
            3,
        ),
        (
            ModelSpec { stem: Stem::CifarPooled, width: 0.0625, ..ModelSpec::of("resnet18") }
                .build([3, 13, 10], 4)
                .unwrap(),
            5,
        ),
        (
            ModelSpec { stem: Stem::Imagenet, width: 0.0625, ..ModelSpec::of("resnet18") }
                .build([3, 64, 50], 4)
                .unwrap(),
            6,
        ),
        (
            // Fifty layers of BatchNorm on a few values would multiply rounding.
            ModelSpec { width: 0.0625, norm: Norm::None, ..ModelSpec::of("resnet50") }
                .build([3, 12, 10], 4)
                .unwrap(),
            4,
        ),
        (
            ModelSpec { width: 0.0625, ..ModelSpec::of("preact_resnet18") }
                .build([3, 9, 8], 4)
                .unwrap(),
            3,
        ),
        (
            ModelSpec { activation: with(Activation::Tanh), ..small("densenet121") }
                .build([3, 16, 16], 4)
                .unwrap(),
            12,
        ),
        (small("mlp").build([1, 5, 3], 4).unwrap(), 7),
        (ModelSpec { norm: Norm::None, ..small("2c2d") }.build([1, 12, 10], 4).unwrap(), 9),
        (
            ModelSpec { activation: with(Activation::Gelu), ..small("vgg9") }
                .build([1, 8, 8], 3)
                .unwrap(),
            9,
        ),
        (
            ModelSpec { activation: with(Activation::Silu), ..small("resnet8") }
                .build([1, 8, 8], 3)
                .unwrap(),
            2,
        ),
        (
            ModelSpec { dim: 32, heads: 1, depth: 1, patch: 4, ..vit }
                .build([1, 16, 16], 3)
                .unwrap(),
            1,
        ),
        (
            ModelSpec { activation: with(Activation::Tanh), ..small("mlp") }
                .build([1, 4, 4], 3)
                .unwrap(),
            3,
        ),
        (
            ModelSpec { activation: with(Activation::Sigmoid), ..small("mlp") }
                .build([1, 4, 4], 3)
                .unwrap(),
            3,
        ),
        (
            ModelSpec { activation: with(Activation::LeakyRelu), ..small("mlp") }
                .build([1, 4, 4], 3)
                .unwrap(),
            3,
        ),
    ]
}

/// f32 sums of up to some thousand products in two orders, through up to 121 layers: the norms of
/// gradients agree to 2e-5; a wrong term is of order 1. (DenseNet has a smooth activation here:
/// with ReLU so many values lie at its kink that two orders of summation differ by 4e-3.)
const CLOSE: f64 = 2e-4;

#[test]
fn every_net_agrees_with_the_reference_in_train_and_in_eval_mode() {
    for (network, n) in nets() {
        let network = Arc::new(network);
        let case = Case::new(&network, n);
        let reference = backend(BackendName::Candle, network.clone()).unwrap();
        let (loss, grad, buffers) = case.train(&*reference);
        let (eval_loss, eval_grad) = case.eval(&*reference);
        let logits =
            reference.at(&case.theta, &case.buffers).unwrap().logits(&case.images).unwrap();
        for level in Level::all() {
            let native = NativeBackend::at_level(network.clone(), level).unwrap();
            let what = format!("{} at {level}", network.arch);
            let (l, g, b) = case.train(&native);
            assert!((l.loss - loss.loss).abs() < 1e-4, "{what}: {l:?} {loss:?}");
            assert_eq!(l.correct, loss.correct, "{what}");
            let off = [distance(&g, &grad), distance(&b, &buffers)];
            assert!(off.iter().all(|o| *o < CLOSE), "{what}: train {off:?}");
            let (l, g) = case.eval(&native);
            assert!((l.loss - eval_loss.loss).abs() < 1e-5 * eval_loss.loss.max(1.0), "{what}");
            let off = distance(&g, &eval_grad);
            assert!(off < CLOSE, "{what}: eval {off}");
            let z = native.at(&case.theta, &case.buffers).unwrap().logits(&case.images).unwrap();
            let off = distance(&z, &logits);
            assert!(off < 1e-5, "{what}: logits {off}");
        }
    }
}

#[test]
fn a_pass_gives_the_same_bytes_on_any_number_of_threads_and_again() {
    for (network, n) in nets().into_iter().take(5) {
        let network = Arc::new(network);
        let case = Case::new(&network, n + 30);
        let native = NativeBackend::new(network.clone()).unwrap();
        let once = case.train(&native);
        // Other data in between: nothing of it may stay.
        Case::new(&network, 3).train(&native);
        for threads in [1, 2, 3, 5] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let again = pool.install(|| case.train(&native));
            assert!(once == again, "{} with {threads} threads", network.arch);
        }
    }
}

/// Groups, blocks and pieces are cut otherwise for other caches; what is computed stays the same. The
/// channels are so many that weights do not stay in the smaller caches, and that a phase's gradients are
/// cut into fewer pieces.
#[test]
fn a_plan_for_other_caches_gives_the_same_up_to_rounding() {
    let file = r#"
        layers = [
            { op = "conv2d", out = 24, kernel = 3, padding = 1, bias = false },
            { op = "batch_norm" },
            { op = "relu", name = "a" },
            { op = "conv2d", out = 200, kernel = 3, padding = 1, bias = false },
            { op = "batch_norm" },
            { op = "relu" },
            { op = "max_pool", kernel = 2 },
            { op = "conv2d", out = 180, kernel = 3, padding = 1, bias = false },
            { op = "batch_norm" },
            { op = "relu" },
            { op = "flatten" },
            { op = "linear", out = "classes" },
        ]
    "#;
    let layers = toml::from_str::<ArchFile>(file).unwrap().layers;
    let wide = ModelSpec { layers, ..ModelSpec::of("wide") }.build([3, 8, 8], 5).unwrap();
    // Without BatchNorm, so that phases may be cut.
    let half = ModelSpec { width: 0.5, norm: Norm::None, ..ModelSpec::of("2c2d") };
    let cut = half.build([1, 20, 20], 10).unwrap();
    for (network, n) in nets().into_iter().take(4).chain([(wide, 21), (cut, 37)]) {
        let network = Arc::new(network);
        let case = Case::new(&network, n);
        for level in Level::all() {
            let of = |l2: usize| {
                let on = (level, Caches { l2, l3: 8 * l2 });
                let native = NativeBackend::planned(network.clone(), on, Precision::F32);
                let (loss, grad, buffers) = case.train(&native);
                let point = native.at(&case.theta, &case.buffers).unwrap();
                (loss, grad, buffers, point.logits(&case.images).unwrap())
            };
            let (loss, grad, buffers, logits) = of(2 << 20);
            for l2 in [64 << 10, 512 << 10, 64 << 20] {
                let (l, g, b, z) = of(l2);
                let what = format!("{} at {level} with {l2}", network.arch);
                assert!((l.loss - loss.loss).abs() < 1e-5 * loss.loss, "{what}: {l:?} {loss:?}");
                let off = [distance(&g, &grad), distance(&b, &buffers), distance(&z, &logits)];
                assert!(off.iter().all(|o| *o < CLOSE), "{what}: {off:?}");
            }
        }
    }
}

/// Groups of images grow on the way through the net; the last ones of a call are smaller.
#[test]
fn an_images_logits_are_the_same_bytes_whatever_is_evaluated_with_it() {
    let small = ModelSpec { width: 0.5, ..ModelSpec::of("resnet8") };
    let vgg = ModelSpec { width: 0.125, ..ModelSpec::of("vgg9") };
    for (spec, input) in [(small, [3, 32, 32]), (vgg, [1, 24, 31])] {
        let network = Arc::new(spec.build(input, 10).unwrap());
        let case = Case::new(&network, 39);
        let native = NativeBackend::new(network.clone()).unwrap();
        let point = native.at(&case.theta, &case.buffers).unwrap();
        let together = point.logits(&case.images).unwrap();
        let each = case.images.chunks_exact(input.iter().product());
        let alone: Vec<f32> = each.flat_map(|image| point.logits(image).unwrap()).collect();
        assert!(together == alone, "{}", network.arch);
    }
}

/// The squared error to classes and to numbers, forward and backward.
#[test]
fn the_squared_error_is_that_of_the_reference() {
    let network = ModelSpec { width: 0.25, ..ModelSpec::of("resnet8") }.build([3, 8, 6], 5);
    let network = Arc::new(network.unwrap());
    let case = Case { squared: true, ..Case::new(&network, 7) };
    let reference = backend(BackendName::Candle, network.clone()).unwrap();
    let native = NativeBackend::new(network).unwrap();
    let ((want, want_grad), (found, grad)) = (case.eval(&*reference), case.eval(&native));
    assert!((found.loss - want.loss).abs() < 1e-5 * want.loss, "{} {}", found.loss, want.loss);
    assert_eq!(found.correct, want.correct);
    assert!(distance(&grad, &want_grad) < 1e-4);
    let values: Vec<f32> = (0..35).map(|i| (i as f32 * 0.7).sin()).collect();
    let of = |backend: &dyn Backend| {
        let mut grad = vec![f32::NAN; case.theta.len()];
        let targets = BatchTargets::Values(&values);
        let Case { theta, buffers, images, .. } = &case;
        (backend.eval_gradient(theta, buffers, images, targets, &mut grad).unwrap(), grad)
    };
    let ((want, want_grad), (found, grad)) = (of(&*reference), of(&native));
    assert!((found.loss - want.loss).abs() < 1e-5 * want.loss, "{} {}", found.loss, want.loss);
    assert_eq!((found.correct, want.correct), (0, 0));
    assert!(distance(&grad, &want_grad) < 1e-4);
}
