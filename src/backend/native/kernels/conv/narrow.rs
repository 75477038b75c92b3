//! The forward pass in bf16: feature maps are rounded on their way into scratch memory, weights
//! when they are packed, and the windows are those of the same feature maps in words.

use super::ConvForm;
use super::sums::sum_windows;
use super::windows::{Run, Windows};
use crate::backend::native::kernels::{Epilogue, Threads};
use crate::backend::native::number::{Number, NumberKernel, Numbers};
use crate::backend::native::shape::Shape;
use crate::backend::native::simd::{Level, Simd};

/// A convolution's forward pass with operands in bf16.
#[derive(Debug)]
pub(crate) struct NarrowConv {
    level: Level,
    numbers: Numbers,
    input: Shape,
    output: Shape,
    form: ConvForm,
    /// Places and lengths in the input count words.
    windows: Windows,
    /// Images whose words are in scratch memory at a time.
    images: usize,
}

impl NarrowConv {
    /// A convolution between two shapes, of about `images` images a call; the input's halo is at
    /// least the padding.
    pub fn new(
        level: Level,
        numbers: Numbers,
        [input, output]: [Shape; 2],
        form: ConvForm,
        images: usize,
    ) -> Self {
        assert!(numbers.available(level) && numbers != Numbers::F32);
        assert!(input.halo >= form.padding, "the input's halo is narrower than the padding");
        let mut windows = Windows::forward(&input, &output, form);
        assert!(windows.reach() <= input.len(), "a window leaves the feature map");
        // A feature map's stride is a multiple of 16 numbers, so that all places are even. Behind
        // an odd number of channels there is one more, a zero.
        let per_word = numbers.per_word();
        let in_words = |run: &Run| Run { at: run.at / per_word, len: run.len.div_ceil(per_word) };
        windows.runs = windows.runs.iter().map(in_words).collect();
        windows.in_at.iter_mut().for_each(|at| *at /= per_word as u32);
        Self { level, numbers, input, output, form, windows, images: images.max(1) }
    }

    /// Words of packed weights.
    pub fn packed_len(&self) -> usize {
        self.windows.depth() * self.output.stride
    }

    /// Words of scratch memory a call needs.
    pub fn scratch_len(&self) -> usize {
        self.images * self.words()
    }

    /// Words of an image.
    fn words(&self) -> usize {
        self.input.len() / self.numbers.per_word()
    }

    /// Packs `weight`, (out, in, k, k), each output channel times its `scale`:
    /// `[block of 2 vectors][tap][word of input channels][lane]`.
    pub fn pack(&self, weight: &[f32], scale: Option<&[f32]>, packed: &mut [f32]) {
        assert_eq!(packed.len(), self.packed_len());
        let kernel = Pack { conv: self, weight, scale, packed };
        // SAFETY: level and numbers were found available.
        unsafe { self.numbers.run(self.level, kernel) }
    }

    /// y = conv(x) for `images` images, through `epilogue`, bias, residual and ReLU.
    pub fn forward(
        &self,
        x: &[f32],
        images: usize,
        packed: &[f32],
        epilogue: &Epilogue,
        y: &mut [f32],
        scratch: &mut [f32],
    ) {
        let Epilogue::Bias { bias, residual, relu } = *epilogue else {
            unreachable!("bf16 is for evaluation")
        };
        let (from, to) = (self.input.len(), self.output.len());
        let shapes = [&self.input, &self.output];
        for first in (0..images).step_by(self.images) {
            let n = self.images.min(images - first);
            let x = &x[first * from..(first + n) * from];
            let words = &mut scratch[..n * self.words()];
            // SAFETY: level and numbers were found available; there is a word for every one or two
            // numbers, and a feature map is a multiple of 16 numbers.
            unsafe { self.numbers.run(self.level, Narrow { x, words }) };
            let here = first * to..(first + n) * to;
            let residual = residual.map(|r| &r[here.clone()]);
            let epilogue = Epilogue::Bias { bias, residual, relu };
            let kind = (self.level, self.numbers);
            let y = &mut y[here];
            sum_windows(kind, shapes, &self.windows, words, n, packed, epilogue, y, Threads::One);
        }
    }
}

/// Numbers to words.
struct Narrow<'a> {
    x: &'a [f32],
    words: &'a mut [f32],
}

impl NumberKernel for Narrow<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd, N: Number<S>>(self) {
        let words = self.words.chunks_exact_mut(S::LANES / N::PER_WORD);
        for (x, words) in self.x.chunks_exact(S::LANES).zip(words) {
            // SAFETY: a vector of numbers, and their words.
            unsafe { N::store(words.as_mut_ptr(), S::load(x.as_ptr())) };
        }
    }
}

struct Pack<'a> {
    conv: &'a NarrowConv,
    weight: &'a [f32],
    scale: Option<&'a [f32]>,
    packed: &'a mut [f32],
}

impl NumberKernel for Pack<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd, N: Number<S>>(self) {
        let Self { conv, weight, scale, packed } = self;
        let (inputs, outputs, k) = (conv.input.c, conv.output.c, conv.form.kernel);
        let mut at = 0;
        let mut first = 0;
        while first < conv.output.stride {
            let vectors = 2.min((conv.output.stride - first) / S::LANES);
            for &[y, x] in &conv.windows.taps {
                for i in (0..inputs).step_by(N::PER_WORD) {
                    for first in (0..vectors).map(|v| first + v * S::LANES) {
                        let lanes = |i: usize| {
                            let mut lanes = [0.0f32; 16];
                            let here = S::LANES.min(outputs.saturating_sub(first));
                            if i < inputs {
                                for (o, lane) in (first..).zip(&mut lanes[..here]) {
                                    let w = weight[((o * inputs + i) * k + y) * k + x];
                                    *lane = w * scale.map_or(1.0, |s| s[o]);
                                }
                            }
                            lanes
                        };
                        let (low, high) = (lanes(i), lanes(i + 1));
                        let to = &mut packed[at..at + S::LANES];
                        // SAFETY: both are 16 floats wide, `to` a vector.
                        unsafe {
                            let [low, high] = [&low, &high].map(|lanes| S::load(lanes.as_ptr()));
                            S::store(to.as_mut_ptr(), N::words(low, high));
                        }
                        at += S::LANES;
                    }
                }
            }
            first += vectors * S::LANES;
        }
    }
}
