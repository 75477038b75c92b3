//! Snapshots to histograms of their weights. Snapshots are read one at a time, twice: once for the
//! range, once for the counts.

use super::film_options::FilmOptions;
use super::film_options::HOLD_SECS;
use super::opened::{OpenRun, moment_of, spread};
use super::provenance;
use crate::Result;
use crate::names::named_enum;
use crate::network::{ParamLayout, Role};
use crate::render::scene::PathPoint;
use crate::render::scenes::histograms::{HistogramFilm, LayerHistogram};

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

/// Histograms of the weights (not biases, not norms) of `run` at its snapshots.
///
/// # Errors
/// Those of reading the run.
pub fn gather(
    run: &OpenRun,
    layers: LayerChoice,
    title: Option<&str>,
    options: &FilmOptions,
) -> Result<HistogramFilm> {
    let (read, total) = run.some_snapshots(SNAPSHOTS, |_| true)?;
    let layout = run.layout()?;
    let mut snapshots: Vec<PathPoint> = read.infos().iter().map(moment_of).collect();
    let wanted = ranges(layout, layers);
    let mut reach = vec![0.0f64; wanted.len()];
    for i in 0..snapshots.len() {
        let theta = read.state(i)?.0;
        for (reach, (_, parts)) in reach.iter_mut().zip(&wanted) {
            *reach = reach.max(LayerHistogram::reach_of(&gathered(&theta, parts)));
        }
    }
    let mut found: Vec<LayerHistogram> = wanted
        .iter()
        .zip(&reach)
        .map(|((name, parts), reach)| {
            LayerHistogram::new(name, parts.iter().map(|r| r.len()).sum(), *reach)
        })
        .collect();
    for i in 0..snapshots.len() {
        let theta = read.state(i)?.0;
        for (layer, (_, parts)) in found.iter_mut().zip(&wanted) {
            layer.push(&gathered(&theta, parts), bins(layer.len));
        }
    }
    let name = run.description()?;
    let charts = [options.chart_source(&name, run)?];
    let title = title.map_or_else(|| format!("The weights of {name}"), str::to_string);
    let (strip, pacing) = options.timing(&title, &mut [&mut snapshots], &charts);
    let of = if snapshots.len() < total { format!(" of {total}") } else { String::new() };
    let counted = provenance::count(snapshots.len(), "snapshot");
    let tensors = layout.params.iter().filter(|p| p.role == Role::Weight).count();
    let shown = if found.len() < tensors && layers == LayerChoice::Each {
        format!("; {} of {tensors} layers", found.len())
    } else {
        String::new()
    };
    Ok(HistogramFilm {
        caption: format!(
            "{}{of}{shown}; biases and norms left out. Black outline: before training. The outer \
             bins hold what lies beyond (at most one weight in a thousand). Between snapshots the bars \
             are interpolated, σ is the last snapshot's.",
            counted
        ),
        layers: found,
        strip,
        pacing,
        title,
        snapshots,
        hold_secs: HOLD_SECS,
    })
}

type Parts = Vec<std::ops::Range<usize>>;

fn ranges(layout: &ParamLayout, choice: LayerChoice) -> Vec<(String, Parts)> {
    let weights: Vec<_> = layout.params.iter().filter(|p| p.role == Role::Weight).collect();
    match choice {
        LayerChoice::All => {
            vec![("all weights".into(), weights.iter().map(|p| p.range()).collect())]
        }
        LayerChoice::Each => spread(weights.len(), LAYERS)
            .into_iter()
            .map(|i| (in_words(&weights[i].name), vec![weights[i].range()]))
            .collect(),
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
    fn bins_grow_with_the_cube_root_and_zero_is_an_edge() {
        assert_eq!([10, 64, 1000, 1_000_000].map(bins), [10, 12, 30, 80]);
        assert!((1..5000).all(|n| bins(n).is_multiple_of(2)));
    }
}
