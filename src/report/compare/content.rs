//! All that a comparison's report says, as data.

use serde::Serialize;

use crate::Result;
use crate::record::Run;
use crate::report::content::{Report, gather};
use crate::report::quantities::{MemberValues, values_of};
use crate::report::scoring::{MAX_TAU, Profile, best_in_study, over_studies, profiles};
use crate::sweep::compare::tuning::{Trial, best, results};
use crate::sweep::compare::{Comparison, Tune, Workload, WorkloadAbout};
use crate::sweep::{MemberState, Status, Sweep};

/// All that a comparison's report says.
#[derive(Debug, Clone, Serialize)]
pub struct ComparisonReport {
    /// Headline.
    pub title: String,
    /// What it asks.
    pub question: Option<String>,
    /// Version of lossreel.
    pub version: String,
    /// The rules, in the order of the file.
    pub rules: Vec<String>,
    /// The budget of tuning; none where nothing was tuned.
    pub tune: Option<TuneBudget>,
    /// Each problem.
    pub workloads: Vec<WorkloadReport>,
    /// Scores over all problems, from the trials and from the final runs.
    pub scores: Vec<RuleScore>,
    /// Performance profiles over problems and seeds, of steps to the target.
    pub profiles: Vec<Vec<(f64, f64)>>,
}

/// What every rule had for its tuning.
#[derive(Debug, Clone, Serialize)]
pub struct TuneBudget {
    /// Draws for each rule in each study.
    pub trials: usize,
    /// Repetitions.
    pub studies: usize,
    /// Keys that trials changed, so that a trial was not a final run.
    pub set: Vec<String>,
}

/// One problem.
#[derive(Debug, Clone, Serialize)]
pub struct WorkloadReport {
    /// Its name.
    pub name: String,
    /// The test accuracy whose reaching is timed.
    pub target: Option<f64>,
    /// Whether it was fixed before the runs; otherwise it is what the first rule ended with on average.
    pub target_given: bool,
    /// Images that trials were judged on.
    pub held_out: usize,
    /// How each rule was tuned; empty where none was.
    pub tuning: Vec<TunedRule>,
    /// When each rule reached the target, in its final runs.
    pub to_target: Vec<TargetRow>,
    /// The final runs: means, members, comparisons with the first rule.
    #[serde(rename = "final")]
    pub finals: Report,
    #[serde(skip)]
    pub(super) states: Vec<MemberState>,
    #[serde(skip)]
    pub(super) values: Vec<MemberValues>,
}

/// How a rule was tuned.
#[derive(Debug, Clone, Serialize)]
pub struct TunedRule {
    /// The rule.
    pub rule: String,
    /// What makes it what it is, besides its defaults.
    pub set: Vec<String>,
    /// What was tuned.
    pub keys: Vec<TunedKey>,
    /// Every trial.
    pub trials: Vec<TriedPoint>,
    /// Trials that diverged.
    pub diverged: usize,
    /// Trials that failed.
    pub failed: usize,
    /// The best accuracy on the images held out, by study.
    pub best: Vec<Option<f64>>,
}

/// A hyper-parameter that was tuned.
#[derive(Debug, Clone, Serialize)]
pub struct TunedKey {
    /// Its key in the spec.
    pub key: String,
    /// Lower end of its range.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// The best value, by study.
    pub best: Vec<Option<f64>>,
    /// Whether a best value lies in the outer tenth of the range: a better one may lie beyond.
    pub at_edge: bool,
}

/// A trial.
#[derive(Debug, Clone, Serialize)]
pub struct TriedPoint {
    /// Which study, from 0.
    pub study: usize,
    /// Which trial of it, from 0.
    pub trial: usize,
    /// Values in the order of the keys.
    pub values: Vec<f64>,
    /// Accuracy on the images held out, at the end; none for one that did not come there.
    pub accuracy: Option<f64>,
    /// How far it is.
    pub status: Status,
    /// Whether it is the best of its study.
    pub is_best: bool,
}

/// When a rule reached the target.
#[derive(Debug, Clone, Serialize)]
pub struct TargetRow {
    /// The rule.
    pub rule: String,
    /// Final runs that reached it.
    pub reached: usize,
    /// Final runs that ended.
    pub runs: usize,
    /// Median over seeds of the steps it took; none where the half did not reach it.
    pub steps: Option<f64>,
    /// Of epochs.
    pub epochs: Option<f64>,
    /// Of seconds of training, this machine's, evaluations included.
    pub seconds: Option<f64>,
    /// Steps of each seed; none where it was not reached.
    pub steps_by_seed: Vec<Option<u64>>,
}

/// A rule's scores: shares of the area under its performance profile up to four times the best.
#[derive(Debug, Clone, Serialize)]
pub struct RuleScore {
    /// The rule.
    pub rule: String,
    /// By AlgoPerf's protocol from the trials: steps to the target on the images held out, best of each
    /// study, median over studies, one instance a problem. None without tuning.
    pub tuning: Option<f64>,
    /// From the final runs: steps to the target on the test images, each seed of each problem an instance.
    pub finals: Option<f64>,
}

impl ComparisonReport {
    /// Gathers what is there, finished or not.
    ///
    /// # Errors
    /// Those of reading the sweeps.
    pub fn of(comparison: &Comparison) -> Result<Self> {
        let about = &comparison.about;
        let rules: Vec<String> =
            about.workloads[0].contenders.iter().map(|c| c.name.clone()).collect();
        let mut workloads = Vec::new();
        let (mut by_trial, mut by_seed) =
            (vec![Vec::new(); rules.len()], vec![Vec::new(); rules.len()]);
        for workload in &about.workloads {
            let Some(finals) = comparison.finals(workload)? else { continue };
            let trials = match (&about.tune, comparison.tuning(workload)?) {
                (Some(_), Some(sweep)) => results(&sweep, &Workload::from(workload))?,
                _ => Vec::new(),
            };
            let (report, courses) =
                workload_report(workload, &finals, &trials, about.tune.as_ref())?;
            for rule in 0..rules.len() {
                let Some(target) = report.target else { continue };
                for course in courses.iter().filter(|course| course.rule == rule) {
                    by_seed[rule].push(steps_to(&course.points, target));
                }
                if let Some(tune) = &about.tune {
                    let of_study = |study: usize| {
                        let of = trials.iter().filter(|t| t.rule == rule && t.study == study);
                        let times: Vec<Option<f64>> =
                            of.map(|t| first(&t.course, target).map(|p| p.0 as f64)).collect();
                        best_in_study(&times)
                    };
                    let studies: Vec<f64> = (0..tune.studies).map(of_study).collect();
                    by_trial[rule].push(over_studies(&studies));
                }
            }
            workloads.push(report);
        }
        let scored = |times: &[Vec<f64>]| -> Option<Vec<Profile>> {
            let instances = times.first().map_or(0, Vec::len);
            // Where nobody reached any target there is nothing to tell apart.
            let any = times.iter().flatten().any(|t| t.is_finite());
            (any && instances > 0 && times.iter().all(|t| t.len() == instances))
                .then(|| profiles(times))
        };
        let (trial_profiles, seed_profiles) = (scored(&by_trial), scored(&by_seed));
        let of = |profiles: &Option<Vec<Profile>>, rule: usize| {
            profiles.as_ref().map(|profiles| profiles[rule].score(MAX_TAU))
        };
        let scores = rules.iter().enumerate().map(|(rule, name)| RuleScore {
            rule: name.clone(),
            tuning: of(&trial_profiles, rule),
            finals: of(&seed_profiles, rule),
        });
        Ok(Self {
            title: about.title.clone(),
            question: about.question.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            tune: about.tune.as_ref().map(|tune| TuneBudget {
                trials: tune.trials,
                studies: tune.studies,
                set: tune.set.iter().map(|(key, value)| format!("{key}={value}")).collect(),
            }),
            scores: scores.collect(),
            profiles: seed_profiles.iter().flatten().map(|p| p.steps(MAX_TAU)).collect(),
            rules,
            workloads,
        })
    }
}

/// How a final run's test accuracy went.
struct Course {
    rule: usize,
    /// Steps made, seconds spent, share of right answers.
    points: Vec<(u64, f64, f64)>,
}

fn first(course: &[(u64, f64, f64)], target: f64) -> Option<&(u64, f64, f64)> {
    course.iter().find(|point| point.2 >= target)
}

fn steps_to(course: &[(u64, f64, f64)], target: f64) -> f64 {
    first(course, target).map_or(f64::INFINITY, |point| point.0 as f64)
}

fn workload_report(
    workload: &WorkloadAbout,
    finals: &Sweep,
    trials: &[Trial],
    tune: Option<&Tune>,
) -> Result<(WorkloadReport, Vec<Course>)> {
    let states = finals.states()?;
    let values: Vec<MemberValues> =
        states.iter().map(|state| values_of(finals, state)).collect::<Result<_>>()?;
    let report = gather(finals, &states, &values);
    let mut courses = Vec::new();
    for state in &states {
        let points = match Run::open(&state.run) {
            Ok(run) => {
                let epochs = run.metrics()?.epochs;
                epochs.iter().map(|e| (e.step, e.elapsed_secs, e.test_accuracy)).collect()
            }
            Err(_) => Vec::new(),
        };
        courses.push(Course { rule: state.values[0], points });
    }
    let first_rule = report.groups.first().and_then(|g| g.quantities.get("test_accuracy"));
    let target = workload.target.or(first_rule.map(|accuracy| accuracy.mean));
    let to_target = match target {
        None => Vec::new(),
        Some(target) => (workload.contenders.iter().enumerate())
            .map(|(rule, contender)| {
                let of: Vec<&Course> = courses.iter().filter(|c| c.rule == rule).collect();
                target_row(&contender.name, &of, target)
            })
            .collect(),
    };
    let tuning = tune.map_or(Vec::new(), |tune| {
        let rules = 0..workload.contenders.len();
        rules.map(|rule| tuned_rule(workload, rule, trials, tune.studies)).collect()
    });
    let report = WorkloadReport {
        name: workload.name.clone(),
        target,
        target_given: workload.target.is_some(),
        held_out: workload.held_out,
        tuning,
        to_target,
        finals: report,
        states,
        values,
    };
    Ok((report, courses))
}

fn target_row(rule: &str, courses: &[&Course], target: f64) -> TargetRow {
    let hits: Vec<Option<&(u64, f64, f64)>> =
        courses.iter().map(|course| first(&course.points, target)).collect();
    // Steps of an epoch: those of the first one.
    let per_epoch = courses.iter().find_map(|c| c.points.first()).map_or(1, |p| p.0.max(1)) as f64;
    let median = |of: &dyn Fn(&(u64, f64, f64)) -> f64| {
        let times: Vec<f64> = hits.iter().map(|hit| hit.map_or(f64::INFINITY, of)).collect();
        Some(over_studies(&times)).filter(|t| t.is_finite())
    };
    TargetRow {
        rule: rule.into(),
        reached: hits.iter().flatten().count(),
        runs: courses.len(),
        steps: median(&|p| p.0 as f64),
        epochs: median(&|p| p.0 as f64 / per_epoch),
        seconds: median(&|p| p.1),
        steps_by_seed: hits.iter().map(|hit| hit.map(|p| p.0)).collect(),
    }
}

fn tuned_rule(
    workload: &WorkloadAbout,
    rule: usize,
    trials: &[Trial],
    studies: usize,
) -> TunedRule {
    let contender = &workload.contenders[rule];
    let bests: Vec<Option<&Trial>> = (0..studies).map(|study| best(trials, rule, study)).collect();
    let of = || trials.iter().filter(|trial| trial.rule == rule);
    let keys = contender.space.iter().enumerate().map(|(j, dimension)| {
        let best: Vec<Option<f64>> = bests.iter().map(|b| b.map(|t| t.point[j])).collect();
        TunedKey {
            key: dimension.key.clone(),
            low: dimension.low,
            high: dimension.high,
            at_edge: best.iter().flatten().any(|value| dimension.at_edge(*value)),
            best,
        }
    });
    TunedRule {
        rule: contender.name.clone(),
        set: contender.set.clone(),
        keys: keys.collect(),
        trials: of()
            .map(|trial| TriedPoint {
                study: trial.study,
                trial: trial.trial,
                values: trial.point.clone(),
                accuracy: trial.end.map(|end| end.0),
                status: trial.status,
                is_best: bests[trial.study].is_some_and(|b| b.trial == trial.trial),
            })
            .collect(),
        diverged: of().filter(|trial| trial.status == Status::Diverged).count(),
        failed: of().filter(|trial| trial.status == Status::Failed).count(),
        best: bests.iter().map(|b| b.and_then(|t| t.end).map(|end| end.0)).collect(),
    }
}
