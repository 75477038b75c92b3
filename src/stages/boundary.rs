//! A run on points of the plane to its decision boundary at each snapshot, beside its path.

use super::contour::PanelSource;
use super::film_options::{FilmOptions, HOLD_SECS, begin_with_path};
use super::opened::{OpenRun, RunSet, moment_of, point_of, spread};
use super::{Subject, provenance, stale};
use crate::dataset::planar;
use crate::disk;
use crate::landscape::PathCoord;
use crate::parallel;
use crate::record::SnapshotInfo;
use crate::render::numbers::thousands;
use crate::render::scene::{ContourPanel, PathPoint};
use crate::render::scenes::boundary::{BoundaryFilm, InputSpace};
use crate::{Error, Result};

/// Columns and rows of the inputs, snapshots evaluated at most, data points shown at most.
const GRID: usize = 81;
const SNAPSHOTS: usize = 240;
const POINTS: usize = 600;

/// Inputs that are classified at once.
const BATCH: usize = 2187;

/// The boundary film of `source`: over its surface where it has one, else the path alone.
///
/// # Errors
/// [`Error::Data`] for a run on pictures; those of reading run and plane, and of the backend.
pub fn gather(
    source: &PanelSource,
    title: Option<&str>,
    options: &FilmOptions,
) -> Result<BoundaryFilm> {
    let run = &source.run;
    let set = run.spec()?.data.set;
    if set.form().is_none_or(|(shape, _)| shape != planar::SHAPE) {
        return Err(Error::Data {
            what: format!(
                "{} was trained on {set}, whose inputs are not points of a plane",
                run.name()
            ),
            remedy: "train on spirals, moons, rings or gaussians (experiments/spirals.toml)".into(),
        });
    }
    let (plane, _) = stale::current(&RunSet::from(run.clone()), &source.plane)?;
    let path = plane.about.path();
    let has_surface = disk::is_there(&run.run().surface_dir(&source.surface)?.join("grid.json"))?;
    let mut split = None;
    let (panel, value_label, about_surface) = if has_surface {
        let on = source.open()?;
        split = Some(on.store.header.on.split);
        let label = format!("{} loss", on.store.header.on.split.adjective());
        let caption = provenance::caption(std::slice::from_ref(&on));
        (source.panel(&on)?, label, format!(" Right: {}", lower(&caption)))
    } else {
        let panel = ContourPanel {
            path: path.iter().map(point_of).collect(),
            x_label: plane.axis_label(0),
            y_label: plane.axis_label(1),
            ..ContourPanel::default()
        };
        (panel, String::new(), String::new())
    };
    let mut panel = ContourPanel { title: "In weight space".into(), ..panel };
    let subject = Subject::of_run(run.run(), None, None)?;
    let (inputs, mut points) = answers(run, &subject, path)?;
    let name = run.description()?;
    let charts = [options.chart_source(&name, run)?];
    let title = title.map_or_else(|| format!("A network learns to separate {set}"), str::to_string);
    let (mut strip, pacing) =
        options.timing(&title, &mut [&mut *panel.path, &mut *points], &charts);
    if let Some(split) = split {
        begin_with_path(&mut strip, 0, split, &panel.path);
    }
    let (evaluated, all) = (points.len(), path.len());
    let of = if evaluated < all { format!("{evaluated} of {all}") } else { all.to_string() };
    Ok(BoundaryFilm {
        caption: format!(
            "Left: the class predicted at {GRID} × {GRID} inputs for {of} snapshots, interpolated \
             between them; deeper colour: more confident; line: decision boundary.{about_surface}"
        ),
        value_label,
        panel,
        inputs,
        times: points.iter().map(|p| p.time).collect(),
        strip,
        pacing,
        title,
        hold_secs: HOLD_SECS,
    })
}

/// A caption that goes on a sentence: its first letter small.
fn lower(caption: &str) -> String {
    let mut letters = caption.chars();
    letters.next().map_or(String::new(), |first| first.to_lowercase().chain(letters).collect())
}

/// Class probabilities over the square of inputs at the snapshots of the plane's path.
fn answers(
    run: &OpenRun,
    subject: &Subject,
    path: &[PathCoord],
) -> Result<(InputSpace, Vec<PathPoint>)> {
    let network = subject.network();
    let on_path = |s: &SnapshotInfo| path.iter().any(|p| p.snapshot == s.index);
    let (snapshots, _) = run.some_snapshots(SNAPSHOTS, on_path)?;
    let points: Vec<PathPoint> = snapshots.infos().iter().map(moment_of).collect();
    let images = inputs_of(&subject.stats);
    let classes = network.classes;
    let which: Vec<usize> = (0..points.len()).collect();
    let probabilities = parallel::map(&which, |&i| {
        let (theta, buffers) = snapshots.state(i)?;
        let point = subject.backend.at(&theta, &buffers)?;
        let mut answers = vec![0.0f32; classes * GRID * GRID];
        let mut k = 0;
        for batch in images.chunks(2 * BATCH) {
            for logits in point.logits(batch)?.chunks_exact(classes) {
                for (class, p) in softmax(logits).into_iter().enumerate() {
                    answers[class * GRID * GRID + k] = p;
                }
                k += 1;
            }
        }
        Ok(answers)
    })?;
    let data = &subject.data;
    let shown = spread(data.train.len(), POINTS).into_iter().map(|i| {
        let image = data.train.image(i);
        let [x, y] = [image[0], image[1]].map(planar::coordinate_of);
        (x, y, usize::from(data.train.labels[i]))
    });
    let inputs = InputSpace {
        title: "In input space".into(),
        subtitle: format!("{} training points", thousands(&data.train.len().to_string())),
        x: [-1.0, 1.0],
        y: [-1.0, 1.0],
        size: [GRID, GRID],
        class_names: data.class_names.clone(),
        probabilities,
        points: shown.collect(),
    };
    Ok((inputs, points))
}

/// The lattice of inputs as normalised images, (GRID * GRID, 2), rows from the bottom up.
fn inputs_of(stats: &crate::dataset::NormStats) -> Vec<f32> {
    let at = |i: usize| i as f32 / (GRID - 1) as f32; // of -1..=1, in units of the largest pixel
    let normalised =
        |value: f32, channel: usize| (value - stats.mean[channel]) / stats.std[channel];
    (0..GRID * GRID)
        .flat_map(|k| [normalised(at(k % GRID), 0), normalised(at(k / GRID), 1)])
        .collect()
}

/// Probabilities from logits; NaN where one is not finite.
fn softmax(logits: &[f32]) -> Vec<f32> {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f32> = logits.iter().map(|z| (z - top).exp()).collect();
    let sum: f32 = powers.iter().sum();
    powers.iter().map(|p| p / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::NormStats;

    #[test]
    fn the_corners_of_the_lattice_are_the_corners_of_the_data() {
        let stats = NormStats { mean: vec![0.5, 0.25], std: vec![0.5, 0.25] };
        let inputs = inputs_of(&stats);
        assert_eq!(inputs.len(), 2 * GRID * GRID);
        // Byte 0 is 0.0 and byte 255 is 1.0, normalised.
        assert_eq!(inputs[..2], [-1.0, -1.0]);
        assert_eq!(inputs[2 * (GRID - 1)..2 * GRID], [1.0, -1.0]);
        assert_eq!(inputs[inputs.len() - 2..], [1.0, 3.0]);
        assert_eq!((planar::byte_of(-1.0), planar::byte_of(1.0)), (0, 255));
    }

    #[test]
    fn probabilities_sum_to_one_and_survive_large_logits() {
        let p = softmax(&[1000.0, 1000.0, 0.0]);
        assert!((p.iter().sum::<f32>() - 1.0).abs() < 1e-6 && p[0] == 0.5);
        assert!(softmax(&[f32::NAN, 1.0]).iter().all(|p| p.is_nan()));
    }
}
