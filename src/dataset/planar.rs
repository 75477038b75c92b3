//! Points of the plane in classes, from a seed: what a net's decision boundary can be drawn over.
//!
//! A point is an "image" of shape (2, 1, 1): channel 0 is x, channel 1 is y. Coordinates lie in
//! -1..=1 and are kept as bytes like every image here ([`byte_of`], [`coordinate_of`]), so a point
//! is known to 1/127.5; that is finer than the noise of each set.
//!
//! Point i of a split comes from its own stream (`NAME/train`, i), so a smaller set is the
//! beginning of a larger one; labels cycle through the classes. Sines differ in the last bit
//! between machines, which the rounding to bytes hides but for a point in many millions.

use std::f64::consts::{PI, TAU};

use super::DataSet;
use super::images::{Dataset, LabelledImages};
use crate::error::{Error, Result};
use crate::memory;
use crate::rng::{Rng, Streams};

/// What a split holds where nothing else is asked for: training points, test points.
pub(super) const DEFAULT_SIZE: [usize; 2] = [1000, 500];

/// The shape of a point as an image, (c, h, w).
pub const SHAPE: [usize; 3] = [2, 1, 1];

/// The coordinate in -1..=1 that the byte of a pixel means.
pub fn coordinate_of(byte: u8) -> f64 {
    f64::from(byte) / 127.5 - 1.0
}

/// The byte nearest to a coordinate; what lies outside -1..=1 is drawn to its edge.
pub fn byte_of(coordinate: f64) -> u8 {
    ((coordinate + 1.0) * 127.5).round().clamp(0.0, 255.0) as u8
}

/// The names of the classes of a set of points, or `None` for a set of images.
pub(super) fn class_names(set: DataSet) -> Option<&'static [&'static str]> {
    match set {
        DataSet::Spirals => Some(&["one arm", "the other"]),
        DataSet::Moons => Some(&["upper moon", "lower moon"]),
        DataSet::Rings => Some(&["disc", "inner ring", "outer ring"]),
        DataSet::Gaussians => Some(&["north east", "north west", "south west", "south east"]),
        _ => None,
    }
}

pub(super) fn load(set: DataSet, seed: u64, [train, test]: [usize; 2]) -> Result<Dataset> {
    let names = class_names(set).ok_or_else(|| Error::Data {
        what: format!("{set} is no set of points in the plane"),
        remedy: "use spirals, moons, rings or gaussians".into(),
    })?;
    let streams = Streams::new(seed);
    let split = |key: &'static str, which: &str, n: usize| {
        if n == 0 {
            return Err(Error::bad_value(key, n, "an empty data set", "ask for at least 1"));
        }
        memory::check("the data set", memory::product(&[n, 2 + 1]))?;
        let stream = format!("{set}/{which}");
        let label = |i: usize| i % names.len();
        let images = (0..n).flat_map(|i| {
            let mut rng = streams.stream(&stream, i as u64);
            draw(set, label(i), &mut rng).map(byte_of)
        });
        LabelledImages::new(images.collect(), (0..n).map(|i| label(i) as u8).collect(), SHAPE)
    };
    let train = split("data.train_samples", "train", train)?;
    let test = split("data.test_samples", "test", test)?;
    Dataset::new(set.as_str(), train, test, names, 255.0)
}

/// One point of a class.
fn draw(set: DataSet, class: usize, rng: &mut Rng) -> [f64; 2] {
    let noise = |rng: &mut Rng, sigma: f64| [sigma * rng.normal(), sigma * rng.normal()];
    match set {
        // Two arms of an Archimedean spiral, one and a half turns, half a turn apart.
        DataSet::Spirals => {
            // The square root spreads points evenly along the arm and not around its middle.
            let t = rng.uniform().sqrt();
            let angle = 1.5 * TAU * t + PI * class as f64;
            let radius = 0.06 + 0.84 * t;
            let [dx, dy] = noise(rng, 0.022);
            [radius * angle.cos() + dx, radius * angle.sin() + dy]
        }
        // Two half circles, each reaching into the other (as scikit-learn's make_moons).
        DataSet::Moons => {
            let angle = PI * rng.uniform();
            let (x, y) = (angle.cos(), angle.sin());
            let (x, y) = if class == 0 { (x, y) } else { (1.0 - x, 0.5 - y) };
            let [dx, dy] = noise(rng, 0.06);
            [0.55 * (x - 0.5) + dx, 0.75 * (y - 0.25) + dy]
        }
        // A disc in a ring in a ring.
        DataSet::Rings => {
            let radius = [0.14, 0.46, 0.8][class] + 0.055 * rng.normal();
            let angle = TAU * rng.uniform();
            [radius * angle.cos(), radius * angle.sin()]
        }
        // Four clouds at the corners of a square, near enough to overlap.
        _ => {
            let angle = TAU * (class as f64 + 0.5) / 4.0;
            let [dx, dy] = noise(rng, 0.17);
            [0.58 * angle.cos() + dx, 0.58 * angle.sin() + dy]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETS: [DataSet; 4] =
        [DataSet::Spirals, DataSet::Moons, DataSet::Rings, DataSet::Gaussians];

    #[test]
    fn every_set_has_the_form_it_says_and_begins_alike_at_any_size() {
        for set in SETS {
            let large = load(set, 3, [300, 60]).unwrap();
            let small = load(set, 3, [40, 60]).unwrap();
            assert_eq!(Some((large.shape(), large.classes)), set.form());
            assert_eq!(small.train.pixels, large.train.pixels[..80]);
            assert_ne!(large.train.pixels[..120], large.test.pixels[..]);
            assert_ne!(large.digest, load(set, 4, [300, 60]).unwrap().digest);
            assert!(load(set, 3, [0, 5]).unwrap_err().to_string().contains("train_samples"));
        }
        assert!(load(DataSet::Digits, 0, [1, 1]).is_err());
    }

    #[test]
    fn points_fill_the_square_without_piling_up_at_its_edge() {
        for set in SETS {
            let data = load(set, 0, DEFAULT_SIZE).unwrap();
            let bytes = &data.train.pixels;
            let edge = bytes.iter().filter(|&&b| b == 0 || b == 255).count();
            assert!(edge * 200 < bytes.len(), "{set}: {edge} coordinates at the edge");
            let reach = bytes.iter().map(|&b| coordinate_of(b).abs()).fold(0.0, f64::max);
            assert!(reach > 0.7, "{set} reaches {reach} only");
        }
    }

    #[test]
    fn a_point_s_nearest_neighbour_is_of_its_class_nearly_always() {
        // The rings, spirals and moons can be told apart, the clouds overlap a little (a tenth of
        // a class at most, by the noise they are drawn with).
        for (set, least) in SETS.into_iter().zip([0.99, 0.99, 0.99, 0.9]) {
            let data = load(set, 0, DEFAULT_SIZE).unwrap();
            let distance = |a: &[u8], b: &[u8]| {
                a.iter().zip(b).map(|(p, q)| i32::from(p.abs_diff(*q)).pow(2)).sum::<i32>()
            };
            let right = (0..data.test.len())
                .filter(|&i| {
                    let nearest = (0..data.train.len())
                        .min_by_key(|&j| distance(data.test.image(i), data.train.image(j)));
                    data.train.labels[nearest.unwrap()] == data.test.labels[i]
                })
                .count() as f64;
            let share = right / data.test.len() as f64;
            assert!(share >= least && share <= 1.0, "{set}: {share}");
        }
    }

    #[test]
    fn bytes_and_coordinates_are_each_other_s_inverse() {
        assert!((0..=255).all(|b| byte_of(coordinate_of(b)) == b));
        assert_eq!((byte_of(-3.0), byte_of(3.0)), (0, 255));
    }
}
