//! The report as one page.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::comparison::Comparison;
use super::content::Report;
use super::pictures::{Course, DotRow, Levels, course_chart, dot_plot, escaped, surface};
use super::quantities::{MemberValues, Scale};
use super::statistics::{summary, summary_of_logs};
use super::text::{METHOD, counts, ordered, quantities_of, shown, shown_mean, status_word};
use crate::disk;
use crate::landscape::SurfaceStore;
use crate::record::Run;
use crate::render::numbers::{fixed, number};
use crate::sweep::{FILM, MATCHED, MemberState, Sweep};
use crate::{Error, Result};

/// The page. Everything is in it; it asks no host for anything.
pub(super) fn page(
    sweep: &Sweep,
    report: &Report,
    states: &[MemberState],
    values: &[MemberValues],
) -> Result<String> {
    let groups = members_of(report);
    let mut body = String::from("<h2>What the runs show</h2>");
    sentences(report, &mut body);
    body.push_str("<h2>Means over seeds</h2>");
    group_table(report, &mut body);
    charts(report, &groups, values, &mut body);
    courses(report, states, &groups, &mut body)?;
    surfaces(sweep, report, states, &groups, &mut body)?;
    films(sweep, report, states, &groups, &mut body)?;
    body.push_str("<h2>Members</h2>");
    member_table(report, &mut body);
    let _ = write!(body, "<h2>How it was made</h2>{}", method(&report.version));
    Ok(document(&report.title, report.question.as_deref(), &body))
}

/// A whole page with its style; `body` is markup.
pub(super) fn document(title: &str, question: Option<&str>, body: &str) -> String {
    let question = question.map_or(String::new(), |question| {
        format!("<p class=\"question\">{}</p>", escaped(question))
    });
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src \
         'unsafe-inline'; img-src data:; media-src data:\"><title>{0}</title><style>{STYLE}</style></head>\
         <body><main><h1>{0}</h1>{question}{body}</main></body></html>",
        escaped(title)
    )
}

/// Comparisons without a difference that are shown at once; more are folded.
const FOLDED: usize = 8;

/// How the numbers were found, as paragraphs.
pub(super) fn method(version: &str) -> String {
    format!(
        "<p>{METHOD} The diamonds are means, the bars their 95 % intervals, the \
         rings single seeds. The spread over seeds and the error of the finite test set are two things: \
         the standard error of an accuracy on the test images alone is in the table of means.</p>\
         <p>lossreel {}; the resolved spec of each member is in <code>specs/</code>, and \
         <code>lossreel train specs/MEMBER.toml</code> trains it again.</p>",
        escaped(version)
    )
}

/// The indices of each group's members.
pub(super) fn members_of(report: &Report) -> Vec<Vec<usize>> {
    let of = |values: &BTreeMap<String, String>| {
        let members = report.members.iter().enumerate();
        members.filter(|(_, m)| &m.values == values).map(|(i, _)| i).collect()
    };
    report.groups.iter().map(|group| of(&group.values)).collect()
}

/// A dot plot of each quantity.
pub(super) fn charts(
    report: &Report,
    groups: &[Vec<usize>],
    values: &[MemberValues],
    html: &mut String,
) {
    html.push_str("<div class=\"charts\">");
    for q in quantities_of(report) {
        let percent = q.scale() == Scale::Points;
        let factor = if percent { 100.0 } else { 1.0 };
        let mut rows: Vec<DotRow> = (report.groups.iter().zip(groups))
            .map(|(group, of)| {
                let known: Vec<f64> =
                    of.iter().filter_map(|&i| values[i].get(q).map(|v| factor * v)).collect();
                DotRow { label: group.label.clone(), summary: summary(&known), values: known }
            })
            .collect();
        let all = rows.iter().flat_map(|row| &row.values);
        let (low, high) = all.fold((f64::INFINITY, 0.0f64), |(l, h), v| (l.min(*v), h.max(*v)));
        let is_log = !percent && low > 0.0 && high / low > 20.0;
        if is_log {
            // On such an axis a mean of logarithms is in the middle of its interval.
            for row in &mut rows {
                row.summary = summary_of_logs(&row.values);
            }
        }
        let note = if is_log { " Mean and interval are of the logarithms." } else { "" };
        let unit = if percent { " (%)" } else { "" };
        let plot = dot_plot(q.title(), unit, &rows, is_log);
        let _ = write!(
            html,
            "<figure>{plot}<figcaption>{}{note}</figcaption></figure>",
            q.definition()
        );
    }
    html.push_str("</div>");
}

/// The films of members that have one.
fn films(
    sweep: &Sweep,
    report: &Report,
    states: &[MemberState],
    groups: &[Vec<usize>],
    html: &mut String,
) -> Result<()> {
    let Some(film) = &sweep.about.film else { return Ok(()) };
    html.push_str("<h2>Films</h2><div class=\"charts\">");
    for (group, of) in report.groups.iter().zip(groups) {
        for &i in of.iter().filter(|&&i| states[i].seed < film.seeds) {
            let caption = format!("{}, seed {}", group.label, states[i].seed);
            match video(&states[i].run.join(FILM))? {
                Some(video) => figure(&video, &caption, html),
                None => figure("<div class=\"blank\">not made</div>", &caption, html),
            }
        }
    }
    html.push_str("</div>");
    Ok(())
}

/// A figure with its caption; `content` is markup, `caption` text.
pub(super) fn figure(content: &str, caption: &str, html: &mut String) {
    let caption = escaped(caption);
    let _ = write!(html, "<figure>{content}<figcaption>{caption}</figcaption></figure>");
}

/// A film within the page, with the still beside it to be seen before it plays and on paper; `None` where
/// there is no such file.
///
/// # Errors
/// [`Error::Io`] for one that cannot be read.
pub(super) fn video(film: &Path) -> Result<Option<String>> {
    let Some(data) = data_url(film, "video/mp4")? else { return Ok(None) };
    let poster = data_url(&film.with_extension("png"), "image/png")?;
    let still = poster.as_ref().map_or(String::new(), |url| {
        format!("<img class=\"paper\" alt=\"the last frame\" src=\"{url}\">")
    });
    let poster = poster.map_or(String::new(), |url| format!(" poster=\"{url}\""));
    Ok(Some(format!(
        "<video controls loop muted playsinline{poster} src=\"{data}\"></video>{still}"
    )))
}

/// The most bytes of a film within a page.
const MOST: u64 = 64 << 20;

/// A file as part of the page.
pub(super) fn data_url(path: &Path, kind: &str) -> Result<Option<String>> {
    if !disk::is_there(path)? {
        return Ok(None);
    }
    let bytes = disk::read(path, "read the film", MOST)?;
    Ok(Some(format!("data:{kind};base64,{}", STANDARD.encode(bytes))))
}

pub(super) fn sentences(report: &Report, html: &mut String) {
    if report.comparisons.is_empty() {
        html.push_str("<p>Nothing can be compared: there is one combination of values.</p>");
        return;
    }
    let all = ordered(report);
    let (seen, unseen) = all.split_at(all.iter().take_while(|c| c.seen).count());
    let list = |comparisons: &[&Comparison], html: &mut String| {
        html.push_str("<ul class=\"shown\">");
        for c in comparisons {
            let class = if c.seen { "seen" } else { "unseen" };
            let p = if c.p_holm.is_finite() {
                format!(" <small>p = {} after Holm</small>", number(c.p_holm))
            } else {
                String::new()
            };
            let _ = write!(html, "<li class=\"{class}\">{}{p}</li>", escaped(&c.sentence));
        }
        html.push_str("</ul>");
    };
    list(seen, html);
    if unseen.len() <= FOLDED {
        return list(unseen, html);
    }
    let summary = if seen.is_empty() {
        format!("In none of {} comparisons can the difference be told from chance", unseen.len())
    } else {
        format!("In {} further comparisons the difference cannot be told from chance", unseen.len())
    };
    let _ = write!(html, "<details><summary>{summary}</summary>");
    list(unseen, html);
    html.push_str("</details>");
}

pub(super) fn group_table(report: &Report, html: &mut String) {
    let quantities = quantities_of(report);
    let axes: Vec<&str> = report.axes.iter().map(|axis| axis.name.as_str()).collect();
    let head = if axes.is_empty() { "runs".to_string() } else { axes.join(", ") };
    let _ = write!(
        html,
        "<div class=\"wide\"><table><thead><tr><th>{}</th><th>trained</th>",
        escaped(&head)
    );
    for q in &quantities {
        let _ = write!(html, "<th>{}</th>", q.title());
    }
    let kept = report.groups.iter().any(|group| group.true_sd.is_some());
    html.push_str("<th>test-set error</th>");
    if kept {
        html.push_str("<th>spread beyond test set</th>");
    }
    html.push_str("</tr></thead><tbody>");
    for group in &report.groups {
        let _ = write!(html, "<tr><th>{}</th><td>{}</td>", escaped(&group.label), counts(group));
        for q in &quantities {
            let value = group.quantities.get(q.key()).map(|v| shown_mean(*q, v));
            let _ = write!(html, "<td>{}</td>", value.unwrap_or_default());
        }
        let se = group.binomial_se.map(|se| format!("± {} %", fixed(100.0 * se, 2)));
        let _ = write!(html, "<td>{}</td>", se.unwrap_or_default());
        if kept {
            let sd = group.true_sd.map(|sd| format!("{} %", fixed(100.0 * sd, 2)));
            let _ = write!(html, "<td>{}</td>", sd.unwrap_or_default());
        }
        html.push_str("</tr>");
    }
    html.push_str("</tbody></table></div>");
}

pub(super) fn member_table(report: &Report, html: &mut String) {
    let quantities = quantities_of(report);
    html.push_str(
        "<div class=\"wide\"><table><thead><tr><th>member</th><th class=\"text\">status</th>",
    );
    for q in &quantities {
        let _ = write!(html, "<th>{}</th>", q.title());
    }
    html.push_str("<th>seconds</th></tr></thead><tbody>");
    for member in &report.members {
        let error = member.error.as_deref().map(|e| format!(": {e}")).unwrap_or_default();
        let _ = write!(
            html,
            "<tr><th>{}</th><td class=\"text\">{}{}</td>",
            escaped(&member.name),
            status_word(member.status),
            escaped(&error)
        );
        for q in &quantities {
            let value = member.measured.get(*q).map(|v| shown(*q, v));
            let _ = write!(html, "<td>{}</td>", value.unwrap_or_default());
        }
        let seconds = member.measured.seconds.map(number);
        let _ = write!(html, "<td>{}</td></tr>", seconds.unwrap_or_default());
    }
    html.push_str("</tbody></table></div>");
}

/// Test accuracy and training loss by epoch.
pub(super) fn courses(
    report: &Report,
    states: &[MemberState],
    groups: &[Vec<usize>],
    html: &mut String,
) -> Result<()> {
    let mut charts: [Vec<Course>; 2] = [Vec::new(), Vec::new()];
    for (group, of) in groups.iter().enumerate() {
        for &i in of {
            let Ok(run) = Run::open(&states[i].run) else { continue };
            let metrics = run.metrics()?;
            let of = |f: &dyn Fn(&crate::record::EpochRecord) -> f64| {
                metrics.epochs.iter().map(|e| (e.epoch as f64, f(e))).collect::<Vec<_>>()
            };
            charts[0].push(Course { group, points: of(&|e| 100.0 * e.test_accuracy) });
            charts[1].push(Course { group, points: of(&|e| e.train_loss) });
        }
    }
    let long = |c: &Course| c.points.len() > 1;
    if !charts[0].iter().any(long) {
        return Ok(());
    }
    let labels: Vec<String> = report.groups.iter().map(|g| g.label.clone()).collect();
    html.push_str("<h2>Training</h2><div class=\"charts\">");
    for (title, chart) in [("Test accuracy (%)", &charts[0]), ("Training loss", &charts[1])] {
        let chart = course_chart(title, chart, &labels);
        let _ = write!(
            html,
            "<figure>{chart}<figcaption>{title}, one line a run.</figcaption></figure>"
        );
    }
    html.push_str("</div>");
    Ok(())
}

/// The surfaces on matched directions, on one scale: a row for each combination, a column for each seed.
pub(super) fn surfaces(
    sweep: &Sweep,
    report: &Report,
    states: &[MemberState],
    groups: &[Vec<usize>],
    html: &mut String,
) -> Result<()> {
    let Some(measure) = &sweep.about.measure.surface else { return Ok(()) };
    let mut found: BTreeMap<usize, SurfaceStore> = BTreeMap::new();
    for (i, state) in states.iter().enumerate() {
        let Ok(run) = Run::open(&state.run) else { continue };
        match SurfaceStore::open(&run.surface_dir(MATCHED)?) {
            Ok(store) if store.missing().is_empty() => drop(found.insert(i, store)),
            Ok(_) | Err(Error::NoSurface { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let all: Vec<&SurfaceStore> = found.values().collect();
    let Some(levels) = Levels::over(&all) else { return Ok(()) };
    let _ = write!(
        html,
        "<h2>Loss surfaces</h2><p>Training loss on {} over two random filter-normalised directions \
         through the trained weights (the dot), from {} to {} on both axes; the directions of one seed \
         are the same draw for every combination, and all surfaces have one scale. A random plane shows \
         the surroundings of the solution, not the path to it.</p><div class=\"bar\">{}</div>",
        if measure.samples == 0 {
            "all images".into()
        } else {
            format!("{} images", measure.samples)
        },
        number(-measure.range),
        number(measure.range),
        levels.bar()
    );
    for (group, of) in report.groups.iter().zip(groups) {
        let _ = write!(html, "<h3>{}</h3><div class=\"surfaces\">", escaped(&group.label));
        for &i in of {
            let picture = match found.get(&i) {
                Some(store) => surface(store, &levels)?,
                // What was not run is blank, not hidden.
                None => "<div class=\"blank\">not computed</div>".into(),
            };
            let _ = write!(
                html,
                "<figure>{picture}<figcaption>seed {}</figcaption></figure>",
                states[i].seed
            );
        }
        html.push_str("</div>");
    }
    Ok(())
}

const STYLE: &str = "\
:root{color-scheme:light}\
body{margin:0;background:#fff;color:#14202b;font:16px/1.5 system-ui,-apple-system,Segoe UI,Roboto,sans-serif}\
main{max-width:1180px;margin:0 auto;padding:24px 20px 64px}\
h1{font-size:2rem;line-height:1.2;margin:.2em 0}\
h2{margin:2em 0 .5em;font-size:1.3rem}\
h3{margin:1.2em 0 .3em;font-size:1rem}\
.question{font-size:1.15rem;color:#44525e;margin:.2em 0 0}\
.shown{padding-left:0;list-style:none}\
.shown li{padding:.35em .8em;margin:.3em 0;border-left:4px solid #c5ccd2}\
.shown .seen{border-color:#0072b2;background:#eef5fa}\
.shown .unseen{color:#44525e}\
summary{cursor:pointer;padding:.35em 0}\
small{color:#5b6873}\
.wide{overflow-x:auto}\
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.85rem}\
th,td{padding:.35em .42em;border-bottom:1px solid #d5dbe0;text-align:right;white-space:nowrap}\
thead th{white-space:normal;vertical-align:bottom}\
th:first-child,td.text,th.text{text-align:left}td.text{white-space:normal;min-width:8em}\
thead th{border-bottom:2px solid #14202b}\
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,460px),1fr));gap:20px;margin-top:20px}\
figure{margin:0}figcaption{font-size:.85rem;color:#44525e}\
svg{width:100%;height:auto;display:block}\
svg text{font-family:inherit;fill:#14202b}svg .tick{font-size:12px;fill:#44525e}svg .label{font-size:14px}\
svg .rule{stroke:#d5dbe0;stroke-width:1}\
.legend{display:flex;flex-wrap:wrap;gap:.2em 1.2em;margin:.2em 0;font-size:.9rem}\
.legend i{display:inline-block;width:1.4em;height:.25em;margin-right:.4em;vertical-align:middle}\
.surfaces{display:grid;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:12px}\
.blank{aspect-ratio:1;display:grid;place-items:center;border:1px dashed #98a3ac;color:#5b6873;font-size:.85rem}\
.bar{max-width:640px}\
video,img{width:100%;height:auto;display:block}.paper{display:none}\
.trials{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,240px),1fr));gap:14px}\
@media print{body{font-size:11pt}main{max-width:none;padding:0}figure,li,tr{break-inside:avoid}h2,h3{break-after:avoid}\
.wide{overflow:visible}video{display:none}.paper{display:block}details::details-content{content-visibility:visible;display:block}summary{list-style:none}.charts{grid-template-columns:1fr 1fr}\
.shown .seen,svg,.surfaces{print-color-adjust:exact;-webkit-print-color-adjust:exact}}";
