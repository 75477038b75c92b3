//! Direct convolution in padded NHWC: forward, backward to the data, backward to the weights.
//!
//! All three are sums over a window's *runs*: stretches of memory that are contiguous in the input
//! (a row of the window with all its channels, or one pixel's channels where they do not fill the
//! stride). Backward data of a convolution with stride s is s x s dense convolutions over the
//! output's gradient, one for each phase of the input's pixels, so that no zero is ever multiplied
//! (Dumoulin & Visin 2016 insert them). A linear layer is a 1x1 convolution of a 1x1 picture whose
//! images are the pixels of a tile.

mod narrow;

pub(crate) use narrow::NarrowConv;

use super::Epilogue;
use crate::backend::native::number::{Number, NumberKernel, Numbers};
use crate::backend::native::shape::Shape;
use crate::backend::native::simd::{Kernel, Level, Simd};

/// A contiguous stretch of every window.
#[derive(Debug, Clone, Copy)]
struct Run {
    /// Floats from the window's start.
    at: usize,
    /// Floats in it.
    len: usize,
}

/// Which output pixels read which input windows, and with which taps of the kernel.
#[derive(Debug)]
struct Windows {
    /// For each output pixel: where its window starts in an input image.
    in_at: Vec<u32>,
    /// For each output pixel: where it lies in an output image.
    out_at: Vec<u32>,
    runs: Vec<Run>,
    /// The kernel's (row, column) in the order in which the runs meet them.
    taps: Vec<[usize; 2]>,
}

/// A square convolution's form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Form {
    /// Side of the kernel.
    pub kernel: usize,
    /// Step.
    pub stride: usize,
    /// Zeros on each side.
    pub padding: usize,
}

impl Form {
    /// Zero rows that the gradient of an output with `side` pixels needs around it, so that every
    /// window of the backward pass to an input with `input_side` pixels stays inside.
    pub fn gradient_halo(&self, input_side: usize, side: usize) -> usize {
        let below = (self.kernel - 1).saturating_sub(self.padding).div_ceil(self.stride);
        let above = ((input_side - 1 + self.padding) / self.stride).saturating_sub(side - 1);
        below.max(above)
    }
}

/// The runs of a window of `rows` x `columns` pixels of `shape`.
fn runs(shape: &Shape, rows: usize, columns: usize) -> Vec<Run> {
    let mut runs = Vec::new();
    for y in 0..rows {
        if shape.c == shape.stride {
            runs.push(Run { at: y * shape.row(), len: columns * shape.stride });
        } else {
            let pixel = |x| Run { at: y * shape.row() + x * shape.stride, len: shape.c };
            runs.extend((0..columns).map(pixel));
        }
    }
    // A window of one pixel's width in a picture of that width goes on from row to row.
    runs.dedup_by(|next, run| {
        let joins = run.at + run.len == next.at;
        if joins {
            run.len += next.len;
        }
        joins
    });
    runs
}

impl Windows {
    fn forward(input: &Shape, output: &Shape, form: Form) -> Self {
        let (s, p) = (form.stride as isize, form.padding as isize);
        let pixels =
            || (0..output.h as isize).flat_map(|y| (0..output.w as isize).map(move |x| (y, x)));
        Self {
            in_at: pixels().map(|(y, x)| input.at(y * s - p, x * s - p) as u32).collect(),
            out_at: pixels().map(|(y, x)| output.at(y, x) as u32).collect(),
            runs: runs(input, form.kernel, form.kernel),
            taps: (0..form.kernel).flat_map(|y| (0..form.kernel).map(move |x| [y, x])).collect(),
        }
    }

    /// The windows over `dz` of the input's pixels (y, x) with y % stride and x % stride as given.
    fn backward(dz: &Shape, dx: &Shape, form: Form, phase: [usize; 2]) -> Self {
        let Form { kernel, stride, padding } = form;
        // Input pixel y is read by output row o through the tap k = y + padding - o stride: the
        // taps of a phase are a class modulo the stride, the largest of them the earliest row.
        let taps = |phase: usize| -> Vec<usize> {
            (0..kernel).rev().filter(|k| (phase + padding) % stride == k % stride).collect()
        };
        let (rows, columns) = (taps(phase[0]), taps(phase[1]));
        let first = |y: usize, taps: &[usize]| -> isize {
            let largest = taps.first().map_or(0, |&k| k as isize);
            ((y + padding) as isize - largest).div_euclid(stride as isize)
        };
        let pixels = || {
            let (rows, columns) = (&rows, &columns);
            (phase[0]..dx.h).step_by(stride).flat_map(move |y| {
                let at = move |x| (y, x, first(y, rows), first(x, columns));
                (phase[1]..dx.w).step_by(stride).map(at)
            })
        };
        let idle = rows.is_empty() || columns.is_empty();
        Self {
            in_at: pixels()
                .map(|(_, _, oy, ox)| if idle { 0 } else { dz.at(oy, ox) as u32 })
                .collect(),
            out_at: pixels().map(|(y, x, _, _)| dx.at(y as isize, x as isize) as u32).collect(),
            runs: if idle { Vec::new() } else { runs(dz, rows.len(), columns.len()) },
            taps: rows.iter().flat_map(|&y| columns.iter().map(move |&x| [y, x])).collect(),
        }
    }

    /// Products of one output value.
    fn depth(&self) -> usize {
        self.runs.iter().map(|r| r.len).sum()
    }

    /// The farthest float of an input image that any window reads, plus one.
    fn reach(&self) -> usize {
        let last = self.in_at.iter().max().map_or(0, |&at| at as usize);
        self.runs.iter().map(|r| last + r.at + r.len).max().unwrap_or(0)
    }
}

/// Writes `value(output channel, input channel, tap)` in the order in which tiles read it:
/// `[block of 2 vectors][tap][input channel][lane]`, the last block narrower if need be.
fn pack(
    level: Level,
    [outputs, inputs, output_stride]: [usize; 3],
    taps: &[[usize; 2]],
    value: impl Fn(usize, usize, [usize; 2]) -> f32,
    packed: &mut [f32],
) {
    let (mut at, mut first) = (0, 0);
    while first < output_stride {
        let wide = (2 * level.lanes()).min(output_stride - first);
        for &tap in taps {
            for i in 0..inputs {
                for (lane, slot) in packed[at..at + wide].iter_mut().enumerate() {
                    let o = first + lane;
                    *slot = if o < outputs { value(o, i, tap) } else { 0.0 };
                }
                at += wide;
            }
        }
        first += wide;
    }
}

/// A convolution's forward pass, and its gradient to the weights.
#[derive(Debug)]
pub(crate) struct Conv {
    level: Level,
    input: Shape,
    output: Shape,
    form: Form,
    windows: Windows,
}

impl Conv {
    /// A convolution between two shapes; the input's halo is at least the padding.
    pub fn new(level: Level, input: Shape, output: Shape, form: Form) -> Self {
        assert!(input.halo >= form.padding, "the input's halo is narrower than the padding");
        let windows = Windows::forward(&input, &output, form);
        assert!(windows.reach() <= input.len(), "a window leaves the picture");
        Self { level, input, output, form, windows }
    }

    /// Floats of packed weights.
    pub fn packed_len(&self) -> usize {
        self.windows.depth() * self.output.stride
    }

    /// Packs `weight`, (out, in, k, k), each output channel times its `scale`.
    pub fn pack(&self, weight: &[f32], scale: Option<&[f32]>, packed: &mut [f32]) {
        let (c, k) = (self.input.c, self.form.kernel);
        let value = |o: usize, i: usize, [y, x]: [usize; 2]| {
            weight[((o * c + i) * k + y) * k + x] * scale.map_or(1.0, |s| s[o])
        };
        let channels = [self.output.c, c, self.output.stride];
        pack(self.level, channels, &self.windows.taps, value, packed);
    }

    /// y = conv(x) for `images` images, through `epilogue`.
    pub fn forward(
        &self,
        x: &[f32],
        images: usize,
        packed: &[f32],
        epilogue: Epilogue,
        y: &mut [f32],
    ) {
        let shapes = [&self.input, &self.output];
        sum_windows(
            (self.level, Numbers::F32),
            shapes,
            &self.windows,
            x,
            images,
            packed,
            epilogue,
            y,
        );
    }

    /// dw += x (*) dz, in the order of packed weights; `dz` lies in `dz_shape`, any halo.
    pub fn backward_weights(
        &self,
        x: &[f32],
        dz: &[f32],
        dz_shape: &Shape,
        images: usize,
        dw: &mut [f32],
    ) {
        assert_eq!(
            (dz_shape.stride, dz_shape.h, dz_shape.w),
            (self.output.stride, self.output.h, self.output.w)
        );
        assert!(x.len() >= images * self.input.len() && dz.len() >= images * dz_shape.len());
        assert_eq!(dw.len(), self.packed_len());
        let kernel = Outer { conv: self, x, dz, dz_shape, images, dw };
        // SAFETY: the level was found available; lengths are checked above and in `new`.
        unsafe { self.level.run(kernel) }
    }

    /// Adds a packed gradient to `grad`, (out, in, k, k).
    pub fn unpack_add(&self, dw: &[f32], grad: &mut [f32]) {
        let (c, k) = (self.input.c, self.form.kernel);
        let (mut at, mut first) = (0, 0);
        while first < self.output.stride {
            let wide = (2 * self.level.lanes()).min(self.output.stride - first);
            for &[y, x] in &self.windows.taps {
                for i in 0..c {
                    for (lane, v) in dw[at..at + wide].iter().enumerate() {
                        if first + lane < self.output.c {
                            grad[(((first + lane) * c + i) * k + y) * k + x] += v;
                        }
                    }
                    at += wide;
                }
            }
            first += wide;
        }
    }
}

/// A convolution's gradient to its input.
#[derive(Debug)]
pub(crate) struct ConvBackward {
    level: Level,
    dz: Shape,
    dx: Shape,
    form: Form,
    phases: Vec<Windows>,
}

impl ConvBackward {
    /// The way from the output's gradient to the input's; `dz` has at least the halo that
    /// [`Form::gradient_halo`] asks for.
    pub fn new(level: Level, dz: Shape, dx: Shape, form: Form) -> Self {
        let needed = form.gradient_halo(dx.h, dz.h).max(form.gradient_halo(dx.w, dz.w));
        assert!(dz.halo >= needed, "the gradient's halo is too narrow");
        let phase = |k: usize| [k / form.stride, k % form.stride];
        let phases: Vec<Windows> = (0..form.stride * form.stride)
            .map(|k| Windows::backward(&dz, &dx, form, phase(k)))
            .filter(|windows| !windows.out_at.is_empty())
            .collect();
        assert!(phases.iter().all(|w| w.reach() <= dz.len()), "a window leaves the picture");
        Self { level, dz, dx, form, phases }
    }

    /// Floats of packed weights.
    pub fn packed_len(&self) -> usize {
        self.phases.iter().map(|w| w.depth() * self.dx.stride).sum()
    }

    /// Packs `weight`, (out, in, k, k).
    pub fn pack(&self, weight: &[f32], mut packed: &mut [f32]) {
        let (inputs, k) = (self.dx.c, self.form.kernel);
        for windows in &self.phases {
            let (own, rest) = packed.split_at_mut(windows.depth() * self.dx.stride);
            let value =
                |i: usize, o: usize, [y, x]: [usize; 2]| weight[((o * inputs + i) * k + y) * k + x];
            let channels = [inputs, self.dz.c, self.dx.stride];
            pack(self.level, channels, &windows.taps, value, own);
            packed = rest;
        }
    }

    /// Writes the input's gradient of `images` images through an epilogue over `dx`.
    pub fn run<'e>(
        &self,
        dz: &[f32],
        images: usize,
        mut packed: &[f32],
        epilogue: impl Fn() -> Epilogue<'e>,
        dx: &mut [f32],
    ) {
        for windows in &self.phases {
            let (own, rest) = packed.split_at(windows.depth() * self.dx.stride);
            let shapes = [&self.dz, &self.dx];
            sum_windows(
                (self.level, Numbers::F32),
                shapes,
                windows,
                dz,
                images,
                own,
                epilogue(),
                dx,
            );
            packed = rest;
        }
    }
}

/// Each pixel of `y` is the sum over its window in the words `x` of pictures `input`, through
/// `epilogue`, for `images` images.
#[allow(clippy::too_many_arguments)] // one call, taken apart at once
fn sum_windows(
    (level, numbers): (Level, Numbers),
    [input, output]: [&Shape; 2],
    windows: &Windows,
    x: &[f32],
    images: usize,
    packed: &[f32],
    epilogue: Epilogue,
    y: &mut [f32],
) {
    let lens = [input.len() / numbers.per_word(), output.len()];
    assert!(x.len() >= images * lens[0] && y.len() >= images * lens[1]);
    assert_eq!(packed.len(), windows.depth() * output.stride);
    let bias = matches!(epilogue, Epilogue::Bias { .. });
    assert!(bias || numbers != Numbers::Pairs, "bf16 is for evaluation");
    match &epilogue {
        Epilogue::Bias { bias, residual, .. } => {
            assert_eq!(bias.len(), output.stride);
            assert!(residual.is_none_or(|r| r.len() >= images * output.len()));
        }
        Epilogue::Stats { sums } => assert_eq!(sums.len(), 2 * output.stride),
        Epilogue::Plain => {}
    }
    let stride = output.stride;
    // Numbers that have been rounded are multiplied as any f32 is.
    let numbers = if numbers == Numbers::Rounded { Numbers::F32 } else { numbers };
    // SAFETY: level and numbers were found available; windows stay inside their picture (checked
    // when they were made), and all lengths are checked above.
    unsafe { numbers.run(level, Direct { lens, stride, windows, x, images, packed, epilogue, y }) }
}

/// The forward kernel's operands; lengths are checked by [`sum_windows`].
struct Direct<'a> {
    lens: [usize; 2],
    stride: usize,
    windows: &'a Windows,
    x: &'a [f32],
    images: usize,
    packed: &'a [f32],
    epilogue: Epilogue<'a>,
    y: &'a mut [f32],
}

impl NumberKernel for Direct<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd, N: Number<S>>(mut self) {
        let depth = self.windows.depth();
        let vectors = self.stride / S::LANES;
        let (mut first, mut w) = (0, self.packed.as_ptr());
        while first < vectors {
            let wide = (vectors - first).min(2);
            // SAFETY: `packed` holds depth * stride floats, of which depth * wide * LANES are read
            // for this block; the block's channels lie inside the stride.
            unsafe {
                match (wide, S::ACCUMULATORS) {
                    (2, 24) => self.block::<S, N, 10, 2>(first, w),
                    (2, 12) => self.block::<S, N, 6, 2>(first, w),
                    (2, _) => self.block::<S, N, 3, 2>(first, w),
                    (_, 24) => self.block::<S, N, 10, 1>(first, w),
                    (_, _) => self.block::<S, N, 4, 1>(first, w),
                }
                w = w.add(depth * wide * S::LANES);
            }
            first += wide;
        }
    }
}

impl Direct<'_> {
    /// All pixels of all images for `NV` vectors of channels from vector `first`, `P` pixels a tile.
    ///
    /// # Safety
    /// As [`Direct`]; `w` points to the block's weights.
    #[inline(always)]
    unsafe fn block<S: Simd, N: Number<S>, const P: usize, const NV: usize>(
        &mut self,
        first: usize,
        w: *const f32,
    ) {
        let Windows { in_at, out_at, runs, .. } = self.windows;
        let pixels = in_at.len();
        let total = pixels * self.images;
        let channel = first * S::LANES;
        let (x, y) = (self.x.as_ptr(), self.y.as_mut_ptr());
        // SAFETY: `i` stays below `images` and `j` below `pixels`, so all offsets are those that were
        // checked.
        unsafe {
            let (mut sum, mut square) = ([S::zero(); NV], [S::zero(); NV]);
            let (mut i, mut j, mut t) = (0, 0, 0);
            while t < total {
                let (mut from, mut to) = ([x; P], [0usize; P]);
                let live = (total - t).min(P);
                for p in 0..P {
                    let at = i * self.lens[0] + *in_at.get_unchecked(j) as usize;
                    from[p] = x.add(at);
                    to[p] = i * self.lens[1] + *out_at.get_unchecked(j) as usize + channel;
                    debug_assert!(runs.iter().all(|r| at + r.at + r.len <= self.x.len()));
                    debug_assert!(to[p] + NV * S::LANES <= self.y.len());
                    // Beyond the last pixel the tile repeats it.
                    if p + 1 < live {
                        j += 1;
                        if j == pixels {
                            (i, j) = (i + 1, 0);
                        }
                    }
                }
                j += 1;
                if j == pixels {
                    (i, j) = (i + 1, 0);
                }
                let mut acc = tile::<S, N, P, NV>(from, runs, w);
                match &self.epilogue {
                    Epilogue::Plain => {}
                    Epilogue::Bias { bias, residual, relu } => {
                        for v in 0..NV {
                            let b = S::load(bias.as_ptr().add(channel + v * S::LANES));
                            for a in &mut acc {
                                a[v] = S::add(a[v], b);
                            }
                        }
                        if let Some(residual) = residual {
                            for p in 0..P {
                                for v in 0..NV {
                                    let r = S::load(residual.as_ptr().add(to[p] + v * S::LANES));
                                    acc[p][v] = S::add(acc[p][v], r);
                                }
                            }
                        }
                        if *relu {
                            for a in &mut acc {
                                for v in 0..NV {
                                    a[v] = S::max(S::zero(), a[v]);
                                }
                            }
                        }
                    }
                    Epilogue::Stats { .. } if !N::EXACT => {}
                    Epilogue::Stats { .. } => {
                        for v in 0..NV {
                            let (mut s, mut q) = (S::zero(), S::zero());
                            for (p, a) in acc.iter().enumerate() {
                                if p < live {
                                    s = S::add(s, a[v]);
                                    q = S::fma(a[v], a[v], q);
                                }
                            }
                            sum[v] = S::add(sum[v], s);
                            square[v] = S::add(square[v], q);
                        }
                    }
                }
                for p in 0..P {
                    if p < live {
                        for v in 0..NV {
                            S::store(y.add(to[p] + v * S::LANES), acc[p][v]);
                        }
                    }
                }
                t += P;
            }
            if let Epilogue::Stats { sums } = &mut self.epilogue {
                for v in 0..NV {
                    let at = sums.as_mut_ptr().add(channel + v * S::LANES);
                    S::store(at, S::add(S::load(at), sum[v]));
                    let at = at.add(self.stride);
                    S::store(at, S::add(S::load(at), square[v]));
                }
            }
        }
    }
}

/// sum over all runs of x[k] w[k][..] for `P` windows.
///
/// # Safety
/// Each of `from` may be read at every run; `w` holds depth * NV * LANES words.
#[inline(always)]
unsafe fn tile<S: Simd, N: Number<S>, const P: usize, const NV: usize>(
    from: [*const f32; P],
    runs: &[Run],
    mut w: *const f32,
) -> [[S::V; NV]; P] {
    // SAFETY: the caller's promise.
    unsafe {
        let mut acc = [[S::zero(); NV]; P];
        for run in runs {
            let mut x = from;
            for x in &mut x {
                *x = x.add(run.at);
            }
            for k in 0..run.len {
                let mut wv = [S::zero(); NV];
                for v in 0..NV {
                    wv[v] = S::load(w.add(v * S::LANES));
                }
                for p in 0..P {
                    let b = S::splat(*x[p].add(k));
                    for v in 0..NV {
                        acc[p][v] = N::multiply_add(b, wv[v], acc[p][v]);
                    }
                }
                w = w.add(NV * S::LANES);
            }
        }
        acc
    }
}

/// The operands of the weights' gradient; lengths are checked by [`Conv::backward_weights`].
struct Outer<'a> {
    conv: &'a Conv,
    x: &'a [f32],
    dz: &'a [f32],
    dz_shape: &'a Shape,
    images: usize,
    dw: &'a mut [f32],
}

impl Kernel for Outer<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(mut self) {
        let vectors = self.conv.output.stride / S::LANES;
        let (mut first, mut dw) = (0, self.dw.as_mut_ptr());
        while first < vectors {
            let wide = (vectors - first).min(2);
            for r in 0..self.conv.windows.runs.len() {
                let run = self.conv.windows.runs[r];
                let mut k = 0;
                while k < run.len {
                    let left = run.len - k;
                    // SAFETY: the block's rows lie inside the run, its columns inside the stride,
                    // and dw has room for all blocks in turn.
                    let rows = unsafe {
                        match (wide, S::ACCUMULATORS) {
                            (2, 24) => match left {
                                12.. => self.block::<S, 12, 2>(first, run.at + k, dw),
                                8.. => self.block::<S, 8, 2>(first, run.at + k, dw),
                                4.. => self.block::<S, 4, 2>(first, run.at + k, dw),
                                3 => self.block::<S, 3, 2>(first, run.at + k, dw),
                                _ => self.block::<S, 1, 2>(first, run.at + k, dw),
                            },
                            (2, 12) => match left {
                                6.. => self.block::<S, 6, 2>(first, run.at + k, dw),
                                4.. => self.block::<S, 4, 2>(first, run.at + k, dw),
                                3 => self.block::<S, 3, 2>(first, run.at + k, dw),
                                _ => self.block::<S, 1, 2>(first, run.at + k, dw),
                            },
                            (2, _) => match left {
                                3.. => self.block::<S, 3, 2>(first, run.at + k, dw),
                                _ => self.block::<S, 1, 2>(first, run.at + k, dw),
                            },
                            _ => match left {
                                16.. => self.block::<S, 16, 1>(first, run.at + k, dw),
                                8.. => self.block::<S, 8, 1>(first, run.at + k, dw),
                                4.. => self.block::<S, 4, 1>(first, run.at + k, dw),
                                3 => self.block::<S, 3, 1>(first, run.at + k, dw),
                                _ => self.block::<S, 1, 1>(first, run.at + k, dw),
                            },
                        }
                    };
                    k += rows;
                    // SAFETY: at most depth * stride floats in all.
                    dw = unsafe { dw.add(rows * wide * S::LANES) };
                }
            }
            first += wide;
        }
    }
}

impl Outer<'_> {
    /// `K` rows of the packed gradient: products of `K` floats of each window, from `at`, with `NV`
    /// vectors of the output's gradient, summed over all pixels of all images. Returns `K`.
    ///
    /// # Safety
    /// As [`Outer`]; `dw` has room for K * NV * LANES floats.
    #[inline(always)]
    unsafe fn block<S: Simd, const K: usize, const NV: usize>(
        &mut self,
        first: usize,
        at: usize,
        dw: *mut f32,
    ) -> usize {
        let (input, dz_shape, form) = (&self.conv.input, self.dz_shape, self.conv.form);
        let step = form.stride * input.stride;
        let corner = input.at(-(form.padding as isize), -(form.padding as isize)) + at;
        // SAFETY: windows stay inside the input (checked in `Conv::new`), pixels inside dz.
        unsafe {
            let mut acc = [[S::zero(); NV]; K];
            for i in 0..self.images {
                let x = self.x.as_ptr().add(i * input.len() + corner);
                let g = self.dz.as_ptr().add(i * dz_shape.len() + dz_shape.at(0, 0));
                for oy in 0..dz_shape.h {
                    let last = (oy * input.row() + (dz_shape.w - 1) * input.stride) * form.stride;
                    debug_assert!(i * input.len() + corner + last + K <= self.x.len());
                    let mut x = x.add(oy * form.stride * input.row());
                    let mut g = g.add(oy * dz_shape.row() + first * S::LANES);
                    for _ in 0..dz_shape.w {
                        let mut gv = [S::zero(); NV];
                        for v in 0..NV {
                            gv[v] = S::load(g.add(v * S::LANES));
                        }
                        for k in 0..K {
                            let b = S::splat(*x.add(k));
                            for v in 0..NV {
                                acc[k][v] = S::fma(b, gv[v], acc[k][v]);
                            }
                        }
                        x = x.add(step);
                        g = g.add(dz_shape.stride);
                    }
                }
            }
            for k in 0..K {
                for v in 0..NV {
                    let to = dw.add((k * NV + v) * S::LANES);
                    S::store(to, S::add(S::load(to), acc[k][v]));
                }
            }
        }
        K
    }
}

#[cfg(test)]
mod tests;
