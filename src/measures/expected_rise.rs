//! The expected rise of the loss along random filter-normalised directions.
//!
//! One random plane is one draw and proves little; the mean over many directions has an error. Filter
//! normalisation (Li et al. 2018) gives each filter of a direction the length of the weights' own, so that the
//! measure is the same for two networks that differ by the scale of filters that a normalisation takes out
//! again.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::curvature::Mean;
use crate::landscape::{Ignore, Normalisation, random_direction, theta_at};
use crate::network::ParamLayout;
use crate::objective::Objective;
use crate::rng::Streams;
use crate::{Error, Result, parallel};

/// The mean rise at a radius.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rise {
    /// The radius: 1 is as far as the weights are long, filter by filter.
    pub radius: f64,
    /// The mean over directions, and its standard error over them.
    pub mean: Mean,
}

/// The mean rise of `objective` from `theta`, whose parameters are as in `layout`, at each of `radii` over
/// `directions` random directions of `streams` (stream `direction`), biases and BatchNorm left alone.
///
/// # Errors
/// [`Error::BadValue`] for fewer than 2 directions; [`Error::Interrupted`]; those of the objective.
pub fn expected_rise(
    objective: &dyn Objective,
    layout: &ParamLayout,
    theta: &[f32],
    radii: &[f64],
    directions: usize,
    streams: &Streams,
    interrupt: &AtomicBool,
) -> Result<Vec<Rise>> {
    if directions < 2 {
        let problem = "too few for an error over directions";
        return Err(Error::bad_value("directions", directions, problem, "use 2 or more"));
    }
    let middle = objective.loss(theta)?.loss;
    let all: Vec<u64> = (0..directions as u64).collect();
    let rises: Vec<Vec<f64>> = parallel::map(&all, |&index| {
        let draw = |norm, ignore| random_direction(layout, theta, norm, ignore, streams, index);
        let direction = draw(Normalisation::Filter, Ignore::BiasBn);
        radii
            .iter()
            .map(|&radius| {
                if interrupt.load(Ordering::Relaxed) {
                    return Err(Error::Interrupted { remedy: "run the same command again".into() });
                }
                let at = theta_at(theta, &direction, &direction, [radius, 0.0]);
                Ok(objective.loss(&at)?.loss - middle)
            })
            .collect()
    })?;
    let of = |(k, &radius): (usize, &f64)| {
        let each: Vec<f64> = rises.iter().map(|rise| rise[k]).collect();
        Rise { radius, mean: Mean::of(&each) }
    };
    Ok(radii.iter().enumerate().map(of).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::backend::{BackendName, backend};
    use crate::dataset::{DataSet, LoadOptions, NormChoice, NormStats, load};
    use crate::models::ModelSpec;
    use crate::network::Role;
    use crate::objective::{DatasetObjective, Quadratic};

    static NEVER: AtomicBool = AtomicBool::new(false);

    #[test]
    fn a_quadratics_rise_is_the_radius_squared_times_what_its_curvature_says() {
        let layout = ModelSpec::of("lenet5").build([1, 28, 28], 10).unwrap().layout;
        let theta = vec![1.0f32; layout.dim()];
        let of = Quadratic {
            curvature: vec![2.0; theta.len()],
            centre: theta.iter().map(|v| f64::from(*v)).collect(),
        };
        let found =
            expected_rise(&of, &layout, &theta, &[0.5, 1.0], 4, &Streams::new(1), &NEVER).unwrap();
        // Each filter of a direction is as long as that of theta: |d|^2 counts the weights.
        let weights: usize =
            layout.params.iter().filter(|p| p.role == Role::Weight).map(|p| p.len()).sum();
        for rise in found {
            let want = weights as f64 * rise.radius.powi(2);
            assert!((rise.mean.value - want).abs() < 1e-4 * want, "{rise:?} {want}");
            assert!(rise.mean.se < 1e-4 * want);
        }
    }

    #[test]
    fn scaling_filters_that_batch_norm_takes_out_again_changes_nothing() {
        let data = load(DataSet::Digits, &LoadOptions::default()).unwrap();
        let network = ModelSpec::of("resnet8").build(data.shape(), data.classes).unwrap();
        let layout = network.layout.clone();
        let theta = network.init_theta(&Streams::new(1));
        let mut buffers = network.init_buffers();
        let sample = data.train.select(&(0..40).collect::<Vec<_>>());
        let stats = NormStats::of(&data, &NormChoice::Dataset).unwrap();
        let engine = backend(BackendName::Native, Arc::new(network)).unwrap();
        let rise = |theta: &[f32], buffers: Vec<f32>| {
            let of = DatasetObjective::new(
                engine.clone(),
                buffers,
                Arc::new(sample.clone()),
                stats.clone(),
                data.max_value,
            )
            .unwrap();
            let streams = Streams::new(3);
            expected_rise(&of, &layout, theta, &[0.5], 3, &streams, &NEVER).unwrap()[0].mean
        };
        let before = rise(&theta, buffers.clone());
        // The stem's first filter four times as large (a power of two: exact), and its statistics.
        let stem = &layout.params[0];
        let mut scaled = theta.clone();
        let filter = stem.len() / stem.shape[0];
        scaled[stem.offset..stem.offset + filter].iter_mut().for_each(|w| *w *= 4.0);
        buffers[layout.buffers[0].offset] *= 4.0;
        buffers[layout.buffers[1].offset] *= 16.0;
        let after = rise(&scaled, buffers);
        // BatchNorm's epsilon of 1e-5 beside a variance of 1, and f32.
        let off = (after.value - before.value).abs();
        assert!(off < 1e-4 * before.value.abs(), "{before:?} {after:?}");
    }
}
