//! The smooth activations and leaky ReLU of one image, forward and backward, in f32 vectors; the
//! padding behind the channels stays zero.

use super::math;
use crate::backend::native::shape::{CHANNEL_BLOCK, Shape};
use crate::backend::native::simd::{Kernel, Level, Simd};
use crate::network::{Activation, LEAKY_SLOPE};

/// y = f(x).
pub(crate) fn activate(
    level: Level,
    kind: Activation,
    (x, xs): (&[f32], &Shape),
    (y, ys): (&mut [f32], &Shape),
) {
    run(level, kind, (x, xs), None, (y, ys));
}

/// dx = f'(x) dy.
pub(crate) fn activate_backward(
    level: Level,
    kind: Activation,
    x: (&[f32], &Shape),
    dy: (&[f32], &Shape),
    dx: (&mut [f32], &Shape),
) {
    run(level, kind, x, Some(dy), dx);
}

fn run(
    level: Level,
    kind: Activation,
    (x, xs): (&[f32], &Shape),
    dy: Option<(&[f32], &Shape)>,
    (to, shape): (&mut [f32], &Shape),
) {
    for (len, like) in [(x.len(), xs)].into_iter().chain(dy.map(|(d, s)| (d.len(), s))) {
        assert_eq!(
            (shape.c, shape.h, shape.w),
            (like.c, like.h, like.w),
            "feature maps of two sizes"
        );
        assert!(len >= like.len());
    }
    assert!(to.len() >= shape.len());
    // SAFETY: the level was found available; lengths and sizes are checked above.
    unsafe { level.run(Activate { kind, x, xs, dy, to, shape }) }
}

struct Activate<'a> {
    kind: Activation,
    x: &'a [f32],
    xs: &'a Shape,
    dy: Option<(&'a [f32], &'a Shape)>,
    to: &'a mut [f32],
    shape: &'a Shape,
}

impl Kernel for Activate<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(mut self) {
        // SAFETY: as Activate; all functions are arithmetic alone.
        unsafe {
            match self.kind {
                Activation::Relu => {
                    self.each::<S>(|x| S::max(S::zero(), x), |x, g| S::keep_positive(x, g))
                }
                Activation::LeakyRelu => {
                    let slope = S::splat(LEAKY_SLOPE as f32);
                    self.each::<S>(
                        |x| S::max(S::mul(slope, x), x),
                        |x, g| {
                            let low = S::mul(slope, g);
                            let low = S::sub(low, S::keep_positive(x, low));
                            S::add(low, S::keep_positive(x, g))
                        },
                    );
                }
                Activation::Gelu => self.each::<S>(
                    |x| S::mul(x, math::normal::<S>(x)[0]),
                    |x, g| {
                        let [cdf, density] = math::normal::<S>(x);
                        S::mul(g, S::fma(x, density, cdf))
                    },
                ),
                Activation::Silu => self.each::<S>(
                    |x| S::mul(x, math::sigmoid::<S>(x)),
                    |x, g| {
                        // s (1 + x (1 - s))
                        let (s, one) = (math::sigmoid::<S>(x), S::splat(1.0));
                        S::mul(g, S::mul(s, S::fma(x, S::sub(one, s), one)))
                    },
                ),
                Activation::Tanh => self.each::<S>(
                    |x| math::tanh::<S>(x),
                    |x, g| {
                        let (t, one) = (math::tanh::<S>(x), S::splat(1.0));
                        S::mul(g, S::mul(S::sub(one, t), S::add(one, t)))
                    },
                ),
                Activation::Sigmoid => self.each::<S>(
                    |x| math::sigmoid::<S>(x),
                    |x, g| {
                        let (s, one) = (math::sigmoid::<S>(x), S::splat(1.0));
                        S::mul(g, S::mul(s, S::sub(one, s)))
                    },
                ),
            }
        }
    }
}

impl Activate<'_> {
    /// `value` of each vector of x, or `slope` of it and the gradient's.
    ///
    /// # Safety
    /// As [`Activate`].
    #[inline(always)]
    unsafe fn each<S: Simd>(
        &mut self,
        value: impl Fn(S::V) -> S::V,
        slope: impl Fn(S::V, S::V) -> S::V,
    ) {
        let shape = self.shape;
        let mut ones = [0f32; CHANNEL_BLOCK];
        let whole = shape.c - shape.c % S::LANES;
        ones[..shape.c - whole].fill(1.0);
        // SAFETY: every pixel lies inside its feature map, every vector inside the stride.
        unsafe {
            let last = S::load(ones.as_ptr());
            for (row, column) in (0..shape.h).flat_map(|y| (0..shape.w).map(move |x| (y, x))) {
                let at = |s: &Shape| s.at(row as isize, column as isize);
                let x = self.x.as_ptr().add(at(self.xs));
                let g = self.dy.map(|(dy, dys)| dy.as_ptr().add(at(dys)));
                let to = self.to.as_mut_ptr().add(at(shape));
                for c in (0..shape.c).step_by(S::LANES) {
                    let x = S::load(x.add(c));
                    let v = match g {
                        None => value(x),
                        Some(g) => slope(x, S::load(g.add(c))),
                    };
                    S::store(to.add(c), if c < whole { v } else { S::mul(v, last) });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Streams;

    /// f and f' in f64.
    fn exact(kind: Activation, x: f64) -> [f64; 2] {
        let s = 1.0 / (1.0 + (-x).exp());
        match kind {
            Activation::Relu => [x.max(0.0), if x > 0.0 { 1.0 } else { 0.0 }],
            Activation::LeakyRelu if x > 0.0 => [x, 1.0],
            Activation::LeakyRelu => [0.01 * x, 0.01],
            Activation::Gelu => {
                let cdf = 0.5 * (1.0 + candle_core::cpu::erf::erf_f64(x / 2f64.sqrt()));
                let density = (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
                [x * cdf, cdf + x * density]
            }
            Activation::Silu => [x * s, s * (1.0 + x * (1.0 - s))],
            Activation::Tanh => [x.tanh(), 1.0 - x.tanh().powi(2)],
            Activation::Sigmoid => [s, s * (1.0 - s)],
        }
    }

    #[test]
    fn activations_and_their_slopes_agree_with_f64_on_every_number_of_channels() {
        let mut rng = Streams::new(8).stream("test", 0);
        for c in [1, 7, 8, 16, 21, 32] {
            let (xs, ys) = (Shape::new([c, 3, 5], 1), Shape::new([c, 3, 5], 0));
            let x: Vec<f32> = (0..xs.len()).map(|_| 4.0 * rng.normal() as f32).collect();
            let dy: Vec<f32> = (0..xs.len()).map(|_| rng.normal() as f32).collect();
            for &kind in Activation::ALL {
                for level in Level::all() {
                    let (mut y, mut dx) = (vec![f32::NAN; ys.len()], vec![f32::NAN; ys.len()]);
                    activate(level, kind, (&x, &xs), (&mut y, &ys));
                    activate_backward(level, kind, (&x, &xs), (&dy, &xs), (&mut dx, &ys));
                    for (row, column) in (0..3).flat_map(|y| (0..5).map(move |x| (y, x))) {
                        let (from, to) = (xs.at(row, column), ys.at(row, column));
                        for k in 0..c {
                            let [f, slope] = exact(kind, f64::from(x[from + k]));
                            let slope = slope * f64::from(dy[from + k]);
                            // Some roundings of values up to about 16; tails far below 1e-6.
                            let near =
                                |a: f32, b: f64| (f64::from(a) - b).abs() < 1e-6 * b.abs().max(1.0);
                            assert!(near(y[to + k], f), "{kind} at {level}: {} {f}", y[to + k]);
                            assert!(near(dx[to + k], slope), "{kind}' at {level}: {slope}");
                        }
                        let vector = c.next_multiple_of(level.lanes());
                        assert!(y[to + c..to + vector].iter().all(|v| *v == 0.0));
                        assert!(dx[to + c..to + vector].iter().all(|v| *v == 0.0));
                    }
                }
            }
        }
    }
}
