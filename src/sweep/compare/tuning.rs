//! The tuning of hyper-parameters: quasi-random trials, the same budget for every rule, and which of
//! them was best.
//!
//! The protocol is that of AlgoPerf's external tuning (Dahl et al. 2023, arXiv 2306.07179): in each study
//! every rule draws as many points from its own search space, the best of a study is kept, and studies
//! are independent repetitions. Points come from Sobol's sequence, scrambled by Owen's method anew for
//! each study; the k-th point of a study is the same place of the unit cube for every rule.

use crate::record::Run;
use crate::sweep::members::{Axis, AxisValue, Member, Members, member_name};
use crate::sweep::{Status, Sweep};
use crate::{Result, spec};

use super::contender::Dimension;
use super::file::{Tune, Workload};

/// The values of a rule's hyper-parameters in a trial.
pub fn point(space: &[Dimension], study: usize, trial: usize) -> Vec<f64> {
    let unit = |j: usize| f64::from(sobol_burley::sample(trial as u32, j as u32, study as u32));
    space.iter().enumerate().map(|(j, dimension)| dimension.at(unit(j))).collect()
}

/// `key=value` of each of a point's values.
pub fn settings(space: &[Dimension], point: &[f64]) -> Vec<String> {
    // With a decimal point, so that TOML reads a float.
    space.iter().zip(point).map(|(d, v)| format!("{}={v:?}", d.key)).collect()
}

/// The trials of all rules on a workload: an axis for the rules, one for the trials, studies as seeds.
/// `held_out` images are what they are judged on.
///
/// # Errors
/// A [`crate::Error::BadValue`] for more trials than the sequence has.
pub fn trials(workload: &Workload, tune: &Tune, held_out: usize) -> Result<Members> {
    let rules =
        workload.contenders.iter().map(|c| AxisValue { label: c.name.clone(), set: c.set.clone() });
    let numbers =
        (1..=tune.trials).map(|trial| AxisValue { label: trial.to_string(), set: Vec::new() });
    let axes = vec![
        Axis { name: "rule".into(), values: rules.collect() },
        Axis { name: "trial".into(), values: numbers.collect() },
    ];
    let base = spec::Spec::parse("", &workload.set)?.train.seed;
    let mut members = Vec::new();
    for (rule, contender) in workload.contenders.iter().enumerate() {
        for trial in 0..tune.trials {
            for study in 0..tune.studies {
                let point = point(&contender.space, study, trial);
                let seed = base + study as u64;
                let set: Vec<String> = [
                    workload.set.clone(),
                    contender.set.clone(),
                    settings(&contender.space, &point),
                    vec![
                        format!("data.held_out={held_out}"),
                        format!("train.seed={seed}"),
                        // Nothing looks at the path of a trial.
                        "record.every=\"1000000 epochs\"".into(),
                    ],
                    crate::sweep::file::changes(&tune.set),
                ]
                .concat();
                let values = vec![rule, trial];
                members.push(Member {
                    name: member_name(&axes, &values, seed),
                    values,
                    seed: study,
                    spec: spec::Spec::parse("", &set).map_err(|error| error.to_string()),
                });
            }
        }
    }
    Ok(Members { axes, seeds: tune.studies, members })
}

/// What a trial came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// Index of its rule.
    pub rule: usize,
    /// Which trial, from 0.
    pub trial: usize,
    /// Which study, from 0.
    pub study: usize,
    /// The values of the hyper-parameters, in the order of the rule's space.
    pub point: Vec<f64>,
    /// How far it is.
    pub status: Status,
    /// Accuracy on the images held out after each epoch: steps made, seconds spent, share.
    pub course: Vec<(u64, f64, f64)>,
    /// Accuracy and loss on them at the end; none for one that did not get there.
    pub end: Option<(f64, f64)>,
}

/// All trials of a sweep that [`trials`] made.
///
/// # Errors
/// Those of reading the runs.
pub fn results(sweep: &Sweep, workload: &Workload) -> Result<Vec<Trial>> {
    let states = sweep.states()?;
    let trial = |state: &crate::sweep::MemberState| -> Result<Trial> {
        let [rule, trial] = state.values[..] else { unreachable!("two axes") };
        let point = point(&workload.contenders[rule].space, state.seed, trial);
        let epochs = match Run::open(&state.run) {
            Ok(run) => run.metrics()?.epochs,
            Err(_) => Vec::new(),
        };
        let trained = matches!(state.status, Status::Done | Status::Trained);
        let last = epochs.last().filter(|e| trained && e.test_accuracy.is_finite());
        Ok(Trial {
            rule,
            trial,
            study: state.seed,
            point,
            status: state.status,
            end: last.map(|e| (e.test_accuracy, e.test_loss)),
            course: epochs.iter().map(|e| (e.step, e.elapsed_secs, e.test_accuracy)).collect(),
        })
    };
    states.iter().map(trial).collect()
}

/// The best trial of a rule in a study: the highest accuracy at the end on the images held out, of equal
/// ones that with the lowest loss; `None` where none came to its end.
pub fn best(trials: &[Trial], rule: usize, study: usize) -> Option<&Trial> {
    let of = trials.iter().filter(|t| t.rule == rule && t.study == study && t.end.is_some());
    let key = |t: &&Trial| t.end.map_or((f64::NEG_INFINITY, f64::NEG_INFINITY), |(a, l)| (a, -l));
    // Of equals the first: `max_by` would take the last.
    of.reduce(|best, t| if key(&t) > key(&best) { t } else { best })
}

/// The final runs of all rules on a workload: `seeds` each, the k-th with what the (k mod studies)-th
/// study found best; the rules' defaults where nothing was tuned. A rule none of whose trials came to an
/// end has impossible members that say so.
///
/// # Errors
/// As [`trials`].
pub fn finals(
    workload: &Workload,
    tuned: Option<(&[Trial], usize)>,
    seeds: usize,
) -> Result<Members> {
    let base = spec::Spec::parse("", &workload.set)?.train.seed;
    let chosen = |rule: usize, seed: usize| -> std::result::Result<Vec<String>, String> {
        let contender = &workload.contenders[rule];
        let Some((trials, studies)) = tuned else { return Ok(contender.set.clone()) };
        let best = best(trials, rule, seed % studies);
        let best = best.ok_or("none of the trials of this rule came to an end")?;
        Ok([contender.set.clone(), settings(&contender.space, &best.point)].concat())
    };
    let rules = workload.contenders.iter().enumerate().map(|(rule, contender)| AxisValue {
        label: contender.name.clone(),
        set: chosen(rule, 0).unwrap_or_else(|_| contender.set.clone()),
    });
    let axes = vec![Axis { name: "rule".into(), values: rules.collect() }];
    let mut members = Vec::new();
    for rule in 0..workload.contenders.len() {
        for seed in 0..seeds {
            let number = base + seed as u64;
            let spec = chosen(rule, seed).and_then(|own| {
                let set = [workload.set.clone(), own, vec![format!("train.seed={number}")]];
                spec::Spec::parse("", &set.concat()).map_err(|error| error.to_string())
            });
            let values = vec![rule];
            members.push(Member { name: member_name(&axes, &values, number), values, seed, spec });
        }
    }
    Ok(Members { axes, seeds, members })
}

#[cfg(test)]
mod tests {
    use super::super::contender::Contender;
    use super::*;

    fn workload() -> Workload {
        Workload {
            name: "w".into(),
            set: vec!["data.set=\"digits\"".into(), "train.seed=4".into()],
            target: None,
            contenders: ["sgd", "adam"].map(|name| Contender::named(name).unwrap()).to_vec(),
        }
    }

    #[test]
    fn every_rule_has_as_many_trials_at_the_same_places_of_the_cube() {
        let tune = Tune { trials: 8, studies: 2, ..Tune::default() };
        let workload = workload();
        let members = trials(&workload, &tune, 50).unwrap();
        assert_eq!(members.members.len(), 2 * 8 * 2);
        let unit = |rule: usize, trial: usize, study: usize| {
            let space = &workload.contenders[rule].space;
            space[0].unit(point(space, study, trial)[0])
        };
        for trial in 0..8 {
            assert!((unit(0, trial, 0) - unit(1, trial, 0)).abs() < 1e-3);
        }
        assert!((unit(0, 0, 0) - unit(0, 0, 1)).abs() > 1e-3, "studies draw for themselves");
        // Eight points of the sequence: one in each eighth of the range.
        let mut eighths: Vec<usize> = (0..8).map(|t| (8.0 * unit(0, t, 0)) as usize).collect();
        eighths.sort_unstable();
        assert_eq!(eighths, [0, 1, 2, 3, 4, 5, 6, 7]);
        let spec = members.members.last().unwrap().spec.as_ref().unwrap();
        assert_eq!((spec.train.seed, spec.data.held_out), (5, 50));
        // What was drawn is what the spec has.
        let found = point(&workload.contenders[1].space, 1, 7);
        assert_eq!((spec.optim.lr(), spec.optim.beta1), (found[0], Some(found[2])));
        // Trials of a larger budget begin with those of a smaller one.
        let more = trials(&workload, &Tune { trials: 9, ..tune }, 50).unwrap();
        assert!(members.members.iter().all(|m| more.members.contains(m)));
    }

    #[test]
    fn the_best_of_a_study_makes_the_final_runs() {
        let trial = |rule, trial, study, end| Trial {
            rule,
            trial,
            study,
            point: vec![0.01 * (trial + 1) as f64, 1e-4, 0.9],
            status: Status::Trained,
            course: Vec::new(),
            end,
        };
        let trials = [
            trial(0, 0, 0, Some((0.5, 1.0))),
            trial(0, 1, 0, Some((0.6, 1.0))),
            trial(0, 2, 0, Some((0.6, 0.9))),
            trial(0, 0, 1, Some((0.7, 1.0))),
            trial(0, 1, 1, None),
            trial(1, 0, 0, None),
        ];
        assert_eq!(best(&trials, 0, 0).unwrap().trial, 2);
        assert_eq!(best(&trials, 1, 0), None);
        let members = finals(&workload(), Some((&trials, 2)), 3).unwrap();
        let lr = |i: usize| members.members[i].spec.as_ref().unwrap().optim.lr();
        assert_eq!([lr(0), lr(1), lr(2)], [0.03, 0.01, 0.03]);
        let seed = members.members[2].spec.as_ref().unwrap().train.seed;
        assert_eq!(seed, 6);
        assert!(members.members[3].spec.as_ref().unwrap_err().contains("none of the trials"));
        let untuned = finals(&workload(), None, 1).unwrap();
        assert_eq!(untuned.members[0].spec.as_ref().unwrap().optim.lr(), 0.1);
    }
}
