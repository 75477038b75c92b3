//! Random directions and their normalisation (Li et al. 2018, section 4).

use crate::names::named_enum;
use crate::network::{ParamLayout, Role};
use crate::rng::Streams;

named_enum! {
    /// How a direction is scaled to the weights it starts from.
    pub enum Normalisation("direction normalisation") {
        /// Each filter (each index on axis 0) gets the norm of the weights' filter:
        /// `d_j <- d_j ||w_j|| / (||d_j|| + 1e-10)`.
        Filter = "filter",
        /// Each tensor gets the norm of the weights' tensor: `d <- d ||w|| / ||d||`.
        Layer = "layer",
        /// Each value is multiplied by its weight: `d <- d w`.
        Weight = "weight",
        /// Each filter gets norm 1.
        DFilter = "dfilter",
        /// Each tensor gets norm 1.
        DLayer = "dlayer",
        /// As drawn.
        None = "none",
    }
}

named_enum! {
    /// Which parameters a random direction leaves alone.
    pub enum Ignore("set of parameters to ignore") {
        /// None: one-dimensional tensors (biases, BatchNorm) get the weights themselves, as in the
        /// paper's code.
        None = "none",
        /// Biases and BatchNorm's scales and shifts: zero.
        BiasBn = "biasbn",
    }
}

/// A direction drawn from N(0, I) by stream `direction` at `index`, normalised to `theta`. Both
/// vectors are (P,) in layout order. Directions are not made orthogonal: in high dimension they
/// nearly are; [`cosine`] tells how nearly.
pub fn random_direction(
    layout: &ParamLayout,
    theta: &[f32],
    norm: Normalisation,
    ignore: Ignore,
    streams: &Streams,
    index: u64,
) -> Vec<f32> {
    let mut rng = streams.stream("direction", index);
    let mut direction: Vec<f32> = (0..layout.dim()).map(|_| rng.normal() as f32).collect();
    normalise(layout, theta, norm, ignore, &mut direction);
    direction
}

/// Scales `direction`, (P,), to `theta`, (P,), tensor by tensor.
pub fn normalise(
    layout: &ParamLayout,
    theta: &[f32],
    norm: Normalisation,
    ignore: Ignore,
    direction: &mut [f32],
) {
    for param in &layout.params {
        let (w, d) = (&theta[param.range()], &mut direction[param.range()]);
        if param.role != Role::Weight && param.shape.len() <= 1 {
            match ignore {
                Ignore::BiasBn => d.fill(0.0),
                Ignore::None => d.copy_from_slice(w),
            }
            continue;
        }
        let filter = w.len() / param.shape[0];
        match norm {
            Normalisation::Filter => per_chunk(d, w, filter, |d, w| w / (d + 1e-10)),
            Normalisation::Layer => per_chunk(d, w, w.len(), |d, w| w / d),
            Normalisation::DFilter => per_chunk(d, w, filter, |d, _| 1.0 / (d + 1e-10)),
            Normalisation::DLayer => per_chunk(d, w, w.len(), |d, _| 1.0 / d),
            Normalisation::Weight => d.iter_mut().zip(w).for_each(|(d, w)| *d *= w),
            Normalisation::None => {}
        }
    }
}

/// Multiplies each chunk of `d` by `factor(||d chunk||, ||w chunk||)`.
fn per_chunk(d: &mut [f32], w: &[f32], chunk: usize, factor: impl Fn(f64, f64) -> f64) {
    for (d, w) in d.chunks_mut(chunk).zip(w.chunks(chunk)) {
        let factor = factor(norm(d), norm(w));
        d.iter_mut().for_each(|v| *v = (f64::from(*v) * factor) as f32);
    }
}

fn norm(v: &[f32]) -> f64 {
    v.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt()
}

/// Cosine of the angle between two directions.
pub fn cosine(x: &[f32], y: &[f32]) -> f64 {
    let dot: f64 = x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
    dot / (norm(x) * norm(y))
}

/// The length of a vector.
pub(crate) fn length(v: &[f64]) -> f64 {
    v.iter().map(|v| v * v).sum::<f64>().sqrt()
}

/// The vector of length 1 in that direction; none for one of no or no finite length.
pub(crate) fn unit(v: Vec<f64>) -> Option<Vec<f64>> {
    let length = length(&v);
    (length > 0.0 && length.is_finite()).then(|| v.into_iter().map(|v| v / length).collect())
}

/// `v` without its part along `unit`, which has length 1.
pub(crate) fn without(mut v: Vec<f64>, unit: &[f64]) -> Vec<f64> {
    let along: f64 = v.iter().zip(unit).map(|(v, u)| v * u).sum();
    v.iter_mut().zip(unit).for_each(|(v, u)| *v -= along * u);
    v
}

/// As parameters are stored.
pub(crate) fn narrow(v: &[f64]) -> Vec<f32> {
    v.iter().map(|v| *v as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::ModelSpec;

    #[test]
    fn filter_normalisation_gives_each_filter_the_norm_of_its_weights() {
        let network = ModelSpec::of("resnet8").build([3, 32, 32], 10).unwrap();
        let theta = network.init_theta(&Streams::new(1));
        let d = random_direction(
            &network.layout,
            &theta,
            Normalisation::Filter,
            Ignore::BiasBn,
            &Streams::new(2),
            0,
        );
        for p in &network.layout.params {
            let (w, d) = (&theta[p.range()], &d[p.range()]);
            if p.role != Role::Weight {
                assert!(d.iter().all(|v| *v == 0.0), "{}", p.name);
                continue;
            }
            let filter = w.len() / p.shape[0];
            for (w, d) in w.chunks(filter).zip(d.chunks(filter)) {
                assert!((norm(w) - norm(d)).abs() < 1e-6 * norm(w), "{}", p.name);
            }
        }
    }

    #[test]
    fn one_dimensional_tensors_get_the_weights_where_nothing_is_ignored() {
        let network = ModelSpec::of("resnet8").build([3, 32, 32], 10).unwrap();
        let theta = network.init_theta(&Streams::new(1));
        let d = random_direction(
            &network.layout,
            &theta,
            Normalisation::Layer,
            Ignore::None,
            &Streams::new(2),
            0,
        );
        for p in &network.layout.params {
            let (w, d) = (&theta[p.range()], &d[p.range()]);
            match p.role {
                Role::Weight => assert!((norm(w) - norm(d)).abs() < 1e-6 * norm(w), "{}", p.name),
                _ => assert_eq!(w, d, "{}", p.name),
            }
        }
    }

    #[test]
    fn two_random_directions_are_nearly_perpendicular() {
        let network = ModelSpec::of("resnet20").build([3, 32, 32], 10).unwrap();
        let theta = network.init_theta(&Streams::new(1));
        let draw = |i| {
            random_direction(
                &network.layout,
                &theta,
                Normalisation::Filter,
                Ignore::BiasBn,
                &Streams::new(2),
                i,
            )
        };
        // The standard deviation of the cosine is about 1 / sqrt(270,000) = 0.002.
        assert!(cosine(&draw(0), &draw(1)).abs() < 0.012);
        assert!((cosine(&draw(0), &draw(0)) - 1.0).abs() < 1e-9);
    }
}
