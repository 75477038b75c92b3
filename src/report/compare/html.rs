//! A comparison's report as one page.

use std::fmt::Write as _;

use super::charts::{profile_chart, trial_chart};
use super::content::{ComparisonReport, WorkloadReport};
use super::text::{SCORES, budget, edges, target_cells, target_words, trials_words, tuned_cells};
use crate::Result;
use crate::render::numbers::fixed;
use crate::report::html::{
    charts, courses, data_url, document, figure, group_table, member_table, members_of, method,
    sentences, surfaces, video,
};
use crate::report::pictures::escaped;
use crate::sweep::compare::Comparison;

/// The page. Everything is in it.
pub(super) fn page(comparison: &Comparison, report: &ComparisonReport) -> Result<String> {
    let mut body = String::new();
    let several = report.workloads.len() > 1;
    if report.workloads.is_empty() {
        body.push_str(
            "<p>No final run has begun: the same <code>lossreel compare</code> goes on.</p>",
        );
    }
    if several {
        scores(report, &mut body);
    }
    for workload in &report.workloads {
        if several {
            let _ = write!(body, "<h2>{}</h2>", escaped(&workload.name));
        }
        one(comparison, report, workload, several, &mut body)?;
    }
    if !several {
        scores(report, &mut body);
    }
    let _ = write!(
        body,
        "<h2>How it was made</h2><p>{}</p>{}",
        escaped(&budget(report)),
        method(&report.version)
    );
    Ok(document(&report.title, report.question.as_deref(), &body))
}

/// A workload's part. Headings are a level lower where there are several.
fn one(
    comparison: &Comparison,
    report: &ComparisonReport,
    workload: &WorkloadReport,
    several: bool,
    html: &mut String,
) -> Result<()> {
    let level = if several { 3 } else { 2 };
    let head = |text: &str| format!("<h{level}>{text}</h{level}>");
    let finals = &workload.finals;
    let groups = members_of(finals);
    html.push_str(&head("What the final runs show"));
    let _ = write!(html, "<p>{}</p>", escaped(&budget(report)));
    sentences(finals, html);
    html.push_str(&head("Means over seeds"));
    group_table(finals, html);
    charts(finals, &groups, &workload.values, html);
    targets(workload, &head("Time to the target"), html);
    films(comparison, workload, &head("On one plane"), html)?;
    courses(finals, &workload.states, &groups, html)?;
    tuning(workload, &head("What was tuned, and how far"), html);
    let about = comparison.about.workloads.iter().find(|about| about.name == workload.name);
    if let Some(sweep) = about.map(|about| comparison.finals(about)).transpose()?.flatten() {
        surfaces(&sweep, finals, &workload.states, &groups, html)?;
    }
    html.push_str(&head("Final runs"));
    member_table(finals, html);
    Ok(())
}

fn targets(workload: &WorkloadReport, head: &str, html: &mut String) {
    let Some(words) = target_words(workload) else { return };
    let _ = write!(
        html,
        "{head}<p>{}</p><div class=\"wide\"><table><thead><tr><th>rule</th><th>runs that reached it</th>\
         <th>steps</th><th>epochs</th><th>seconds</th></tr></thead><tbody>",
        escaped(&words)
    );
    for row in &workload.to_target {
        let _ = write!(html, "<tr><th>{}</th>", escaped(&row.rule));
        for cell in target_cells(row) {
            let _ = write!(html, "<td>{cell}</td>");
        }
        html.push_str("</tr>");
    }
    html.push_str(
        "</tbody></table></div><p><small>Medians over seeds; where half of the seeds or more missed the \
         target there is none. Seconds are of training on the machine at hand, evaluations included.\
         </small></p>",
    );
}

fn tuning(workload: &WorkloadReport, head: &str, html: &mut String) {
    if workload.tuning.is_empty() {
        return;
    }
    let _ = write!(
        html,
        "{head}<p>Accuracy on {} training images held out, at the end of each trial, against the first \
         hyper-parameter over its whole range; the others were drawn along with it. Filled: the best of a \
         study. A cross did not come to its end.</p><div class=\"trials\">",
        workload.held_out
    );
    let all = workload.tuning.iter().flat_map(|rule| &rule.trials).filter_map(|t| t.accuracy);
    let (low, high) = all.fold((1.0f64, 0.0f64), |(l, h), a| (l.min(a), h.max(a)));
    let margin = (0.05 * (high - low)).max(0.005);
    let (low, high) = (100.0 * (low - margin).max(0.0), 100.0 * (high + margin).min(1.0));
    for (i, rule) in workload.tuning.iter().enumerate() {
        let _ = write!(html, "<figure>{}</figure>", trial_chart(rule, i, low, high));
    }
    html.push_str(
        "</div><div class=\"wide\"><table><thead><tr><th>rule</th><th>trials</th><th class=\"text\">tuned\
         </th><th>range</th><th>best</th><th class=\"text\"></th></tr></thead><tbody>",
    );
    for rule in &workload.tuning {
        for (j, [key, range, best, edge]) in tuned_cells(rule).into_iter().enumerate() {
            let (name, trials) = match j {
                0 => (escaped(&rule.rule), trials_words(rule)),
                _ => (String::new(), String::new()),
            };
            let _ = write!(
                html,
                "<tr><th>{name}</th><td>{trials}</td><td class=\"text\">{}</td><td>{range}</td>\
                 <td>{best}</td><td class=\"text\">{edge}</td></tr>",
                escaped(&key)
            );
        }
    }
    html.push_str("</tbody></table></div>");
    if let Some(words) = edges(workload) {
        let _ = write!(html, "<p>{}</p>", escaped(&words));
    }
}

/// The race film and the small multiples.
fn films(
    comparison: &Comparison,
    workload: &WorkloadReport,
    head: &str,
    html: &mut String,
) -> Result<()> {
    let joint = comparison.joint_dir(&workload.name);
    let film = video(&joint.join("race.mp4"))?;
    let paths = data_url(&joint.join("paths.png"), "image/png")?;
    if film.is_none() && paths.is_none() {
        return Ok(());
    }
    html.push_str(head);
    if let Some(film) = film {
        let caption = "The paths of the first seed on the plane of the principal components of all of \
                       them, and the training loss over it.";
        figure(&film, caption, html);
    }
    if let Some(paths) = paths {
        let img = format!("<img alt=\"a panel for each rule\" src=\"{paths}\">");
        figure(&img, "The same paths, one panel for each rule.", html);
    }
    Ok(())
}

fn scores(report: &ComparisonReport, html: &mut String) {
    if report.profiles.is_empty() {
        return;
    }
    let _ = write!(
        html,
        "<h2>Scores</h2><div class=\"charts\"><figure>{}<figcaption>Performance profiles: the share of \
         final runs on which a rule reached the target within so many times the steps of the fastest \
         rule.</figcaption></figure><div class=\"wide\"><table><thead><tr><th>rule</th><th>tuning</th>\
         <th>final runs</th></tr></thead><tbody>",
        profile_chart(&report.profiles, &report.rules)
    );
    let or = |v: Option<f64>| v.map_or(String::new(), |v| fixed(v, 3));
    for score in &report.scores {
        let _ = write!(
            html,
            "<tr><th>{}</th><td>{}</td><td>{}</td></tr>",
            escaped(&score.rule),
            or(score.tuning),
            or(score.finals)
        );
    }
    let _ = write!(html, "</tbody></table></div></div><p><small>{SCORES}</small></p>");
}
