//! Weights into the transform domain and gradients back: U = G g G^T, dg = G^T dU G.

use super::image::points;
use super::{Winograd, transform};
use crate::backend::native::number::{Number, NumberKernel};
use crate::backend::native::simd::{Kernel, Simd};

/// Whose weights are packed, as seen from the convolution that will use them.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Turn {
    /// Its own, (out, in, R, R).
    Forward,
    /// Those of the convolution whose backward it is: (in, out, R, R), turned by 180 degrees.
    Backward,
}

/// weight -> U, packed `[out / 2 vectors][A * A][words of in][2 vectors]`.
pub(super) struct Pack<'a, const R: usize, const A: usize> {
    pub plan: &'a Winograd,
    pub turn: Turn,
    pub weight: &'a [f32],
    pub scale: Option<&'a [f32]>,
    pub packed: &'a mut [f32],
}

impl<const R: usize, const A: usize> NumberKernel for Pack<'_, R, A> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd, N: Number<S>>(self) {
        let depth = self.plan.input.c;
        for first in (0..self.plan.output.stride).step_by(S::LANES) {
            for word in 0..depth.div_ceil(N::PER_WORD) {
                let i = word * N::PER_WORD;
                // SAFETY: the level's instruction set is there by the kernel's contract; the
                // store's place is checked by the slice.
                unsafe {
                    let low = self.transformed::<S, N>(first, i);
                    let mut high = [[S::zero(); A]; A];
                    if N::PER_WORD == 2 && i + 1 < depth {
                        high = self.transformed::<S, N>(first, i + 1);
                    }
                    let [at, positions] = self.plan.u_at(S::LANES, first, word);
                    for p in 0..A {
                        for q in 0..A {
                            let at = (p * A + q) * positions + at;
                            let words = N::words(low[p][q], high[p][q]);
                            S::store(self.packed[at..at + S::LANES].as_mut_ptr(), words);
                        }
                    }
                }
            }
        }
    }
}

impl<const R: usize, const A: usize> Pack<'_, R, A> {
    /// G g G^T of input channel `i` and the output channels from `first` on.
    ///
    /// # Safety
    /// The processor has the level's instruction set.
    #[inline(always)]
    unsafe fn transformed<S: Simd, N: Number<S>>(&self, first: usize, i: usize) -> [[S::V; A]; A] {
        let (depth, outs) = (self.plan.input.c, self.plan.output.c);
        let count = outs.saturating_sub(first).min(S::LANES);
        // (R, R) of vectors over the output channels; zero behind the last.
        let mut taps = [[[0.0f32; 16]; R]; R];
        for lane in 0..count {
            let o = first + lane;
            let from = match self.turn {
                Turn::Forward => (o * depth + i) * R * R,
                Turn::Backward => (i * outs + o) * R * R,
            };
            let g = &self.weight[from..from + R * R];
            for k in 0..R * R {
                let turned = if self.turn == Turn::Forward { k } else { R * R - 1 - k };
                taps[k / R][k % R][lane] = g[turned];
            }
        }
        let mut lanes = [0.0; 16];
        if let Some(scale) = self.scale.filter(|_| count > 0) {
            lanes[..count].copy_from_slice(&scale[first..first + count]);
        }
        let points = points::<S, N>();
        // SAFETY: the caller's promise; `taps` and `lanes` are 16 floats wide.
        unsafe {
            let mut half = [[S::zero(); R]; A];
            for x in 0..R {
                let mut g = [S::zero(); R];
                for y in 0..R {
                    g[y] = S::load(taps[y][x].as_ptr());
                }
                if self.scale.is_some() {
                    for tap in &mut g {
                        *tap = S::mul(*tap, S::load(lanes.as_ptr()));
                    }
                }
                let column = transform::kernel::<S, R, A>(points, &g);
                for p in 0..A {
                    half[p][x] = column[p];
                }
            }
            let mut all = [[S::zero(); A]; A];
            for p in 0..A {
                all[p] = transform::kernel::<S, R, A>(points, &half[p]);
            }
            all
        }
    }
}

/// dU, as [`Pack`] lays it out -> dweight (out, in, R, R), added.
pub(super) struct Unpack<'a, const R: usize, const A: usize> {
    pub plan: &'a Winograd,
    pub du: &'a [f32],
    pub dweight: &'a mut [f32],
}

impl<const R: usize, const A: usize> Kernel for Unpack<'_, R, A> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let (depth, outs) = (self.plan.input.c, self.plan.output.c);
        for first in (0..outs).step_by(S::LANES) {
            for i in 0..depth {
                let [at, positions] = self.plan.u_at(S::LANES, first, i);
                let mut taps = [[[0.0f32; 16]; R]; R];
                // SAFETY: the level's instruction set is there by the kernel's contract; the loads'
                // places are checked by the slice; `taps` is 16 floats wide.
                unsafe {
                    let mut half = [[S::zero(); A]; R];
                    for q in 0..A {
                        let mut u = [S::zero(); A];
                        for p in 0..A {
                            let at = (p * A + q) * positions + at;
                            u[p] = S::load(self.du[at..at + S::LANES].as_ptr());
                        }
                        let column = transform::kernel_transposed::<S, R, A>(&u);
                        for y in 0..R {
                            half[y][q] = column[y];
                        }
                    }
                    for y in 0..R {
                        let row = transform::kernel_transposed::<S, R, A>(&half[y]);
                        for x in 0..R {
                            S::store(taps[y][x].as_mut_ptr(), row[x]);
                        }
                    }
                }
                for lane in 0..S::LANES.min(outs - first) {
                    let to = ((first + lane) * depth + i) * R * R;
                    for (k, dw) in self.dweight[to..to + R * R].iter_mut().enumerate() {
                        *dw += taps[k / R][k % R][lane];
                    }
                }
            }
        }
    }
}
