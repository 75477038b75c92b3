//! The average of a run's weights along its path, recorded as a run of its own.
//!
//! Stochastic weight averaging (Izmailov et al. 2018, arXiv 1803.05407) takes the mean of the weights from
//! some point of the training on; an exponential moving average forgets the older ones. Both are of the
//! snapshots that the run has, so its `record.every` says how finely: one a step is the usual moving average,
//! one an epoch the paper's SWA. BatchNorm's statistics are computed anew at the average, as PyTorch's
//! `update_bn` does.

use std::path::Path;

use super::data;
use super::opened::OpenRun;
use super::train::manifest;
use crate::objective::Evaluation;
use crate::record::{Existing, Recorder, Run};
use crate::train::{EpochMetrics, Evaluator, Event, StepMetrics, Verdict};
use crate::{Error, Result};

/// How weights are averaged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Averaging {
    /// The mean of all snapshots from this share of the steps on, 0..1. Before, the average is the weights
    /// themselves.
    Mean {
        /// Share of the run's steps.
        from: f64,
    },
    /// `a <- decay a + (1 - decay) theta` at each snapshot, beginning with the first one.
    Exponential {
        /// From 0 up to, but not including, 1.
        decay: f64,
    },
}

impl Averaging {
    /// # Errors
    /// [`Error::BadValue`] for a number out of its range.
    fn check(self) -> Result<()> {
        match self {
            Self::Mean { from } if !(0.0..1.0).contains(&from) => {
                Err(Error::bad_value("from", from, "not a share below 1", "use 0.75, say"))
            }
            Self::Exponential { decay } if !(0.0..1.0).contains(&decay) => {
                Err(Error::bad_value("decay", decay, "not a share below 1", "use 0.9, say"))
            }
            _ => Ok(()),
        }
    }
}

/// The average of weights as they come, in double precision.
struct Average {
    averaging: Averaging,
    /// Steps of the whole run.
    steps: u64,
    sum: Vec<f64>,
    /// Weights that a mean is over.
    count: u64,
}

impl Average {
    /// The average with `theta`, the weights after `step` steps, taken in.
    fn with(&mut self, step: u64, theta: &[f32]) -> Vec<f32> {
        // The share of the new weights: 1 where they replace what was there.
        let share = match self.averaging {
            Averaging::Mean { from } if (step as f64) < from * self.steps as f64 => 1.0,
            Averaging::Mean { .. } => {
                self.count += 1;
                1.0 / self.count as f64
            }
            Averaging::Exponential { .. } if self.sum.is_empty() => 1.0,
            Averaging::Exponential { decay } => 1.0 - decay,
        };
        self.sum.resize(theta.len(), 0.0);
        for (sum, &w) in self.sum.iter_mut().zip(theta) {
            *sum += share * (f64::from(w) - *sum);
        }
        self.sum.iter().map(|&v| v as f32).collect()
    }
}

/// What an averaged run ends with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Averaged {
    /// Snapshots that were averaged over.
    pub snapshots: usize,
    /// The average on the training images.
    pub train: Evaluation,
    /// On the test images.
    pub test: Evaluation,
    /// The last weights themselves on the test images.
    pub own: Evaluation,
}

/// Writes the averages of `run` at each of its snapshots into the run folder `out`. `on_snapshot` is told
/// of those done and their number.
///
/// # Errors
/// Those of opening the run and its data; [`Error::Landscape`] for one that has not ended well; those of the
/// folder; [`Error::BadValue`] for an averaging out of its range.
pub fn of_run(
    run: &Run,
    out: &Path,
    averaging: Averaging,
    existing: Existing,
    data_dir: Option<&Path>,
    on_snapshot: &dyn Fn(usize, usize),
) -> Result<Averaged> {
    averaging.check()?;
    if crate::disk::is_same_file(out, run.root()) {
        return Err(Error::bad_value(
            "out",
            out.display(),
            "the run that is averaged",
            "name another folder",
        ));
    }
    let opened = OpenRun::new(run.clone());
    let mut spec = opened.spec()?.clone();
    let whole = data::of_run(&opened, data_dir)?;
    let snapshots = opened.snapshots(|info| !info.diverged)?;
    let infos = snapshots.infos();
    let setup = spec.setup(&whole)?;
    let steps_per_epoch = setup.steps_per_epoch()?;
    let steps = infos.last().map_or(0, |last| last.step);
    if infos.len() < 2 || steps % steps_per_epoch != 0 {
        return Err(Error::Landscape {
            what: format!("{} has not come to its end: there is nothing to average", run.name()),
            remedy: "go on with it: lossreel train --resume RUN".into(),
        });
    }
    // A snapshot is taken at each of the steps that are told of.
    spec.record.every = "1 step".parse()?;
    spec.record.sharpness = None;
    if let Some(dir) = data_dir {
        spec.data.dir = Some(dir.to_path_buf());
    }
    let (to, lock) = Run::create(out, &spec.to_toml(), existing)?;
    to.write_manifest(&manifest(&spec, &setup, &whole))?;
    let mut state = setup.begin()?;
    let mut recorder = Recorder::new(&to, lock, &spec.record, &state)?;
    let evaluator = Evaluator::new(&setup)?;
    let mut average = Average { averaging, steps, sum: Vec::new(), count: 0 };
    let mut ended = None;
    for (i, info) in infos.iter().enumerate() {
        let (theta, buffers) = snapshots.state(i)?;
        state.theta = average.with(info.step, &theta);
        state.buffers = if state.theta == theta || buffers.is_empty() {
            buffers.clone()
        } else {
            setup.statistics_at(&state.theta, &buffers)?
        };
        state.step = info.step;
        if i == 0 {
            let total_steps = steps_per_epoch.saturating_mul(spec.train.epochs);
            recorder.on(&setup, &Event::Begin { state: &state, steps_per_epoch, total_steps })?;
        } else {
            let [train, test] = evaluator.at(&state.theta, &state.buffers)?;
            let metrics = StepMetrics {
                step: info.step,
                epoch: info.epoch,
                lr: info.lr,
                loss: train.loss,
                correct: train.correct,
                answers: train.total,
                images: setup.data.train.len(),
                grad_norm: f64::NAN,
            };
            recorder.on(&setup, &Event::Step { state: &state, metrics })?;
            if info.step % steps_per_epoch == 0 {
                let metrics = EpochMetrics {
                    epoch: info.step / steps_per_epoch,
                    step: info.step,
                    lr: info.lr,
                    running_loss: train.loss,
                    running_accuracy: train.accuracy(),
                    train,
                    test,
                    elapsed_secs: 0.0,
                };
                recorder.on(&setup, &Event::Epoch { state: &state, metrics })?;
            }
            if i + 1 == infos.len() {
                let [_, own] = evaluator.at(&theta, &buffers)?;
                ended = Some(Averaged { snapshots: infos.len(), train, test, own });
            }
        }
        on_snapshot(i + 1, infos.len());
    }
    recorder.on(&setup, &Event::End { state: &state, verdict: Verdict::Finished })?;
    ended.ok_or_else(|| Error::Landscape {
        what: format!("{} has one snapshot only", run.name()),
        remedy: "record more of them".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_are_those_of_their_definitions() {
        let of = |averaging| {
            let mut average = Average { averaging, steps: 4, sum: Vec::new(), count: 0 };
            let thetas = [1.0f32, 3.0, 5.0, 10.0, 3.0];
            let values: Vec<f32> =
                (0..5).map(|step| average.with(step as u64, &[thetas[step]])[0]).collect();
            values
        };
        assert_eq!(of(Averaging::Mean { from: 0.0 }), [1.0, 2.0, 3.0, 4.75, 4.4]);
        // From step 2 on: before, the weights themselves.
        assert_eq!(of(Averaging::Mean { from: 0.5 }), [1.0, 3.0, 5.0, 7.5, 6.0]);
        assert_eq!(of(Averaging::Exponential { decay: 0.5 }), [1.0, 2.0, 3.5, 6.75, 4.875]);
        assert_eq!(of(Averaging::Exponential { decay: 0.0 }), [1.0, 3.0, 5.0, 10.0, 3.0]);
        for bad in [Averaging::Mean { from: 1.0 }, Averaging::Exponential { decay: f64::NAN }] {
            assert!(bad.check().is_err());
        }
    }
}
