//! The pictures of a comparison: what trials came to by learning rate, and performance profiles.

use std::fmt::Write as _;

use super::content::TunedRule;
use crate::render::numbers::number;
use crate::report::pictures::{colour, dashes, escaped, legend, ticks};
use crate::report::scoring::MAX_TAU;

/// The trials of a rule: accuracy on the images held out against the first hyper-parameter, on a log
/// scale over the whole range. The best of each study is filled; a trial that did not come to an end is a
/// cross at the bottom. `low` and `high` are the ends of the axis of accuracies, in percent.
pub(super) fn trial_chart(rule: &TunedRule, index: usize, low: f64, high: f64) -> String {
    let (width, height) = (300.0, 210.0);
    let (left, right, top, bottom) = (44.0, width - 10.0, 28.0, height - 44.0);
    let Some(key) = rule.keys.first() else { return String::new() };
    let x =
        |v: f64| left + (right - left) * (v.ln() - key.low.ln()) / (key.high.ln() - key.low.ln());
    let y = |v: f64| bottom - (bottom - top) * ((v - low) / (high - low)).clamp(0.0, 1.0);
    let name = escaped(&rule.rule);
    let mut svg = format!(
        "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"trials of {name}\">\
         <text x=\"{left}\" y=\"16\" class=\"label\" font-weight=\"600\">{name}</text>"
    );
    for tick in ticks(low, high, false) {
        let _ = write!(
            svg,
            "<line x1=\"{left}\" x2=\"{right}\" y1=\"{0:.1}\" y2=\"{0:.1}\" class=\"rule\"/>\
             <text x=\"{1:.1}\" y=\"{2:.1}\" class=\"tick\" text-anchor=\"end\">{3}</text>",
            y(tick),
            left - 6.0,
            y(tick) + 4.0,
            number(tick)
        );
    }
    for decade in key.low.log10().ceil() as i32..=key.high.log10().floor() as i32 {
        let tick = x(10f64.powi(decade));
        let _ = write!(
            svg,
            "<line x1=\"{tick:.1}\" x2=\"{tick:.1}\" y1=\"{bottom}\" y2=\"{:.1}\" class=\"rule\"/>\
             <text x=\"{tick:.1}\" y=\"{:.1}\" class=\"tick\" text-anchor=\"middle\">{}</text>",
            bottom + 4.0,
            bottom + 17.0,
            number(10f64.powi(decade))
        );
    }
    let _ = write!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" class=\"tick\" text-anchor=\"middle\">{}</text>",
        (left + right) / 2.0,
        bottom + 35.0,
        escaped(key.key.rsplit('.').next().unwrap_or(&key.key))
    );
    let colour = colour(index);
    for trial in &rule.trials {
        let at = x(trial.values[0]);
        match trial.accuracy {
            Some(accuracy) => {
                let (r, fill) = if trial.is_best { (6.0, colour.as_str()) } else { (4.0, "#fff") };
                let _ = write!(
                    svg,
                    "<circle cx=\"{at:.1}\" cy=\"{:.1}\" r=\"{r}\" fill=\"{fill}\" stroke=\"{colour}\" \
                     stroke-width=\"1.6\"/>",
                    y(100.0 * accuracy)
                );
            }
            None => {
                let _ = write!(
                    svg,
                    "<path d=\"M{:.1} {:.1} l8 8 m-8 0 l8 -8\" stroke=\"{colour}\" stroke-width=\"1.8\"/>",
                    at - 4.0,
                    bottom - 10.0
                );
            }
        }
    }
    svg.push_str("</svg>");
    svg
}

/// Performance profiles: the share of instances on which a rule is within tau times the fastest.
pub(super) fn profile_chart(profiles: &[Vec<(f64, f64)>], labels: &[String]) -> String {
    let (width, height) = (540.0, 300.0);
    let (left, right, top, bottom) = (52.0, width - 12.0, 12.0, height - 48.0);
    let x = |tau: f64| left + (right - left) * (tau - 1.0) / (MAX_TAU - 1.0);
    let y = |share: f64| bottom - (bottom - top) * share;
    let mut svg = format!(
        "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"performance profiles\">"
    );
    for share in [0.0, 0.25, 0.5, 0.75, 1.0] {
        let _ = write!(
            svg,
            "<line x1=\"{left}\" x2=\"{right}\" y1=\"{0:.1}\" y2=\"{0:.1}\" class=\"rule\"/>\
             <text x=\"{1:.1}\" y=\"{2:.1}\" class=\"tick\" text-anchor=\"end\">{3} %</text>",
            y(share),
            left - 8.0,
            y(share) + 4.0,
            number(100.0 * share)
        );
    }
    for tau in [1.0, 2.0, 3.0, 4.0] {
        let _ = write!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" class=\"tick\" text-anchor=\"middle\">{}</text>",
            x(tau),
            bottom + 17.0,
            number(tau)
        );
    }
    let _ = write!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" class=\"label\" text-anchor=\"middle\">steps to the target, times \
         those of the fastest rule</text>",
        (left + right) / 2.0,
        bottom + 37.0
    );
    for (i, profile) in profiles.iter().enumerate() {
        // Lines that lie on each other are told apart by a small shift.
        let shift = 1.6 * (i as f64 - 0.5 * (profiles.len() as f64 - 1.0));
        let mut path = String::new();
        let mut before = None;
        for &(tau, share) in profile {
            if let Some(before) = before {
                let _ = write!(path, "L{:.1} {:.1} ", x(tau), y(before) + shift);
            }
            let verb = if before.is_none() { 'M' } else { 'L' };
            let _ = write!(path, "{verb}{:.1} {:.1} ", x(tau), y(share) + shift);
            before = Some(share);
        }
        let _ = write!(
            svg,
            "<path d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"{}/>",
            path.trim_end(),
            colour(i),
            dashes(i)
        );
    }
    svg.push_str("</svg>");
    svg + &legend(labels)
}
