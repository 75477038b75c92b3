//! Planes that the loss chooses, through the end of a run: of eigenvectors of the Hessian there, or of the
//! gradient and the last step. Both directions have length 1 and are orthogonal, and the path begins at the
//! lower left.

use std::sync::atomic::AtomicBool;

use super::opened::RunSet;
use super::plane::{Directions, of_run_along};
use super::{SampleChoice, Subject};
use crate::curvature::{Curvature, ExtremesConfig, extremes_and_vectors};
use crate::landscape::{Plane, PlaneKind, length, narrow, unit, without};
use crate::names::named_enum;
use crate::objective::Objective;
use crate::record::{Run, RunSnapshots};
use crate::render::numbers::{significant, thousands};
use crate::rng::Streams;
use crate::{Error, Result};

named_enum! {
    /// Which directions.
    pub enum LossDirections("directions of the loss") {
        /// x: against the gradient; y: the last step between snapshots without its part along x.
        Gradient = "gradient",
        /// The eigenvectors of the two largest eigenvalues of the Hessian.
        Hessian = "hessian",
        /// Those of the largest and of the smallest eigenvalue.
        HessianEnds = "hessian-ends",
    }
}

/// What a plane is made by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossPlaneRequest {
    /// Which directions.
    pub directions: LossDirections,
    /// The images of the loss.
    pub sample: SampleChoice,
    /// How well eigenvalues are found; how many is the directions' own.
    pub config: ExtremesConfig,
}

/// Makes the plane and writes it as `planes/NAME`. The loss is that of the subject's images in eval mode, with
/// the buffers of the run's last snapshot.
///
/// # Errors
/// [`Error::Landscape`] for a run without a finite snapshot (for the gradient without two), for a gradient that
/// is zero or not finite, and for eigenvalues that did not converge; [`Error::Interrupted`]; those of the disk
/// and the backend.
pub fn plane(
    run: &Run,
    subject: &Subject,
    request: &LossPlaneRequest,
    name: &str,
    interrupt: &AtomicBool,
) -> Result<Plane> {
    let mut infos = run.snapshots()?;
    infos.retain(|s| !s.diverged);
    let Some(last) = infos.len().checked_sub(1) else {
        return Err(Error::Landscape {
            what: format!("{} has no snapshot that is finite", run.name()),
            remedy: "lower optim.lr and train again".into(),
        });
    };
    let snapshots = RunSnapshots::new(infos, subject.network().layout.clone());
    let (end, buffers) = snapshots.state(last)?;
    let objective = subject.objective(request.sample)?.with_buffers(buffers)?;
    let samples = thousands(&objective.samples().to_string());
    let on = format!("on {samples} {} images", request.sample.split.adjective());
    let (kind, made, mut vectors) = match request.directions {
        LossDirections::Gradient => {
            let before = (last > 0).then(|| snapshots.state(last - 1)).transpose()?;
            let Some((before, _)) = before else {
                return Err(Error::Landscape {
                    what: format!("{} has one snapshot, and so no last step", run.name()),
                    remedy: "record more snapshots (record.every)".into(),
                });
            };
            let (x, y) = gradient_and_step(&objective, &end, &before)?;
            let made = format!(
                "x: against the gradient at the end {on}; y: the last step between snapshots without its part \
                 along x"
            );
            (PlaneKind::Gradient, made, [x, y])
        }
        directions => {
            let streams = Streams::new(request.sample.seed);
            let (made, vectors) =
                eigenvectors(&objective, &end, directions, request.config, &streams, interrupt)?;
            let kind = match directions {
                LossDirections::HessianEnds => PlaneKind::HessianEnds,
                _ => PlaneKind::Hessian,
            };
            (kind, format!("{made} {on}"), vectors)
        }
    };
    let (start, _) = snapshots.state(0)?;
    for vector in &mut vectors {
        let along: f64 = (start.iter().zip(&end).zip(&*vector))
            .map(|((s, e), v)| (f64::from(*s) - f64::from(*e)) * f64::from(*v))
            .sum();
        // Against the gradient is a way of its own: only eigenvectors have no sign.
        if along > 0.0 && kind != PlaneKind::Gradient {
            vector.iter_mut().for_each(|v| *v = -*v);
        }
    }
    let plane = of_run_along(run, &Directions::Given { kind, made, vectors: Box::new(vectors) })?;
    RunSet::from(run.clone()).write_plane(name, &plane)?;
    Ok(plane)
}

/// Against the gradient at `end`, and the step from `before` to `end` without its part along that; (P,) each.
fn gradient_and_step(
    objective: &dyn Objective,
    end: &[f32],
    before: &[f32],
) -> Result<(Vec<f32>, Vec<f32>)> {
    let mut gradient = vec![0.0; end.len()];
    objective.loss_and_grad(end, &mut gradient)?;
    let downhill: Vec<f64> = gradient.iter().map(|g| -f64::from(*g)).collect();
    let x = unit(downhill).ok_or_else(|| Error::Landscape {
        what: "the gradient at the end is zero or not finite".into(),
        remedy: "take --directions pca or hessian".into(),
    })?;
    let step: Vec<f64> =
        end.iter().zip(before).map(|(e, b)| f64::from(*e) - f64::from(*b)).collect();
    let moved = length(&step);
    let rest = without(step, &x);
    let y = Some(rest).filter(|rest| length(rest) > 1e-6 * moved).and_then(unit);
    let y = y.ok_or_else(|| Error::Landscape {
        what: "the last step between snapshots is zero, or goes along the gradient".into(),
        remedy: "take --directions pca or hessian".into(),
    })?;
    Ok((narrow(&x), narrow(&y)))
}

/// Two eigenvectors at `end`, and what they are.
fn eigenvectors(
    objective: &dyn Objective,
    end: &[f32],
    directions: LossDirections,
    config: ExtremesConfig,
    streams: &Streams,
    interrupt: &AtomicBool,
) -> Result<(String, [Vec<f32>; 2])> {
    let ends = directions == LossDirections::HessianEnds;
    let [largest, smallest] = if ends { [1, 1] } else { [2, 0] };
    let config = ExtremesConfig { largest, smallest, ..config };
    let hessian = Curvature::hessian(objective, end);
    let (found, [large, small]) = extremes_and_vectors(&hessian, config, streams, interrupt)?;
    let vectors: Vec<Vec<f32>> = large.into_iter().chain(small).collect();
    let Ok([x, y]) = <[Vec<f32>; 2]>::try_from(vectors) else {
        return Err(Error::Landscape {
            what: "the Hessian at the end is not finite, or has fewer than two eigenvalues".into(),
            remedy: "train with a lower optim.lr".into(),
        });
    };
    if !found.converged {
        return Err(Error::Landscape {
            what: format!(
                "the eigenvectors did not converge in {} products with the Hessian",
                config.max_iterations
            ),
            remedy: "raise --iterations or --tolerance, or take more images (--samples)".into(),
        });
    }
    let of =
        |values: &[f64], at: usize| significant(values.get(at).copied().unwrap_or(f64::NAN), 4);
    let large = of(&found.eigenvalues, 0);
    let made = if ends {
        let least = of(&found.smallest, 0);
        format!(
            "eigenvectors of the Hessian at the end, of its largest (x: {large}) and smallest (y: {least}) \
             eigenvalues,"
        )
    } else {
        let second = of(&found.eigenvalues, 1);
        format!(
            "eigenvectors of the Hessian at the end, of its largest eigenvalues ({large} and {second}),"
        )
    };
    Ok((made, [x, y]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::Quadratic;

    fn bowl() -> Quadratic {
        Quadratic { curvature: vec![3.0, -1.0, 0.5, 10.0], centre: vec![1.0, 2.0, 3.0, 4.0] }
    }

    #[test]
    fn the_gradient_and_what_is_left_of_the_step_span_the_plane() {
        let end = [2.0, 2.0, 3.0, 4.0];
        // The gradient is (3, 0, 0, 0).
        let (x, y) = gradient_and_step(&bowl(), &end, &[1.5, 2.0, 1.0, 4.0]).unwrap();
        assert_eq!((x, y), (vec![-1.0, 0.0, 0.0, 0.0], vec![0.0, 0.0, 1.0, 0.0]));
        let along = gradient_and_step(&bowl(), &end, &[1.5, 2.0, 3.0, 4.0]).unwrap_err();
        assert!(along.to_string().contains("goes along the gradient"), "{along}");
        let centre = [1.0, 2.0, 3.0, 4.0];
        let flat = gradient_and_step(&bowl(), &centre, &end).unwrap_err();
        assert!(flat.to_string().contains("zero"), "{flat}");
    }

    #[test]
    fn eigenvectors_are_those_of_the_ends_that_were_asked_for() {
        let config =
            ExtremesConfig { largest: 5, smallest: 5, tolerance: 1e-6, max_iterations: 20 };
        let streams = Streams::new(0);
        let of = |directions| {
            let end = [0.0; 4];
            let go = AtomicBool::new(false);
            eigenvectors(&bowl(), &end, directions, config, &streams, &go).unwrap()
        };
        let axis = |v: &[f32]| (0..4).find(|i| v[*i].abs() > 0.999);
        let (made, [x, y]) = of(LossDirections::Hessian);
        assert_eq!((axis(&x), axis(&y)), (Some(3), Some(0)));
        assert!(made.contains("(10 and 3)"), "{made}");
        let (made, [x, y]) = of(LossDirections::HessianEnds);
        assert_eq!((axis(&x), axis(&y)), (Some(3), Some(1)));
        assert!(made.contains("(y: −1)"), "{made}");
    }
}
