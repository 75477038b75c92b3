//! One convolution with operands of its own, to be run again and again by a kernel of choice: what
//! `benches/kernels.rs` measures.

use super::conv::{Conv, ConvBackward, Form};
use super::winograd::{Tile, Winograd};
use super::{Data, Epilogue, Forward, Weights};
use crate::backend::native::shape::Shape;
use crate::backend::native::simd::Level;
use crate::names::named_enum;
use crate::rng::Streams;

named_enum! {
    /// How a convolution is computed.
    pub enum Algorithm("algorithm") {
        /// By its definition.
        Direct = "direct",
        /// Winograd's F(2x2, 3x3).
        Winograd2 = "winograd2",
        /// Winograd's F(4x4, 3x3).
        Winograd4 = "winograd4",
    }
}

/// The form of a convolution of square pictures with padding kernel / 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvForm {
    /// Channels in.
    pub inputs: usize,
    /// Channels out.
    pub outputs: usize,
    /// Side of the input picture.
    pub side: usize,
    /// Side of the kernel.
    pub kernel: usize,
    /// Step.
    pub stride: usize,
}

impl ConvForm {
    /// Whether `algorithm` can compute it.
    pub fn suits(&self, algorithm: Algorithm) -> bool {
        algorithm == Algorithm::Direct || (self.kernel == 3 && self.stride == 1)
    }

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
pub struct ConvTrial {
    images: usize,
    forward: Forward,
    data: Data,
    weights: Weights,
    packed: Vec<f32>,
    packed_data: Vec<f32>,
    bias: Vec<f32>,
    x: Vec<f32>,
    y: Vec<f32>,
    dz: Vec<f32>,
    dx: Vec<f32>,
    gathered: Vec<f32>,
    scratch: Vec<f32>,
}

impl ConvTrial {
    /// `images` images of noise; `None` where the algorithm cannot compute that form.
    pub fn new(form: ConvForm, algorithm: Algorithm, images: usize) -> Option<Self> {
        if !form.suits(algorithm) {
            return None;
        }
        let level = Level::detect();
        let ConvForm { inputs, outputs, side, kernel, stride } = form;
        let inner = Form { kernel, stride, padding: kernel / 2 };
        let out = form.output_side();
        let input = Shape::new([inputs, side, side], inner.padding);
        let output = Shape::new([outputs, out, out], inner.padding);
        let dz_shape = Shape::new([outputs, out, out], inner.gradient_halo(side, out));
        let tile = match algorithm {
            Algorithm::Direct => None,
            Algorithm::Winograd2 => Some(Tile::F2),
            Algorithm::Winograd4 => Some(Tile::F4),
        };
        let (forward, data, weights) = match tile {
            None => (
                Forward::Direct(Conv::new(level, input, output, inner)),
                Data::Direct(ConvBackward::new(level, dz_shape, input, inner)),
                Weights::Direct(Conv::new(level, input, dz_shape, inner), dz_shape),
            ),
            Some(tile) => (
                Forward::Winograd(Winograd::new(level, tile, input, output)?),
                Data::Winograd(Winograd::new(level, tile, dz_shape, input)?),
                Weights::Winograd(Winograd::new(level, tile, input, dz_shape)?),
            ),
        };
        let scratch = match &weights {
            Weights::Direct(..) => 0,
            Weights::Winograd(kernel) => kernel.weights_scratch_len(),
        };
        let scratch = scratch.max(forward.scratch_len()).max(data.scratch_len());
        let mut rng = Streams::new(0).stream("bench", 2);
        let mut noise =
            |len: usize| -> Vec<f32> { (0..len).map(|_| rng.normal() as f32).collect() };
        let weight = noise(outputs * inputs * kernel * kernel);
        let mut packed = vec![0.0; forward.packed_len()];
        forward.pack(&weight, None, &mut packed);
        let mut packed_data = vec![0.0; data.packed_len()];
        data.pack(&weight, &mut packed_data);
        Some(Self {
            images,
            // Halos and idle channels hold noise as well: time does not depend on it.
            x: noise(images * input.len()),
            y: vec![0.0; images * output.len()],
            dz: noise(images * dz_shape.len()),
            dx: vec![0.0; images * input.len()],
            gathered: vec![0.0; weights.gathered_len()],
            scratch: vec![0.0; scratch],
            bias: noise(output.stride),
            packed,
            packed_data,
            forward,
            data,
            weights,
        })
    }

    /// The forward pass with bias and ReLU, as evaluation has it.
    pub fn forward(&mut self) {
        let epilogue = Epilogue::Bias { bias: &self.bias, residual: None, relu: true };
        let (x, y) = (&self.x, &mut self.y);
        self.forward.run(x, self.images, &self.packed, epilogue, y, &mut self.scratch);
    }

    /// The gradient to the input.
    pub fn backward_data(&mut self) {
        let (dz, dx) = (&self.dz, &mut self.dx);
        self.data.run(dz, self.images, &self.packed_data, dx, &mut self.scratch);
    }

    /// The gradient to the weights, gathered in the kernel's own order.
    pub fn backward_weights(&mut self) {
        let (x, dz) = (&self.x, &self.dz);
        self.weights.run(x, dz, self.images, &mut self.gathered, &mut self.scratch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_algorithms_of_a_trial_compute_the_same() {
        // What is measured must be the work: one layer by each algorithm, on the same noise. Zero
        // halos are left out of the comparison by looking at the middle only.
        let form = ConvForm { inputs: 16, outputs: 16, side: 8, kernel: 3, stride: 1 };
        let mut sums = Vec::new();
        for &algorithm in Algorithm::ALL {
            let mut trial = ConvTrial::new(form, algorithm, 2).unwrap();
            trial.forward();
            trial.backward_data();
            let middle = 10 * 10 * 16 + (4 * 10 + 4) * 16;
            sums.push([
                trial.y[middle],
                trial.y[middle + 7],
                trial.dx[middle],
                trial.dx[middle + 7],
            ]);
            trial.backward_weights();
            assert!(trial.gathered.iter().any(|g| *g != 0.0));
        }
        for other in &sums[1..] {
            for (a, b) in sums[0].iter().zip(other) {
                // 144 products of order 1; F(4x4) loses a digit to its transforms.
                assert!((a - b).abs() < 1e-3, "{sums:?}");
            }
        }
        assert!(sums[0].iter().any(|v| *v != 0.0));
    }

    #[test]
    fn a_strided_convolution_has_no_winograd() {
        let form = ConvForm { inputs: 16, outputs: 32, side: 8, kernel: 3, stride: 2 };
        assert!(ConvTrial::new(form, Algorithm::Winograd4, 1).is_none());
        // 4 x 4 pixels, 9 taps, 16 x 32 channels, two operations each.
        assert_eq!(form.flops(), 147_456);
    }
}
