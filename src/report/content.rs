//! All that a report says, as data.

use std::collections::BTreeMap;

use serde::Serialize;

use super::comparison::{Comparison, comparisons, value_words};
use super::quantities::{MemberValues, Quantity, by_quantity};
use super::statistics::{Summary, binomial_se, summary, variance_beyond_test_set};
use crate::sweep::{Axis, MemberState, Status, Sweep};

/// All that a report says.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The sweep's title.
    pub title: String,
    /// What it asks.
    pub question: Option<String>,
    /// Version of lossreel.
    pub version: String,
    /// The axes.
    pub axes: Vec<Axis>,
    /// Seeds of each combination.
    pub seeds: usize,
    /// Each combination of values with what its members have in common.
    pub groups: Vec<Group>,
    /// Each member.
    pub members: Vec<MemberRow>,
    /// Every comparison that can be made.
    pub comparisons: Vec<Comparison>,
    /// What the quantities are.
    pub definitions: BTreeMap<&'static str, &'static str>,
}

/// A combination of values.
#[derive(Debug, Clone, Serialize)]
pub struct Group {
    /// Label by axis.
    pub values: BTreeMap<String, String>,
    /// The same as a title.
    pub label: String,
    /// Members.
    pub members: usize,
    /// Of those, trained to their end.
    pub trained: usize,
    /// Diverged.
    pub diverged: usize,
    /// Failed.
    pub failed: usize,
    /// By quantity: number, mean, standard deviation and interval over seeds.
    pub quantities: BTreeMap<&'static str, GroupValue>,
    /// Standard error of a test accuracy on so many images, at the group's mean: what more seeds do not
    /// lower for one net.
    pub binomial_se: Option<f64>,
    /// Standard deviation over seeds that accuracies on endlessly many test images would have (Jordan
    /// 2023, arXiv 2304.01910); 0 where the estimate of its square is negative. Where answers were kept.
    pub true_sd: Option<f64>,
}

/// A quantity over the seeds of a combination.
#[derive(Debug, Clone, Serialize)]
pub struct GroupValue {
    /// Members that have it.
    pub n: usize,
    /// Mean.
    pub mean: f64,
    /// Standard deviation over seeds; none for one.
    pub sd: Option<f64>,
    /// Lower end of the 95 % interval of the mean.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
}

impl From<Summary> for GroupValue {
    fn from(s: Summary) -> Self {
        let finite = |v: f64| v.is_finite().then_some(v);
        let (low, high) = (finite(s.interval.low), finite(s.interval.high));
        Self { n: s.n, mean: s.mean, sd: finite(s.sd), low, high }
    }
}

/// A member.
#[derive(Debug, Clone, Serialize)]
pub struct MemberRow {
    /// Its name.
    pub name: String,
    /// Label by axis.
    pub values: BTreeMap<String, String>,
    /// Which seed, from 0.
    pub seed: usize,
    /// How far it is.
    pub status: Status,
    /// What went wrong.
    pub error: Option<String>,
    /// Its numbers.
    #[serde(flatten)]
    pub measured: MemberValues,
}

/// All that a report says of a sweep whose members are in `states` with their `values`.
pub(super) fn gather(sweep: &Sweep, states: &[MemberState], values: &[MemberValues]) -> Report {
    let axes = &sweep.about.axes;
    let labels = |state: &MemberState| -> BTreeMap<String, String> {
        let pairs = axes.iter().zip(&state.values);
        pairs.map(|(axis, &v)| (axis.name.clone(), axis.values[v].label.clone())).collect()
    };
    let mut combinations: Vec<&Vec<usize>> = states.iter().map(|s| &s.values).collect();
    combinations.dedup();
    let groups = combinations.iter().map(|combination| {
        let of: Vec<usize> =
            (0..states.len()).filter(|&i| states[i].values == **combination).collect();
        let count = |status| of.iter().filter(|&&i| states[i].status == status).count();
        let quantities: BTreeMap<&'static str, GroupValue> = (Quantity::ALL.into_iter())
            .filter_map(|quantity| {
                let known: Vec<f64> = of.iter().filter_map(|&i| values[i].get(quantity)).collect();
                Some((quantity.key(), summary(&known)?.into()))
            })
            .collect();
        let accuracy = quantities.get("test_accuracy").map(|v: &GroupValue| v.mean);
        let images = of.iter().find_map(|&i| values[i].test_images);
        let binomial_se =
            accuracy.zip(images).map(|(share, images)| binomial_se(share, images as f64));
        let right: Vec<&[bool]> = of.iter().filter_map(|&i| values[i].right.as_deref()).collect();
        Group {
            true_sd: variance_beyond_test_set(&right).map(|v| v.max(0.0).sqrt()),
            values: labels(&states[of[0]]),
            label: group_label(axes, combination),
            members: of.len(),
            trained: count(Status::Done) + count(Status::Trained),
            diverged: count(Status::Diverged),
            failed: count(Status::Failed),
            quantities,
            binomial_se,
        }
    });
    let members = states.iter().zip(values).map(|(state, measured)| MemberRow {
        name: state.name.clone(),
        values: labels(state),
        seed: state.seed,
        status: state.status,
        error: state.error.clone(),
        measured: measured.clone(),
    });
    let known = by_quantity(values);
    Report {
        title: sweep.about.title.clone(),
        question: sweep.about.question.clone(),
        version: env!("CARGO_PKG_VERSION").into(),
        axes: axes.clone(),
        seeds: sweep.about.seeds,
        groups: groups.collect(),
        members: members.collect(),
        comparisons: comparisons(sweep, states, values),
        definitions: known.keys().map(|q| (q.key(), q.definition())).collect(),
    }
}

/// `shortcut none, width 2`; `all runs` where there is no axis.
fn group_label(axes: &[Axis], combination: &[usize]) -> String {
    if axes.is_empty() {
        return "all runs".into();
    }
    let words = axes
        .iter()
        .zip(combination)
        .map(|(axis, &v)| value_words(&axis.name, &axis.values[v].label));
    words.collect::<Vec<_>>().join(", ")
}
