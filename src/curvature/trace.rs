//! The trace of a matrix from its products with random vectors.
//!
//! Hutchinson (1990): for a vector z of independent signs E[z' A z] = tr A, and the error of a mean over
//! vectors is that of any mean. Part by part, E[z_i (A z)_i] = A_ii, so the traces of a network's layers
//! come from the same products and sum to the whole.
//!
//! Hutch++ (Meyer, Musco, Musco and Woodruff 2021) spends a third of its products on a basis Q of what the
//! matrix makes of random vectors, a third on tr(Q' A Q), which is exact, and the last third on
//! Hutchinson's estimate of what Q leaves. With the few large eigenvalues of a network in Q its error is far
//! smaller, where there are enough products to find them.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::Operator;
use crate::names::named_enum;
use crate::rng::{Rng, Streams};
use crate::{Error, Result};

named_enum! {
    /// How a trace is estimated.
    pub enum TraceMethod("trace method") {
        /// Hutchinson's: the mean of z' A z over vectors of random signs.
        Hutchinson = "hutchinson",
        /// Hutch++: exact on the span of a sketch, Hutchinson's on the rest.
        HutchPlusPlus = "hutch++",
    }
}

/// What [`trace`] is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceConfig {
    /// The estimator.
    pub method: TraceMethod,
    /// Products: at least 2 of Hutchinson's, at least 6 of Hutch++.
    pub products: usize,
}

impl TraceConfig {
    /// The fewest products that give a standard error.
    pub fn least(method: TraceMethod) -> usize {
        match method {
            TraceMethod::Hutchinson => 2,
            TraceMethod::HutchPlusPlus => 6,
        }
    }

    /// Refuses too few products.
    ///
    /// # Errors
    /// [`Error::BadValue`].
    pub fn check(&self) -> Result<()> {
        let least = Self::least(self.method);
        if self.products >= least {
            return Ok(());
        }
        let problem = format!("too few for the standard error of {}", self.method);
        Err(Error::bad_value("probes", self.products, problem, format!("use {least} or more")))
    }
}

/// An estimate and its standard error over the random vectors.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mean {
    /// The estimate.
    pub value: f64,
    /// Its standard error; NaN of a single vector.
    pub se: f64,
}

impl Mean {
    /// The mean of independent estimates.
    pub fn of(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let value = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|v| (v - value).powi(2)).sum::<f64>() / (n - 1.0);
        Self { value, se: (variance / n).sqrt() }
    }
}

/// A trace.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    /// Of the whole matrix.
    pub whole: Mean,
    /// Of the parts asked for, in their order; by Hutchinson's method only.
    pub parts: Vec<Mean>,
    /// Products made.
    pub products: usize,
    /// Mean seconds of one.
    pub hvp_secs: f64,
}

/// The trace of `matrix`, and by Hutchinson's method the traces of its diagonal blocks in the ranges
/// `parts`; random vectors are from `streams` (stream `trace`).
///
/// # Errors
/// [`Error::BadValue`] for too few products; [`Error::Interrupted`]; those of the products.
pub fn trace(
    matrix: &dyn Operator,
    config: TraceConfig,
    parts: &[Range<usize>],
    streams: &Streams,
    interrupt: &AtomicBool,
) -> Result<Trace> {
    config.check()?;
    let mut products = Products { matrix, interrupt, made: 0, secs: 0.0 };
    let found = match config.method {
        TraceMethod::Hutchinson => hutchinson(&mut products, config.products, parts, streams)?,
        TraceMethod::HutchPlusPlus => {
            (hutch_plus_plus(&mut products, config.products, streams)?, Vec::new())
        }
    };
    let Products { made, secs, .. } = products;
    let hvp_secs = secs / made as f64;
    Ok(Trace { whole: found.0, parts: found.1, products: made, hvp_secs })
}

/// Products that can be stopped between two, counted and timed.
struct Products<'a> {
    matrix: &'a dyn Operator,
    interrupt: &'a AtomicBool,
    made: usize,
    secs: f64,
}

impl Products<'_> {
    fn with(&mut self, v: &[f32]) -> Result<Vec<f32>> {
        if self.interrupt.load(Ordering::Relaxed) {
            return Err(Error::Interrupted { remedy: "run the same command again".into() });
        }
        let mut out = vec![0.0; v.len()];
        let started = Instant::now();
        self.matrix.apply(v, &mut out)?;
        self.secs += started.elapsed().as_secs_f64();
        self.made += 1;
        Ok(out)
    }
}

/// Independent signs, (n,).
pub(super) fn signs(n: usize, rng: &mut Rng) -> Vec<f32> {
    let mut bits = 0u64;
    let sign = |i: usize| {
        if i.is_multiple_of(64) {
            bits = rng.bits();
        }
        let sign = if bits & 1 == 1 { 1.0 } else { -1.0 };
        bits >>= 1;
        sign
    };
    (0..n).map(sign).collect()
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

fn hutchinson(
    products: &mut Products<'_>,
    n: usize,
    parts: &[Range<usize>],
    streams: &Streams,
) -> Result<(Mean, Vec<Mean>)> {
    let (mut whole, mut of_parts) = (Vec::new(), vec![Vec::new(); parts.len()]);
    for index in 0..n {
        let z = signs(products.matrix.dim(), &mut streams.stream("trace", index as u64));
        let az = products.with(&z)?;
        whole.push(dot(&z, &az));
        for (part, sums) in parts.iter().zip(&mut of_parts) {
            sums.push(dot(&z[part.clone()], &az[part.clone()]));
        }
    }
    Ok((Mean::of(&whole), of_parts.iter().map(|sums| Mean::of(sums)).collect()))
}

fn hutch_plus_plus(products: &mut Products<'_>, n: usize, streams: &Streams) -> Result<Mean> {
    let dim = products.matrix.dim();
    let third = (n / 3).min(dim);
    // An orthonormal basis of A S, S of random signs.
    let mut basis: Vec<Vec<f32>> = Vec::new();
    for index in 0..third {
        let z = signs(dim, &mut streams.stream("trace", index as u64));
        let image = products.with(&z)?;
        let size = dot(&image, &image).sqrt();
        let mut v: Vec<f64> = image.iter().map(|&v| f64::from(v)).collect();
        for _ in 0..2 {
            take_off(&mut v, &basis);
        }
        let left = v.iter().map(|v| v * v).sum::<f64>().sqrt();
        // What is left beyond the rounding of a product in f32.
        if left > 1e-5 * size {
            basis.push(v.iter().map(|v| (v / left) as f32).collect());
        }
    }
    let mut exact = 0.0;
    for q in &basis {
        exact += dot(q, &products.with(q)?);
    }
    let mut rest = Vec::new();
    for index in 2 * third..n.max(2 * third + 2) {
        let z = signs(dim, &mut streams.stream("trace", index as u64));
        let mut v: Vec<f64> = z.iter().map(|&v| f64::from(v)).collect();
        for _ in 0..2 {
            take_off(&mut v, &basis);
        }
        let z: Vec<f32> = v.iter().map(|&v| v as f32).collect();
        let az = products.with(&z)?;
        rest.push(dot(&z, &az));
    }
    let Mean { value, se } = Mean::of(&rest);
    Ok(Mean { value: exact + value, se })
}

/// v <- v - Q Q' v.
fn take_off(v: &mut [f64], basis: &[Vec<f32>]) {
    for q in basis {
        let part: f64 = q.iter().zip(&*v).map(|(q, v)| f64::from(*q) * v).sum();
        v.iter_mut().zip(q).for_each(|(v, q)| *v -= part * f64::from(*q));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::curvature::Curvature;
    use crate::objective::Quadratic;

    static NEVER: AtomicBool = AtomicBool::new(false);

    /// A symmetric matrix with off-diagonal entries: A = D + u u'.
    struct RankOne {
        diagonal: Vec<f64>,
        u: Vec<f64>,
    }

    impl Operator for RankOne {
        fn dim(&self) -> usize {
            self.u.len()
        }
        fn apply(&self, v: &[f32], out: &mut [f32]) -> Result<()> {
            let part: f64 = self.u.iter().zip(v).map(|(u, v)| u * f64::from(*v)).sum();
            for (i, out) in out.iter_mut().enumerate() {
                *out = (self.diagonal[i] * f64::from(v[i]) + part * self.u[i]) as f32;
            }
            Ok(())
        }
    }

    fn matrix() -> (RankOne, f64) {
        let n = 500;
        let diagonal: Vec<f64> = (0..n).map(|i| 0.1 * f64::from(i).sin()).collect();
        let u: Vec<f64> = (0..n).map(|i| 0.2 + 0.1 * f64::from(i).cos()).collect();
        let trace = diagonal.iter().sum::<f64>() + u.iter().map(|u| u * u).sum::<f64>();
        (RankOne { diagonal, u }, trace)
    }

    fn find(matrix: &dyn Operator, method: TraceMethod, products: usize, seed: u64) -> Trace {
        let config = TraceConfig { method, products };
        trace(matrix, config, &[], &Streams::new(seed), &NEVER).unwrap()
    }

    #[test]
    fn signs_find_the_trace_of_a_diagonal_exactly_and_its_parts() {
        let of = Quadratic { curvature: vec![1.0, -2.0, 3.5, 0.25], centre: vec![0.0; 4] };
        let hessian = Curvature::hessian(&of, &[0.0; 4]);
        let config = TraceConfig { method: TraceMethod::Hutchinson, products: 2 };
        let found = trace(&hessian, config, &[0..1, 1..4], &Streams::new(0), &NEVER).unwrap();
        assert_eq!(found.whole, Mean { value: 2.75, se: 0.0 });
        assert_eq!((found.parts[0].value, found.parts[1].value), (1.0, 1.75));
    }

    #[test]
    fn the_true_trace_is_within_the_stated_error_as_often_as_it_should_be() {
        let (matrix, want) = matrix();
        for method in [TraceMethod::Hutchinson, TraceMethod::HutchPlusPlus] {
            let off = |seed| {
                let found = find(&matrix, method, 60, seed).whole;
                (found.value - want) / found.se
            };
            let far = (0..60).filter(|&seed| f64::abs(off(seed)) > 2.1).count();
            // 5 % of 60 are 3, with an error of 1.7.
            assert!(far <= 8, "{method}: {far} of 60");
        }
    }

    #[test]
    fn hutch_plus_plus_is_far_better_where_few_eigenvalues_are_large() {
        let (matrix, want) = matrix();
        let plain = find(&matrix, TraceMethod::Hutchinson, 60, 1).whole;
        let sketched = find(&matrix, TraceMethod::HutchPlusPlus, 60, 1).whole;
        assert!(sketched.se < 0.2 * plain.se, "{sketched:?} {plain:?}");
        assert!((sketched.value - want).abs() < 4.0 * sketched.se, "{sketched:?} {want}");
    }

    #[test]
    fn a_sketch_that_holds_everything_is_exact() {
        // Eight sketches: that all have the same two signs where the matrix is not 0 is unlikely.
        let curvature = vec![5.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0];
        let of = Quadratic { curvature, centre: vec![0.0; 8] };
        let found =
            find(&Curvature::hessian(&of, &[0.0; 8]), TraceMethod::HutchPlusPlus, 30, 3).whole;
        assert!((found.value - 6.0).abs() < 1e-5 && found.se < 1e-5, "{found:?}");
    }

    #[test]
    fn too_few_products_are_refused_with_the_number_that_is_enough() {
        let (matrix, _) = matrix();
        let config = TraceConfig { method: TraceMethod::HutchPlusPlus, products: 5 };
        let error = trace(&matrix, config, &[], &Streams::new(0), &NEVER).unwrap_err().to_string();
        assert!(error.contains("use 6 or more"), "{error}");
    }
}
