//! A procedural data set of 32x32 colour images in ten classes, for CIFAR-shaped work without a
//! download.
//!
//! The class is the silhouette of the one large shape, and depends on nothing else in the image:
//! place, size, turn, mirror image, squash, colours, textures, light, clutter behind, smaller
//! shapes beside, bars across, blur and noise are all drawn at random for each image. Labels go
//! round 0 to 9.
//!
//! Image i of a split comes from its own stream (`synthetic/train`, i), so a smaller set is the
//! beginning of a larger one and threads change nothing. Only + - * / and square roots are used,
//! which IEEE 754 rounds alike everywhere: the bytes are the same on every machine.

mod shapes;

use rayon::prelude::*;

use super::images::{Dataset, LabelledImages};
use crate::error::{Error, Result};
use crate::memory;
use crate::parallel;
use crate::rng::{Rng, Streams};

const SIDE: usize = 32;
const PLANE: usize = SIDE * SIDE;
const SHAPE: [usize; 3] = [3, SIDE, SIDE];

type Colour = [f32; 3];

pub(super) fn load(seed: u64, train: usize, test: usize) -> Result<Dataset> {
    parallel::ready();
    let streams = Streams::new(seed);
    let split = |key: &'static str, stream: &str, n: usize| {
        if n == 0 {
            return Err(Error::bad_value(key, n, "an empty data set", "ask for at least 1"));
        }
        memory::check("the data set", memory::product(&[n, 3 * PLANE + 1]))?;
        let mut images = vec![0u8; n * 3 * PLANE];
        images.par_chunks_exact_mut(3 * PLANE).enumerate().for_each(|(i, pixels)| {
            draw(&mut streams.stream(stream, i as u64), i % 10, pixels);
        });
        LabelledImages::new(images, (0..n).map(|i| (i % 10) as u8).collect(), SHAPE)
    };
    let train = split("data.train_samples", "synthetic/train", train)?;
    let test = split("data.test_samples", "synthetic/test", test)?;
    Dataset::new("synthetic", train, test, &shapes::NAMES, 255.0)
}

/// Draws one image of class `label` into `pixels`, (3, 32, 32).
///
/// Each image has its own `hard` in 0..1, which raises clutter, noise and transparency together:
/// easy images are what a net learns the silhouettes from, hard ones are what nets differ on. (In a
/// trial where all were hard and turned any way, a ResNet-20 stayed at chance for eight epochs.)
fn draw(rng: &mut Rng, label: usize, pixels: &mut [u8]) {
    let hard = rng.uniform() as f32;
    let mut canvas = background(rng, hard);
    for _ in 0..rng.below(3 + (3.0 * hard) as usize) {
        let (x, y) = (between(rng, 0.0, 32.0), between(rng, 0.0, 32.0));
        let radius = between(rng, 2.0, 4.0);
        let pose = Pose::random(rng, x, y, radius);
        let ink = Ink::random(rng);
        let kind = rng.below(10);
        canvas.stamp(&pose, &ink, 1.0, |x, y| shapes::distance(kind, x, y));
    }

    let (x, y) = (between(rng, 12.0, 20.0), between(rng, 12.0, 20.0));
    let radius = between(rng, 9.0 - 3.0 * hard, 12.0 - 2.0 * hard);
    let pose = Pose::random(rng, x, y, radius);
    let ink = Ink::apart_from(rng, canvas.mean_near(x, y));
    let opacity = between(rng, 1.0 - 0.7 * hard, 1.0);
    canvas.stamp(&pose, &ink, opacity, |x, y| shapes::distance(label, x, y));

    // Bars across, drawn over the shape: each hides a strip of it.
    for _ in 0..rng.below(2 + (4.0 * hard) as usize) {
        let (x, y) = (between(rng, 4.0, 28.0), between(rng, 4.0, 28.0));
        let length = between(rng, 4.0, 16.0);
        let half_width = between(rng, 0.5, 1.6) / length;
        let pose = Pose::random(rng, x, y, length);
        let ink = Ink::random(rng);
        let upright = rng.bernoulli(0.5);
        canvas.stamp(&pose, &ink, 1.0, |x, y| {
            let (along, across) = if upright { (y, x) } else { (x, y) };
            (along.abs() - 1.0).max(across.abs() - half_width)
        });
    }
    // Small shapes in front, away from the middle of the large one.
    for _ in 0..rng.below(2 + (3.0 * hard) as usize) {
        let (dx, dy) = direction(rng);
        let away = between(rng, 0.8, 1.6) * radius;
        let small = between(rng, 2.0, 4.0);
        let pose = Pose::random(rng, x + away * dx, y + away * dy, small);
        let ink = Ink::random(rng);
        let kind = rng.below(10);
        canvas.stamp(&pose, &ink, 1.0, |x, y| shapes::distance(kind, x, y));
    }

    canvas.light(rng);
    if rng.bernoulli(0.5) {
        canvas.blur();
    }
    let noise = between(rng, 0.01, 0.04 + 0.10 * hard);
    for (pixel, value) in pixels.iter_mut().zip(&canvas.values) {
        *pixel = ((value + noise * bell(rng)).clamp(0.0, 1.0) * 255.0 + 0.5) as u8;
    }
}

fn between(rng: &mut Rng, low: f32, high: f32) -> f32 {
    low + (high - low) * rng.uniform() as f32
}

fn colour(rng: &mut Rng) -> Colour {
    std::array::from_fn(|_| between(rng, 0.05, 0.95))
}

/// A random unit vector, by rejection from the square: no sine needed.
fn direction(rng: &mut Rng) -> (f32, f32) {
    loop {
        let (x, y) = (between(rng, -1.0, 1.0), between(rng, -1.0, 1.0));
        let square = x * x + y * y;
        if (0.01..=1.0).contains(&square) {
            return (x / square.sqrt(), y / square.sqrt());
        }
    }
}

/// Bell-shaped noise of mean 0 and variance 1: the sum of four uniform 16-bit numbers.
fn bell(rng: &mut Rng) -> f32 {
    let bits = rng.bits();
    let sum: u32 = (0..4).map(|i| (bits >> (16 * i)) as u32 & 0xffff).sum();
    (sum as f32 / 65535.0 - 2.0) * 1.732_050_8
}

/// Where a shape lies: canvas coordinates are turned, mirrored and squashed into the shape's own.
struct Pose {
    x: f32,
    y: f32,
    radius: f32,
    /// The rows of the map from canvas offsets to shape coordinates.
    map: [[f32; 2]; 2],
}

impl Pose {
    fn random(rng: &mut Rng, x: f32, y: f32, radius: f32) -> Self {
        // A turn of up to 27 degrees either way, by its tangent.
        let tangent = between(rng, -0.5, 0.5);
        let c = 1.0 / (1.0 + tangent * tangent).sqrt();
        let s = tangent * c;
        let mirror = if rng.bernoulli(0.5) { -1.0 } else { 1.0 };
        let squash = between(rng, 0.7, 1.0);
        let shear = between(rng, -0.25, 0.25);
        // Turn, then shear x by y, then squash y, then mirror x.
        let [a, b] = [[c, s], [-s, c]];
        let turned_sheared = [a[0] + shear * b[0], a[1] + shear * b[1]];
        let map = [turned_sheared.map(|v| mirror * v / radius), b.map(|v| v / (radius * squash))];
        Self { x, y, radius, map }
    }
}

/// What a shape is filled with: one colour, or stripes of two.
struct Ink {
    colours: [Colour; 2],
    /// Stripes a pixel, along (x, y); 0 for a plain fill.
    frequency: [f32; 2],
}

impl Ink {
    fn random(rng: &mut Rng) -> Self {
        let base = colour(rng);
        Self::of(rng, base)
    }

    /// An ink that can be told from `ground`, though not always by much.
    fn apart_from(rng: &mut Rng, ground: Colour) -> Self {
        loop {
            let base = colour(rng);
            let apart: f32 = base.iter().zip(&ground).map(|(a, b)| (a - b) * (a - b)).sum();
            if apart > 0.5 * 0.5 {
                return Self::of(rng, base);
            }
        }
    }

    fn of(rng: &mut Rng, base: Colour) -> Self {
        let shift = between(rng, 0.05, 0.2) * if rng.bernoulli(0.5) { 1.0 } else { -1.0 };
        let (dx, dy) = direction(rng);
        let frequency = if rng.bernoulli(0.5) { 0.0 } else { between(rng, 0.12, 0.35) };
        Self {
            colours: [base, base.map(|v| (v + shift).clamp(0.0, 1.0))],
            frequency: [frequency * dx, frequency * dy],
        }
    }

    fn at(&self, x: f32, y: f32) -> Colour {
        let phase = self.frequency[0] * x + self.frequency[1] * y;
        // A triangle wave in 0..=1, 0 where there are no stripes.
        let wave = (2.0 * (phase - (phase + 0.5).floor())).abs();
        mix(self.colours[0], self.colours[1], wave)
    }
}

fn mix(a: Colour, b: Colour, t: f32) -> Colour {
    std::array::from_fn(|c| a[c] + (b[c] - a[c]) * t)
}

/// An image being drawn, values about 0..1, (3, 32, 32).
struct Canvas {
    values: Vec<f32>,
}

/// A gradient between two colours with a blotchy texture over it.
fn background(rng: &mut Rng, hard: f32) -> Canvas {
    let (from, to) = (colour(rng), colour(rng));
    let (dx, dy) = direction(rng);
    let cell = between(rng, 3.0, 9.0);
    let strength = between(rng, 0.02, 0.1 + 0.25 * hard);
    let tint: Colour = std::array::from_fn(|_| between(rng, 0.3, 1.0));
    let lattice: [[f32; 13]; 13] =
        std::array::from_fn(|_| std::array::from_fn(|_| between(rng, -1.0, 1.0)));
    let mut values = vec![0.0; 3 * PLANE];
    for y in 0..SIDE {
        for x in 0..SIDE {
            let (px, py) = (x as f32 + 0.5, y as f32 + 0.5);
            let along = 0.5 + ((px - 16.0) * dx + (py - 16.0) * dy) / 45.0;
            let base = mix(from, to, along);
            let blotch = strength * interpolate(&lattice, px / cell, py / cell);
            for c in 0..3 {
                values[c * PLANE + y * SIDE + x] = base[c] + blotch * tint[c];
            }
        }
    }
    Canvas { values }
}

/// Bilinear interpolation on a lattice of unit cells.
fn interpolate(lattice: &[[f32; 13]; 13], x: f32, y: f32) -> f32 {
    let (ix, iy) = (x as usize, y as usize);
    let (fx, fy) = (x - ix as f32, y - iy as f32);
    let row = |iy: usize| lattice[iy][ix] + (lattice[iy][ix + 1] - lattice[iy][ix]) * fx;
    row(iy) + (row(iy + 1) - row(iy)) * fy
}

impl Canvas {
    /// Paints where `distance`, in the pose's own coordinates, is negative; edges are antialiased.
    fn stamp(&mut self, pose: &Pose, ink: &Ink, opacity: f32, distance: impl Fn(f32, f32) -> f32) {
        let reach = 1.6 * pose.radius + 1.0;
        let range = |centre: f32| {
            let low = (centre - reach).clamp(0.0, SIDE as f32) as usize;
            low..(centre + reach).clamp(0.0, SIDE as f32) as usize
        };
        let [row0, row1] = pose.map;
        for y in range(pose.y) {
            for x in range(pose.x) {
                let (dx, dy) = (x as f32 + 0.5 - pose.x, y as f32 + 0.5 - pose.y);
                let d = distance(row0[0] * dx + row0[1] * dy, row1[0] * dx + row1[1] * dy);
                let cover = opacity * (0.5 - d * pose.radius).clamp(0.0, 1.0);
                if cover > 0.0 {
                    let paint = ink.at(dx, dy);
                    for (c, paint) in paint.into_iter().enumerate() {
                        let value = &mut self.values[c * PLANE + y * SIDE + x];
                        *value += (paint - *value) * cover;
                    }
                }
            }
        }
    }

    /// The mean colour of the 9x9 pixels about (x, y), which lie on the canvas.
    fn mean_near(&self, x: f32, y: f32) -> Colour {
        let (left, top) = (x as usize - 4, y as usize - 4);
        std::array::from_fn(|c| {
            let rows = (top..top + 9).map(|y| {
                let start = c * PLANE + y * SIDE + left;
                self.values[start..start + 9].iter().sum::<f32>()
            });
            rows.sum::<f32>() / 81.0
        })
    }

    /// Light that falls off across the image.
    fn light(&mut self, rng: &mut Rng) {
        let (dx, dy) = direction(rng);
        let fall = between(rng, 0.0, 0.5);
        for (i, value) in self.values.iter_mut().enumerate() {
            let (x, y) = ((i % SIDE) as f32 - 15.5, (i % PLANE / SIDE) as f32 - 15.5);
            *value *= 1.0 + fall * (x * dx + y * dy) / 16.0;
        }
    }

    /// A 3x3 binomial blur; the border repeats.
    fn blur(&mut self) {
        for stride in [1, SIDE] {
            let before = self.values.clone();
            for (i, value) in self.values.iter_mut().enumerate() {
                let at = if stride == 1 { i % SIDE } else { i % PLANE / SIDE };
                let low = if at == 0 { i } else { i - stride };
                let high = if at == SIDE - 1 { i } else { i + stride };
                *value = 0.25 * before[low] + 0.5 * before[i] + 0.25 * before[high];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_smaller_set_is_the_beginning_of_a_larger_one_on_any_number_of_threads() {
        let large = load(3, 60, 20).unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let small = pool.install(|| load(3, 25, 10).unwrap());
        assert_eq!(small.train.pixels, large.train.pixels[..25 * 3 * PLANE]);
        assert_eq!(small.test.pixels, large.test.pixels[..10 * 3 * PLANE]);
        assert_eq!(large.train.labels[..12], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]);
    }

    #[test]
    fn seeds_and_splits_and_images_differ() {
        let one = load(1, 20, 20).unwrap();
        assert_ne!(one.digest, load(2, 20, 20).unwrap().digest);
        assert_ne!(one.train.pixels, one.test.pixels);
        assert_ne!(one.train.image(0), one.train.image(10), "two discs");
    }

    #[test]
    fn the_bytes_of_a_seed_stay_what_they_were() {
        // A run's manifest names its data by seed and digest: a change here makes old runs'
        // synthetic data another data set, and must be meant.
        let digest = load(0, 20, 10).unwrap().digest;
        assert_eq!(digest, "9da42f95bab8686ec8806e7a7184747704662fa32835823e7d3fcbc92b1042a4");
    }

    #[test]
    fn noise_has_mean_zero_and_variance_one() {
        let mut rng = Streams::new(0).stream("test", 0);
        let draws: Vec<f32> = (0..100_000).map(|_| bell(&mut rng)).collect();
        let mean = draws.iter().sum::<f32>() / 1e5;
        let variance = draws.iter().map(|z| z * z).sum::<f32>() / 1e5;
        // Standard errors are 0.0032 and about 0.004: five of them.
        assert!(mean.abs() < 0.016 && (variance - 1.0).abs() < 0.02, "{mean} {variance}");
    }

    #[test]
    fn an_empty_set_is_an_error() {
        let err = load(0, 0, 10).unwrap_err().to_string();
        assert!(err.contains("`data.train_samples` is 0"), "{err}");
        assert!(load(0, 10, 0).is_err());
    }
}
