//! Known spectra, and a dense eigenvalue solver's.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ndarray::Array2;

use super::*;
use crate::backend::{BackendName, backend};
use crate::dataset::{DataSet, LoadOptions, NormChoice, NormStats, SampleOrder, choose, load};
use crate::models::{ActivationChoice, ModelSpec};
use crate::network::Activation;
use crate::objective::{DatasetObjective, Evaluation, Objective, Quadratic, TestFunction};
use crate::rng::Streams;
use crate::trajectory::eigen_symmetric;
use crate::{Error, Result};

fn find(objective: &dyn Objective, theta: &[f32], config: ExtremesConfig) -> Extremes {
    extremes(objective, theta, config, &Streams::new(5), &AtomicBool::new(false)).unwrap()
}

/// A quadratic with this Hessian in its eigenvectors' coordinates.
fn quadratic(curvature: Vec<f64>) -> Quadratic {
    Quadratic { centre: vec![0.0; curvature.len()], curvature }
}

#[test]
fn the_ends_of_a_known_spectrum_are_found_with_few_products() {
    // A bulk about zero with outliers, as a network's Hessian has.
    let mut curvature: Vec<f64> = (0..997).map(|i| 0.4 * (f64::from(i) * 0.7).sin()).collect();
    curvature.extend([12.5, 7.0, -3.25]);
    let config =
        ExtremesConfig { largest: 2, smallest: 1, tolerance: 1e-5, ..ExtremesConfig::default() };
    let found = find(&quadratic(curvature), &[0.1; 1000], config);
    assert!(found.converged && found.iterations < 30, "{found:?}");
    // Products in f32 are good to 6e-8 of the largest eigenvalue, the basis too.
    for (value, want) in found.eigenvalues.iter().zip([12.5, 7.0]) {
        assert!((value - want).abs() < 1e-5, "{found:?}");
    }
    assert!((found.smallest[0] + 3.25).abs() < 1e-5, "{found:?}");
    assert!(found.residuals.iter().all(|r| *r <= 1e-5 * 12.5));
}

#[test]
fn a_small_and_crowded_lower_end_is_waited_for_by_itself() {
    // As of a trained network: the largest stands alone, the smallest is a hundredth of it in size and has
    // neighbours. The largest has converged long before.
    let mut curvature: Vec<f64> =
        (0..1997).map(|i| 2.0 * (f64::from(i) * 0.7).sin().powi(9)).collect();
    curvature.iter_mut().for_each(|c| *c = if *c < 0.0 { 0.1 * *c } else { *c });
    curvature.extend([24.0, 20.0, -0.26]);
    let of = quadratic(curvature);
    let theta = [0.0; 2000];
    let top = find(&of, &theta, ExtremesConfig::default());
    assert!(top.converged && top.smallest.is_empty(), "{top:?}");
    let config = ExtremesConfig { smallest: 1, ..Default::default() };
    let both = find(&of, &theta, config);
    assert!(both.converged && both.iterations > top.iterations, "{both:?}");
    // Held to its own size: four digits, not a thousandth of 24.
    assert!((both.smallest[0] + 0.26).abs() < 2e-4, "{both:?}");
    let few = find(&of, &theta, ExtremesConfig { max_iterations: top.iterations, ..config });
    assert!(!few.converged && few.smallest.is_empty(), "{few:?}");
    assert!(few.rest_of_smallest[0].value > -0.26 && few.eigenvalues.len() == 1, "{few:?}");
}

#[test]
fn a_residual_bounds_the_distance_to_an_eigenvalue_before_convergence() {
    // Crowded at the upper end: 20 products are far too few.
    let curvature: Vec<f64> = (1..=400).map(|i| (1.0 - (0.999f64).powi(i)) * 10.0).collect();
    let config = ExtremesConfig { max_iterations: 20, tolerance: 1e-9, ..Default::default() };
    let found = find(&quadratic(curvature.clone()), &[0.0; 400], config);
    assert!(!found.converged && found.iterations == 20, "{found:?}");
    assert!(found.eigenvalues.is_empty(), "what did not converge is no eigenvalue: {found:?}");
    let Estimate { value, residual } = found.rest_of_largest[0];
    let nearest = curvature.iter().map(|c| (c - value).abs()).fold(f64::INFINITY, f64::min);
    assert!(residual > 1e-6 && nearest <= residual + 1e-6, "{nearest} {found:?}");
    assert!(value <= curvature[399] + 1e-6, "Ritz values lie inside the spectrum");
}

#[test]
fn repeated_zero_and_few_eigenvalues_end_the_process_early() {
    let config = ExtremesConfig { largest: 3, smallest: 1, tolerance: 1e-12, ..Default::default() };
    // Two distinct eigenvalues: the space has two dimensions, whatever P.
    let mut curvature = vec![2.0; 50];
    curvature[7] = -1.0;
    let found = find(&quadratic(curvature), &[0.0; 50], config);
    assert!(found.converged && found.iterations == 2, "{found:?}");
    assert!((found.eigenvalues[0] - 2.0).abs() < 1e-6 && (found.smallest[0] + 1.0).abs() < 1e-6);
    let found = find(&quadratic(vec![0.0; 9]), &[0.0; 9], config);
    let ends = (found.eigenvalues, found.smallest, found.iterations);
    assert_eq!(ends, (vec![0.0], vec![0.0], 1));
    let found = find(&quadratic(vec![-4.0]), &[0.0], config);
    assert!((found.eigenvalues[0] + 4.0).abs() < 1e-6 && found.converged, "{found:?}");
}

#[test]
fn himmelblaus_hessian_at_a_minimum_comes_out_of_differences_of_gradients() {
    let config = ExtremesConfig { largest: 2, ..Default::default() };
    /// Without an exact product of its own.
    struct Differences(TestFunction);
    impl Objective for Differences {
        fn dim(&self) -> usize {
            self.0.dim()
        }
        fn loss(&self, theta: &[f32]) -> Result<Evaluation> {
            self.0.loss(theta)
        }
        fn loss_and_grad(&self, theta: &[f32], grad: &mut [f32]) -> Result<f64> {
            self.0.loss_and_grad(theta, grad)
        }
    }
    let found = find(&Differences(TestFunction::Himmelblau), &[3.0, 2.0], config);
    // [[74, 20], [20, 34]]
    let root = (20.0f64 * 20.0 + 20.0 * 20.0).sqrt();
    for (value, want) in found.eigenvalues.iter().zip([54.0 + root, 54.0 - root]) {
        // The step of the default product is 5e-3: its error is the fourth derivative's, 4e-5 of
        // it.
        assert!((value - want).abs() < 1e-2, "{found:?} {want}");
    }
}

/// The sum of 100 (x_{i+1} - x_i^2)^2 + (1 - x_i)^2, with its gradient alone.
struct Rosenbrock(usize);

impl Rosenbrock {
    fn hessian(&self, x: &[f32]) -> Array2<f64> {
        let mut h = Array2::zeros((self.0, self.0));
        for i in 0..self.0 - 1 {
            let (a, b) = (f64::from(x[i]), f64::from(x[i + 1]));
            h[[i, i]] += 1200.0 * a * a - 400.0 * b + 2.0;
            h[[i + 1, i + 1]] += 200.0;
            h[[i, i + 1]] -= 400.0 * a;
            h[[i + 1, i]] -= 400.0 * a;
        }
        h
    }
}

impl Objective for Rosenbrock {
    fn dim(&self) -> usize {
        self.0
    }
    fn loss(&self, theta: &[f32]) -> Result<Evaluation> {
        let loss = self.loss_and_grad(theta, &mut vec![0.0; self.0])?;
        Ok(Evaluation { loss, loss_se: 0.0, correct: 0, total: 0 })
    }
    fn loss_and_grad(&self, theta: &[f32], grad: &mut [f32]) -> Result<f64> {
        let x: Vec<f64> = theta.iter().map(|&v| f64::from(v)).collect();
        let mut exact = vec![0.0; self.0];
        let mut loss = 0.0;
        for i in 0..self.0 - 1 {
            let (up, off) = (x[i + 1] - x[i] * x[i], 1.0 - x[i]);
            loss += 100.0 * up * up + off * off;
            exact[i] -= 400.0 * x[i] * up + 2.0 * off;
            exact[i + 1] += 200.0 * up;
        }
        grad.iter_mut().zip(exact).for_each(|(g, e)| *g = e as f32);
        Ok(loss)
    }
}

#[test]
fn rosenbrocks_valley_is_as_sharp_as_its_dense_hessian_says() {
    let n = 30;
    let theta: Vec<f32> = (0..n).map(|i| 0.6 + 0.3 * (i as f32).sin()).collect();
    let dense = eigen_symmetric(Rosenbrock(n).hessian(&theta)).0;
    let config = ExtremesConfig { tolerance: 1e-4, ..Default::default() };
    let found = find(&Rosenbrock(n), &theta, config);
    // Differences of f32 gradients of size 100 over a step of 5e-3 are good to some 1e-3.
    let relative = (found.eigenvalues[0] - dense[0]).abs() / dense[0];
    assert!(found.converged && relative < 2e-3, "{found:?} {}", dense[0]);
}

/// A small net on digits, with BatchNorm, after its initialisation.
fn net(engine: BackendName) -> (DatasetObjective, Vec<f32>) {
    let data = load(DataSet::Digits, &LoadOptions::default()).unwrap();
    // Smooth: differences across the kinks of ReLUs would have no second derivative to find.
    let activation = ActivationChoice(Some(Activation::Tanh));
    let model = ModelSpec { hidden: vec![6], activation, ..ModelSpec::of("mlp") };
    let network = model.build(data.shape(), data.classes).unwrap();
    let theta = network.init_theta(&Streams::new(2));
    let chosen = choose(&data.train.labels, 150, SampleOrder::Balanced, &Streams::new(0)).unwrap();
    let sample = Arc::new(data.train.select(&chosen));
    let stats = NormStats::of(&data, &NormChoice::Dataset).unwrap();
    let buffers = network.init_buffers();
    let engine = backend(engine, Arc::new(network)).unwrap();
    (DatasetObjective::new(engine, buffers, sample, stats, data.max_value).unwrap(), theta)
}

/// The Hessian, column by column, from differences of another engine's gradients.
fn dense(theta: &[f32]) -> Array2<f64> {
    let (objective, _) = net(BackendName::Candle);
    let n = theta.len();
    let mut h = Array2::zeros((n, n));
    let step = 1e-2f32;
    let (mut up, mut down) = (vec![0.0; n], vec![0.0; n]);
    for (j, &centre) in theta.iter().enumerate() {
        let mut at = theta.to_vec();
        at[j] = centre + step;
        objective.loss_and_grad(&at, &mut up).unwrap();
        at[j] = centre - step;
        objective.loss_and_grad(&at, &mut down).unwrap();
        for (i, (up, down)) in up.iter().zip(&down).enumerate() {
            h[[i, j]] = f64::from(up - down) / f64::from(2.0 * step);
        }
    }
    (&h + &h.t()) / 2.0
}

#[test]
fn a_nets_sharpness_is_that_of_its_dense_hessian() {
    let (objective, theta) = net(BackendName::Native);
    let values = eigen_symmetric(dense(&theta)).0;
    let config = ExtremesConfig { largest: 3, tolerance: 1e-4, ..Default::default() };
    let found = find(&objective, &theta, config);
    assert!(found.converged, "{found:?}");
    for (value, want) in found.eigenvalues.iter().zip(&values) {
        // Central differences with a step of 1e-2: h^2 of a third derivative of order 1.
        assert!((value - want).abs() < 2e-3 * values[0], "{found:?} {:?}", &values[..3]);
    }
    let again = find(&objective, &theta, config);
    assert_eq!(again.eigenvalues, found.eigenvalues, "the same on every run");
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert_eq!(alone.install(|| find(&objective, &theta, config)).eigenvalues, found.eigenvalues);
}

/// The density of the net's spectrum against that of the dense matrix's eigenvalues, and its trace.
#[test]
fn a_nets_density_is_that_of_its_dense_hessian_within_the_stated_error() {
    let (objective, theta) = net(BackendName::Native);
    let values = eigen_symmetric(dense(&theta)).0;
    let (n, trace_want) = (values.len() as f64, values.iter().sum::<f64>());
    let hessian = Curvature::hessian(&objective, &theta);
    let never = AtomicBool::new(false);
    let config = DensityConfig { probes: 20, steps: 40 };
    let found = density(&hessian, config, &Streams::new(1), &never).unwrap();
    // A width that 40 nodes resolve; differences of gradients are good to 2e-3 of the largest.
    let sigma = 0.05 * values[0];
    for i in 0..=20 {
        let x = values[n as usize - 1] + (values[0] - values[n as usize - 1]) * f64::from(i) / 20.0;
        let kernel = |v: &f64| (-0.5 * ((x - v) / sigma).powi(2)).exp();
        let want =
            values.iter().map(kernel).sum::<f64>() / (n * sigma * std::f64::consts::TAU.sqrt());
        let Mean { value, se } = found.at(x, sigma);
        assert!((value - want).abs() < 4.0 * se + 0.02 * want, "{x}: {value} {se} {want}");
    }
    let Mean { value, se } = found.trace();
    assert!((value - trace_want).abs() < 4.0 * se, "{value} {se} {trace_want}");
    for method in [TraceMethod::Hutchinson, TraceMethod::HutchPlusPlus] {
        let config = TraceConfig { method, products: 60 };
        let found = trace(&hessian, config, &[], &Streams::new(2), &never).unwrap().whole;
        assert!(
            (found.value - trace_want).abs() < 4.0 * found.se,
            "{method}: {found:?} {trace_want}"
        );
        assert!(found.se < 0.5 * trace_want, "{found:?}");
    }
}

#[test]
fn the_traces_of_the_layers_sum_to_the_trace_and_are_those_of_the_dense_blocks() {
    let (objective, theta) = net(BackendName::Native);
    let data = load(DataSet::Digits, &LoadOptions::default()).unwrap();
    let activation = ActivationChoice(Some(Activation::Tanh));
    let model = ModelSpec { hidden: vec![6], activation, ..ModelSpec::of("mlp") };
    let layout = model.build(data.shape(), data.classes).unwrap().layout;
    let ranges: Vec<_> = layers(&layout).into_iter().map(|l| l.range).collect();
    assert!(ranges.len() > 1);
    let hessian = Curvature::hessian(&objective, &theta);
    let config = TraceConfig { method: TraceMethod::Hutchinson, products: 100 };
    let never = AtomicBool::new(false);
    let found = trace(&hessian, config, &ranges, &Streams::new(3), &never).unwrap();
    let sum: f64 = found.parts.iter().map(|p| p.value).sum();
    assert!((sum - found.whole.value).abs() < 1e-9 * found.whole.value.abs(), "{sum} {found:?}");
    let dense = dense(&theta);
    for (range, part) in ranges.iter().zip(&found.parts) {
        let want: f64 = range.clone().map(|i| dense[[i, i]]).sum();
        assert!((part.value - want).abs() < 4.0 * part.se, "{range:?}: {part:?} {want}");
    }
    // A layer's largest eigenvalue is that of its block.
    let block = Block::new(&hessian, vec![ranges[1].clone()]);
    let config = ExtremesConfig { tolerance: 1e-4, ..Default::default() };
    let top = extremes_of(&block, config, &Streams::new(0), &never).unwrap().eigenvalues[0];
    let r = ranges[1].clone();
    let want = eigen_symmetric(dense.slice(ndarray::s![r.clone(), r]).to_owned()).0[0];
    assert!((top - want).abs() < 2e-3 * want, "{top} {want}");
}

#[test]
fn products_are_symmetric_and_those_of_gauss_newton_have_no_negative_direction() {
    let (objective, theta) = net(BackendName::Native);
    let n = theta.len();
    let mut rng = Streams::new(8).stream("test", 0);
    let mut draw = || -> Vec<f32> { (0..n).map(|_| rng.normal() as f32).collect() };
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    for matrix in [Matrix::Hessian, Matrix::GaussNewton] {
        let of = Curvature::new(&objective, &theta, matrix);
        for _ in 0..4 {
            let (u, v) = (draw(), draw());
            let (mut hu, mut hv) = (vec![0.0; n], vec![0.0; n]);
            of.apply(&u, &mut hu).unwrap();
            of.apply(&v, &mut hv).unwrap();
            let (a, b) = (dot(&u, &hv), dot(&v, &hu));
            let scale = (dot(&u, &u) * dot(&hv, &hv)).sqrt();
            // f32 products: 6e-8 of each of the sums' terms.
            assert!((a - b).abs() < 1e-6 * scale, "{matrix}: {a} {b} {scale}");
            assert!(matrix == Matrix::Hessian || dot(&u, &hu) >= 0.0);
        }
    }
}

#[test]
fn an_overflow_is_a_nan_and_not_an_error() {
    let found = find(&quadratic(vec![f64::INFINITY, 1.0]), &[0.0; 2], Default::default());
    assert!(found.eigenvalues[0].is_nan() && !found.converged, "{found:?}");
}

#[test]
fn an_interrupt_stops_before_the_next_product() {
    let stop = AtomicBool::new(true);
    let of = quadratic(vec![1.0, 2.0]);
    let ended = extremes(&of, &[0.0; 2], Default::default(), &Streams::new(0), &stop);
    assert!(matches!(ended, Err(Error::Interrupted { .. })));
}
