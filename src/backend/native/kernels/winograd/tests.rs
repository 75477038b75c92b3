//! Against a naive convolution in f64, at every level this processor has.
//!
//! Deviations are relative: the root mean square of the difference over that of the truth. Measured
//! over all cases and levels: F(2x2) at most 2.4e-7, 5.0e-7 for the weights' gradient (a long sum);
//! F(4x4) at most 1.9e-6; with AVX-512 1.5e-6 forward.

mod bf16;

use super::{Tile, Winograd};
use crate::backend::native::caches::Caches;
use crate::backend::native::kernels::Epilogue;
use crate::backend::native::number::Numbers;
use crate::backend::native::shape::Shape;
use crate::backend::native::simd::Level;

/// A cache in which hardly any weights stay, and one in which all do.
const CACHES: [Caches; 2] = [Caches { l2: 64 << 10, l3: 0 }, Caches { l2: 2 << 20, l3: 32 << 20 }];

/// Channels in, channels out, height, width, images.
const CASES: [[usize; 5]; 9] = [
    [16, 16, 8, 8, 3],
    [32, 32, 4, 4, 3],
    [16, 48, 8, 12, 1],
    [48, 16, 12, 8, 1],
    [3, 20, 6, 9, 3],
    [20, 5, 7, 5, 1],
    [5, 3, 1, 2, 3],
    [17, 33, 3, 10, 1],
    [32, 64, 16, 16, 3],
];

const TILES: [Tile; 3] = [Tile::F2, Tile::F4, Tile::F2Of5];

/// What rounding may cost: the largest seen, doubled.
fn bound(tile: Tile) -> f64 {
    match tile {
        Tile::F2 => 1e-6,
        Tile::F4 | Tile::F2Of5 => 4e-6,
    }
}

/// Uniform in -1..1.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    fn many(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.next()).collect()
    }

    /// Padded feature maps: random inside, zero in the halo and behind the channels.
    fn feature_maps(&mut self, shape: Shape, images: usize) -> Vec<f32> {
        let mut all = vec![0.0; images * shape.len()];
        for at in pixels(shape, images) {
            all[at..at + shape.c].fill_with(|| self.next());
        }
        all
    }
}

/// Where each pixel of each image begins.
fn pixels(shape: Shape, images: usize) -> impl Iterator<Item = usize> {
    (0..images).flat_map(move |image| {
        (0..shape.pixels()).map(move |pixel| {
            let (y, x) = (pixel / shape.w, pixel % shape.w);
            image * shape.len() + shape.at(y as isize, x as isize)
        })
    })
}

/// Calls `f(at in x, at in y, at in weight)` for every product of the convolution with a kernel of
/// `side` x `side`, each of a group of images.
fn products(
    side: usize,
    [input, output]: [Shape; 2],
    images: usize,
    mut f: impl FnMut(usize, usize, usize),
) {
    let (taps, padding) = (side * side, (side / 2) as isize);
    for (n, to) in pixels(output, images).enumerate() {
        let pixel = n % output.pixels();
        let (y, x) = ((pixel / output.w) as isize, (pixel % output.w) as isize);
        for tap in 0..taps {
            let (down, across) = ((tap / side) as isize, (tap % side) as isize);
            let (row, column) = (y + down - padding, x + across - padding);
            let from = n / output.pixels() * input.len() + input.at(row, column);
            for o in 0..output.c {
                for i in 0..input.c {
                    f(from + i, to + o, (o * input.c + i) * taps + tap);
                }
            }
        }
    }
}

fn naive(case: &Case, x: &[f32], weight: &[f32]) -> Vec<f64> {
    let mut y = vec![0.0; case.images * case.shapes[1].len()];
    products(case.plan.tile.kernel(), case.shapes, case.images, |from, to, w| {
        y[to] += f64::from(x[from]) * f64::from(weight[w])
    });
    y
}

/// Root mean square of the difference over that of the truth.
fn deviation(found: &[f32], truth: &[f64]) -> f64 {
    assert_eq!(found.len(), truth.len());
    let square = |x: f64| x * x;
    let wrong: f64 = found.iter().zip(truth).map(|(&a, b)| square(f64::from(a) - b)).sum();
    (wrong / truth.iter().map(|&b| square(b)).sum::<f64>()).sqrt()
}

/// A case at a level, with one or another tile.
struct Case {
    name: String,
    plan: Winograd,
    shapes: [Shape; 2],
    images: usize,
    numbers: Noise,
}

impl Case {
    fn check(&self, what: &str, found: &[f32], truth: &[f64]) {
        let deviation = deviation(found, truth);
        if std::env::var_os("SHOW").is_some() {
            println!("{what:10} {} {deviation:.2e}", self.name);
        }
        assert!(deviation < bound(self.plan.tile), "{what} {}: {deviation:e}", self.name);
    }

    fn scratch(&self) -> Vec<f32> {
        // Whatever the scratch holds, nothing of it may come out.
        vec![f32::NAN; self.plan.scratch_len().max(self.plan.weights_scratch_len())]
    }
}

/// All cases, tiles and levels; output feature maps have a halo of 0, 1 or 2.
fn every_case(mut test: impl FnMut(Case)) {
    for (number, [inputs, outputs, h, w, images]) in CASES.into_iter().enumerate() {
        for tile in TILES {
            for level in Level::all() {
                let input = Shape::new([inputs, h, w], tile.padding() + number % 2);
                let output = Shape::new([outputs, h, w], number % 3);
                let shapes = [input, output];
                for caches in CACHES {
                    let plan = Winograd::new(level, Numbers::F32, tile, shapes, caches).unwrap();
                    let name =
                        format!("{inputs}->{outputs} {h}x{w} x{images} {tile:?} {level} {caches}");
                    let numbers = Noise(number as u64);
                    test(Case { name, plan, shapes, images, numbers });
                }
            }
        }
    }
}

#[test]
fn the_forward_pass_is_the_convolution() {
    every_case(|mut case| {
        let [input, output] = case.shapes;
        let x = case.numbers.feature_maps(input, case.images);
        let weight = case.numbers.many(case.plan.tile.taps() * input.c * output.c);
        let mut packed = vec![f32::NAN; case.plan.packed_len()];
        case.plan.pack(&weight, None, &mut packed);
        let mut y = vec![0.0; case.images * output.len()];
        case.plan.forward(&x, case.images, &packed, Epilogue::Plain, &mut y, &mut case.scratch());
        case.check("forward", &y, &naive(&case, &x, &weight));
    });
}

#[test]
fn scale_bias_residual_and_relu_are_applied() {
    every_case(|mut case| {
        let [input, output] = case.shapes;
        let x = case.numbers.feature_maps(input, case.images);
        let weight = case.numbers.many(case.plan.tile.taps() * input.c * output.c);
        let scale = case.numbers.many(output.c);
        let mut bias = case.numbers.many(output.c);
        bias.resize(output.stride, 0.0);
        let residual = case.numbers.feature_maps(output, case.images);
        let mut packed = vec![f32::NAN; case.plan.packed_len()];
        case.plan.pack(&weight, Some(&scale), &mut packed);
        let mut truth = naive(&case, &x, &weight);
        for at in pixels(output, case.images) {
            for c in 0..output.c {
                truth[at + c] = truth[at + c] * f64::from(scale[c]) + f64::from(bias[c]);
            }
        }
        let mut y = vec![0.0; case.images * output.len()];
        let plain = Epilogue::Bias { bias: &bias, residual: None, relu: false };
        case.plan.forward(&x, case.images, &packed, plain, &mut y, &mut case.scratch());
        case.check("bias", &y, &truth);
        for (truth, r) in truth.iter_mut().zip(&residual) {
            *truth = (*truth + f64::from(*r)).max(0.0);
        }
        let both = Epilogue::Bias { bias: &bias, residual: Some(&residual), relu: true };
        case.plan.forward(&x, case.images, &packed, both, &mut y, &mut case.scratch());
        case.check("residual", &y, &truth);
    });
}

#[test]
fn the_sums_are_those_of_what_is_stored() {
    every_case(|mut case| {
        let [input, output] = case.shapes;
        let x = case.numbers.feature_maps(input, case.images);
        let weight = case.numbers.many(case.plan.tile.taps() * input.c * output.c);
        let mut packed = vec![f32::NAN; case.plan.packed_len()];
        case.plan.pack(&weight, None, &mut packed);
        let mut y = vec![0.0; case.images * output.len()];
        let mut sums = vec![1.0; 2 * output.stride];
        let stats = Epilogue::Stats { sums: &mut sums };
        case.plan.forward(&x, case.images, &packed, stats, &mut y, &mut case.scratch());
        let mut truth = vec![1.0; 2 * output.stride];
        for at in pixels(output, case.images) {
            for c in 0..output.c {
                let value = f64::from(y[at + c]);
                truth[c] += value;
                truth[output.stride + c] += value * value;
            }
        }
        case.check("sums", &sums, &truth);
    });
}

#[test]
fn turned_weights_take_the_gradient_back_to_the_input() {
    every_case(|mut case| {
        // The case's input is the gradient of an output, its output that of an input.
        let [dz_shape, dx_shape] = case.shapes;
        let dz = case.numbers.feature_maps(dz_shape, case.images);
        let weight = case.numbers.many(case.plan.tile.taps() * dz_shape.c * dx_shape.c);
        let mut packed = vec![f32::NAN; case.plan.packed_len()];
        case.plan.pack_backward(&weight, &mut packed);
        let mut dx = vec![0.0; case.images * dx_shape.len()];
        case.plan.forward(&dz, case.images, &packed, Epilogue::Plain, &mut dx, &mut case.scratch());

        // The truth comes with a halo, into which the forward products reach.
        let halo = case.plan.tile.padding();
        let x_shape = Shape::new([dx_shape.c, dx_shape.h, dx_shape.w], halo);
        let mut wide = vec![0.0; case.images * x_shape.len()];
        products(case.plan.tile.kernel(), [x_shape, dz_shape], case.images, |from, to, w| {
            wide[from] += f64::from(dz[to]) * f64::from(weight[w]);
        });
        let mut truth = vec![0.0; dx.len()];
        let places = pixels(dx_shape, case.images).zip(pixels(x_shape, case.images));
        for (to, from) in places {
            truth[to..to + dx_shape.c].copy_from_slice(&wide[from..from + dx_shape.c]);
        }
        case.check("backward", &dx, &truth);
    });
}

#[test]
fn the_gradient_of_the_weights_is_the_sum_of_all_products() {
    every_case(|mut case| {
        let [input, output] = case.shapes;
        let x = case.numbers.feature_maps(input, case.images);
        let dz = case.numbers.feature_maps(output, case.images);
        let weights = case.plan.tile.taps() * input.c * output.c;
        let mut du = vec![0.0; case.plan.packed_len()];
        let mut dweight = vec![0.0; weights];
        // Twice, from the same images: both functions add.
        for _ in 0..2 {
            case.plan.backward_weights(&x, &dz, case.images, &mut du, &mut case.scratch());
        }
        case.plan.finish_weights(&du, &mut dweight);
        case.plan.finish_weights(&du, &mut dweight);
        let mut truth = vec![0.0; weights];
        products(case.plan.tile.kernel(), case.shapes, case.images, |from, to, w| {
            truth[w] += 4.0 * f64::from(x[from]) * f64::from(dz[to]);
        });
        case.check("weights", &dweight, &truth);
    });
}

#[test]
fn nothing_around_the_feature_maps_is_written() {
    every_case(|mut case| {
        let [input, output] = case.shapes;
        let x = case.numbers.feature_maps(input, case.images);
        let weight = case.numbers.many(case.plan.tile.taps() * input.c * output.c);
        let mut packed = vec![f32::NAN; case.plan.packed_len()];
        case.plan.pack(&weight, None, &mut packed);
        let mut y = vec![7.0; case.images * output.len()];
        case.plan.forward(&x, case.images, &packed, Epilogue::Plain, &mut y, &mut case.scratch());
        for at in pixels(output, case.images) {
            assert!(
                y[at + output.c..at + output.stride].iter().all(|&v| v == 0.0),
                "{}",
                case.name
            );
            y[at..at + output.stride].fill(7.0);
        }
        assert!(y.iter().all(|&v| v == 7.0), "{}", case.name);
    });
}

#[test]
fn a_group_of_images_gives_what_each_gives_alone() {
    every_case(|mut case| {
        let [input, output] = case.shapes;
        let x = case.numbers.feature_maps(input, case.images);
        let weight = case.numbers.many(case.plan.tile.taps() * input.c * output.c);
        let mut packed = vec![f32::NAN; case.plan.packed_len()];
        case.plan.pack(&weight, None, &mut packed);
        let mut scratch = case.scratch();
        let mut y = vec![0.0; case.images * output.len()];
        case.plan.forward(&x, case.images, &packed, Epilogue::Plain, &mut y, &mut scratch);
        let mut alone = vec![0.0; output.len()];
        for (x, y) in x.chunks(input.len()).zip(y.chunks(output.len())) {
            case.plan.forward(x, 1, &packed, Epilogue::Plain, &mut alone, &mut scratch);
            // To the last bit: a pixel's sums run over its channels in one order, whatever is
            // beside it.
            assert_eq!(alone, y, "{}", case.name);
        }
    });
}

#[test]
fn a_feature_map_without_halo_is_refused() {
    let [bare, padded] = [0, 1].map(|halo| Shape::new([16, 8, 8], halo));
    let new = |shapes| Winograd::new(Level::Portable, Numbers::F32, Tile::F4, shapes, CACHES[1]);
    assert!(new([bare, padded]).is_none());
    assert!(new([padded, bare]).is_some());
    let wide = [1, 2].map(|halo| {
        let shapes = [Shape::new([16, 8, 8], halo), bare];
        Winograd::new(Level::Portable, Numbers::F32, Tile::F2Of5, shapes, CACHES[1]).is_some()
    });
    assert_eq!(wide, [false, true]);
}

#[test]
fn the_tile_follows_from_the_shapes() {
    let of = |kernel, inputs, outputs, side, images| {
        let shapes = [inputs, outputs].map(|c| Shape::new([c, side, side], 1));
        Winograd::choose(Numbers::F32, kernel, shapes, images)
    };
    let choose = |inputs, outputs, side, images| of(3, inputs, outputs, side, images);
    for (channels, side) in [(16, 32), (32, 16), (64, 8), (128, 16), (256, 8)] {
        assert_eq!(choose(channels, channels, side, 1), Some(Tile::F4), "{channels}@{side}");
    }
    // Three channels of input are too few for the transforms to pay; a 2x2 map is all border.
    assert_eq!(choose(3, 16, 32, 8), None);
    assert_eq!(choose(64, 64, 2, 8), Some(Tile::F2));
    // One tile an image: the weights' way from memory decides.
    assert_ne!(choose(512, 512, 4, 1), Some(Tile::F4));
    assert_eq!(choose(512, 512, 4, 16), Some(Tile::F4));
    // Other kernels: 5x5 where there are channels enough, 1x1 and 7x7 never.
    assert_eq!(of(5, 32, 64, 14, 8), Some(Tile::F2Of5));
    assert_eq!(of(5, 64, 32, 14, 8), Some(Tile::F2Of5));
    assert_eq!(of(5, 1, 32, 28, 8), None);
    assert_eq!([of(1, 64, 64, 14, 8), of(7, 64, 64, 14, 8)], [None, None]);
    let shapes = [32, 64].map(|c| Shape::new([c, 14, 14], 2));
    assert_eq!(Winograd::choose(Numbers::Rounded, 5, shapes, 8), None);
}
