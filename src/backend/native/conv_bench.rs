//! One convolution with operands of its own, to be run again and again by `benches/kernels.rs`.
//!
//! A benchmark is a crate of its own and sees public items only, while the kernels are private, so
//! this adapter is the one public way to them. It is hidden from the documentation and promises
//! nothing.

use super::caches::Caches;
pub use super::kernels::Algorithm;
use super::kernels::{
    ConvDataGradient, ConvForm, ConvForward, ConvWeightGradient, Epilogue, Geometry, Threads,
};
use super::shape::Shape;
use super::simd::Level;
use crate::rng::Streams;

/// A convolution of square feature maps with padding kernel / 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvCase {
    /// Channels in.
    pub inputs: usize,
    /// Channels out.
    pub outputs: usize,
    /// Side of the input feature map.
    pub side: usize,
    /// Side of the kernel.
    pub kernel: usize,
    /// Step.
    pub stride: usize,
}

impl ConvCase {
    fn output_side(&self) -> usize {
        (self.side + 2 * (self.kernel / 2) - self.kernel) / self.stride + 1
    }

    /// Floating-point operations of any of the three passes for one image by the definition, two a
    /// multiply-accumulate, the border's zeros counted.
    pub fn flops(&self) -> u64 {
        let pixels = self.output_side() * self.output_side();
        2 * (pixels * self.kernel * self.kernel * self.inputs * self.outputs) as u64
    }
}

/// A convolution of some images with its operands and results in memory.
#[derive(Debug)]
pub struct ConvBench {
    images: usize,
    forward: ConvForward,
    /// The forward pass in bf16 where evaluation takes it, with its packed weights.
    narrow: Option<(ConvForward, Vec<f32>)>,
    data: ConvDataGradient,
    weights: ConvWeightGradient,
    packed: Vec<f32>,
    packed_backward: Vec<f32>,
    bias: Vec<f32>,
    x: Vec<f32>,
    y: Vec<f32>,
    dz: Vec<f32>,
    dx: Vec<f32>,
    dw: Vec<f32>,
    scratch: Vec<f32>,
}

impl ConvBench {
    /// `images` images of noise, through the kernels that `algorithm` allows.
    pub fn new(case: ConvCase, images: usize, algorithm: Algorithm) -> Self {
        let level = Level::detect();
        let ConvCase { inputs, outputs, side, kernel, stride } = case;
        let padding = kernel / 2;
        let form = ConvForm { kernel, stride, padding };
        let out = case.output_side();
        let input = Shape::new([inputs, side, side], padding);
        let output = Shape::new([outputs, out, out], padding);
        let dz_shape = Shape::new([outputs, out, out], form.gradient_halo(side, out));
        let geometry = Geometry { level, caches: Caches::detect(), algorithm, form, images };
        let conv = ConvForward::new(&geometry, input, output);
        let backward = ConvDataGradient::new(&geometry, dz_shape, input);
        let weights = ConvWeightGradient::new(&geometry, input, dz_shape);
        let narrow = ConvForward::bf16(&geometry, input, output);
        let narrow_scratch = narrow.as_ref().map_or(0, ConvForward::scratch_len);
        let scratch = conv
            .scratch_len()
            .max(narrow_scratch)
            .max(backward.scratch_len())
            .max(weights.scratch_len());
        let mut rng = Streams::new(0).stream("bench", 2);
        let weight: Vec<f32> =
            (0..outputs * inputs * kernel * kernel).map(|_| rng.normal() as f32).collect();
        let mut packed = vec![0.0; conv.packed_len()];
        conv.pack(&weight, None, &mut packed);
        let narrow = narrow.map(|conv| {
            let mut packed = vec![0.0; conv.packed_len()];
            conv.pack(&weight, None, &mut packed);
            (conv, packed)
        });
        let mut packed_backward = vec![0.0; backward.packed_len()];
        backward.pack(&weight, &mut packed_backward);
        // Halos and idle channels hold noise as well: time does not depend on it.
        let mut noise =
            |len: usize| -> Vec<f32> { (0..len).map(|_| rng.normal() as f32).collect() };
        Self {
            images,
            x: noise(images * input.len()),
            y: vec![0.0; images * output.len()],
            dz: noise(images * dz_shape.len()),
            dx: vec![0.0; images * input.len()],
            dw: vec![0.0; weights.gathered_len()],
            scratch: vec![0.0; scratch],
            bias: noise(output.stride),
            packed,
            packed_backward,
            forward: conv,
            narrow,
            data: backward,
            weights,
        }
    }

    /// The forward pass with bias and ReLU, as evaluation has it.
    pub fn forward(&mut self) {
        let epilogue = Epilogue::Bias { bias: &self.bias, residual: None, relu: true };
        let (y, scratch) = (&mut self.y, &mut self.scratch);
        self.forward.run(&self.x, self.images, &self.packed, epilogue, y, scratch, Threads::One);
    }

    /// The same in bf16 where evaluation takes it, else in f32.
    pub fn forward_bf16(&mut self) {
        let Some((conv, packed)) = &self.narrow else { return self.forward() };
        let epilogue = Epilogue::Bias { bias: &self.bias, residual: None, relu: true };
        let (x, y, scratch) = (&self.x, &mut self.y, &mut self.scratch);
        conv.run(x, self.images, packed, epilogue, y, scratch, Threads::One);
    }

    /// What executes [`ConvBench::forward`] and [`ConvBench::forward_bf16`], in words.
    pub fn kernels(&self) -> [String; 2] {
        let narrow = self.narrow.as_ref().map(|n| n.0.name());
        [self.forward.name(), narrow.unwrap_or_else(|| self.forward.name())]
    }

    /// The gradient to the input.
    pub fn backward_data(&mut self) {
        let packed = &self.packed_backward;
        let (dx, scratch) = (&mut self.dx, &mut self.scratch);
        self.data.run(&self.dz, self.images, packed, dx, scratch, Threads::One);
    }

    /// The gradient to the weights.
    pub fn backward_weights(&mut self) {
        self.dw.fill(0.0);
        let (dw, scratch) = (&mut self.dw, &mut self.scratch);
        self.weights.run(&self.x, &self.dz, self.images, dw, scratch, Threads::One);
    }
}
