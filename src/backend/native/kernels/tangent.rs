//! What tangents need beyond the kernels of values: the join with its tangent in one pass over
//! memory, the maximum's tangent, the activations' second derivatives.

use super::activation::activate_backward;
use super::join::{Tensor, check, row_mut};
use super::plain::{Window, pixel, pixel_mut, pixels};
use crate::backend::native::shape::Shape;
use crate::backend::native::simd::{Kernel, Level, Simd};
use crate::network::Activation;

/// A summand with its tangent: x itself, or `scale x + shift` by channel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TangentTerm<'a> {
    /// x.
    pub value: Tensor<'a>,
    /// Its tangent.
    pub tangent: Tensor<'a>,
    /// scale, shift and their tangents, each (stride,).
    pub affine: Option<[&'a [f32]; 4]>,
}

/// y = sum of one or two terms, negative values set to 0 if `relu`; dy its tangent, 0 where ReLU
/// cuts. Both lie in `shape`.
pub(crate) fn join_tangent(
    level: Level,
    images: usize,
    terms: &[TangentTerm],
    relu: bool,
    [y, dy]: [&mut [f32]; 2],
    shape: &Shape,
) {
    assert!(y.len() >= images * shape.len() && dy.len() >= images * shape.len());
    for term in terms {
        for t in [term.value, term.tangent] {
            check(images, shape, t.data.len(), t.shape);
        }
        assert!(term.affine.iter().flatten().all(|v| v.len() == shape.stride));
    }
    let (&[a] | &[a, _]) = terms else { panic!("one or two terms") };
    let b = terms.get(1).copied();
    // SAFETY: the level was found available; lengths and sizes are checked above.
    unsafe { level.run(JoinTangent { images, a, b, relu, y, dy, shape }) }
}

struct JoinTangent<'a> {
    images: usize,
    a: TangentTerm<'a>,
    b: Option<TangentTerm<'a>>,
    relu: bool,
    y: &'a mut [f32],
    dy: &'a mut [f32],
    shape: &'a Shape,
}

impl Kernel for JoinTangent<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let shape = self.shape;
        let terms = [self.a, self.b.unwrap_or(self.a)];
        let two = self.b.is_some();
        // SAFETY: every pixel lies inside its feature map, every vector inside the stride.
        unsafe {
            for channel in (0..shape.stride).step_by(S::LANES) {
                // A term without an affine map has scale 1, shift 0 and no tangents of them.
                let coefficients = |t: &TangentTerm| match t.affine {
                    Some(k) => k.map(|k| S::load(k.as_ptr().add(channel))),
                    None => [S::splat(1.0), S::zero(), S::zero(), S::zero()],
                };
                let k = [coefficients(&terms[0]), coefficients(&terms[1])];
                for i in 0..self.images {
                    for row in 0..shape.h {
                        let at = [i, row, channel];
                        let x = [terms[0].value.row(at), terms[1].value.row(at)];
                        let dx = [terms[0].tangent.row(at), terms[1].tangent.row(at)];
                        let y = row_mut(self.y, shape, at);
                        let dy = row_mut(self.dy, shape, at);
                        for column in 0..shape.w {
                            let o = column * shape.stride;
                            // (s x + t)' = s x' + s' x + t'
                            let term = |j: usize| {
                                let [scale, shift, dscale, dshift] = k[j];
                                let (x, dx) = (S::load(x[j].add(o)), S::load(dx[j].add(o)));
                                let tangent = S::fma(dx, scale, S::fma(x, dscale, dshift));
                                (S::fma(x, scale, shift), tangent)
                            };
                            let (mut v, mut dv) = term(0);
                            if two {
                                let (b, db) = term(1);
                                (v, dv) = (S::add(v, b), S::add(dv, db));
                            }
                            if self.relu {
                                v = S::max(S::zero(), v);
                                dv = S::keep_positive(v, dv);
                            }
                            S::store(y.add(o), v);
                            S::store(dy.add(o), dv);
                        }
                    }
                }
            }
        }
    }
}

/// dy = the tangent of the first largest value of each window; `y` are the maxima.
pub(crate) fn max_pool_tangent(
    [x, dx, y]: [(&[f32], &Shape); 3],
    window: Window,
    dy: &mut [f32],
    dys: &Shape,
) {
    let mut open = vec![true; dys.stride];
    for (oy, ox) in pixels(dys.h, dys.w) {
        let (best, out) = (pixel(y.0, y.1, oy, ox), pixel_mut(dy, dys, oy, ox));
        open.fill(true);
        for (iy, ix) in window.pixels((oy, ox), (x.1.h, x.1.w)) {
            let (from, tangent) = (pixel(x.0, x.1, iy, ix), pixel(dx.0, dx.1, iy, ix));
            for c in 0..out.len() {
                if open[c] && (from[c] == best[c] || from[c].is_nan()) {
                    out[c] = tangent[c];
                    open[c] = false;
                }
            }
        }
    }
}

/// The tangent of f'(x) g: f'(x) g' + f''(x) x' g, written over `out`.
pub(crate) fn activate_backward_tangent(
    level: Level,
    kind: Activation,
    [x, dx, g, dg]: [(&[f32], &Shape); 4],
    out: &mut [f32],
    outs: &Shape,
) {
    activate_backward(level, kind, x, dg, (&mut *out, outs));
    for (py, px) in pixels(outs.h, outs.w) {
        let of = |(data, shape)| pixel(data, shape, py, px);
        let (x, dx, g) = (of(x), of(dx), of(g));
        let out = &mut pixel_mut(out, outs, py, px)[..outs.c];
        for (c, out) in out.iter_mut().enumerate() {
            *out += second_derivative(kind, x[c]) * dx[c] * g[c];
        }
    }
}

/// The activation's second derivative at `x`; 0 at a kink.
fn second_derivative(kind: Activation, x: f32) -> f32 {
    let x = f64::from(x);
    let sigmoid = || 1.0 / (1.0 + (-x).exp());
    let bend = match kind {
        Activation::Relu | Activation::LeakyRelu => 0.0,
        // (Phi + x phi)' = 2 phi + x phi', phi' = -x phi.
        Activation::Gelu => {
            (2.0 - x * x) * (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt()
        }
        Activation::Silu => {
            let s = sigmoid();
            s * (1.0 - s) * (2.0 + x * (1.0 - 2.0 * s))
        }
        Activation::Tanh => {
            let t = x.tanh();
            -2.0 * t * (1.0 - t * t)
        }
        Activation::Sigmoid => {
            let s = sigmoid();
            s * (1.0 - s) * (1.0 - 2.0 * s)
        }
    };
    bend as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_derivatives_are_the_slopes_of_the_first() {
        for &kind in Activation::ALL {
            for x in [-3.1f32, -0.7, 0.2, 1.9, 4.0] {
                // The first derivatives are rounded to f32: 1e-7 over a step of 2^-6, and the
                // step squared of curvature.
                let h = 2f32.powi(-7);
                let slope = |x: f32| {
                    let shape = Shape::new([1, 1, 1], 0);
                    let image = |v: f32| [v; 1].into_iter().chain([0.0; 15]).collect::<Vec<_>>();
                    let mut out = image(0.0);
                    let (x, one) = (image(x), image(1.0));
                    let to = (&mut out[..], &shape);
                    activate_backward(Level::Portable, kind, (&x, &shape), (&one, &shape), to);
                    f64::from(out[0])
                };
                let numeric = (slope(x + h) - slope(x - h)) / f64::from(2.0 * h);
                let exact = f64::from(second_derivative(kind, x));
                assert!((numeric - exact).abs() < 1e-4, "{kind} at {x}: {exact} {numeric}");
            }
        }
    }
}
