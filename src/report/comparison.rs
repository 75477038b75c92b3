//! Comparisons along each axis of a sweep: every value with the first, the other axes held, paired by
//! seed, corrected for being several, and said in a sentence.

use serde::{Serialize, Serializer};

use super::quantities::{MemberValues, Quantity, Scale};
use super::statistics::{Difference, Interval, holm, paired, seeds_needed};
use crate::render::numbers::{fixed, number};
use crate::sweep::{MemberState, Sweep};

/// The family-wise level at which a difference counts as seen.
const ALPHA: f64 = 0.05;

/// Seeds that nobody trains: beyond, the number itself says nothing.
const MANY: usize = 1000;

/// One value of an axis against another.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// The axis.
    pub axis: String,
    /// What the other axes are held at: name and label.
    pub held: Vec<(String, String)>,
    /// The label that is compared with.
    pub a: String,
    /// The label that is compared.
    pub b: String,
    /// Of what.
    pub quantity: Quantity,
    /// b minus a, or where the scale is a ratio b over a: in percentage points or as a factor.
    #[serde(serialize_with = "finite")]
    pub difference: f64,
    /// Lower end of its 95 % interval by Student's t.
    #[serde(serialize_with = "finite")]
    pub low: f64,
    /// Upper end.
    #[serde(serialize_with = "finite")]
    pub high: f64,
    /// Whether the three are a ratio.
    pub is_ratio: bool,
    /// Two-sided p of no difference.
    #[serde(serialize_with = "finite")]
    pub p: f64,
    /// p after Holm's correction over all comparisons of the report.
    #[serde(serialize_with = "finite")]
    pub p_holm: f64,
    /// Seeds that both have.
    pub seeds: usize,
    /// Hedges' g of the differences (of logarithms, for ratios).
    #[serde(serialize_with = "finite")]
    pub effect: f64,
    /// Ends of the 95 % interval by the bootstrap over seeds, as `low` and `high`.
    #[serde(serialize_with = "finites")]
    pub bootstrap: [f64; 2],
    /// Whether the difference is seen: p after Holm below 5 %.
    pub seen: bool,
    /// Seeds that would be needed to see it, where it is not.
    pub seeds_needed: Option<usize>,
    /// All of this in a sentence.
    pub sentence: String,
}

/// JSON has no infinity: an end that is not known is null.
fn finite<S: Serializer>(value: &f64, out: S) -> Result<S::Ok, S::Error> {
    value.is_finite().then_some(*value).serialize(out)
}

fn finites<S: Serializer>(values: &[f64; 2], out: S) -> Result<S::Ok, S::Error> {
    values.map(|value| value.is_finite().then_some(value)).serialize(out)
}

/// Compares all that can be compared in a sweep.
pub fn comparisons(
    sweep: &Sweep,
    states: &[MemberState],
    values: &[MemberValues],
) -> Vec<Comparison> {
    let axes = &sweep.about.axes;
    let mut found: Vec<(Comparison, Difference)> = Vec::new();
    for (i, axis) in axes.iter().enumerate() {
        for held in settings(states, i) {
            for b in 1..axis.values.len() {
                for quantity in Quantity::ALL {
                    let of = |value: usize, seed: usize| {
                        let at = |s: &&MemberState| {
                            s.seed == seed && s.values[i] == value && others(&s.values, i) == held
                        };
                        let index = states.iter().position(|s| at(&s))?;
                        let value = values[index].get(quantity)?;
                        match quantity.scale() {
                            Scale::Points => Some(100.0 * value),
                            Scale::Ratio => (value > 0.0).then(|| value.ln()),
                        }
                    };
                    let seeds = 0..sweep.about.seeds;
                    let pairs: Vec<(f64, f64)> =
                        seeds.filter_map(|seed| of(0, seed).zip(of(b, seed))).collect();
                    let Some(difference) = paired(&pairs, 0) else { continue };
                    let names = (0..axes.len()).filter(|&j| j != i).zip(&held);
                    let held = names
                        .map(|(j, &v)| (axes[j].name.clone(), axes[j].values[v].label.clone()))
                        .collect();
                    let labels = [0, b].map(|v| axis.values[v].label.clone());
                    found.push((
                        comparison(&axis.name, held, labels, quantity, &difference),
                        difference,
                    ));
                }
            }
        }
    }
    let adjusted = holm(&found.iter().map(|(c, _)| c.p).collect::<Vec<_>>());
    let family = found.len();
    let finish = |((mut comparison, difference), p_holm): ((Comparison, Difference), f64)| {
        comparison.p_holm = p_holm;
        comparison.seen = p_holm < ALPHA;
        if !comparison.seen {
            let needed = seeds_needed(difference.difference, difference.sd);
            comparison.seeds_needed = needed.filter(|n| *n > comparison.seeds);
        }
        comparison.sentence = sentence(&comparison, family);
        comparison
    };
    found.into_iter().zip(adjusted).map(finish).collect()
}

/// The values on the axes but `i`.
fn others(values: &[usize], i: usize) -> Vec<usize> {
    values.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, v)| *v).collect()
}

/// All that the axes but `i` are set to, in order.
fn settings(states: &[MemberState], i: usize) -> Vec<Vec<usize>> {
    let mut settings: Vec<Vec<usize>> = states.iter().map(|s| others(&s.values, i)).collect();
    settings.sort();
    settings.dedup();
    settings
}

fn comparison(
    axis: &str,
    held: Vec<(String, String)>,
    [a, b]: [String; 2],
    quantity: Quantity,
    difference: &Difference,
) -> Comparison {
    let is_ratio = quantity.scale() == Scale::Ratio;
    let shown = |v: f64| if is_ratio { v.exp() } else { v };
    let Interval { low, high } = difference.interval.map(shown);
    let bootstrap = difference.bootstrap.map(shown);
    Comparison {
        axis: axis.into(),
        held,
        a,
        b,
        quantity,
        difference: shown(difference.difference),
        low,
        high,
        is_ratio,
        p: difference.p,
        p_holm: f64::NAN,
        seeds: difference.n,
        effect: difference.effect,
        bootstrap: [bootstrap.low, bootstrap.high],
        seen: false,
        seeds_needed: None,
        sentence: String::new(),
    }
}

/// A value of an axis as a sentence has it: `shortcut none`, `lr 0.1`; a rule by its name alone.
pub fn value_words(axis: &str, label: &str) -> String {
    if axis == "rule" || axis == "optim.rule" {
        return label.into();
    }
    let name = axis.rsplit('.').next().unwrap_or(axis).replace('_', " ");
    format!("{name} {label}")
}

impl Comparison {
    /// Whether the difference has a direction: seen, or beyond chance if it were the only comparison.
    fn has_direction(&self) -> bool {
        self.seen || self.p < ALPHA
    }
}

/// What a comparison shows, one of `family` in its report.
fn sentence(c: &Comparison, family: usize) -> String {
    let held = match c.held.is_empty() {
        true => String::new(),
        false => {
            let words: Vec<String> =
                c.held.iter().map(|(axis, label)| value_words(axis, label)).collect();
            format!(" (at {})", words.join(", "))
        }
    };
    let (a, b) = (value_words(&c.axis, &c.a), value_words(&c.axis, &c.b));
    let subject = c.quantity.subject();
    let [more, less] = c.quantity.comparatives();
    let seeds = match c.seeds {
        1 => "1 seed".to_string(),
        n => format!("{n} seeds"),
    };
    let interval = match (c.low.is_finite(), c.seeds) {
        (false, _) | (_, 1) => format!("{seeds}, so no interval"),
        _ => format!("95 % {}, {seeds}", range(c)),
    };
    if c.has_direction() {
        let is_more = if c.is_ratio { c.difference > 1.0 } else { c.difference > 0.0 };
        let how = if is_more { more } else { less };
        let amount = if c.is_ratio {
            let times = if is_more { c.difference } else { 1.0 / c.difference };
            format!("{} times {how}", factor(times))
        } else {
            format!("{} points {how}", fixed(c.difference.abs(), 1))
        };
        let said = format!("With {b} {subject} is {amount} than with {a}{held} ({interval})");
        if c.seen {
            return said + ".";
        }
        let p = number(c.p_holm);
        return format!(
            "{said}; one of {family} comparisons may show as much by chance (p = {p})."
        );
    }
    let middle = if c.is_ratio {
        format!("ratio {}", factor(c.difference))
    } else {
        format!("difference {} points", fixed(c.difference, 1))
    };
    let needed = match c.seeds_needed {
        Some(n) if n > MANY => {
            format!(
                "; more than {} seeds would be needed to see a difference of this size",
                number(MANY as f64)
            )
        }
        Some(n) => format!("; about {n} seeds would be needed to see a difference of this size"),
        None => String::new(),
    };
    format!(
        "In {} {b} and {a}{held} are not distinguishable ({middle}, {interval}){needed}.",
        c.quantity.title().to_lowercase()
    )
}

/// A ratio: two decimals near 1, three digits elsewhere.
fn factor(value: f64) -> String {
    if (0.1..10.0).contains(&value) { fixed(value, 2) } else { number(value) }
}

/// The interval as the sentence's direction has it.
fn range(c: &Comparison) -> String {
    let (low, high) =
        match (c.is_ratio, c.has_direction(), c.difference < if c.is_ratio { 1.0 } else { 0.0 }) {
            (true, true, true) => (1.0 / c.high, 1.0 / c.low),
            (false, true, true) => (-c.high, -c.low),
            _ => (c.low, c.high),
        };
    if c.is_ratio {
        format!("{} to {}", factor(low), factor(high))
    } else {
        format!("{} to {}", fixed(low, 1), fixed(high, 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::statistics::paired;

    fn of(quantity: Quantity, pairs: &[(f64, f64)]) -> Comparison {
        let difference = paired(pairs, 0).unwrap();
        let labels = ["projection".to_string(), "none".to_string()];
        let mut c = comparison("model.shortcut", Vec::new(), labels, quantity, &difference);
        c.p_holm = c.p;
        c.seen = c.p < ALPHA;
        c.seeds_needed = seeds_needed(difference.difference, difference.sd).filter(|_| !c.seen);
        c.sentence = sentence(&c, 1);
        c
    }

    #[test]
    fn a_difference_that_is_seen_is_said_with_its_size_and_interval() {
        let third = (1.0f64 / 3.0).ln();
        let c = of(Quantity::BasinWidth, &[(0.0, third), (0.1, third + 0.12), (0.2, third + 0.19)]);
        assert!(c.sentence.starts_with("With shortcut none the basin is 2.9"), "{}", c.sentence);
        assert!(
            c.sentence.contains("times narrower than with shortcut projection (95 %"),
            "{}",
            c.sentence
        );
        assert!(c.sentence.contains("3 seeds"), "{}", c.sentence);
        let c = of(Quantity::TestAccuracy, &[(90.0, 94.0), (91.0, 95.1), (92.0, 95.9)]);
        assert!(c.sentence.contains("the test accuracy is 4.0 points higher"), "{}", c.sentence);
        assert!(c.low > 3.0 && c.high < 5.0);
    }

    #[test]
    fn a_difference_that_many_comparisons_may_show_says_so_with_its_direction() {
        let mut c = of(Quantity::TestAccuracy, &[(90.0, 86.0), (91.0, 86.5), (92.0, 88.3)]);
        (c.seen, c.p_holm) = (false, 0.2);
        let sentence = sentence(&c, 35);
        assert!(
            sentence.contains("points lower than with shortcut projection (95 %"),
            "{sentence}"
        );
        assert!(sentence.contains("one of 35 comparisons may show as much by chance (p = 0.2)"));
        // Both ends on the side that the sentence has.
        assert!(!sentence.contains('−'), "{sentence}");
    }

    #[test]
    fn a_difference_that_is_not_seen_says_what_it_would_take() {
        let c = of(Quantity::TestAccuracy, &[(90.0, 91.0), (90.0, 89.5), (90.0, 90.4)]);
        assert!(!c.seen && c.sentence.contains("not distinguishable"), "{}", c.sentence);
        assert!(c.sentence.contains("seeds would be needed"), "{}", c.sentence);
        let c = of(Quantity::TestAccuracy, &[(90.0, 91.0)]);
        assert!(!c.seen && c.sentence.contains("1 seed, so no interval"), "{}", c.sentence);
        let json = serde_json::to_value(&c).unwrap();
        assert!(json["low"].is_null() && json["p"].is_null(), "{json}");
    }
}
