//! Snapshots to histograms of their weights. Snapshots are read one at a time, twice: once for the
//! range, once for the counts.

use super::film_options::FilmOptions;
use super::film_options::HOLD_SECS;
use super::opened::{OpenRun, moment_of, spread};
use super::provenance;
use crate::names::named_enum;
use crate::network::{ParamLayout, Role};
use crate::render::scene::PathPoint;
use crate::render::scenes::histograms::{HistogramFilm, HistogramRun, LayerHistogram};
use crate::{Error, Result};

named_enum! {
    /// Which weights a histogram counts.
    #[derive(Default)]
    pub enum LayerChoice("choice of layers") {
        /// Each layer its own, twelve spread over the net where there are more.
        #[default]
        Each = "each",
        /// All weights in one.
        All = "all",
    }
}

/// Layers shown at most, snapshots read at most.
const LAYERS: usize = 12;
const SNAPSHOTS: usize = 240;

/// Bins for a layer of `len` weights: half as many again as Rice's rule (2 n^(1/3)) has, as the
/// range holds outliers, and an even number, so that zero is an edge.
fn bins(len: usize) -> usize {
    (2 * ((1.5 * (len as f64).cbrt()).round() as usize)).clamp(10, 80)
}

/// Histograms of the weights (not biases, not norms) of `runs`, one or two with their names, at their
/// snapshots. Of two those layers are shown that both have by one name.
///
/// # Errors
/// [`Error::BadValue`] for more than two runs, and for two without a layer in common; those of reading
/// the runs.
pub fn gather(
    runs: &[(String, OpenRun)],
    layers: LayerChoice,
    title: Option<&str>,
    options: &FilmOptions,
) -> Result<HistogramFilm> {
    if !(1..=2).contains(&runs.len()) {
        let problem = format!("which shows one run or two, but {} were named", runs.len());
        return Err(Error::bad_value("scene", "histograms", problem, "name one run or two"));
    }
    let layouts: Vec<&ParamLayout> =
        runs.iter().map(|(_, run)| run.layout()).collect::<Result<_>>()?;
    let wanted = ranges(&layouts, layers);
    if wanted.is_empty() {
        let problem = "of two runs that have no layer in common";
        let remedy = "name runs of one architecture, or show all weights in one plot (all)";
        return Err(Error::bad_value("layers", layers, problem, remedy));
    }
    let mut reach = vec![0.0f64; wanted.len()];
    let mut reads = Vec::new();
    for (k, (_, run)) in runs.iter().enumerate() {
        let (read, total) = run.some_snapshots(SNAPSHOTS, |_| true)?;
        for i in 0..read.infos().len() {
            let theta = read.state(i)?.0;
            for (reach, (_, parts)) in reach.iter_mut().zip(&wanted) {
                *reach = reach.max(LayerHistogram::reach_of(&gathered(&theta, &parts[k])));
            }
        }
        reads.push((read, total));
    }
    let mut found: Vec<HistogramRun> = Vec::new();
    for (k, ((name, _), (read, _))) in runs.iter().zip(&reads).enumerate() {
        let len = |parts: &Parts| parts.iter().map(|r| r.len()).sum::<usize>();
        let of_layer = |((name, parts), reach): (&(String, Vec<Parts>), &f64)| {
            LayerHistogram::new(name, len(&parts[k]), *reach)
        };
        let mut layers: Vec<LayerHistogram> = wanted.iter().zip(&reach).map(of_layer).collect();
        for i in 0..read.infos().len() {
            let theta = read.state(i)?.0;
            for (layer, (_, parts)) in layers.iter_mut().zip(&wanted) {
                // As many bins for both: their heights are compared.
                layer.push(&gathered(&theta, &parts[k]), bins(len(&parts[0])));
            }
        }
        let snapshots = read.infos().iter().map(moment_of).collect();
        found.push(HistogramRun { name: name.clone(), snapshots, layers });
    }
    let names: Vec<String> =
        runs.iter().map(|(_, run)| run.description()).collect::<Result<_>>()?;
    let charts = runs.iter().zip(&names).map(|((_, run), name)| options.chart_source(name, run));
    let charts = charts.collect::<Result<Vec<_>>>()?;
    let of = if names.len() == 2 && names[0] != names[1] {
        format!("{} and {}", names[0], names[1])
    } else {
        names[0].clone()
    };
    let title = title.map_or_else(|| format!("The weights of {of}"), str::to_string);
    let mut paths: Vec<&mut [PathPoint]> =
        found.iter_mut().map(|run| &mut run.snapshots[..]).collect();
    let (strip, pacing) = options.timing(&title, &mut paths, &charts);
    Ok(HistogramFilm {
        caption: caption(&found, &reads.iter().map(|r| r.1).collect::<Vec<_>>(), &layouts, layers),
        runs: found,
        strip,
        pacing,
        title,
        hold_secs: HOLD_SECS,
    })
}

/// What is counted, of how much, and what of it is not measured.
fn caption(
    runs: &[HistogramRun],
    totals: &[usize],
    layouts: &[&ParamLayout],
    layers: LayerChoice,
) -> String {
    let counted = |(run, total): (&HistogramRun, &usize)| {
        let n = run.snapshots.len();
        let of = if n < *total { format!(" of {total}") } else { String::new() };
        format!("{}{of}", provenance::count(n, "snapshot"))
    };
    let mut counts: Vec<String> = runs.iter().zip(totals).map(counted).collect();
    counts.dedup();
    let tensors = layouts[0].params.iter().filter(|p| p.role == Role::Weight).count();
    let shown = runs[0].layers.len();
    let part = match layers == LayerChoice::Each && shown < tensors {
        true => format!("; {shown} of {tensors} layers"),
        false => String::new(),
    };
    format!(
        "{}{part}; biases and norms left out. The outer bins hold what lies beyond (at most one weight in a \
         thousand). Between snapshots the bars are interpolated, σ is the last snapshot's.",
        counts.join(" and ")
    )
}

type Parts = Vec<std::ops::Range<usize>>;

/// The plots: a name, and for each of `layouts` the parts of its vector that are counted.
fn ranges(layouts: &[&ParamLayout], choice: LayerChoice) -> Vec<(String, Vec<Parts>)> {
    let weights = |layout: &ParamLayout| -> Vec<(String, std::ops::Range<usize>)> {
        let own = layout.params.iter().filter(|p| p.role == Role::Weight);
        own.map(|p| (p.name.clone(), p.range())).collect()
    };
    let all: Vec<_> = layouts.iter().map(|layout| weights(layout)).collect();
    match choice {
        LayerChoice::All => {
            let parts = |own: &Vec<(String, std::ops::Range<usize>)>| {
                own.iter().map(|(_, range)| range.clone()).collect()
            };
            vec![("all weights".into(), all.iter().map(parts).collect())]
        }
        LayerChoice::Each => {
            let of_all = |(name, _): &(String, std::ops::Range<usize>)| {
                let part = |own: &Vec<(String, std::ops::Range<usize>)>| {
                    own.iter().find(|(other, _)| other == name).map(|(_, r)| vec![r.clone()])
                };
                let parts: Option<Vec<Parts>> = all.iter().map(part).collect();
                parts.map(|parts| (in_words(name), parts))
            };
            let common: Vec<_> = all[0].iter().filter_map(of_all).collect();
            spread(common.len(), LAYERS).into_iter().map(|i| common[i].clone()).collect()
        }
    }
}

/// A layer's name as a reader of papers would say it: `layer2.1.conv2.weight` is
/// `stage 2, block 2, convolution 2`. What is not of a known form stays as it is.
fn in_words(name: &str) -> String {
    let parts: Vec<&str> = name.trim_end_matches(".weight").split('.').collect();
    let after = |part: &str, word: &str| part.strip_prefix(word)?.parse::<usize>().ok();
    let within = |part: &str| match after(part, "conv") {
        Some(number) => Some(format!("convolution {number}")),
        None if part == "shortcut" => Some("shortcut".into()),
        None => None,
    };
    let words = match parts[..] {
        ["linear" | "fc" | "classifier" | "head"] => Some("output layer".to_string()),
        ["conv1"] => Some("first convolution".to_string()),
        [stage, block, part] | [stage, block, part, _] => (|| {
            let (stage, block) = (after(stage, "layer")?, block.parse::<usize>().ok()?);
            Some(format!("stage {stage}, block {}, {}", block + 1, within(part)?))
        })(),
        _ => None,
    };
    words.unwrap_or_else(|| parts.join("."))
}

fn gathered<'a>(theta: &'a [f32], parts: &Parts) -> std::borrow::Cow<'a, [f32]> {
    match &parts[..] {
        [one] => theta[one.clone()].into(),
        many => many.iter().flat_map(|r| theta[r.clone()].iter().copied()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_have_names_that_can_be_read() {
        let names = [
            ("conv1.weight", "first convolution"),
            ("layer2.0.conv2.weight", "stage 2, block 1, convolution 2"),
            ("layer3.0.shortcut.0.weight", "stage 3, block 1, shortcut"),
            ("linear.weight", "output layer"),
            ("encoder.3.mlp.weight", "encoder.3.mlp"),
            ("layerx.y.conv1.weight", "layerx.y.conv1"),
        ];
        for (name, words) in names {
            assert_eq!(in_words(name), words, "{name}");
        }
    }

    #[test]
    fn of_two_nets_the_layers_are_shown_that_both_have() {
        let layout = |sizes: &[(&str, usize)]| {
            let weight = |(name, len): &(&str, usize)| (name.to_string(), vec![*len], Role::Weight);
            ParamLayout::of_tensors(sizes.iter().map(weight), [])
        };
        let a = layout(&[("conv1.weight", 4), ("layer1.0.conv1.weight", 6), ("linear.weight", 2)]);
        let b = layout(&[("conv1.weight", 4), ("linear.weight", 3), ("other.weight", 9)]);
        let found = ranges(&[&a, &b], LayerChoice::Each);
        let expected = [
            ("first convolution", vec![vec![0..4], vec![0..4]]),
            ("output layer", vec![vec![10..12], vec![4..7]]),
        ];
        assert_eq!(found.len(), 2);
        for ((name, parts), (words, ranges)) in found.iter().zip(&expected) {
            assert_eq!((name.as_str(), parts), (*words, ranges));
        }
        let all = ranges(&[&a, &b], LayerChoice::All);
        assert_eq!(all[0].1[1], vec![0..4, 4..7, 7..16]);
        assert!(ranges(&[&a, &layout(&[("w.weight", 1)])], LayerChoice::Each).is_empty());
    }

    #[test]
    fn bins_grow_with_the_cube_root_and_zero_is_an_edge() {
        assert_eq!([10, 64, 1000, 1_000_000].map(bins), [10, 12, 30, 80]);
        assert!((1..5000).all(|n| bins(n).is_multiple_of(2)));
    }
}
