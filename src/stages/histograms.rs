//! Snapshots to histograms of their weights. Snapshots are read one at a time, twice: once for the
//! range, once for the counts.

use super::film::{HOLD_SECS, describe};
use super::footing;
use super::telling::Telling;
use crate::Result;
use crate::names::named_enum;
use crate::network::{ParamLayout, Role};
use crate::record::{Run, RunSnapshots};
use crate::render::scene::PathPoint;
use crate::render::scenes::histograms::{HistogramFilm, LayerHistogram};
use crate::spec::Spec;

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
    run: &Run,
    layers: LayerChoice,
    title: Option<&str>,
    telling: &Telling,
) -> Result<HistogramFilm> {
    let spec = Spec::parse(&run.spec_toml()?, &[])?;
    let (shape, classes) = spec.data.set.form();
    let layout = spec.model.build(shape, classes)?.layout;
    let all = run.snapshots()?;
    let total = all.len();
    let infos: Vec<_> = spread(total, SNAPSHOTS).into_iter().map(|i| all[i].clone()).collect();
    let snapshots: Vec<PathPoint> = infos
        .iter()
        .map(|s| PathPoint { step: s.step, epoch: s.epoch, lr: s.lr, ..PathPoint::default() })
        .collect();
    let wanted = ranges(&layout, layers);
    let read = RunSnapshots::new(infos, layout.clone());
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
    let metrics = run.metrics()?;
    let clock = telling.clock.resolve(&[&snapshots]);
    let name = describe(&spec);
    let told = [telling.told(&name, run, &spec, &metrics)?];
    let title = title.map_or_else(|| format!("The weights of {}", describe(&spec)), str::to_string);
    let of = if snapshots.len() < total { format!(" of {total}") } else { String::new() };
    let counted = footing::count(snapshots.len(), "snapshot");
    let tensors = layout.params.iter().filter(|p| p.role == Role::Weight).count();
    let shown = if found.len() < tensors && layers == LayerChoice::Each {
        format!("; {} of {tensors} layers", found.len())
    } else {
        String::new()
    };
    Ok(HistogramFilm {
        caption: format!(
            "{}{of}{shown}; biases and norms left out; the outer bins hold what lies beyond (at \
             most one weight in a thousand); line: before training. Between snapshots the bars are \
             interpolated, σ is the last snapshot's.",
            counted
        ),
        layers: found,
        strip: telling.strip(clock, &told),
        pacing: telling.pacing(clock, &title, &told),
        title,
        snapshots,
        hold_secs: HOLD_SECS,
    })
}

/// At most `most` of `0..n`, evenly spread, both ends among them.
pub(super) fn spread(n: usize, most: usize) -> Vec<usize> {
    if n <= most || most < 2 {
        return (0..n).collect();
    }
    (0..most).map(|i| i * (n - 1) / (most - 1)).collect()
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
            .map(|i| (weights[i].name.clone(), vec![weights[i].range()]))
            .collect(),
    }
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
    fn bins_grow_with_the_cube_root_and_zero_is_an_edge() {
        assert_eq!([10, 64, 1000, 1_000_000].map(bins), [10, 12, 30, 80]);
        assert!((1..5000).all(|n| bins(n).is_multiple_of(2)));
    }

    #[test]
    fn a_spread_has_both_ends_and_no_repetition() {
        assert_eq!(spread(3, 5), [0, 1, 2]);
        assert_eq!(spread(10, 4), [0, 3, 6, 9]);
        let many = spread(10_000, 240);
        assert_eq!((many.len(), many[0], many[239]), (240, 0, 9999));
        assert!(many.windows(2).all(|w| w[0] < w[1]));
        assert!(spread(0, 5).is_empty());
    }
}
