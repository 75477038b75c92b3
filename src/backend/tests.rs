//! Each op forward and backward: against central differences of a loss computed in f64 from f32
//! logits, on small odd shapes; and against PyTorch's numbers for whole nets (tests/oracles).

use std::sync::Arc;

use super::*;
use crate::models::{InitRule, ModelSpec, Norm, Shortcut};
use crate::network::{Activation, Builder, Conv, Init};

fn candle(network: Network) -> Arc<dyn Backend> {
    backend(BackendName::Candle, Arc::new(network)).unwrap()
}

struct Case {
    theta: Vec<f32>,
    buffers: Vec<f32>,
    images: Vec<f32>,
    labels: Vec<u8>,
    streams: Streams,
}

impl Case {
    fn new(network: &Network, n: usize) -> Self {
        let streams = Streams::new(11);
        let mut rng = streams.stream("test", 0);
        let [c, h, w] = network.input;
        let images = (0..n * c * h * w).map(|_| rng.normal() as f32).collect();
        let rows = n * network.positions();
        let labels = (0..rows).map(|_| rng.below(network.classes) as u8).collect();
        let mut theta = network.init_theta(&streams);
        // Biases and norms away from 0 and 1, so that their gradients are tried too.
        theta.iter_mut().for_each(|v| *v += 0.05 * rng.normal() as f32);
        let mut buffers = network.init_buffers();
        buffers.iter_mut().for_each(|v| *v += 0.2 * rng.uniform() as f32);
        Self { theta, buffers, images, labels, streams }
    }

    fn pass<'a>(&'a self, theta: &'a [f32], buffers: &'a mut [f32]) -> TrainPass<'a> {
        TrainPass {
            theta,
            buffers,
            images: &self.images,
            targets: BatchTargets::Classes(&self.labels),
            label_smoothing: 0.1,
            streams: &self.streams,
            step: 3,
        }
    }
}

/// Directional derivatives along seeded directions agree with the gradient, in train and in eval
/// mode. The losses carry f32 rounding of about 1e-7 on differences of about 2e-3 and more, and
/// curvature adds its share: 2 % for smooth nets. A kink of ReLU or max pooling inside the step
/// spoils the difference, not the gradient: 6 % where there are kinks. (tests/oracles holds whole
/// nets to PyTorch's gradients far more tightly.)
fn check_gradient(network: Network, n: usize, tolerance: f64) {
    let arch = network.arch.clone();
    let case = Case::new(&network, n);
    let backend = candle(network);
    let dim = case.theta.len();
    for train in [true, false] {
        let loss = |theta: &[f32], grad: &mut [f32]| {
            if train {
                backend.train_pass(case.pass(theta, &mut case.buffers.clone()), grad).unwrap().loss
            } else {
                backend
                    .eval_gradient(
                        theta,
                        &case.buffers,
                        &case.images,
                        BatchTargets::Classes(&case.labels),
                        grad,
                    )
                    .unwrap()
                    .loss
            }
        };
        let mut grad = vec![0.0; dim];
        loss(&case.theta, &mut grad);
        let norm = grad.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
        assert!(norm > 1e-3, "{arch}: a vanishing gradient tests nothing");
        // Along the gradient itself, where the signal is largest, and along each parameter
        // tensor's share of it, so that no tensor hides behind another.
        let layout = backend.network().layout.clone();
        let whole = std::iter::once((0..dim, "all".to_string()));
        for (range, name) in whole.chain(layout.params.iter().map(|p| (p.range(), p.name.clone())))
        {
            let part =
                grad[range.clone()].iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
            if part < 1e-2 * norm {
                continue; // too weak for f32 differences
            }
            let h = 5e-4 / part.max(0.1);
            let at = |sign: f64| {
                let mut theta = case.theta.clone();
                for i in range.clone() {
                    theta[i] += (sign * h * f64::from(grad[i]) / part) as f32;
                }
                loss(&theta, &mut vec![0.0; dim])
            };
            let numeric = (at(1.0) - at(-1.0)) / (2.0 * h);
            let off = (numeric - part).abs() / part;
            assert!(
                off < tolerance,
                "{arch}, {name}, train {train}: {numeric} against {part} ({off:.1e})"
            );
        }
    }
}

#[test]
fn gradients_of_every_architecture_agree_with_central_differences() {
    let base = |arch: &str| ModelSpec {
        init: InitRule::XavierNormal,
        // A smooth activation: a kink within the step would spoil the difference, not the gradient.
        activation: crate::models::ActivationChoice(Some(Activation::Tanh)),
        width: 0.25,
        dropout: 0.2,
        hidden: vec![12, 9],
        dim: 48,
        depth: 2,
        patch: 2,
        ..ModelSpec::of(arch)
    };
    for arch in ["mlp", "resnet8", "wrn-8-2", "vit"] {
        check_gradient(base(arch).build([3, 8, 8], 5).unwrap(), 6, 2e-2);
    }
    for shortcut in [Shortcut::OptionA, Shortcut::None] {
        check_gradient(
            ModelSpec { shortcut, ..base("resnet8") }.build([1, 8, 8], 5).unwrap(),
            5,
            2e-2,
        );
    }
    check_gradient(
        ModelSpec { norm: Norm::None, ..base("resnet8") }.build([1, 7, 7], 3).unwrap(),
        3,
        2e-2,
    );
    check_gradient(base("vgg9").build([2, 9, 9], 4).unwrap(), 4, 6e-2);
    check_gradient(base("lenet5").build([1, 10, 10], 4).unwrap(), 1, 6e-2);
}

#[test]
fn gradients_of_every_activation_agree_with_central_differences() {
    for &activation in Activation::ALL {
        let spec = ModelSpec {
            activation: crate::models::ActivationChoice(Some(activation)),
            hidden: vec![16, 16],
            ..ModelSpec::of("mlp")
        };
        check_gradient(spec.build([1, 3, 3], 4).unwrap(), 7, 6e-2);
    }
}

/// One convolution against a direct sum in f64, at odd sizes, strides, paddings and kernels.
#[test]
fn convolutions_of_odd_shapes_agree_with_a_direct_sum() {
    for (c, h, w, out, kernel, stride, padding) in [
        (3, 7, 7, 5, 3, 1, 1),
        (3, 7, 7, 5, 3, 2, 1),
        (2, 9, 6, 3, 5, 1, 2),
        (17, 5, 5, 2, 1, 2, 0),
        (1, 7, 9, 4, 7, 1, 3),
        (2, 8, 8, 3, 2, 2, 0),
    ] {
        let mut b = Builder::new("conv", [c, h, w]);
        let conv = Conv { out, kernel, stride, padding, bias: true };
        let x = b.input();
        let y = b.conv("conv", x, conv, |_, _| Init::Normal { std: 0.5 }).unwrap();
        let [_, ho, wo]: [usize; 3] = b.shape(y).try_into().unwrap();
        let f = b.flatten("flatten", y);
        let network = b.finish(f).unwrap();
        let case = Case::new(&network, 2);
        let got =
            candle(network).at(&case.theta, &case.buffers).unwrap().logits(&case.images).unwrap();
        let weight = |o: usize, i: usize, y: usize, x: usize| {
            f64::from(case.theta[((o * c + i) * kernel + y) * kernel + x])
        };
        let bias = &case.theta[out * c * kernel * kernel..];
        for n in 0..2 {
            for o in 0..out {
                for (oy, ox) in (0..ho).flat_map(|y| (0..wo).map(move |x| (y, x))) {
                    let mut sum = f64::from(bias[o]);
                    for i in 0..c {
                        for (ky, kx) in (0..kernel).flat_map(|y| (0..kernel).map(move |x| (y, x))) {
                            let (iy, ix) = (oy * stride + ky, ox * stride + kx);
                            if iy < padding
                                || ix < padding
                                || iy - padding >= h
                                || ix - padding >= w
                            {
                                continue;
                            }
                            let pixel = ((n * c + i) * h + iy - padding) * w + ix - padding;
                            sum += weight(o, i, ky, kx) * f64::from(case.images[pixel]);
                        }
                    }
                    let value = f64::from(got[((n * out + o) * ho + oy) * wo + ox]);
                    // At most 153 products of order 1 in f32.
                    assert!(
                        (value - sum).abs() < 2e-5,
                        "{kernel}/{stride}/{padding}: {value} {sum}"
                    );
                }
            }
        }
    }
}

#[test]
fn max_pooling_sends_its_gradient_to_the_first_largest_value() {
    let mut b = Builder::new("pool", [1, 4, 4]);
    let x = b.input();
    let one = Conv { out: 1, kernel: 1, stride: 1, padding: 0, bias: false };
    let y = b.conv("conv", x, one, |_, _| Init::Constant(1.0)).unwrap();
    let p = b.max_pool("pool", y, 2).unwrap();
    let f = b.flatten("flatten", p);
    let network = b.finish(f).unwrap();
    // Ties everywhere: the weight's gradient is sum over windows of dlogit * value.
    let images = vec![1.0; 16];
    let mut grad = [0.0];
    candle(network)
        .eval_gradient(&[1.0], &[], &images, BatchTargets::Classes(&[0]), &mut grad)
        .unwrap();
    // Equal logits: dlogits = (1/4 - 1, 1/4, 1/4, 1/4), which sum to 0; a gradient shared by all
    // four tied values, or divided by the area, would still sum to 0, so look at one window.
    assert!(grad[0].abs() < 1e-6);
    let mut images = vec![0.0; 16];
    for i in [0, 1, 4, 5] {
        images[i] = 2.0;
    }
    let network = {
        let mut b = Builder::new("pool", [1, 4, 4]);
        let x = b.input();
        let y = b.conv("conv", x, one, |_, _| Init::Constant(1.0)).unwrap();
        let p = b.max_pool("pool", y, 2).unwrap();
        let f = b.flatten("flatten", p);
        b.finish(f).unwrap()
    };
    candle(network)
        .eval_gradient(&[1.0], &[], &images, BatchTargets::Classes(&[0]), &mut grad)
        .unwrap();
    let p = 2f64.exp() / (2f64.exp() + 3.0);
    assert!((f64::from(grad[0]) - 2.0 * (p - 1.0)).abs() < 1e-6, "{} {}", grad[0], 2.0 * (p - 1.0));
}

#[test]
fn a_folded_point_agrees_with_the_unfolded_network() {
    for spec in [
        ModelSpec::of("resnet8"),
        ModelSpec::of("mlp"),
        ModelSpec { width: 0.25, ..ModelSpec::of("vgg9") },
    ] {
        let network = spec.build([3, 8, 8], 10).unwrap();
        let case = Case::new(&network, 8);
        let backend = candle(network);
        let logits = backend.at(&case.theta, &case.buffers).unwrap().logits(&case.images).unwrap();
        let mean = loss(&logits, BatchTargets::Classes(&case.labels)).0;
        let mut grad = vec![0.0; case.theta.len()];
        let unfolded = backend
            .eval_gradient(
                &case.theta,
                &case.buffers,
                &case.images,
                BatchTargets::Classes(&case.labels),
                &mut grad,
            )
            .unwrap();
        // Two roundings per layer in f32.
        assert!(
            (mean - unfolded.loss).abs() < 1e-5 * unfolded.loss.max(1.0),
            "{mean} {}",
            unfolded.loss
        );
    }
}

#[test]
fn running_statistics_move_as_in_pytorch() {
    let mut b = Builder::new("bn", [2, 1, 2]);
    let x = b.input();
    let y = b.batch_norm("bn", x).unwrap();
    let f = b.flatten("flatten", y);
    let network = b.finish(f).unwrap();
    let mut buffers = network.init_buffers();
    let backend = candle(network);
    // Channel 0 sees 1, 2, 3, 6 (mean 3, unbiased variance 14 / 3), channel 1 sees 0.
    let images = [1.0, 2.0, 0.0, 0.0, 3.0, 6.0, 0.0, 0.0];
    let pass = TrainPass {
        theta: &[1.0, 1.0, 0.0, 0.0],
        buffers: &mut buffers,
        images: &images,
        targets: BatchTargets::Classes(&[0, 1]),
        label_smoothing: 0.0,
        streams: &Streams::new(0),
        step: 0,
    };
    backend.train_pass(pass, &mut [0.0; 4]).unwrap();
    let want = [0.3, 0.0, 0.9 + 0.1 * 14.0 / 3.0, 0.9];
    for (got, want) in buffers.iter().zip(want) {
        assert!((f64::from(*got) - want).abs() < 1e-6, "{buffers:?}");
    }
}

#[test]
fn dropout_masks_depend_on_the_step_and_not_on_the_call() {
    let spec = ModelSpec { dropout: 0.5, hidden: vec![32], ..ModelSpec::of("mlp") };
    let network = spec.build([1, 4, 4], 3).unwrap();
    let case = Case::new(&network, 4);
    let backend = candle(network);
    let loss = |step| {
        let mut buffers = case.buffers.clone();
        let pass = TrainPass { step, ..case.pass(&case.theta, &mut buffers) };
        backend.train_pass(pass, &mut vec![0.0; case.theta.len()]).unwrap().loss
    };
    assert_eq!(loss(0), loss(0));
    assert_ne!(loss(0), loss(1));
}
