//! The elementwise work between two convolutions, fused: batch normalisation's affine map, the
//! residual sum and ReLU forward; the sum over consumers, ReLU's mask and batch normalisation's
//! reductions backward. One pass over memory each.

use crate::backend::native::shape::Shape;
use crate::backend::native::simd::{Kernel, Level, Simd};

/// A tensor of some images, and how it lies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tensor<'a> {
    /// images * shape.len() floats.
    pub data: &'a [f32],
    /// One image.
    pub shape: &'a Shape,
}

/// A summand: the tensor itself, or `scale x + shift` by channel, both (stride,).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Term<'a> {
    /// x.
    pub tensor: Tensor<'a>,
    /// scale, shift.
    pub affine: Option<[&'a [f32]; 2]>,
}

pub(super) fn check(images: usize, like: &Shape, len: usize, shape: &Shape) {
    assert_eq!(
        (shape.stride, shape.h, shape.w),
        (like.stride, like.h, like.w),
        "feature maps of two sizes"
    );
    assert!(len >= images * shape.len());
}

/// Where the vector of channels from `channel` on begins in a row of an image; debug builds check
/// that all of the row lies in the tensor's `len` floats.
#[inline(always)]
fn row_at(shape: &Shape, [image, row, channel]: [usize; 3], len: usize) -> usize {
    let at = image * shape.len() + shape.at(row as isize, 0) + channel;
    debug_assert!(at - channel + shape.w * shape.stride <= len, "a row leaves its tensor");
    at
}

impl Tensor<'_> {
    /// The row's pixels, `stride` floats apart; see [`row_at`].
    #[inline(always)]
    pub(super) fn row(&self, at: [usize; 3]) -> *const f32 {
        self.data.as_ptr().wrapping_add(row_at(self.shape, at, self.data.len()))
    }
}

/// [`Tensor::row`] of what is written.
#[inline(always)]
pub(super) fn row_mut(data: &mut [f32], shape: &Shape, at: [usize; 3]) -> *mut f32 {
    let at = row_at(shape, at, data.len());
    data.as_mut_ptr().wrapping_add(at)
}

/// y = sum of one or two terms, negative values set to 0 if `relu`.
pub(crate) fn join(
    level: Level,
    images: usize,
    terms: &[Term],
    relu: bool,
    y: &mut [f32],
    shape: &Shape,
) {
    assert!(y.len() >= images * shape.len());
    for term in terms {
        check(images, shape, term.tensor.data.len(), term.tensor.shape);
        assert!(term.affine.iter().flatten().all(|v| v.len() == shape.stride));
    }
    let (&[a] | &[a, _]) = terms else { panic!("one or two terms") };
    let b = terms.get(1).copied();
    // SAFETY: the level was found available; lengths and sizes are checked above.
    unsafe { level.run(Join { images, a, b, relu, y, shape }) }
}

struct Join<'a> {
    images: usize,
    a: Term<'a>,
    b: Option<Term<'a>>,
    relu: bool,
    y: &'a mut [f32],
    shape: &'a Shape,
}

/// A term's kind, as the inner loop is compiled for it.
const NONE: u8 = 0;
const PLAIN: u8 = 1;
const AFFINE: u8 = 2;

impl Kernel for Join<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(mut self) {
        let kind = |t: &Term| if t.affine.is_some() { AFFINE } else { PLAIN };
        // SAFETY: as Join.
        unsafe {
            match (kind(&self.a), self.b.as_ref().map_or(NONE, kind)) {
                (AFFINE, NONE) => self.loops::<S, AFFINE, NONE>(),
                (AFFINE, PLAIN) => self.loops::<S, AFFINE, PLAIN>(),
                (AFFINE, _) => self.loops::<S, AFFINE, AFFINE>(),
                (_, NONE) => self.loops::<S, PLAIN, NONE>(),
                (_, PLAIN) => self.loops::<S, PLAIN, PLAIN>(),
                (_, _) => self.loops::<S, PLAIN, AFFINE>(),
            }
        }
    }
}

impl Join<'_> {
    #[inline(always)]
    unsafe fn loops<S: Simd, const A: u8, const B: u8>(&mut self) {
        let shape = self.shape;
        let b = self.b.unwrap_or(self.a);
        // SAFETY: every pixel lies inside its feature map, every vector inside the stride.
        unsafe {
            for channel in (0..shape.stride).step_by(S::LANES) {
                let affine = |t: &Term| match t.affine {
                    Some([scale, shift]) => {
                        (S::load(scale.as_ptr().add(channel)), S::load(shift.as_ptr().add(channel)))
                    }
                    None => (S::zero(), S::zero()),
                };
                let ((a1, a0), (b1, b0)) = (affine(&self.a), affine(&b));
                for i in 0..self.images {
                    for row in 0..shape.h {
                        let at = [i, row, channel];
                        let y = row_mut(self.y, shape, at);
                        let (xa, xb) = (self.a.tensor.row(at), b.tensor.row(at));
                        for x in 0..shape.w {
                            let o = x * shape.stride;
                            let mut v = S::load(xa.add(o));
                            if A == AFFINE {
                                v = S::fma(v, a1, a0);
                            }
                            if B == PLAIN {
                                v = S::add(v, S::load(xb.add(o)));
                            }
                            if B == AFFINE {
                                v = S::add(v, S::fma(S::load(xb.add(o)), b1, b0));
                            }
                            if self.relu {
                                v = S::max(S::zero(), v);
                            }
                            S::store(y.add(o), v);
                        }
                    }
                }
            }
        }
    }
}

/// A batch normalisation's input and where its reductions go.
#[derive(Debug)]
pub(crate) struct Reduction<'a> {
    /// The normalised tensor before its normalisation.
    pub z: Tensor<'a>,
    /// Sum of g and sum of g z over pixels and images are added here, (2, stride).
    pub sums: &'a mut [f32],
}

/// g = (sum of `sources`) where `mask` > 0 (everywhere without a mask), with the reductions of up
/// to two normalisations that g flows back into.
pub(crate) fn join_backward(
    level: Level,
    images: usize,
    sources: &[Tensor],
    mask: Option<Tensor>,
    reductions: &mut [Reduction],
    g: &mut [f32],
    shape: &Shape,
) {
    assert!(g.len() >= images * shape.len() && !sources.is_empty());
    let tensors = sources.iter().chain(&mask).chain(reductions.iter().map(|r| &r.z));
    tensors.for_each(|t| check(images, shape, t.data.len(), t.shape));
    assert!(reductions.iter().all(|r| r.sums.len() == 2 * shape.stride));
    // Two sources at a time; where there are more (rare) g holds the sum so far, and the mask and
    // the reductions come with the last.
    let pairs = sources.chunks(2).len();
    for (k, pair) in sources.chunks(2).enumerate() {
        let last = k + 1 == pairs;
        let part = JoinBackward {
            images,
            sources: [Some(pair[0]), pair.get(1).copied()],
            more: k > 0,
            mask: mask.filter(|_| last),
            reductions: if last { &mut *reductions } else { &mut [] },
            g: &mut *g,
            shape,
        };
        // SAFETY: the level was found available; lengths and sizes are checked above.
        unsafe { level.run(part) }
    }
}

struct JoinBackward<'a, 'b> {
    images: usize,
    sources: [Option<Tensor<'a>>; 2],
    /// Whether g itself is a summand.
    more: bool,
    mask: Option<Tensor<'a>>,
    reductions: &'a mut [Reduction<'b>],
    g: &'a mut [f32],
    shape: &'a Shape,
}

impl Kernel for JoinBackward<'_, '_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(mut self) {
        // SAFETY: as JoinBackward.
        unsafe {
            match (self.sources[1].is_some(), self.reductions.len()) {
                (false, 0) => self.loops::<S, false, 0>(),
                (false, 1) => self.loops::<S, false, 1>(),
                (false, _) => self.loops::<S, false, 2>(),
                (true, 0) => self.loops::<S, true, 0>(),
                (true, 1) => self.loops::<S, true, 1>(),
                (true, _) => self.loops::<S, true, 2>(),
            }
        }
    }
}

impl JoinBackward<'_, '_> {
    #[inline(always)]
    unsafe fn loops<S: Simd, const TWO: bool, const R: usize>(&mut self) {
        let shape = self.shape;
        let Some(first) = self.sources[0] else { return };
        let second = self.sources[1].unwrap_or(first);
        let mask = self.mask.unwrap_or(first);
        let z: [Tensor; 2] = std::array::from_fn(|r| self.reductions.get(r).map_or(first, |r| r.z));
        // SAFETY: every pixel lies inside its feature map, every vector inside the stride.
        unsafe {
            for channel in (0..shape.stride).step_by(S::LANES) {
                let mut total = [[S::zero(); 2]; 2];
                for i in 0..self.images {
                    for row in 0..shape.h {
                        let at = [i, row, channel];
                        let (pa, pb, pm) = (first.row(at), second.row(at), mask.row(at));
                        let pz = [z[0].row(at), z[1].row(at)];
                        let pg = row_mut(self.g, shape, at);
                        let mut sums = [[S::zero(); 2]; 2];
                        for x in 0..shape.w {
                            let o = x * shape.stride;
                            let mut g = S::load(pa.add(o));
                            if TWO {
                                g = S::add(g, S::load(pb.add(o)));
                            }
                            if self.more {
                                g = S::add(g, S::load(pg.add(o)));
                            }
                            if self.mask.is_some() {
                                g = S::keep_positive(S::load(pm.add(o)), g);
                            }
                            S::store(pg.add(o), g);
                            for r in 0..R {
                                sums[r][0] = S::add(sums[r][0], g);
                                sums[r][1] = S::fma(g, S::load(pz[r].add(o)), sums[r][1]);
                            }
                        }
                        for r in 0..R {
                            for k in 0..2 {
                                total[r][k] = S::add(total[r][k], sums[r][k]);
                            }
                        }
                    }
                }
                for r in 0..R {
                    for k in 0..2 {
                        let to = self.reductions[r].sums.as_mut_ptr();
                        let to = to.add(k * shape.stride + channel);
                        S::store(to, S::add(S::load(to), total[r][k]));
                    }
                }
            }
        }
    }
}

/// dz = k1 g + k2 z + k3 by channel, `k` = (k1, k2, k3), each (stride,): batch normalisation
/// backward once its reductions are known.
pub(crate) fn affine_backward(
    level: Level,
    images: usize,
    g: Tensor,
    z: Tensor,
    k: [&[f32]; 3],
    dz: &mut [f32],
    shape: &Shape,
) {
    assert!(dz.len() >= images * shape.len());
    [g, z].iter().for_each(|t| check(images, shape, t.data.len(), t.shape));
    assert!(k.iter().all(|k| k.len() == shape.stride));
    // SAFETY: the level was found available; lengths and sizes are checked above.
    unsafe { level.run(AffineBackward { images, g, z, k, dz, shape }) }
}

struct AffineBackward<'a> {
    images: usize,
    g: Tensor<'a>,
    z: Tensor<'a>,
    k: [&'a [f32]; 3],
    dz: &'a mut [f32],
    shape: &'a Shape,
}

impl Kernel for AffineBackward<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let shape = self.shape;
        // SAFETY: every pixel lies inside its feature map, every vector inside the stride.
        unsafe {
            for channel in (0..shape.stride).step_by(S::LANES) {
                let k1 = S::load(self.k[0].as_ptr().add(channel));
                let k2 = S::load(self.k[1].as_ptr().add(channel));
                let k3 = S::load(self.k[2].as_ptr().add(channel));
                for i in 0..self.images {
                    for row in 0..shape.h {
                        let at = [i, row, channel];
                        let (g, z) = (self.g.row(at), self.z.row(at));
                        let dz = row_mut(self.dz, shape, at);
                        for x in 0..shape.w {
                            let o = x * shape.stride;
                            let v = S::fma(S::load(z.add(o)), k2, k3);
                            S::store(dz.add(o), S::fma(S::load(g.add(o)), k1, v));
                        }
                    }
                }
            }
        }
    }
}

/// Adds the sum and the sum of squares of `z` over pixels and images to `sums`, (2, stride).
pub(crate) fn moments(level: Level, images: usize, z: Tensor, sums: &mut [f32]) {
    assert!(z.data.len() >= images * z.shape.len() && sums.len() == 2 * z.shape.stride);
    // SAFETY: the level was found available; lengths are checked above.
    unsafe { level.run(Moments { images, z, sums }) }
}

struct Moments<'a> {
    images: usize,
    z: Tensor<'a>,
    sums: &'a mut [f32],
}

impl Kernel for Moments<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let shape = self.z.shape;
        // SAFETY: every pixel lies inside its feature map, every vector inside the stride.
        unsafe {
            for channel in (0..shape.stride).step_by(S::LANES) {
                let mut total = [S::zero(); 2];
                for i in 0..self.images {
                    for row in 0..shape.h {
                        let z = self.z.row([i, row, channel]);
                        let mut sums = [S::zero(); 2];
                        for x in 0..shape.w {
                            let v = S::load(z.add(x * shape.stride));
                            sums[0] = S::add(sums[0], v);
                            sums[1] = S::fma(v, v, sums[1]);
                        }
                        total[0] = S::add(total[0], sums[0]);
                        total[1] = S::add(total[1], sums[1]);
                    }
                }
                for k in 0..2 {
                    let to = self.sums.as_mut_ptr().add(k * shape.stride + channel);
                    S::store(to, S::add(S::load(to), total[k]));
                }
            }
        }
    }
}
